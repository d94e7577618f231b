"""Learning: what facts of markets, orders and money change in what the desk knows, and where it has to decide again."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import astuple, replace

from pmrun.runner.acting import Acting
from pmrun.runner.book import Book
from pmrun.runner.desk_settings import DeskSettings
from pmrun.runner.facts import (
    BookChanged,
    Carried,
    Fact,
    Filled,
    FundsSeen,
    HoldingSeen,
    Listed,
    MarketStatus,
    Merged,
    OrderFound,
    OrderNews,
    Printed,
    Settled,
    StatusChanged,
    TickChanged,
)
from pmrun.runner.fills import Fill
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Drop, Halt, Observed, Reason
from pmrun.runner.known import Known
from pmrun.runner.market import MarketNo
from pmrun.runner.market_state import MarketState
from pmrun.runner.orders import Order, OrderNo, Purpose, Settlement, State
from pmrun.runner.units import Cash, Micros, Side
from pmrun.runner.universe import Universe

_FIELDS: Final = astuple  # one call for all fields of a fact, where reading them one by one is several look-ups
QUOTE: Final = Purpose.QUOTE  # looking a member up in its class costs more than the comparison
REJECTED: Final = State.REJECTED
SELL: Final = Side.SELL


class Learning:
    """Takes facts in, lets the components observe them, and marks the markets to be decided again."""

    def __init__(self, hooks: Hooks, settings: DeskSettings, known: Known, acting: Acting, universe: Universe) -> None:
        """Find out which facts the components want to hear of."""
        self._hooks = hooks
        self._settings = settings
        self._known = known
        self._account = known.account
        self._markets = known.markets
        self._orders = known.orders
        self._acting = acting
        self._universe = universe
        self._holds_us = settings.book_holds_us
        self._every = settings.pace.every
        self._merges = bool(settings.merge_from)
        self._hedges_events = hooks.hedges_events
        self._hears_news = hooks.observed(OrderNews)
        self._hears_books = hooks.observed(BookChanged)
        self.learners: dict[type[Any], Callable[[Any], None]] = {
            Listed: self._listed,
            BookChanged: self.book_changed,
            Printed: self._printed,
            TickChanged: self._tick_changed,
            StatusChanged: self._status_changed,
            FundsSeen: self._funds_seen,
            HoldingSeen: self._holding_seen,
            OrderFound: self._order_found,
            OrderNews: self.order_news,
            Filled: self._filled,
            Settled: self._settled,
            Merged: self._merged,
            Carried: hooks.restore,
        }

    def tell(self, fact: Fact, no: MarketNo | None, order: Order | None) -> None:
        """Let the components learn; one that fails may judge wrongly from now on, so its markets are halted."""
        try:
            self._hooks.observe(fact, no, order)
        except Exception as error:
            self.failed(error, no)

    def failed(self, error: Exception, no: MarketNo | None) -> None:
        """Halt what a component that raised has a say in."""
        self._observe_oddity("component_failed", {"error": f"{type(error).__name__}: {error}"})
        self._halt(None if no is None else self._markets.get(no), "component_failed", OrderNo(0))

    def _listed(self, fact: Listed) -> None:
        if fact.market in self._markets:
            return  # told twice
        state = MarketState(fact.market, fact.terms, self._account.inventory(fact.market))
        self._markets[fact.market] = state
        joins = self._hooks.counts_events or (self._hooks.hedges_events and fact.terms.neg_risk)
        if joins and fact.terms.event is not None:
            self._join(fact.market, fact.terms.event)
        self.tell(fact, fact.market, None)
        reason = self._universe.listed(fact.market, fact.terms, fact.at)
        if reason is not None:
            self._acting.out.append(Drop(self._known.now, fact.market, reason))

    def _join(self, no: MarketNo, event: str) -> None:
        """Remember which markets belong together."""
        siblings = next(
            (found for other, found in self._known.siblings.items() if self._markets[other].terms.event == event), []
        )
        siblings.append(no)
        self._known.siblings[no] = siblings

    def book_changed(self, fact: BookChanged) -> None:
        """Take a new book."""
        no, book = fact.market, fact.book
        state = self._markets.get(no)
        if state is None:
            return
        if self._holds_us:
            state.own.before(state.observed, state.orders, self._known.now)
            state.own.after(book, self._known.now)
        state.observed = book
        if book.best_bid is not None or book.best_ask is not None:
            state.mark = book.mark_half
        state.book = self._without_us(state) if self._holds_us else book
        if self._hears_books:
            self.tell(fact, no, None)
        self._known.dirty[no] = None
        if self._hedges_events:
            self._known.book_moved(no)
        self._known.due = True

    def _without_us(self, state: MarketState) -> Book | None:
        return None if state.observed is None else state.own.without(state.observed)

    def _printed(self, fact: Printed) -> None:
        self.tell(fact, fact.market, None)

    def _tick_changed(self, fact: TickChanged) -> None:
        state = self._markets.get(fact.market)
        if state is not None:
            state.grid = Grid(fact.tick)
            state.quoted.clear()
            state.terms = replace(state.terms, tick=fact.tick)
            self.tell(fact, fact.market, None)
            self._touch(state)

    def _status_changed(self, fact: StatusChanged) -> None:
        state = self._markets.get(fact.market)
        if state is None:
            return
        state.status = fact.status
        if fact.status is MarketStatus.RESOLVED and fact.settled_yes is not None:
            self._account.redeem(fact.market, fact.settled_yes)
            self._release_funds()
        self.tell(fact, fact.market, None)
        self._touch(state)

    def _funds_seen(self, fact: FundsSeen) -> None:
        self._account.funds.total = fact.total
        self._release_funds()
        self.tell(fact, None, None)

    def _holding_seen(self, fact: HoldingSeen) -> None:
        """Take over what is held; shares bought and not settled would be counted twice, so they halt the market."""
        state = self._markets.get(fact.market)
        if state is None or state.inventory.of(fact.outcome).pending:
            self._observe_oddity("impossible_holding", {"market": fact.market, "size": fact.size})
            if state is not None:
                self._halt(state, "impossible_holding", OrderNo(0))
            return
        self._account.seen(fact.market, fact.outcome, fact.size, fact.cost)
        self.tell(fact, fact.market, None)
        self._touch(state, now=self._hooks.hedges)

    def _order_found(self, fact: OrderFound) -> None:
        """Adopt an order that an earlier session left resting: it is known from here on, and can be cancelled."""
        state = self._markets.get(fact.market)
        if state is None or fact.filled >= fact.size or fact.order in self._orders:
            return self._observe_oddity("impossible_order", {"market": fact.market, "id": fact.exchange_order_id})
        if any(order.exchange_order_id == fact.exchange_order_id for order in state.orders.values()):
            return None  # told twice
        order = self._acting.adopt(state, fact)
        self.tell(fact, fact.market, order)
        return self._touch(state)

    def order_news(self, fact: OrderNews) -> None:
        """Learn anything but a fill of an order: of all facts, the one that comes most."""
        _, no, news, _, exchange_order_id, ws, rest = _FIELDS(fact)
        order = self._orders.get(no)
        if order is None:
            return self._observe_oddity("unknown_order", {"order": no, "news": str(news)})
        state, kept = order.state, order.kept
        if not order.learn(news, self._known.now, exchange_order_id, ws, rest):
            return self._observe_oddity("impossible_news", {"order": no, "state": str(state), "news": str(news)})
        changed = order.state is not state
        if changed and order.state is REJECTED:
            self._rejected(order)
        self._acting.update(order, kept)
        if self._hears_news:
            self.tell(fact, order.market, order)
        if changed:
            self._moved_on(order)
        return None

    def _rejected(self, order: Order) -> None:
        """Count rejections in a row: the same order again is put off."""
        now = self._known.now
        rejected = self._markets[order.market].rejected
        slot = (order.book_side, order.purpose)
        rejected[slot] = (now, rejected.get(slot, (now, 0))[1] + 1)
        if order.covers_elsewhere:
            self._known.turned_down(order.market, Micros(now + self._settings.retry_pause))

    def _moved_on(self, order: Order) -> None:
        """Decide again where an order's new state changes what may be done; a cancel we asked for changes nothing.

        Where an order waited for this one to leave, the decision is taken already and is carried out now.
        """
        known, state = self._known, self._markets[order.market]
        if order.in_play:
            if state.rejected:
                state.rejected.pop((order.book_side, order.purpose), None)
            if known.pulled and order.no in known.pulled:
                known.pulled.discard(order.no)
                self._acting.cancel(order, Reason("pulled", "desk"))
            if order.purpose is not QUOTE:  # an exit that rests ends a row of failures: another may be due
                self._touch(state, now=True)
            elif self._holds_us or (known.for_answer and state.no in known.for_answer):
                self._touch(state, now=known.stopped is not None)
            return
        if known.pulled:
            known.pulled.discard(order.no)
        if order.purpose is not QUOTE or (known.for_room and state.no in known.for_room):
            self._touch(state, now=True)
        elif not order.cancel_sent or (self._merges and order.side is SELL):
            self._touch(state)  # what an ask had promised may make a pair
        if known.for_funds:
            self._release_funds()

    def _release_funds(self) -> None:
        """Look again at the markets that lacked cash."""
        short, self._known.for_funds = self._known.for_funds, set()
        for no in sorted(short):
            self._touch(self._markets[no])

    def _filled(self, fact: Filled) -> None:
        if (fact.trade, fact.order) in self._account.fills:
            return  # told twice
        order = self._orders.get(fact.order)
        if order is None:
            self._observe_oddity("fill_of_unknown_order", {"order": fact.order, "trade": fact.trade})
            self._halt(None, "fill_of_unknown_order", fact.order)
            return
        kept = order.kept
        if not order.learn_fill(fact.size, fact.cash, self._known.now):
            self._observe_oddity("impossible_fill", {"order": fact.order, "state": str(order.state), "size": fact.size})
            self._halt(self._markets[order.market], "impossible_fill", fact.order)
            return
        self._acting.update(order, kept)
        fees = self._markets[order.market].terms.fees
        self._account.book(
            Fill(
                trade=fact.trade,
                order=order.no,
                market=order.market,
                outcome=order.outcome,
                side=order.side,
                price=fact.price,
                size=fact.size,
                cash=fact.cash,
                fee=fact.fee,
                rebate=fees.rebate(fact.price, fact.size) if fact.maker else Cash(0),
                maker=fact.maker,
                at=self._known.now,
            )
        )
        settled_yes = self._markets[order.market].inventory.settled_yes
        if settled_yes is not None:  # matched before the end, told after it
            self._account.redeem(order.market, settled_yes)
        self.tell(fact, order.market, order)
        self._touch(self._markets[order.market], now=self._hooks.hedges)  # a fill is hedged at once (R9)
        if self._known.for_funds:
            self._release_funds()

    def _settled(self, fact: Settled) -> None:
        if (fact.trade, fact.order) not in self._account.fills and fact.order in self._orders:
            self._account.settle_when_filled(fact.trade, fact.order, fact.status)
            return
        moved = self._account.settle(fact.trade, fact.order, fact.status)
        if moved is None:
            self._observe_oddity(
                "impossible_settlement", {"order": fact.order, "trade": fact.trade, "status": str(fact.status)}
            )
        if not moved:
            return
        order = self._orders.get(fact.order)
        fill = self._account.fills[fact.trade, fact.order]
        self.tell(fact, fill.market, order)
        if fact.status in (Settlement.CONFIRMED, Settlement.FAILED):
            self._touch(self._markets[fill.market], now=self._hooks.hedges)
            self._release_funds()

    def _merged(self, fact: Merged) -> None:
        """Book the answer to a merge; a refused one is not asked for again, as the next would be refused too."""
        state = self._markets.get(fact.market)
        asked = None if state is None else state.merging
        if 0 < fact.no <= self._acting.merges and (asked is None or asked.no != fact.no):
            return  # told twice
        if state is None or asked is None or fact.size > asked.size:
            self._observe_oddity("impossible_merge", {"market": fact.market, "merge": fact.no, "size": fact.size})
            self._halt(state, "impossible_merge", OrderNo(0))
            return
        state.merging = None
        self._account.promise_pairs(state.no, -asked.size)
        if fact.size:
            self._account.merge(state.no, fact.size, fact.cash)
            if state.inventory.settled_yes is not None:  # merged before the end, told after it
                self._account.redeem(state.no, state.inventory.settled_yes)
        else:
            state.unmergeable = True
            if state.inventory.settled_yes is None:
                numbers: dict[str, int | float | str] = {"market": state.no, "pairs": asked.size, "reason": fact.reason}
                self._observe_oddity("merge_refused", numbers)
        self.tell(fact, state.no, None)
        self._touch(state)
        if self._known.for_funds:
            self._release_funds()

    def _touch(self, state: MarketState, now: bool = False) -> None:
        """Something other than the book changed: decide now, or at the next decision time."""
        known = self._known
        if self._holds_us:
            state.book = self._without_us(state)
        known.dirty[state.no] = None
        if known.siblings:
            known.stake_changed(state.no)
        if now or not self._every:
            known.due = True

    def _halt(self, state: MarketState | None, code: str, order: OrderNo) -> None:
        for market in self._markets.values() if state is None else (state,):
            market.halted = True
            if self._hooks.hedges_events:
                self._known.stake_changed(market.no)
            self._acting.pull(market, Reason(code, "desk"))
        no = None if state is None else state.no
        reason = Reason(code, "desk", {"order": order} if order else {})
        self._known.halts.began(reason, self._known.now, no)
        self._acting.out.append(Halt(self._known.now, no, reason))

    def _observe_oddity(self, code: str, numbers: dict[str, int | float | str]) -> None:
        self._acting.out.append(Observed(self._known.now, Reason(code, "desk", numbers)))
