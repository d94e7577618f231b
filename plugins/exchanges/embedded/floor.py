"""What the parts of the engine share: markets, books, orders, money, and the news of them."""

from collections.abc import Sequence

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.book import OrderBook
from pmrun.plugins.exchanges.embedded.ledger import Account, Ledger, Part, asset_of, moved
from pmrun.plugins.exchanges.embedded.order import AT_ONCE, CANCELED, CANCELED_NO_MONEY, FILLED, NO, YES, Order
from pmrun.plugins.exchanges.embedded.settlement import Leg
from pmrun.plugins.exchanges.embedded.terms import BookReset, Event, LevelMoved, OrderMoved
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market, TokenId
from pmrun.runner.units import Micros, Price, Side, Size


class Floor:
    """Markets with their books, every order with its escrow, and what is to be told."""

    def __init__(self, markets: Sequence[Market], lot: Size = Size(1)) -> None:
        """Open markets with empty books; what YES will pay is not known before its time."""
        self.lot = lot  # every size is a multiple of it
        self.markets: tuple[Market, ...] = tuple(replace(market, settled_yes=None) for market in markets)
        self.status = [MarketStatus.TRADING if each.accepting_orders else MarketStatus.HALTED for each in markets]
        self.where = {market.token(side): (no, side) for no, market in enumerate(markets) for side in (YES, NO)}
        self.books = [OrderBook(lot) for _ in markets]
        self.last: list[tuple[Price, Side] | None] = [None for _ in markets]
        self.orders: dict[str, Order] = {}
        self.resting: dict[str, Order] = {}  # in order of arrival
        self.pending: dict[str, Order] = {}  # taken, and not yet matched
        self.ledger = Ledger()
        self.events: list[Event] = []
        self._touched: dict[tuple[int, Side, Price], None] = {}
        self._reset: dict[int, None] = {}

    def trading(self, market: int) -> bool:
        """Whether a market matches orders."""
        return self.status[market] is MarketStatus.TRADING

    def over(self, market: int) -> bool:
        """Whether a market will never trade again."""
        return self.status[market] in (MarketStatus.CLOSED, MarketStatus.RESOLVED)

    def change(self, market: int, **terms: object) -> None:
        """Change terms of a market."""
        changed = replace(self.markets[market], **terms)
        self.markets = (*self.markets[:market], changed, *self.markets[market + 1 :])

    def spendable(self, wallet: str, token: TokenId | None) -> int:
        """Return what a wallet may still promise."""
        return self.ledger.spendable(wallet, token)

    # Orders.

    def rest(self, order: Order, at: Micros) -> bool:
        """Put what is left of an order into the book, with its escrow; or end it, False, when it may not or cannot."""
        if order.ticket.time_in_force in AT_ONCE:
            self._finish(order, CANCELED, at)
        elif self.cover(order, at):
            side = self.books[order.market].side(order.yes_side)
            order.entry = side.join(order.yes_price, order.ticket.order_id, order.left)
            self.resting[order.ticket.order_id] = order
            self.touch(order.market, order.yes_side, order.yes_price)
        else:
            self._finish(order, CANCELED_NO_MONEY, at)
        return order.entry is not None

    def cover(self, order: Order, at: Micros) -> bool:
        """Bring an order's escrow up to what the rest of it needs; False when its wallet lacks that.

        Parts that round up one by one may cost a base unit more than the whole would have.
        """
        missing = order.needs - order.escrow
        if self.spendable(order.ticket.wallet, order.pays_with) < missing:
            return False
        self._move_escrow(order, missing, at)
        return True

    def fill(self, order: Order, leg: Leg, trade_id: str) -> None:
        """Count a part of an order as matched; what it gives is pending already."""
        order.matched += leg.size
        if leg.rested:
            order.escrow -= leg.gives[1]
        if trade_id not in order.trades[-1:]:
            order.trades.append(trade_id)
        if not order.left:
            order.status = FILLED
            order.entry = None
            self.resting.pop(order.ticket.order_id, None)

    def end(self, order: Order, status: str, at: Micros) -> None:
        """Take an order out of the book."""
        if order.entry is not None:
            side = self.books[order.market].side(order.yes_side)
            side.reduce(order.yes_price, order.entry, order.left)
            self.touch(order.market, order.yes_side, order.yes_price)
        self._finish(order, status, at)

    def clear(self, market: int, status: str, at: Micros) -> None:
        """Take everything out of a market's book."""
        for order in [*self.resting.values(), *self.pending.values()]:
            if order.market == market:
                self.end(order, status, at)
        for _, side in self.books[market].sides():
            side.clear_crowd()
        self.reset(market)

    def _finish(self, order: Order, status: str, at: Micros) -> None:
        """End an order: what is left of its escrow is its owner's again."""
        self.resting.pop(order.ticket.order_id, None)
        self.pending.pop(order.ticket.order_id, None)
        order.entry = None
        self._move_escrow(order, -order.escrow, at)
        order.status = status
        self.tell(order, "CANCELLATION", at)

    def _move_escrow(self, order: Order, amount: int, at: Micros) -> None:
        """Move money of its owner into an order's escrow, or out of it when negative."""
        if amount:
            wallet = order.ticket.wallet
            parts = Account(wallet, Part.AVAILABLE), Account(wallet, Part.ESCROW)
            why = f"escrow of {order.ticket.order_id}"
            self.ledger.post(at, why, moved(*parts, asset_of(order.pays_with), amount))
            order.escrow += amount

    # News.

    def tell(self, order: Order, kind: str, at: Micros) -> None:
        """Tell an owner of an order."""
        self.events.append(OrderMoved(at, kind, order.view(self.markets[order.market])))

    def touch(self, market: int, side: Side, price: Price) -> None:
        """Remember that a level changed."""
        self._touched[market, side, price] = None

    def reset(self, market: int, traded: bool = False) -> None:
        """Remember that a whole book is to be sent: after its levels where it `traded`, else instead of them."""
        if not traded:
            self._touched = {key: None for key in self._touched if key[0] != market}
        self._reset[market] = None

    def publish(self, at: Micros) -> None:
        """Tell everybody which levels changed, and which books are to be sent anew."""
        for market, side, price in self._touched:
            self.events.append(LevelMoved(at, market, side, price, self.books[market].side(side).total(price)))
        self.events.extend(BookReset(at, market) for market in self._reset)
        self._touched, self._reset = {}, {}
