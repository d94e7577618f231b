"""What the parts of the desk know together: the time, the account, our orders, and which market waits for what."""

from typing import Final

from pmrun.runner.halts import Halts
from pmrun.runner.intents import Reason
from pmrun.runner.inventory import Account
from pmrun.runner.market import MarketNo
from pmrun.runner.market_state import MarketState
from pmrun.runner.orders import Order, OrderNo
from pmrun.runner.units import Micros

NO_TIME: Final = Micros(-(2**62))


class Known:
    """What is known beyond a single market; learning writes it, deciding reads it."""

    __slots__ = (
        "account",
        "dirty",
        "due",
        "for_answer",
        "for_funds",
        "for_room",
        "halts",
        "hedges_events",
        "limit",
        "markets",
        "now",
        "orders",
        "pulled",
        "siblings",
        "stopped",
        "waits",
    )

    def __init__(self, nets_pairs: bool = True, hedges_events: bool = False) -> None:
        """Know nothing yet; `nets_pairs` says that a pair of YES and NO is no exposure.

        `hedges_events` says that the hedging of a market looks at the others of its event.
        """
        self.hedges_events = hedges_events
        self.now = NO_TIME
        self.account = Account(nets_pairs)
        self.markets: dict[MarketNo, MarketState] = {}
        self.orders: dict[OrderNo, Order] = {}  # in play, and those that ended not long ago
        self.stopped: str | None = None  # why nothing is quoted any more
        self.halts = Halts()  # what stopped quoting, to be told at the end
        self.limit: Reason | None = None  # which limit of the account keeps everything from being quoted
        self.dirty: dict[MarketNo, None] = {}  # where something changed since the last decision
        self.due = False  # a moment at which quotes are decided has come
        self.waits: dict[MarketNo, Micros] = {}  # when a market is looked at again, whatever happens
        self.for_room: set[MarketNo] = set()  # where an order waits for another one to leave
        self.for_answer: set[MarketNo] = set()  # where an order cannot be moved before it is answered
        self.pulled: set[OrderNo] = set()  # to be cancelled as soon as they are answered
        self.for_funds: set[MarketNo] = set()  # where an order was refused for want of cash
        # The markets of an event, itself included, where somebody asks what it can lose or hedges across it.
        self.siblings: dict[MarketNo, list[MarketNo]] = {}

    def stake_changed(self, no: MarketNo) -> None:
        """Decide the markets of an event again: what they may risk depends on this one.

        The market itself as well: an exit that is placed changes what its own quotes, judged before, may risk.
        """
        for other in self.siblings.get(no, ()):
            if self.hedges_events or self.markets[other].selected:
                self.dirty[other] = None

    def book_moved(self, no: MarketNo) -> None:
        """Decide the markets of an event again where a hedge may depend on the book that changed."""
        if any(self.markets[other].inventory.held for other in self.siblings.get(no, ())):
            self.stake_changed(no)

    def turned_down(self, no: MarketNo, until: Micros) -> None:
        """Let no hedge be bought in a market for a while: what it was to cover is hedged otherwise."""
        self.markets[no].shut = until
        self.stake_changed(no)

    def look_again(self, no: MarketNo, at: Micros) -> None:
        """Decide a market again at a moment, or before."""
        self.waits[no] = min(at, self.waits.get(no, at))
