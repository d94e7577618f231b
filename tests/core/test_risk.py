"""Risk checks: each limit on both sides, for both outcomes, and the seed's numbers."""

import dataclasses

import pytest
from scenes import FIRST, NO, SELL, YES, book, cash, later, seen_as, shares, told, wanted

from pmrun.plugins.risk.cliff import Cliff
from pmrun.plugins.risk.exposure import Exposure
from pmrun.plugins.risk.hedge_protection import HedgeProtection
from pmrun.plugins.risk.hysteresis import narrowed, widened
from pmrun.plugins.risk.position import Position
from pmrun.plugins.risk.protection_size import ProtectionSize
from pmrun.plugins.risk.stale_book import StaleBook
from pmrun.runner.market import Outcome
from pmrun.runner.units import Cash, Micros, Notional, Price, notional, parse_price

BOTH = pytest.mark.parametrize("outcome", [YES, NO])


def seen(outcome: Outcome, bids: str):
    """The book as the desk hands it to a check: already mirrored for the order's outcome."""
    return seen_as(outcome, bids, "0.90x1").seen_by(outcome)


@pytest.mark.parametrize(
    ("component", "setting", "default"),
    [
        (Cliff, "price_cliff_threshold", parse_price("0.05")),
        (ProtectionSize, "min_protection_size_multiplier", 1.0),
        (HedgeProtection, "min_protection_size_multiplier_hedge", 5.0),
        (HedgeProtection, "max_bid_gap", parse_price("0.05")),
        (Exposure, "max_exposure_per_market_usdc", cash("25")),
    ],
)
def test_settings_have_the_seeds_names_and_numbers(component, setting, default):
    assert getattr(component(), setting) == default
    assert setting in {each.name for each in dataclasses.fields(component)}


# Cliff.


@BOTH
@pytest.mark.parametrize(
    ("below", "code"),
    [
        ("0.37x1 0.34x1", None),  # both gaps at the threshold
        ("0.3699x1 0.34x1", "price_cliff"),  # the first gap one unit more
        ("0.37x1 0.3399x1", "price_cliff"),  # the second one
        ("0.39x1 0.38x1 0.01x1", None),  # only the next two matter
        ("0.39x1", "no_levels_below"),
        ("", "no_levels_below"),
    ],
)
def test_a_bid_needs_two_levels_below_it_without_a_hole(outcome, below, code):
    check = Cliff(parse_price("0.03"))
    objection = check.object_to_order(order=wanted(outcome), book=seen(outcome, f"0.45x1 {below}"), resting=False)
    assert (objection and objection.code) == code


def test_the_level_a_bid_joins_is_not_one_of_the_two_below():
    check = Cliff(parse_price("0.03"))
    assert (
        check.object_to_order(order=wanted(), book=book("0.40x9 0.39x1", ""), resting=False).code == "no_levels_below"
    )


@BOTH
@pytest.mark.parametrize(("gap", "pulled"), [("0.033", False), ("0.0331", True)])
def test_what_rests_above_a_growing_hole_is_pulled_a_tenth_past_the_threshold(outcome, gap, pulled):
    check = Cliff(parse_price("0.03"))
    lower = f"{(4000 - parse_price(gap)) / 10_000:.4f}"
    shown = seen(outcome, f"0.45x1 {lower}x1 {float(lower) - 0.01:.4f}x1")
    assert (check.object_to_order(order=wanted(outcome), book=shown, resting=True) is not None) is pulled
    assert check.object_to_order(order=wanted(outcome), book=shown, resting=False) is not None


def test_missing_levels_pull_what_rests_without_any_grace():
    assert Cliff().object_to_order(order=wanted(), book=book("0.45x1 0.39x1", ""), resting=True) is not None


@pytest.mark.parametrize("threshold", [0, -1, 10_000])
def test_a_cliff_that_is_no_distance_is_refused(threshold):
    with pytest.raises(ValueError, match="price_cliff_threshold"):
        Cliff(Price(threshold))


# Protection.


@BOTH
@pytest.mark.parametrize(
    ("bids", "objects"),
    [
        ("0.45x60 0.44x40", False),  # exactly the order
        ("0.45x60 0.44x39.999999", True),
        ("0.45x100", False),  # one level may be enough
        ("0.45x60 0.44x39 0.43x1000", True),  # the third level does not count
    ],
)
def test_the_first_two_levels_must_hold_as_much_as_the_order(outcome, bids, objects):
    found = ProtectionSize().object_to_order(order=wanted(outcome), book=seen(outcome, bids), resting=False)
    assert (found is not None) is objects
    assert not objects or found.code == "too_little_protection"


@pytest.mark.parametrize(("multiplier", "needed"), [(2.0, "200"), (0.5, "50"), (0.0, "0"), (1.25, "125")])
def test_protection_is_a_number_of_times_the_order(multiplier, needed):
    check = ProtectionSize(multiplier)
    enough = book(f"0.45x{needed}", "") if needed != "0" else book("", "")
    assert check.object_to_order(order=wanted(), book=enough, resting=False) is None
    if needed != "0":
        less = shares(needed) - 1
        short = type(enough)(((parse_price("0.45"), less),), ())
        assert check.object_to_order(order=wanted(), book=short, resting=False).numbers == {
            "size": less,
            "needed": shares(needed),
        }


@BOTH
@pytest.mark.parametrize(("size", "pulled"), [("90", False), ("89.999999", True)])
def test_what_rests_is_pulled_when_a_tenth_of_its_protection_is_gone(outcome, size, pulled):
    shown = seen(outcome, f"0.45x{size}")
    assert (ProtectionSize().object_to_order(order=wanted(outcome), book=shown, resting=True) is not None) is pulled


# Hedge protection.


@BOTH
@pytest.mark.parametrize(
    ("bids", "objects"),
    [
        ("0.45x1 0.44x1 0.43x300 0.42x200", False),  # five times the order from the third level on
        ("0.45x1 0.44x1 0.43x300 0.42x199.999999", True),
        ("0.45x900 0.44x900", True),  # the first two do not count
        ("0.45x1 0.44x1 0.38x500", False),
        ("0.45x1 0.44x1 0.35x500", False),  # just within max_bid_gap of the order's 0.40
        ("0.45x1 0.44x1 0.3499x500", True),  # one unit too low
    ],
)
def test_there_must_be_enough_to_sell_a_fill_into(outcome, bids, objects):
    found = HedgeProtection().object_to_order(order=wanted(outcome), book=seen(outcome, bids), resting=False)
    assert (found is not None) is objects
    assert not objects or found.code == "too_little_to_hedge_into"


@pytest.mark.parametrize(("size", "pulled"), [("450", False), ("449.999999", True)])
def test_what_rests_keeps_its_hedge_until_a_tenth_is_gone(size, pulled):
    shown = book(f"0.45x1 0.44x1 0.43x{size}", "")
    assert (HedgeProtection().object_to_order(order=wanted(), book=shown, resting=True) is not None) is pulled


# Position.


@BOTH
@pytest.mark.parametrize(
    ("bids", "objects"),
    [("0.41x1 0.39x1", False), ("0.40x1 0.39x1", True), ("0.39x1 0.38x1", True), ("0.42x1 0.41x1", False)],
)
def test_a_band_edge_bid_needs_somebody_in_front(outcome, bids, objects):
    order = wanted(outcome, basis="band_edge")
    found = Position().object_to_order(order=order, book=seen(outcome, bids), resting=False)
    assert (found is not None) is objects
    assert not objects or found.code == "not_second_bid"


@BOTH
def test_a_bid_that_joins_the_second_level_is_not_judged_by_its_position(outcome):
    order = wanted(outcome, basis="second_bid")
    assert Position().object_to_order(order=order, book=seen(outcome, "0.39x1"), resting=False) is None


def test_a_band_edge_bid_that_has_become_the_best_is_pulled():
    order = wanted(basis="band_edge")
    assert Position().object_to_order(order=order, book=book("0.39x1", ""), resting=True) is not None


# Exposure.

CAP = notional(Price(10_000), shares("25"))


@BOTH
def test_an_order_larger_than_the_cap_is_refused_whatever_else_there_is(outcome):
    order = wanted(outcome, price="0.40", size="100")  # 40 dollars
    assert Exposure().object_to_order(order=order, exposure=Notional(0)) is not None


@BOTH
@pytest.mark.parametrize(("over", "objects"), [(0, False), (1, True), (-1, False)])
def test_exposure_may_reach_the_cap_and_no_more(outcome, over, objects):
    order = wanted(outcome, price="0.40", size="50")  # 20 dollars
    found = Exposure().object_to_order(order=order, exposure=Notional(CAP - order.notional + over))
    assert (found is not None) is objects
    assert not objects or found.code == "exposure_limit"


@BOTH
def test_sales_are_no_exposure(outcome):
    order = wanted(outcome, side=SELL, price="0.99", size="1000")
    assert Exposure().object_to_order(order=order, exposure=Notional(10 * CAP)) is None


@pytest.mark.parametrize("limit", [0, -1, 10**15])
def test_a_cap_of_nothing_is_refused(limit):
    with pytest.raises(ValueError, match="max_exposure_per_market_usdc"):
        Exposure(Cash(limit))


@pytest.mark.parametrize("check", [Cliff, ProtectionSize, HedgeProtection, Position])
def test_checks_of_the_book_below_do_not_judge_sales(check):
    order = wanted(side=SELL, basis="band_edge")
    assert check().object_to_order(order=order, book=book("", "0.50x1"), resting=False) is None


# A stale book.


def test_an_order_is_pulled_from_a_book_that_nobody_confirmed():
    check = StaleBook(max_age=Micros(60_000_000))
    check.observe(fact=told(book("0.45x1", "0.48x1")), market_no=FIRST)
    assert check.object_to_order(order=wanted(), market_no=FIRST, at=later(60)) is None
    assert (
        check.object_to_order(order=wanted(side=SELL), market_no=FIRST, at=Micros(later(60) + 1)).code == "stale_book"
    )
    assert check.next_wake(market_no=FIRST) == later(60) + 1
    check.observe(fact=told(book("0.45x1", "0.48x1"), at=later(70)), market_no=FIRST)
    assert check.object_to_order(order=wanted(), market_no=FIRST, at=later(70)) is None


# Hysteresis.


def test_hysteresis_is_only_for_what_rests():
    assert (widened(500, 0.1, resting=False), narrowed(500, 0.1, resting=False)) == (500, 500)
    assert (widened(500, 0.1, resting=True), narrowed(500, 0.1, resting=True)) == (550, 450)
    assert (widened(500, 0.0, resting=True), narrowed(500, 0.0, resting=True)) == (500, 500)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
@pytest.mark.parametrize("component", [Cliff, ProtectionSize, HedgeProtection])
def test_a_hysteresis_that_is_no_share_is_refused(component, share):
    with pytest.raises(ValueError, match="hysteresis"):
        component(hysteresis=share)


@pytest.mark.parametrize(
    "build",
    [
        lambda: ProtectionSize(-1.0),
        lambda: ProtectionSize(float("nan")),
        lambda: HedgeProtection(-1.0),
        lambda: HedgeProtection(5.0, Price(0)),
        lambda: StaleBook(Micros(0)),
    ],
)
def test_impossible_settings_are_refused(build):
    with pytest.raises(ValueError, match="must be"):
        build()
