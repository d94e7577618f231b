"""Limits of the account: what trips them, what stays when they do, and that a restart gives no room."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from scenes import (
    FIRST,
    NO,
    NOON,
    SECOND,
    YES,
    bid,
    book,
    book_at,
    canceled,
    cancels,
    cash,
    confirmed,
    failed,
    fill_of,
    later,
    make_desk,
    market,
    news,
    only,
    places,
    resting,
    shares,
    tell,
)
from tapes import (
    AT_ONCE,
    ON_A_CLOCK,
    QUEUES,
    SEEDS,
    compositions,
    papers,
    settings_of,
    tapes,
    trade,
)

from pmrun.plugins.hedging.hedge_sell import HedgeSell
from pmrun.plugins.risk.daily_loss import DAY, DailyLoss
from pmrun.plugins.risk.drawdown import Drawdown
from pmrun.plugins.risk.error_rate import ErrorRate
from pmrun.plugins.risk.order_rate import OrderRate
from pmrun.runner.desk import Desk
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import Carried, Fact, FundsSeen, HoldingSeen, OrderNews, TimerDue, Together
from pmrun.runner.halts_said import halt_lines, halts_of
from pmrun.runner.hooks import AccountView, Hooks, Objection, hookimpl
from pmrun.runner.intents import Cancel, CancelAll, Halt, Intent, Observed, Place, Reason
from pmrun.runner.journal import as_fact, read_journal
from pmrun.runner.journal_writer import JournalWriter
from pmrun.runner.market import MarketNo
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.summary import iso
from pmrun.runner.units import Cash, Micros

MINUTE = 60 * SECOND
MIDNIGHT = Micros(NOON // DAY * DAY + DAY)


@dataclass
class Account:
    """An account as a test wants it."""

    equity: Cash | None
    locked: Cash = Cash(0)
    cash: Cash = Cash(0)


def worth(dollars: str, locked: str = "0") -> Account:
    return Account(cash(dollars), cash(locked))


def code(objection: Objection | None) -> str | None:
    return objection and objection.code


def halts(intents: Sequence[Intent]) -> list[tuple[str, str]]:
    return [(each.reason.by, each.reason.code) for each in only(Halt, intents)]


# Daily loss.


@pytest.mark.parametrize(("now", "objects"), [("975.000001", None), ("975", "daily_loss"), ("900", "daily_loss")])
def test_a_day_may_cost_less_than_the_limit_and_no_more(now, objects):
    limit = DailyLoss(cash("25"))
    assert limit.object_to_account(worth("1000"), NOON) is None
    assert code(limit.object_to_account(worth(now), later(1))) == objects


@pytest.mark.parametrize(
    ("locked", "objects"), [("99.99999", None), ("99.999991", "daily_loss"), ("100", "daily_loss")]
)
def test_bids_in_play_count_as_lost_by_the_haircut(locked, objects):
    limit = DailyLoss(cash("25"), resting_haircut=0.1)
    assert limit.object_to_account(worth("1000"), NOON) is None
    assert code(limit.object_to_account(worth("985", locked), later(1))) == objects


def test_without_a_haircut_what_rests_counts_nothing():
    limit = DailyLoss(cash("25"), resting_haircut=0.0)
    assert limit.object_to_account(worth("1000", "1000"), NOON) is None


def test_a_day_that_cost_too_much_stays_so_though_prices_come_back():
    limit = DailyLoss(cash("25"))
    limit.object_to_account(worth("1000"), NOON)
    limit.object_to_account(worth("970"), later(1))
    assert code(limit.object_to_account(worth("1100"), Micros(MIDNIGHT - 1))) == "daily_loss"


def test_the_next_day_begins_with_what_the_last_one_left():
    limit = DailyLoss(cash("25"))
    limit.object_to_account(worth("1000"), NOON)
    limit.object_to_account(worth("970"), later(1))
    assert limit.next_wake() == MIDNIGHT
    assert limit.object_to_account(worth("960"), MIDNIGHT) is None
    assert limit.next_wake() is None
    assert limit.object_to_account(worth("945.000001"), Micros(MIDNIGHT + 1)) is None
    assert code(limit.object_to_account(worth("945"), Micros(MIDNIGHT + 2))) == "daily_loss"


def test_what_is_held_and_cannot_be_valued_is_no_ground_to_quote_on():
    for limit in (DailyLoss(), Drawdown()):
        assert code(limit.object_to_account(Account(None), NOON)) == "equity_unknown"
        assert limit.object_to_account(worth("1000"), NOON) is None


@pytest.mark.parametrize("limit", [DailyLoss(cash("25")), Drawdown(cash("25"))])
def test_a_deposit_is_no_profit(limit):
    limit.object_to_account(worth("1000"), NOON)
    limit.object_to_account(worth("980"), NOON)
    limit.observe(FundsSeen(NOON, cash("2000")))
    assert limit.object_to_account(worth("1980"), NOON) is None
    assert limit.object_to_account(worth("1975.000001"), NOON) is None
    assert limit.object_to_account(worth("1975"), NOON) is not None


@pytest.mark.parametrize("limit", [DailyLoss(cash("25")), Drawdown(cash("25"))])
def test_a_withdrawal_counts_as_a_loss_since_nobody_can_tell_the_two_apart(limit):
    limit.object_to_account(worth("1000"), NOON)
    limit.observe(FundsSeen(NOON, cash("900")))
    assert limit.object_to_account(worth("900"), NOON) is not None


def test_a_deposit_between_two_sessions_is_no_profit_either():
    before, after = DailyLoss(cash("25")), DailyLoss(cash("25"))
    before.object_to_account(worth("1000"), NOON)
    before.object_to_account(worth("980"), NOON)
    after.observe(Carried(later(1), "risk.day", before.carry()))
    assert after.object_to_account(worth("5980"), later(1)) is None
    assert after.object_to_account(worth("5974"), later(1)) is not None


def test_restarting_again_and_again_costs_no_room():
    limit = Drawdown(cash("100"))
    limit.object_to_account(worth("1000"), NOON)
    for _ in range(50):
        again = Drawdown(cash("100"))
        again.observe(Carried(NOON, "risk.fall", limit.carry()))
        again.object_to_account(worth("999.5"), NOON)
        limit = again
    assert limit.object_to_account(worth("901.5"), NOON) is None


@pytest.mark.parametrize("limit", [DailyLoss(cash("25")), Drawdown(cash("25"))])
def test_what_is_carried_changes_seldom_while_the_equity_changes_all_the_time(limit):
    carried = []
    for step in range(1000):
        limit.object_to_account(Account(Cash(cash("1000") + (step * 7919 % 200_000))), later(step / 100))
        carried.append(limit.carry())
    assert sum(one != other for one, other in pairwise(carried)) <= 4


# Drawdown.


@pytest.mark.parametrize(("now", "objects"), [("1050.000001", None), ("1050", "drawdown")])
def test_the_account_may_fall_less_than_the_limit_below_its_peak(now, objects):
    limit = Drawdown(cash("50"))
    limit.object_to_account(worth("1000"), NOON)
    limit.object_to_account(worth("1100"), later(1))
    assert code(limit.object_to_account(worth(now), later(2))) == objects


def test_a_drawdown_is_for_good():
    limit = Drawdown(cash("50"))
    limit.object_to_account(worth("1000"), NOON)
    limit.object_to_account(worth("950"), later(1))
    assert code(limit.object_to_account(worth("2000"), Micros(NOON + 400 * DAY))) == "drawdown"
    again = Drawdown(cash("50"))
    again.observe(Carried(NOON, "risk.fall", limit.carry()))
    assert code(again.object_to_account(worth("2000"), NOON)) == "drawdown"


# Order rate and error rate.


def request(at: Micros) -> Intent:
    return Cancel(at, OrderNo(1), Reason("moved"))


def test_as_many_requests_as_allowed_are_fine_and_one_more_is_too_many():
    limit = OrderRate(3, Micros(10 * SECOND), Micros(60 * SECOND))
    for second in (0, 1, 2):
        limit.observe_intent(request(later(second)))
    assert limit.object_to_account(later(2)) is None
    limit.observe_intent(request(Micros(later(10) - 1)))
    assert code(limit.object_to_account(later(10))) == "order_rate"


def test_a_request_counts_for_less_than_the_window():
    limit = OrderRate(3, Micros(10 * SECOND), Micros(60 * SECOND))
    for second in (0, 1, 2, 10):
        limit.observe_intent(request(later(second)))
    assert limit.object_to_account(later(10)) is None


def test_the_pause_runs_from_the_last_request_that_was_too_many():
    limit = OrderRate(1, Micros(10 * SECOND), Micros(60 * SECOND))
    for second in (0, 1, 2):
        limit.observe_intent(request(later(second)))
    assert limit.next_wake() == later(62)
    assert code(limit.object_to_account(Micros(later(62) - 1))) == "order_rate"
    assert limit.object_to_account(later(62)) is None


def test_only_what_goes_to_the_exchange_is_a_request():
    limit = OrderRate(1)
    limit.observe_intent(Halt(NOON, None, Reason("x")))
    limit.observe_intent(Observed(NOON, Reason("x")))
    assert limit.carry() == {}
    limit.observe_intent(CancelAll(NOON, Reason("x")))
    assert limit.carry()["count"] == 1


@pytest.mark.parametrize(
    ("fact", "counts"),
    [
        (OrderNews(NOON, OrderNo(1), News.REJECTED), True),
        (OrderNews(NOON, OrderNo(1), News.REJECTED, "over the cap live.max_resting_usd"), False),
        (OrderNews(NOON, OrderNo(1), News.REJECTED, "not sent: places are shed, the budget is low"), False),
        (OrderNews(NOON, OrderNo(1), News.REJECTED, "not sent: no way to the exchange"), True),
        (OrderNews(NOON, OrderNo(1), News.UNKNOWN), True),
        (failed(1), True),
        (OrderNews(NOON, OrderNo(1), News.CANCELED), False),
        (OrderNews(NOON, OrderNo(1), News.RESTING), False),
        (confirmed(1), False),
    ],
)
def test_rejected_unknown_and_failed_are_errors_and_what_a_cap_of_ours_held_back_is_none(fact, counts):
    limit = ErrorRate(1)
    limit.observe(OrderNews(NOON, OrderNo(7), News.REJECTED))
    limit.observe(fact)
    assert (code(limit.object_to_account(NOON)) == "error_rate") is counts


def test_news_told_in_the_wrong_order_counts_from_the_latest():
    limit = ErrorRate(1, window=Micros(10 * SECOND))
    limit.observe(OrderNews(later(30), OrderNo(7), News.REJECTED))
    limit.observe(OrderNews(NOON, OrderNo(8), News.REJECTED))
    assert code(limit.object_to_account(later(30))) == "error_rate"


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: DailyLoss(Cash(0)), "max_loss"),
        (lambda: DailyLoss(resting_haircut=1.01), "resting_haircut"),
        (lambda: Drawdown(Cash(-1)), "max_drawdown"),
        (lambda: Drawdown(resting_haircut=-0.01), "resting_haircut"),
        (lambda: OrderRate(0), "max_requests"),
        (lambda: OrderRate(window=Micros(0)), "window"),
        (lambda: ErrorRate(0), "max_errors"),
        (lambda: ErrorRate(pause=Micros(0)), "pause"),
    ],
)
def test_limits_that_could_never_judge_are_refused(build, name):
    with pytest.raises(ValueError, match=name):
        build()


# On the desk.


def bought(desk: Desk) -> list[Intent]:
    """Let both bids rest and the first one fill."""
    tell(desk, resting(1), resting(2))
    return desk.handle(fill_of(desk.orders[OrderNo(1)], "100"))


def a_desk(limit: object, **more: object):
    return make_desk(bid(YES, "0.45"), bid(NO, "0.50"), components={"risk.limit": limit} | more, shares="100")


def test_every_quote_is_pulled_when_the_day_cost_too_much_and_the_reason_is_said_once():
    desk, _ = a_desk(DailyLoss(cash("10"), resting_haircut=0.0))
    tell(desk, book_at("0.46", "0.48"))
    bought(desk)
    assert halts(tell(desk, book_at("0.36", "0.38", later(1)))) == []
    fallen = tell(desk, book_at("0.34", "0.36", later(2)))
    assert halts(fallen) == [("risk.limit", "daily_loss")]
    assert cancels(fallen) == [2]
    assert {each.reason.code for each in only(Cancel, fallen)} == {"daily_loss"}
    assert places(fallen) == []
    again = tell(desk, book_at("0.34", "0.37", later(3)), book_at("0.46", "0.48", later(4)))
    assert (halts(again), places(again)) == ([], [])
    ((on, said),) = halt_lines({"halts": halts_of(desk.halts.all(later(62)), {})})
    assert on
    numbers = "(lost $10, at risk $0, limit $10)"
    assert said == f"daily_loss by risk.limit {numbers} from {iso(later(2))} to the end, 1 min"


def test_quotes_come_back_by_themselves_when_the_next_day_begins():
    desk, _ = a_desk(DailyLoss(cash("10"), resting_haircut=0.0))
    tell(desk, book_at("0.46", "0.48"))
    bought(desk)
    tell(desk, book_at("0.34", "0.36", later(2)), canceled(2, later(3)))
    assert desk.wake == MIDNIGHT
    assert places(tell(desk, TimerDue(MIDNIGHT))) != []


def test_hedges_go_on_while_a_limit_keeps_quotes_away():
    desk, _ = a_desk(DailyLoss(cash("10"), resting_haircut=0.0), hedging=HedgeSell(may_take=True))
    tell(desk, book_at("0.46", "0.48"), resting(1), resting(2), book_at("0.20", "0.22", later(1)))
    fallen = desk.handle(fill_of(desk.orders[OrderNo(1)], "100", at=later(2)))
    assert halts(fallen) == [("risk.limit", "daily_loss")]
    answered = tell(desk, resting(3, later(3)), confirmed(1, at=later(3)), canceled(3, later(3)), canceled(2, later(3)))
    placed = only(Place, [*fallen, *answered])
    assert placed
    assert {each.purpose for each in placed} <= {Purpose.HEDGE, Purpose.FLATTEN}


def test_a_quote_that_is_not_answered_when_a_limit_trips_is_cancelled_as_soon_as_it_is():
    desk, _ = a_desk(ErrorRate(1, pause=Micros(5 * SECOND)))
    tell(desk, book_at("0.46", "0.48"))
    tripped = tell(desk, news(2, News.UNKNOWN), news(2, News.UNKNOWN))
    assert halts(tripped) == [("risk.limit", "error_rate")]
    assert cancels(tripped) == []
    assert cancels(desk.handle(resting(1, later(1)))) == [1]


def test_what_a_decision_places_counts_at_once():
    desk, _ = a_desk(DailyLoss(cash("10"), resting_haircut=0.2))
    placed = desk.handle(book_at("0.46", "0.48"))  # 95 dollars of bids
    assert len(only(Place, placed)) == 2
    assert halts(placed) == [("risk.limit", "daily_loss")]
    assert cancels(tell(desk, resting(1), resting(2))) == [1, 2]


def test_too_many_requests_pull_the_quotes_and_the_pause_ends_by_itself():
    desk, says = a_desk(OrderRate(3, Micros(10 * SECOND), Micros(20 * SECOND)))
    tell(desk, book_at("0.46", "0.48"), resting(1), resting(2))
    says.quotes = [bid(YES, "0.44"), bid(NO, "0.50")]
    tripped = desk.handle(book_at("0.46", "0.48", later(1)))  # the fourth request places what the third made way for
    assert halts(tripped) == [("risk.limit", "order_rate")]
    assert cancels(tripped) == [1, 2]
    assert cancels(tell(desk, resting(3, later(2)), canceled(1, later(2)), canceled(2, later(2)))) == [3]
    assert places(tell(desk, TimerDue(later(21)))) == []  # the last cancel was one too many as well
    assert desk.wake == later(22)
    assert len(places(tell(desk, TimerDue(later(22))))) == 2
    ((on, said),) = halt_lines({"halts": halts_of(desk.halts.all(later(60)), {})})
    assert (on, said) == (False, f"order_rate by risk.limit (limit 3, within 10.0 s) from {iso(later(1))} for 21.0 s")
    desk.handle(canceled(3, later(2)))


def test_nothing_is_quoted_before_what_is_held_can_be_valued():
    desk, _ = make_desk(
        bid(YES, "0.45"), components={"risk.limit": DailyLoss()}, terms=[market(), market(yes="3", no="4")]
    )
    opening = desk.handle(HoldingSeen(NOON, MarketNo(1), YES, shares("50"), cash("20")))
    assert halts(opening) == [("risk.limit", "equity_unknown")]
    assert places(tell(desk, book_at("0.46", "0.48"))) == []
    assert places(tell(desk, book_at("0.46", "0.48", later(1), no=1))) != []


@dataclass(eq=False)
class Fails:
    """A limit with a bug."""

    when: str
    broken: bool = False

    @hookimpl
    def observe(self, fact: Fact) -> None:
        self.trip("observe")

    @hookimpl
    def observe_intent(self, intent: Intent) -> None:
        self.trip("observe_intent")

    @hookimpl
    def carry(self) -> dict[str, int]:
        self.trip("carry")
        return {"seen": 1}

    @hookimpl
    def object_to_account(self, account: AccountView, at: Micros) -> Objection | None:
        self.trip("object_to_account")
        return None

    def trip(self, where: str) -> None:
        if self.broken and where == self.when:
            raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize("when", ["observe", "observe_intent", "carry", "object_to_account"])
def test_a_limit_that_raises_halts_everything_and_stays_halted(when):
    limit = Fails(when)
    desk, says = a_desk(limit)
    tell(desk, book_at("0.46", "0.48"), resting(1), resting(2))
    limit.broken = True
    says.quotes = [bid(YES, "0.44"), bid(NO, "0.50")]
    desk.hooks.carried()
    fallen = tell(desk, book_at("0.46", "0.48", later(1)), book_at("0.46", "0.49", later(2)))
    assert halts(fallen) == [("risk.limit", "limit_failed")]
    assert sorted(cancels(fallen)) == [1, 2]
    limit.broken = False
    assert places(tell(desk, canceled(1, later(3)), canceled(2, later(3)), book_at("0.46", "0.48", later(4)))) == []
    assert desk.hooks.carried()["risk.limit"]["failed"] == 1


def test_what_failed_in_one_session_is_not_trusted_in_the_next():
    desk, _ = a_desk(Fails("never"))
    said = desk.handle(Carried(NOON, "risk.limit", {"seen": 1, "failed": 1}))
    assert halts(said) == [("risk.limit", "limit_failed")]
    assert places(tell(desk, book_at("0.46", "0.48"))) == []


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        *[(kind(), {"what": 3}) for kind in (DailyLoss, Drawdown, OrderRate, ErrorRate)],
        (DailyLoss(), {"day": 1, "start": 5}),
        (DailyLoss(), {"day": 1, "start": 5, "low": 1, "high": 2, "tripped": 3}),
        (DailyLoss(), {"day": 1, "start": 5, "low": 3, "high": 2, "tripped": 0}),
        (Drawdown(), {"peak": 1, "low": 3, "high": 2, "tripped": 0}),
        (OrderRate(), {"count": -1, "last": 5, "until": 0}),
        (ErrorRate(), {"count": 10**9, "last": 5, "until": 0}),
    ],
)
def test_a_limit_whose_memory_cannot_be_read_halts(limit, values):
    desk, _ = a_desk(limit)
    assert halts(desk.handle(Carried(NOON, "risk.limit", values))) == [("risk.limit", "limit_failed")]
    assert places(tell(desk, book_at("0.46", "0.48"))) == []


def test_what_was_carried_belongs_to_the_component_of_that_name_alone():
    first, second = OrderRate(1), OrderRate(1)
    desk, _ = make_desk(bid(YES, "0.45"), components={"risk.first": first, "risk.second": second})
    values = {"count": 2, "last": int(NOON), "until": int(later(60))}
    said = tell(desk, Carried(NOON, "risk.gone", values), Carried(NOON, "risk.second", values))
    assert halts(said) == [("risk.second", "order_rate")]
    assert desk.hooks.carried() == {"risk.first": {}, "risk.second": values}


@dataclass(eq=False)
class Forgetful:
    @hookimpl
    def carry(self) -> dict[str, int]:
        return {}


def test_a_component_that_carries_must_learn_what_it_carried():
    with pytest.raises(ConfigError, match=r"^risk\.mine: has carry without observe"):
        Hooks({"risk.mine": Forgetful()})


def test_without_limits_there_is_nothing_to_ask_and_nothing_to_carry():
    desk, _ = make_desk(bid(YES, "0.45"))
    assert not desk.hooks.limiting
    assert desk.hooks.carried() == {}


def test_what_was_carried_is_in_the_journal(tmp_path):
    fact = Carried(NOON, "risk.limit", {"count": 2, "last": 1, "until": 0})
    writer = JournalWriter(tmp_path, {})
    writer.record(fact, [])
    writer.record(Together(NOON, (fact, FundsSeen(NOON, cash("1")))), [])
    writer.close()
    found = [line.entries[0] for line in read_journal(tmp_path)]
    assert found[1] == fact
    assert as_fact(found[2], lambda entry: book("", "")).facts[0] == fact


# Laws.


LIMITS = {
    "risk.day": lambda: DailyLoss(cash("3"), 0.05),
    "risk.fall": lambda: Drawdown(cash("6"), 0.02),
    "risk.orders": lambda: OrderRate(8, Micros(20 * SECOND), Micros(15 * SECOND)),
    "risk.errors": lambda: ErrorRate(1, Micros(20 * SECOND), Micros(15 * SECOND)),
}


@st.composite
def limited(draw: st.DrawFn):
    build = draw(compositions(timed=draw(st.booleans())))
    chosen = draw(st.sets(st.sampled_from(sorted(LIMITS)), min_size=1))
    return lambda: build() | {name: LIMITS[name]() for name in chosen}


@given(tapes(), limited(), settings_of(AT_ONCE + ON_A_CLOCK), papers(), QUEUES)
def test_limits_do_not_tell_a_market_looked_at_on_change_from_one_always_looked_at(data, build, settings, paper, queue):
    ungated = msgspec.structs.replace(settings, gated=False)
    seen, always = (trade(data, build, each, paper, queue) for each in (settings, ungated))
    assert seen.acted() == always.acted()
    assert only(Halt, seen.intents) == only(Halt, always.intents)
    event(f"halts: {min(3, len(only(Halt, seen.intents)))}")


@given(tapes(), limited(), settings_of(AT_ONCE + ON_A_CLOCK), papers(), QUEUES)
def test_while_a_limit_objects_no_quote_is_placed(data, build, settings, paper, queue):
    def look(watch, fact, intents):
        if watch.desk._known.limit is None:
            return
        # What was placed in the step in which the limit tripped came before it: that is how it tripped.
        halted = next((i for i, each in enumerate(intents) if isinstance(each, Halt)), -1)
        after = intents[halted + 1 :] if halted >= 0 else intents
        assert [each for each in after if isinstance(each, Place) and each.purpose is Purpose.QUOTE] == []
        resting_quotes = [o for o in watch.desk.in_play() if o.purpose is Purpose.QUOTE]
        assert all(o.cancel_sent or o.no in watch.desk._known.pulled for o in resting_quotes)

    trade(data, build, settings, paper, queue, look)


@dataclass
class Step:
    """What happens next: time passes, the engine may be restarted, the account moves."""

    seconds: int
    restarts: bool
    change: int
    locked: Cash
    what: str


def steps_of(seed: int) -> list[Step]:
    chance = Random(seed)
    drift = chance.choice([-3, -1, 0, 1])
    return [
        Step(
            seconds=chance.choice([0, 0, 1, 3, 12, 40_000]),
            restarts=chance.random() < 0.3,
            change=(chance.randint(-6, 6) + drift) * chance.randint(1, 1_000_000),
            locked=Cash(chance.randint(0, 100_000_000)),
            what=chance.choice(["nothing", "request", "request", "error", "error"]),
        )
        for _ in range(chance.randint(5, 60))
    ]


KINDS = {
    "day": lambda: DailyLoss(cash("6"), 0.02),
    "fall": lambda: Drawdown(cash("12"), 0.05),
    "orders": lambda: OrderRate(2, Micros(10 * SECOND), Micros(20 * SECOND)),
    "errors": lambda: ErrorRate(2, Micros(10 * SECOND), Micros(20 * SECOND)),
}


def judge(hooks: Hooks, account: Account, at: Micros) -> bool:
    found = [call(account, at) for call in hooks.limits.values()]
    assert not hooks.broken
    return any(found)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
def test_a_restart_never_gives_a_limit_more_room_than_no_restart(kind, seed):
    through, restarted = (Hooks({"risk.limit": KINDS[kind]()}) for _ in range(2))
    at, equity, trips = NOON, cash("1000"), 0
    for step in steps_of(seed):
        at, equity = Micros(at + step.seconds * SECOND), Cash(equity + step.change)
        if step.restarts:
            values = restarted.carried()["risk.limit"]
            restarted = Hooks({"risk.limit": KINDS[kind]()})
            if values:
                restarted.restore(Carried(at, "risk.limit", values))
        for hooks in (through, restarted):
            if step.what == "request":
                hooks.observe_intent(request(at))
            elif step.what == "error":
                hooks.observe(OrderNews(at, OrderNo(1), News.REJECTED), FIRST, None)
        account = Account(equity, step.locked)
        objects = judge(through, account, at)
        trips += objects
        assert judge(restarted, account, at) or not objects
    event(f"objected: {min(3, trips)}")
