"""Complement quoting against the embedded exchange: pairs stay held, and the run says so (issue 5, V5)."""

import json
from pathlib import Path

import pytest
from rehearsal import ARMED, KEY, Rehearsal, lively_feed

from pmrun.plugins.executors.live import PAIRS_HELD

SECONDS = 120.0
RULE = [
    "strategy=complement_mm",
    "exchange=live",
    "pricing.edge=0.01",
    "pricing.max_unpaired=60",
    "risk.exposure.max_exposure_per_market_usdc=200",
    "desk.merge_from=5",
    "report=none",
    "log.console=OFF",
    "universe.max_markets=0",
    "risk.daily_loss.max_loss=100000",
    "risk.drawdown.max_drawdown=100000",
    "risk.error_rate.max_errors=100000",
    "risk.order_rate.max_requests=100000",
]


def test_a_live_run_bids_on_both_tokens_and_holds_its_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    run = Rehearsal(lively_feed(3, 2, SECONDS, 12), tmp_path, [*RULE, *ARMED], seed=3)
    summary = run.together(seconds=SECONDS)
    assert summary["may_rest"] == []
    assert summary["fills"]["count"] > 0
    assert summary["merges"] == {"count": 0, "pairs": 0.0}
    assert PAIRS_HELD in json.dumps(summary)
    assert run.differences() == {}  # which replays the run, and would raise where an intent differs
