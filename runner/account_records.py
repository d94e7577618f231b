"""What an account's file keeps of orders, fills, funds and sessions."""

import msgspec

from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.orders import Purpose, Settlement, State, TradeId
from pmrun.runner.units import Cash, Micros, Price, Side, Size


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order as far as a later session has to know it; the fields are the columns, in order."""

    client_order_id: str
    exchange_order_id: str | None  # the hash, known before the request leaves where the exchange has one
    run: str
    market: ConditionId
    token: TokenId
    side: Side
    price_e4: Price
    size_e6: Size
    purpose: Purpose
    sent_at_us: Micros
    state: State = State.PENDING_SUBMIT
    filled_e6: Size = Size(0)
    ended_at_us: Micros | None = None
    ended_why: str = ""


class FillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One matched part of one of our orders; `cash_e6` is what moved, without the fee."""

    trade_id: TradeId
    exchange_order_id: str
    price_e4: Price
    size_e6: Size
    cash_e6: Cash
    fee_e6: Cash
    status: Settlement
    at_us: Micros


class FundsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an ended order did to the funds, and by how much the exchange disagrees (O8)."""

    exchange_order_id: str
    at_us: Micros
    locked_before_e6: Cash
    locked_after_e6: Cash
    cash_moved_e6: Cash  # signed: below zero for what was paid, fee not included
    shares_moved_e6: int  # signed
    fee_e6: Cash
    difference_e6: Cash  # what the exchange says less what we say


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One time that an engine traded the account."""

    run: str
    started_at_us: Micros
    ended_at_us: Micros | None
    clean: bool  # it ended by itself, and nothing of it rested
    pid: int
