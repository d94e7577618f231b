"""How long things took is told as it was, cheaply."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.runner.timings import Stopwatch, Timings


def exact(durations: list[int], percent: int) -> int:
    return sorted(durations)[-(-len(durations) * percent // 100) - 1]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_quantiles_are_those_of_all_durations_to_a_part_in_64(durations):
    watch = Stopwatch("desk")
    for duration in durations:
        watch.add(duration)
    found = watch.measured()
    assert found.times == len(durations)
    assert found.total_ms == sum(durations) / 1e6
    assert found.max_ms == max(durations) / 1e6
    for said, percent in ((found.p50_ms, 50), (found.p99_ms, 99)):
        true = exact(durations, percent)
        assert true * (63 / 64) - 1e-9 <= said * 1e6 <= true + 1e-9


def test_memory_does_not_grow_with_the_run():
    watch = Stopwatch("desk")
    for duration in range(100_000):
        watch.add(duration)
    assert len(watch._buckets) < 1_000


def test_what_fails_is_timed_and_fails():
    timings = Timings()

    def wrong(value: int) -> int:
        raise ValueError(value)

    with pytest.raises(ValueError, match="7"):
        timings.wrap("desk", wrong)(7)
    with pytest.raises(ValueError, match="8"), timings.of("desk"):
        wrong(8)
    assert timings.summary()["desk"]["count"] == 2


def test_a_timed_operation_answers_as_before():
    timings = Timings()
    add = timings.wrap("add", lambda a, b=0: a + b)
    assert (add(1), add(1, b=2)) == (1, 3)
    assert [each.name for each in timings.measured()] == ["add"]


def test_what_was_never_done_is_not_told():
    timings = Timings()
    timings.wrap("report", print)
    assert timings.measured() == [] and timings.summary() == {}


def test_switched_off_nothing_is_wrapped_and_nothing_told():
    timings = Timings(on=False)
    assert timings.wrap("desk", print) is print
    with timings.of("desk"):
        pass
    assert timings.measured() == []


def cost(statement: str, **names: object) -> float:
    """Nanoseconds a statement costs, at best."""
    return min(timeit.repeat(statement, globals=names, repeat=60, number=2_000)) / 2_000 * 1e9


def test_measuring_costs_less_than_a_microsecond():
    def nothing() -> None:
        pass

    timings = Timings()
    microsecond = max(1_000, 40 * cost("f()", f=nothing))  # where others use the processor, everything takes longer
    assert cost("f()", f=timings.wrap("f", nothing)) < microsecond
    assert cost("with watch: pass", watch=timings.of("f")) < microsecond
