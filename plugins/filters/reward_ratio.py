"""Only markets whose rewards are worth the competition."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, Prospect, hookimpl
from pmrun.runner.intents import Number


@dataclass(frozen=True, slots=True, eq=False)
class RewardRatio:
    """Drop markets that the ranking values below min_reward_ratio; without a ranking all pass (R1, R2)."""

    min_reward_ratio: float = 0.0
    order: int | None = None
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse a ratio below nothing."""
        if not self.min_reward_ratio >= 0:
            raise ValueError("min_reward_ratio must be 0 or more")

    @hookimpl
    def reject_market(self, prospect: Prospect) -> Objection | None:
        """Reject a market that ranks too low."""
        rank = prospect.rank
        if rank is None or rank.value >= self.min_reward_ratio:
            return None
        value, limit = rank.value, self.min_reward_ratio
        numbers: dict[str, Number] = {"value": value, "limit": limit, "margin": limit - value, "unit": "reward ratio"}
        return Objection("reward_ratio_too_low", numbers)
