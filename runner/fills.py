"""One matched part of an order of ours, as the account books it."""

import msgspec

from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import BUY, OrderNo, Settlement, TradeId
from pmrun.runner.units import Cash, Micros, Price, Side, Size


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One matched part of one of our orders, and where its settlement stands."""

    trade: TradeId
    order: OrderNo
    market: MarketNo
    outcome: Outcome
    side: Side
    price: Price
    size: Size
    cash: Cash
    fee: Cash
    rebate: Cash  # expected, an estimate
    maker: bool
    at: Micros
    status: Settlement = Settlement.MATCHED

    @property
    def shares(self) -> int:
        """The signed change of the holding."""
        return self.size if self.side is BUY else -self.size

    @property
    def money(self) -> int:
        """The signed change of the cash, fee included."""
        return -(self.cash + self.fee) if self.side is BUY else self.cash - self.fee
