"""Do not buy what could not be sold again."""

from dataclasses import dataclass

from pmrun.plugins.risk.hysteresis import check_hysteresis, narrowed
from pmrun.plugins.risk.protection_size import PPM
from pmrun.runner.book import Book
from pmrun.runner.hooks import Objection, Wanted, hookimpl
from pmrun.runner.units import Price, Side


@dataclass(frozen=True, slots=True, eq=False)
class HedgeProtection:
    """bid3, bid4, … within max_bid_gap below the order must hold min_protection_size_multiplier_hedge times it (R6)."""

    min_protection_size_multiplier_hedge: float = 5.0
    max_bid_gap: Price = Price(500)
    hysteresis: float = 0.1
    order: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that are no size or no distance."""
        if not 0 <= self.min_protection_size_multiplier_hedge <= 1_000_000:
            raise ValueError("min_protection_size_multiplier_hedge must be from 0 to 1,000,000")
        if not 0 < self.max_bid_gap < 10_000:
            raise ValueError("max_bid_gap must be above 0 and below 1 dollar")
        check_hysteresis(self.hysteresis)

    @hookimpl
    def object_to_order(self, order: Wanted, book: Book, resting: bool) -> Objection | None:
        """Object to a bid whose hedge would find too little to sell into."""
        if order.side is not Side.BUY:
            return None
        lowest = order.price - self.max_bid_gap
        there = sum(size for price, size in book.bids[2:] if price >= lowest)
        needed = order.size * round(self.min_protection_size_multiplier_hedge * PPM) // PPM
        limit = narrowed(needed, self.hysteresis, resting)
        if there < limit:
            return Objection("too_little_to_hedge_into", {"size": there, "needed": limit, "down_to": lowest})
        return None
