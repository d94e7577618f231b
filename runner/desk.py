"""The desk: a plain function of the facts it was told, which answers with what we now want done."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from pmrun.runner.book import Book, without_own
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    FeedEnded,
    FeedLost,
    FeedRestored,
    Filled,
    FundsSeen,
    HoldingSeen,
    Listed,
    MarketStatus,
    OrderFound,
    OrderNews,
    Printed,
    Settled,
    StatusChanged,
    TickChanged,
    TimerDue,
    Together,
)
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import Check, Hooks, NoQuote, Quote, Unhedged, Wanted
from pmrun.runner.intents import Cancel, CancelAll, Drop, Halt, Intent, Observed, Place, Reason, Refuse, Select
from pmrun.runner.inventory import Account, Fill, Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import ENDED, Impossible, Order, OrderNo, Purpose, Settlement, State
from pmrun.runner.reconcile import Pair, reconcile
from pmrun.runner.units import ONE, Cash, HalfPrice, Micros, Price, Side, Size, cash_paid, complement
from pmrun.runner.universe import MarketProspect, Rescan, Scanned, Universe

_NO_TIME: Final = Micros(-(2**62))
BUY: Final = Side.BUY  # looking a member up in its class costs more than the comparison
SELL: Final = Side.SELL
YES: Final = Outcome.YES
NO: Final = Outcome.NO
QUOTE: Final = Purpose.QUOTE
TRADING: Final = MarketStatus.TRADING
PENDING_SUBMIT: Final = State.PENDING_SUBMIT
REJECTED: Final = State.REJECTED


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When quotes are decided (R12): at once (`every` 0), or on a clock with an offset from the first fact."""

    every: Micros = Micros(0)
    offset: Micros = Micros(0)

    def next(self, origin: Micros, at: Micros) -> Micros:
        """Return the first decision time at or after a moment."""
        every = self.every
        if not every:
            return at
        first = origin + self.offset
        return Micros(first - (first - at) // every * every) if at > first else Micros(first)


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a desk behaves, whatever its components are."""

    pace: Pace = Pace()
    max_markets: int = 0  # 0: no limit
    gated: bool = True  # evaluate a market only when something it depends on changed
    sell_holdings: bool = True  # offer shares that are held before buying the complement (R4a)
    book_holds_us: bool = False  # the observed book shows our own orders (live) or not (tape)
    remember: Micros = Micros(3_600_000_000)  # how long an ended order is kept for late news
    retry_after: Micros = Micros(1_000_000)  # how long a rejected order is not tried again (R15)
    retry_limit: int = 3  # how often in a row it is tried again that soon (R15)
    retry_pause: Micros = Micros(60_000_000)  # how long it is left alone then
    recheck_after: Micros = Micros(500_000)  # how long uncovered shares wait for a new look (R10)
    rescan: Rescan = Rescan()
    clean_start: bool = False  # cancel what an earlier session left bidding, before anything else (R13)
    leave_hedges: bool = False  # at the end cancel bids and quotes only; hedges go on working (R13)
    stop_only: bool = False  # cancel what bids, and end (R13)


class MarketState:
    """What the desk knows of one market."""

    __slots__ = (
        "book",
        "gaps",
        "grid",
        "halted",
        "inventory",
        "mark",
        "no",
        "observed",
        "orders",
        "refused",
        "rejected",
        "selected",
        "status",
        "terms",
        "unhedged",
        "unsafe",
    )

    def __init__(self, no: MarketNo, terms: Market, inventory: Inventory) -> None:
        """Start without a book."""
        self.no = no
        self.terms = terms
        self.inventory = inventory
        self.grid = Grid(terms.tick)
        self.status = MarketStatus.TRADING
        self.halted = False
        self.observed: Book | None = None
        self.mark: HalfPrice | None = None  # what holdings are valued at; outlives a lost feed
        self.book: Book | None = None  # the observed book minus our own resting orders (O12)
        self.orders: dict[OrderNo, Order] = {}  # in play
        # By side of the YES book: a quote may rest as either token.
        self.refused: dict[Side, tuple[str, ...]] = {}
        self.rejected: dict[tuple[Side, Purpose], tuple[Micros, int]] = {}  # when last, and how often in a row
        self.selected = False  # whether it is quoted; holdings are hedged either way
        self.unsafe: set[Side] = set()  # sides of the YES book that a check spoke against in this decision (R3)
        self.gaps: dict[Outcome, Unhedged] = {}  # what hedging covers with nothing, in this decision
        self.unhedged: dict[Outcome, str] = {}  # why shares are not covered, as said last

    def blocked(self) -> str | None:
        """Return the code of what keeps the market from being quoted at all."""
        if self.halted or self.status is not TRADING:
            return "halted" if self.halted else str(self.status)
        book = self.book
        if book is None:
            return "no_book"
        if not book.bids or not book.asks:
            return "one_sided_book"
        return None if book.bids[0][0] < book.asks[0][0] else "crossed_book"


class Desk:
    """Turns facts into intents: synchronous, without clock, I/O or randomness of its own."""

    def __init__(self, hooks: Hooks, settings: DeskSettings = DeskSettings(), name: str = "pmrun") -> None:
        """Take the components and the settings; `name` starts every client order id."""
        self.hooks = hooks
        self.settings = settings
        self.account = Account()
        self.markets: dict[MarketNo, MarketState] = {}
        self.universe = Universe(hooks, settings.max_markets, settings.rescan)
        self.orders: dict[OrderNo, Order] = {}
        self._name = name
        self._ended: deque[tuple[Micros, OrderNo]] = deque()
        self._last_order = 0
        self._now = _NO_TIME
        self._origin: Micros | None = None
        self._dirty: dict[MarketNo, None] = {}
        self._due = False  # a moment at which quotes are decided has come
        self._waits: dict[MarketNo, Micros] = {}  # when a resting order may make way
        self._for_room: set[MarketNo] = set()  # where an order waits for another one to leave
        self._for_answer: set[MarketNo] = set()  # where an order cannot be moved before it is answered
        self._for_funds: set[MarketNo] = set()  # where an order was refused for want of cash
        self._wakes: dict[MarketNo, Micros] = {}  # when a component may change its mind
        self._stopped: str | None = None
        self._out: list[Intent] = []
        self._hears_news = hooks.observed(OrderNews)
        self._hears_books = hooks.observed(BookChanged)
        self._learn: dict[type[Any], Callable[[Any], None]] = {
            Listed: self._listed,
            BookChanged: self._book_changed,
            Printed: self._printed,
            TickChanged: self._tick_changed,
            StatusChanged: self._status_changed,
            FundsSeen: self._funds_seen,
            HoldingSeen: self._holding_seen,
            OrderFound: self._order_found,
            OrderNews: self._order_news,
            Filled: self._filled,
            Settled: self._settled,
            TimerDue: self._timer_due,
            FeedLost: self._feed_lost,
            FeedRestored: self._feed_restored,
            FeedEnded: self._feed_ended,
            Together: self._together,
        }

    # What the shell calls.

    def handle(self, fact: Fact) -> list[Intent]:
        """Learn a fact; return what we now want done, with the refusals that are new."""
        out: list[Intent] = []
        self._out = out
        if fact.at > self._now:
            self._now = fact.at
        if self._origin is None:
            self._begin()
        if self._wakes and type(fact) is not TimerDue and min(self._wakes.values()) <= self._now:
            # Something else happens at the moment a component waited for: its time has come all the same.
            self._tell(TimerDue(self._now), None, None)
        self._learn[type(fact)](fact)
        rescan = self.universe.rescan_at
        if self._due or (rescan is not None and rescan <= self._now):
            self._decide_due()
        return out

    def _begin(self) -> None:
        """Count decision times and rescans from the first fact; cancel what an earlier session left bidding (R13)."""
        self._origin = self._now
        self.universe.begin(self._now)
        if self.settings.stop_only:
            self._out.append(CancelAll(self._now, Reason("stop_only", "desk"), BUY))
        elif self.settings.clean_start:
            self._out.append(CancelAll(self._now, Reason("clean_start", "desk"), BUY))

    @property
    def wake(self) -> Micros | None:
        """When the desk wants a TimerDue if nothing else happens before."""
        rescan = None if self._stopped is not None else self.universe.rescan_at
        if not (self._dirty or self._waits or self._wakes):
            return rescan
        wakes = [*self._waits.values(), *self._wakes.values()]
        if self._dirty:
            wakes.append(self.decision_after(self._now))
        if rescan is not None:
            wakes.append(rescan)
        return min(wakes)

    def decision_after(self, at: Micros) -> Micros:
        """Return the first decision time at or after a moment: what the feed conflates to."""
        return self.settings.pace.next(at if self._origin is None else self._origin, at)

    def in_play(self) -> Iterator[Order]:
        """Iterate over all orders that can still fill."""
        for state in self.markets.values():
            yield from state.orders.values()

    def equity(self) -> Cash:
        """Return cash plus everything held at the mid; a market whose book was never seen counts at cost."""
        total = self.account.funds.total
        for no, inventory in self.account.markets():
            total += self.value(no, inventory)
        return Cash(total)

    def value(self, no: MarketNo, inventory: Inventory) -> Cash:
        """Return what a market's holdings are worth at the last mark of its book."""
        state = self.markets.get(no)
        return inventory.cost if state is None or state.mark is None else inventory.value(state.mark)

    # Learning.

    def _tell(self, fact: Fact, no: MarketNo | None, order: Order | None) -> None:
        """Let the components learn; one that fails may judge wrongly from now on, so its markets are halted."""
        try:
            self.hooks.observe(fact, no, order)
        except Exception as error:
            self._failed(error, no)

    def _failed(self, error: Exception, no: MarketNo | None) -> None:
        self._observe_oddity("component_failed", {"error": f"{type(error).__name__}: {error}"})
        self._halt(None if no is None else self.markets.get(no), "component_failed", OrderNo(0))

    def _together(self, fact: Together) -> None:
        learn = self._learn
        for one in fact.facts:
            learn[type(one)](one)

    def _listed(self, fact: Listed) -> None:
        if fact.market in self.markets:
            return  # told twice
        state = MarketState(fact.market, fact.terms, self.account.inventory(fact.market))
        self.markets[fact.market] = state
        self._tell(fact, fact.market, None)
        reason = self.universe.listed(fact.market, fact.terms, fact.at)
        if reason is not None:
            self._out.append(Drop(self._now, fact.market, reason))

    def _book_changed(self, fact: BookChanged) -> None:
        state = self.markets.get(fact.market)
        if state is None:
            return
        state.observed = fact.book
        if fact.book.bids or fact.book.asks:
            state.mark = fact.book.mark_half
        state.book = self._without_us(state) if self.settings.book_holds_us else fact.book
        if self._hears_books:
            self._tell(fact, fact.market, None)
        self._dirty[fact.market] = None
        self._due = True

    def _without_us(self, state: MarketState) -> Book | None:
        if state.observed is None:
            return None
        ours = (
            (order.book_side, order.yes_price, order.remaining)
            for order in state.orders.values()
            if order.state in (State.LIVE, State.PARTIALLY_FILLED)
        )
        return without_own(state.observed, ours)

    def _printed(self, fact: Printed) -> None:
        self._tell(fact, fact.market, None)

    def _tick_changed(self, fact: TickChanged) -> None:
        state = self.markets.get(fact.market)
        if state is not None:
            state.grid = Grid(fact.tick)
            state.terms = replace(state.terms, tick=fact.tick)
            self._tell(fact, fact.market, None)
            self._touch(state)

    def _status_changed(self, fact: StatusChanged) -> None:
        state = self.markets.get(fact.market)
        if state is None:
            return
        state.status = fact.status
        if fact.status is MarketStatus.RESOLVED and fact.settled_yes is not None:
            self.account.redeem(fact.market, fact.settled_yes)
            self._release_funds()
        self._tell(fact, fact.market, None)
        self._touch(state)

    def _funds_seen(self, fact: FundsSeen) -> None:
        self.account.funds.total = fact.total
        self._release_funds()
        self._tell(fact, None, None)

    def _holding_seen(self, fact: HoldingSeen) -> None:
        """Take over what is held; shares bought and not settled would be counted twice, so they halt the market."""
        state = self.markets.get(fact.market)
        if state is None or state.inventory.of(fact.outcome).pending:
            self._observe_oddity("impossible_holding", {"market": fact.market, "size": fact.size})
            if state is not None:
                self._halt(state, "impossible_holding", OrderNo(0))
            return
        self.account.seen(fact.market, fact.outcome, fact.size, fact.cost)
        self._tell(fact, fact.market, None)
        self._touch(state, now=self.hooks.hedges)

    def _order_found(self, fact: OrderFound) -> None:
        """Adopt an order that an earlier session left resting: it is known from here on, and can be cancelled."""
        state = self.markets.get(fact.market)
        if state is None or fact.filled >= fact.size:
            return self._observe_oddity("impossible_order", {"market": fact.market, "id": fact.exchange_order_id})
        if any(order.exchange_order_id == fact.exchange_order_id for order in state.orders.values()):
            return None  # told twice
        self._last_order += 1
        order = Order(
            no=OrderNo(self._last_order),
            client_order_id=f"{self._name}-{self._last_order}",
            market=fact.market,
            outcome=fact.outcome,
            side=fact.side,
            price=fact.price,
            size=fact.size,
            purpose=QUOTE if fact.side is BUY else Purpose.HEDGE,
            post_only=True,
            placed_at=self._now,
            basis="found",
            state=State.PARTIALLY_FILLED if fact.filled else State.LIVE,
            exchange_order_id=fact.exchange_order_id,
            submitted_at=self._now,
            last_event_at=self._now,
            filled=fact.filled,
            paid=cash_paid(fact.price, fact.filled),
        )
        self.orders[order.no] = state.orders[order.no] = order
        self.account.reserve(None, order)
        self._tell(fact, fact.market, order)
        return self._touch(state)

    def _order_news(self, fact: OrderNews) -> None:
        order = self.orders.get(fact.order)
        if order is None:
            return self._observe_oddity("unknown_order", {"order": fact.order, "news": str(fact.news)})
        after = order.after(fact.news, self._now, fact.exchange_order_id, fact.ws, fact.rest)
        if type(after) is Impossible:
            return self._observe_oddity(
                "impossible_news", {"order": fact.order, "state": str(after.state), "news": str(after.news)}
            )
        assert type(after) is Order
        changed = order.state is not after.state
        if changed and after.state is REJECTED:
            rejected = self.markets[order.market].rejected
            slot = (order.book_side, order.purpose)
            rejected[slot] = (self._now, rejected.get(slot, (self._now, 0))[1] + 1)
        self._update(order, after)
        if self._hears_news:
            self._tell(fact, order.market, after)
        if changed:
            self._moved_on(order, after)
        return None

    def _moved_on(self, before: Order, after: Order) -> None:
        """Decide again where an order's new state changes what may be done; a cancel we asked for changes nothing.

        Where an order waited for this one to leave, the decision is taken already and is carried out now.
        """
        no = after.market
        if after.state not in ENDED:
            if self.markets[no].rejected:
                self.markets[no].rejected.pop((after.book_side, after.purpose), None)
            if no in self._for_answer or self.settings.book_holds_us:
                self._touch(self.markets[no], now=self._stopped is not None)
            return
        if no in self._for_room or after.purpose is not QUOTE:
            self._touch(self.markets[no], now=True)
        elif not before.cancel_sent:
            self._touch(self.markets[no])
        if self._for_funds:
            self._release_funds()

    def _release_funds(self) -> None:
        """Look again at the markets that lacked cash."""
        short, self._for_funds = self._for_funds, set()
        for no in sorted(short):
            self._touch(self.markets[no])

    def _filled(self, fact: Filled) -> None:
        if (fact.trade, fact.order) in self.account.fills:
            return  # told twice
        order = self.orders.get(fact.order)
        if order is None:
            self._observe_oddity("fill_of_unknown_order", {"order": fact.order, "trade": fact.trade})
            self._halt(None, "fill_of_unknown_order", fact.order)
            return
        after = order.after_fill(fact.size, fact.cash, self._now)
        if isinstance(after, Impossible):
            self._observe_oddity("impossible_fill", {"order": fact.order, "state": str(after.state), "size": fact.size})
            self._halt(self.markets[order.market], "impossible_fill", fact.order)
            return
        self._update(order, after)
        fees = self.markets[order.market].terms.fees
        self.account.book(
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
                at=self._now,
            )
        )
        settled_yes = self.markets[order.market].inventory.settled_yes
        if settled_yes is not None:  # matched before the end, told after it
            self.account.redeem(order.market, settled_yes)
        self._tell(fact, order.market, after)
        self._touch(self.markets[order.market], now=self.hooks.hedges)  # a fill is hedged at once (R9)
        if self._for_funds:
            self._release_funds()

    def _settled(self, fact: Settled) -> None:
        if (fact.trade, fact.order) not in self.account.fills and fact.order in self.orders:
            self.account.settle_when_filled(fact.trade, fact.order, fact.status)
            return
        moved = self.account.settle(fact.trade, fact.order, fact.status)
        if moved is None:
            self._observe_oddity(
                "impossible_settlement", {"order": fact.order, "trade": fact.trade, "status": str(fact.status)}
            )
        if not moved:
            return
        order = self.orders.get(fact.order)
        fill = self.account.fills[fact.trade, fact.order]
        self._tell(fact, fill.market, order)
        if fact.status in (Settlement.CONFIRMED, Settlement.FAILED):
            self._touch(self.markets[fill.market], now=self.hooks.hedges)
            self._release_funds()

    def _timer_due(self, fact: TimerDue) -> None:
        self._tell(fact, None, None)
        later = self._now + 1
        for no in self.markets:
            if min(self._waits.get(no, later), self._wakes.get(no, later)) <= self._now:
                self._dirty[no] = None
        self._due = True

    def _feed_lost(self, fact: FeedLost) -> None:
        self._tell(fact, None, None)
        for state in self.markets.values():
            state.observed = state.book = None
        self._pull_all("feed_lost")

    def _feed_restored(self, fact: FeedRestored) -> None:
        self._tell(fact, None, None)

    def _feed_ended(self, fact: FeedEnded) -> None:
        self._tell(fact, None, None)
        self.stop("feed_ended")

    def stop(self, code: str) -> None:
        """Quote and hedge nothing any more, and pull what rests; hedges stay where the settings say so (R13)."""
        self._stopped = code
        if self.settings.stop_only:
            return  # the bids are cancelled already, and nothing else was to be
        if not self.settings.leave_hedges:
            self._pull_all(code)
            return
        for state in self.markets.values():
            for order in list(state.orders.values()):
                if order.purpose is QUOTE:
                    self._cancel(order, Reason(code, "desk"))

    # Deciding.

    def _touch(self, state: MarketState, now: bool = False) -> None:
        """Something other than the book changed: decide now, or at the next decision time."""
        if self.settings.book_holds_us:
            state.book = self._without_us(state)
        self._dirty[state.no] = None
        if now or not self.settings.pace.every:
            self._due = True

    def _decide_due(self) -> None:
        """Decide every market that changed, in order of listing, once all that is told at this moment is learned."""
        self._due = False
        if self._stopped is None:
            if self.universe.due(self._now):
                self._rescan()
            elif self.universe.waiting:
                self._admit()
        due = sorted(self._dirty) if self.settings.gated else list(self.markets)
        self._dirty.clear()
        for no in due:
            self._decide(self.markets[no])

    def _admit(self) -> None:
        """Judge the markets whose book came for the first time."""
        waiting = self.universe.waiting
        self._select([self.markets[no] for no in self._dirty if no in waiting], anew=False)

    def _rescan(self) -> None:
        """Select anew among all markets; without `keep`, every quote is cancelled first (R12)."""
        if not self.settings.rescan.keep:
            for state in self.markets.values():
                for order in self._replaceable(state):
                    if order.purpose is QUOTE:
                        self._cancel(order, Reason("rescan", "universe"))
        self._select(list(self.markets.values()), anew=True)

    def _select(self, states: list[MarketState], anew: bool) -> None:
        if not states:
            return
        selected, dropped = self.universe.scan(states, self._prospect, self._now, anew)
        for state in states:
            no = state.no
            chosen = selected.get(no)
            if chosen is not None:
                self._out.append(Select(self._now, no, chosen))
            elif no in dropped:
                self._out.append(Drop(self._now, no, dropped[no]))
            if anew or chosen is not None:
                state.selected = chosen is not None
                self._dirty[no] = None

    def _prospect(self, state: Scanned) -> MarketProspect:
        return MarketProspect(self.hooks, state, self._now, lambda: self._tried(self.markets[state.no]))

    def _tried(self, state: MarketState) -> tuple[list[Wanted], dict[Side, tuple[Reason, ...]]]:
        """Return what would be wanted, and why a side of the YES book could not be quoted with nothing committed."""
        refusals: dict[Side, tuple[Reason, ...]] = {side: (Reason("no_quote", "pricing"),) for side in Side}

        def refuse(_: MarketState, outcome: Outcome, side: Side, *rest: Any) -> None:
            refusals[_slot(outcome, side)] = rest[-1]

        wanted = self._wanted(state, refuse)
        for want in wanted:
            slot = _slot(want.outcome, want.side)
            refusals[slot] = self._objections(state, want, 0, resting=False, checks=self.hooks.safety)
        return wanted, refusals

    def _decide(self, state: MarketState) -> None:
        """Bring what rests in line with what ought to rest."""
        no = state.no
        if self._waits:
            self._waits.pop(no, None)
        if self._for_room:
            self._for_room.discard(no)
        if self._for_answer:
            self._for_answer.discard(no)
        if self._stopped is not None:
            for order in self._replaceable(state):
                if order.purpose is QUOTE or not self.settings.leave_hedges:
                    self._cancel(order, Reason(self._stopped, "desk"))
            return
        if self.hooks.waits:
            self._set_wake(no)
        if not state.selected and not state.orders and not state.inventory.held:
            return
        code = state.blocked()
        if code is not None:
            self._pull(state, code)
            return
        try:
            if state.unsafe:
                state.unsafe.clear()
            wanted = self._hedges(state) if self.hooks.hedges else []
            if state.selected:
                wanted.extend(self._wanted(state, self._refuse))
            self._settle_difference(state, reconcile(wanted, self._replaceable(state)))
        except Exception as error:  # fail closed: a component that raises stops the quoting of this market
            self._observe_oddity("component_failed", {"market": no, "error": f"{type(error).__name__}: {error}"})
            self._pull(state, "component_failed", hedges=True)

    def _set_wake(self, no: MarketNo) -> None:
        try:
            wake = self.hooks.next_wake(no, self._now)
        except Exception as error:
            wake = None
            self._failed(error, no)
        if wake is None:
            self._wakes.pop(no, None)
        else:
            self._wakes[no] = wake

    def _replaceable(self, state: MarketState) -> list[Order]:
        return [order for order in state.orders.values() if not order.cancel_sent]

    def _hedges(self, state: MarketState) -> list[Wanted]:
        """Return the orders that bring holdings back, and say which shares none of them covers (R9, R10)."""
        if not state.inventory.held:
            state.gaps = {}
            return []
        assert state.book is not None
        working = [order for order in state.orders.values() if order.purpose is not QUOTE]
        wanted: list[Wanted] = []
        state.gaps = gaps = {}
        for answer in self.hooks.hedge(state.terms, state.no, state.book, state.inventory, working, self._now):
            if isinstance(answer, Unhedged):
                gaps[answer.outcome] = answer
            else:
                wanted.append(answer)
        return wanted

    def _wanted(self, state: MarketState, refuse: Callable[..., None]) -> list[Wanted]:
        assert state.book is not None
        wanted: list[Wanted] = []
        for quote in self.hooks.price(state.terms, state.book, state.inventory, self._now) or ():
            if type(quote) is NoQuote:
                reasons = (Reason(quote.code, "pricing", quote.numbers),)
                refuse(state, quote.outcome, quote.side, None, None, reasons)
                state.unsafe.add(_slot(quote.outcome, quote.side))
                continue
            order = self._fit(state, quote, refuse)  # type: ignore[arg-type]
            if order is not None:
                wanted.append(order)
        return wanted

    def _fit(self, state: MarketState, quote: Quote, refuse: Callable[..., None]) -> Wanted | None:
        """Put a quote on the grid, give it a size, choose its token (R4, R4a, R7)."""
        outcome, side, wished, basis = quote
        assert state.book is not None
        size = self.hooks.size_order(state.terms, quote)
        book = state.book if outcome is YES else state.book.mirror()
        grid = state.grid
        price = grid.rest(side, wished, book.bids[0][0], book.asks[0][0])
        if price not in grid:
            refuse(state, outcome, side, price, size, (Reason("no_valid_price", "grid", {"tick": grid.tick}),))
            return None
        least = state.terms.min_order_size
        if size is None or size < least:
            reasons = (Reason("below_min_size", "sizing", {"size": size or 0, "min": least}),)
            refuse(state, outcome, side, price, size, reasons)
            return None
        outcome, side, price = self._token(state, outcome, side, price, size)
        return Wanted(outcome, side, price, size, QUOTE, basis)

    def _token(
        self, state: MarketState, outcome: Outcome, side: Side, price: Price, size: Size
    ) -> tuple[Outcome, Side, Price]:
        """Choose the token: a sell rests only from holdings, otherwise it is a bid on the complement (R4a)."""
        sells = self.settings.sell_holdings
        other = NO if outcome is YES else YES
        if side is BUY:
            if sells and self._offerable(state, other) >= size:
                return other, SELL, complement(price)
            return outcome, BUY, price
        if sells and self._offerable(state, outcome) >= size:
            return outcome, SELL, price
        return other, BUY, complement(price)

    def _offerable(self, state: MarketState, outcome: Outcome) -> int:
        """Shares that are free or promised to quotes only, which a new quote would replace."""
        holding = state.inventory.of(outcome)
        if not holding.confirmed or self.hooks.hedges:
            return 0  # hedging offers what is held (R9)
        quoted = sum(
            order.reserved for order in state.orders.values() if order.outcome is outcome and order.purpose is QUOTE
        )
        return holding.sellable + quoted

    def _settle_difference(self, state: MarketState, pairs: list[Pair]) -> None:
        kept: list[tuple[Order, Wanted]] = []
        missing: list[Wanted] = []
        committed = int(state.inventory.filled)
        for order, want in pairs:
            if order is None:
                if want is not None:
                    missing.append(want)
            elif want is not None:
                self._keep_or_move(state, order, want, kept, missing)
            elif not self._cancel(order, Reason("not_wanted")):
                committed += order.exposed  # it cannot leave before it is answered
        if self.hooks.hedges and missing:
            self._make_way(missing, kept)
        if kept and self.hooks.checks:
            committed += sum([order.exposed for order, _ in kept])
            committed = self._judge_kept(state, kept, missing, committed)
        fit: list[Wanted] = []
        beside: list[Wanted] = []  # an exit that waits for room keeps away the quotes that it would match
        for want in missing:
            if self._fits(state, want, committed, beside):
                fit.append(want)
                beside.append(want)
                if want.side is BUY:
                    committed += want.price * want.size
            elif want.purpose is not QUOTE:
                beside.append(want)
        if state.unsafe and self._one_side_alone(state):
            fit = self._without_quotes(state, kept, fit)
        for want in fit:  # only now: a component that raised has kept all of them back
            self._place(state, want)
        if self.hooks.hedges:
            self._show_gaps(state)

    def _make_way(self, missing: list[Wanted], kept: list[tuple[Order, Wanted]]) -> None:
        """Put hedges first, and cancel the quotes of ours that one would match (O11)."""
        missing.sort(key=lambda want: want.purpose is QUOTE)
        for want in missing:
            if want.purpose is QUOTE:
                return
            buys = (want.side is BUY) == (want.outcome is YES)
            price = want.price if want.outcome is YES else ONE - want.price
            for pair in kept[:]:
                meets = pair[0].purpose is QUOTE and _matches(buys, price, pair[0])
                if meets and self._cancel(pair[0], Reason("hedge_first", "desk")):
                    kept.remove(pair)

    def _one_side_alone(self, state: MarketState) -> bool:
        """Whether a side that was spoken against takes the other one with it (R3)."""
        assert state.book is not None
        return self.hooks.needs_both_sides(state.terms, state.book)

    def _without_quotes(self, state: MarketState, kept: list[tuple[Order, Wanted]], fit: list[Wanted]) -> list[Wanted]:
        """Pull the quotes that rest and refuse those that would; return the rest (R3)."""
        reason = Reason("other_side_unsafe", "desk")
        for order, _ in kept:
            if order.purpose is QUOTE and _slot(order.outcome, order.side) not in state.unsafe:
                self._cancel(order, reason)
                self._refuse(state, order.outcome, order.side, order.price, order.remaining, (reason,))
        for want in fit:
            if want.purpose is QUOTE:
                self._deny(state, want, (reason,))
        return [want for want in fit if want.purpose is not QUOTE]

    def _show_gaps(self, state: MarketState) -> None:
        """Say which shares no sell covers, once for each change of the reason; look again soon at those that could be.

        Where the hedging's word does not account for all of them, something of ours is in the way: an order that
        leaves, or is not answered.
        """
        for outcome in Outcome:
            holding = state.inventory.of(outcome)
            gap = state.gaps.get(outcome)
            uncovered = Size(holding.held - holding.reserved)
            if uncovered > (gap.size if gap else 0):
                gap = Unhedged(outcome, uncovered, "waits_for_room", {})
            if gap is None:
                state.unhedged.pop(outcome, None)
            elif state.unhedged.get(outcome) != gap.code:
                state.unhedged[outcome] = gap.code
                reason = Reason(gap.code, "desk" if gap.code == "waits_for_room" else "hedging", gap.numbers)
                refused = Refuse(self._now, state.no, outcome, Side.SELL, None, gap.size, Purpose.HEDGE, (reason,))
                self._out.append(refused)
            if holding.sellable >= state.terms.min_order_size:  # the backstop (R10)
                again = Micros(self._now + self.settings.recheck_after)
                self._waits[state.no] = min(again, self._waits.get(state.no, again))

    def _judge_kept(
        self, state: MarketState, kept: list[tuple[Order, Wanted]], missing: list[Wanted], committed: int
    ) -> int:
        """Pull what must not rest any more, so that what is wanted in its place is missing; return what is committed.

        An order may have been kept only because it had not rested long enough to move: with it gone, the move is open
        at once, not at the next news of the market.
        """
        for pair in kept[:]:
            order, want = pair
            mine = order.exposed
            reasons = self._objections(state, _as_wanted(order), committed - mine, resting=True)
            if reasons:
                kept.remove(pair)
                if self._cancel(order, reasons[0]):
                    committed -= mine
                    missing.append(want)
                    self._for_room.add(state.no)  # another order may have waited for this one to rest long enough
                self._refuse(state, order.outcome, order.side, order.price, order.remaining, reasons)
        return committed

    def _fits(self, state: MarketState, want: Wanted, committed: int, beside: list[Wanted]) -> bool:
        """Whether nothing speaks against an order, placed together with others; otherwise refuse it, or let it wait."""
        if state.rejected and self._retries_later(state, want):
            return False
        if self.hooks.checks:
            reasons = self._objections(state, want, committed, resting=False)
            if reasons:
                self._deny(state, want, reasons)
                return False
        if self._fits_beside(state, want, committed, beside):
            return True
        if any(order.cancel_sent for order in state.orders.values()):
            self._for_room.add(state.no)
        return False

    def _keep_or_move(
        self,
        state: MarketState,
        order: Order,
        want: Wanted,
        kept: list[tuple[Order, Wanted]],
        missing: list[Wanted],
    ) -> None:
        same = order.price == want.price and (
            order.size == want.size if order.filled == 0 else want.purpose is QUOTE or order.remaining == want.size
        )
        unanswered = order.state is PENDING_SUBMIT  # it cannot be cancelled yet; its answer decides again
        if unanswered and not same:
            self._for_answer.add(state.no)
        if same or unanswered:
            kept.append((order, want))
            return
        when = self._replace_at(state, order, want)
        if when is None or when > self._now:
            if when is not None:
                self._waits[state.no] = min(when, self._waits.get(state.no, when))
            kept.append((order, want))
            return
        self._cancel(order, Reason("moved", want.basis, {"from": order.price, "to": want.price}))
        missing.append(want)

    def _replace_at(self, state: MarketState, order: Order, want: Wanted) -> Micros | None:
        """Return when an order may make way; an exit does so at once (R9: dynamic follow)."""
        if want.purpose is not QUOTE:
            return self._now
        return self.hooks.replace_at(order, want, state.terms, self._now)

    def _retries_later(self, state: MarketState, want: Wanted) -> bool:
        """Whether the exchange rejected such an order a moment ago; the same again would be rejected too."""
        last, times = state.rejected.get((_slot(want.outcome, want.side), want.purpose), (_NO_TIME, 0))
        limited = want.purpose is QUOTE and times > self.settings.retry_limit  # exits have rules of their own (R10)
        again = Micros(last + (self.settings.retry_pause if limited else self.settings.retry_after))
        if again <= self._now:
            return False
        self._waits[state.no] = min(again, self._waits.get(state.no, again))
        return True

    def _objections(
        self, state: MarketState, order: Wanted, exposure: int, resting: bool, checks: Iterable[Check] | None = None
    ) -> tuple[Reason, ...]:
        assert state.book is not None
        found: list[Reason] = []
        book = state.book.seen_by(order.outcome)
        for check in self.hooks.checks if checks is None else checks:
            if order.purpose not in check.judges:
                continue
            objection = check.object_to_order(
                order, state.terms, state.no, book, state.inventory, exposure, resting, self._now
            )
            if objection is not None:
                found.append(Reason(objection.code, check.name, objection.numbers))
                if check.safety and order.purpose is QUOTE:
                    state.unsafe.add(_slot(order.outcome, order.side))
        return tuple(found)

    def _fits_beside(self, state: MarketState, want: Wanted, committed: int, beside: list[Wanted]) -> bool:
        """Whether an order fits what is in play, with others still leaving: limits, funds, shares, own orders (O11).

        False waits for the cancels in flight; a limit that they cannot cure is a refusal.
        """
        buys = want.side is BUY
        short = self._short(want, beside) if buys else 0
        reason = self._meets_own_order(state, want, beside)
        if reason is None and short > 0:
            reason = Reason("funds", "desk", {"short": short})
            self._for_funds.add(state.no)
            if short <= sum(order.locked for order in state.orders.values() if order.cancel_sent):
                return False
        elif reason is None and not buys and self._promised(state, want, beside):
            return False  # the shares are promised to an order that is leaving
        if reason is not None:
            if reason.by != "leaving":
                self._deny(state, want, (reason,))
            return False
        sums = self.hooks.sums
        if not sums or not buys:
            return True
        leaving = sum(order.exposed for order in state.orders.values() if order.cancel_sent)
        if not leaving:
            return True  # the sum is judged already
        together = committed + leaving
        return not self._objections(state, want, together, resting=False, checks=sums)

    def _short(self, want: Wanted, beside: list[Wanted]) -> int:
        """Return by how much the available cash falls short."""
        funds = self.account.funds
        short = cash_paid(want.price, want.size) - funds.total + funds.locked
        for other in beside:
            if other.side is BUY:
                short += cash_paid(other.price, other.size)
        return short

    def _promised(self, state: MarketState, want: Wanted, beside: list[Wanted]) -> bool:
        free = int(state.inventory.of(want.outcome).sellable)
        free -= sum(other.size for other in beside if other.side is not BUY and other.outcome is want.outcome)
        return free < want.size

    def _meets_own_order(self, state: MarketState, want: Wanted, beside: list[Wanted]) -> Reason | None:
        """Say which of our own orders it could match, directly or through the complement (O11)."""
        buys = (want.side is BUY) == (want.outcome is YES)
        price = want.price if want.outcome is YES else ONE - want.price
        for order in state.orders.values():
            if order.side is want.side and order.outcome is want.outcome:
                continue  # on the same side of the book
            if _matches(buys, price, order):
                # A quote makes way for an exit as soon as it is answered.
                gives_way = order.cancel_sent or (want.purpose is not QUOTE and order.purpose is QUOTE)
                return Reason("self_match", "leaving" if gives_way else "desk", {"order": order.no})
        for other in beside:
            if _matches(buys, price, other):
                return Reason("self_match", "desk", {"price": other.price})
        return None

    # Acting.

    def _place(self, state: MarketState, want: Wanted) -> None:
        self._last_order += 1
        no = OrderNo(self._last_order)
        now, market = self._now, state.no
        outcome, side, price, size, purpose = want.outcome, want.side, want.price, want.size, want.purpose
        post_only = not want.may_take
        order = Order(
            no=no,
            client_order_id=f"{self._name}-{no}",
            market=market,
            outcome=outcome,
            side=side,
            price=price,
            size=size,
            purpose=purpose,
            post_only=post_only,
            placed_at=now,
            basis=want.basis,
        )
        self.orders[no] = state.orders[no] = order
        self.account.reserve(None, order)
        if state.refused:
            state.refused.pop(_slot(outcome, side), None)
        self._out.append(Place(now, no, market, outcome, side, price, size, purpose, post_only, Reason(want.basis)))

    def _cancel(self, order: Order, reason: Reason) -> bool:
        """Ask for a cancel, once; False for an order that cannot be cancelled before it is answered."""
        if order.cancel_sent:
            return True
        if order.state is PENDING_SUBMIT:
            self._for_answer.add(order.market)
            return False
        sent = replace(order, cancel_sent=True)
        self.orders[order.no] = self.markets[order.market].orders[order.no] = sent
        self._out.append(Cancel(self._now, order.no, reason))
        return True

    def _pull(self, state: MarketState, code: str, hedges: bool = False) -> None:
        """Pull the quotes; the hedges too where the market is halted or nobody can say what they ought to be."""
        for order in self._replaceable(state):
            if hedges or state.halted or order.purpose is QUOTE:
                self._cancel(order, Reason(code, "desk"))
        if not state.selected:
            return
        for outcome in Outcome:
            self._refuse(state, outcome, Side.BUY, None, None, (Reason(code, "desk"),))

    def _pull_all(self, code: str) -> None:
        """Ask for everything to be cancelled; what is not answered yet may arrive later, and is cancelled then."""
        self._out.append(CancelAll(self._now, Reason(code, "desk")))
        for state in self.markets.values():
            for no, order in list(state.orders.items()):
                if order.state is PENDING_SUBMIT:
                    self._for_answer.add(state.no)
                else:
                    self.orders[no] = state.orders[no] = replace(order, cancel_sent=True)

    def _halt(self, state: MarketState | None, code: str, order: OrderNo) -> None:
        for market in self.markets.values() if state is None else (state,):
            market.halted = True
            self._pull(market, code)
        self._out.append(Halt(self._now, None if state is None else state.no, Reason(code, "desk", {"order": order})))

    def _deny(self, state: MarketState, want: Wanted, reasons: tuple[Reason, ...]) -> None:
        """Refuse an order; shares that an exit would have sold are a gap, shown with the other gaps."""
        if want.purpose is QUOTE:
            self._refuse(state, want.outcome, want.side, want.price, want.size, reasons)
        else:
            holding = state.inventory.of(want.outcome)
            uncovered = Size(holding.held - holding.reserved)
            state.gaps[want.outcome] = Unhedged(want.outcome, uncovered, reasons[0].code, reasons[0].numbers)

    def _refuse(
        self,
        state: MarketState,
        outcome: Outcome,
        side: Side,
        price: Price | None,
        size: Size | None,
        reasons: tuple[Reason, ...],
    ) -> None:
        """Say why not, once for each change of mind: the codes are compared, the numbers are not."""
        codes = tuple(f"{reason.by}.{reason.code}" for reason in reasons)
        slot = _slot(outcome, side)
        if state.refused.get(slot) == codes:
            return
        state.refused[slot] = codes
        self._out.append(Refuse(self._now, state.no, outcome, side, price, size, Purpose.QUOTE, reasons))

    def _observe_oddity(self, code: str, numbers: dict[str, int | float | str]) -> None:
        self._out.append(Observed(self._now, Reason(code, "desk", numbers)))

    def _update(self, before: Order, after: Order) -> None:
        no = after.no
        self.orders[no] = after
        orders = self.markets[after.market].orders
        if after.state not in ENDED:
            orders[no] = after
            if before.filled != after.filled:
                self.account.reserve(before, after)
            return
        self.account.reserve(before, after)
        if orders.pop(no, None) is not None:
            ended = self._ended
            ended.append((self._now, no))
            while ended[0][0] < self._now - self.settings.remember:
                del self.orders[ended.popleft()[1]]


def _matches(buys: bool, price: int, other: Order | Wanted) -> bool:
    """Whether an order on a side of the YES book, at a YES price, could match another one."""
    if ((other.side is BUY) == (other.outcome is YES)) == buys:
        return False
    against = other.price if other.outcome is YES else ONE - other.price
    return price >= against if buys else price <= against


def _slot(outcome: Outcome, side: Side) -> Side:
    """Return the side of the YES book that an order is on."""
    return side if outcome is YES else side.opposite


def _as_wanted(order: Order) -> Wanted:
    return Wanted(
        order.outcome, order.side, order.price, order.remaining, order.purpose, order.basis, not order.post_only
    )
