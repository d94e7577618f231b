"""What is known of one order of ours at the exchange."""

from enum import Enum, auto

from pmrun.runner.intents import Place
from pmrun.runner.market import TokenId
from pmrun.runner.orders import OrderNo, TradeId
from pmrun.runner.units import SECOND, Micros

CHECKS = tuple(Micros(after * SECOND) for after in (1, 3, 10))  # after a request leaves (O5)


class Standing(Enum):
    """What is known of an order at the exchange."""

    SENT = auto()  # the request is under way
    UNKNOWN = auto()  # its answer was lost
    TAKEN = auto()  # the exchange said that it has it
    ENDED = auto()


class Record:
    """One order of ours as the exchange knows it."""

    __slots__ = (
        "cancel_asked",
        "checks",
        "ended_at",
        "filled",
        "given_up",
        "listed_as",
        "matched",
        "missing",
        "order_id",
        "place",
        "sent_at",
        "shown",
        "standing",
        "token",
        "trades",
    )

    def __init__(self, place: Place, order_id: str, token: TokenId, sent_at: Micros) -> None:
        """Take an order that is about to be sent."""
        self.place = place
        self.order_id = order_id
        self.token = token
        self.sent_at = sent_at
        self.standing = Standing.SENT
        self.shown = False  # whether it was seen on the book, by socket or REST (O3, layer B)
        self.filled = 0  # by trades: the only thing that counts
        self.matched = 0  # by what orders say of themselves: asks for trades that are missing
        self.missing = 0  # complete snapshots in a row that did not know it
        self.cancel_asked = False
        self.checks = [Micros(sent_at + after) for after in CHECKS]
        self.trades: list[TradeId] = []
        self.ended_at: Micros | None = None
        self.listed_as = ""  # by REST, in its words
        self.given_up = False  # it ended without a word of the exchange that it was ever there

    @property
    def no(self) -> OrderNo:
        """The desk's number."""
        return self.place.order

    @property
    def in_play(self) -> bool:
        """Whether it may rest."""
        return self.standing is not Standing.ENDED

    @property
    def owed(self) -> bool:
        """Whether the exchange spoke of a match whose trade we have not seen."""
        return self.matched > self.filled

    def look_at(self, at: Micros) -> None:
        """Have it looked up at a time."""
        self.checks = sorted({*self.checks, at})

    def end(self, at: Micros) -> None:
        """Note that it cannot rest any more."""
        self.standing = Standing.ENDED
        self.ended_at = at
        self.checks = []
