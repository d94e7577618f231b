"""Thirty order calls a minute: never more, and a cancel never waits for one (V5, P9)."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from pmrun.plugins.exchanges.common.order_budget import OrderBudget
from pmrun.plugins.exchanges.common.order_queue import OrderQueue
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import OrderNo, Purpose
from pmrun.runner.units import SECOND, Micros, Price, Side, Size

CALLS = 30
HOUR = 3_600
PATIENCE = Micros(5 * SECOND)


def order(no: int, purpose: Purpose = Purpose.QUOTE, side: Side = Side.BUY) -> Place:
    """Ask for an order."""
    return Place(
        Micros(0), OrderNo(no), MarketNo(0), Outcome.YES, side, Price(4_000), Size(10**6), purpose, True, Reason("x")
    )


class Market:
    """Orders that come and go on a virtual clock, second by second; every call is noted with its time."""

    def __init__(self) -> None:
        self.queue = OrderQueue(OrderBudget(CALLS), PATIENCE)
        self.at = Micros(0)
        self.calls: list[Micros] = []
        self.in_play: deque[OrderNo] = deque()
        self.asked: dict[OrderNo, Micros] = {}
        self.waits: list[Micros] = []
        self.most = 0
        self._last = 0

    def second(self, wanted: int, moved: int, filled: int) -> None:
        """Want so many new orders, cancel so many of those that rest, and let so many be filled."""
        self.at = Micros(self.at + SECOND)
        for _ in range(wanted):
            self._last += 1
            self.queue.place(order(self._last), self.at)
        for no in list(self.in_play)[:moved]:
            if no not in self.asked:
                self.asked[no] = self.at
                self.queue.cancel(no)
        self.queue.expired(self.at)
        for no in self.queue.next_cancels(self.at, lambda no: True):
            self.calls.append(self.at)
            self.in_play.remove(no)
            self.waits.append(Micros(self.at - self.asked.pop(no)))
        while (place := self.queue.next_place(self.at, len(self.in_play))) is not None:
            self.calls.append(self.at)
            self.in_play.append(place.order)
        for _ in range(min(filled, len(self.in_play))):
            no = self.in_play.popleft()
            if self.asked.pop(no, None) is not None:
                self.queue.forget([no])
        self.most = max(self.most, len(self.in_play))

    def busiest_minute(self) -> int:
        """The most calls in any sixty seconds."""
        return max((sum(at - 60 * SECOND < each <= at for each in self.calls) for at in self.calls), default=0)


seconds = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 2))


@given(st.lists(seconds, min_size=60, max_size=240))
@settings(max_examples=15, deadline=None)
def test_whatever_is_wanted_the_limit_holds_and_every_cancel_leaves_at_once(wishes):
    market = Market()
    for wanted, moved, filled in wishes:
        market.second(wanted, moved, filled)
    assert market.busiest_minute() <= CALLS
    assert not any(market.waits)
    assert market.most <= CALLS * 2 // 3


def test_for_an_hour_a_strategy_that_moves_everything_every_second_stays_within_the_limit():
    market = Market()
    for _ in range(HOUR):
        market.second(wanted=10, moved=10, filled=0)
    assert market.busiest_minute() <= CALLS
    assert market.waits
    assert not any(market.waits)
    assert len(market.calls) > 55 * CALLS, "the calls there are ought to be used"


def test_everything_that_rests_can_be_cancelled_at_once_at_any_moment_of_an_hour():
    for moment in range(60, HOUR, 97):
        market = Market()
        for second in range(moment % 240 + 60):
            market.second(wanted=4, moved=second % 3, filled=0)
        market.queue.drop_all(None)
        resting = len(market.in_play)
        market.second(wanted=0, moved=resting, filled=0)
        assert not market.in_play
        assert market.busiest_minute() <= CALLS


def test_an_exit_goes_before_quotes_that_asked_first():
    queue = OrderQueue(OrderBudget(CALLS), PATIENCE)
    for no in (1, 2):
        queue.place(order(no), Micros(0))
    queue.place(order(3, Purpose.HEDGE, Side.SELL), Micros(0))
    first = queue.next_place(Micros(0), 0)
    assert first is not None
    assert first.order == 3


def test_a_place_that_waited_too_long_is_given_back_to_the_desk_at_the_prices_of_then():
    queue = OrderQueue(OrderBudget(CALLS), PATIENCE)
    queue.place(order(1), Micros(0))
    assert queue.next_place(Micros(0), 20) is None, "as many rest as may"
    assert queue.next_at(Micros(0), 20) == PATIENCE
    assert queue.expired(Micros(PATIENCE - 1)) == []
    assert [place.order for place in queue.expired(PATIENCE)] == [1]
    assert not queue


def test_after_a_pause_that_the_exchange_asks_for_nothing_leaves_before_its_end():
    budget = OrderBudget(CALLS)
    budget.block(Micros(7 * SECOND))
    assert not budget.may_cancel(Micros(6_999_999))
    assert budget.cancel_when(Micros(0)) == 7 * SECOND
    assert budget.may_cancel(Micros(7 * SECOND))


def test_a_call_that_was_not_made_is_not_counted():
    budget = OrderBudget(3, 2)
    for _ in range(3):
        budget.spend(Micros(0))
    assert not budget.may_cancel(Micros(1))
    budget.unspend()
    assert budget.may_cancel(Micros(1))
