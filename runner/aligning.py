"""Aligning what rests with what ought to rest: kept, moved, cancelled, placed, and what makes way for what."""

from typing import Final

from pmrun.runner.acting import Acting
from pmrun.runner.desk_settings import DeskSettings
from pmrun.runner.fitting import Fitting, matches, on_the_book, urgency
from pmrun.runner.hooks import Hooks, Unhedged, Wanted
from pmrun.runner.intents import Reason, Refuse
from pmrun.runner.known import Known
from pmrun.runner.market import Outcome
from pmrun.runner.market_state import MarketState, book_side
from pmrun.runner.orders import Order, Purpose, State
from pmrun.runner.reconcile import Pair
from pmrun.runner.units import Micros, Side

BUY: Final = Side.BUY
YES: Final = Outcome.YES
QUOTE: Final = Purpose.QUOTE
PENDING_SUBMIT: Final = State.PENDING_SUBMIT


class Aligning:
    """Carries out the difference between what is wanted and what is in play, as far as it fits."""

    def __init__(self, hooks: Hooks, settings: DeskSettings, known: Known, acting: Acting, fitting: Fitting) -> None:
        """Take the components, who acts, and who says what fits."""
        self._hooks = hooks
        self._hedges = hooks.hedges
        self._checks = bool(hooks.checks)
        self._moves_at_once = hooks.moves_at_once
        self._settings = settings
        self._known = known
        self._acting = acting
        self._fitting = fitting

    def align(self, state: MarketState, pairs: list[Pair]) -> None:
        """Bring what rests in line, given orders in play paired with what is wanted in their place."""
        kept: list[tuple[Order, Wanted]] = []
        missing: list[Wanted] = []
        committed = int(state.inventory.filled)
        for order, want in pairs:
            if order is None:
                if want is not None:
                    missing.append(want)
            elif want is not None:
                self._keep_or_move(state, order, want, kept, missing)
            elif not self._acting.cancel(order, _unwanted(state, order)):
                committed += order.exposed  # it cannot leave before it is answered
        if self._hedges and missing:
            self._make_way(missing, kept)
        if kept and self._checks:
            committed += sum([order.exposed for order, _ in kept])
            committed = self._judge_kept(state, kept, missing, committed)
        fit: list[Wanted] = []
        beside: list[Wanted] = []  # an exit that waits for room keeps away the quotes that it would match
        for want in missing:
            if self._fitting.fits(state, want, committed, beside):
                fit.append(want)
                beside.append(want)
                if want.side is BUY:
                    committed += want.price * want.size
            elif want.purpose is not QUOTE:
                beside.append(want)
        if state.unsafe and self._one_side_alone(state):
            fit = self._without_quotes(state, kept, fit)
        for want in fit:  # only now: a component that raised has kept all of them back
            self._acting.place(state, want)
        if self._hedges:
            self.show_gaps(state)

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
            self._known.for_answer.add(state.no)
        if same or unanswered:
            kept.append((order, want))
            return
        if want.purpose is QUOTE and not self._moves_at_once and not self._may_move(state, order, want):
            kept.append((order, want))  # an exit moves at once (R9: dynamic follow), as all do without a rule
            return
        self._acting.cancel(order, Reason("moved", want.basis, {"from": order.price, "to": want.price}))
        missing.append(want)

    def _may_move(self, state: MarketState, order: Order, want: Wanted) -> bool:
        """Whether the rule lets a quote make way now; look again when it will."""
        now = self._known.now
        when = self._hooks.replace_at(order, want, state.terms, now)
        if when is not None and when > now:
            self._known.look_again(state.no, when)
        return when is not None and when <= now

    def _make_way(self, missing: list[Wanted], kept: list[tuple[Order, Wanted]]) -> None:
        """Put exits first, the urgent ones before those that rest, and cancel what one would match (O11)."""
        missing.sort(key=urgency)
        for want in missing:
            if want.purpose is QUOTE:
                return
            buys, price = on_the_book(want)
            for pair in kept[:]:
                meets = urgency(pair[1]) > urgency(want) and matches(buys, price, pair[0])
                if meets and self._acting.cancel(pair[0], Reason("hedge_first", "desk")):
                    kept.remove(pair)
                    missing.append(pair[1])  # it may be wanted at another price, which need not wait

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
            reasons = self._fitting.objections(state, Wanted.of(order), committed - mine, resting=True)
            if reasons:
                kept.remove(pair)
                if self._acting.cancel(order, reasons[0]):
                    committed -= mine
                    missing.append(want)
                    self._known.for_room.add(state.no)  # another order may have waited for this one to rest long enough
                self._acting.refuse(state, order.outcome, order.side, order.price, order.remaining, reasons)
        return committed

    def _one_side_alone(self, state: MarketState) -> bool:
        """Whether a side that was spoken against takes the other one with it (R3)."""
        assert state.book is not None
        return self._hooks.needs_both_sides(state.terms, state.book)

    def _without_quotes(self, state: MarketState, kept: list[tuple[Order, Wanted]], fit: list[Wanted]) -> list[Wanted]:
        """Pull the quotes that rest and refuse those that would; return the rest (R3)."""
        reason = Reason("other_side_unsafe", "desk")
        for order, _ in kept:
            if order.purpose is QUOTE and book_side(order.outcome, order.side) not in state.unsafe:
                self._acting.cancel(order, reason)
                self._acting.refuse(state, order.outcome, order.side, order.price, order.remaining, (reason,))
        for want in fit:
            if want.purpose is QUOTE:
                self._acting.deny(state, want, (reason,))
        return [want for want in fit if want.purpose is not QUOTE]

    def show_gaps(self, state: MarketState) -> None:
        """Say which shares no sell covers, once for each change of the reason; look again soon at those that could be.

        Where the hedging's word does not account for all of them, something of ours is in the way: an order that
        leaves, or is not answered.
        """
        for outcome in Outcome:
            gap = state.gaps.get(outcome)
            uncovered = state.inventory.of(outcome).uncovered
            if uncovered > (gap.size if gap else 0):
                gap = Unhedged(outcome, uncovered, "waits_for_room", {})
            if gap is None:
                state.unhedged.pop(outcome, None)
            elif state.unhedged.get(outcome) != gap.code:
                state.unhedged[outcome] = gap.code
                reason = Reason(gap.code, "desk" if gap.code == "waits_for_room" else "hedging", gap.numbers)
                now, size = self._known.now, gap.size
                refused = Refuse(now, state.no, outcome, Side.SELL, None, size, Purpose.HEDGE, (reason,))
                self._acting.out.append(refused)
        self._look_again_at_gaps(state)

    def _look_again_at_gaps(self, state: MarketState) -> None:
        """Decide a market again soon while shares that could be sold are covered by nothing (R10's backstop).

        The moment is set once and kept: looking in between must not put it off.
        """
        least = state.terms.min_order_size
        if all(state.inventory.of(outcome).sellable < least for outcome in Outcome):
            state.recheck = None
            return
        now = self._known.now
        if state.recheck is None or state.recheck <= now:
            state.recheck = Micros(now + self._settings.recheck_after)
        self._known.look_again(state.no, state.recheck)


def _unwanted(state: MarketState, order: Order) -> Reason:
    """Say why an order is wanted no more: for an exit, what the hedging says of its shares."""
    gap = None if order.purpose is QUOTE else state.gaps.get(order.outcome)
    return Reason("not_wanted") if gap is None else Reason(gap.code, "hedging", gap.numbers)
