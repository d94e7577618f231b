"""Orders as their owners are told of them, which may be a moment behind the matching (V2)."""

from enum import StrEnum
from typing import Any

import msgspec

from pmrun.plugins.exchanges.embedded.order import (
    CANCELED_BY_ADMIN,
    CANCELED_INVALID,
    CANCELED_NO_MONEY,
    CANCELED_RESOLVED,
)
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE
from pmrun.plugins.exchanges.embedded.terms import Custody
from pmrun.runner.units import Micros, Side

BUY, SELL = 1, 2
USER, ADMIN = "user", "admin"
_REASONS = {
    CANCELED_RESOLVED: "market_resolved",
    CANCELED_INVALID: "validation",
    CANCELED_NO_MONEY: "validation",
    CANCELED_BY_ADMIN: ADMIN,
}


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"


ACTIVE = (Status.PENDING, Status.OPEN, Status.PARTIAL)


def reason_of(status: str) -> str:
    """Return why the engine ended an order that its owner did not cancel."""
    return _REASONS.get(status, ADMIN)


def number_of(side: Side) -> int:
    """Return how a side is written."""
    return BUY if side is Side.BUY else SELL


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of one order, in terms of its outcome; amounts in 1/1,000,000 dollar."""

    trade_id: str
    price: int
    quantity: int
    fee: int
    rebate: int
    maker: bool
    at: Micros

    def row(self) -> dict[str, Any]:
        """Return it as it is listed below its order."""
        return {
            "id": self.trade_id,
            "price": self.price,
            "quantity": self.quantity,
            "fee_e6": self.fee,
            "rebate_e6": self.rebate,
            "liquidity": "maker" if self.maker else "taker",
            "timestamp": self.at // 1_000,
        }


class Record(msgspec.Struct, kw_only=True):
    """One order as it was told."""

    order_id: str
    user_id: str
    market_id: str
    outcome_id: str
    side: int
    price: int
    quantity: int
    created_at: Micros
    updated_at: Micros
    custody: Custody
    status: Status = Status.PENDING
    cancel_reason: str | None = None
    filled: int = 0
    notional: int = 0
    fee: int = 0
    fills: list[Fill] = []

    @property
    def active(self) -> bool:
        """Whether it may still trade, as far as was told."""
        return self.status in ACTIVE

    def opened(self, at: Micros) -> bool:
        """Hear that it rests; return whether that is news."""
        if self.status is not Status.PENDING:
            return False
        self._become(Status.OPEN, at)
        return True

    def filled_by(self, fill: Fill) -> None:
        """Hear of a fill, which may come after the order was cancelled: what was matched before stands."""
        self.fills.append(fill)
        self.filled += fill.quantity
        self.notional += fill.price * fill.quantity * SHARE // 10_000
        self.fee += fill.fee
        if self.filled == self.quantity:
            self.cancel_reason = None
            self._become(Status.FILLED, fill.at)
        elif self.active:
            self._become(Status.PARTIAL, fill.at)
        self.updated_at = max(self.updated_at, fill.at)

    def cancelled(self, reason: str, at: Micros) -> bool:
        """Hear that it was cancelled; return whether that is news."""
        if not self.active:
            return False
        self.cancel_reason = reason
        self._become(Status.CANCELLED, at)
        return True

    def _become(self, status: Status, at: Micros) -> None:
        self.status = status
        self.updated_at = max(self.updated_at, at)

    def row(self) -> dict[str, Any]:
        """Return it as the exchange writes it."""
        return {
            "id": self.order_id,
            "market_id": self.market_id,
            "outcome_id": self.outcome_id,
            "side": self.side,
            "price": self.price,
            "quantity": self.quantity,
            "filled_quantity": self.filled,
            "remaining_quantity": self.quantity - self.filled,
            "filled_notional_e6": self.notional,
            "fee_e6": self.fee,
            "status": self.status,
            "cancel_reason": self.cancel_reason,
            "created_at": self.created_at // 1_000,
            "updated_at": self.updated_at // 1_000,
        }


class Records:
    """All orders, by id and by owner."""

    def __init__(self) -> None:
        """Start without orders."""
        self._orders: dict[str, Record] = {}
        self._of: dict[str, list[Record]] = {}

    def add(self, record: Record) -> None:
        """Keep a new order."""
        self._orders[record.order_id] = record
        self._of.setdefault(record.user_id, []).append(record)

    def get(self, order_id: str) -> Record | None:
        """Return an order, whoever owns it."""
        return self._orders.get(order_id)

    def of(self, user_id: str) -> list[Record]:
        """Return the orders of an owner, oldest first."""
        return list(self._of.get(user_id, ()))
