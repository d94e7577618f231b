"""What Polymarket's user stream tells us of our own orders, in exact units and under the exchange's own ids."""

from enum import StrEnum

import msgspec

from pmrun.plugins.exchanges.common.market_news import OwnNews
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Micros, Price, Side, Size


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


class OrderSeen(OwnNews, frozen=True, kw_only=True):
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


class TradeSeen(OwnNews, frozen=True, kw_only=True):
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
    trader_side: TraderSide
    owner: str
    maker_fills: tuple[MakerFill, ...]
    transaction: str | None = None
    said: str = ""  # the message, or the row, as it came
