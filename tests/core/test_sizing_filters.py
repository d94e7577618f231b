"""How much, and where not at all."""

import pytest
from scenes import cash, market, shares

from pmrun.plugins.filters.accepting import Accepting
from pmrun.plugins.filters.rewarded import Rewarded
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.plugins.sizing.reward_min import RewardMin
from pmrun.runner.market import RewardTerms
from pmrun.runner.units import Price, Size


def rewarded(least: str, daily: str = "10", minimum: str = "5"):
    terms = RewardTerms(min_size=shares(least), max_spread=Price(300), daily_rate=cash(daily))
    return market(rewards=terms, min_order_size=shares(minimum))


@pytest.mark.parametrize(
    ("least", "multiplier", "minimum", "size"),
    [
        ("20", 1.0, "5", "20"),
        ("20", 2.5, "5", "50"),
        ("20", 0.1, "5", "5"),  # never less than the exchange takes
        ("20", 0.25, "5", "5"),
        ("20", 0.26, "5", "5.2"),
        ("33.33", 0.333, "5", "11.1"),  # 11.09889: up to a hundredth
        ("10", 0.1, "15", "15"),
    ],
)
def test_the_size_is_the_rewards_minimum_times_the_multiplier(least, multiplier, minimum, size):
    assert RewardMin(multiplier).size_order(market=rewarded(least, minimum=minimum)) == shares(size)


def test_without_rewards_the_exchanges_minimum_is_multiplied():
    assert RewardMin(3.0).size_order(market=market(rewards=None)) == shares("15")


@pytest.mark.parametrize("multiplier", [0, -1, 1001, float("nan"), float("inf")])
def test_a_multiplier_that_sizes_nothing_or_everything_is_refused(multiplier):
    with pytest.raises(ValueError, match="order_size_multiplier"):
        RewardMin(multiplier)


def test_a_fixed_size_is_at_least_the_exchanges_minimum():
    assert Fixed(shares("7")).size_order(market=market()) == shares("7")
    assert Fixed(shares("3")).size_order(market=market()) == shares("5")


@pytest.mark.parametrize("size", [0, -10_000, 1, 15_000])
def test_a_size_that_no_order_has_is_refused(size):
    with pytest.raises(ValueError, match="shares"):
        Fixed(Size(size))


def test_only_markets_that_take_orders_are_traded():
    assert Accepting().reject_market(market=market()) is None
    assert Accepting().reject_market(market=market(accepting_orders=False)).code == "not_accepting_orders"


def test_only_markets_that_pay_for_resting_are_traded():
    assert Rewarded().reject_market(market=rewarded("20", daily="0.000001")) is None
    assert Rewarded().reject_market(market=rewarded("20", daily="0")).code == "no_rewards"
    assert Rewarded().reject_market(market=market(rewards=None)).code == "no_rewards"
