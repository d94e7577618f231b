"""Ten minutes of live trading in which everything goes wrong, a frozen socket, and a market that is only quiet."""

from pathlib import Path

import pytest
from rehearsal import KEY, LIVELY, Rehearsal, lively_feed
from verdicts import complaints

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.fault_terms import OF_SATORI, Name
from pmrun.plugins.exchanges.embedded.faults import Faults

SEED = 5
SECONDS = 600
# Every fault there is, at least once in ten minutes; seconds count from the start.
SCRIPT = [
    {"fault": "freeze", "at": 60, "for": 20, "where": {"channel": "market"}},
    {"fault": "freeze", "at": 330, "for": 20, "where": {"channel": "user"}},
    {"fault": "gap", "every": 45, "where": {"event": "price_change"}},
    {"fault": "gap", "every": 100, "for": 4, "where": {"channel": "user"}},
    {"fault": "duplicate", "chance": 0.02},
    {"fault": "duplicate", "every": 30, "by": 3, "where": {"channel": "user"}},
    {"fault": "reorder", "every": 31, "by": 2, "where": {"channel": "user"}},
    {"fault": "delay", "every": 90, "for": 10, "by": 4, "where": {"channel": "user"}},
    {"fault": "delay", "every": 120, "for": 8, "by": 2, "where": {"path": "/*"}},
    {"fault": "disconnect", "every": 170, "where": {"channel": "market"}},
    {"fault": "disconnect", "every": 140, "burst": 1, "where": {"channel": "user"}},
    {"fault": "server_error", "chance": 0.05, "reached": "either", "where": {"method": "POST", "path": "/order*"}},
    {"fault": "server_error", "every": 110, "for": 4, "where": {"path": "/data/*", "method": "GET"}},
    {"fault": "rate_limited", "every": 47, "for": 3, "retry_after": 2},
    {"fault": "lost_after_accept", "chance": 0.05, "where": {"method": "POST", "path": "/order*"}},
    {"fault": "lost_after_accept", "every": 80, "where": {"method": "DELETE"}},
    {"fault": "lost_before", "chance": 0.05, "where": {"method": "POST", "path": "/order*"}},
    {"fault": "partial_batch", "chance": 0.3},
    {"fault": "stale_snapshot", "every": 70, "for": 12, "age": 5, "where": {"path": "/data/*"}},
    {"fault": "incomplete_page", "every": 41, "where": {"path": "/data/orders"}},
    {"fault": "incomplete_page", "every": 67, "where": {"path": "/data/trades"}},
    {"fault": "restarting", "every": 190, "for": 10, "post_only_for": 15},
    {"fault": "cancel_only", "every": 270, "for": 15},
    {"fault": "post_only", "every": 100, "for": 50},
    {"fault": "disabled", "every": 140, "for": 8},
    {"fault": "heartbeat_loss", "every": 75},
    {"fault": "heartbeat_loss", "at": 480, "for": 20, "kind": "error"},
    {"fault": "clock_skew", "at": 300, "for": 30, "by": 4},
    {"fault": "tick_change", "every": 250, "for": 60},
    {"fault": "halted", "at": 380, "for": 20},
    {"fault": "resolved", "at": 550},
    {"fault": "ghost_fill", "every": 120},
    {"fault": "retrying_trade", "every": 40},
    {"fault": "new_field", "every": 200, "for": 20},
    {"fault": "new_enum", "every": 50, "kind": "event"},
    {"fault": "new_enum", "at": 150, "kind": "order_status"},
    {"fault": "new_enum", "at": 250, "kind": "order_kind"},
    {"fault": "new_enum", "at": 350, "kind": "trade_status"},
    {"fault": "new_enum", "at": 450, "kind": "answer_status"},
]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)


def test_whatever_goes_wrong_nothing_is_lost_doubled_or_left(key: None, tmp_path: Path) -> None:
    faults = Faults(read_script(SCRIPT), SEED)
    run = Rehearsal(lively_feed(SEED, 3, SECONDS, 12), tmp_path, LIVELY, faults, seed=SEED)
    summary = run.together(seconds=SECONDS)
    assert complaints(run) == {}
    assert summary["may_rest"] == []
    assert {name.value for name in Name if name not in OF_SATORI} - set(run.host.fired) == set()
    assert summary["fills"]["count"] > 3
