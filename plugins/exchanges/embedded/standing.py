"""How a market stands after what has been told of it: its book, its last trades."""

from collections import deque

from pmrun.plugins.exchanges.embedded.terms import (
    LevelMoved,
    Levels,
    Printed,
)
from pmrun.runner.book import Book
from pmrun.runner.units import (
    Micros,
    Price,
    Side,
)

_PRINTS_KEPT = 2_000


class Standing:
    """How one market stands after the last event told: its book, its last trades."""

    def __init__(self, book: Book, at: Micros) -> None:
        """Take the book it starts with."""
        self.bids = dict(book.bids)
        self.asks = dict(book.asks)
        self.changed_at = at
        self.last_trade: Price | None = None
        self.last_side: Side | None = None
        self.prints: deque[Printed] = deque(maxlen=_PRINTS_KEPT)
        self._book: Book | None = book

    @property
    def book(self) -> Book:
        """The book in terms of YES."""
        if self._book is None:
            self._book = Book(tuple(sorted(self.bids.items(), reverse=True)), tuple(sorted(self.asks.items())))
        return self._book

    def move(self, event: LevelMoved) -> None:
        """Take the new size of one level."""
        levels = self.bids if event.side is Side.BUY else self.asks
        if event.size:
            levels[event.price] = event.size
        else:
            levels.pop(event.price, None)
        self.changed_at = event.at
        self._book = None

    def reset(self, levels: tuple[Levels, Levels], at: Micros) -> None:
        """Take a whole book."""
        self.bids, self.asks = dict(levels[0]), dict(levels[1])
        self.changed_at = at
        self._book = None

    def traded(self, trade: tuple[Price, Side] | None) -> None:
        """Take the last trade; the hash of a book covers its price."""
        if trade is not None:
            self.last_trade, self.last_side = trade
