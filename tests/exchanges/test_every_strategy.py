"""Every shipped strategy on every exchange: it runs without an edit, or is refused for a named capability (V5).

Strategies are found, not listed: a new one is in here as soon as it ships.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from pmrun.plugins.exchanges.satori.terms import FEES, SHARE
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.capabilities import Capability, Lacking
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import Filled, OrderNews, each
from pmrun.runner.intents import Place
from pmrun.runner.orders import News
from pmrun.runner.run import open_feed
from pmrun.runner.simulate import Simulation

STRATEGIES = sorted(path.stem for path in (Path(__file__).parents[2] / "strategies" / "strategy").glob("*.yaml"))
EXCHANGES = {"paper": ["exchange=paper"], "satori": ["exchange=satori", "executor=paper"]}
SHORT = ["feed=sim", "feed.markets=3", "feed.length=300", "seed=5", "store=none", "report=none", "memory=none"]
ARMED = ["live.armed=true", "live.max_order_usd=10", "live.max_resting_usd=100"]
REFUSED = re.compile(r"[a-z_.]+: needs (\w+), which (\w+) lacks, and nothing stands in")


class Seen:
    """Keeps what a run placed and heard."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.fills: list[Filled] = []
        self.rejected: list[str] = []

    def record(self, fact, intents) -> None:
        """Take a step."""
        self.places += [intent for intent in intents if isinstance(intent, Place)]
        for one in each(fact):
            self.fills += [one] if isinstance(one, Filled) else []
            if isinstance(one, OrderNews) and one.news is News.REJECTED:
                self.rejected.append(one.reason)

    def close(self) -> None:
        """Nothing to finish."""


@cache
def planned(strategy: str, exchange: str) -> Plan | str:
    """Return a plan of a short run on simulated markets, or the line that refuses it."""
    try:
        return plan(compose_config([f"strategy={strategy}", *EXCHANGES[exchange], *SHORT]))
    except Lacking as lacking:
        return str(lacking)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_runs_without_an_edit_or_is_refused_for_a_named_capability(strategy, exchange):
    made = planned(strategy, exchange)
    if isinstance(made, str):
        refused = REFUSED.fullmatch(made)
        assert refused is not None, made
        assert Capability(refused[1])
        assert refused[2] == exchange, "nothing is refused on paper by Polymarket's rules"
        return
    data, seen, desk = open_feed(made.feed), Seen(), made.desk("pmrun")
    exchange_there = made.executor.open(data, made.fill, made.depth(desk.hooks), not made.settings.gated)
    for _ in Simulation(desk, exchange_there, [seen], "the feed ended").run():
        pass
    assert not any(desk.in_play()), "nothing rests at the end"
    if exchange == "satori":
        assert all(market.fees == FEES and market.rewards is None for market in data.markets)
        assert all(place.size % SHARE == 0 and place.size >= SHARE for place in seen.places)
        assert all(fill.size % SHARE == 0 for fill in seen.fills)
        assert not any("size" in reason or "tick" in reason for reason in seen.rejected)


def test_on_a_tape_of_fractions_whole_shares_are_filled():
    tape = ["strategy=level_mm", "exchange=paper", "rules=satori", "feed=tape", *SHORT[4:]]
    made = plan(compose_config(tape))
    data, seen, desk = open_feed(made.feed), Seen(), made.desk("pmrun")
    there = made.executor.open(data, made.fill, made.depth(desk.hooks), not made.settings.gated)
    for _ in Simulation(desk, there, [seen], "the feed ended").run():
        pass
    assert seen.fills
    assert all(fill.size % SHARE == 0 for fill in seen.fills)


def test_strategies_that_live_on_rewards_are_the_ones_refused_and_others_run():
    refused = {strategy for strategy in STRATEGIES if isinstance(planned(strategy, "satori"), str)}
    assert {"reward_mm", "reward_mm_small"} <= refused
    assert "level_mm" not in refused
    assert len(refused) < len(STRATEGIES) / 2
    assert not any(isinstance(planned(strategy, "paper"), str) for strategy in STRATEGIES)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_can_be_armed_on_one_exchange_can_be_on_the_other_or_is_refused_for_a_named_capability(strategy):
    try:
        plan(compose_config([f"strategy={strategy}", "exchange=live", *ARMED]))
    except Lacking:
        raise
    except ConfigError:
        return  # made for paper alone: a benchmark that sets the latencies of its exchange
    try:
        made = plan(compose_config([f"strategy={strategy}", "exchange=satori", *ARMED]))
    except Lacking as lacking:
        assert REFUSED.fullmatch(str(lacking))
    else:
        assert {one.capability for one in made.substitutions} >= {Capability.POST_ONLY, Capability.BULK_CANCEL}
