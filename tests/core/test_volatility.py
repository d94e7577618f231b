"""Volatility: the mid sampled every thirty seconds, and what its spread forbids."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FIRST, NO, NOON, SECOND, SELL, YES, later, told, wanted

from pmrun.plugins.risk.volatility import Volatility, coefficient_of_variation
from pmrun.runner.book import Book
from pmrun.runner.facts import TimerDue
from pmrun.runner.market import Outcome
from pmrun.runner.units import Micros, Price, Size


def mid_at(seconds: float, mid_half: int):
    """Tell of a book with this mid, in half units."""
    bid, ask = Price(mid_half // 2 - 100), Price(mid_half - mid_half // 2 + 100)
    return told(Book(((bid, Size(1)),), ((ask, Size(1)),)), at=later(seconds))


def watched(*mids: tuple[float, int], **settings) -> Volatility:
    check = Volatility(**settings)
    for seconds, mid in mids:
        check.observe(fact=mid_at(seconds, mid), market_no=FIRST)
    return check


def code(check: Volatility, seconds: float, outcome: Outcome = YES, resting: bool = False) -> str | None:
    found = check.object_to_order(order=wanted(outcome), market_no=FIRST, resting=resting, at=later(seconds))
    return found and found.code


def sampled(check: Volatility) -> list[int]:
    return list(check._markets[FIRST].mids)


def steady(count: int) -> list[tuple[float, int]]:
    return [(30.0 * index, 10_000) for index in range(count)]


def test_defaults_are_those_of_the_requirement():
    check = Volatility()
    assert (check.volatility_threshold, check.interval, check.window, check.min_points) == (0.03, 30 * SECOND, 30, 5)


@pytest.mark.parametrize(("points", "expected"), [(0, "too_few_points"), (4, "too_few_points"), (5, None)])
def test_too_few_points_are_a_refusal(points, expected):
    assert code(watched(*steady(points)), 30.0 * max(0, points - 1)) == expected


def test_a_market_never_seen_is_refused():
    assert code(Volatility(), 0) == "too_few_points"


def test_the_mid_is_sampled_every_thirty_seconds_and_not_at_every_book():
    check = watched((0, 10_000), (10, 10_200), (20, 10_400), (29.999999, 10_600), (30, 10_800), (45, 11_000))
    assert sampled(check) == [10_000, 10_800]


def test_a_sample_that_was_due_takes_the_mid_that_stood_then():
    check = watched((0, 10_000), (10, 10_200), (95, 11_000))
    assert sampled(check) == [10_000, 10_200, 10_200, 10_200]


def test_a_timer_samples_a_book_that_does_not_move():
    check = watched((0, 10_000))
    for seconds in (30, 60, 90, 120):
        check.observe(fact=TimerDue(later(seconds)), market_no=None)
    assert sampled(check) == [10_000] * 5
    assert code(check, 120) is None


def test_the_check_wakes_for_the_next_sample():
    check = watched((0, 10_000))
    assert check.next_wake(market_no=FIRST) == later(30)


def test_only_the_last_thirty_samples_count():
    mids = [(30.0 * index, 4_000) for index in range(5)] + [(30.0 * index, 10_000) for index in range(5, 34)]
    check = watched(*mids)
    assert len(sampled(check)) == 30
    assert code(check, 30.0 * 33) == "too_volatile"
    check.observe(fact=mid_at(30.0 * 34, 10_000), market_no=FIRST)
    assert sampled(check) == [10_000] * 30
    assert code(check, 30.0 * 34) is None


@pytest.mark.parametrize(("gap", "points"), [(600, 23), (600.000001, 1)])
def test_a_market_without_a_book_for_too_long_starts_anew(gap, points):
    check = watched((0, 10_000), (60, 10_000), (60 + gap, 10_000))
    assert len(sampled(check)) == points


def test_a_market_without_a_book_for_too_long_is_refused_meanwhile():
    check = watched(*steady(5))
    assert code(check, 120 + 600) is None
    assert code(check, 120 + 600.000001) == "too_few_points"


# Two samples a and b vary by |a - b| / (a + b): exactly at the limit, and one half unit of the mid past it.
@pytest.mark.parametrize(
    ("low", "high", "outcome", "expected"),
    [
        (5_000, 15_000, YES, None),
        (5_000, 15_001, YES, "too_volatile"),
        (5_000, 15_000, NO, None),  # seen from NO: 15,000 and 5,000
        (4_999, 15_000, NO, "too_volatile"),
        (4_000, 12_000, YES, None),
        (4_000, 12_000, NO, None),  # 8,000 over 28,000
        (12_000, 16_000, NO, None),  # 4,000 over 12,000
        (15_000, 19_000, NO, "too_volatile"),  # a NO at five cents or twenty-five: 4,000 over 6,000
    ],
)
def test_the_coefficient_of_variation_may_reach_the_threshold_and_no_more(low, high, outcome, expected):
    check = watched((0, low), (30, high), volatility_threshold=0.5, min_points=2)
    assert code(check, 30, outcome) == expected


@pytest.mark.parametrize(("high", "pulled"), [(16_111, False), (16_113, True)])
def test_what_rests_is_pulled_a_tenth_past_the_threshold(high, pulled):
    # (h - 5,000) / (h + 5,000) = 0.55 at h = 17,222; 0.5263 at 16,111.
    high += 1111
    check = watched((0, 5_000), (30, high), volatility_threshold=0.5, min_points=2)
    assert (code(check, 30, resting=True) is not None) is pulled
    assert code(check, 30, resting=False) == "too_volatile"


def test_a_one_sided_book_has_no_mid_to_sample():
    check = Volatility()
    check.observe(fact=told(Book(((Price(4000), Size(1)),), ())), market_no=FIRST)
    assert check.next_wake(market_no=FIRST) is None


def test_sales_are_not_judged():
    assert Volatility().object_to_order(order=wanted(side=SELL), market_no=FIRST, resting=False, at=NOON) is None


@given(mids=st.lists(st.integers(2, 19_998), min_size=2, max_size=30))
def test_the_variation_is_the_textbooks_for_either_outcome(mids):
    for outcome in Outcome:
        seen = [mid if outcome is YES else 20_000 - mid for mid in mids]
        mean = sum(seen) / len(seen)
        deviation = math.sqrt(sum((mid - mean) ** 2 for mid in seen) / len(seen))
        assert coefficient_of_variation(deque(mids), outcome) == pytest.approx(deviation / mean, abs=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {"volatility_threshold": 0},
        {"volatility_threshold": float("nan")},
        {"interval": Micros(0)},
        {"min_points": 1},
        {"min_points": 31},
        {"max_gap": Micros(1)},
    ],
)
def test_settings_that_could_never_judge_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        Volatility(**settings)
