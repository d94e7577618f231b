"""The liquidity-reward score: the documentation's examples, the rules one by one, and a count of every order (R2)."""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmrun.plugins.rewards import score as scorer
from pmrun.plugins.rewards.score import Own, Range, adjusted_mid, income, own_order, own_wanted, score, score_at
from pmrun.runner.book import Book
from pmrun.runner.market import RewardTerms
from pmrun.runner.units import Cash, HalfPrice, Price, Size, complement, parse_price, parse_size
from tests.core.scenes import BUY, NO, SELL, YES, an_order, book, cash, wanted

EMPTY = Book((), ())


def terms(spread="0.03", least="20", rate="100", sponsored="0"):
    return RewardTerms(
        min_size=parse_size(least),
        max_spread=parse_price(spread),
        daily_rate=cash(rate),
        sponsored_rate=cash(sponsored),
    )


def half(price):
    return HalfPrice(round(20_000 * float(price)))


def buys(price, size):
    return Own(BUY, parse_price(price), parse_size(size))


def sells(price, size):
    return Own(SELL, parse_price(price), parse_size(size))


def exactly(value):
    return pytest.approx(float(value), rel=1e-9, abs=1e-9)


# The worked examples of the documentation (reference 7.3).


def test_example_1_bids_on_yes_and_asks_on_no_are_one_side():
    bids = [
        own_wanted(wanted(YES, BUY, "0.49", "100")),
        own_wanted(wanted(YES, BUY, "0.48", "200")),
        own_wanted(wanted(NO, SELL, "0.51", "100")),
    ]
    asks = [
        own_wanted(wanted(YES, SELL, "0.515", "100")),
        own_wanted(wanted(NO, BUY, "0.48", "100")),
        own_wanted(wanted(NO, BUY, "0.495", "200")),
    ]
    unit = 4 * 300**2 * 1_000_000
    sums = scorer.sides_of_own([*bids, *asks], half("0.5"), terms())
    assert (sums.bids / unit, sums.asks / unit) == (exactly(Fraction(1000, 9)), exactly(175))
    assert score_at(half("0.5"), EMPTY, [*bids, *asks], terms()).ours == exactly(Fraction(1000, 9))
    assert score_at(half("0.5"), EMPTY, asks, terms()).ours == exactly(Fraction(175, 3))


def test_example_2_a_skewed_pair_scores_a_third():
    others = book("0.39x1000", "0.41x1000")
    skewed = score(others, [buys("0.39", "200"), sells("0.42", "200")], terms())
    assert skewed.ours == exactly(Fraction(800, 27))  # 29.63
    even = score(others, [buys("0.39", "200"), sells("0.41", "200")], terms())
    assert even.ours == exactly(Fraction(800, 9))  # 88.89
    assert even.ours / skewed.ours == exactly(3)


def test_example_3_a_tenth_of_the_score_is_a_tenth_of_the_pool():
    others = book("0.39x1800", "0.41x1800")  # 800 on either side
    found = score(others, [buys("0.39", "200"), sells("0.41", "200")], terms())
    assert found.competitors_high == exactly(800)
    assert found.share.low == exactly("0.1")
    assert income(found.share, terms(rate="100")).native.low == exactly(10)
    assert income(found.share, terms(rate="100"), days=0.5).native.low == exactly(5)


def test_example_4_two_halves_of_the_minimum_score_nothing():
    others = book("0.39x1000", "0.41x1000")
    halves = [buys("0.39", "25"), buys("0.39", "25"), sells("0.41", "25"), sells("0.41", "25")]
    assert score(others, halves, terms(least="50")).ours == 0
    assert not score(others, halves, terms(least="50")).scoring
    whole = score(others, [buys("0.39", "50"), sells("0.41", "50")], terms(least="50"))
    assert whole.ours == exactly(Fraction(4, 9) * 50)


def test_example_5_near_the_end_one_side_alone_scores_nothing():
    others = book("0.94x1000", "0.96x1000")
    assert score(others, [buys("0.94", "200")], terms()).ours == 0
    assert score(others, [buys("0.94", "200"), sells("0.96", "200")], terms()).ours == exactly(Fraction(800, 9))


# The rules, boundary on both sides.


@pytest.mark.parametrize(
    ("bid", "ask", "scores"),
    [("0.09", "0.11", True), ("0.089", "0.11", False), ("0.89", "0.91", True), ("0.89", "0.911", False)],
)
def test_one_side_scores_from_ten_to_ninety_cents_both_included(bid, ask, scores):
    found = score(book(f"{bid}x1000", f"{ask}x1000"), [buys(bid, "200")], terms())
    assert found.scoring is scores
    assert (found.competitors_low > 0) is scores


@pytest.mark.parametrize(("bid", "scores"), [("0.4701", True), ("0.47", False), ("0.46", False)])
def test_an_order_at_the_maximum_spread_scores_nothing(bid, scores):
    assert score(book("0.49x1000", "0.51x1000"), [buys(bid, "200")], terms()).scoring is scores


@pytest.mark.parametrize(("size", "scores"), [("20", True), ("19.999999", False)])
def test_an_order_scores_from_the_minimum_size_on(size, scores):
    assert score(book("0.49x1000", "0.51x1000"), [buys("0.49", size)], terms()).scoring is scores


@pytest.mark.parametrize(("size", "mid"), [("20", "0.503"), ("19.99", "0.5")])
def test_a_level_below_the_minimum_size_does_not_move_the_midpoint(size, mid):
    assert adjusted_mid(book(f"0.496x{size} 0.49x1000", "0.51x1000"), [], parse_size("20")) == half(mid)


def test_own_orders_move_the_midpoint_only_if_one_alone_is_large_enough():
    others, least = book("0.48x1000", "0.52x1000"), parse_size("20")
    assert adjusted_mid(others, [buys("0.50", "20")], least) == half("0.51")
    assert adjusted_mid(others, [sells("0.50", "20")], least) == half("0.49")
    assert adjusted_mid(others, [buys("0.50", "19"), buys("0.50", "19")], least) == half("0.5")


def test_own_orders_do_not_fill_a_small_level_up_to_the_minimum():
    others, least = book("0.50x15 0.48x1000", "0.52x1000"), parse_size("20")
    assert adjusted_mid(others, [buys("0.50", "15")], least) == half("0.5")
    assert adjusted_mid(others, [buys("0.50", "20")], least) == half("0.51")


@pytest.mark.parametrize(
    ("bids", "asks"), [("", "0.51x1000"), ("0.49x1000", ""), ("0.49x10", "0.51x1000"), ("0.51x1000", "0.51x1000")]
)
def test_nobody_scores_without_a_midpoint(bids, asks):
    assert score(book(bids, asks), [sells("0.52", "19")], terms()) == scorer.NO_SCORE


def test_with_nobody_else_near_the_whole_pool_is_ours():
    found = score(book("0.40x1000", "0.60x1000"), [buys("0.49", "100"), sells("0.51", "100")], terms())
    assert (found.competitors_low, found.competitors_high) == (0, 0)
    assert found.share == Range(1, 1, 1)
    assert income(found.share, terms(rate="10.5")).native == Range(10.5, 10.5, 10.5)


def test_without_own_orders_there_is_no_share_and_the_others_are_still_counted():
    found = score(book("0.49x1000", "0.51x1000"), [], terms())
    assert (found.ours, found.share) == (0, Range(0, 0, 0))
    assert found.competitors_high == exactly(Fraction(4000, 9))


def test_native_and_sponsored_pools_are_paid_by_the_same_share_and_kept_apart():
    paid = income(Range(0.1, 0.2, 0.4), terms(rate="10", sponsored="5"))
    assert paid.native == pytest.approx((1, 2, 4))
    assert paid.sponsored == pytest.approx((0.5, 1, 2))
    assert paid.total == pytest.approx((1.5, 3, 6))


def test_a_partly_filled_order_counts_by_what_is_left():
    order = an_order(outcome=NO, price="0.49", size="100", filled=parse_size("85"))
    assert own_order(order) == Own(SELL, parse_price("0.51"), parse_size("15"))
    assert not score(book("0.49x1000", "0.51x1000"), [own_order(order)], terms()).scoring


# The interval is as wide as it must be: each end is reached by somebody.


def makers_q(orders, mid, what):
    """Count every order of every maker, in fractions: the formula of the documentation, word by word."""
    one, two = defaultdict(Fraction), defaultdict(Fraction)
    v = Fraction(what.max_spread, 100)  # cents
    for order in orders:
        s = abs(Fraction(mid, 200) - Fraction(order.price, 100))
        if order.size >= what.min_size and s < v:
            (one if order.side is BUY else two)[order.maker] += ((v - s) / v) ** 2 * Fraction(order.size, 10**6)
    qs = {}
    for maker in {order.maker for order in orders}:
        low, high = sorted((one[maker], two[maker]))
        inside = Fraction(1, 10) <= Fraction(mid, 20_000) <= Fraction(9, 10)
        qs[maker] = max(low, high / 3) if inside else low
    return qs


class Theirs(NamedTuple):
    """Somebody's order, as the exchange knows it and the public does not."""

    maker: int
    side: object
    price: Price
    size: Size


def public(orders):
    """What a book shows of orders: sizes by level."""
    sides = {BUY: defaultdict(int), SELL: defaultdict(int)}
    for order in orders:
        sides[order.side][order.price] += order.size
    bids = tuple((price, Size(size)) for price, size in sorted(sides[BUY].items(), reverse=True))
    return Book(bids, tuple((price, Size(size)) for price, size in sorted(sides[SELL].items())))


def order_of(maker, side, price, size):
    return Theirs(maker, side, parse_price(price), parse_size(size))


def sum_and_interval(orders, mid):
    total = sum(makers_q(orders, mid, terms()).values())
    found = score(public(orders), [], terms())
    return float(total), found.competitors_low, found.competitors_high


def test_the_most_is_reached_when_both_sides_have_the_same_makers():
    orders = [order_of(1, BUY, "0.49", "100"), order_of(1, SELL, "0.51", "100"), order_of(2, SELL, "0.51", "60")]
    total, _, high = sum_and_interval(orders, half("0.5"))
    assert total == exactly(high)


def test_the_least_is_reached_when_every_maker_is_lopsided():
    orders = [
        *(order_of(1, BUY, "0.49", "90"), order_of(1, SELL, "0.51", "30")),
        *(order_of(2, BUY, "0.49", "30"), order_of(2, SELL, "0.51", "90")),
    ]
    total, low, _ = sum_and_interval(orders, half("0.5"))
    assert total == exactly(low)
    total, low, _ = sum_and_interval([order_of(1, BUY, "0.49", "90"), order_of(2, SELL, "0.51", "20")], half("0.5"))
    assert low < total  # whoever they were, less would have been possible


def test_in_the_tails_one_sided_makers_score_nothing_and_the_least_is_nothing():
    one_sided = [order_of(1, BUY, "0.94", "100"), order_of(2, SELL, "0.96", "60")]
    total, low, _ = sum_and_interval(one_sided, half("0.95"))
    assert (total, low) == (0, 0)
    total, _, high = sum_and_interval([order._replace(maker=1) for order in one_sided], half("0.95"))
    assert total == exactly(high)


# The law: whoever owns the orders behind a book, what they truly score lies in the interval, and ours is exact.

TICK = 50
LEAST = parse_size("20")


@st.composite
def scenes(draw, dust_in_large_levels=False):
    """A market with makers behind its book, our orders beside them, and the reward terms."""
    what = RewardTerms(
        min_size=LEAST, max_spread=Price(draw(st.sampled_from([100, 150, 300, 350, 450]))), daily_rate=Cash(10_000_000)
    )
    best_bid = draw(st.integers(2, 196))
    best_ask = draw(st.integers(best_bid + 1, min(best_bid + 12, 198)))
    cut = draw(st.integers(best_bid, best_ask - 1))  # our orders do not cross each other
    large = st.integers(LEAST, 40 * LEAST)
    small = st.integers(1, LEAST - 1)

    def side(which, first, step):
        orders = []
        for rank in range(draw(st.integers(1, 6))):
            place = first + step * rank
            if not 1 <= place <= 199:
                continue
            price, maker = Price(place * TICK), st.integers(1, 4)
            if draw(st.booleans()) or (rank == 0 and dust_in_large_levels):
                orders += [Theirs(draw(maker), which, price, Size(draw(large))) for _ in range(draw(st.integers(1, 4)))]
                if not dust_in_large_levels:
                    continue
                orders += [Theirs(draw(maker), which, price, Size(draw(small))) for _ in range(draw(st.integers(0, 2)))]
            else:  # a level of small orders, small together
                orders.append(Theirs(draw(maker), which, price, Size(draw(small))))
        return orders

    theirs = side(BUY, best_bid, -1) + side(SELL, best_ask, 1)
    sizes = st.one_of(large, small)
    ours = [
        Own(BUY, Price(TICK * draw(st.integers(max(1, best_bid - 8), cut))), Size(draw(sizes)))
        for _ in range(draw(st.integers(0, 3)))
    ] + [
        Own(SELL, Price(TICK * draw(st.integers(cut + 1, min(199, best_ask + 8)))), Size(draw(sizes)))
        for _ in range(draw(st.integers(0, 3)))
    ]
    return theirs, ours, what


def counted(theirs, ours, what):
    """Return the midpoint, our score and everybody else's, order by order."""
    everyone = theirs + [Theirs(0, *order) for order in ours]
    bids = [order.price for order in everyone if order.side is BUY and order.size >= what.min_size]
    asks = [order.price for order in everyone if order.side is SELL and order.size >= what.min_size]
    if not bids or not asks or max(bids) >= min(asks):
        return None, Fraction(0), Fraction(0)
    mid = max(bids) + min(asks)
    qs = makers_q(everyone, mid, what)
    return mid, qs.pop(0, Fraction(0)), sum(qs.values(), Fraction(0))


def just(low, value, high):
    """Whether a value lies in an interval that was rounded to floats."""
    return low * (1 - 1e-12) <= value <= high * (1 + 1e-12)


@settings(max_examples=400, deadline=None)
@given(scenes())
def test_the_true_score_of_all_others_lies_in_the_interval_and_ours_is_exact(scene):
    theirs, ours, what = scene
    mid, own, others = counted(theirs, ours, what)
    found = score(public(theirs), ours, what)
    assert found.mid == mid
    assert found.ours == float(own)
    if mid is None:
        return
    assert just(found.competitors_low, others, found.competitors_high)
    if own:
        assert just(found.share.low, own / (own + others), found.share.high)
        assert found.share.low <= found.share.mid <= found.share.high <= 1
    else:
        assert found.share == Range(0, 0, 0)


@settings(max_examples=200, deadline=None)
@given(scenes(dust_in_large_levels=True))
def test_small_orders_hidden_in_large_levels_only_make_the_low_estimate_safer(scene):
    theirs, ours, what = scene
    mid, own, others = counted(theirs, ours, what)
    found = score(public(theirs), ours, what)
    assert (found.mid, found.ours) == (mid, float(own))
    assert others <= found.competitors_high * (1 + 1e-12)
    if own:
        assert own / (own + others) >= found.share.low * (1 - 1e-12)


@settings(max_examples=200, deadline=None)
@given(scenes())
def test_no_sees_the_same_score_as_yes(scene):
    theirs, ours, what = scene
    turned = [Own(order.side.opposite, complement(order.price), order.size) for order in ours]
    here, there = score(public(theirs), ours, what), score(public(theirs).mirror(), turned, what)
    assert there._replace(mid=None) == here._replace(mid=None)
    assert (here.mid is None and there.mid is None) or here.mid + there.mid == 20_000
