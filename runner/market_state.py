"""What the desk knows of one market."""

from typing import Final

from pmrun.runner.book import Book, Prices
from pmrun.runner.facts import MarketStatus
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import Unhedged, Wanted
from pmrun.runner.intents import Merge
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order, OrderNo, Purpose
from pmrun.runner.own_orders import OwnOrders
from pmrun.runner.units import HalfPrice, Micros, Side

TRADING: Final = MarketStatus.TRADING
YES: Final = Outcome.YES
QUOTE: Final = Purpose.QUOTE


class MarketState:
    """What the desk knows of one market."""

    __slots__ = (
        "book",
        "doubt",
        "gaps",
        "grid",
        "halted",
        "inventory",
        "mark",
        "merging",
        "no",
        "observed",
        "orders",
        "own",
        "quoted",
        "recheck",
        "refused",
        "rejected",
        "selected",
        "shut",
        "status",
        "terms",
        "unhedged",
        "unmergeable",
        "unsafe",
    )

    def __init__(self, no: MarketNo, terms: Market, inventory: Inventory) -> None:
        """Start without a book."""
        self.no = no
        self.terms = terms
        self.inventory = inventory
        self.grid = Grid(terms.tick)
        self.status = MarketStatus.TRADING
        self.halted = False
        self.observed: Book | None = None
        self.mark: HalfPrice | None = None  # what holdings are valued at; outlives a lost feed
        self.book: Book | None = None  # the observed book minus our own resting orders (O12)
        self.orders: dict[OrderNo, Order] = {}  # in play
        self.own = OwnOrders()  # what the observed book shows of them
        self.doubt: set[OrderNo] = set()  # requests whose answer was lost: nothing is quoted beside them (O7)
        # By side of the YES book: a quote may rest as either token.
        self.refused: dict[Side, tuple[str, ...]] = {}
        self.rejected: dict[tuple[Side, Purpose], tuple[Micros, int]] = {}  # when last, and how often in a row
        self.quoted: dict[Prices, list[Wanted]] = {}  # what was wanted at these prices, under the same terms
        self.merging: Merge | None = None  # pairs whose merge is in flight
        self.unmergeable = False  # a merge was refused here: what is paired is held to the end
        self.selected = False  # whether it is quoted; holdings are hedged either way
        self.shut: Micros | None = None  # until when no hedge of another market is bought here
        self.unsafe: set[Side] = set()  # sides of the YES book that a check spoke against in this decision (R3)
        self.gaps: dict[Outcome, Unhedged] = {}  # what hedging covers with nothing, in this decision
        self.recheck: Micros | None = None  # when shares that nothing covers are looked at again
        self.unhedged: dict[Outcome, str] = {}  # why shares are not covered, as said last

    def blocked(self) -> str | None:
        """Return the code of what keeps the market from being quoted at all."""
        if self.halted or self.status is not TRADING:
            return "halted" if self.halted else str(self.status)
        if self.doubt:
            return "order_in_doubt"
        book = self.book
        if book is None:
            return "no_book"
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return "one_sided_book"
        return None if bid < ask else "crossed_book"

    @property
    def paused(self) -> bool:
        """Whether the exchange, and nobody here, halted it: what rests is safe from fills, and its owner decides."""
        return self.status is MarketStatus.HALTED and not self.halted

    def replaceable(self) -> list[Order]:
        """Return the orders in play that were not asked to leave."""
        return [order for order in self.orders.values() if not order.cancel_sent]

    def exits(self) -> list[Order]:
        """Return those of them that bring holdings back."""
        return [order for order in self.replaceable() if order.purpose is not QUOTE]


def book_side(outcome: Outcome, side: Side) -> Side:
    """Return the side of the YES book that an order is on."""
    return side if outcome is YES else side.opposite
