"""What is known of a market before anybody quotes in it: terms, tokens, fees, rewards."""

from typing import NewType

import msgspec

from pmrun.runner.units import (
    CASH_SCALE,
    NOTIONAL_PER_CASH,
    ONE,
    PRICE_SCALE,
    Cash,
    Micros,
    Price,
    Side,
    Size,
    Word,
)

TokenId = NewType("TokenId", str)
ConditionId = NewType("ConditionId", str)
MarketNo = NewType("MarketNo", int)  # the run's short name for a market, in order of listing


class Outcome(Word):
    """Which of the two tokens of a market: the first listed or the second, whatever they are called."""

    YES = "YES"
    NO = "NO"

    @property
    def other(self) -> "Outcome":
        """The complement."""
        return Outcome.NO if self is Outcome.YES else Outcome.YES


class FeeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a taker pays and a maker gets back: fee = shares x rate x (p(1-p))^exponent (reference 7.1).

    A rate that ends in `_ppm` is in millionths, so that fees stay exact. Elsewhere the seller pays, maker or taker, a
    share of the proceeds (`seller_fee_ppm`), and a maker is paid a share of the notional with the fill
    (`paid_rebate_ppm`; reference 11): those are charged at once, where `rebate_ppm` is only expected.
    """

    rate_ppm: int = 0
    exponent: int = 1
    taker_only: bool = True
    rebate_ppm: int = 0
    seller_fee_ppm: int = 0
    paid_rebate_ppm: int = 0

    def charged(self, side: Side, price: Price, size: Size, maker: bool) -> Cash:
        """Return what a fill costs beside its cash, less the rebate paid with it: below zero where that is more.

        Each fill is rounded by itself: the seller's fee up to a base unit, the rebate down.
        """
        fee = 0 if maker else int(self.taker_fee(price, size))
        if self.seller_fee_ppm and side is Side.SELL:
            fee -= -price * size * self.seller_fee_ppm // (NOTIONAL_PER_CASH * 1_000_000)
        if self.paid_rebate_ppm and maker:
            fee -= price * size * self.paid_rebate_ppm // (NOTIONAL_PER_CASH * 1_000_000)
        return Cash(fee)

    def taker_fee(self, price: Price, size: Size) -> Cash:
        """Return the taker's fee, rounded to 1/100,000 dollar as the exchange rounds it (reference 7.1)."""
        curve = (price * (ONE - price)) ** self.exponent
        exact = size * self.rate_ppm * curve * CASH_SCALE
        unit = 10  # 1/100,000 dollar in base units
        scale = 1_000_000 * 1_000_000 * PRICE_SCALE ** (2 * self.exponent) * unit
        return Cash((2 * exact + scale) // (2 * scale) * unit)

    def rebate(self, price: Price, size: Size) -> Cash:
        """Return the share of the taker's fee that a maker's fill may expect back; an estimate (reference 7.2)."""
        return Cash(self.taker_fee(price, size) * self.rebate_ppm // 1_000_000)


class RewardTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What resting orders earn (reference 7.3): `max_spread` from the mid, `min_size`, dollars a day.

    `daily_rate` is what the exchange itself pays, `sponsored_rate` what others add; both go by the same score.
    """

    min_size: Size
    max_spread: Price
    daily_rate: Cash
    sponsored_rate: Cash = Cash(0)


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its terms, as the exchange lists them."""

    condition: ConditionId
    question: str
    slug: str
    yes: TokenId
    no: TokenId
    outcomes: tuple[str, str] = ("Yes", "No")
    tick: Price
    min_order_size: Size
    size_step: Size = Size(10_000)  # sizes of orders are whole multiples: 1/100 share (reference 2.5)
    min_take: Cash = Cash(1_000_000)  # what an order that takes at once is worth at least (reference 4.4)
    fees: FeeTerms = FeeTerms()
    rewards: RewardTerms | None = None
    ends_at: Micros | None = None
    volume_24h: Cash | None = None
    liquidity: Cash | None = None
    neg_risk: bool = False
    event: str | None = None
    accepting_orders: bool = True
    settled_yes: Price | None = None  # what YES paid out, where the recording knows it
    post_only: bool = True  # whether the exchange refuses a post-only order that would take
    simulated: bool = False
    assumed: tuple[str, ...] = ()  # fields the source lacked and somebody filled in

    def token(self, outcome: Outcome) -> TokenId:
        """Return the token of an outcome."""
        return self.yes if outcome is Outcome.YES else self.no


def cash_of_notional(notional: int) -> Cash:
    """Round a notional up to base units."""
    return Cash(-(-notional // NOTIONAL_PER_CASH))
