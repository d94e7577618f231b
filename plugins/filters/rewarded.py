"""Only markets that pay for resting orders."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import Cash


@dataclass(frozen=True, slots=True, eq=False)
class Rewarded:
    """Drop markets without liquidity rewards (R1: the scan is of reward markets)."""

    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a market without a daily reward."""
        rate = market.rewards.daily_rate if market.rewards else Cash(0)
        return None if rate > 0 else Objection("no_rewards", {"daily_rate": rate})
