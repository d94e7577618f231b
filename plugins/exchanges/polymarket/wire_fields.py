"""Single values of Polymarket's wire: quoted or bare numbers, times, sides and ids, read exactly or refused."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec

from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import (
    ONE,
    PRICE_SCALE,
    SIZE_SCALE,
    Cash,
    HalfPrice,
    Micros,
    Price,
    Side,
    Size,
    parse_price,
    parse_size,
)

Scalar = str | int | float  # the exchange quotes most numbers, its relays and fixtures do not
Token = Annotated[TokenId, msgspec.Meta(min_length=1)]
Condition = Annotated[ConditionId, msgspec.Meta(min_length=1)]
Id = Annotated[str, msgspec.Meta(min_length=1)]

T = TypeVar("T")

_TENS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_LONGEST_PLAIN = 18  # digits that surely fit; longer ones go the careful way
# Few enough digits for the 28 of Decimal's context, so that nothing is rounded unseen; small exponents, so that
# no text can make a number that fills the memory.
_NUMERAL = re.compile(r"-?[0-9]{0,15}\.?[0-9]{0,12}(?:[eE][-+]?[0-9]{1,2})?")
_EXACT_FLOAT = 1e9  # below it a double tells millionths apart
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


def plain_decimal(text: str, places: int) -> int | None:
    """Read a short plain decimal such as "219.21" in units of 10^-places; None when it needs the careful way."""
    whole, _, part = text.partition(".")
    missing = places - len(part)
    digits = whole + part
    if missing < 0 or len(digits) > _LONGEST_PLAIN or not digits.isdigit() or not digits.isascii():
        return None
    return int(digits) * _TENS[missing]


def _careful(text: Scalar, parse: Callable[[str], int], field: str) -> int:
    shown = repr(text) if isinstance(text, float) else str(text)
    if isinstance(text, float) and abs(text) >= _EXACT_FLOAT:
        raise ProtocolViolation(f"{field} {text!r} is too large for a bare number to be exact")
    if not _NUMERAL.fullmatch(shown):
        raise ProtocolViolation(f"{field} {text!r} is not a number we can read exactly")
    try:
        return parse(shown)
    except ValueError as error:
        reason = str(error).partition(" ")[2]  # without its first word, which says price where the field says more
        raise ProtocolViolation(f"{field} {reason}") from None


# Prices and sizes repeat endlessly on a feed; remembering them costs less than reading them again.
@lru_cache(maxsize=1 << 15)
def price(text: Scalar, field: str = "price") -> Price:
    """Read a price in 0..1 dollar; ProtocolViolation names the field when it is none, or finer than 1/10,000."""
    found = plain_decimal(text, 4) if isinstance(text, str) else None
    if found is None:
        found = _careful(text, parse_price, field)
    if not 0 <= found <= ONE:
        raise ProtocolViolation(f"{field} {text!r} is outside 0..1")
    return Price(found)


@lru_cache(maxsize=1 << 16)
def size(text: Scalar, field: str = "size") -> Size:
    """Read a number of shares, never negative; ProtocolViolation names the field."""
    found = plain_decimal(text, 6) if isinstance(text, str) else None
    if found is None:
        found = _careful(text, parse_size, field)
    if found < 0:
        raise ProtocolViolation(f"{field} {text!r} is negative")
    return Size(found)


def size_or_zero(text: Scalar | None, field: str) -> Size:
    """Read a user-channel size, where "" means none (reference 5.3: size_matched of a killed FOK)."""
    return Size(0) if text is None or text == "" else size(text, field)


def optional_price(text: Scalar | None, field: str) -> Price | None:
    """Read a price that may be absent, null or ""."""
    return None if text is None or text == "" else price(text, field)


def optional_size(text: Scalar | None, field: str) -> Size | None:
    """Read a size that may be absent, null or ""."""
    return None if text is None or text == "" else size(text, field)


def touch(text: Scalar | None, field: str) -> Price | None:
    """Read a best price; "", 0 and 1 all say that nobody is there, for no order may rest at 0 or 1 (reference 2.5)."""
    found = optional_price(text, field)
    return None if found == 0 or found == ONE else found


@lru_cache(maxsize=256)
def tick(text: Scalar, field: str = "tick_size") -> Price:
    """Read a tick, which must divide one dollar."""
    found = price(text, field)
    if found == 0 or ONE % found:
        raise ProtocolViolation(f"{field} {text!r} does not divide one dollar")
    return found


def optional_tick(text: Scalar | None, field: str = "tick_size") -> Price | None:
    """Read a tick that may be absent, null or ""."""
    return None if text is None or text == "" else tick(text, field)


def half_price(text: Scalar, field: str) -> HalfPrice:
    """Read a midpoint in 1/20,000 dollar."""
    doubled = _careful(text, lambda shown: parse_size(shown) * 2 * PRICE_SCALE, field)
    found, rest = divmod(doubled, SIZE_SCALE)
    if rest or not 0 <= found <= 2 * ONE:
        raise ProtocolViolation(f"{field} {text!r} is no midpoint in 0..1 on half a 1/10,000")
    return HalfPrice(found)


def side(text: str, field: str = "side") -> Side:
    """Read BUY or SELL."""
    try:
        return _SIDES[text]
    except KeyError:
        raise ProtocolViolation(f"{field} {text!r} is neither BUY nor SELL") from None


def optional_side(text: str | None, field: str = "side") -> Side | None:
    """Read a side that may be absent, null or ""."""
    return side(text, field) if text else None


def moment(text: Scalar, field: str = "timestamp") -> Micros:
    """Read a time given as ISO text or as an epoch in s, ms, µs or ns, told apart by magnitude.

    Live frames say milliseconds, but `match_time` is seconds, `created_at` either, and one recorded user
    frame has its `timestamp` in seconds (reference 3.4, 5.3).
    """
    epoch = int(text) if isinstance(text, int) or (isinstance(text, str) and text.isdigit() and text.isascii()) else 0
    if 10**11 <= epoch < 10**14:
        return Micros(epoch * 1_000)
    if 10**14 <= epoch < 10**17:
        return Micros(epoch)
    if 0 < epoch < 10**11:
        return Micros(epoch * 1_000_000)
    if 10**17 <= epoch < 10**20:
        return Micros(epoch // 1_000)
    return _iso(text, field)


def _iso(text: Scalar, field: str) -> Micros:
    try:
        found = datetime.fromisoformat(str(text)) if isinstance(text, str) and "-" in text else None
    except ValueError:
        found = None
    if found is None:
        raise ProtocolViolation(f"{field} {text!r} is not a time")
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return Micros((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def optional_moment(text: Scalar | None, field: str) -> Micros | None:
    """Read a time that may be absent, null, "" or 0 (an order without expiration says "0")."""
    return None if text in (None, "", "0", 0) else moment(text, field)


def rounded(amount: Decimal | None, scale: int, field: str) -> int | None:
    """Round a reported amount (a volume, a daily rate) to base units; the exchange sends them with float noise."""
    if amount is None:
        return None
    if not amount.is_finite() or amount < 0 or amount.adjusted() > 15:
        raise ProtocolViolation(f"{field} {amount} is not an amount")
    return int((amount * scale).to_integral_value(ROUND_HALF_EVEN))


def reported_cash(amount: Decimal | None, field: str) -> Cash | None:
    """Round a reported amount of dollars to base units."""
    found = rounded(amount, 1_000_000, field)
    return None if found is None else Cash(found)


def decode(decoder: msgspec.json.Decoder[T], raw: bytes | str | msgspec.Raw, what: str) -> T:
    """Decode an answer; ProtocolViolation says what it was and names the field that is missing or of a wrong type."""
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolViolation(f"{what}: {error}") from None
