"""`pmrun universe` on a live feed: the markets as they are now, without an order and without a credential (P1)."""

import json

import pytest
from live_peers import venue

from pmrun.runner.cli import run

SPREAD = ("strategy=spread_mm", "exchange=paper", "feed=polymarket")


@pytest.fixture
def told(capsys, monkeypatch, tmp_path):
    """Run the verb in this process, in an empty directory; return what it printed."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)

    def tell(*arguments):
        assert run(["universe", *arguments]) == 0
        assert list(empty.iterdir()) == []
        return capsys.readouterr().out

    return tell


def test_the_most_liquid_live_markets_are_shown_best_first(told, tmp_path):
    with venue(tmp_path / "venue", "--speed", "20", "--loop", "feed.markets=8", "feed.length=3600") as at:
        shown = told(*SPREAD, *at.addresses, "universe.max_markets=3").splitlines()
        caps = ("live.armed=true", "live.max_order_usd=5", "live.max_resting_usd=50")
        found = json.loads(told("strategy=spread_mm", "exchange=live", *caps, *at.addresses, "--json"))  # without a key
    assert shown[0].startswith("simulated markets, http://127.0.0.1:")
    assert (found["live"], found["simulated"], found["scanned"], found["selected"]) == (True, True, 8, 8)
    ranks = {market["slug"]: market["rank"] for market in found["markets"]}
    best = sorted(ranks, key=lambda slug: -ranks[slug])[:3]
    lines = [line.split()[:2] for line in shown if line.startswith("simulated-")]
    assert lines[:3] == [[slug, "selected"] for slug in best]
    assert {verdict for _, verdict in lines[3:]} == {"universe.max_markets"}


def test_an_exchange_that_cannot_be_reached_is_one_line(capsys, tmp_path):
    nowhere = [f"feed.{name}_url=http://127.0.0.1:9" for name in ("clob", "gamma", "data", "geoblock")]
    assert run(["universe", *SPREAD, *nowhere, "feed.socket_url=ws://127.0.0.1:9"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("pmrun: GET ")
    assert said.err.count("\n") == 1
