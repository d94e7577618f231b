"""Do not rest above a hole in the book."""

from dataclasses import dataclass

from pmrun.plugins.risk.hysteresis import check_hysteresis, widened
from pmrun.runner.book import Book
from pmrun.runner.hooks import Objection, Wanted, hookimpl
from pmrun.runner.units import Price, Side


@dataclass(frozen=True, slots=True, eq=False)
class Cliff:
    """The next two levels below a bid must exist, each at most price_cliff_threshold lower than the one above (R6)."""

    price_cliff_threshold: Price = Price(500)
    hysteresis: float = 0.1
    order: int | None = None

    def __post_init__(self) -> None:
        """Refuse a threshold that is no distance between two prices."""
        if not 0 < self.price_cliff_threshold < 10_000:
            raise ValueError("price_cliff_threshold must be above 0 and below 1 dollar")
        check_hysteresis(self.hysteresis)

    @hookimpl
    def object_to_order(self, order: Wanted, book: Book, resting: bool) -> Objection | None:
        """Object to a bid above a cliff."""
        if order.side is not Side.BUY:
            return None
        below = book.bids_below(order.price, 2)
        if len(below) < 2:
            return Objection("no_levels_below", {"levels": len(below), "needed": 2})
        limit = widened(self.price_cliff_threshold, self.hysteresis, resting)
        gap = max(order.price - below[0][0], below[0][0] - below[1][0])
        if gap > limit:
            return Objection("price_cliff", {"gap": gap, "limit": limit})
        return None
