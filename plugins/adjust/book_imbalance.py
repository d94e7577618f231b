"""Lean quotes towards where the book says that the price goes next."""

from collections.abc import Generator
from dataclasses import dataclass

from pmrun.plugins.adjust.outward import shifted
from pmrun.runner.book import Book
from pmrun.runner.hooks import Answer, Depth, Look, Quote, hookimpl
from pmrun.runner.units import Price


@dataclass(frozen=True, slots=True, eq=False)
class BookImbalance:
    """Move all quotes by strength × (imbalance − ½) × spread, up where more is bid, at most by `most` dollars (P10).

    The imbalance is the bids' share of what rests in the first `levels` of both sides. With one level and strength 1
    the centre of the quotes is the weighted mid instead of the mid. How much of the imbalance the price follows is what
    Stoikov (The micro-price, 2018) estimates from data; a half is a cautious guess.
    """

    levels: int = 1
    strength: float = 0.5
    most: Price = Price(100)
    order: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no lean."""
        if not 1 <= self.levels <= 50:
            raise ValueError("levels must be from 1 to 50")
        if not 0 <= self.strength <= 10:
            raise ValueError("strength must be from 0 to 10")
        if not 0 <= self.most < 5_000:
            raise ValueError("most must be from 0 to below 0.5 dollars")

    @property
    def depth(self) -> Depth:
        """Sizes matter, down to the last level that is counted."""
        return Depth(Look.LEVELS, self.levels)

    @hookimpl(wrapper=True)
    def price(self, book: Book) -> Generator[None, Answer | None, Answer]:
        """Shift what the rule answered."""
        quotes = yield
        lean = self.lean(book)
        return [shifted(quote, lean) if isinstance(quote, Quote) else quote for quote in quotes or ()]

    def lean(self, book: Book) -> int:
        """Return by how much the centre of YES moves, in 1/20,000 dollar."""
        bids = sum(size for _, size in book.bids[: self.levels])
        asks = sum(size for _, size in book.asks[: self.levels])
        spread = book.asks[0][0] - book.bids[0][0]
        lean = self.strength * (bids - asks) * spread / (bids + asks)  # (imbalance − ½) × twice the spread
        return round(max(-2.0 * self.most, min(2.0 * self.most, lean)))
