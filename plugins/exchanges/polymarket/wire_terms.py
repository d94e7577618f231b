"""Fee and reward terms as Polymarket's different listings write them."""

from decimal import Decimal

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import reported_cash
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import FeeTerms, RewardTerms
from pmrun.runner.units import Cash, Price, Size

_PPM = 1_000_000
_PRICES_PER_CENT = 100


class WireFees(msgspec.Struct):
    """A fee schedule: in camel case as Gamma sends it (reference 6.2), in snake case as the socket does (5.2)."""

    rate: Decimal
    exponent: Decimal = Decimal(1)
    camel_taker_only: bool | None = msgspec.field(default=None, name="takerOnly")
    taker_only: bool | None = None
    camel_rebate_rate: Decimal | None = msgspec.field(default=None, name="rebateRate")
    rebate_rate: Decimal | None = None


def read_fees(wire: WireFees) -> FeeTerms:
    """Turn a schedule into exact terms; ProtocolViolation where a rate is finer than a millionth."""
    taker_only = wire.taker_only is not False and wire.camel_taker_only is not False
    return fee_terms(wire.rate, wire.exponent, taker_only, wire.camel_rebate_rate or wire.rebate_rate or Decimal(0))


def fee_terms(rate: Decimal, exponent: Decimal, taker_only: bool, rebate: Decimal) -> FeeTerms:
    """Build exact terms from the numbers of any listing."""
    power = whole(exponent, 1, "fee exponent")
    if not 0 <= power <= 8:
        raise ProtocolViolation(f"fee exponent {exponent} is outside 0..8")
    return FeeTerms(
        rate_ppm=_rate(rate, "fee rate"),
        exponent=power,
        taker_only=taker_only,
        rebate_ppm=_rate(rebate, "fee rebate rate"),
    )


def _rate(rate: Decimal, field: str) -> int:
    found = whole(rate, _PPM, field)
    if not 0 <= found <= _PPM:
        raise ProtocolViolation(f"{field} {rate} is outside 0..1")
    return found


def reward_terms(
    min_size: Decimal | None, cents: Decimal | None, daily: list[Decimal], sponsored: Decimal | None = None
) -> RewardTerms | None:
    """Return what resting orders earn; None without a spread or a rate (reference 6.2: 0 or absent is none).

    Listings of markets do not say who pays: what they have counts as the exchange's own.
    """
    spread = reward_spread(cents)
    rate = sum((reported_cash(one, "rewardsDailyRate") or 0 for one in daily), 0)
    added = reported_cash(sponsored, "sponsored_daily_rate") or Cash(0)
    if not spread or not rate + added:
        return None
    return RewardTerms(min_size=reward_size(min_size), max_spread=spread, daily_rate=Cash(rate), sponsored_rate=added)


def reward_spread(cents: Decimal | None) -> Price:
    """Turn the largest rewarded distance from the mid, in cents, into a price."""
    spread = whole(cents or Decimal(0), _PRICES_PER_CENT, "rewards max spread")
    if spread < 0:
        raise ProtocolViolation(f"rewards max spread {cents} is negative")
    return Price(spread)


def reward_size(shares: Decimal | None) -> Size:
    """Turn the smallest rewarded size, in shares, into a size."""
    smallest = whole(shares or Decimal(0), 1_000_000, "rewards min size")
    if smallest < 0:
        raise ProtocolViolation(f"rewards min size {shares} is negative")
    return Size(smallest)


def whole(value: Decimal, scale: int, field: str) -> int:
    """Scale to an integer exactly, or refuse."""
    if not value.is_finite() or abs(value.adjusted()) > 15:
        raise ProtocolViolation(f"{field} {value} is not a usable number")
    scaled = value * scale
    if scaled != scaled.to_integral_value():
        raise ProtocolViolation(f"{field} {value} is finer than 1/{scale:,}")
    return int(scaled)
