"""What our fills ought to have done to cash and shares, to be held against what the exchange says (O8)."""

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.runner.facts import Filled
from pmrun.runner.market import Market, TokenId
from pmrun.runner.orders import OrderNo, TradeId
from pmrun.runner.units import NOTIONAL_PER_CASH, Cash, Price, Side, complement


class Moved:
    """What one order did so far; signed."""

    __slots__ = ("cash", "fee", "shares")

    def __init__(self) -> None:
        self.cash = self.fee = self.shares = 0


class Reckoning:
    """Expected balances in base units, and what each order had to do with them."""

    def __init__(self, cash: Cash, shares: dict[TokenId, int]) -> None:
        """Start with what the exchange says."""
        self.cash = int(cash)
        self.shares = dict(shares)
        self.orders: dict[OrderNo, Moved] = {}
        self.touched: set[TokenId] = set()  # tokens that moved since they were compared
        self.moves = 0  # how often anything moved
        self._pays: dict[TokenId, Price] = {}  # what a share of a resolved market is worth
        self._parts: dict[tuple[TradeId, OrderNo], tuple[Record, Filled]] = {}

    def fill(self, record: Record, fact: Filled) -> None:
        """Take a fill."""
        self._parts[fact.trade, fact.order] = record, fact
        self._move(record, fact, 1)

    def part(self, trade: TradeId, order: OrderNo) -> tuple[Record, Filled]:
        """Return a fill and its order."""
        return self._parts[trade, order]

    def failed(self, trade: TradeId, order: OrderNo) -> None:
        """Take a fill back."""
        record, fact = self._parts[trade, order]
        self._move(record, fact, -1)

    def resolved(self, market: Market, settled_yes: Price) -> None:
        """Turn a resolved market's shares into what they pay."""
        self._pays |= {market.yes: settled_yes, market.no: complement(settled_yes)}
        for token in (market.yes, market.no):
            self._redeem(token)

    def forget(self, record: Record) -> None:
        """Forget what an order did."""
        self.orders.pop(record.no, None)
        for trade in record.trades:
            self._parts.pop((trade, record.no), None)

    def _redeem(self, token: TokenId) -> None:
        held = self.shares.get(token, 0)
        if held:
            self.cash += held * self._pays[token] // NOTIONAL_PER_CASH
            self.shares[token] = 0
            self.touched.add(token)
            self.moves += 1

    def _move(self, record: Record, fact: Filled, sign: int) -> None:
        buys = 1 if record.place.side is Side.BUY else -1
        moved = self.orders.setdefault(record.no, Moved())
        cash, shares = -buys * sign * fact.cash, buys * sign * fact.size
        moved.cash += cash
        moved.shares += shares
        moved.fee += sign * fact.fee
        self.cash += cash - sign * fact.fee
        self.shares[record.token] = self.shares.get(record.token, 0) + shares
        self.touched.add(record.token)
        self.moves += 1
        if record.token in self._pays:
            self._redeem(record.token)
