"""Rest at the touch and follow it."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Answer, Depth, Look, Quote, hookimpl
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import HalfPrice, Side


@dataclass(frozen=True, slots=True, eq=False)
class MakerFollow:
    """Bid at the best bid of each token; the desk sells what is held instead of buying the complement (M1)."""

    depth = Depth(Look.PRICES, 1)

    @hookimpl
    def price(self, market: Market, book: Book) -> Answer:
        """Answer with the best bid of each token."""
        quotes = []
        for outcome in Outcome:
            best = book.seen_by(outcome).best_bid
            if best is not None:
                quotes.append(Quote(outcome, Side.BUY, HalfPrice(2 * best), "best_bid"))
        return quotes
