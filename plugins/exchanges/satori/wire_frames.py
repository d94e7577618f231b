"""Frames of SatoriEx's socket: text in, typed news out."""

from typing import Any, Final

import msgspec

from pmrun.plugins.exchanges.common.market_news import MarketResolved, Parsed, PrintSeen
from pmrun.plugins.exchanges.satori.news import FillSeen, Frame, OrderSeen, StatusSeen
from pmrun.plugins.exchanges.satori.wire import WireTrade, parse_order, parse_wallet, read_fill
from pmrun.plugins.exchanges.satori.wire_fields import MILLISECOND, convert, decode
from pmrun.plugins.exchanges.satori.wire_markets import STATUSES, parse_book, read_print
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Micros

IGNORED: Final = frozenset({"hello", "pong", "subscribed", "unsubscribed", "price_update", "order"})


class _Frame(msgspec.Struct):
    type: str


def parse_frame(text: str) -> Frame:
    """Read a frame of the socket."""
    kind = decode(_Frame, text.encode(), "frame").type
    raw: dict[str, Any] = msgspec.json.decode(text)
    if kind in IGNORED:
        return Frame()
    match kind:
        case "orderbook":
            return Frame(Parsed((parse_book(text.encode(), kind),)))
        case "trade":
            return Frame(Parsed((_public_trade(raw),)))
        case "market_status":
            return Frame(statuses=(_status(raw),))
        case "market_resolved" | "settlement":
            return Frame(Parsed((_resolved(raw),)))
        case "order_update":
            return Frame(own=(_order_in(raw, kind),))
        case "order_filled":
            return Frame(own=(_own_fill(raw), _order_in(raw, kind)))
        case "wallet_changed":
            return Frame(own=(parse_wallet(text.encode()),))
        case "error":
            code = raw.get("code")
            return Frame(error=code if isinstance(code, int) else -1)
    return Frame(unknown=(kind[:40],))


def _order_in(raw: dict[str, Any], what: str) -> OrderSeen:
    if "order" not in raw:
        raise ProtocolViolation(f"{what}: no order in it")
    return parse_order(msgspec.json.encode(raw["order"]), what)


def _own_fill(raw: dict[str, Any]) -> FillSeen:
    order_id = raw.get("order_id")
    if not isinstance(order_id, str) or not order_id:
        raise ProtocolViolation("order_filled: no order_id in it")
    return read_fill(convert(WireTrade, raw.get("trade"), "order_filled"), order_id, "order_filled")


def _public_trade(raw: dict[str, Any]) -> PrintSeen:
    """Read a trade that is told flat or under `trade`: the pages do not say which."""
    inner = raw.get("trade")
    body = {**raw, **inner} if isinstance(inner, dict) else raw
    wire = convert(WireTrade, body, "trade")
    return read_print(wire, ConditionId(wire.market_id), "trade")


def _status(raw: dict[str, Any]) -> StatusSeen:
    status = STATUSES.get(str(raw.get("status")))
    market = raw.get("market_id")
    if status is None or not isinstance(market, str):
        raise ProtocolViolation(f"market_status: status {str(raw.get('status'))[:40]!r} is not known")
    return StatusSeen(condition=ConditionId(market), status=status, reason=str(raw.get("reason") or "")[:100])


def _resolved(raw: dict[str, Any]) -> MarketResolved:
    market, winner = raw.get("market_id"), raw.get("resolved_outcome_id")
    if not isinstance(market, str):
        raise ProtocolViolation(f"{raw.get('type')}: no market_id in it")
    return MarketResolved(
        condition=ConditionId(market),
        tokens=(),
        winning_token=None if winner is None else TokenId(str(winner)),
        winning_outcome="",
        at=Micros(int(raw.get("timestamp") or 0) * MILLISECOND),
    )
