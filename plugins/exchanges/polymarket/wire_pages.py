"""Lists that come in pages: how they are wrapped, and what every row of them shares (reference 4, 6.1)."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    decode,
)
from pmrun.runner.errors import ProtocolViolation

T = TypeVar("T")

_LAST_CURSOR = "LTE="


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` is None on the last (reference 4: "LTE=", 6.1: absent).

    `count` is how many rows it claims to have, `says_last` whether it said "LTE=" in so many words; `unreadable`
    says what was wrong with rows that were left out, where the reader allows it.
    """

    rows: tuple[T, ...]
    next_cursor: str | None = None
    count: int | None = None
    says_last: bool = False
    unreadable: tuple[str, ...] = ()


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw] | None | msgspec.UnsetType = msgspec.UNSET
    markets: list[msgspec.Raw] | None | msgspec.UnsetType = msgspec.UNSET
    next_cursor: str | None = None
    count: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def open_page(raw: bytes | str, what: str) -> Page[bytes]:
    """Split an answer into its rows, undecoded: a bare array, `{"data": […]}`, `{"markets": […]}` or one object."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    if text.lstrip().startswith("["):
        return Page(tuple([bytes(row) for row in decode(_ROWS, raw, what)]))
    page = decode(_ENVELOPE, raw, what)
    rows = page.markets if page.data is msgspec.UNSET else page.data
    if rows is msgspec.UNSET:
        return Page((text.encode(),))
    says_last = page.next_cursor == _LAST_CURSOR
    cursor = None if says_last else page.next_cursor or None
    return Page(tuple([bytes(row) for row in rows or ()]), cursor, page.count, says_last)


def read_page(page: Page[bytes], read: Callable[[bytes], T], lenient: bool = False) -> Page[T]:
    """Read every row of a page; where lenient, a row that cannot be read is left out and named, not fatal.

    Leniency is for listings of what may be traded, where a row left out is a market not traded.
    """
    rows: list[T] = []
    unreadable: list[str] = []
    for row in page.rows:
        try:
            rows.append(read(row))
        except ProtocolViolation as violation:
            if not lenient:
                raise
            unreadable.append(str(violation))
    return Page(tuple(rows), page.next_cursor, page.count, page.says_last, tuple(unreadable))


def is_open(wire: Any) -> bool:
    """Whether a market still trades; `accepting_orders` may stay true on a closed one (reference 4.3)."""
    return wire.active is not False and not wire.closed and not wire.archived


def pair(values: list[str], field: str, condition: str) -> tuple[str, str]:
    """Read what there has to be two of."""
    if len(values) != 2 or not all(values):
        raise ProtocolViolation(f"market {condition}: {field} {values!r} are not two")
    return values[0], values[1]
