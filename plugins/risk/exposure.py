"""How much one market may cost."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.units import NOTIONAL_PER_CASH, Cash, Notional, Side


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Bids in play and in flight, and what they have bought, stay within max_exposure_per_market_usdc (R8).

    Sells count nothing; shares of YES and NO that pair up count nothing either, a pair is a dollar.
    """

    max_exposure_per_market_usdc: Cash = Cash(25_000_000)
    order: int | None = None
    depth = NO_BOOK
    cumulative = True
    safety = False  # what we hold says nothing of the market (R3)

    def __post_init__(self) -> None:
        """Refuse a limit of nothing."""
        if not 0 < self.max_exposure_per_market_usdc < 10**15:
            raise ValueError("max_exposure_per_market_usdc must be above 0 and below 1,000,000,000 dollars")

    @hookimpl
    def object_to_order(self, order: Wanted, exposure: Notional) -> Objection | None:
        """Object to a bid that would take the market past its limit."""
        if order.side is not Side.BUY:
            return None
        after = exposure + order.notional
        limit = self.max_exposure_per_market_usdc * NOTIONAL_PER_CASH
        if after > limit:
            return Objection(
                "exposure_limit",
                {"after": after // NOTIONAL_PER_CASH, "limit": int(self.max_exposure_per_market_usdc)},
            )
        return None
