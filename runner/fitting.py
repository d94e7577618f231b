"""Whether an order fits beside what is in play: checks, retries, funds, shares, our own orders."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from pmrun.runner.acting import Acting
from pmrun.runner.desk_settings import DeskSettings
from pmrun.runner.event_loss import Resting, Stake, stake, worst_case
from pmrun.runner.hooks import Check, Hooks, Wanted
from pmrun.runner.intents import Reason
from pmrun.runner.inventory import Inventory
from pmrun.runner.known import NO_TIME, Known
from pmrun.runner.market import Outcome
from pmrun.runner.market_state import MarketState, book_side
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import ONE, Micros, Notional, Side, Size, cash_paid

BUY: Final = Side.BUY
YES: Final = Outcome.YES
QUOTE: Final = Purpose.QUOTE


class Counted(Enum):
    """Which orders of a market count beside the one that is judged."""

    NOTHING = 0  # nothing is committed, nothing is held
    STAYING = 1  # what was not asked to leave
    ALL = 2  # what leaves as well

    def counts(self, order: Order) -> bool:
        """Whether an order in play counts."""
        return self is Counted.ALL or not order.cancel_sent


class Fitting:
    """Judges wanted orders one by one: fine, refused, or to be tried again when something has left."""

    def __init__(self, hooks: Hooks, settings: DeskSettings, known: Known, acting: Acting) -> None:
        """Take the components, and who refuses."""
        self._checks = hooks.checks
        self._sums = hooks.sums
        self._confirms = hooks.confirms
        self._counts_shares, self._counts_events = hooks.counts_shares, hooks.counts_events
        self._settings = settings
        self._known = known
        self._account = known.account
        self._acting = acting

    def fits(self, state: MarketState, want: Wanted, committed: int, beside: list[Wanted]) -> bool:
        """Whether nothing speaks against an order, placed together with others; otherwise refuse it, or let it wait."""
        if state.rejected and self._retries_later(state, want):
            return False
        if self._checks:
            reasons = self.objections(state, want, committed, resting=False, beside=beside)
            if reasons:
                self._acting.deny(state, want, reasons)
                return False
        if self._fits_beside(state, want, committed, beside):
            return True
        if any(order.cancel_sent for order in state.orders.values()):
            self._known.for_room.add(state.no)
        return False

    def objections(
        self,
        state: MarketState,
        order: Wanted,
        exposure: int,
        resting: bool,
        checks: Iterable[Check] | None = None,
        beside: Iterable[Wanted] = (),
        counted: Counted = Counted.STAYING,
    ) -> tuple[Reason, ...]:
        """Return what the checks say against an order, with what else is filled, in play or wanted."""
        assert state.book is not None
        found: list[Reason] = []
        book = state.book.seen_by(order.outcome)
        shares = self._shares(state, order, resting, beside, counted) if self._counts_shares else 0
        lost = self._event_loss(state, order, resting, beside, counted) if self._counts_events else 0
        for check in self._checks if checks is None else checks:
            if order.purpose not in check.judges:
                continue
            objection = check.object_to_order(
                order, state.terms, state.no, book, state.inventory, exposure, resting, self._known.now, shares, lost
            )
            if objection is not None:
                found.append(Reason(objection.code, check.name, objection.numbers))
                if check.safety and order.purpose is QUOTE:
                    state.unsafe.add(book_side(order.outcome, order.side))
        return tuple(found)

    def _shares(
        self, state: MarketState, order: Wanted, resting: bool, beside: Iterable[Wanted], counted: Counted
    ) -> Size:
        """Return the shares of an order's token that are held, or that other bids would buy."""
        if counted is Counted.NOTHING:
            return Size(0)
        outcome = order.outcome
        shares = int(state.inventory.of(outcome).held) - (order.size if resting and order.side is BUY else 0)
        for other in state.orders.values():
            if other.side is BUY and other.outcome is outcome and counted.counts(other):
                shares += other.remaining
        return Size(shares + sum(want.size for want in beside if want.side is BUY and want.outcome is outcome))

    def _event_loss(
        self, state: MarketState, order: Wanted, resting: bool, beside: Iterable[Wanted], counted: Counted
    ) -> Notional:
        """Return the most that the markets of the order's event can lose, the order included."""
        mine: list[tuple[Resting, Size]] = [] if resting else [(order, order.size)]
        if counted is Counted.NOTHING:
            return worst_case((), [stake(Inventory(), mine)])
        mine += [(other, other.remaining) for other in state.orders.values() if counted.counts(other)]
        mine += [(want, want.size) for want in beside]
        exclusive, alone = list[Stake](), list[Stake]()
        for no in self._known.siblings.get(state.no, (state.no,)):
            sibling = self._known.markets[no]
            theirs = ((other, other.remaining) for other in sibling.orders.values())
            found = stake(sibling.inventory, mine if no == state.no else theirs)
            (exclusive if sibling.terms.neg_risk else alone).append(found)
        return worst_case(exclusive, alone)

    def _retries_later(self, state: MarketState, want: Wanted) -> bool:
        """Whether the exchange rejected such an order a moment ago; the same again would be rejected too."""
        last, times = state.rejected.get((book_side(want.outcome, want.side), want.purpose), (NO_TIME, 0))
        limited = want.purpose is QUOTE and times > self._settings.retry_limit  # exits have rules of their own (R10)
        again = Micros(last + (self._settings.retry_pause if limited else self._settings.retry_after))
        if again <= self._known.now:
            return False
        self._known.look_again(state.no, again)
        return True

    def _fits_beside(self, state: MarketState, want: Wanted, committed: int, beside: list[Wanted]) -> bool:
        """Whether an order fits what is in play, with others still leaving: limits, funds, shares, own orders (O11).

        False waits for the cancels in flight; a limit that they cannot cure is a refusal.
        """
        buys = want.side is BUY
        if buys and self._confirms and self._leaves(state, want):
            return False  # what the other still buys would be bought twice
        short = self._short(want, beside) if buys else 0
        reason = self._meets_own_order(state, want, beside)
        if reason is None and short > 0:
            reason = Reason("funds", "desk", {"short": short})
            self._known.for_funds.add(state.no)
            if short <= sum(order.locked for order in state.orders.values() if order.cancel_sent):
                return False
        elif reason is None and not buys and self._promised(state, want, beside):
            return False  # the shares are promised to an order that is leaving
        if reason is not None:
            if reason.by != "leaving":
                self._acting.deny(state, want, (reason,))
            return False
        sums = self._sums
        if not sums or not buys:
            return True
        leaving = sum(order.exposed for order in state.orders.values() if order.cancel_sent)
        if not leaving:
            return True  # the sum is judged already
        together = committed + leaving
        return not self.objections(state, want, together, False, sums, beside, Counted.ALL)

    def _leaves(self, state: MarketState, want: Wanted) -> bool:
        """Whether an order of the same token and side was asked to leave, and has not."""
        return any(
            order.cancel_sent and order.outcome is want.outcome and order.side is want.side
            for order in state.orders.values()
        )

    def _short(self, want: Wanted, beside: list[Wanted]) -> int:
        """Return by how much the available cash falls short."""
        funds = self._account.funds
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
        buys, price = on_the_book(want)
        for order in state.orders.values():
            if order.side is want.side and order.outcome is want.outcome:
                continue  # on the same side of the book
            if matches(buys, price, order):
                # What is less urgent makes way for an exit as soon as it is answered.
                gives_way = order.cancel_sent or urgency(Wanted.of(order)) > urgency(want)
                return Reason("self_match", "leaving" if gives_way else "desk", {"order": order.no})
        for other in beside:
            if matches(buys, price, other):
                return Reason("self_match", "desk", {"price": other.price})
        return None


def urgency(want: Wanted) -> int:
    """Rank what we want for who makes way for whom: flattening, exits that take, exits that rest, quotes."""
    if want.purpose is QUOTE:
        return 3
    return 0 if want.purpose is Purpose.FLATTEN else 1 if want.may_take else 2


def on_the_book(order: Order | Wanted) -> tuple[bool, int]:
    """Say where an order stands on the YES book: whether it buys there, and at which price."""
    if order.outcome is YES:
        return order.side is BUY, order.price
    return order.side is not BUY, ONE - order.price


def matches(buys: bool, price: int, other: Order | Wanted) -> bool:
    """Whether an order on a side of the YES book, at a YES price, could match another one."""
    theirs, against = on_the_book(other)
    if theirs == buys:
        return False
    return price >= against if buys else price <= against
