"""An order book as one side of the market sees it, and what a rule may ask of it."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from pmrun.runner.market import Outcome
from pmrun.runner.units import ONE, PRICE_SCALE, HalfPrice, Price, Side, Size

Level = tuple[Price, Size]
Levels = tuple[Level, ...]
Prices = tuple[int, ...]  # those of the bids and then of the asks; see Book.prices
YES: Final = Outcome.YES


class Book:
    """Aggregated resting sizes, best first; immutable.

    The book of NO is the mirror of the book of YES: a bid at p on one is an ask at 1 - p on the other
    (exchange rule, reference 4.1). Of most books nobody asks more than the prices: the levels of a `shallow` one are
    made when somebody does.
    """

    __slots__ = ("_asks", "_bids", "_mirror", "_prices", "_sizes", "best_ask", "best_bid")

    def __init__(self, bids: Levels, asks: Levels) -> None:
        """Take levels sorted best first, without empty ones."""
        self._bids: Levels | None = bids
        self._asks: Levels | None = asks
        self.best_bid: Price | None = bids[0][0] if bids else None  # the highest bid
        self.best_ask: Price | None = asks[0][0] if asks else None  # the lowest ask
        self._prices: Prices = ()
        self._sizes: tuple[int, ...] = ()
        self._mirror: Book | None = None

    @staticmethod
    def shallow(prices: Prices, sizes: tuple[int, ...]) -> "Book":
        """Return a book of as many bids as asks, best first, bids before asks; a price of 0 is no level."""
        book = Book((), ())
        book._bids = book._asks = None
        book._prices, book._sizes = prices, sizes
        bid, ask = prices[0], prices[len(prices) >> 1]
        book.best_bid = Price(bid) if bid else None
        book.best_ask = Price(ask) if ask else None
        return book

    @property
    def bids(self) -> Levels:
        """The bids, best first."""
        if self._bids is None:
            self._bids = self._levels(0)
        return self._bids

    @property
    def asks(self) -> Levels:
        """The asks, best first."""
        if self._asks is None:
            self._asks = self._levels(len(self._prices) >> 1)
        return self._asks

    def _levels(self, first: int) -> Levels:
        prices, sizes = self._prices, self._sizes
        found: list[Level] = []
        for index in range(first, first + (len(prices) >> 1)):
            price = prices[index]
            if price:
                found.append((Price(price), Size(sizes[index])))
        return tuple(found)

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
    def two_sided(self) -> bool:
        """Whether both sides rest and do not touch: a crossed or locked book has no mid to trust."""
        bid, ask = self.best_bid, self.best_ask
        return bid is not None and ask is not None and bid < ask

    @property
    def mid_half(self) -> HalfPrice:
        """Twice the mid, exact, in 1/20,000 dollar; raises IndexError when a side is empty."""
        if self.best_bid is None or self.best_ask is None:
            raise IndexError("a side is empty")
        return HalfPrice(self.best_bid + self.best_ask)

    @property
    def mark_half(self) -> HalfPrice:
        """Twice the price to value holdings at: the mid, with 0 and 1 dollar where a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return HalfPrice((0 if bid is None else bid) + (ONE if ask is None else ask))

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
        """Return the prices of the first levels of each side (0: of all), without the sizes.

        Both sides are of one length: 0 stands where there is no level.
        """
        if self._prices and len(self._prices) == 2 * levels:
            return self._prices
        bids, asks = self.bids, self.asks
        most = levels or max(len(bids), len(asks))
        found: list[int] = []
        for side in (bids, asks):
            found += [level[0] for level in side[:most]]
            found += [0] * (most - min(most, len(side)))
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
