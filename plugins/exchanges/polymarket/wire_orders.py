"""Answers to Polymarket's calls about our own orders and trades (reference 3)."""

from enum import StrEnum

import msgspec

from pmrun.plugins.exchanges.polymarket.news import OrderStatus, TradeSeen
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Scalar,
    decode,
    size_or_zero,
)
from pmrun.plugins.exchanges.polymarket.wire_pages import Page, open_page, read_page
from pmrun.plugins.exchanges.polymarket.wire_user import WireOrder, WireTrade, order_terms, read_trade
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Micros, Price, Side, Size


class Verdict(StrEnum):
    """What the answer to an order says; UNSURE means: look the order up (reference 3.1)."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNSURE = "UNSURE"


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one order; `making` and `taking` are millionths of what was given and got at once."""

    verdict: Verdict
    order_id: str | None
    status: OrderStatus
    status_text: str
    reason: str
    making: int
    taking: int
    trades: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()
    said: str = ""  # as it came


class CancelAnswer(msgspec.Struct, frozen=True):
    """Which orders were canceled and why others were not; a reason with "matched" means a fill is coming."""

    canceled: tuple[str, ...]
    not_canceled: dict[str, str]
    said: str = ""  # as it came


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as REST lists it (reference 3.4)."""

    order_id: str
    condition: ConditionId
    token: TokenId
    side: Side
    price: Price
    original_size: Size
    size_matched: Size
    status: OrderStatus
    status_text: str
    order_type: str
    created_at: Micros | None
    expiration: Micros | None
    owner: str
    trades: tuple[str, ...] = ()
    said: str = ""  # the row as it came


class _Placed(msgspec.Struct):
    success: bool
    status: str = ""
    error: str = msgspec.field(default="", name="errorMsg")
    order_id: str | None = msgspec.field(default=None, name="orderID")
    relayed_id: str | None = msgspec.field(default=None, name="orderId")  # as bots re-marshal it
    making: Scalar | None = msgspec.field(default=None, name="makingAmount")
    taking: Scalar | None = msgspec.field(default=None, name="takingAmount")
    trades: list[str] | None = msgspec.field(default=None, name="tradeIDs")
    transactions: list[str] | None = msgspec.field(default=None, name="transactionsHashes")


class _Canceled(msgspec.Struct):
    canceled: list[str] | None
    not_canceled: dict[str, str] | None = None


class _Heartbeat(msgspec.Struct):
    heartbeat_id: str


_PLACED = msgspec.json.Decoder(_Placed)

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])

_CANCELED = msgspec.json.Decoder(_Canceled)

_ORDER = msgspec.json.Decoder(WireOrder)

_TRADE = msgspec.json.Decoder(WireTrade)

_HEARTBEAT = msgspec.json.Decoder(_Heartbeat)

_SCORING = msgspec.json.Decoder(dict[str, bool])


def parse_order_answer(raw: bytes | str) -> OrderAnswer:
    """Read `POST /order` (reference 3.1)."""
    return _order_answer(raw)


def parse_order_answers(raw: bytes | str) -> tuple[OrderAnswer, ...]:
    """Read `POST /orders`: one answer an order, in the order they were sent (reference 3.2)."""
    return tuple([_order_answer(bytes(row)) for row in decode(_ROWS, raw, "order answers")])


def _order_answer(raw: bytes | str) -> OrderAnswer:
    wire = decode(_PLACED, raw, "order answer")
    order_id = wire.order_id or wire.relayed_id or None
    return OrderAnswer(
        verdict=_verdict(wire, order_id),
        order_id=order_id,
        status=OrderStatus.of(wire.status),
        status_text=wire.status,
        reason=wire.error,
        making=size_or_zero(wire.making, "makingAmount"),
        taking=size_or_zero(wire.taking, "takingAmount"),
        trades=tuple(wire.trades or ()),
        transactions=tuple(wire.transactions or ()),
        said=_as_text(raw),
    )


def _as_text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")


def _verdict(wire: _Placed, order_id: str | None) -> Verdict:
    """Judge as the exchange's own client does; what is neither accepted nor refused outright is UNSURE."""
    accepted = {OrderStatus.LIVE, OrderStatus.MATCHED, OrderStatus.DELAYED}
    if order_id is None and wire.error:
        return Verdict.REJECTED
    if wire.success and not wire.error and order_id is not None and OrderStatus.of(wire.status) in accepted:
        return Verdict.ACCEPTED
    return Verdict.UNSURE


def parse_cancel_answer(raw: bytes | str) -> CancelAnswer:
    """Read the answer of any of the four cancels (reference 3.3)."""
    wire = decode(_CANCELED, raw, "cancel answer")
    return CancelAnswer(tuple(wire.canceled or ()), wire.not_canceled or {}, _as_text(raw))


def parse_open_orders(raw: bytes | str) -> Page[OpenOrder]:
    """Read a page of `GET /data/orders`, or the one order of `GET /data/order/{id}` (reference 3.4)."""
    page = open_page(raw, "open orders")
    return read_page(page, _open_order)


def _open_order(row: bytes) -> OpenOrder:
    wire = decode(_ORDER, row, "order")
    return OpenOrder(**order_terms(wire), trades=tuple(wire.associate_trades or ()), said=_as_text(row))


def parse_own_trades(raw: bytes | str) -> Page[TradeSeen]:
    """Read a page of `GET /data/trades`: our trades, as the user channel tells them (reference 3.4)."""
    page = open_page(raw, "trades")
    return read_page(page, _own_trade)


def _own_trade(row: bytes) -> TradeSeen:
    return msgspec.structs.replace(read_trade(decode(_TRADE, row, "trade")), said=_as_text(row))


def parse_heartbeat(raw: bytes | str) -> str:
    """Read which id the next heartbeat has to carry, from an answer or from its 400 (reference 3.6)."""
    return decode(_HEARTBEAT, raw, "heartbeat").heartbeat_id


def parse_scoring(raw: bytes | str) -> dict[str, bool]:
    """Read `POST /orders-scoring` (reference 3.7)."""
    return decode(_SCORING, raw, "order scoring")
