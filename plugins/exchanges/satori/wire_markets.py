"""Markets, their books and other people's trades, as SatoriEx sends them."""

from typing import Final

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen, PrintSeen
from pmrun.plugins.exchanges.satori.terms import SHARE, fees
from pmrun.plugins.exchanges.satori.wire import WireTrade
from pmrun.plugins.exchanges.satori.wire_fields import (
    MILLISECOND,
    convert,
    decode,
    levels_of,
    moment_of,
    price_of,
    side_of,
    size_of,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import Cash, Micros, Price

CENT: Final = 10_000  # volumes are listed in cents

STATUSES: Final = {
    "open": MarketStatus.TRADING,
    "halted": MarketStatus.HALTED,
    "closed": MarketStatus.CLOSED,
    "resolved": MarketStatus.RESOLVED,
}


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


class Listed(msgspec.Struct, frozen=True):
    """A market as the exchange lists it, and whether it trades."""

    market: Market
    status: MarketStatus
    winner: TokenId | None = None


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
        min_order_size=size_of(max(1, wire.min_quantity), what),
        size_step=SHARE,
        min_take=Cash(0),  # one share is the least, whatever it is worth
        fees=fees(wire.seller_fee_bps, wire.maker_rebate_bps),
        ends_at=moment_of(wire.end_at, what),
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
        bids=levels_of(wire.bids, what, best_is_highest=True),
        asks=levels_of(wire.asks, what, best_is_highest=False),
        hash="",
    )


def parse_prints(raw: bytes, condition: ConditionId) -> list[PrintSeen]:
    """Read other people's trades of a market."""
    rows = msgspec.json.decode(raw)
    what = f"trades of market {condition}"
    if not isinstance(rows, list):
        raise ProtocolViolation(f"{what}: not a list")
    return [read_print(convert(WireTrade, row, what), condition, what) for row in rows]


def read_print(wire: WireTrade, condition: ConditionId, what: str) -> PrintSeen:
    """Read somebody's trade."""
    return PrintSeen(
        token=TokenId(wire.outcome_id),
        condition=condition,
        at=Micros(wire.timestamp * MILLISECOND),
        price=price_of(wire.price, what),
        size=size_of(wire.quantity, what),
        taker_side=side_of(wire.side, what),
        transaction=wire.id,
    )
