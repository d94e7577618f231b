"""Prices, sizes, sides and moments as SatoriEx sends them; what cannot be is a violation."""

from datetime import datetime
from typing import Final, TypeVar

import msgspec

from pmrun.plugins.exchanges.satori.terms import SHARE
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.units import ONE, Micros, Price, Side, Size

MILLISECOND: Final = 1_000

LARGEST: Final = 10**9  # shares or basis points: what is larger is a mistake, or somebody's joke

SIDES: Final = {1: Side.BUY, 2: Side.SELL}

NUMBERS: Final = {Side.BUY: 1, Side.SELL: 2}

T = TypeVar("T")


def decode(kind: type[T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Read a part; raises ProtocolViolation naming what it is of."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError) as error:
        raise ProtocolViolation(f"{what}: {error}") from None


def convert(kind: type[T], value: object, what: str) -> T:
    """Read a part that is decoded already; raises ProtocolViolation naming what it is of."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ProtocolViolation(f"{what}: {error}") from None


def side_of(number: int, what: str) -> Side:
    """Read a side."""
    side = SIDES.get(number)
    if side is None:
        raise ProtocolViolation(f"{what}: side {number}, 1 or 2 is wanted")
    return side


def price_of(bps: int, what: str) -> Price:
    """Read a price in basis points of a dollar."""
    if not 0 < bps < ONE:
        raise ProtocolViolation(f"{what}: price {bps}, 1 to 9,999 is wanted")
    return Price(bps)


def size_of(quantity: int, what: str) -> Size:
    """Read a number of whole shares."""
    if not 0 <= quantity <= LARGEST:
        raise ProtocolViolation(f"{what}: quantity {quantity} cannot be")
    return Size(quantity * SHARE)


def levels_of(wire: list[tuple[int, int]], what: str, best_is_highest: bool) -> tuple[tuple[Price, Size], ...]:
    """Read one side of a ladder, best first."""
    levels = [(price_of(price, what), size_of(quantity, what)) for price, quantity in wire if quantity]
    if len({price for price, _ in levels}) != len(levels):
        raise ProtocolViolation(f"{what}: a price is there twice")
    return tuple(sorted(levels, reverse=best_is_highest))


def moment_of(text: str | None, what: str) -> Micros | None:
    """Read a time in ISO 8601."""
    if text is None:
        return None
    try:
        return Micros(round(datetime.fromisoformat(text).timestamp() * 1_000_000))
    except ValueError:
        raise ProtocolViolation(f"{what}: {text[:40]!r} is no time") from None
