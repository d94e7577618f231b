"""The desk: a plain function of the facts it was told, which answers with what we now want done."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pmrun.runner.acting import Acting
from pmrun.runner.aligning import Aligning
from pmrun.runner.deciding import Deciding
from pmrun.runner.desk_settings import DeskSettings, Pace
from pmrun.runner.facts import BookChanged, Fact, FeedEnded, FeedLost, FeedRestored, OrderNews, TimerDue, Together
from pmrun.runner.fitting import Counted, Fitting
from pmrun.runner.hooks import Hooks, Wanted
from pmrun.runner.intents import CancelAll, Drop, Intent, Number, Observed, Reason, Select
from pmrun.runner.inventory import Inventory
from pmrun.runner.known import Known
from pmrun.runner.learning import Learning
from pmrun.runner.limits import Limits
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.market_state import MarketState, book_side
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.reconcile import reconcile
from pmrun.runner.units import Cash, Micros, Side, next_beat
from pmrun.runner.universe import MarketProspect, Scanned, Universe

__all__ = ["Desk", "DeskSettings", "MarketState", "Pace"]

QUOTE: Final = Purpose.QUOTE  # compiled, what is imported is looked up at each use and a constant is not
BOOK_CHANGED: Final = BookChanged
ORDER_NEWS: Final = OrderNews
TIMER_DUE: Final = TimerDue


class Desk:
    """Turns facts into intents: synchronous, without clock, I/O or randomness of its own."""

    def __init__(self, hooks: Hooks, settings: DeskSettings = DeskSettings(), name: str = "pmrun") -> None:
        """Take the components and the settings; `name` starts every client order id."""
        self.hooks = hooks
        self.settings = settings
        self.universe = Universe(hooks, settings.max_markets, settings.rescan)
        self._known = known = Known(not hooks.hedges, hooks.hedges_events)
        self.account = known.account
        self.markets = known.markets
        self.orders = known.orders
        self.halts = known.halts
        self._acting = Acting(known, name, settings)
        self._refuse = self._acting.refuse
        self._learning = Learning(hooks, settings, known, self._acting, self.universe)
        self._limits = Limits(hooks, known, self._acting)
        self._deciding = Deciding(hooks, settings, known)
        self._fitting = Fitting(hooks, settings, known, self._acting)
        self._aligning = Aligning(hooks, settings, known, self._acting, self._fitting)
        self._hedges, self._waits, self._gated = hooks.hedges, hooks.waits, settings.gated
        self._every, self._offset = settings.pace.every, settings.pace.offset
        self._merge_from = settings.merge_from
        self._origin: Micros | None = None
        self._wakes: dict[MarketNo, Micros] = {}  # when a component may change its mind
        self._learn: dict[type[Any], Callable[[Any], None]] = {
            **self._learning.learners,
            TimerDue: self._timer_due,
            FeedLost: self._feed_lost,
            FeedRestored: self._feed_restored,
            FeedEnded: self._feed_ended,
            Together: self._together,
        }

    # What the shell calls.

    def handle(self, fact: Fact) -> list[Intent]:
        """Learn a fact; return what we now want done, with the refusals that are new."""
        known = self._known
        out: list[Intent] = []
        self._acting.out = out
        if fact.at > known.now:
            known.now = fact.at
        if self._origin is None:
            self._begin()
        if self._wakes and type(fact) is not TIMER_DUE and min(self._wakes.values()) <= known.now:
            # Something else happens at the moment a component waited for: its time has come all the same.
            self._learning.tell(TimerDue(known.now), None, None)
        self._learn[type(fact)](fact)
        if self._limits.asked:
            self._limits.judge()
        rescan = self.universe.rescan_at
        if known.due or (rescan is not None and rescan <= known.now):
            self._decide_due()
        if out and self._limits.asked:
            self._limits.hear(out)
        return out

    def _begin(self) -> None:
        """Count decision times and rescans from the first fact; cancel what an earlier session left bidding (R13)."""
        self._origin = self._known.now
        self.universe.begin(self._known.now)
        if self.settings.stop_only:
            self._acting.out.append(CancelAll(self._known.now, Reason("stop_only", "desk"), Side.BUY))
        elif self.settings.clean_start:
            self._acting.out.append(CancelAll(self._known.now, Reason("clean_start", "desk"), Side.BUY))

    @property
    def wake(self) -> Micros | None:
        """When the desk wants a TimerDue if nothing else happens before."""
        known = self._known
        rescan = None if known.stopped is not None else self.universe.rescan_at
        if not (known.dirty or known.waits or self._wakes):
            return rescan
        wakes = [*known.waits.values(), *self._wakes.values()]
        if known.dirty:
            wakes.append(self.decision_after(known.now))
        if rescan is not None:
            wakes.append(rescan)
        return min(wakes)

    def decision_after(self, at: Micros) -> Micros:
        """Return the first decision time at or after a moment: what the feed conflates to."""
        first = (at if self._origin is None else self._origin) + self._offset
        return next_beat(self._every, first, at)

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

    def stop(self, code: str) -> None:
        """Quote and hedge nothing any more, and pull what rests; hedges stay where the settings say so (R13)."""
        self._known.stopped = code
        if self.settings.stop_only:
            return  # the bids are cancelled already, and nothing else was to be
        for state in self.markets.values():
            self._acting.say_unsold(state, self.hooks.hedges)
        if not self.settings.leave_hedges:
            self._acting.pull_all(Reason(code, "desk"))
            return
        for state in self.markets.values():
            self._clear(state, code)

    # Time and the feed; learning knows the other facts.

    def _together(self, fact: Together) -> None:
        learn, learning = self._learn, self._learning
        for one in fact.facts:
            if type(one) is ORDER_NEWS:  # most are one of these two
                learning.order_news(one)
            elif type(one) is BOOK_CHANGED:
                learning.book_changed(one)
            else:
                learn[type(one)](one)

    def _timer_due(self, fact: TimerDue) -> None:
        self._learning.tell(fact, None, None)
        later = self._known.now + 1
        for no in self.markets:
            if min(self._known.waits.get(no, later), self._wakes.get(no, later)) <= self._known.now:
                self._known.dirty[no] = None
        self._known.due = True

    def _feed_lost(self, fact: FeedLost) -> None:
        self._learning.tell(fact, None, None)
        for state in self.markets.values():
            state.observed = state.book = None
        why: dict[str, Number] = {"why": fact.why} if fact.why else {}
        self._known.halts.began(Reason("feed_lost", "desk", why), self._known.now)
        self._acting.pull_all(Reason("feed_lost", "desk"))

    def _feed_restored(self, fact: FeedRestored) -> None:
        self._learning.tell(fact, None, None)
        self._known.halts.ended("desk", "feed_lost", self._known.now)

    def _feed_ended(self, fact: FeedEnded) -> None:
        self._learning.tell(fact, None, None)
        self.stop("feed_ended")

    # Deciding.

    def _decide_due(self) -> None:
        """Decide every market that changed, in order of listing, once all that is told at this moment is learned."""
        known = self._known
        known.due = False
        if known.stopped is None:
            if self.universe.due(known.now):
                self._rescan()
            elif self.universe.waiting:
                self._admit()
        if known.siblings:
            self._decide_events()
            return
        due = sorted(known.dirty) if self._gated else list(self.markets)
        known.dirty.clear()
        for no in due:
            self._decide(self.markets[no])

    def _decide_events(self) -> None:
        """Decide market by market where one may change another: those listed later in this round, others in the next.

        What is gated and what is not come by the same: a market that another one marks is decided at the same moment.
        """
        dirty = self._known.dirty
        for no in sorted(self.markets):
            if no in dirty or not self.settings.gated:
                dirty.pop(no, None)
                self._decide(self.markets[no])

    def _admit(self) -> None:
        """Judge the markets whose book came for the first time."""
        waiting = self.universe.waiting
        self._select([self.markets[no] for no in self._known.dirty if no in waiting], anew=False)

    def _rescan(self) -> None:
        """Select anew among all markets; without `keep`, every quote is cancelled first (R12)."""
        if not self.settings.rescan.keep:
            for state in self.markets.values():
                for order in state.replaceable():
                    if order.purpose is QUOTE:
                        self._acting.cancel(order, Reason("rescan", "universe"))
        self._select(list(self.markets.values()), anew=True)

    def _select(self, states: list[MarketState], anew: bool) -> None:
        if not states:
            return
        selected, dropped = self.universe.scan(states, self._prospect, self._known.now, anew)
        for state in states:
            no = state.no
            chosen = selected.get(no)
            if chosen is not None:
                self._acting.out.append(Select(self._known.now, no, chosen))
            elif no in dropped:
                self._acting.out.append(Drop(self._known.now, no, dropped[no]))
            if anew or chosen is not None:
                state.selected = chosen is not None
                self._known.dirty[no] = None
                if self.hooks.hedges_events:
                    self._known.stake_changed(no)

    def _prospect(self, state: Scanned) -> MarketProspect:
        return MarketProspect(self.hooks, state, self._known.now, lambda: self._tried(self.markets[state.no]))

    def _tried(self, state: MarketState) -> tuple[Sequence[Wanted], dict[Side, tuple[Reason, ...]]]:
        """Return what would be wanted, and why a side of the YES book could not be quoted with nothing committed."""
        refusals: dict[Side, tuple[Reason, ...]] = {side: (Reason("no_quote", "pricing"),) for side in Side}

        def refuse(_: MarketState, outcome: Outcome, side: Side, *rest: Any) -> None:
            refusals[book_side(outcome, side)] = rest[-1]

        wanted = self._deciding.quotes(state, self._known.now, refuse)
        for want in wanted:
            against = self._fitting.objections(
                state, want, 0, resting=False, checks=self.hooks.safety, counted=Counted.NOTHING
            )
            refusals[book_side(want.outcome, want.side)] = against
        return wanted, refusals

    def _decide(self, state: MarketState) -> None:
        """Bring what rests in line with what ought to rest."""
        known, no = self._known, state.no
        if known.waits:
            known.waits.pop(no, None)
        if known.for_room:
            known.for_room.discard(no)
        if known.for_answer:
            known.for_answer.discard(no)
        code = known.stopped
        if code is not None:
            self._clear(state, code)
            return
        if self._waits:
            self._set_wake(no)
        if not state.selected and not state.orders and not state.inventory.held:
            return
        code = state.blocked()
        if code is not None:
            keeps = self.settings.keep_when_halted and state.paused
            (self._acting.unquoted if keeps else self._acting.pull)(state, Reason(code, "desk"))
            if self.hooks.hedges_events:  # what they were to cover is hedged otherwise
                self._acting.pull_covers(state, Reason(code, "desk"))
            if self._hedges and state.inventory.held:
                self._exit_if_possible(state, code)
            return
        if self._merge_from:
            self._acting.merge(state, self._merge_from)
        try:
            if state.unsafe:
                state.unsafe.clear()
            wanted: Sequence[Wanted] = self._deciding.hedges(state, known.now) if self._hedges else ()
            if known.limit is not None:
                self._acting.pull(state, known.limit)
            elif state.selected:
                quotes = self._deciding.quotes(state, known.now, self._refuse)
                wanted = [*wanted, *quotes] if wanted else quotes
            self._aligning.align(state, reconcile(wanted, state.replaceable()))
        except Exception as error:
            self._unjudged(state, error)

    def _exit_if_possible(self, state: MarketState, code: str) -> None:
        """Go on selling what is held where nothing is quoted: into the bids there are, else show that it is not (R9).

        A market on its way to 0 or 1 has one side only, and that is when an exit matters most. A crossed book, or
        none, says no price: what works stays.
        """
        try:
            state.unsafe.clear()  # what was said of quotes is said of none here
            if code == "one_sided_book":
                wanted = self._deciding.hedges(state, self._known.now)
                self._aligning.align(state, reconcile(wanted, state.exits()))
            else:
                self._deciding.stuck(state, code)
                self._aligning.show_gaps(state)
        except Exception as error:
            self._unjudged(state, error)

    def _unjudged(self, state: MarketState, error: Exception) -> None:
        """Fail closed: a component that raises stops the quoting of its market, and nothing of ours stays there."""
        said: dict[str, Number] = {"market": state.no, "error": f"{type(error).__name__}: {error}"}
        self._acting.out.append(Observed(self._known.now, Reason("component_failed", "desk", said)))
        self._acting.pull(state, Reason("component_failed", "desk"), hedges=True)

    def _clear(self, state: MarketState, code: str) -> None:
        """Cancel what is not to outlast the desk."""
        for order in state.replaceable():
            if order.purpose is QUOTE or order.covers_elsewhere or not self.settings.leave_hedges:
                self._acting.cancel(order, Reason(code, "desk"))

    def _set_wake(self, no: MarketNo) -> None:
        try:
            wake = self.hooks.next_wake(no, self._known.now)
        except Exception as error:
            wake = None
            self._learning.failed(error, no)
        if wake is None:
            self._wakes.pop(no, None)
        else:
            self._wakes[no] = wake
