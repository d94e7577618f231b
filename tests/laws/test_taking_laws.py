"""No strategy places an order that is not post-only unless its configuration says that it may take (M1)."""

import pytest

from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.intents import Place
from pmrun.runner.options import options
from pmrun.runner.simulate import Simulation

SHORT = ["report=none", "store=none", "feed.markets=6", "feed.length=900", "exchange=paper"]
OFTEN = ["risk.drop.drop_threshold=0.005"]
SUITED = {  # so that something is placed within a quarter of an hour
    "reward_mm": ["~risk.volatility"],
    "reward_mm_small": ["~risk.volatility"],
    "maker_follow": OFTEN,
    "maker_follow_small": OFTEN,
    "maker_follow_pct": OFTEN,
    "queue_value_mm": ["pricing.min_prints=2", "pricing.memory=6000"],
    "reference_job": ["feed=sim", "fill=queue"],
}


def placed(strategy: str, *more: str) -> tuple[list[Place], object]:
    """Run a strategy for a quarter of an hour of simulated markets; return its orders, and what its hedging may."""
    made = plan(compose_config([f"strategy={strategy}", *SHORT, *SUITED.get(strategy, []), *more]))
    desk = made.desk("short")
    data = made.feed.open()
    exchange = made.executor.open(data, made.fill, made.depth(desk.hooks), False)
    found: list[Place] = []

    class Watch:
        def record(self, fact, intents):
            found.extend(intent for intent in intents if isinstance(intent, Place))

        def close(self):
            pass

    for _ in Simulation(desk, exchange, [Watch()], "over").run():
        pass
    return found, (made.config.get("hedging") or {}).get("may_take", False)


@pytest.mark.parametrize("strategy", options()["strategy"])
def test_a_strategy_takes_only_where_its_configuration_says_that_it_may(strategy):
    orders, may_take = placed(strategy)
    assert orders
    assert may_take or all(order.post_only for order in orders)
    if strategy.startswith("maker_follow"):
        assert may_take is False


def test_a_strategy_that_took_only_rests_once_its_configuration_says_no():
    orders, may_take = placed("reward_mm")
    assert may_take is True
    assert not all(order.post_only for order in orders), "nothing to see: it would not have taken anyway"
    orders, _ = placed("reward_mm", "hedging.may_take=false")
    assert orders
    assert all(order.post_only for order in orders)
