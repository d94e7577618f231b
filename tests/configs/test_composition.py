"""A variant is composed by groups and overrides alone, and changes exactly what it says (C2, C3)."""

import pytest

from pmrun.runner.assembly import DESK_GROUPS, DESK_NODES, SHELL_NODES, build_components
from pmrun.runner.hooks import Hooks
from pmrun.runner.options import options


def flat(tree, under=""):
    found = {}
    for key, value in tree.items():
        found.update(flat(value, f"{under}{key}.") if isinstance(value, dict) and value else {f"{under}{key}": value})
    return found


def changes(before, after):
    """Return the keys that differ, each with what it was and what it is."""
    left, right = flat(before), flat(after)
    return {key: (left.get(key), right.get(key)) for key in {*left, *right} if left.get(key) != right.get(key)}


def test_tuning_a_check_changes_that_number_and_nothing_else(composed):
    changed = changes(composed(), composed("risk.cliff.price_cliff_threshold=0.02"))
    assert changed == {"risk.cliff.price_cliff_threshold": (0.05, 0.02)}


def test_dropping_a_check_drops_that_check_and_nothing_else(composed):
    before, after = composed(), composed("~risk.volatility")
    assert "volatility" in before["risk"]
    assert set(before["risk"]) - set(after["risk"]) == {"volatility"}
    assert all(key.startswith("risk.volatility.") for key in changes(before, after))


def test_adding_a_check_adds_a_second_one_beside_the_first_and_nothing_else(composed):
    before, after = composed(), composed("+risk@risk.mine=cliff", "risk.mine.price_cliff_threshold=0.01")
    assert after["risk"]["mine"] == {**before["risk"]["cliff"], "price_cliff_threshold": 0.01}
    assert list(after["risk"]) == [*before["risk"], "mine"]
    assert all(key.startswith("risk.mine.") for key in changes(before, after))


def test_a_filter_is_tuned_dropped_and_added_like_a_check(composed):
    chain = list(composed()["filters"])
    assert list(composed("~filters.rewarded")["filters"]) == [name for name in chain if name != "rewarded"]
    assert list(composed("+filters@filters.again=rewarded")["filters"]) == [*chain, "again"]
    tuned = changes(composed(), composed("filters.expiry.min_days_until_end=1"))
    assert tuned == {"filters.expiry.min_days_until_end": (7.0, 1)}


def test_the_filters_of_the_reward_maker_come_in_the_order_of_its_specification(composed):
    assert list(composed()["filters"]) == [
        "accepting", "rewarded", "question_blacklist", "volume", "min_size", "spread", "expiry", "rate",
        "reward_ratio", "placement_safety",
    ]  # fmt: skip


def test_the_paper_exchange_runs_on_simulated_markets_unless_a_tape_is_chosen(composed):
    assert composed("exchange=paper")["feed"]["_target_"] == "pmrun.plugins.feeds.sim.sim.Simulated"
    for tape in ("feed=tape", "tape=btc_15m"):
        assert composed("exchange=paper", tape)["feed"] == {
            "_target_": "pmrun.plugins.feeds.tape.Tape", "path": "pkg://pmrun.strategies/tapes/btc_15m",
        }  # fmt: skip


def test_hedging_ranking_and_the_estimate_of_rewards_can_be_dropped_each_by_itself(composed, planned):
    for part in ("hedging", "ranking", "rewards"):
        assert all(key.startswith(f"{part}.") for key in changes(composed(), composed(f"~{part}")))
    assert {"hedging", "ranking"} <= set(planned().components)
    assert planned("~rewards").rewards is None


def test_swapping_the_pricing_rule_leaves_nothing_of_the_old_rule_behind(composed):
    before, after = composed(), composed("pricing=maker_follow")
    assert after["pricing"] == {"_target_": "pmrun.plugins.pricing.maker_follow.MakerFollow"}
    assert all(key.startswith("pricing.") for key in changes(before, after))


def test_swapping_the_option_of_a_named_check_keeps_its_name(composed):
    after = composed("risk@risk.cliff=stale_book")
    assert after["risk"]["cliff"]["_target_"].endswith("StaleBook")
    assert "price_cliff_threshold" not in after["risk"]["cliff"]


def test_one_strategy_extends_another_and_changes_what_its_yaml_says(composed):
    changed = changes(composed(), composed(strategy="reward_mm_small"))
    assert set(changed) == {
        "strategy", "thesis", "risk.exposure.max_exposure_per_market_usdc", "requote.min_rest",
    }  # fmt: skip
    assert changed["risk.exposure.max_exposure_per_market_usdc"] == (25, 15)


def test_what_a_strategy_says_can_be_changed_on_the_command_line(composed):
    config = composed("risk.exposure.max_exposure_per_market_usdc=7", strategy="reward_mm_small")
    assert config["risk"]["exposure"]["max_exposure_per_market_usdc"] == 7


@pytest.mark.parametrize("strategy", [name for name in options()["strategy"] if name != "reference_job"])
def test_every_strategy_composes_and_builds(strategy, planned):
    assert planned(strategy=strategy).config["strategy"] == strategy


def test_the_reference_job_builds_once_it_has_its_data(planned, tmp_path):
    (tmp_path / "tape.npz").touch()
    assert planned(f"feed.path={tmp_path}/tape.npz", strategy="reference_job").settings.max_markets == 0


@pytest.mark.parametrize("group", DESK_GROUPS)
def test_every_option_of_a_group_of_many_builds_and_all_stand_side_by_side(group, planned):
    names = options()[group]
    built = planned(*(f"+{group}@{group}.tried_{name}={name}" for name in names))
    assert {f"{group}.tried_{name}" for name in names} <= built.components.keys()


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group, names in options().items() if group not in ("strategy", *DESK_GROUPS) for name in names],
)
def test_every_option_of_every_other_group_builds(group, name, planned, tmp_path):
    more = []
    if (group, name) == ("feed", "columns"):
        (tmp_path / "tape.npz").touch()
        more = [f"feed.path={tmp_path}/tape.npz"]
    if (group, name) == ("store", "none"):
        more = ["report=none"]  # the report is made from the store
    chosen = {}
    if (group, name) == ("executor", "live"):
        more = ["feed=polymarket"]
    if name == "satori":  # its feed, rules and executor go together, and it pays no rewards
        more, chosen = ["exchange=satori"], {"strategy": "level_mm"}
    built = planned(f"{group}={name}", *more, **chosen)
    if group in (*DESK_NODES, *SHELL_NODES) and name != "none":
        assert built.config[group]["_target_"]


@pytest.mark.parametrize("pricing", options()["pricing"])
@pytest.mark.parametrize("sizing", options()["sizing"])
def test_any_pricing_goes_with_any_sizing(pricing, sizing, planned):
    components = planned(f"pricing={pricing}", f"sizing={sizing}").components
    assert {"pricing", "sizing"} <= set(components)


def order_of(config):
    return list(Hooks(build_components(config)).order)


def test_checks_are_asked_in_the_order_in_which_the_strategy_has_them(composed):
    config = composed()
    checks = [name for name in order_of(config) if name.startswith("risk.")]
    assert checks == [f"risk.{name}" for name in config["risk"]]


def test_an_order_setting_puts_a_check_before_all_others(composed):
    config = composed("risk.volatility.order=0")
    checks = [name for name in order_of(config) if name.startswith("risk.")]
    assert checks[0] == "risk.volatility"
    assert sorted(checks) == sorted(f"risk.{name}" for name in config["risk"])
