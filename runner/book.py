"""An order book as one side of the market sees it, and what a rule may ask of it."""

from collections.abc import Iterable
from itertools import islice

from pmrun.runner.market import Outcome
from pmrun.runner.units import ONE, PRICE_SCALE, HalfPrice, Price, Side, Size

Level = tuple[Price, Size]
Levels = tuple[Level, ...]
Prices = tuple[int, ...]  # how many are bids, then theirs, then those of the asks
YES = Outcome.YES


class Book:
    """Aggregated resting sizes, best first; immutable.

    The book of NO is the mirror of the book of YES: a bid at p on one is an ask at 1 - p on the other
    (exchange rule, reference 4.1).
    """

    __slots__ = ("_mirror", "asks", "bids")

    bids: Levels
    asks: Levels

    def __init__(self, bids: Levels, asks: Levels) -> None:
        """Take levels sorted best first, without empty ones."""
        self.bids = bids
        self.asks = asks
        self._mirror: Book | None = None

    def __repr__(self) -> str:
        """Show the touch and the depth."""
        return f"Book({self.best_bid} x {self.best_ask}, {len(self.bids)}+{len(self.asks)} levels)"

    def __eq__(self, other: object) -> bool:
        """Compare by levels."""
        return isinstance(other, Book) and self.bids == other.bids and self.asks == other.asks

    def __hash__(self) -> int:
        """Hash by levels."""
        return hash((self.bids, self.asks))

    @property
    def best_bid(self) -> Price | None:
        """The highest bid."""
        return self.bids[0][0] if self.bids else None

    @property
    def best_ask(self) -> Price | None:
        """The lowest ask."""
        return self.asks[0][0] if self.asks else None

    @property
    def two_sided(self) -> bool:
        """Whether both sides rest and do not touch: a crossed or locked book has no mid to trust."""
        return bool(self.bids and self.asks) and self.bids[0][0] < self.asks[0][0]

    @property
    def mid_half(self) -> HalfPrice:
        """Twice the mid, exact, in 1/20,000 dollar; raises IndexError when a side is empty."""
        return HalfPrice(self.bids[0][0] + self.asks[0][0])

    @property
    def mark_half(self) -> HalfPrice:
        """Twice the price to value holdings at: the mid, with 0 and 1 dollar where a side is empty."""
        bid = self.bids[0][0] if self.bids else 0
        return HalfPrice(bid + (self.asks[0][0] if self.asks else ONE))

    @property
    def mid(self) -> float:
        """The mid in dollars."""
        return self.mid_half / (2 * PRICE_SCALE)

    def mirror(self) -> "Book":
        """Return the same book as the holder of the complement sees it."""
        if self._mirror is None:
            self._mirror = Book(
                tuple((Price(ONE - price), size) for price, size in self.asks),
                tuple((Price(ONE - price), size) for price, size in self.bids),
            )
            self._mirror._mirror = self
        return self._mirror

    def seen_by(self, outcome: Outcome) -> "Book":
        """Return this book (of YES) as an outcome sees it."""
        return self if outcome is YES else self.mirror()

    def prices(self, levels: int) -> Prices:
        """Return the prices of the first levels of each side (0: of all), without the sizes."""
        bids, asks = (self.bids[:levels], self.asks[:levels]) if levels else (self.bids, self.asks)
        found: list[int] = [len(bids)]
        found += [level[0] for level in bids]
        found += [level[0] for level in asks]
        return tuple(found)

    def bids_below(self, price: Price, count: int) -> Levels:
        """Return the next `count` bid levels strictly below a price."""
        return tuple(islice((level for level in self.bids if level[0] < price), count))

    def bids_above(self, price: Price) -> int:
        """Count the bid levels strictly better than a price."""
        return sum(1 for level in self.bids if level[0] > price)


def without_own(book: Book, own: Iterable[tuple[Side, Price, Size]]) -> Book:
    """Take our own resting orders out of an observed book (O12).

    `own` is in the terms of the same outcome as the book. What the exchange has not shown yet cannot be taken out:
    a level never goes below zero, it disappears.
    """
    taken: dict[tuple[Side, Price], int] = {}
    for side, price, size in own:
        taken[side, price] = taken.get((side, price), 0) + size
    if not taken:
        return book

    def rest(side: Side, levels: Levels) -> Levels:
        left = ((price, Size(size - taken.get((side, price), 0))) for price, size in levels)
        return tuple(level for level in left if level[1] > 0)

    return Book(rest(Side.BUY, book.bids), rest(Side.SELL, book.asks))
