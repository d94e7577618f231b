"""What streams tell of markets, in exact units and under the exchange's own ids."""

import msgspec

from pmrun.runner.market import ConditionId, FeeTerms, TokenId
from pmrun.runner.units import Micros, Price, Side, Size

Levels = tuple[tuple[Price, Size], ...]  # best first


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


class OwnNews(msgspec.Struct, frozen=True, kw_only=True):
    """News of our own orders; what else they say is for the exchange's adapter to know."""

    at: Micros


News = BookSeen | LevelsSeen | PrintSeen | TickSeen | TouchSeen | MarketListed | MarketResolved | OwnNews


class Parsed(msgspec.Struct, frozen=True):
    """One frame, read: its news in order, and the event types that we do not know."""

    news: tuple[News, ...] = ()
    unknown: tuple[str, ...] = ()
