"""Rest at a fixed level of the book, on both sides."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Answer, Depth, Look, Quote, hookimpl
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import HalfPrice, Side

YES, BUY, SELL = Outcome.YES, Side.BUY, Side.SELL


@dataclass(frozen=True, slots=True, eq=False)
class NthLevel:
    """Join the bid and the ask at the n-th level from the touch; a side that is not that deep gets no quote."""

    level: int = 2

    def __post_init__(self) -> None:
        """Refuse a level that no book has."""
        if not 1 <= self.level <= 50:
            raise ValueError("level must be from 1 to 50")

    @property
    def depth(self) -> Depth:
        """Only prices matter, down to the level."""
        return Depth(Look.PRICES, self.level)

    @hookimpl
    def price(self, market: Market, book: Book) -> Answer:
        """Answer with a bid and an ask for YES."""
        at = self.level - 1
        quotes = []
        if len(book.bids) > at:
            quotes.append(Quote(YES, BUY, HalfPrice(2 * book.bids[at][0]), "level"))
        if len(book.asks) > at:
            quotes.append(Quote(YES, SELL, HalfPrice(2 * book.asks[at][0]), "level"))
        return quotes
