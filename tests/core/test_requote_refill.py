"""When a moved target is worth the place in the queue, and when to bid again after a fill."""

import pytest
from scenes import BUY, FIRST, NO, NOON, SELL, YES, an_order, fill_of, later, market, shares, wanted

from pmrun.plugins.refill.after_fill import AfterFill
from pmrun.plugins.requote.on_deviation import OnDeviation
from pmrun.runner.orders import State
from pmrun.runner.units import Micros, parse_price

BOTH = pytest.mark.parametrize("outcome", [YES, NO])


def replaces(rule: OnDeviation, have: str, want: str, tick: str = "0.01", size: str = "100") -> Micros | None:
    terms = market(tick=parse_price(tick))
    return rule.replace_at(order=an_order(price=have), wanted=wanted(price=want, size=size), market=terms)


def test_the_default_is_the_seeds_and_means_any_move_of_a_tick():
    assert OnDeviation().price_deviation_threshold_bps == 0.0001
    assert replaces(OnDeviation(), "0.40", "0.41") == NOON
    assert replaces(OnDeviation(), "0.40", "0.39") == NOON


@pytest.mark.parametrize(
    ("bps", "want", "moves"),
    [
        (250.0, "0.41", False),  # 0.01 of 0.40 is just 250 bps
        (249.99, "0.41", True),
        (250.0, "0.42", True),
        (250.0, "0.39", False),
        (0.0, "0.4001", True),
    ],
)
def test_a_target_must_have_moved_more_than_the_threshold_in_basis_points_of_the_price(bps, want, moves):
    rule = OnDeviation(price_deviation_threshold_bps=bps, min_requote_ticks=0)
    assert (replaces(rule, "0.40", want) is not None) is moves


@pytest.mark.parametrize(
    ("ticks", "want", "moves"), [(2, "0.41", False), (2, "0.42", True), (2, "0.38", True), (0, "0.405", True)]
)
def test_a_target_must_have_moved_some_ticks(ticks, want, moves):
    assert (replaces(OnDeviation(min_requote_ticks=ticks), "0.40", want) is not None) is moves


def test_ticks_are_those_of_the_market_now():
    rule = OnDeviation(min_requote_ticks=2)
    assert replaces(rule, "0.40", "0.402", tick="0.001") == NOON
    assert replaces(rule, "0.40", "0.401", tick="0.001") is None


def test_an_order_rests_for_a_while_before_it_is_replaced():
    assert replaces(OnDeviation(min_rest=Micros(2_000_000)), "0.40", "0.41") == later(2)


def test_another_size_at_the_same_price_is_worth_a_replacement():
    assert replaces(OnDeviation(), "0.40", "0.40", size="50") == NOON


@pytest.mark.parametrize(
    "settings",
    [
        {"price_deviation_threshold_bps": -1.0},
        {"price_deviation_threshold_bps": float("nan")},
        {"min_requote_ticks": -1},
        {"min_rest": Micros(-1)},
    ],
)
def test_thresholds_below_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        OnDeviation(**settings)


def filled(rule: AfterFill, outcome=YES, side=BUY, state=State.FILLED) -> AfterFill:
    order = an_order(outcome=outcome, side=side, state=state, filled=shares("100"))
    rule.observe(fact=fill_of(order, "100"), market_no=FIRST, order=order)
    return rule


def refuses(rule: AfterFill, seconds: float, outcome=YES, side=BUY, resting=False) -> str | None:
    order = wanted(outcome, side)
    found = rule.object_to_order(order=order, market_no=FIRST, resting=resting, at=later(seconds))
    return found and found.code


@BOTH
def test_a_filled_bid_is_placed_again_after_a_wait(outcome):
    rule = filled(AfterFill(wait=Micros(5_000_000)), outcome)
    assert refuses(rule, 4.999999, outcome) == "refill_wait"
    assert refuses(rule, 5, outcome) is None
    assert refuses(rule, 0, outcome.other) is None
    assert rule.next_wake(market_no=FIRST, at=NOON) == later(5)


def test_nothing_is_waited_for_when_nothing_was_filled():
    rule = AfterFill(wait=Micros(5_000_000))
    assert rule.next_wake(market_no=FIRST, at=NOON) is None
    assert filled(rule).next_wake(market_no=FIRST, at=later(5)) is None


def test_without_refill_a_filled_bid_is_not_placed_again():
    assert refuses(filled(AfterFill(enabled=False)), 10**6) == "no_refill"
    assert refuses(AfterFill(enabled=False), 0) is None


def test_by_default_a_filled_bid_is_placed_again_at_once():
    assert refuses(filled(AfterFill()), 0) is None


def test_a_part_of_a_fill_is_nothing_to_wait_for():
    assert refuses(filled(AfterFill(enabled=False), state=State.PARTIALLY_FILLED), 0) is None


def test_sales_and_what_rests_are_not_judged():
    rule = filled(AfterFill(enabled=False))
    assert refuses(rule, 0, side=SELL) is None
    assert refuses(rule, 0, resting=True) is None
    assert refuses(filled(AfterFill(enabled=False), side=SELL), 0) is None


def test_a_wait_below_nothing_is_refused():
    with pytest.raises(ValueError, match="wait"):
        AfterFill(wait=Micros(-1))
