"""Laws of a whole run: random strategies on random tapes, through the desk and the paper exchange."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from copy import deepcopy as copy

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from scenes import levels, market, shares
from tapes import (
    AT_ONCE,
    CAP,
    ON_A_CLOCK,
    QUEUES,
    SECOND,
    SETTINGS,
    START,
    Composition,
    Watch,
    as_bytes,
    compositions,
    papers,
    settings_of,
    tapes,
    trade,
)

from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.kernel import PRINT
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.risk.stale_book import StaleBook
from pmrun.plugins.risk.volatility import Volatility
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import Fact, Filled, MarketStatus, StatusChanged, each
from pmrun.runner.intents import Halt, Intent, Observed, Place
from pmrun.runner.market import Outcome
from pmrun.runner.orders import Order, Purpose, State
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.summary import Tally
from pmrun.runner.units import Micros, Side, complement

BUY = Side.BUY
VOLATILITY = Volatility(0.05, Micros(5 * SECOND), min_points=2, window=4, max_gap=Micros(40 * SECOND))
NO_DELAY, SLOW = st.just(Micros(0)), st.just(Micros(700_000))
RICH = st.just(1_000_000)


def yes_price(order: Place | Order) -> int:
    return order.price if order.outcome is Outcome.YES else complement(order.price)


def bids(order: Place | Order) -> bool:
    """Whether it stands on the bid side of the YES book."""
    return (order.side is BUY) == (order.outcome is Outcome.YES)


# What is committed.


def is_valid(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
    for place in intents:
        if not isinstance(place, Place):
            continue
        state = watch.desk.markets[place.market]
        tick = state.grid.tick
        assert place.price % tick == 0
        assert tick <= place.price <= 10_000 - tick
        assert place.size >= state.terms.min_order_size
        book = state.book.seen_by(place.outcome)
        if place.purpose is Purpose.QUOTE:
            assert book.two_sided
        if place.post_only:
            assert place.price < book.best_ask if place.side is BUY else place.price > book.best_bid
        else:  # only what brings holdings back may take (R9)
            assert place.purpose is not Purpose.QUOTE
            assert place.side is not BUY


def every_order_is_accounted_for(watch: Watch) -> None:
    """What a summary counts of orders is how the desk knows that each of them ended."""
    tally = Tally()
    for place in watch.placed.values():
        tally.record(watch.told[0], [place])
    for fact in watch.facts:
        tally.record(fact, ())
    ended = Counter(order.state for order in watch.desk.orders.values())
    counts = tally.orders
    assert counts["filled"] == ended[State.FILLED]
    assert counts["cancelled"] == ended[State.CANCELED]
    assert counts["rejected"] == ended[State.REJECTED] == sum(tally.count.rejections.values())
    assert counts["placed"] == len(watch.placed) == sum(ended.values())
    assert counts["open"] == sum(1 for _ in watch.desk.in_play())
    assert (counts["never_sent"], counts["adopted"]) == (0, 0)


def never_meets_itself(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
    for state in watch.desk.markets.values():
        orders = list(state.orders.values())
        highest = max((yes_price(each) for each in orders if bids(each)), default=0)
        lowest = min((yes_price(each) for each in orders if not bids(each)), default=10_001)
        assert highest < lowest


def reserves(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
    """What is locked and reserved is what the orders in play say, and never more than there is."""
    desk = watch.desk
    funds = desk.account.funds
    in_play = list(desk.in_play())
    assert funds.locked == sum(order.locked for order in in_play)
    # Each part of a fill is rounded up by itself; see the test of parts in core/test_inventory.py.
    assert 0 <= funds.locked <= funds.total + len(watch.fills)
    for no, inventory in desk.account.markets():
        mine = [order for order in in_play if order.market == no]
        assert inventory.bids == sum(o.price * o.remaining for o in mine if o.side is BUY)
        for outcome in Outcome:
            held = inventory.of(outcome)
            assert held.reserved == sum(o.reserved for o in mine if o.outcome is outcome)
            assert held.held >= 0


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_everything_committed_is_on_the_grid_and_crosses_nothing(data, build, settings, paper, queue):
    watch = trade(data, build, settings, paper, queue, is_valid)
    every_order_is_accounted_for(watch)
    event(f"placed: {min(3, len(watch.placed))}")


@given(tapes(), compositions(cap=False), SETTINGS, papers(RICH), QUEUES)
def test_no_two_orders_of_ours_could_ever_match_each_other(data, build, settings, paper, queue):
    trade(data, build, settings, paper, queue, never_meets_itself)


@given(tapes(notes=False), compositions(cap=False), SETTINGS, papers(), QUEUES)
def test_what_is_locked_is_what_orders_lock_and_never_more_than_there_is(data, build, settings, paper, queue):
    trade(data, build, settings, paper, queue, reserves)


# Exposure.


def within_the_cap(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
    for place in intents:
        if isinstance(place, Place) and place.side is BUY:
            assert watch.desk.account.inventory(place.market).exposure <= CAP * 10_000


@given(tapes(), compositions(), SETTINGS, papers(RICH, latency=NO_DELAY), QUEUES)
def test_exposure_stays_within_the_cap_when_answers_come_at_once(data, build, settings, paper, queue):
    trade(data, build, settings, paper, queue, within_the_cap)


@given(tapes(), compositions(timed=False, wild=True), settings_of(AT_ONCE), papers(RICH, latency=SLOW), QUEUES)
def test_exposure_stays_within_the_cap_with_everything_in_flight(data, build, settings, paper, queue):
    trade(data, build, settings, paper, queue, within_the_cap)


# Cash and shares.


class Ledger:
    """What must be there, from the facts alone."""

    def __init__(self, start: int) -> None:
        self.start = self.cash = start
        self.held: dict[tuple[int, Outcome], int] = defaultdict(int)
        self.known: set[tuple[str, int]] = set()
        self.paid: dict[int, int] = {}  # what YES paid, in markets that are resolved

    def take(self, fact: Fact, placed: dict[int, Place]) -> None:
        if isinstance(fact, Filled) and (fact.trade, fact.order) not in self.known:
            self.known.add((fact.trade, fact.order))
            place = placed[fact.order]
            sign = 1 if place.side is BUY else -1
            self.cash -= sign * fact.cash + fact.fee
            self.held[place.market, place.outcome] += sign * fact.size
        elif isinstance(fact, StatusChanged) and fact.status is MarketStatus.RESOLVED:
            self.paid[fact.market] = fact.settled_yes
        for no, outcome in list(self.held):
            if no in self.paid:
                worth = self.paid[no] if outcome is Outcome.YES else 10_000 - self.paid[no]
                self.cash += self.held.pop((no, outcome)) * worth // 10_000


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_cash_and_shares_are_conserved(data, build, settings, paper, queue):
    ledger = Ledger(paper.funds)

    def look(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
        account = watch.desk.account
        for one in each(fact):
            ledger.take(one, watch.placed)
        assert account.funds.total == ledger.cash
        for no, inventory in account.markets():
            for outcome in Outcome:
                assert inventory.of(outcome).held == ledger.held[no, outcome]
        cost = sum(inventory.cost for _, inventory in account.markets())
        assert account.funds.total + cost - account.realised == ledger.start

    watch = trade(data, build, settings, paper, queue, look)
    event(f"fills: {min(3, len(watch.fills))}")


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_after_a_run_nothing_is_in_play_and_nothing_is_locked(data, build, settings, paper, queue):
    desk = trade(data, build, settings, paper, queue).desk
    assert list(desk.in_play()) == []
    assert all(order.state not in (State.PENDING_SUBMIT, State.SUBMITTED, State.LIVE) for order in desk.orders.values())
    assert desk.account.funds.locked == 0
    for _, inventory in desk.account.markets():
        assert inventory.bids == 0
        assert [inventory.of(outcome).reserved for outcome in Outcome] == [0, 0]


@given(tapes(notes=False), compositions(), SETTINGS, papers(), QUEUES)
def test_after_a_run_every_fill_is_settled(data, build, settings, paper, queue):
    desk = trade(data, build, settings, paper, queue).desk
    for _, inventory in desk.account.markets():
        assert [inventory.of(outcome).pending for outcome in Outcome] == [0, 0]


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_nothing_impossible_ever_happens_on_paper(data, build, settings, paper, queue):
    watch = trade(data, build, settings, paper, queue)
    odd = [one for one in watch.intents if isinstance(one, Observed | Halt)]
    assert odd == []


# Fills.


def prints_at(data: FeedData) -> dict[int, list[tuple[int, int, int, int]]]:
    """Prints by the time they arrived: market, side they hit, price of YES, size."""
    found = defaultdict(list)
    rows = data.rows
    for i in range(len(rows.at)):
        if rows.kind[i] == PRINT:
            print_ = (int(rows.market[i]), 1 - int(rows.side[i]), int(rows.price[i]), int(rows.size[i]))
            found[int(rows.at[i])].append(print_)
    return found


@given(tapes(), compositions(cap=False), SETTINGS, papers(RICH, latency=NO_DELAY), QUEUES)
def test_our_fills_never_exceed_the_prints_that_made_them(data, build, settings, paper, queue):
    watch = trade(data, build, settings, paper, queue)
    prints = prints_at(data)
    filled: dict[int, list[Filled]] = defaultdict(list)
    for fill in watch.fills.values():
        if fill.maker:  # an exit that takes is filled by what is displayed
            filled[fill.at].append(fill)
    for at, fills in filled.items():
        for (no, side), limit in {
            (m, s): sum(size for *where, _, size in prints[at] if where == [m, s]) for m in range(2) for s in (0, 1)
        }.items():
            orders = [(watch.placed[f.order], f) for f in fills]
            mine = [(p, f) for p, f in orders if p.market == no and (0 if bids(p) else 1) == side]
            # YES and NO orders on one side of the one book share the same prints.
            assert sum(f.size for _, f in mine) <= limit
            for place, fill in mine:
                assert fill.price == place.price
                reached = [p for m, s, p, _ in prints[at] if (m, s) == (no, side)]
                limit_price = yes_price(place)
                assert any(p <= limit_price if side == 0 else p >= limit_price for p in reached)
    event(f"fills: {min(3, len(watch.fills))}")


@given(tapes(notes=False), compositions(cap=False), SETTINGS, papers(RICH), QUEUES)
def test_all_fills_at_a_price_or_better_are_covered_by_prints_at_it_or_through_it(data, build, settings, paper, queue):
    watch = trade(data, build, settings, paper, queue)
    prints = [one for group in prints_at(data).values() for one in group]
    for place in watch.placed.values():
        side, at = (0 if bids(place) else 1), yes_price(place)

        def reaches(price: int, at: int = at, side: int = side) -> bool:
            return price >= at if side == 0 else price <= at

        ours = sum(
            fill.size
            for fill in watch.fills.values()
            if fill.maker
            and (other := watch.placed[fill.order]).market == place.market
            and bids(other) == bids(place)
            and not reaches(yes_price(other) - (1 if side == 0 else -1))
        )
        # Orders at this price or worse can only have been filled by prints at this price or through it.
        volume = sum(
            s for m, sd, p, s in prints if (m, sd) == (place.market, side) and not reaches(p - (1 if side == 0 else -1))
        )
        assert ours <= volume


# Determinism.


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_the_same_tape_and_settings_give_the_same_intents(data, build, settings, paper, queue):
    first, second = (trade(data, build, settings, paper, queue) for _ in range(2))
    assert as_bytes(first.intents) == as_bytes(second.intents)
    assert [type(fact) for fact in first.facts] == [type(fact) for fact in second.facts]


@given(tapes(), compositions(), SETTINGS, papers(), QUEUES)
def test_a_fresh_desk_told_the_same_facts_wants_the_same(data, build, settings, paper, queue):
    watch = trade(data, build, settings, paper, queue)
    again = Desk(watch.desk.hooks.__class__(build()), settings)
    assert as_bytes([intent for fact in watch.told for intent in again.handle(fact)]) == as_bytes(watch.intents)


def evaluated(data: FeedData, build: Composition, settings: DeskSettings, paper: Paper, queue: Queue) -> list[Watch]:
    ungated = msgspec.structs.replace(settings, gated=False)
    return [trade(data, build, each, paper, queue) for each in (settings, ungated)]


@given(tapes(), compositions(timed=False), settings_of(AT_ONCE), papers(RICH), QUEUES)
def test_a_market_looked_at_only_when_something_changed_is_quoted_as_if_always_looked_at(
    data, build, settings, paper, queue
):
    gated, ungated = evaluated(data, build, settings, paper, queue)
    assert gated.acted() == ungated.acted()
    event(f"placed: {min(3, len(gated.placed))}")


@given(tapes(), compositions(timed=False), settings_of(ON_A_CLOCK), papers(RICH), QUEUES)
def test_decisions_on_a_clock_do_not_tell_the_two_apart(data, build, settings, paper, queue):
    gated, ungated = evaluated(data, build, settings, paper, queue)
    assert gated.acted() == ungated.acted()


@given(tapes(), compositions(timed=True), settings_of(AT_ONCE), papers(RICH), QUEUES)
def test_components_that_wait_for_a_time_do_not_tell_the_two_apart(data, build, settings, paper, queue):
    gated, ungated = evaluated(data, build, settings, paper, queue)
    assert gated.acted() == ungated.acted()


@given(tapes(), compositions(timed=False), settings_of(AT_ONCE), papers(), QUEUES)
def test_scarce_funds_do_not_tell_the_two_apart(data, build, settings, paper, queue):
    gated, ungated = evaluated(data, build, settings, paper, queue)
    assert gated.acted() == ungated.acted()


@pytest.mark.parametrize("check", [StaleBook(Micros(40 * SECOND)), VOLATILITY], ids=["stale book", "volatility"])
def test_a_book_that_is_confirmed_and_does_not_move_is_not_silent(check):
    rows = RowBuilder()
    for frame in range(1, 30):
        # Only the size of the second level changes, every ten seconds, for five minutes.
        at = Micros(START + 10 * SECOND * frame)
        bids, asks = levels(f"0.45x100 0.44x{frame}"), levels("0.55x100 0.56x100")
        rows.book(at, at, frame, 0, Outcome.YES, bids, asks)
    info = FeedInfo(
        name="quiet", source="test", simulated=True, data_hash="", frames=29, prints=1, first_at=START, last_at=at
    )
    data = FeedData(markets=(market(),), steps=(100,), rows=rows.build(), notes=(), info=info)

    def build() -> dict[str, object]:
        return {"pricing": MakerFollow(), "sizing": Fixed(shares("20")), "risk.mine": copy(check)}

    gated, ungated = evaluated(data, build, DeskSettings(), Paper(), Queue())
    assert gated.acted() == ungated.acted()
