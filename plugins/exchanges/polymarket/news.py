"""What Polymarket's streams tell us, in exact units and under the exchange's own ids."""

from enum import StrEnum

import msgspec

from pmrun.runner.market import ConditionId, FeeTerms, TokenId
from pmrun.runner.units import Micros, Price, Side, Size

Levels = tuple[tuple[Price, Size], ...]  # best first


class OrderKind(StrEnum):
    """What an order message reports (reference 5.3)."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


class OrderStatus(StrEnum):
    """Where an order stands; the exchange's many spellings and reasons are folded, its text is kept beside."""

    LIVE = "LIVE"
    MATCHED = "MATCHED"
    DELAYED = "DELAYED"
    UNMATCHED = "UNMATCHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    INVALID = "INVALID"
    OTHER = "OTHER"

    @classmethod
    def of(cls, text: str) -> "OrderStatus":
        """Fold a status as sent: any CANCELED… is canceled, an unknown text is OTHER (reference 3.4, 5.3)."""
        word = text.strip().upper().removeprefix("ORDER_STATUS_")
        if word == "CANCELED_EXPIRED_ORDER":
            return cls.EXPIRED
        if word.startswith(("CANCELED", "CANCELLED")):
            return cls.CANCELED
        return cls.__members__.get(word, cls.OTHER)


class TradeStatus(StrEnum):
    """How far a trade has come: a fill counts at MATCHED, is final at CONFIRMED, undone at FAILED (reference 3.4)."""

    MATCHED_NOT_BROADCASTED = "MATCHED_NOT_BROADCASTED"
    MATCHED = "MATCHED"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"


class TraderSide(StrEnum):
    """Whether a trade reports us as its taker or as one of its makers."""

    TAKER = "TAKER"
    MAKER = "MAKER"


class BookSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A whole order book: bids descending, asks ascending, no empty level."""

    token: TokenId
    condition: ConditionId
    at: Micros
    bids: Levels
    asks: Levels
    hash: str
    tick: Price | None = None
    min_order_size: Size | None = None
    neg_risk: bool | None = None
    last_trade_price: Price | None = None


class LevelChange(msgspec.Struct, frozen=True, gc=False):
    """The new total size at one price, zero when the level is gone; BUY is the bid side."""

    token: TokenId
    side: Side
    price: Price
    size: Size
    hash: str
    best_bid: Price | None = None
    best_ask: Price | None = None


class LevelsSeen(msgspec.Struct, frozen=True):
    """Levels that changed together."""

    condition: ConditionId
    at: Micros
    changes: tuple[LevelChange, ...]


class PrintSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Other people's trade."""

    token: TokenId
    condition: ConditionId
    at: Micros
    price: Price
    size: Size
    taker_side: Side
    fee_rate_bps: int | None = None
    transaction: str | None = None


class TickSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A market's tick has changed: its book is to be dropped and awaited anew (reference 5.2)."""

    token: TokenId
    condition: ConditionId
    at: Micros
    old: Price | None
    new: Price


class TouchSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The best prices, None where nobody rests."""

    token: TokenId
    condition: ConditionId
    at: Micros
    best_bid: Price | None
    best_ask: Price | None


class MarketListed(msgspec.Struct, frozen=True, kw_only=True):
    """A market was created, subscribed to or not; its tokens may still be missing."""

    condition: ConditionId
    question: str
    slug: str
    tokens: tuple[TokenId, ...]
    outcomes: tuple[str, ...]
    tick: Price | None
    at: Micros
    event: str | None = None
    active: bool = True
    fees: FeeTerms | None = None
    tags: tuple[str, ...] = ()


class MarketResolved(msgspec.Struct, frozen=True, kw_only=True):
    """A market has its answer; no winner where it was resolved without one."""

    condition: ConditionId
    tokens: tuple[TokenId, ...]
    winning_token: TokenId | None
    winning_outcome: str
    at: Micros


class OrderSeen(msgspec.Struct, frozen=True, kw_only=True):
    """News of one of our orders; `size_matched` is cumulative."""

    order_id: str
    condition: ConditionId
    token: TokenId
    side: Side
    price: Price
    original_size: Size
    size_matched: Size
    kind: OrderKind
    status: OrderStatus
    status_text: str
    order_type: str
    created_at: Micros | None
    expiration: Micros | None
    at: Micros
    owner: str
    said: str = ""  # the message as it came


class MakerFill(msgspec.Struct, frozen=True, kw_only=True):
    """One maker's part of a trade; its token may be the complement of the trade's (mint and merge matches)."""

    order_id: str
    owner: str
    token: TokenId
    side: Side | None
    price: Price
    size: Size
    outcome: str


class TradeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of ours at one stage; token, side, price and size are the taker's, ours as maker is in `maker_fills`.

    The same trade comes again at each stage: apply a movement once by (trade id, own order id) (reference 5.3).
    """

    trade_id: str
    condition: ConditionId
    token: TokenId
    taker_order_id: str
    taker_side: Side
    price: Price
    size: Size
    status: TradeStatus
    matched_at: Micros
    at: Micros
    trader_side: TraderSide
    owner: str
    maker_fills: tuple[MakerFill, ...]
    transaction: str | None = None
    said: str = ""  # the message, or the row, as it came


News = BookSeen | LevelsSeen | PrintSeen | TickSeen | TouchSeen | MarketListed | MarketResolved | OrderSeen | TradeSeen


class Parsed(msgspec.Struct, frozen=True):
    """One frame, read: its news in order, and the event types that we do not know."""

    news: tuple[News, ...] = ()
    unknown: tuple[str, ...] = ()
