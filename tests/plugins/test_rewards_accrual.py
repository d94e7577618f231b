"""Reward accrual during a run: which moments are sampled, in which state, and what is made of them (R2)."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.rewards.accrual import MINUTE, Estimated, sample_in
from pmrun.plugins.rewards.score import own_order, score
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import FeedEnded, FeedLost, MarketStatus, StatusChanged, TimerDue, Together
from pmrun.runner.hooks import WHOLE_BOOK, Hooks, Objection, Rank, hookimpl
from pmrun.runner.intents import Place
from pmrun.runner.market import ConditionId, MarketNo, Outcome, RewardTerms
from pmrun.runner.orders import News, State
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import SECOND, Micros, Price, Side, Size, parse_size
from pmrun.runner.universe import Rescan
from tests.core.scenes import (
    NO,
    NOON,
    YES,
    bid,
    book,
    canceled,
    cash,
    fill_of,
    later,
    make_desk,
    market,
    news,
    only,
    resting,
    shares,
    told,
)

CROWDED = book("0.39x1800", "0.41x1800")  # 800 score-shares on either side
PAIR = (bid(YES, "0.39"), bid(NO, "0.59"))  # with 200 shares each: 88.89
MIDNIGHT = later(12 * 3600)
AT_ONCE = Estimated(min_order_age=Micros(0))


def paying(native="100", sponsored="0", least="50", **more):
    terms = RewardTerms(
        min_size=shares(least), max_spread=Price(300), daily_rate=cash(native), sponsored_rate=cash(sponsored)
    )
    return market(rewards=terms, **more)


class Watched:
    """A desk that is told facts, and what watches it."""

    def __init__(self, *quotes, estimated=AT_ONCE, seed=7, terms=None, **settings):
        desk, self.says = make_desk(
            *quotes, funds="100000", shares="200", terms=terms or paying(), **{"sell_holdings": False, **settings}
        )
        self.desk = desk
        self.watch = estimated.open(desk, seed)
        for no in desk.markets:
            self.watch.record(told(book("", ""), NOON, no), [])  # listed before it watched

    def tell(self, *facts):
        intents = []
        for fact in facts:
            out = self.desk.handle(fact)
            self.watch.record(fact, out)
            intents += out
        return intents

    def rest(self, *facts, at=NOON):
        """Tell facts; let everything that is placed rest at once; return the orders."""
        placed = [each.order for each in only(Place, self.tell(*facts))]
        self.tell(*[resting(no, at) for no in placed])
        return placed

    @property
    def rows(self):
        return self.watch.rows()

    def estimate(self):
        return self.watch.estimate()


def test_a_pair_that_rests_half_the_day_earns_half_of_its_share():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(FeedEnded(MIDNIGHT))
    found = run.estimate()
    assert (found["samples"], found["scoring_samples"], found["uptime"]) == (720, 720, 1)
    assert found["low"] == pytest.approx(5.00, abs=1e-6)  # a tenth of half of 100 dollars (reference 7.3, example 3)
    assert found["mid"] == pytest.approx(50 * 800 / (800 + 9 * 600), abs=1e-6)
    assert found["high"] == pytest.approx(50 * 800 / (800 + 9 * 400), abs=1e-6)


def test_every_minute_has_one_sample_somewhere_in_it():
    run = Watched(*PAIR)
    run.tell(told(CROWDED), FeedEnded(MIDNIGHT))
    times = [row.at for row in run.rows]
    assert [at // MINUTE for at in times] == list(range(NOON // MINUTE, MIDNIGHT // MINUTE))
    offsets = {at % MINUTE for at in times}
    assert len(offsets) > 700
    assert min(offsets) < 3 * SECOND
    assert max(offsets) > 57 * SECOND


def test_the_seed_decides_the_moments_and_nothing_else_does():
    def times(seed, start):
        run = Watched(*PAIR, seed=seed)
        run.tell(told(CROWDED, start), FeedEnded(later(7200)))
        return {row.at for row in run.rows if row.at > later(3600)}

    assert times(7, NOON) == times(7, later(100))
    assert not times(7, NOON) & times(8, NOON)


def test_a_minute_that_had_its_moment_before_the_start_is_not_sampled():
    moment = sample_in(NOON // MINUTE, 7)
    for start, first in ((moment, moment), (Micros(moment + 1), sample_in(NOON // MINUTE + 1, 7))):
        desk, _ = make_desk(*PAIR, terms=paying())
        watch = AT_ONCE.open(desk, 7)
        for fact in (told(CROWDED, start), FeedEnded(later(600))):
            watch.record(fact, desk.handle(fact))
        assert watch.rows()[0].at == first


def test_a_sample_is_judged_by_what_was_told_up_to_its_moment():
    moment = sample_in(NOON // MINUTE + 1, 7)
    for offset, scores in ((-1, False), (0, False), (1, True)):
        run = Watched(bid(YES, "0.39"))
        (order,) = run.rest(told(CROWDED))
        run.tell(canceled(order, Micros(moment + offset)), FeedEnded(later(120)))
        assert run.rows[1].at == moment
        assert run.rows[1].scoring is scores, offset


def test_a_book_that_comes_after_the_moment_does_not_count_for_it():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    moment = sample_in(NOON // MINUTE + 1, 7)
    run.tell(told(book("0.39x18000", "0.41x18000"), Micros(moment + 1)), FeedEnded(later(180)))
    assert [round(row.share_low, 3) for row in run.rows] == [0.1, 0.1, 0.011]


def test_an_order_scores_only_while_it_rests():
    run = Watched(bid(YES, "0.39"))
    (place,) = only(Place, run.tell(told(CROWDED)))
    run.tell(news(place.order, News.ACCEPTED, later(60)))
    run.tell(resting(place.order, later(120)))
    run.tell(canceled(place.order, later(180)))
    run.says.quotes = []
    run.tell(FeedEnded(later(240)))
    assert [row.scoring for row in run.rows] == [False, False, True, False]
    assert run.estimate()["uptime"] == 0.25


def test_an_order_scores_only_once_it_has_rested_long_enough():
    moment = sample_in(NOON // MINUTE, 7)
    for age, scores in ((moment - NOON, True), (moment - NOON + 1, False)):
        run = Watched(*PAIR, estimated=Estimated(min_order_age=Micros(age)))
        run.rest(told(CROWDED))
        run.tell(FeedEnded(later(60)))
        assert [row.scoring for row in run.rows] == [scores]


def test_what_is_left_of_an_order_has_to_be_large_enough():
    run = Watched(bid(YES, "0.39"))
    (order,) = run.rest(told(CROWDED))
    run.says.quotes = []
    run.tell(fill_of(run.desk.orders[order], "150", "t1", later(60)))
    assert run.desk.orders[order].state is State.PARTIALLY_FILLED
    run.tell(fill_of(run.desk.orders[order], "0.01", "t2", later(120)), FeedEnded(later(180)))
    assert [row.ours for row in run.rows] == pytest.approx([800 / 27, 200 / 27, 0])


def test_native_and_sponsored_pools_are_kept_apart():
    run = Watched(*PAIR, terms=paying("60", "40"))
    run.rest(told(CROWDED))
    run.tell(FeedEnded(MIDNIGHT))
    found = run.estimate()
    assert found["native"]["low"] == pytest.approx(3, abs=1e-6)
    assert found["sponsored"]["low"] == pytest.approx(2, abs=1e-6)
    assert found["low"] == pytest.approx(5, abs=1e-6)
    assert sum(row.sponsored_low_usd for row in run.rows) == pytest.approx(2)


def test_days_are_those_of_utc_because_payouts_are():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(FeedEnded(Micros(MIDNIGHT + 6 * 3600 * SECOND)))
    found = run.estimate()
    assert {day: paid["low"] for day, paid in found["days"].items()} == pytest.approx(
        {"2025-11-24": 5.0, "2025-11-25": 2.5}, abs=1e-6
    )
    assert found["payout_minimum_usd"] == 1


def test_each_market_has_its_own_estimate_and_they_add_up():
    run = Watched(terms=[paying(slug="rain"), paying("50", slug="snow"), market(slug="dry", rewards=None)])
    run.says.quotes = list(PAIR)
    placed = [run.rest(told(CROWDED, NOON, no)) for no in range(3)]
    assert [len(orders) for orders in placed] == [2, 2, 2]
    run.tell(FeedEnded(MIDNIGHT))
    found = run.estimate()
    assert [each["slug"] for each in found["markets"].values()] == ["rain", "snow"]
    assert [each["low"] for each in found["markets"].values()] == pytest.approx([5, 2.5], abs=1e-6)
    assert found["low"] == pytest.approx(7.5, abs=1e-6)
    assert found["samples"] == 2 * 720


class Nothing:
    """A filter that drops every market."""

    @hookimpl
    def reject_market(self) -> Objection:
        return Objection("dropped")


def test_a_market_we_are_not_in_is_not_sampled():
    desk, _ = make_desk(*PAIR, terms=paying(), components={"filters.all": Nothing()})
    watch = AT_ONCE.open(desk, 7)
    for fact in (told(CROWDED), FeedEnded(MIDNIGHT)):
        watch.record(fact, desk.handle(fact))
    assert watch.rows() == []
    assert watch.estimate()["uptime"] is None


class Likes:
    """A ranking that likes one market."""

    def __init__(self, slug):
        self.slug = slug

    @hookimpl
    def rank_market(self, market) -> Rank:
        return Rank(float(market.slug == self.slug), {})


def test_a_market_is_sampled_from_its_selection_until_its_last_order_is_gone():
    likes = Likes("rain")
    desk, _ = make_desk(
        *PAIR,
        terms=[paying(slug="rain"), paying(slug="snow")],
        components={"ranking": likes},
        shares="200",
        max_markets=1,
        rescan=Rescan(every=Micros(MINUTE)),
    )
    watch = AT_ONCE.open(desk, 7)

    def tell(*facts):
        intents = []
        for fact in facts:
            out = desk.handle(fact)
            watch.record(fact, out)
            intents += out
        return intents

    first = tell(Together(NOON, (told(CROWDED), told(CROWDED, NOON, 1))))
    orders = [each.order for each in only(Place, first)]
    tell(*[resting(no) for no in orders])
    likes.slug = "snow"
    tell(TimerDue(later(60)))
    assert [state.selected for state in desk.markets.values()] == [False, True]
    tell(*[canceled(no, later(120)) for no in orders], FeedEnded(later(180)))
    sampled = [[row.market for row in watch.rows() if row.at // MINUTE == NOON // MINUTE + each] for each in range(3)]
    assert sampled == [[0], [0, 1], [1]]


@pytest.mark.parametrize(
    ("status", "samples", "scoring"),
    [(MarketStatus.RESOLVED, 1, 1), (MarketStatus.CLOSED, 1, 1), (MarketStatus.HALTED, 3, 1)],
)
def test_a_halted_market_earns_nothing_and_an_ended_one_is_not_sampled(status, samples, scoring):
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(StatusChanged(later(60), MarketNo(0), status), FeedEnded(later(180)))
    found = run.estimate()
    assert (found["samples"], found["scoring_samples"]) == (samples, scoring)


def test_nothing_is_earned_on_books_that_cannot_be_trusted():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(FeedLost(later(60)), FeedEnded(later(120)))
    assert [row.scoring for row in run.rows] == [True, False]


def test_nothing_is_sampled_after_the_end():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(FeedEnded(later(60)), TimerDue(later(600)))
    assert len(run.rows) == 1


def test_the_estimate_says_that_it_is_one_and_can_be_written_down():
    run = Watched(*PAIR)
    run.rest(told(CROWDED))
    run.tell(FeedEnded(later(60)))
    found = json.loads(json.dumps(run.estimate()))
    assert found["estimated"] is True
    assert "split" in found["assumes"]


@pytest.mark.parametrize(
    ("assumed", "says"), [((), False), (("feeSchedule", "endDate"), False), (("feeSchedule", "clobRewards"), True)]
)
def test_the_estimate_says_where_the_reward_terms_were_filled_in(assumed, says):
    run = Watched(terms=[paying(slug="rain", assumed=assumed), paying(slug="snow")])
    run.says.quotes = list(PAIR)
    run.rest(told(CROWDED), told(CROWDED, NOON, 1))
    run.tell(FeedEnded(later(60)))
    found = run.estimate()
    assert found["terms_assumed"] is says
    assert [market["terms_assumed"] for market in found["markets"].values()] == [says, False]


@pytest.mark.parametrize(("age", "fine"), [(-1, False), (0, True), (86_399 * SECOND, True), (86_400 * SECOND, False)])
def test_an_order_age_lies_within_a_day(age, fine):
    if fine:
        assert Estimated(min_order_age=Micros(age)).min_order_age == age
    else:
        with pytest.raises(ValueError, match="min_order_age must be"):
            Estimated(min_order_age=Micros(age))


def test_it_asks_for_the_whole_book():
    assert Estimated.depth == WHOLE_BOOK


# A real run: paper exchange, fills, moves, cancels; and a slow count beside it.


def windy(seconds, seed):
    """Three markets whose books wander, with prints through the queue; the last has no rewards."""
    made, size, frame = RowBuilder(), parse_size(60), 0
    for second in range(seconds):
        at = Micros(NOON + second * SECOND)
        for number in range(3):
            bid_at = Price(4_500 + 100 * ((second // (7 + number) + seed) % 3))
            ask_at = Price(bid_at + 300)
            bids = tuple((Price(bid_at - 100 * rank), size) for rank in range(4))
            asks = tuple((Price(ask_at + 100 * rank), size) for rank in range(4))
            frame += 1
            made.book(at, at, frame, number, Outcome.YES, bids, asks)
            if second % 5 == 2:
                side, price = (Side.SELL, bid_at) if (second + seed) % 4 else (Side.BUY, ask_at)
                after = Micros(at + SECOND // 2)
                frame += 1
                made.trade(after, after, frame, number, Outcome.YES, side, price, Size(2 * size))
    return made.build(), frame


def feed(seconds, seed):
    rows, frames = windy(seconds, seed)
    end = Micros(NOON + seconds * SECOND)
    terms = [paying(slug="rain", condition=ConditionId("0xr")), paying("50", "5", slug="snow"), market(rewards=None)]
    return FeedData(
        markets=tuple(terms),
        steps=(100, 100, 100),
        rows=rows,
        notes=(StatusChanged(Micros(end - 200 * SECOND), MarketNo(1), MarketStatus.RESOLVED, Price(0)),),
        info=FeedInfo(
            name="made up",
            source="test",
            simulated=True,
            data_hash="0",
            frames=frames,
            prints=seconds // 5,
            first_at=NOON,
            last_at=end,
        ),
    )


class Slow:
    """Copies all markets after every step, and counts the samples at the end."""

    takes_together = True

    def __init__(self, desk):
        self.desk = desk
        self.steps = []
        self.ended = None

    def record(self, fact, intents):
        markets = {
            no: (
                state.terms,
                state.status,
                state.selected,
                state.book,
                [order.copy() for order in state.orders.values()],
            )
            for no, state in self.desk.markets.items()
        }
        if self.ended is None:
            self.steps.append((fact.at, markets))
        if isinstance(fact, FeedEnded):
            self.ended = fact.at

    def close(self):
        pass

    def counted(self, seed, age):
        found = []
        for (at, markets), (until, _) in pairwise(self.steps):
            for minute in range(at // MINUTE, until // MINUTE + 1):
                moment = sample_in(minute, seed)
                if not at <= moment < until:
                    continue
                for no, (terms, status, selected, shown, orders) in markets.items():
                    if terms.rewards is None or status is not MarketStatus.TRADING or not (selected or orders):
                        continue
                    rested = [
                        own_order(order)
                        for order in orders
                        if order.state in (State.LIVE, State.PARTIALLY_FILLED) and moment - order.submitted_at >= age
                    ]
                    found.append((moment, no, score(shown, rested, terms.rewards).ours if shown else 0.0))
        return found


def run_windy(seed, seconds=900):
    data = feed(seconds, seed)
    hooks = Hooks({"pricing": MakerFollow(), "sizing": Fixed(parse_size(80))})
    desk = Desk(hooks, DeskSettings())
    watch, slow = Estimated().open(desk, seed), Slow(desk)
    exchange = Paper(settlement_delay=SECOND).open(data, Queue(), WHOLE_BOOK, False)
    for _ in Simulation(desk, exchange, [watch, slow], "end").run():
        pass
    return desk, watch, slow


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 50))
def test_what_was_sampled_in_a_run_is_what_a_full_copy_of_every_step_says(seed):
    desk, watch, slow = run_windy(seed)
    assert desk.account.fills
    assert [(row.at, row.market, row.ours) for row in watch.rows()] == slow.counted(seed, 4 * SECOND)
    assert {row.market for row in watch.rows()} == {0, 1}
    scoring = {row.scoring for row in watch.rows()}
    assert True in scoring


def test_the_same_run_gives_the_same_estimate_and_facts_together_or_one_by_one_do_too():
    first, second = run_windy(3)[1], run_windy(3)[1]
    assert first.rows() == second.rows()
    assert first.estimate() == second.estimate()
    together, single = Watched(*PAIR), Watched(*PAIR)
    for run in (together, single):
        run.rest(told(CROWDED))
    facts = (told(CROWDED, later(90)), told(book("0.40x900", "0.41x900"), later(90)))
    together.tell(Together(later(90), facts))
    single.tell(*facts)
    for run in (together, single):
        run.tell(FeedEnded(later(300)))
    assert together.rows == single.rows
