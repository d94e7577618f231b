"""What the parts of the embedded exchange say to each other; everything in it is simulated."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from pmrun.runner.market import ConditionId, Outcome, TokenId
from pmrun.runner.orders import Settlement
from pmrun.runner.units import Micros, Price, Side, Size

Levels = tuple[tuple[Price, Size], ...]  # best first


class TimeInForce(StrEnum):
    """How long an order lives (reference 3.1)."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"


class Custody(msgspec.Struct, frozen=True, kw_only=True):
    """How an order trades where the exchange itself holds the money: settled at once, with fees of its own (V3).

    Millionths: of a seller's proceeds, whether its order rested or not, and of what a maker traded.
    """

    seller_fee_ppm: int = 0
    maker_rebate_ppm: int = 0


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its owner signed it; price and side are those of the token."""

    order_id: str
    wallet: str  # who pays and receives: the maker address
    api_key: str
    token: TokenId
    side: Side
    price: Price
    size: Size
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: Micros | None = None  # when it really ends: a minute before what was sent
    post_only: bool = False
    custody: Custody | None = None  # None: its wallet is on chain, and the market's own fees apply


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order was taken: `live` or `matched` (at least in part); amounts in base units, given and got at once."""

    order_id: str
    status: str
    making: int = 0
    taking: int = 0
    trades: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """An order was not taken, in the exchange's own sentence (reference 3.9)."""

    sentence: str


class Cancels(msgspec.Struct, frozen=True):
    """What a cancel did (reference 3.3)."""

    canceled: tuple[str, ...]
    not_canceled: Mapping[str, str]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it stands; `status` is the exchange's word, such as LIVE or CANCELED_MARKET_RESOLVED."""

    order_id: str
    wallet: str
    api_key: str
    condition: ConditionId
    token: TokenId
    outcome: Outcome
    side: Side
    price: Price
    size: Size
    matched: Size
    time_in_force: TimeInForce
    expires_at: Micros | None
    post_only: bool
    created_at: Micros
    status: str
    trades: tuple[str, ...] = ()


class MakerPart(msgspec.Struct, frozen=True, kw_only=True):
    """One maker's part of a trade, in terms of the maker's own token."""

    order_id: str
    wallet: str
    api_key: str
    token: TokenId
    outcome: Outcome
    side: Side
    price: Price
    size: Size


class TradeView(msgspec.Struct, frozen=True, kw_only=True):
    """One trade at one stage, in terms of the taker's token; api keys are empty for the crowd."""

    trade_id: str
    condition: ConditionId
    taker_order_id: str
    taker_wallet: str
    taker_api_key: str
    token: TokenId
    outcome: Outcome
    side: Side
    price: Price  # the worst price the taker paid: fills carry their own
    size: Size
    status: Settlement
    matched_at: Micros
    updated_at: Micros
    makers: tuple[MakerPart, ...]
    bucket_index: int = 0
    transaction: str = ""


class SettlementPace(msgspec.Struct, frozen=True, kw_only=True):
    """How long settlement takes: matched to mined, mined to confirmed."""

    mined_after: Micros = Micros(2_000_000)
    confirmed_after: Micros = Micros(2_000_000)


class LevelMoved(msgspec.Struct, frozen=True):
    """The total size at a YES price changed; zero when the level is gone."""

    at: Micros
    market: int
    side: Side
    price: Price
    size: Size


class BookReset(msgspec.Struct, frozen=True):
    """A whole book is to be sent anew: after trades, and after a snapshot of the crowd."""

    at: Micros
    market: int


class Printed(msgspec.Struct, frozen=True):
    """A trade as everybody sees it, in terms of YES; `side` is the taker's."""

    at: Micros
    market: int
    side: Side
    price: Price
    size: Size


class TickMoved(msgspec.Struct, frozen=True):
    """A market's tick changed."""

    at: Micros
    market: int
    old: Price
    new: Price


class Resolved(msgspec.Struct, frozen=True):
    """A market has its answer."""

    at: Micros
    market: int
    settled_yes: Price


class OrderMoved(msgspec.Struct, frozen=True):
    """News of one order for its owner: PLACEMENT, UPDATE or CANCELLATION."""

    at: Micros
    kind: str
    order: OrderView


class TradeMoved(msgspec.Struct, frozen=True):
    """A trade reached a stage: news for its taker and every maker with an api key."""

    at: Micros
    trade: TradeView


Event = LevelMoved | BookReset | Printed | TickMoved | Resolved | OrderMoved | TradeMoved


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One REST call; header names are lower case, `path` is without the query."""

    method: str
    path: str
    query: Mapping[str, list[str]] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a call; `delay` holds it back, `lost` means that the caller never gets it."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    delay: Micros = Micros(0)
    lost: bool = False
