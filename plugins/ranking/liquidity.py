"""How much money rests in a market, as the exchange lists it."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Rank, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import CASH_SCALE


@dataclass(frozen=True, slots=True, eq=False)
class Liquidity:
    """Dollars of liquidity, the exchange's own number (P1: Gamma's liquidityNum).

    A market that does not say is not ranked: it would be a guess. Choose `filters=liquidity` to see it dropped by name.
    """

    depth = NO_BOOK

    @hookimpl
    def rank_market(self, market: Market) -> Rank:
        """Return the dollars; raises ValueError where they are unknown, so that the market is not traded."""
        if market.liquidity is None:
            raise ValueError(f"nobody says how liquid {market.slug} is")
        return Rank(market.liquidity / CASH_SCALE, {"liquidity": market.liquidity})
