"""Only markets with so much resting."""

from dataclasses import dataclass

from pmrun.plugins.filters.range import Range
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import CASH_SCALE, Cash


@dataclass(frozen=True, slots=True, eq=False)
class Liquidity:
    """Drop markets whose liquidity, as the exchange lists it, is outside a range of dollars, or unknown (P1)."""

    liquidity_range: Range[Cash] = Range()
    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a liquidity outside the range, or unknown."""
        if market.liquidity is None:
            return Objection("liquidity_unknown")
        missed = self.liquidity_range.missed(market.liquidity, CASH_SCALE, "dollars")
        return Objection("liquidity_out_of_range", missed) if missed else None
