"""Answers of Polymarket's REST calls about books, orders, trades and prices (reference 3, 4, 6.3)."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.news import OrderStatus, TradeSeen
from pmrun.plugins.exchanges.polymarket.wire import WireBook, read_book
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    decode,
    half_price,
    moment,
    price,
    rounded,
    side,
    size,
    size_or_zero,
    tick,
)
from pmrun.plugins.exchanges.polymarket.wire_markets import Page, open_page, read_page
from pmrun.plugins.exchanges.polymarket.wire_user import WireOrder, WireTrade, order_terms, read_trade
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import HalfPrice, Micros, Price, Side, Size

_UINT256_DIGITS = 78  # an unlimited allowance is the largest number of 256 bits


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


class LastTrade(msgspec.Struct, frozen=True):
    """The last trade of a token, by its taker's side."""

    price: Price
    side: Side


class PricePoint(msgspec.Struct, frozen=True):
    """One point of a price history: a report to look at, not to trade on."""

    at: Micros
    price: float


class ReportedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """Anybody's trade as the Data API reports it: more decimals than the exchange's, never in the ledger."""

    token: TokenId
    condition: ConditionId
    side: Side
    size: Decimal
    price: Decimal
    at: Micros
    outcome: str = ""
    slug: str = ""
    event: str | None = None
    wallet: str | None = None
    transaction: str | None = None


class BalanceAnswer(msgspec.Struct, frozen=True):
    """A balance and what each spender may take of it, in base units (reference 3.5)."""

    balance: int
    allowances: dict[str, int]


class Geoblock(msgspec.Struct, frozen=True):
    """Whether orders from where we are would be refused (reference 4.5)."""

    blocked: bool
    country: str = ""
    region: str = ""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A holding as the Data API reports it: late, for reconciliation and not for trading (reference 6.3)."""

    token: TokenId
    condition: ConditionId
    size: Size
    redeemable: bool
    mergeable: bool


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Why a call failed (reference 3.9); an answer that is not JSON gives its first line."""

    message: str
    code: str | None = None
    retry_after: Micros | None = None


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


class _Mid(msgspec.Struct):
    mid: Scalar | None = None
    mid_price: Scalar | None = None  # the OpenAPI's spelling


class _Last(msgspec.Struct):
    price: Scalar
    side: str


class _Point(msgspec.Struct):
    t: Scalar
    p: float


class _History(msgspec.Struct):
    history: list[_Point]


class _Tick(msgspec.Struct):
    minimum_tick_size: Scalar


class _NegRisk(msgspec.Struct):
    neg_risk: bool


class _FeeRate(msgspec.Struct):
    base_fee: Scalar


class _Reported(msgspec.Struct, rename="camel"):
    asset: Token
    condition_id: Condition
    side: str
    size: Decimal
    price: Decimal
    timestamp: Scalar
    outcome: str | None = None
    slug: str | None = None
    event_slug: str | None = None
    proxy_wallet: str | None = None
    transaction_hash: str | None = None


class _Balance(msgspec.Struct):
    balance: str | int
    allowances: dict[str, str | int] | None = None
    allowance: str | int | None = None  # as older servers say it


class _Position(msgspec.Struct, rename="camel"):
    asset: Token
    condition_id: Condition
    size: Decimal
    redeemable: bool = False
    mergeable: bool = False


class _ClosedOnly(msgspec.Struct):
    closed_only: bool


class _Version(msgspec.Struct):
    version: int


class _Heartbeat(msgspec.Struct):
    heartbeat_id: str


class _Error(msgspec.Struct):
    error: str | None = None
    error_msg: str | None = None
    error_text: str | None = msgspec.field(default=None, name="errorMsg")
    code: str | None = None
    retry_after_seconds: int | None = None


_BOOK = msgspec.json.Decoder(WireBook)
_BOOKS = msgspec.json.Decoder(list[WireBook])
_PLACED = msgspec.json.Decoder(_Placed)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_CANCELED = msgspec.json.Decoder(_Canceled)
_ORDER = msgspec.json.Decoder(WireOrder)
_TRADE = msgspec.json.Decoder(WireTrade)
_MID = msgspec.json.Decoder(_Mid)
_LAST = msgspec.json.Decoder(_Last)
_HISTORY = msgspec.json.Decoder(_History)
_TICK = msgspec.json.Decoder(_Tick)
_NEG_RISK = msgspec.json.Decoder(_NegRisk)
_FEE_RATE = msgspec.json.Decoder(_FeeRate)
_REPORTED = msgspec.json.Decoder(list[_Reported])
_ERROR = msgspec.json.Decoder(_Error)
_BALANCE = msgspec.json.Decoder(_Balance)
_POSITIONS = msgspec.json.Decoder(list[_Position])
_CLOSED_ONLY = msgspec.json.Decoder(_ClosedOnly)
_VERSION = msgspec.json.Decoder(_Version)
_HEARTBEAT = msgspec.json.Decoder(_Heartbeat)
_GEOBLOCK = msgspec.json.Decoder(Geoblock)
_SCORING = msgspec.json.Decoder(dict[str, bool])
_TIME = msgspec.json.Decoder(str | int)


def parse_book(raw: bytes | str) -> BookSeen:
    """Read `GET /book` (reference 4.1)."""
    return read_book(decode(_BOOK, raw, "book"))


def parse_books(raw: bytes | str) -> tuple[BookSeen, ...]:
    """Read `POST /books`; tokens that the exchange does not know are missing from it."""
    return tuple([read_book(book) for book in decode(_BOOKS, raw, "books")])


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


def parse_reported_trades(raw: bytes | str) -> tuple[ReportedTrade, ...]:
    """Read the Data API's `/trades` (reference 6.3)."""
    return tuple([_reported(wire) for wire in decode(_REPORTED, raw, "reported trades")])


def _reported(wire: _Reported) -> ReportedTrade:
    for field, value in (("size", wire.size), ("price", wire.price)):
        if not value.is_finite() or value < 0:
            raise ProtocolViolation(f"reported trade: {field} {value} is not an amount")
    return ReportedTrade(
        token=wire.asset,
        condition=wire.condition_id,
        side=side(wire.side),
        size=wire.size,
        price=wire.price,
        at=moment(wire.timestamp),
        outcome=wire.outcome or "",
        slug=wire.slug or "",
        event=wire.event_slug,
        wallet=wire.proxy_wallet,
        transaction=wire.transaction_hash,
    )


def parse_midpoint(raw: bytes | str) -> HalfPrice:
    """Read `GET /midpoint`."""
    wire = decode(_MID, raw, "midpoint")
    text = wire.mid if wire.mid is not None else wire.mid_price
    if text is None:
        raise ProtocolViolation("midpoint: mid is missing")
    return half_price(text, "mid")


def parse_last_trade_price(raw: bytes | str) -> LastTrade | None:
    """Read `GET /last-trade-price`; None when the token never traded: price "0.5" and no side (reference 4)."""
    wire = decode(_LAST, raw, "last trade price")
    return LastTrade(price(wire.price), side(wire.side)) if wire.side else None


def parse_price_history(raw: bytes | str) -> tuple[PricePoint, ...]:
    """Read `GET /prices-history`."""
    points = decode(_HISTORY, raw, "price history").history
    return tuple([PricePoint(moment(point.t, "t"), point.p) for point in points])


def parse_tick_size(raw: bytes | str) -> Price:
    """Read `GET /tick-size`."""
    return tick(decode(_TICK, raw, "tick size").minimum_tick_size, "minimum_tick_size")


def parse_neg_risk(raw: bytes | str) -> bool:
    """Read `GET /neg-risk`."""
    return decode(_NEG_RISK, raw, "neg risk").neg_risk


def parse_fee_rate(raw: bytes | str) -> int:
    """Read `GET /fee-rate`: legacy basis points, not the fee formula (reference 4)."""
    found, rest = divmod(size(decode(_FEE_RATE, raw, "fee rate").base_fee, "base_fee"), 1_000_000)
    if rest:
        raise ProtocolViolation("fee rate: base_fee is not a whole number of basis points")
    return found


def parse_balance(raw: bytes | str) -> BalanceAnswer:
    """Read `GET /balance-allowance` (reference 3.5); a server that names no spender gives one named ""."""
    wire = decode(_BALANCE, raw, "balance")
    allowances = {"": wire.allowance} if wire.allowances is None and wire.allowance is not None else wire.allowances
    if allowances is None:
        raise ProtocolViolation("balance: allowances are missing")
    allowed = {spender: _units(amount, "allowance") for spender, amount in allowances.items()}
    return BalanceAnswer(_units(wire.balance, "balance"), allowed)


def _units(amount: str | int, field: str) -> int:
    text = str(amount)
    if not (text.isascii() and text.isdigit() and len(text) <= _UINT256_DIGITS):
        raise ProtocolViolation(f"{field} {amount!r} is no number of base units")
    return int(text)


def parse_positions(raw: bytes | str) -> tuple[Position, ...]:
    """Read the Data API's `/positions` (reference 6.3)."""
    return tuple([_position(wire) for wire in decode(_POSITIONS, raw, "positions")])


def _position(wire: _Position) -> Position:
    return Position(
        token=wire.asset,
        condition=wire.condition_id,
        size=Size(rounded(wire.size, 1_000_000, "position size") or 0),
        redeemable=wire.redeemable,
        mergeable=wire.mergeable,
    )


def parse_closed_only(raw: bytes | str) -> bool:
    """Read `GET /auth/ban-status/closed-only` (reference 2.2)."""
    return decode(_CLOSED_ONLY, raw, "closed only").closed_only


def parse_version(raw: bytes | str) -> int:
    """Read `GET /version`: the generation of orders that the exchange takes (reference 1.4)."""
    return decode(_VERSION, raw, "version").version


def parse_heartbeat(raw: bytes | str) -> str:
    """Read which id the next heartbeat has to carry, from an answer or from its 400 (reference 3.6)."""
    return decode(_HEARTBEAT, raw, "heartbeat").heartbeat_id


def parse_geoblock(raw: bytes | str) -> Geoblock:
    """Read `GET /api/geoblock` (reference 4.5); our own address is left out."""
    return decode(_GEOBLOCK, raw, "geoblock")


def parse_scoring(raw: bytes | str) -> dict[str, bool]:
    """Read `POST /orders-scoring` (reference 3.7)."""
    return decode(_SCORING, raw, "order scoring")


def parse_time(raw: bytes | str) -> Micros:
    """Read `GET /time`: whole seconds (reference 4)."""
    return moment(decode(_TIME, raw, "time"), "time")


def parse_error(raw: bytes | str) -> ErrorAnswer:
    """Read the body of a failed call, whatever it is: JSON by its words, HTML by its first line (reference 3.9)."""
    try:
        wire = _ERROR.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        return ErrorAnswer((text.strip().splitlines() or [""])[0][:200])
    wait = wire.retry_after_seconds
    message = wire.error or wire.error_msg or wire.error_text or ""
    return ErrorAnswer(message, wire.code, None if wait is None else Micros(wait * 1_000_000))
