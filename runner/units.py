"""Exact quantities: integers with a type, and the only code that parses, formats or multiplies them.

Price is 1/10,000 dollar, Size 1/1,000,000 share, Cash 1/1,000,000 dollar (the exchange's base
units), Notional (price x size) 1/10^10 dollar. What we commit is one of these; what we believe
may be a float.
"""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

Price = NewType("Price", int)
HalfPrice = NewType("HalfPrice", int)  # 1/20,000 dollar: mids fall between two prices
Size = NewType("Size", int)
Cash = NewType("Cash", int)
Notional = NewType("Notional", int)
Micros = NewType("Micros", int)  # a moment (UTC) or a duration

PRICE_SCALE: Final = 10_000
SIZE_SCALE: Final = 1_000_000
CASH_SCALE: Final = 1_000_000
NOTIONAL_PER_CASH: Final = PRICE_SCALE * SIZE_SCALE // CASH_SCALE
SECOND: Final = Micros(1_000_000)
_PLAIN_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
ONE: Final = Price(PRICE_SCALE)  # a pair of YES and NO is worth one dollar


class Word(StrEnum):
    """A closed set of words that are often looked up: hashed as the text they are, not through Enum's own function."""

    __hash__ = str.__hash__


class Side(Word):
    """Which way an order trades its token."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side of a trade."""
        return Side.SELL if self is Side.BUY else Side.BUY


def _scaled(text: str | int | Decimal, scale: int, what: str) -> int:
    if isinstance(text, str) and not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError(f"{what} {text!r} is not a number")
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"{what} {text!r} is not finite")
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + len(str(scale)) - 1
    if len(digits) + shift > 30:
        raise ValueError(f"{what} {text!r} is too large")
    # By digits: the arithmetic of Decimal rounds to 28 of them, silently.
    whole, rest = int("".join(map(str, digits)) or "0"), 0
    if shift >= 0:
        whole *= int(10**shift)
    else:
        whole, rest = divmod(whole, int(10 ** min(-shift, len(digits) + 1)))
    if rest:
        raise ValueError(f"{what} {text!r} is finer than 1/{scale:,}")
    return -whole if sign else whole


def parse_price(text: str | int | Decimal) -> Price:
    """Read a dollar price such as "0.455"; raises ValueError when finer than 1/10,000 or not a number."""
    return Price(_scaled(text, PRICE_SCALE, "price"))


def parse_size(text: str | int | Decimal) -> Size:
    """Read a number of shares such as "219.217767"; raises ValueError when finer than 1/1,000,000."""
    return Size(_scaled(text, SIZE_SCALE, "size"))


def parse_cash(text: str | int | Decimal) -> Cash:
    """Read an amount of dollars; raises ValueError when finer than 1/1,000,000."""
    return Cash(_scaled(text, CASH_SCALE, "cash"))


def _plain(value: int, scale: int) -> str:
    digits = len(str(scale)) - 1
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(value, scale)
    return f"{sign}{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def format_price(price: Price) -> str:
    """Write a price in dollars, without trailing zeros."""
    return _plain(price, PRICE_SCALE)


def format_size(size: Size) -> str:
    """Write a size in shares, without trailing zeros."""
    return _plain(size, SIZE_SCALE)


def format_cash(cash: Cash) -> str:
    """Write an amount in dollars, without trailing zeros."""
    return _plain(cash, CASH_SCALE)


def dollars(amount: Price | Cash | Notional, scale: int = CASH_SCALE) -> float:
    """Return an exact amount as a float for people and plots."""
    return amount / scale


def seconds(duration: float) -> Micros:
    """Return a duration given in seconds."""
    return Micros(round(duration * SECOND))


def next_beat(every: Micros, first: int, at: Micros) -> Micros:
    """Return the first beat at or after a moment of a clock that starts at `first`; `every` 0: the moment itself."""
    if not every:
        return at
    return Micros(first - (first - at) // every * every) if at > first else Micros(first)


def notional(price: Price, size: Size) -> Notional:
    """Multiply exactly."""
    return Notional(price * size)


def cash_paid(price: Price, size: Size) -> Cash:
    """Return what a buyer pays, rounded up to a base unit: a reservation never falls short."""
    return Cash(-(-price * size // NOTIONAL_PER_CASH))


def cash_received(price: Price, size: Size) -> Cash:
    """Return what a seller gets, rounded down to a base unit."""
    return Cash(price * size // NOTIONAL_PER_CASH)


def complement(price: Price) -> Price:
    """Return the price of the other outcome: YES at p is NO at 1 - p (exchange rule, reference 4.1)."""
    return Price(ONE - price)
