"""A whole book as Polymarket sends it, on the market channel or by REST (reference 4.1, 5.2)."""

import msgspec

from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    Levels,
)
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    moment,
    optional_price,
    optional_size,
    optional_tick,
    price,
    size,
)
from pmrun.runner.errors import ProtocolViolation


class WireLevel(msgspec.Struct, gc=False):
    """One price of a book, as sent."""

    price: Scalar
    size: Scalar


class WireBook(msgspec.Struct, tag_field="event_type", tag="book"):
    """A book as sent, on the market channel or by REST (reference 4.1, 5.2)."""

    market: Condition
    asset_id: Token
    timestamp: Scalar
    bids: list[WireLevel]
    asks: list[WireLevel]
    hash: str = ""
    tick_size: Scalar | None = None
    min_order_size: Scalar | None = None
    neg_risk: bool | None = None
    last_trade_price: Scalar | None = None


def read_book(wire: WireBook) -> BookSeen:
    """Turn a book into news, whatever the order of its levels (reference 4.1: sources differ)."""
    return BookSeen(
        token=wire.asset_id,
        condition=wire.market,
        at=moment(wire.timestamp),
        bids=_levels(wire.bids, "bids", True),
        asks=_levels(wire.asks, "asks", False),
        hash=wire.hash,
        tick=optional_tick(wire.tick_size),
        min_order_size=optional_size(wire.min_order_size, "min_order_size"),
        neg_risk=wire.neg_risk,
        last_trade_price=optional_price(wire.last_trade_price, "last_trade_price"),
    )


def _levels(levels: list[WireLevel], field: str, descending: bool) -> Levels:
    price_field, size_field = f"{field}.price", f"{field}.size"
    try:  # one argument is what the cache answers fastest
        found = {price(level.price): size(level.size) for level in levels}
    except ProtocolViolation:
        found = {price(level.price, price_field): size(level.size, size_field) for level in levels}
    if len(found) != len(levels):
        read = [price(level.price, price_field) for level in levels]
        twice = next(level.price for level in levels if read.count(price(level.price, price_field)) > 1)
        raise ProtocolViolation(f"{price_field} {twice!r} is in the book twice")
    return tuple(sorted([level for level in found.items() if level[1]], reverse=descending))
