"""Only markets with so much trading."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import Range
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import CASH_SCALE, Cash


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Drop markets whose volume of the last 24 hours, as the exchange lists it, is outside a range of dollars (R1).

    An unknown volume passes only where there is no limit to meet.
    """

    volume_24hr_range: Range[Cash] = Range()
    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a volume outside the range, or unknown."""
        if market.volume_24h is None:
            return Objection("volume_unknown") if self.volume_24hr_range.limited else None
        missed = self.volume_24hr_range.missed(market.volume_24h, CASH_SCALE, "dollars")
        return Objection("volume_out_of_range", missed) if missed else None
