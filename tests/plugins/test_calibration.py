"""What a run of spread_mm learned: kept, shown, and better at foretelling fills than the settings alone (P2, P5)."""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pmrun.runner.cli import run

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from calibration import judge

TAPE = ("strategy=spread_mm", "exchange=paper", "tape=btc_15m", "log.console=OFF")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A run of spread_mm on the shipped tape that remembers what it learned."""
    place = tmp_path_factory.mktemp("run")
    kept = ("memory=kept", f"memory.folder={place / 'kept'}")
    assert run([*TAPE, *kept, f"hydra.run.dir={place / 'run'}"]) == 0
    return place / "run"


def test_what_was_learned_of_every_market_is_in_the_database(directory):
    with closing(sqlite3.connect(directory / "run.sqlite")) as db:
        rows = db.execute(
            "SELECT fills, quote_seconds, fills_per_minute_at_mid, decay_per_cent, predicted FROM v_market_calibration"
        ).fetchall()
        names = dict(db.execute("SELECT name, by FROM market_calibration"))
        quotes = db.execute(
            "SELECT count(DISTINCT order_no || '/' || at_us) FROM fills JOIN orders USING (order_no) "
            "WHERE purpose = 'quote'"
        ).fetchone()[0]
    assert len(rows) == 4
    assert all(seconds > 0 and rate > 0 and decay >= 0 and told > 0 for _, seconds, rate, decay, told in rows)
    assert 0 < sum(row[0] for row in rows) <= quotes
    assert names["fills"] == "adjust.calibration"
    assert names["cost_of_a_fill_usd"] == "adjust.toxicity"


def test_the_report_says_how_well_fills_were_foretold(directory):
    page = (directory / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="calibration">') :].partition("</section>")[0]
    words = re.sub(r"<[^>]+>", " ", section)
    assert re.search(r"\d+ fills in \d+ minutes of a resting quote; [\d.]+ were foretold, [\d.]+ by the", words)
    assert re.search(r"By its Poisson deviance the forecast was \d+ % (better|worse) than that of the settings", words)
    assert "estimated" in words
    assert "simulated" in words
    assert words.count("btc-updown-15m") == 4


def test_a_second_run_starts_from_what_the_first_learned_and_replays(directory):
    again = directory.parent / "again"
    kept = ("memory=kept", f"memory.folder={directory.parent / 'kept'}")
    assert run([*TAPE, *kept, f"hydra.run.dir={again}", "store=none", "report=none"]) == 0
    assert run(["replay", str(again), "--verify"]) == 0
    begun = (again / "journal.jsonl").read_text(encoding="utf-8").splitlines()[1]
    assert "adjust.calibration" in begun
    assert "adjust.toxicity" in begun


def test_the_first_half_of_the_tape_foretells_the_second_better_than_the_settings():
    result = judge("tape=btc_15m", ["tape=btc_15m"])
    assert result.learned_fills > 5
    assert result.fills > 5
    assert result.calibrated_deviance < 0.9 * result.prior_deviance
