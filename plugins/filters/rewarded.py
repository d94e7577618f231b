"""Only markets that pay for resting orders."""

from dataclasses import dataclass

from pmrun.runner.capabilities import Capability
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market


@dataclass(frozen=True, slots=True, eq=False)
class Rewarded:
    """Drop markets without liquidity rewards (R1: the scan is of reward markets)."""

    order: int | None = None
    depth = NO_BOOK
    needs = frozenset({Capability.REWARDS})

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a market that neither the exchange nor a sponsor pays for."""
        terms = market.rewards
        return None if terms and terms.daily_rate + terms.sponsored_rate > 0 else Objection("no_rewards")
