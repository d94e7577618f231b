"""The budget sheds places before the exchange does, and never leaves a resting order without a cancel."""

from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.exchanges.common.calls import Kind
from pmrun.plugins.exchanges.common.retries import Backoff, retried
from pmrun.plugins.exchanges.polymarket.budget import STANDARD, TIERS, Budget
from pmrun.plugins.exchanges.polymarket.wire_rest import ErrorAnswer
from pmrun.runner.units import SECOND, Micros

START = 1_795_226_314 * SECOND
POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"
CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
DISABLED = "Trading is currently disabled. Check polymarket.com for updates"


class Watch:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.at = Micros(START)

    def __call__(self) -> Micros:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at = Micros(self.at + round(seconds * SECOND))


def trio_clock() -> Callable[[], Micros]:
    return lambda: Micros(START + round(trio.current_time() * SECOND))


def left(budget: Budget, kind: Kind, watch: Watch) -> float:
    return max(0, budget.blocked_until(kind) - watch()) / SECOND


def test_places_beyond_the_burst_are_shed_at_once_and_come_back_with_the_rate():
    watch = Watch()
    budget = Budget(watch)
    assert sum(budget.try_order() for _ in range(100)) == STANDARD.order_burst
    assert budget.shed == 40
    watch.advance(0.5)
    assert budget.room() == 20
    assert not budget.try_order(21)
    assert budget.try_order(20)


def test_a_batch_passes_whole_or_not_at_all():
    watch = Watch()
    budget = Budget(watch)
    assert budget.try_order(50)
    assert not budget.try_order(15)
    assert budget.room() == 10


async def test_no_place_passes_while_there_is_little_room_to_cancel_it(autojump_clock):
    budget = Budget(trio_clock())
    await budget.cancel(91)
    assert not budget.try_order()
    await trio.sleep(0.1)
    assert budget.try_order()


async def test_a_cancel_waits_for_its_tokens_and_no_longer(autojump_clock):
    budget = Budget(trio_clock())
    await budget.cancel(budget.largest_cancel)
    began = trio.current_time()
    await budget.cancel(40)
    assert trio.current_time() - began == pytest.approx(0.5, abs=0.01)


async def test_an_urgent_cancel_uses_what_is_kept_for_it(autojump_clock):
    budget = Budget(trio_clock())
    await budget.cancel(budget.largest_cancel)
    began = trio.current_time()
    await budget.cancel(1, urgent=True)
    assert trio.current_time() == began


async def test_a_cancel_all_is_paid_for_afterwards_and_may_overdraw(autojump_clock):
    budget = Budget(trio_clock())
    await budget.cancel(1, urgent=True)
    budget.canceled(199)
    began = trio.current_time()
    await budget.cancel(1, urgent=True)
    assert trio.current_time() - began == pytest.approx(81 / 80, abs=0.02)


async def test_more_cancels_than_ever_pass_are_a_mistake(autojump_clock):
    budget = Budget(trio_clock())
    with pytest.raises(ValueError, match="109 cancels at once, at most 108 ever pass"):
        await budget.cancel(109)


def test_the_exchange_s_count_of_what_remains_is_believed_when_it_is_lower():
    watch = Watch()
    budget = Budget(watch)
    budget.learn(Kind.PLACE, 200, {"poly-ratelimit-remaining": "3"})
    assert budget.room() == 3
    budget.learn(Kind.PLACE, 200, {"poly-ratelimit-remaining": "59"})
    assert budget.room() == 3


def test_a_tier_is_learned_by_its_name_and_an_unknown_one_changes_nothing():
    watch = Watch()
    budget = Budget(watch)
    assert budget.try_order(10)
    budget.learn(Kind.PLACE, 200, {"poly-ratelimit-tier": "Gold"})
    assert budget.tier is TIERS["Gold"]
    assert budget.room() == 590, "what was used is still used"
    assert budget.largest_cancel == 1_000, "the most ids of one call, although more tokens are there"
    budget.learn(Kind.PLACE, 200, {"poly-ratelimit-tier": "Unobtainium"})
    assert budget.tier is TIERS["Gold"]
    assert budget.unknown_tiers == {"Unobtainium"}


@pytest.mark.parametrize(
    ("headers", "refusal", "seconds"),
    [
        ({"retry-after": "7"}, None, 7),
        ({}, ErrorAnswer("Too Many Requests", None, Micros(4 * SECOND)), 4),
        ({"poly-ratelimit-remaining": "0", "poly-ratelimit-reset": str(START // SECOND + 9)}, None, 9),
        ({}, ErrorAnswer("Too Many Requests"), 1),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, 1),
    ],
)
def test_a_429_is_waited_out_as_long_as_it_says(headers, refusal, seconds):
    watch = Watch()
    budget = Budget(watch)
    budget.learn(Kind.PLACE, 429, headers, refusal)
    assert left(budget, Kind.PLACE, watch) == seconds
    assert left(budget, Kind.CANCEL, watch) == 0
    watch.advance(seconds - 0.001)
    assert not budget.try_order()


def test_restarts_are_waited_out_longer_each_time_and_cancels_are_tried_sooner():
    watch = Watch()
    budget = Budget(watch)
    waits = []
    for _ in range(7):
        budget.learn(Kind.PLACE, 425, {}, ErrorAnswer("the engine is restarting"))
        waits.append((left(budget, Kind.PLACE, watch), left(budget, Kind.CANCEL, watch)))
        watch.advance(40)
    assert waits == [(1, 1), (2, 2), (4, 2), (8, 2), (16, 2), (30, 2), (30, 2)]
    budget.learn(Kind.PLACE, 200, {})
    budget.learn(Kind.PLACE, 425, {})
    assert left(budget, Kind.PLACE, watch) == 1


@pytest.mark.parametrize(
    ("refusal", "waits"),
    [
        (ErrorAnswer(POST_ONLY, "post_only_mode", Micros(79 * SECOND)), {Kind.TAKE: 79, Kind.PLACE: 0, Kind.CANCEL: 0}),
        (ErrorAnswer(POST_ONLY), {Kind.TAKE: 120, Kind.PLACE: 0, Kind.CANCEL: 0}),
        (ErrorAnswer(CANCEL_ONLY), {Kind.TAKE: 1, Kind.PLACE: 1, Kind.CANCEL: 0}),
        (ErrorAnswer(DISABLED), {Kind.TAKE: 1, Kind.PLACE: 1, Kind.CANCEL: 1}),
    ],
)
def test_each_mode_of_the_exchange_stops_what_it_does_not_take(refusal, waits):
    watch = Watch()
    budget = Budget(watch)
    budget.learn(Kind.PLACE, 503, {}, refusal)
    assert {kind: left(budget, kind, watch) for kind in waits} == waits


async def test_a_cancel_waits_while_the_exchange_takes_none(autojump_clock):
    budget = Budget(trio_clock())
    budget.learn(Kind.CANCEL, 429, {"retry-after": "3"})
    began = trio.current_time()
    await budget.cancel()
    assert trio.current_time() - began == pytest.approx(3)


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 15)), max_size=60),
    st.sampled_from(sorted(TIERS)),
)
def test_in_no_window_do_more_places_pass_than_the_exchange_admits(calls, name):
    watch = Watch()
    tier = TIERS[name]
    budget = Budget(watch, tier)
    passed: list[tuple[int, int]] = []
    for gap, count in calls:
        watch.at = Micros(watch.at + gap)
        if budget.try_order(count):
            passed.append((watch.at, count))
    for first in range(len(passed)):
        total = 0
        for at, count in passed[first:]:
            total += count
            assert total <= tier.order_burst + tier.order_rate * (at - passed[first][0]) / SECOND


@given(st.integers(1, 40), st.floats(0, 1))
def test_waits_double_up_to_a_limit_and_never_fall_below_half(attempt, chance):
    backoff = Backoff(first=Micros(SECOND), longest=Micros(30 * SECOND))
    whole = min(30, 2 ** (attempt - 1)) * SECOND
    assert whole / 2 <= backoff.delay(attempt, chance) <= whole


async def test_what_may_be_repeated_is_repeated_a_few_times_with_longer_waits(autojump_clock):
    times: list[float] = []

    async def fail() -> str:
        times.append(trio.current_time())
        return "no"

    result = await retried(
        fail, lambda _: Micros(0), attempts=3, backoff=Backoff(first=Micros(SECOND)), chance=lambda: 0.0
    )
    assert result == "no"
    assert [later - times[0] for later in times] == pytest.approx([0, 1, 3])
