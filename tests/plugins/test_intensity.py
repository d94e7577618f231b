"""What fills teach: the estimate of λ(δ) = A·exp(−k·δ) from counts over known exposure (P2)."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.calibration.exposure import CENT, FARTHEST, FILL, Counts, counts_of, distance_bin
from pmrun.plugins.calibration.intensity import Intensity, Seen, as_seen, deviance, errors, expected, fit

PRIOR = Intensity(1 / 60, 0.5)
AWAY = (0.5, 1.0, 1.5, 2.0, 3.0)


def poisson(chance: Random, mean: float) -> int:
    """Draw a count by the gaps between fills."""
    count, at = 0, chance.expovariate(1.0)
    while at < mean:
        count, at = count + 1, at + chance.expovariate(1.0)
    return count


def drawn(truth: Intensity, seconds: float, seed: int) -> list[Seen]:
    chance = Random(seed)
    return [Seen(cents, seconds, poisson(chance, seconds * truth.rate(cents))) for cents in AWAY]


@pytest.mark.parametrize("truth", [Intensity(0.02, 0.3), Intensity(0.05, 1.0), Intensity(0.3, 2.0)])
def test_the_estimate_finds_the_intensity_that_made_the_fills_within_its_error(truth):
    off = []
    for seed in range(60):
        seen = drawn(truth, 20_000, seed)
        found = fit(seen, PRIOR, 1.0)
        error = errors(seen, found)
        too_high = math.log(found.at_mid / truth.at_mid)
        off.append(((found.decay - truth.decay) / error.decay, too_high / error.log_at_mid))
    for which in (0, 1):
        standardised = [each[which] for each in off]
        mean = sum(standardised) / len(off)
        spread = math.sqrt(sum((each - mean) ** 2 for each in standardised) / len(off))
        assert abs(mean) < 0.5
        assert 0.7 < spread < 1.3  # the error it states is the error it makes
        assert max(map(abs, standardised)) < 4


@given(st.floats(0.001, 1.0), st.floats(0.0, 5.0), st.floats(0.1, 100))
def test_counts_as_they_were_to_be_expected_give_back_the_belief(at_mid, decay, weight):
    belief = Intensity(at_mid, decay)
    seen = [Seen(cents, 1_000.0, 1_000.0 * belief.rate(cents)) for cents in AWAY]
    found = fit(seen, belief, weight)
    assert found.decay == pytest.approx(decay, abs=1e-6)
    assert found.at_mid == pytest.approx(at_mid, rel=1e-5)
    assert expected(as_seen(belief, weight), belief) == pytest.approx(weight)


@given(st.integers(0, 2**32))
def test_no_intensity_nearby_is_likelier_than_the_estimate(seed):
    seen = drawn(Intensity(0.03, 0.7), 2_000, seed)
    data = [*seen, *as_seen(PRIOR, 1.0)]

    def likelihood(of: Intensity) -> float:
        return sum(each.fills * math.log(of.rate(each.cents)) - each.seconds * of.rate(each.cents) for each in data)

    found = fit(seen, PRIOR, 1.0)
    best = likelihood(found)
    for factor in (0.98, 1.02):
        assert likelihood(Intensity(found.at_mid * factor, found.decay)) < best
        assert likelihood(Intensity(found.at_mid, max(0.0, found.decay * factor))) <= best


def test_without_fills_the_belief_shrinks_with_every_hour_that_nothing_came():
    rates = [fit([Seen(1.0, hours * 3_600.0, 0)], PRIOR, 1.0).rate(1.0) for hours in (0, 1, 10, 100)]
    assert rates[0] == pytest.approx(PRIOR.rate(1.0))
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0] / 50


def test_many_fills_count_more_than_a_belief_and_few_less():
    truth = Intensity(0.2, 0.5)
    many, few = ([Seen(1.0, seconds, seconds * truth.rate(1.0))] for seconds in (100_000.0, 0.5))
    assert fit(many, PRIOR, 1.0).rate(1.0) == pytest.approx(truth.rate(1.0), rel=0.01)
    assert fit(few, PRIOR, 1.0).rate(1.0) == pytest.approx(PRIOR.rate(1.0), rel=0.15)


def test_one_distance_alone_says_nothing_of_how_fills_thin_out():
    assert errors([Seen(1.0, 1_000.0, 5)], PRIOR).decay == math.inf
    assert errors([], PRIOR).decay == math.inf


def test_the_deviance_is_nothing_where_the_count_was_predicted_and_grows_both_ways():
    assert deviance(3, 3.0) == 0
    assert deviance(0, 0.0) == 0
    assert deviance(1, 0.0) == math.inf
    assert deviance(5, 3.0) > deviance(4, 3.0) > 0
    assert deviance(0, 3.0) == 6


# Counting.


@given(st.integers(-500, FARTHEST))
def test_a_distance_is_counted_within_a_quarter_of_a_cent_of_where_it_is(half):
    where = distance_bin(half)
    assert where is not None
    assert abs(where - max(0, half)) <= CENT / 4


def test_ticks_of_a_cent_and_of_a_tenth_are_counted_where_they_are():
    assert all(distance_bin(half) == half for half in range(0, 400, 10))  # half ticks of 0.001
    assert all(distance_bin(half) == half for half in range(0, FARTHEST + 1, 100))  # half ticks of 0.01
    assert distance_bin(FARTHEST + 1) is None


COUNTS = st.dictionaries(st.integers(0, 50).map(lambda each: each * 100), st.integers(1, 10**9), max_size=6)
SCRIPT = st.lists(st.tuples(st.integers(0, 3), COUNTS, COUNTS), min_size=1, max_size=6)


@given(SCRIPT, st.integers(0, 6))
def test_counts_that_were_carried_go_on_as_if_there_had_been_no_break(script, cut):
    whole, resumed, window = Counts(100), Counts(100), 100
    for number, (passed, rested, fills) in enumerate(script):
        if number == cut:
            carried = {f"0xab/{key}": value for key, value in named(resumed).items()}
            resumed = counts_of(carried)["0xab"]
        window += passed
        for counts in (whole, resumed):
            counts.bring_to(window, 0.9)
            counts.add(rested, fills)
    assert whole == resumed


def named(counts: Counts) -> dict[str, int]:
    return {key.partition("/")[2]: value for key, value in counts.carried("x").items()}


def test_what_was_counted_fades_by_half_in_its_half_life():
    counts = Counts(100)
    counts.add({100: 8_000_000}, {100: 2 * FILL})
    counts.bring_to(110, 0.5 ** (1 / 10))
    assert (counts.seconds, counts.count) == (4.0, 1.0)


def test_nothing_fades_or_grows_where_a_tape_is_older_than_what_was_learned():
    counts = Counts(100)
    counts.add({100: 8_000_000}, {100: FILL})
    counts.bring_to(90, 0.5)
    assert (counts.seconds, counts.count, counts.window) == (8.0, 1.0, 90)


@pytest.mark.parametrize("key", ["0xab", "0xab/what/3", "0xab/fills/x", "0xab/rested/-1", "0xab/fills/99999", "window"])
def test_what_is_no_count_is_refused(key):
    with pytest.raises(ValueError, match="nothing that this component carries"):
        counts_of({key: 1})


def test_a_count_below_nothing_is_refused():
    with pytest.raises(ValueError, match="is no count"):
        counts_of({"0xab/fills/100": -1})
