"""From bytes to what they say: envelopes, orders, trades, markets, books, frames; pure, and integers throughout.

Shapes that the exchange's public pages leave open are assumed; docs/22-satori.md says which.
"""

from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen, MarketResolved, Parsed, PrintSeen
from pmrun.plugins.exchanges.satori.news import Cause, FillSeen, Frame, OrderSeen, OrderStatus, StatusSeen, WalletSeen
from pmrun.plugins.exchanges.satori.terms import SHARE, fees
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import ONE, Cash, Micros, Price, Side, Size

MILLISECOND: Final = 1_000
CENT: Final = 10_000  # volumes are listed in cents
LARGEST: Final = 10**9  # shares or basis points: what is larger is a mistake, or somebody's joke
SIDES: Final = {1: Side.BUY, 2: Side.SELL}
NUMBERS: Final = {Side.BUY: 1, Side.SELL: 2}
STATUSES: Final = {
    "open": MarketStatus.TRADING,
    "halted": MarketStatus.HALTED,
    "closed": MarketStatus.CLOSED,
    "resolved": MarketStatus.RESOLVED,
}
IGNORED: Final = frozenset({"hello", "pong", "subscribed", "unsubscribed", "price_update", "order"})
T = TypeVar("T")


class Envelope(msgspec.Struct, frozen=True):
    """What every REST answer comes in; code 0 is fine."""

    code: int
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    trace_id: str | None = None


class _Order(msgspec.Struct):
    id: str
    market_id: str
    outcome_id: str
    side: int
    price: int
    quantity: int
    filled_quantity: int
    status: str
    created_at: int
    cancel_reason: str | None = None
    updated_at: int | None = None


class _Trade(msgspec.Struct):
    id: str
    price: int
    quantity: int
    timestamp: int
    fee_e6: int = 0
    rebate_e6: int = 0
    liquidity: str = "taker"
    outcome_id: str = ""
    market_id: str = ""
    side: int = 0


class _Placed(msgspec.Struct):
    order: msgspec.Raw


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    total: int


class _Outcome(msgspec.Struct):
    id: str
    name: str


class _Market(msgspec.Struct):
    id: str
    question: str
    outcomes: list[_Outcome]
    status: str
    slug: str = ""
    tick_bps: int = 100
    min_quantity: int = 1
    min_price: int = 1
    max_price: int = 9_999
    seller_fee_bps: int = 150
    maker_rebate_bps: int = 5
    volume_24h: int | None = None
    liquidity: int | None = None
    end_at: str | None = None
    event_id: str | None = None
    exclusive: bool = False
    resolved_outcome_id: str | None = None


class _Book(msgspec.Struct):
    market_id: str
    outcome_id: str
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    timestamp: int
    sequence: int = 0


class _Wallet(msgspec.Struct):
    available_e6: int
    locked_e6: int
    total_e6: int


class _Position(msgspec.Struct):
    outcome_id: str
    quantity: int
    locked_quantity: int = 0


class _Login(msgspec.Struct):
    access_token: str
    refresh_token: str
    expires_in: int


class Me(msgspec.Struct):
    """Who the account is, as far as trading goes by it."""

    id: str | int
    kyc_tier: int | None = None
    two_factor_enabled: bool | None = None
    scopes: list[str] | None = None


class PersonalToken(msgspec.Struct):
    """A personal access token as it is listed: never itself."""

    name: str = ""
    scopes: list[str] = []
    expires_at: str | int | None = None


class _Frame(msgspec.Struct):
    type: str


class Listed(msgspec.Struct, frozen=True):
    """A market as the exchange lists it, and whether it trades."""

    market: Market
    status: MarketStatus
    winner: TokenId | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    rows: tuple[bytes, ...]
    total: int


def decode(kind: type[T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Read a part; raises ProtocolViolation naming what it is of."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError) as error:
        raise ProtocolViolation(f"{what}: {error}") from None


def parse_envelope(raw: bytes) -> Envelope | None:
    """Read an answer's envelope; None for what is none (a page of HTML from in front of the exchange)."""
    try:
        return msgspec.json.decode(raw, type=Envelope)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError):
        return None


def parse_order(raw: bytes | msgspec.Raw, what: str = "order") -> OrderSeen:
    """Read an order; a status that we do not know is a violation: nobody guesses where money stands."""
    wire = decode(_Order, raw, what)
    status = OrderStatus.__members__.get(wire.status.upper())
    if status is None:
        raise ProtocolViolation(f"{what} {wire.id}: status {wire.status[:40]!r} is not known")
    reasons = {cause.value: cause for cause in Cause}
    return OrderSeen(
        order_id=wire.id,
        condition=ConditionId(wire.market_id),
        token=TokenId(wire.outcome_id),
        side=_side(wire.side, what),
        price=_price(wire.price, what),
        size=_size(wire.quantity, what),
        filled=_size(wire.filled_quantity, what),
        status=status,
        cause=reasons.get(wire.cancel_reason or "", Cause.UNSAID),
        created_at=Micros(wire.created_at * MILLISECOND),
        updated_at=Micros((wire.updated_at or wire.created_at) * MILLISECOND),
        said=bytes(raw).decode("utf-8", "replace"),
    )


def parse_placed(raw: bytes) -> OrderSeen:
    """Read the answer to a new order; its trades come later, whatever it says of them."""
    return parse_order(decode(_Placed, raw, "POST /orders").order, "POST /orders")


def parse_page(raw: bytes, what: str) -> Page:
    """Read one page of a list."""
    page = decode(_Page, raw, what)
    return Page(tuple(bytes(each) for each in page.items), page.total)


def parse_own_trades(raw: bytes, order_id: str) -> list[FillSeen]:
    """Read the trades of one order."""
    what = f"trades of order {order_id}"
    rows: Any = msgspec.json.decode(raw)
    listed = rows.get("items") if isinstance(rows, dict) else rows
    if not isinstance(listed, list):
        raise ProtocolViolation(f"{what}: not a list")
    return [_fill(_convert(_Trade, row, what), order_id, what) for row in listed]


def parse_market(raw: bytes, simulated: bool) -> Listed:
    """Read a market; raises ProtocolViolation for terms that we cannot trade by."""
    wire = decode(_Market, raw, "market")
    what = f"market {wire.id}"
    status = STATUSES.get(wire.status)
    if status is None:
        raise ProtocolViolation(f"{what}: status {wire.status[:40]!r} is not known")
    if len(wire.outcomes) != 2:
        raise ProtocolViolation(f"{what}: {len(wire.outcomes)} outcomes, two are wanted")
    if (
        not 1 <= wire.tick_bps <= 1_000
        or not 0 <= wire.seller_fee_bps <= 10_000
        or not 0 <= wire.maker_rebate_bps <= 10_000
    ):
        raise ProtocolViolation(f"{what}: tick or fees are out of range")
    yes, no = wire.outcomes
    market = Market(
        condition=ConditionId(wire.id),
        question=wire.question,
        slug=wire.slug or wire.id,
        yes=TokenId(yes.id),
        no=TokenId(no.id),
        outcomes=(yes.name, no.name),
        tick=Price(wire.tick_bps),
        min_order_size=_size(max(1, wire.min_quantity), what),
        size_step=SHARE,
        fees=fees(wire.seller_fee_bps, wire.maker_rebate_bps),
        ends_at=_moment(wire.end_at, what),
        volume_24h=None if wire.volume_24h is None else Cash(wire.volume_24h * CENT),
        liquidity=None if wire.liquidity is None else Cash(wire.liquidity * CENT),
        neg_risk=wire.exclusive,
        event=wire.event_id,
        accepting_orders=status is MarketStatus.TRADING,
        post_only=False,
        simulated=simulated,
    )
    winner = None if wire.resolved_outcome_id is None else TokenId(wire.resolved_outcome_id)
    return Listed(market, status, winner)


def parse_book(raw: bytes | msgspec.Raw, what: str = "order book") -> BookSeen:
    """Read a whole ladder of one outcome."""
    wire = decode(_Book, raw, what)
    return BookSeen(
        token=TokenId(wire.outcome_id),
        condition=ConditionId(wire.market_id),
        at=Micros(wire.timestamp * MILLISECOND),
        bids=_levels(wire.bids, what, best_is_highest=True),
        asks=_levels(wire.asks, what, best_is_highest=False),
        hash="",
    )


def parse_prints(raw: bytes, condition: ConditionId) -> list[PrintSeen]:
    """Read other people's trades of a market."""
    rows = msgspec.json.decode(raw)
    what = f"trades of market {condition}"
    if not isinstance(rows, list):
        raise ProtocolViolation(f"{what}: not a list")
    return [_print(_convert(_Trade, row, what), condition, what) for row in rows]


def parse_wallet(raw: bytes | msgspec.Raw) -> WalletSeen:
    """Read the account's cash."""
    wire = decode(_Wallet, raw, "wallet")
    return WalletSeen(total=Cash(wire.total_e6), locked=Cash(wire.locked_e6))


def parse_positions(raw: bytes) -> tuple[dict[TokenId, int], dict[TokenId, int]]:
    """Read the account's shares, what orders keep of them included; and what orders keep, where they keep any."""
    rows = decode(list[_Position], raw, "positions")
    shares = {TokenId(row.outcome_id): int(_size(row.quantity, "positions")) for row in rows}
    locked = {TokenId(row.outcome_id): int(_size(row.locked_quantity, "positions")) for row in rows}
    return shares, {token: size for token, size in locked.items() if size}


def parse_login(raw: bytes) -> tuple[str, str, int] | None:
    """Read an access token, a refresh token and for how many seconds the first is good; None for what is none.

    It raises nothing: what a violation shows of a message must not be a token.
    """
    try:
        wire = msgspec.json.decode(raw, type=_Login)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError):
        return None
    return wire.access_token, wire.refresh_token, wire.expires_in


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
    return _fill(_convert(_Trade, raw.get("trade"), "order_filled"), order_id, "order_filled")


def _fill(wire: _Trade, order_id: str, what: str) -> FillSeen:
    if wire.liquidity not in ("maker", "taker"):
        raise ProtocolViolation(f"{what}: liquidity {wire.liquidity[:20]!r} is not known")
    return FillSeen(
        order_id=order_id,
        trade_id=wire.id,
        price=_price(wire.price, what),
        size=_size(wire.quantity, what),
        fee=Cash(wire.fee_e6 - wire.rebate_e6),
        maker=wire.liquidity == "maker",
        at=Micros(wire.timestamp * MILLISECOND),
    )


def _public_trade(raw: dict[str, Any]) -> PrintSeen:
    """Read a trade that is told flat or under `trade`: the pages do not say which."""
    inner = raw.get("trade")
    body = {**raw, **inner} if isinstance(inner, dict) else raw
    wire = _convert(_Trade, body, "trade")
    return _print(wire, ConditionId(wire.market_id), "trade")


def _print(wire: _Trade, condition: ConditionId, what: str) -> PrintSeen:
    return PrintSeen(
        token=TokenId(wire.outcome_id),
        condition=condition,
        at=Micros(wire.timestamp * MILLISECOND),
        price=_price(wire.price, what),
        size=_size(wire.quantity, what),
        taker_side=_side(wire.side, what),
        transaction=wire.id,
    )


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


def _convert(kind: type[T], value: object, what: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ProtocolViolation(f"{what}: {error}") from None


def _side(number: int, what: str) -> Side:
    side = SIDES.get(number)
    if side is None:
        raise ProtocolViolation(f"{what}: side {number}, 1 or 2 is wanted")
    return side


def _price(bps: int, what: str) -> Price:
    if not 0 < bps < ONE:
        raise ProtocolViolation(f"{what}: price {bps}, 1 to 9,999 is wanted")
    return Price(bps)


def _size(quantity: int, what: str) -> Size:
    if not 0 <= quantity <= LARGEST:
        raise ProtocolViolation(f"{what}: quantity {quantity} cannot be")
    return Size(quantity * SHARE)


def _levels(wire: list[tuple[int, int]], what: str, best_is_highest: bool) -> tuple[tuple[Price, Size], ...]:
    levels = [(_price(price, what), _size(quantity, what)) for price, quantity in wire if quantity]
    if len({price for price, _ in levels}) != len(levels):
        raise ProtocolViolation(f"{what}: a price is there twice")
    return tuple(sorted(levels, reverse=best_is_highest))


def _moment(text: str | None, what: str) -> Micros | None:
    if text is None:
        return None
    try:
        return Micros(round(datetime.fromisoformat(text).timestamp() * 1_000_000))
    except ValueError:
        raise ProtocolViolation(f"{what}: {text[:40]!r} is no time") from None
