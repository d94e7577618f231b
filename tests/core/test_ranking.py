"""What a market is worth: the reward ratio with the original's numbers, and the exchange's own score (R2)."""

from dataclasses import dataclass, field

import pytest

from pmrun.plugins.ranking.reward_ratio import RewardRatio
from pmrun.plugins.ranking.reward_score import RewardScore
from pmrun.runner.market import RewardTerms
from pmrun.runner.units import Price
from tests.core.scenes import BUY, NO, SELL, YES, book, cash, market, shares, wanted

THOUSAND = book("0.49x200 0.48x300 0.47x9999", "0.51x400 0.52x100 0.53x9999")


@dataclass
class Sketch:
    """What quoting a market would come to, as the test has it."""

    size: object = None
    quotes: list = field(default_factory=list)
    refusals: dict = field(default_factory=dict)
    rank: object = None


def paying(native="10.5", sponsored="0", least="200", spread="0.03"):
    return market(
        rewards=RewardTerms(
            min_size=shares(least),
            max_spread=Price(round(10_000 * float(spread))),
            daily_rate=cash(native),
            sponsored_rate=cash(sponsored),
        )
    )


def ratio(terms=None, shown=THOUSAND, size="200", **settings):
    sketch = Sketch(None if size is None else shares(size))
    return RewardRatio(**settings).rank_market(terms or paying(), shown, sketch)


def test_the_ratio_is_own_size_both_sides_over_the_two_best_levels_times_dollars_a_day():
    rank = ratio()
    assert rank.value == pytest.approx(4.2, rel=1e-12)  # 200 × 2 / 1000 × 10.5
    assert rank.numbers == {
        "size": shares("200"),
        "sides": 2,
        "competitors": shares("1000"),
        "daily_rate": cash("10.5"),
    }


def test_the_third_level_does_not_compete():
    assert ratio(shown=book("0.49x200 0.48x300", "0.51x400 0.52x100")) == ratio()


def test_every_factor_counts_once():
    assert ratio(size="400").value == pytest.approx(2 * ratio().value)
    assert ratio(terms=paying("21")).value == pytest.approx(2 * ratio().value)
    assert ratio(shown=book("0.49x400 0.48x600", "0.51x800 0.52x200")).value == pytest.approx(ratio().value / 2)
    assert ratio(sides=4).value == pytest.approx(2 * ratio().value)
    assert ratio(sides=1).value == pytest.approx(ratio().value / 2)


def test_what_sponsors_pay_is_paid_too():
    assert ratio(terms=paying("8", "2.5")).value == pytest.approx(4.2)


@pytest.mark.parametrize(("shown", "crowd"), [("0.49x5", 5), ("0.49x4", 5), ("", 5), ("0.49x6", 6)])
def test_a_nearly_empty_book_counts_as_one_smallest_order(shown, crowd):
    assert ratio(shown=book(shown, "")).value == pytest.approx(200 * 2 / crowd * 10.5)


def test_without_rewards_or_without_a_size_the_ratio_is_nothing():
    assert ratio(terms=market(rewards=None)).value == 0
    assert ratio(size=None).value == 0


@pytest.mark.parametrize(("sides", "fine"), [(0, False), (1, True), (4, True), (5, False)])
def test_sides_are_from_one_to_four(sides, fine):
    if fine:
        assert RewardRatio(sides=sides).sides == sides
    else:
        with pytest.raises(ValueError, match="sides must be from 1 to 4"):
            RewardRatio(sides=sides)


def by_score(terms, shown, *quotes):
    return RewardScore().rank_market(terms, shown, Sketch(quotes=list(quotes)))


CROWDED = book("0.39x1800", "0.41x1800")
PAIR = (wanted(YES, BUY, "0.39", "200"), wanted(NO, BUY, "0.59", "200"))


def test_the_score_ranks_by_dollars_a_day():
    rank = by_score(paying("100"), CROWDED, *PAIR)  # at most 800 against our 88.89; at least 400
    assert rank.numbers["low"] == pytest.approx(10)
    assert rank.numbers["high"] == pytest.approx(100 * 800 / (800 + 9 * 400))
    assert rank.value == rank.numbers["mid"] == pytest.approx(100 * 800 / (800 + 9 * 600))
    assert rank.numbers["share"] == pytest.approx(rank.value / 100)
    assert rank.numbers["score"] == pytest.approx(800 / 9)


def test_the_score_keeps_native_and_sponsored_apart_and_adds_them_up():
    rank = by_score(paying("60", "40"), CROWDED, *PAIR)
    assert rank.value == pytest.approx(by_score(paying("100"), CROWDED, *PAIR).value)
    assert rank.numbers["native"] == pytest.approx(0.6 * rank.value)
    assert rank.numbers["sponsored"] == pytest.approx(0.4 * rank.value)


def test_a_quote_nearer_the_mid_is_worth_more_though_the_ratio_cannot_tell():
    near = by_score(paying("100"), book("0.48x1800", "0.52x1800"), wanted(YES, BUY, "0.49", "200"))
    far = by_score(paying("100"), book("0.48x1800", "0.52x1800"), wanted(YES, BUY, "0.48", "200"))
    assert near.value > 1.5 * far.value > 0


def test_an_ask_for_no_is_a_bid_for_yes():
    assert by_score(paying(), CROWDED, wanted(NO, SELL, "0.61", "200")) == by_score(
        paying(), CROWDED, wanted(YES, BUY, "0.39", "200")
    )


def test_nothing_to_score_is_worth_nothing():
    assert by_score(market(rewards=None), CROWDED, *PAIR).value == 0
    assert by_score(paying(), CROWDED).value == 0
    assert by_score(paying(least="201"), CROWDED, *PAIR).value == 0
    assert by_score(paying(), book("0.39x1800", ""), wanted(YES, BUY, "0.39", "200")).value == 0
