"""Only markets that pay enough a day."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import Range
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import CASH_SCALE, Cash


@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """Drop markets whose rewards a day, the exchange's and the sponsors', are outside a range of dollars (R1)."""

    rate_per_day_range: Range[Cash] = Range(min=Cash(5_000_000))
    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a rate outside the range; a market without rewards pays 0."""
        terms = market.rewards
        rate = Cash(terms.daily_rate + terms.sponsored_rate if terms else 0)
        missed = self.rate_per_day_range.missed(rate, CASH_SCALE, "dollars a day")
        return Objection("rate_out_of_range", missed) if missed else None
