"""Only markets whose rewards ask for orders of a size we place."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import Range
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import SIZE_SCALE, Size


@dataclass(frozen=True, slots=True, eq=False)
class MinSize:
    """Drop markets whose rewards_min_size is outside a range of shares (R1).

    A market without reward terms passes only where there is no limit to meet.
    """

    rewards_min_size_range: Range[Size] = Range(max=Size(20_000_000))
    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a minimum outside the range, or none at all."""
        if market.rewards is None:
            return Objection("min_size_unknown") if self.rewards_min_size_range.limited else None
        missed = self.rewards_min_size_range.missed(market.rewards.min_size, SIZE_SCALE, "shares")
        return Objection("min_size_out_of_range", missed) if missed else None
