"""From bytes to what they say: envelopes, orders, trades, markets, books; pure, and integers throughout.

Shapes that the exchange's public pages leave open are assumed; docs/22-satori.md says which.
"""

from typing import Any

import msgspec

from pmrun.plugins.exchanges.satori.news import Cause, FillSeen, OrderSeen, OrderStatus, WalletSeen
from pmrun.plugins.exchanges.satori.wire_fields import (
    MILLISECOND,
    convert,
    decode,
    price_of,
    side_of,
    size_of,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Cash, Micros


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


class WireTrade(msgspec.Struct):
    """A trade as sent: one of ours, or anybody's."""

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


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    rows: tuple[bytes, ...]
    total: int


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
        side=side_of(wire.side, what),
        price=price_of(wire.price, what),
        size=size_of(wire.quantity, what),
        filled=size_of(wire.filled_quantity, what),
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
    return [read_fill(convert(WireTrade, row, what), order_id, what) for row in listed]


def parse_wallet(raw: bytes | msgspec.Raw) -> WalletSeen:
    """Read the account's cash."""
    wire = decode(_Wallet, raw, "wallet")
    return WalletSeen(total=Cash(wire.total_e6), locked=Cash(wire.locked_e6))


def parse_positions(raw: bytes) -> tuple[dict[TokenId, int], dict[TokenId, int]]:
    """Read the account's shares, what orders keep of them included; and what orders keep, where they keep any."""
    rows = decode(list[_Position], raw, "positions")
    shares = {TokenId(row.outcome_id): int(size_of(row.quantity, "positions")) for row in rows}
    locked = {TokenId(row.outcome_id): int(size_of(row.locked_quantity, "positions")) for row in rows}
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


def read_fill(wire: WireTrade, order_id: str, what: str) -> FillSeen:
    """Read a part of one of our orders."""
    if wire.liquidity not in ("maker", "taker"):
        raise ProtocolViolation(f"{what}: liquidity {wire.liquidity[:20]!r} is not known")
    return FillSeen(
        order_id=order_id,
        trade_id=wire.id,
        price=price_of(wire.price, what),
        size=size_of(wire.quantity, what),
        fee=Cash(wire.fee_e6 - wire.rebate_e6),
        maker=wire.liquidity == "maker",
        at=Micros(wire.timestamp * MILLISECOND),
    )
