"""No markets that are about to end."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import shortfall
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import SECOND, Micros

DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True, eq=False)
class Expiry:
    """Drop markets that end in fewer than min_days_until_end days, where prices jump (R1).

    A market whose end nobody knows is dropped too, unless `require_end` is false: it may end tomorrow.
    """

    min_days_until_end: float = 7.0
    require_end: bool = True
    order: int | None = None
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse a number of days that is none."""
        if not 0 <= self.min_days_until_end <= 36_500:
            raise ValueError("min_days_until_end must be from 0 to 36,500 days")

    @hookimpl
    def reject_market(self, market: Market, at: Micros) -> Objection | None:
        """Reject a market that ends too soon, or nobody knows when."""
        if market.ends_at is None:
            return Objection("end_unknown") if self.require_end else None
        left, needed = market.ends_at - at, round(self.min_days_until_end * DAY)
        return None if left >= needed else Objection("ends_too_soon", shortfall(left, needed, DAY, "days"))
