"""The matching engine of the embedded exchange: all that can be asked of it and done to it; everything is simulated.

Synchronous and deterministic: time is an argument, chance comes from the seed, and nothing looks at a clock.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Final

from pmrun.plugins.exchanges.embedded.admission import (
    NO_BOOK,
    may_enter,
    refusal,
    refusal_to_accept,
    refusal_to_match,
)
from pmrun.plugins.exchanges.embedded.engine_view import EngineView
from pmrun.plugins.exchanges.embedded.floor import Floor
from pmrun.plugins.exchanges.embedded.ledger import ISSUER, Account, Part, asset_of, moved
from pmrun.plugins.exchanges.embedded.matching import Matching
from pmrun.plugins.exchanges.embedded.order import (
    BUY,
    CANCELED,
    CANCELED_EXPIRED,
    CANCELED_INVALID,
    CANCELED_NO_MONEY,
    CANCELED_RESOLVED,
    FILLED,
    LIVE,
    PENDING,
    SELL,
    Order,
)
from pmrun.plugins.exchanges.embedded.settlement import CONFIRMED, FAILED, Leg, Settlements, redemption
from pmrun.plugins.exchanges.embedded.terms import (
    Cancels,
    Event,
    Levels,
    Placed,
    Refused,
    Resolved,
    SettlementPace,
    Ticket,
    TickMoved,
    TradeMoved,
)
from pmrun.runner.facts import MarketStatus
from pmrun.runner.grid import Grid
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import Cash, Micros, Price, Side, Size

# Why an order cannot be cancelled (reference 3.3).
NOT_FOUND: Final = "Order not found"
ALREADY_MATCHED: Final = "order already matched"
ALREADY_CANCELED: Final = "Order already canceled"


class Engine(EngineView):
    """All markets, orders and money of an exchange.

    Prices and sides of the crowd and of events of the book are those of YES, of tickets those of their token.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        pace: SettlementPace = SettlementPace(),
        seed: int = 0,
        lot: Size = Size(1),
    ) -> None:
        """Open markets with empty books and no money; all that trades is a multiple of `lot`."""
        floor = Floor(markets, lot)
        self._settlements = Settlements(floor.ledger, pace)
        super().__init__(floor, Matching(floor, self._settlements, seed))
        self._expiries: list[tuple[Micros, int, str]] = []

    # Money comes and goes.

    def deposit(self, wallet: str, amount: Cash, at: Micros) -> None:
        """Give a wallet collateral."""
        self._give(wallet, None, amount, at)

    def grant(self, wallet: str, token: TokenId, size: Size, at: Micros) -> None:
        """Give a wallet shares."""
        self._give(wallet, token, size, at)

    def withdraw(self, wallet: str, token: TokenId | None, amount: int, at: Micros) -> None:
        """Take collateral (None) or shares out of a wallet, as its owner may at any time on chain.

        Resting orders that are no longer covered are dropped, the newest first (reference 10, 9). Raises Unbalanced
        when even that does not leave enough.
        """
        self.advance(at)
        for order in reversed(list(self._floor.resting.values())):
            if self.spendable(wallet, token) >= amount:
                break
            if order.ticket.wallet == wallet and order.pays_with == token:
                self._floor.end(order, CANCELED_NO_MONEY, at)
        self._floor.publish(at)
        self._give(wallet, token, -amount, at)

    def _give(self, wallet: str, token: TokenId | None, amount: int, at: Micros) -> None:
        available = Account(wallet, Part.AVAILABLE)
        why = f"{'deposit' if amount >= 0 else 'withdrawal'} of {wallet}"
        self.ledger.post(at, why, moved(ISSUER, available, asset_of(token), amount))

    # Orders.

    def place(self, ticket: Ticket, at: Micros) -> Placed | Refused:
        """Match an order as far as it goes, and let the rest of it rest; or say why not (reference 3.1, 3.9)."""
        self.advance(at)
        found = self.where(ticket.token)
        if found is None:
            return Refused(NO_BOOK)
        floor, order = self._floor, Order(ticket, *found, at)
        sentence = refusal(floor, order, at)
        if sentence:
            return Refused(sentence)
        hits = floor.books[order.market].against(order.yes_side).reach(order.yes_price, ticket.size)
        sentence = refusal_to_match(floor, order, hits)
        if sentence:
            return Refused(sentence)
        floor.orders[ticket.order_id] = order
        floor.tell(order, "PLACEMENT", at)
        legs = self._matching.match(order, hits, at)
        if order.left and floor.rest(order, at) and order.ends_at is not None:
            heappush(self._expiries, (order.ends_at, len(floor.orders), ticket.order_id))
        floor.publish(at)
        return _answer(order, legs)

    def accept(self, ticket: Ticket, at: Micros) -> Refused | None:
        """Take an order and hold its escrow, to be matched when it enters; or say why not (V6)."""
        self.advance(at)
        found = self.where(ticket.token)
        if found is None:
            return Refused(NO_BOOK)
        floor, order = self._floor, Order(ticket, *found, at)
        sentence = refusal_to_accept(floor, order)
        if sentence:
            return Refused(sentence)
        order.status = PENDING
        floor.orders[ticket.order_id] = floor.pending[ticket.order_id] = order
        floor.cover(order, at)
        floor.tell(order, "PLACEMENT", at)
        return None

    def enter(self, order_id: str, at: Micros) -> None:
        """Match an order that waits, and let the rest of it rest; one that can no longer be matched ends (V2).

        Nothing happens to an order that ended while it waited.
        """
        self.advance(at)
        floor, order = self._floor, self._floor.pending.get(order_id)
        if order is None:
            return
        if not may_enter(floor, order):
            floor.end(order, CANCELED_INVALID, at)
            return
        del floor.pending[order_id]
        order.status = LIVE
        hits = floor.books[order.market].against(order.yes_side).reach(order.yes_price, order.left)
        self._matching.match(order, hits, at)
        if order.left:
            floor.rest(order, at)
            floor.tell(order, "UPDATE", at)
        else:
            floor.cover(order, at)  # what a better price left of its escrow is its owner's again
        floor.publish(at)

    def end(self, order_id: str, status: str, at: Micros) -> bool:
        """End an order that rests or waits, whoever wants it; False when it is over."""
        self.advance(at)
        order = self._floor.resting.get(order_id) or self._floor.pending.get(order_id)
        if order is not None:
            self._floor.end(order, status, at)
            self._floor.publish(at)
        return order is not None

    def cancel(self, api_key: str, order_ids: Sequence[str], at: Micros) -> Cancels:
        """Cancel orders of an owner; each that cannot be is answered with a reason (reference 3.3)."""
        self.advance(at)
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in dict.fromkeys(order_ids):
            order = self._floor.orders.get(order_id)
            if order is None or order.ticket.api_key != api_key:
                refused[order_id] = NOT_FOUND
            elif order_id not in self._floor.resting and order_id not in self._floor.pending:
                refused[order_id] = ALREADY_MATCHED if order.status == FILLED else ALREADY_CANCELED
            else:
                self._floor.end(order, CANCELED, at)
                canceled.append(order_id)
        self._floor.publish(at)
        return Cancels(tuple(canceled), refused)

    def cancel_where(
        self, api_key: str, at: Micros, condition: ConditionId | None = None, token: TokenId | None = None
    ) -> Cancels:
        """Cancel all orders of an owner, or those of a market or a token."""
        self.advance(at)
        chosen = [
            order.order_id
            for order in self.open_orders(api_key)
            if condition in (None, order.condition) and token in (None, order.token)
        ]
        return self.cancel(api_key, chosen, at)

    # Markets.

    def set_tick(self, market: int, tick: Price, at: Micros) -> None:
        """Change a market's tick; what rests off the new grid goes on resting (reference 5.2)."""
        self.advance(at)
        old = self.markets[market].tick
        if tick != old:
            self._floor.change(market, tick=Grid(tick).tick)
            self._floor.events.append(TickMoved(at, market, old, tick))
            self._floor.reset(market)
            self._floor.publish(at)

    def set_status(self, market: int, status: MarketStatus, at: Micros) -> None:
        """Open, halt or close a market; a halted one keeps its orders, one that is over does not."""
        self.advance(at)
        if self.status(market) in (status, MarketStatus.RESOLVED):
            return
        self._floor.status[market] = status
        self._floor.change(market, accepting_orders=status is MarketStatus.TRADING)
        if self._floor.over(market):
            self._floor.clear(market, CANCELED_RESOLVED if status is MarketStatus.RESOLVED else CANCELED, at)
        elif status is MarketStatus.TRADING:
            self._matching.uncross(market, at)
        self._floor.publish(at)

    def resolve(self, market: int, settled_yes: Price, at: Micros) -> None:
        """Give a market its answer: resting orders are cancelled and holders are paid."""
        self.set_status(market, MarketStatus.RESOLVED, at)
        if self.markets[market].settled_yes is None:
            self._floor.change(market, settled_yes=settled_yes)
            self._redeem(market, at)
            self._floor.events.append(Resolved(at, market, settled_yes))

    def _redeem(self, market: int, at: Micros) -> None:
        terms = self.markets[market]
        movements = [] if terms.settled_yes is None else redemption(self.ledger, terms, terms.settled_yes)
        if movements:
            self.ledger.post(at, f"redemption of {terms.condition}", movements)

    # The crowd.

    def crowd_set(self, market: int, side: Side, price: Price, size: Size, at: Micros) -> None:
        """Make the crowd's whole size at a price `size`: more joins the tail, less leaves pro rata.

        What comes through orders of ours trades with them; the crowd does not trade with itself.
        """
        self.advance(at)
        if not self._floor.over(market):
            self._matching.crowd_becomes(market, side, price, self._whole(size), at)
            self._floor.publish(at)

    def crowd_snapshot(self, market: int, bids: Levels, asks: Levels, at: Micros) -> None:
        """Replace all that the crowd has in a market: what leaves first, then what comes."""
        self.advance(at)
        if self._floor.over(market):
            return
        wanted = {
            side: {price: self._whole(size) for price, size in levels} for side, levels in ((BUY, bids), (SELL, asks))
        }
        for side, levels in wanted.items():
            for price, size in self.crowd_levels(market, side).items():
                left = min(size, levels.get(price, Size(0)))
                self._matching.crowd_becomes(market, side, price, left, at)
        for side, levels in wanted.items():
            for price, size in levels.items():
                self._matching.crowd_becomes(market, side, price, size, at)
        self._floor.reset(market)
        self._floor.publish(at)

    def crowd_take(self, market: int, side: Side, price: Price, size: Size, at: Micros) -> None:
        """Let the crowd take up to `size` at a price or better, by price, then time; what finds nothing vanishes."""
        self.advance(at)
        hits = self._floor.books[market].against(side).reach(price, self._whole(size))
        if hits and self._floor.trading(market):
            self._matching.crowd_take(market, side, price, hits, at)
            self._floor.publish(at)

    def _whole(self, size: Size) -> Size:
        return Size(size - size % self._floor.lot)

    # Time.

    def next_due(self) -> Micros | None:
        """Return when the next settlement moves on or the next order expires."""
        while self._expiries and self._expiries[0][2] not in self._floor.resting:
            heappop(self._expiries)
        settles = self._settlements.next_due()
        if not self._expiries:
            return settles
        expires = self._expiries[0][0]
        return expires if settles is None else min(settles, expires)

    def drain(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._floor.events = self._floor.events, []
        return events

    def fail_next_settlement(self, n: int = 1) -> None:
        """Let the next `n` trades that would be mined fail instead: MATCHED, then FAILED."""
        self._settlements.fail_next(n)

    def retry_next_settlement(self, n: int = 1) -> None:
        """Let the next `n` trades that would be mined be tried again first: MATCHED, RETRYING, MINED, CONFIRMED."""
        self._settlements.retry_next(n)

    def advance(self, until: Micros) -> None:
        """Do what is due, in order of time: settlements move on and orders expire."""
        due = self.next_due()
        while due is not None and due <= until:
            if self._expiries and self._expiries[0][0] == due:
                self._floor.end(self._floor.resting[heappop(self._expiries)[2]], CANCELED_EXPIRED, due)
                self._floor.publish(due)
            else:
                self._settle(due)
            due = self.next_due()

    def _settle(self, at: Micros) -> None:
        trade = self._settlements.step()
        self._floor.events.append(TradeMoved(at, trade))
        found = self.where(trade.token)
        if trade.status in (CONFIRMED, FAILED) and found is not None:
            self._redeem(found[0], at)


def _answer(order: Order, legs: Sequence[Leg]) -> Placed:
    """Say what an order gave and got at once, without the fee."""
    if not legs:
        return Placed(order_id=order.ticket.order_id, status="live")
    return Placed(
        order_id=order.ticket.order_id,
        status="matched",
        making=sum(leg.gives[1] for leg in legs) - _fees(legs, BUY),
        taking=sum(leg.gets[1] for leg in legs) + _fees(legs, SELL),
        trades=tuple(order.trades),
    )


def _fees(legs: Iterable[Leg], side: Side) -> int:
    return sum(leg.fee for leg in legs if leg.side is side)
