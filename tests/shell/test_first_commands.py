"""The first commands of a new user, from an empty directory; and the recorded tapes, by path."""

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from commands import COMMAND, PLAIN, runs

from pmrun.runner.journal import read_journal

TAPES = Path(__file__).parents[3] / "shared" / "data" / "tapes"
# Shorter than the volatility check needs to have seen (two minutes).
SHORT = {"books-and-prints-updown", "raw-btc-5m"}
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Iterator[Path]:
    """The run directory of the README's first command: run once, looked at by all."""
    place = tmp_path_factory.mktemp("first")
    done = subprocess.run(
        [COMMAND, "strategy=reward_mm", "exchange=paper"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "(simulated market, simulated fills)" in done.stdout
    (directory,) = runs(place)
    return directory


@pytest.fixture(scope="module")
def summary(first):
    return json.loads((first / "summary.json").read_text())


def asked(first, query):
    with contextlib.closing(sqlite3.connect(first / "run.sqlite")) as database:
        return database.execute(query).fetchall()


def test_the_first_command_runs_to_the_end_and_leaves_everything_to_review(first, summary):
    assert summary["complete"]
    assert summary["oddities"] == {}
    assert (summary["strategy"], summary["feed"]) == ("reward_mm", "sim")
    wanted = {"config.yaml", "overrides.yaml", "manifest.json", "journal.jsonl", "run.sqlite", "logs", "report.html"}
    assert wanted <= {path.name for path in first.iterdir()}


def test_the_first_command_scans_many_markets_and_rejects_at_least_half_naming_the_filters(summary):
    markets = summary["markets"]
    rejected = {name: number for name, number in markets["rejected_by"].items() if name.startswith("filters.")}
    assert markets["scanned"] >= 24
    assert sum(rejected.values()) >= markets["scanned"] / 2
    assert {"filters.question_blacklist", "filters.min_size", "filters.spread", "filters.expiry"} <= set(rejected)


def test_the_first_command_quotes_in_eight_markets_or_more_fills_and_hedges(first, summary):
    ((quoted,),) = asked(first, "select count(distinct market) from orders where purpose = 'quote'")
    ((hedged, sold),) = asked(
        first,
        "select count(*), sum(filled_size_e6 > 0) from orders where purpose in ('hedge', 'flatten') and side = 'SELL'",
    )
    assert quoted >= 8
    assert summary["fills"]["count"] > 0
    assert hedged > 0
    assert sold > 0


def test_the_first_command_is_labelled_as_simulated_and_its_rewards_as_estimated(first, summary):
    assert summary["simulated"] is True
    assert summary["paper"] is True
    assert "simulated markets: drawn from statistics of recorded ones, no recording" in summary["remarks"]
    assert summary["rewards"]["estimated"] is True
    assert summary["pnl_usd"]["rewards_estimated"] > 0
    assert summary["rewards"]["low"] <= summary["pnl_usd"]["rewards_estimated"] <= summary["rewards"]["high"]
    page = (first / "report.html").read_text(encoding="utf-8")
    assert "simulated market data" in page
    assert "estimated" in page
    assert len(page) < 8_000_000


# Stop mode.


def test_stop_cancels_what_bids_and_ends(pmrun_says, cwd):
    said = pmrun_says("stop", "strategy=reward_mm", "exchange=paper", "feed.markets=12", "log.console=OFF")
    assert (said.code, said.err) == (0, ""), said
    (directory,) = runs(cwd)
    entries = [entry for line in read_journal(directory) for entry in line.entries]
    kinds = [type(entry).__name__ for entry in entries]
    assert "Place" not in kinds
    assert "Cancel" not in kinds
    (cancel,) = [entry for entry in entries if type(entry).__name__ == "CancelAll"]
    assert (str(cancel.side), cancel.reason.code) == ("BUY", "stop_only")
    summary = json.loads((directory / "summary.json").read_text())
    assert (summary["complete"], summary["orders"]["placed"]) == (True, 0)
    assert pmrun_says("replay", str(directory), "--verify").out.startswith("verified: ")


# Recorded tapes.


def ends_within_a_week(name: str) -> bool:
    """Whether every market of a tape ends within a week of its first frame."""
    import gzip

    (frames,) = [path for path in (TAPES / name).iterdir() if path.name.startswith("frames.jsonl")]
    opened = gzip.open if frames.suffix == ".gz" else open
    with opened(frames, "rt") as lines:
        begin = json.loads(next(lines))["t"] / 1000
    ends = [market.get("endDate") for market in json.loads((TAPES / name / "markets.json").read_text())]
    return all(end and datetime.fromisoformat(end).timestamp() < begin + WEEK.total_seconds() for end in ends)


@pytest.mark.skipif(not TAPES.is_dir(), reason="the recorded tapes are not beside this checkout")
@pytest.mark.parametrize(
    "name", sorted(path.name for path in TAPES.iterdir() if path.is_dir()) if TAPES.is_dir() else ["none"]
)
def test_every_recorded_tape_runs_by_its_path_and_trades_once_markets_that_end_soon_may(pmrun_says, cwd, name):
    tape = ("feed=tape", f"feed.path={TAPES / name}")
    default = [each for each in PLAIN if each not in ("feed=tape", "~filters.expiry")]
    said = pmrun_says(*default, *tape, "hydra.run.dir=default")
    assert (said.code, said.err) == (0, ""), said
    summary = json.loads((cwd / "default" / "summary.json").read_text())
    assert summary["source"] == str(TAPES / name)
    if ends_within_a_week(name):
        scanned = summary["markets"]["scanned"]
        assert (summary["markets"]["selected"], summary["orders"]["placed"]) == (0, 0)
        assert f"filters.expiry dropped {summary['markets']['rejected_by']['filters.expiry']} of {scanned}" in said.out
        assert "days, at least 7 wanted" in said.out
        assert "~filters.expiry leaves this filter out" in said.out
    more = ("~risk.volatility",) if name in SHORT else ()
    said = pmrun_says(*PLAIN, *tape, *more, "hydra.run.dir=traded")
    assert (said.code, said.err) == (0, ""), said
    assert json.loads((cwd / "traded" / "summary.json").read_text())["orders"]["placed"] > 0
