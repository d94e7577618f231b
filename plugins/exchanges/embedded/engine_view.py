"""What can be asked of the matching engine; asking changes nothing."""

from pmrun.plugins.exchanges.embedded.floor import Floor
from pmrun.plugins.exchanges.embedded.ledger import Ledger
from pmrun.plugins.exchanges.embedded.matching import Matching
from pmrun.plugins.exchanges.embedded.terms import (
    Levels,
    OrderView,
    TradeView,
)
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.units import Price, Side, Size


class EngineView:
    """How markets, orders and money of an exchange stand.

    Prices and sides are those of YES, of orders and trades those of their token.
    """

    def __init__(self, floor: Floor, matching: Matching) -> None:
        """Take what is looked at."""
        self._floor = floor
        self._matching = matching

    @property
    def markets(self) -> tuple[Market, ...]:
        """The terms of all markets as they are now, by number."""
        return self._floor.markets

    @property
    def ledger(self) -> Ledger:
        """All money and shares."""
        return self._floor.ledger

    def where(self, token: TokenId) -> tuple[int, Outcome] | None:
        """Return the market and outcome of a token."""
        return self._floor.where.get(token)

    def status(self, market: int) -> MarketStatus:
        """Return whether a market takes orders."""
        return self._floor.status[market]

    @property
    def statuses(self) -> tuple[MarketStatus, ...]:
        """Whether each market takes orders, by number."""
        return tuple(self._floor.status)

    def order(self, order_id: str) -> OrderView | None:
        """Return an order, also one that has ended; None when no such order was ever taken."""
        order = self._floor.orders.get(order_id)
        return None if order is None else order.view(self.markets[order.market])

    def open_orders(self, api_key: str) -> list[OrderView]:
        """Return the orders of an owner that rest, oldest first."""
        resting = self._floor.resting.values()
        return [order.view(self.markets[order.market]) for order in resting if order.ticket.api_key == api_key]

    def trades(self, api_key: str) -> list[TradeView]:
        """Return the trades of an owner at their latest stage, oldest first."""
        return self._matching.trades(api_key)

    def balance(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet owns on chain of a token (None: collateral), in base units; promised or not."""
        return self.ledger.balance(wallet, token)

    def spendable(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet may still promise of a token (None: collateral), in base units."""
        return self.ledger.spendable(wallet, token)

    def levels(self, market: int) -> tuple[Levels, Levels]:
        """Return the bids and asks of everybody, best first."""
        book = self._floor.books[market]
        return book.bids.levels(), book.asks.levels()

    def crowd_levels(self, market: int, side: Side) -> dict[Price, Size]:
        """Return what the crowd has at each price of a side."""
        return self._floor.books[market].side(side).crowd_levels()

    def last_trade(self, market: int) -> tuple[Price, Side] | None:
        """Return the price of the last trade and its taker's side."""
        return self._floor.last[market]
