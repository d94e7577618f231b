"""As many shares as a market's rewards ask for."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import Size

SHARE_STEP = 10_000  # sizes are whole hundredths of a share (reference 2.5)


@dataclass(frozen=True, slots=True, eq=False)
class RewardMin:
    """rewards_min_size × order_size_multiplier, at least the exchange's minimum (R7)."""

    order_size_multiplier: float = 1.0
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse a multiplier that sizes nothing or everything."""
        if not 0 < self.order_size_multiplier <= 1000:
            raise ValueError("order_size_multiplier must be above 0 and at most 1000")

    @hookimpl
    def size_order(self, market: Market) -> Size:
        """Return the size, rounded up to a hundredth of a share."""
        least = market.rewards.min_size if market.rewards else market.min_order_size
        wished = -(-round(least * self.order_size_multiplier) // SHARE_STEP) * SHARE_STEP
        return Size(max(wished, market.min_order_size))
