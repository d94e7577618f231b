"""Frames of Polymarket's market and user channels: bytes in, typed news out (reference 5)."""

from collections.abc import Callable
from typing import Any

import msgspec

from pmrun.plugins.exchanges.common.market_news import (
    LevelChange,
    LevelsSeen,
    MarketListed,
    MarketResolved,
    News,
    Parsed,
    PrintSeen,
    TickSeen,
    TouchSeen,
)
from pmrun.plugins.exchanges.polymarket.wire_book import WireBook, read_book
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    decode,
    moment,
    optional_tick,
    price,
    side,
    size,
    tick,
    touch,
)
from pmrun.plugins.exchanges.polymarket.wire_terms import WireFees, read_fees
from pmrun.plugins.exchanges.polymarket.wire_user import WireOrder, WireTrade, read_order, read_trade
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import TokenId

_KEEPALIVE = "PONG"

_NO_TYPE = "(no event_type)"


class _Change(msgspec.Struct, gc=False):
    price: Scalar
    size: Scalar
    side: str
    asset_id: Token | None = None
    hash: str | None = None
    best_bid: Scalar | None = None
    best_ask: Scalar | None = None


class _PriceChange(msgspec.Struct, tag_field="event_type", tag="price_change"):
    market: Condition
    timestamp: Scalar
    price_changes: list[_Change] | None = None  # since 2025-09-15
    changes: list[_Change] | None = None  # before; token and hash stand at the top
    asset_id: Token | None = None
    hash: str | None = None
    price: Scalar | None = None  # older still: one change, flat
    size: Scalar | None = None
    side: str | None = None


class _Print(msgspec.Struct, tag_field="event_type", tag="last_trade_price"):
    market: Condition
    asset_id: Token
    timestamp: Scalar
    price: Scalar
    size: Scalar
    side: str
    fee_rate_bps: Scalar | None = None
    transaction_hash: str | None = None


class _TickChange(msgspec.Struct, tag_field="event_type", tag="tick_size_change"):
    market: Condition
    asset_id: Token
    timestamp: Scalar
    new_tick_size: Scalar
    old_tick_size: Scalar | None = None


class _Touch(msgspec.Struct, tag_field="event_type", tag="best_bid_ask"):
    market: Condition
    asset_id: Token
    timestamp: Scalar
    best_bid: Scalar | None = None
    best_ask: Scalar | None = None


class _Group(msgspec.Struct):
    slug: str | None = None


class _NewMarket(msgspec.Struct, tag_field="event_type", tag="new_market"):
    market: Condition
    timestamp: Scalar
    question: str = ""
    slug: str = ""
    assets_ids: list[Token] | None = None
    clob_token_ids: list[Token] | None = None
    outcomes: list[str] | None = None
    order_price_min_tick_size: Scalar | None = None
    event_message: _Group | None = None
    active: bool | None = None
    fees_enabled: bool | None = None
    fee_schedule: WireFees | None = None
    tags: list[str] | None = None


class _Resolved(msgspec.Struct, tag_field="event_type", tag="market_resolved"):
    market: Condition
    timestamp: Scalar
    winning_outcome: str
    winning_asset_id: TokenId | None = None
    assets_ids: list[Token] | None = None


class _Peek(msgspec.Struct):
    event_type: Any = None
    type: Any = None


_Event = WireBook | _PriceChange | _Print | _TickChange | _Touch | _NewMarket | _Resolved | WireOrder | WireTrade


def _read_changes(wire: _PriceChange) -> LevelsSeen:
    changes = wire.price_changes
    if changes is None:
        changes = wire.changes
    if changes is None:
        changes = [_flat_change(wire)]
    return LevelsSeen(wire.market, moment(wire.timestamp), tuple([_read_change(change, wire) for change in changes]))


def _flat_change(wire: _PriceChange) -> _Change:
    if wire.price is None or wire.size is None or wire.side is None:
        missing = next(field for field in ("price", "size", "side") if getattr(wire, field) is None)
        raise ProtocolViolation(f"price_change: neither price_changes nor changes, and {missing} is missing")
    return _Change(price=wire.price, size=wire.size, side=wire.side)


def _read_change(change: _Change, frame: _PriceChange) -> LevelChange:
    token = change.asset_id or frame.asset_id
    if token is None:
        raise ProtocolViolation("price_change: asset_id is missing")
    return LevelChange(
        token,
        side(change.side),
        price(change.price),
        size(change.size),
        change.hash or frame.hash or "",
        touch(change.best_bid, "best_bid"),
        touch(change.best_ask, "best_ask"),
    )


def _read_print(wire: _Print) -> PrintSeen:
    return PrintSeen(
        token=wire.asset_id,
        condition=wire.market,
        at=moment(wire.timestamp),
        price=price(wire.price),
        size=size(wire.size),
        taker_side=side(wire.side),
        fee_rate_bps=_bps(wire.fee_rate_bps),
        transaction=wire.transaction_hash or None,
    )


def _bps(text: Scalar | None) -> int | None:
    """Read the legacy fee rate; fractions of a basis point carry no meaning (reference 4: not the fee formula)."""
    if text is None or text == "":
        return None
    whole, rest = divmod(size(text, "fee_rate_bps"), 1_000_000)
    if rest:
        raise ProtocolViolation(f"fee_rate_bps {text!r} is not a whole number")
    return whole


def _read_tick(wire: _TickChange) -> TickSeen:
    return TickSeen(
        token=wire.asset_id,
        condition=wire.market,
        at=moment(wire.timestamp),
        old=optional_tick(wire.old_tick_size, "old_tick_size"),
        new=tick(wire.new_tick_size, "new_tick_size"),
    )


def _read_touch(wire: _Touch) -> TouchSeen:
    return TouchSeen(
        token=wire.asset_id,
        condition=wire.market,
        at=moment(wire.timestamp),
        best_bid=touch(wire.best_bid, "best_bid"),
        best_ask=touch(wire.best_ask, "best_ask"),
    )


def _read_listed(wire: _NewMarket) -> MarketListed:
    return MarketListed(
        condition=wire.market,
        question=wire.question,
        slug=wire.slug,
        tokens=tuple(wire.clob_token_ids or wire.assets_ids or ()),
        outcomes=tuple(wire.outcomes or ()),
        tick=optional_tick(wire.order_price_min_tick_size, "order_price_min_tick_size"),
        at=moment(wire.timestamp),
        event=wire.event_message.slug if wire.event_message else None,
        active=wire.active is not False,
        fees=read_fees(wire.fee_schedule) if wire.fee_schedule and wire.fees_enabled is not False else None,
        tags=tuple(wire.tags or ()),
    )


def _read_resolved(wire: _Resolved) -> MarketResolved:
    return MarketResolved(
        condition=wire.market,
        tokens=tuple(wire.assets_ids or ()),
        winning_token=wire.winning_asset_id or None,
        winning_outcome=wire.winning_outcome,
        at=moment(wire.timestamp),
    )


_READERS: dict[type, Callable[[Any], News]] = {
    WireBook: read_book,
    _PriceChange: _read_changes,
    _Print: _read_print,
    _TickChange: _read_tick,
    _Touch: _read_touch,
    _NewMarket: _read_listed,
    _Resolved: _read_resolved,
    WireOrder: read_order,
    WireTrade: read_trade,
}

_FRAME: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Event | list[_Event])

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])

_PEEK = msgspec.json.Decoder(_Peek)

_SINGLE: dict[str, msgspec.json.Decoder[Any]] = {
    str(kind.__struct_config__.tag): msgspec.json.Decoder(kind)  # type: ignore[attr-defined]
    for kind in _READERS
}

# Some relays drop `event_type` from user frames; their `type` still tells.
_BY_TYPE = {"PLACEMENT": "order", "UPDATE": "order", "CANCELLATION": "order", "TRADE": "trade"}


def parse_frame(raw: bytes | str) -> Parsed:
    """Read one frame: an event, an array of events, an empty array or the keepalive (reference 5.1).

    Unknown fields are ignored and unknown event types reported; a known event that breaks its protocol
    raises ProtocolViolation with the field's name and value.
    """
    try:
        frame = _FRAME.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _parse_one_by_one(raw)
    if type(frame) is list:
        return Parsed(tuple([_READERS[type(event)](event) for event in frame]))
    return Parsed((_READERS[type(frame)](frame),))


def _parse_one_by_one(raw: bytes | str) -> Parsed:
    """Read a frame that holds something we do not know or may not accept, and say which."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text.strip()
    if text == _KEEPALIVE:
        return Parsed()
    if not text.startswith(("{", "[")):
        raise ProtocolViolation(f"frame {text[:80]!r} is neither an event nor {_KEEPALIVE}")
    events = decode(_ARRAY, raw, "frame") if text.startswith("[") else [raw]
    news: list[News] = []
    unknown: list[str] = []
    for event in events:
        kind = _kind(event)
        if kind in _SINGLE:
            wire = decode(_SINGLE[kind], event, kind)
            news.append(_READERS[type(wire)](wire))
        else:
            unknown.append(kind)
    return Parsed(tuple(news), tuple(unknown))


def _kind(event: bytes | str | msgspec.Raw) -> str:
    peek = decode(_PEEK, event, "event")
    if peek.event_type is None:
        return _BY_TYPE.get(peek.type, _NO_TYPE) if isinstance(peek.type, str) else _NO_TYPE
    return str(peek.event_type)
