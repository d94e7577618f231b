"""What SatoriEx tells us of our own orders, in exact units; books and prints are told as everywhere."""

import msgspec

from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Cash, Micros, Price, Side, Size, Word


class OrderStatus(Word):
    """Where an order stands (V2): one way only, and cancelled from all but filled."""

    PENDING = "pending"  # accepted, not matched yet
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"


class Cause(Word):
    """Why an order was cancelled."""

    USER = "user"
    ADMIN = "admin"
    VALIDATION = "validation"
    RESOLVED = "market_resolved"
    UNSAID = "unsaid"  # not stated, or in a word that we do not know


class OrderSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An order of ours as the exchange describes it; `filled` is cumulative."""

    order_id: str
    condition: ConditionId
    token: TokenId
    side: Side
    price: Price
    size: Size
    filled: Size
    status: OrderStatus
    cause: Cause
    created_at: Micros
    updated_at: Micros
    said: str = ""  # the message, or the row, as it came


class FillSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A part of one of our orders that was matched and settled; `fee` is net of the rebate that was paid with it."""

    order_id: str
    trade_id: str
    price: Price
    size: Size
    fee: Cash
    maker: bool
    at: Micros


class WalletSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What the account holds in cash."""

    total: Cash
    locked: Cash


class StatusSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A market opened, halted or closed."""

    condition: ConditionId
    status: MarketStatus
    reason: str


Own = OrderSeen | FillSeen | WalletSeen


class Frame(msgspec.Struct, frozen=True):
    """One frame, read: what is public, what a market is, what is ours, and the types that we do not know."""

    public: Parsed = Parsed()
    statuses: tuple[StatusSeen, ...] = ()
    own: tuple[Own, ...] = ()
    unknown: tuple[str, ...] = ()
    error: int | None = None  # the number of a complaint
