"""Only markets whose spread is what we can work in."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import Range
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Objection, hookimpl
from pmrun.runner.units import PRICE_SCALE, Price


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Drop markets whose spread, best ask less best bid of the live book, is outside a range of dollars (R1).

    The spread of NO is the same. A book without both sides is never asked about: it cannot be quoted anyway.
    """

    spread_range: Range[Price] = Range(max=Price(500))
    order: int | None = None
    depth = Depth(Look.PRICES, 1)

    @hookimpl
    def reject_market(self, book: Book) -> Objection | None:
        """Reject a spread outside the range."""
        spread = Price(book.asks[0][0] - book.bids[0][0])
        missed = self.spread_range.missed(spread, PRICE_SCALE, "dollars")
        return Objection("spread_out_of_range", missed) if missed else None
