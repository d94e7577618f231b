"""Our own orders and trades as Polymarket writes them, on the user channel and in REST pages alike."""

from typing import Any

import msgspec

from pmrun.plugins.exchanges.polymarket.news import (
    MakerFill,
    OrderKind,
    OrderSeen,
    OrderStatus,
    TraderSide,
    TradeSeen,
    TradeStatus,
)
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Id,
    Scalar,
    Token,
    moment,
    optional_moment,
    optional_side,
    price,
    side,
    size,
    size_or_zero,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.units import Micros


class WireOrder(msgspec.Struct, tag_field="event_type", tag="order"):
    """An order as sent (reference 3.4, 5.3)."""

    id: Id
    market: Condition
    asset_id: Token
    side: str
    price: Scalar
    original_size: Scalar
    size_matched: Scalar | None = None
    type: str | None = None  # absent in REST pages
    timestamp: Scalar | None = None  # absent in REST pages
    status: str = ""
    order_type: str = ""
    created_at: Scalar | None = None
    expiration: Scalar | None = None
    owner: str | None = None
    order_owner: str | None = None
    outcome: str | None = None
    associate_trades: list[str] | None = None


class WireMakerOrder(msgspec.Struct):
    """One maker's part of a trade, as sent."""

    order_id: Id
    asset_id: Token
    price: Scalar
    matched_amount: Scalar
    owner: str = ""
    side: str | None = None
    outcome: str | None = None


class WireTrade(msgspec.Struct, tag_field="event_type", tag="trade"):
    """A trade as sent (reference 3.4, 5.3)."""

    id: Id
    market: Condition
    asset_id: Token
    side: str
    price: Scalar
    size: Scalar
    status: str
    trader_side: str
    taker_order_id: str
    maker_orders: list[WireMakerOrder] | None = None
    timestamp: Scalar | None = None  # absent in REST pages
    last_update: Scalar | None = None
    match_time: Scalar | None = None
    matchtime: Scalar | None = None
    match_time_nano: Scalar | None = None
    owner: str | None = None
    trade_owner: str | None = None
    transaction_hash: str | None = None


def read_order(wire: WireOrder) -> OrderSeen:
    """Turn an order message into news; ProtocolViolation where its protocol does not allow it."""
    if wire.type is None or wire.type not in OrderKind.__members__:
        raise ProtocolViolation(f"order {wire.id}: type {wire.type!r} is not one of {', '.join(OrderKind)}")
    if wire.timestamp is None:
        raise ProtocolViolation(f"order {wire.id}: timestamp is missing")
    return OrderSeen(
        kind=OrderKind(wire.type),
        at=moment(wire.timestamp),
        **order_terms(wire),
    )


def order_terms(wire: WireOrder) -> dict[str, Any]:
    """Return what the user channel and the REST page say alike of an order."""
    return {
        "order_id": wire.id,
        "condition": wire.market,
        "token": wire.asset_id,
        "side": side(wire.side),
        "price": price(wire.price),
        "original_size": size_or_zero(wire.original_size, "original_size"),
        "size_matched": size_or_zero(wire.size_matched, "size_matched"),
        "status": OrderStatus.of(wire.status),
        "status_text": wire.status,
        "order_type": wire.order_type,
        "created_at": optional_moment(wire.created_at, "created_at"),
        "expiration": optional_moment(wire.expiration, "expiration"),
        "owner": wire.owner or wire.order_owner or "",
    }


def read_trade(wire: WireTrade) -> TradeSeen:
    """Turn a trade into news; an unknown status or side of ours is a ProtocolViolation, for it may be money."""
    matched_at = _matched_at(wire)
    trader_side = _trader_side(wire)
    if trader_side is TraderSide.MAKER and not wire.maker_orders:
        raise ProtocolViolation(f"trade {wire.id}: maker_orders is missing, and we were a maker")
    at = optional_moment(wire.timestamp, "timestamp") or optional_moment(wire.last_update, "last_update") or matched_at
    if at is None:
        raise ProtocolViolation(f"trade {wire.id}: timestamp is missing")
    return TradeSeen(
        trade_id=wire.id,
        condition=wire.market,
        token=wire.asset_id,
        taker_order_id=wire.taker_order_id,
        taker_side=side(wire.side),
        price=price(wire.price),
        size=size(wire.size),
        status=_trade_status(wire),
        matched_at=matched_at or at,
        at=at,
        trader_side=trader_side,
        owner=wire.owner or wire.trade_owner or "",
        maker_fills=tuple([_maker_fill(maker) for maker in wire.maker_orders or ()]),
        transaction=wire.transaction_hash or None,
    )


def _matched_at(wire: WireTrade) -> Micros | None:
    return (
        optional_moment(wire.match_time_nano, "match_time_nano")
        or optional_moment(wire.match_time, "match_time")
        or optional_moment(wire.matchtime, "matchtime")
    )


def _trade_status(wire: WireTrade) -> TradeStatus:
    word = wire.status.removeprefix("TRADE_STATUS_")
    if word not in TradeStatus.__members__:
        raise ProtocolViolation(f"trade {wire.id}: status {wire.status!r} is not one of {', '.join(TradeStatus)}")
    return TradeStatus(word)


def _trader_side(wire: WireTrade) -> TraderSide:
    if wire.trader_side not in TraderSide.__members__:
        raise ProtocolViolation(f"trade {wire.id}: trader_side {wire.trader_side!r} is neither TAKER nor MAKER")
    return TraderSide(wire.trader_side)


def _maker_fill(wire: WireMakerOrder) -> MakerFill:
    return MakerFill(
        order_id=wire.order_id,
        owner=wire.owner,
        token=wire.asset_id,
        side=optional_side(wire.side, "maker_orders.side"),
        price=price(wire.price, "maker_orders.price"),
        size=size(wire.matched_amount, "maker_orders.matched_amount"),
        outcome=wire.outcome or "",
    )
