"""Which markets are not traded: every filter at its seed's number, on both sides of it (R1, R3)."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUY, NOON, SELL, book, cash, market, shares

from pmrun.plugins.filters.expiry import Expiry
from pmrun.plugins.filters.min_size import MinSize
from pmrun.plugins.filters.placement_safety import PlacementSafety
from pmrun.plugins.filters.question_blacklist import QuestionBlacklist
from pmrun.plugins.filters.range import Range
from pmrun.plugins.filters.rate import Rate
from pmrun.plugins.filters.reward_ratio import RewardRatio
from pmrun.plugins.filters.rewarded import Rewarded
from pmrun.plugins.filters.spread import Spread
from pmrun.plugins.filters.volume import Volume
from pmrun.plugins.risk.two_sided import TwoSided
from pmrun.runner.hooks import Hooks, Rank
from pmrun.runner.intents import Reason
from pmrun.runner.market import RewardTerms
from pmrun.runner.units import Cash, Micros, Price

DAY = 86_400_000_000
SAFE = {BUY: (), SELL: ()}
CLIFF = Reason("price_cliff", "risk.cliff", {"gap": 700, "limit": 500})
EARLY = Reason("too_few_points", "risk.volatility", {"points": 1, "needed": 5})


@dataclass
class Foreseen:
    """What quoting a market would come to, as the test says."""

    rank: Rank | None = None
    refusals: dict = field(default_factory=lambda: SAFE)
    size: None = None
    quotes: tuple = ()


def paying(least: str = "20", daily: str = "10", sponsored: str = "0"):
    terms = RewardTerms(
        min_size=shares(least), max_spread=Price(300), daily_rate=cash(daily), sponsored_rate=cash(sponsored)
    )
    return market(rewards=terms)


def verdict(filter_, terms=None, shown=None, prospect=None, at=NOON):
    """What the desk hears of one filter, by the way it asks."""
    hooks = Hooks({"filters.it": filter_})
    shown = shown or book("0.45x100", "0.50x100")
    return hooks.reject_market(terms or market(), shown, prospect or Foreseen(), at)


def assert_missed(reason, code, value, limit, margin, unit):
    assert reason == Reason(
        code, "filters.it", {"value": value, "limit": limit, "margin": pytest.approx(margin), "unit": unit}
    )


# Question blacklist.


@pytest.mark.parametrize("question", ["Will Trump win?", "will trump win?", "TRUMP's approval", "Trumpism in 2027?"])
def test_a_question_with_a_keyword_in_it_is_not_traded(question):
    reason = verdict(QuestionBlacklist(), market(question=question))
    assert reason == Reason("blacklisted_question", "filters.it", {"keyword": "Trump"})


def test_other_questions_are_traded_and_so_are_all_without_keywords():
    assert verdict(QuestionBlacklist(), market(question="Will it rain on Tru mp?")) is None
    assert verdict(QuestionBlacklist(()), market(question="Will Trump win?")) is None


def test_the_keyword_that_was_found_is_named():
    reason = verdict(QuestionBlacklist(("Trump", "ufo")), market(question="A UFO by June?"))
    assert reason.numbers == {"keyword": "ufo"}


@pytest.mark.parametrize("keyword", ["", " "])
def test_a_keyword_that_every_question_holds_is_refused(keyword):
    with pytest.raises(ValueError, match="question_blacklist must"):
        QuestionBlacklist(("Trump", keyword))


# Volume.


@pytest.mark.parametrize("volume", [None, "0", "1000000000"])
def test_any_volume_passes_by_default_known_or_not(volume):
    assert verdict(Volume(), market(volume_24h=volume and cash(volume))) is None


@pytest.mark.parametrize(
    ("volume", "limit", "margin"),
    [("999.999999", 1000, 1e-6), ("1000", None, 0), ("5000", None, 0), ("5000.000001", 5000, 1e-6)],
)
def test_a_volume_passes_from_the_least_to_the_most_of_the_range(volume, limit, margin):
    reason = verdict(Volume(Range(cash("1000"), cash("5000"))), market(volume_24h=cash(volume)))
    if limit is None:
        assert reason is None
    else:
        assert_missed(reason, "volume_out_of_range", float(volume), limit, margin, "dollars")


@pytest.mark.parametrize("limits", [Range(min=Cash(0)), Range(max=Cash(10**12))])
def test_an_unknown_volume_meets_no_limit(limits):
    assert verdict(Volume(limits), market(volume_24h=None)).code == "volume_unknown"


# The rewards' minimum size.


@pytest.mark.parametrize(("least", "margin"), [("0", 0), ("20", 0), ("20.000001", 1e-6), ("200", 180)])
def test_at_most_twenty_shares_are_asked_for(least, margin):
    reason = verdict(MinSize(), paying(least))
    if not margin:
        assert reason is None
    else:
        assert_missed(reason, "min_size_out_of_range", float(least), 20, margin, "shares")


def test_a_market_without_reward_terms_has_no_minimum_to_compare():
    assert verdict(MinSize(), market(rewards=None)).code == "min_size_unknown"
    assert verdict(MinSize(Range()), market(rewards=None)) is None


# Spread.


@pytest.mark.parametrize(("ask", "margin"), [("0.46", 0), ("0.50", 0), ("0.5001", 0.0001), ("0.51", 0.01)])
def test_the_spread_is_at_most_five_cents(ask, margin):
    reason = verdict(Spread(), shown=book("0.45x100 0.40x9", f"{ask}x100 0.6x9"))
    if not margin:
        assert reason is None
    else:
        assert_missed(reason, "spread_out_of_range", round(0.05 + margin, 6), 0.05, margin, "dollars")


def test_a_spread_can_be_too_narrow():
    narrow = Spread(Range(min=Price(200)))
    assert verdict(narrow, shown=book("0.45x100", "0.47x100")) is None
    assert verdict(narrow, shown=book("0.45x100", "0.46x100")).numbers["margin"] == 0.01


# End.


@pytest.mark.parametrize(
    ("left", "passes"), [(7 * DAY, True), (7 * DAY - 1, False), (7 * DAY + 1, True), (0, False), (-DAY, False)]
)
def test_a_market_has_at_least_seven_days_to_go(left, passes):
    reason = verdict(Expiry(), market(ends_at=Micros(NOON + left)))
    if passes:
        assert reason is None
    else:
        assert_missed(reason, "ends_too_soon", left / DAY, 7, 7 - left / DAY, "days")


def test_time_passes_and_the_same_market_is_about_to_end():
    terms = market(ends_at=Micros(NOON + 8 * DAY))
    assert verdict(Expiry(), terms, at=Micros(NOON + DAY)) is None
    assert verdict(Expiry(), terms, at=Micros(NOON + DAY + 1)).code == "ends_too_soon"


def test_a_market_whose_end_nobody_knows_is_dropped_unless_it_is_allowed():
    assert verdict(Expiry(), market(ends_at=None)).code == "end_unknown"
    assert verdict(Expiry(require_end=False), market(ends_at=None)) is None
    assert verdict(Expiry(require_end=False), market(ends_at=NOON)).code == "ends_too_soon"


@pytest.mark.parametrize("days", [-0.5, float("nan"), float("inf"), 40_000])
def test_a_number_of_days_that_is_none_is_refused(days):
    with pytest.raises(ValueError, match="min_days_until_end must"):
        Expiry(days)


# What is paid.


@pytest.mark.parametrize(("daily", "margin"), [("4.999999", 1e-6), ("5", 0), ("0", 5), ("1000", 0)])
def test_at_least_five_dollars_a_day_are_paid(daily, margin):
    reason = verdict(Rate(), paying(daily=daily))
    if not margin:
        assert reason is None
    else:
        assert_missed(reason, "rate_out_of_range", float(daily), 5, margin, "dollars a day")


def test_what_sponsors_pay_counts_and_a_market_without_rewards_pays_nothing():
    assert verdict(Rate(), paying(daily="2", sponsored="3")) is None
    assert verdict(Rewarded(), paying(daily="0", sponsored="0.000001")) is None
    assert verdict(Rate(), market(rewards=None)).numbers["value"] == 0
    assert verdict(Rate(Range()), market(rewards=None)) is None


# Reward ratio.


@pytest.mark.parametrize(("value", "passes"), [(0.5, True), (0.499, False), (0.0, False), (9.0, True)])
def test_a_market_that_ranks_too_low_is_dropped(value, passes):
    reason = verdict(RewardRatio(0.5), prospect=Foreseen(Rank(value, {})))
    if passes:
        assert reason is None
    else:
        assert_missed(reason, "reward_ratio_too_low", value, 0.5, 0.5 - value, "reward ratio")


def test_by_default_any_ratio_passes_and_without_a_ranking_every_market_does():
    assert verdict(RewardRatio(), prospect=Foreseen(Rank(0.0, {}))) is None
    assert verdict(RewardRatio(5.0), prospect=Foreseen(None)) is None


@pytest.mark.parametrize("ratio", [-0.1, float("nan")])
def test_a_ratio_below_nothing_is_refused(ratio):
    with pytest.raises(ValueError, match="min_reward_ratio must"):
        RewardRatio(ratio)


# Placement safety and the two-sided rule.

AT_TEN = book("0.095x100", "0.105x100")  # mids 0.10 and 0.90
ABOVE_TEN = book("0.095x100", "0.1051x100")  # 0.10005
AT_NINETY = AT_TEN.mirror()
BELOW_NINETY = ABOVE_TEN.mirror()
MIDDLE = book("0.45x100", "0.55x100")


@pytest.mark.parametrize(
    ("shown", "both"),
    [(AT_TEN, True), (AT_NINETY, True), (ABOVE_TEN, False), (BELOW_NINETY, False), (MIDDLE, False)],
)
def test_both_sides_are_needed_where_either_tokens_mid_is_at_most_ten_cents(shown, both):
    assert Hooks({"risk.two_sided": TwoSided()}).needs_both_sides(market(), shown) is both
    one = verdict(PlacementSafety(), shown=shown, prospect=Foreseen(refusals={BUY: (), SELL: (CLIFF,)}))
    assert (one is not None) is both
    other = verdict(PlacementSafety(), shown=shown, prospect=Foreseen(refusals={BUY: (CLIFF,), SELL: ()}))
    assert (other is not None) is both


@given(st.integers(1, 9_999), st.integers(1, 9_999), st.integers(0, 5_000))
def test_the_two_sided_rule_is_the_same_for_either_token(low, high, threshold):
    shown = book(f"{min(low, high) / 10_000}x1", f"{max(low, high) / 10_000}x1")
    rule = TwoSided(Price(threshold))
    assert rule.needs_both_sides(book=shown) == rule.needs_both_sides(book=shown.mirror())
    assert rule.needs_both_sides(book=shown) == (min(shown.mid, shown.mirror().mid) <= threshold / 10_000)


@pytest.mark.parametrize("shown", [AT_TEN, MIDDLE])
def test_a_market_where_both_sides_could_rest_passes_and_one_where_none_could_does_not(shown):
    assert verdict(PlacementSafety(), shown=shown) is None
    reason = verdict(PlacementSafety(), shown=shown, prospect=Foreseen(refusals={BUY: (CLIFF,), SELL: (CLIFF, EARLY)}))
    needed = 2 if shown is AT_TEN else 1
    assert reason.code == "placement_unsafe"
    assert reason.numbers == {
        "value": 0,
        "limit": needed,
        "margin": needed,
        "unit": "sides",
        "buy": "risk.cliff: price_cliff",
        "buy.risk.cliff.gap": 700,
        "buy.risk.cliff.limit": 500,
        "sell": "risk.cliff: price_cliff",
        "sell.risk.cliff.gap": 700,
        "sell.risk.cliff.limit": 500,
    }


@pytest.mark.parametrize("shown", [AT_TEN, MIDDLE])
def test_a_check_that_has_not_seen_enough_yet_drops_no_market(shown):
    assert verdict(PlacementSafety(), shown=shown, prospect=Foreseen(refusals={BUY: (EARLY,), SELL: (EARLY,)})) is None


@pytest.mark.parametrize("kind", [TwoSided, PlacementSafety])
def test_a_threshold_that_is_no_mid_of_the_cheaper_token_is_refused(kind):
    kind(Price(0)), kind(Price(5_000))
    for wrong in (-1, 5_001):
        with pytest.raises(ValueError, match="mid_threshold must"):
            kind(Price(wrong))


# Ranges.


@given(st.integers(0, 50), st.none() | st.integers(0, 50), st.none() | st.integers(0, 50))
def test_a_value_passes_a_range_or_misses_it_by_its_margin(value, low, high):
    if low is not None and high is not None and low > high:
        low, high = high, low
    limits = Range(low, high)
    missed = limits.missed(value, 1, "shares")
    inside = (low is None or value >= low) and (high is None or value <= high)
    assert (missed is None) == inside
    if missed:
        towards = missed["margin"] if missed["value"] < missed["limit"] else -missed["margin"]
        assert missed["margin"] > 0
        assert limits.missed(value + int(towards), 1, "shares") is None
        assert limits.missed(value + int(towards) - (1 if towards > 0 else -1), 1, "shares") is not None


def test_filters_that_need_no_book_judge_a_market_as_it_is_listed():
    early = (QuestionBlacklist(), Volume(Range(min=Cash(1))), MinSize(), Expiry(), Rate())
    late = (Spread(), RewardRatio(), PlacementSafety())
    terms = market(question="Trump", rewards=None, ends_at=NOON)
    for each in early:
        assert Hooks({"filters.it": each}).reject_market(terms, None, None, NOON) is not None
    for each in late:
        assert Hooks({"filters.it": each}).reject_market(terms, None, None, NOON) is None
