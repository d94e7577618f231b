"""A pricing rule: step in front of the best bid while the spread leaves room."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Answer, Depth, Look, NoQuote, Quote, hookimpl
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import HalfPrice, Side


# A component is a frozen dataclass: its fields are its settings, and their annotations are what YAML may say.
# eq=False, because pluggy tells plugins apart with ==.
@dataclass(frozen=True, slots=True, eq=False)
class Improve:
    """Bid `ticks` above the best bid of each token, where at least as many ticks remain to the ask."""

    ticks: int = 1
    depth = Depth(Look.PRICES, 1)  # what it looks at in the book: the desk is not woken for the rest

    # Limits are checked here; the message begins with the setting, so that it is told with its full key.
    def __post_init__(self) -> None:
        """Refuse a step that is none."""
        if not 0 <= self.ticks <= 100:
            raise ValueError("ticks must be from 0 to 100")

    # One hook is the behaviour. Name only the arguments you use; see pmrun.runner.hooks for all of them.
    @hookimpl
    def price(self, market: Market, book: Book) -> Answer:
        """Answer with a bid for each token, or with the reason for none."""
        return [self._bid(market, book.seen_by(outcome), outcome) for outcome in Outcome]

    def _bid(self, market: Market, book: Book, outcome: Outcome) -> Quote | NoQuote:
        if book.best_bid is None or book.best_ask is None:
            return NoQuote(outcome, Side.BUY, "one_sided_book", {})
        step = self.ticks * market.tick
        if book.best_ask - book.best_bid < 2 * step:
            return Quote(outcome, Side.BUY, HalfPrice(2 * book.best_bid), "best_bid")
        # Prices of rules are in half units and need not be on the grid: the desk puts them there.
        return Quote(outcome, Side.BUY, HalfPrice(2 * (book.best_bid + step)), "improved_bid")
