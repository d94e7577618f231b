"""What may be said of our orders, as the parsers hand it on: for tests of their life."""

import msgspec

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.polymarket.news import (
    MakerFill,
    OrderKind,
    OrderSeen,
    OrderStatus,
    TraderSide,
    TradeSeen,
    TradeStatus,
)
from pmrun.plugins.exchanges.polymarket.placing import Placing
from pmrun.plugins.exchanges.polymarket.rest import Canceling
from pmrun.plugins.exchanges.polymarket.snapshot import Snapshot
from pmrun.plugins.exchanges.polymarket.wire_orders import CancelAnswer, OpenOrder, OrderAnswer, Verdict
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import ConditionId, MarketNo, Outcome, TokenId
from pmrun.runner.orders import OrderNo, Purpose
from pmrun.runner.units import SECOND, Micros, Price, Side, Size

NOON = Micros(1_790_000_000 * SECOND)
TOKEN = TokenId("1000")
CONDITION = ConditionId("0x1")
BID, TWENTY = Price(4_000), Size(20_000_000)
OWNER = "our-key"


def after(seconds: float) -> Micros:
    return Micros(NOON + int(seconds * SECOND))


def name(no: int) -> str:
    return f"0xorder{no}"


def place(no: int = 1, side: Side = Side.BUY, size: int = TWENTY, post_only: bool = True) -> Place:
    purpose = Purpose.QUOTE if side is Side.BUY else Purpose.HEDGE
    return Place(NOON, OrderNo(no), MarketNo(0), Outcome.YES, side, BID, Size(size), purpose, post_only, Reason("test"))


def record(no: int = 1, side: Side = Side.BUY, size: int = TWENTY, at: Micros = NOON) -> Record:
    return Record(place(no, side, size), name(no), TOKEN, at)


def answer(no: int = 1, status: OrderStatus = OrderStatus.LIVE, verdict: Verdict = Verdict.ACCEPTED) -> OrderAnswer:
    return OrderAnswer(
        verdict=verdict, order_id=name(no), status=status, status_text=status.lower(), reason="", making=0, taking=0
    )


def canceled(*numbers: int) -> CancelAnswer:
    return CancelAnswer(tuple(name(no) for no in numbers), {})


def not_canceled(no: int, why: str) -> CancelAnswer:
    return CancelAnswer((), {name(no): why})


def message(
    kind: OrderKind = OrderKind.PLACEMENT,
    no: int = 1,
    matched: int = 0,
    status: OrderStatus = OrderStatus.LIVE,
    at: Micros = NOON,
) -> OrderSeen:
    return OrderSeen(
        kind=kind,
        at=at,
        order_id=name(no),
        condition=CONDITION,
        token=TOKEN,
        side=Side.BUY,
        price=BID,
        original_size=TWENTY,
        size_matched=Size(matched),
        status=status,
        status_text=str(status),
        order_type="GTC",
        created_at=at,
        expiration=None,
        owner=OWNER,
    )


def cancellation(no: int = 1, matched: int = 0) -> OrderSeen:
    return message(OrderKind.CANCELLATION, no, matched, OrderStatus.CANCELED)


def trade(
    status: TradeStatus = TradeStatus.MATCHED,
    no: int = 1,
    trade_id: str = "trade1",
    size: int = TWENTY,
    at: Micros = NOON,
    side: Side = Side.BUY,
) -> TradeSeen:
    """Return a trade in which an order of ours was the maker."""
    maker = MakerFill(order_id=name(no), owner=OWNER, token=TOKEN, side=side, price=BID, size=Size(size), outcome="Yes")
    return TradeSeen(
        trade_id=trade_id,
        condition=CONDITION,
        token=TOKEN,
        taker_order_id="0xsomebody",
        taker_side=side.opposite,
        price=BID,
        size=Size(size),
        status=status,
        matched_at=at,
        at=at,
        trader_side=TraderSide.MAKER,
        owner="somebody",
        maker_fills=(maker,),
    )


def listed(no: int = 1, matched: int = 0, status: OrderStatus = OrderStatus.LIVE, side: Side = Side.BUY) -> OpenOrder:
    return OpenOrder(
        order_id=name(no),
        condition=CONDITION,
        token=TOKEN,
        side=side,
        price=BID,
        original_size=TWENTY,
        size_matched=Size(matched),
        status=status,
        status_text=str(status),
        order_type="GTC",
        created_at=NOON,
        expiration=None,
        owner=OWNER,
    )


def snapshot(started: Micros, *rows: OpenOrder | TradeSeen, since: Micros = after(-60)) -> Snapshot:
    return Snapshot(
        started=started,
        since=since,
        orders=tuple(row for row in rows if isinstance(row, OpenOrder)),
        trades=tuple(row for row in rows if isinstance(row, TradeSeen)),
    )


def unsaid(answer: Placing | Canceling) -> Placing | Canceling:
    """Return an answer without the words it came in."""
    return msgspec.structs.replace(answer, said="")
