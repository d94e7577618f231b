"""The core knows no network, no clock, no disk: importing it loads nothing of the kind, not even indirectly."""

import subprocess
import sys

import pytest

PURE = [
    "acting",
    "aligning",
    "book",
    "deciding",
    "desk",
    "desk_settings",
    "errors",
    "event_loss",
    "exit_cost",
    "facts",
    "fitting",
    "funnel",
    "grid",
    "halts",
    "holding",
    "hooks",
    "intents",
    "inventory",
    "known",
    "learning",
    "market",
    "market_state",
    "markouts",
    "order_count",
    "orders",
    "pnl",
    "pnl_ledger",
    "pnl_result",
    "ports",
    "reconcile",
    "simulate",
    "timings",
    "units",
    "universe",
    "unsent",
    "wanted",
]
IMPURE = {
    "trio",
    "hydra",
    "omegaconf",
    "loguru",
    "websockets",
    "trio_websocket",
    "httpx",
    "sqlite3",
    "numba",
    "numpy",
    "rich",
    "py_clob_client_v2",
    "starlette",
    "pmrun.plugins",
}
COMPONENTS = [
    "pricing.reward_band",
    "sizing.reward_min",
    "hedging.hedge_sell",
    "ranking.reward_score",
    "risk.cliff",
    "risk.volatility",
    "requote.on_deviation",
]


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for found in done.stdout.split() for name in (found, found.partition(".")[0])} | {
        ".".join(found.split(".")[:2]) for found in done.stdout.split()
    }


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_loads_no_library_of_the_outside_world(module):
    loaded = loaded_by(f"pmrun.runner.{module}")
    assert f"pmrun.runner.{module}" in loaded or "pmrun.runner" in loaded
    assert loaded & IMPURE == set()


def test_components_of_a_strategy_load_none_either():
    for module in COMPONENTS:
        assert loaded_by(f"pmrun.plugins.{module}") & (IMPURE - {"pmrun.plugins"}) == set()


def test_the_check_itself_notices_what_is_loaded():
    assert loaded_by("pmrun.plugins.executors.kernel") & IMPURE >= {"numba", "numpy", "pmrun.plugins"}
