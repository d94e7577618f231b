"""The same number of shares everywhere."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import Size


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """Every order has the same size, at least the exchange's minimum."""

    shares: Size
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse sizes that no order has."""
        if self.shares <= 0 or self.shares % 10_000:
            raise ValueError("shares must be above 0, in hundredths of a share")

    @hookimpl
    def size_order(self, market: Market) -> Size:
        """Return the size."""
        return max(self.shares, market.min_order_size)
