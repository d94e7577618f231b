"""Numbers and moments as the exchange's answers write them: exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pmrun.runner.market import RewardTerms
from pmrun.runner.units import (
    ONE,
    HalfPrice,
    Micros,
    Price,
    format_price,
    format_size,
)

_PRICES_PER_CENT = 100


def price_number(price: Price) -> Decimal:
    """Return a price as an exact JSON number."""
    return Decimal(format_price(price))


def half_number(doubled: HalfPrice) -> str:
    """Write a midpoint, which may fall on half a 1/10,000."""
    return format((Decimal(doubled) / (2 * ONE)).normalize(), "f")


def ppm(millionths: int) -> Decimal:
    """Return a rate in millionths as an exact JSON number."""
    return Decimal(millionths).scaleb(-6).normalize() + 0


def shares(rewards: RewardTerms) -> Decimal:
    """Return the smallest rewarded size in shares."""
    return Decimal(format_size(rewards.min_size))


def cents(rewards: RewardTerms) -> Decimal:
    """Return the largest rewarded distance from the mid in cents."""
    return Decimal(rewards.max_spread) / _PRICES_PER_CENT


def iso(at: Micros) -> str:
    """Write a moment as the listings do."""
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return whole.isoformat().replace("+00:00", "Z")
