"""The first commands of a new user, from an empty directory; and the recorded tapes, by path."""

import json
from pathlib import Path

import pytest
from commands import PLAIN, runs

TAPES = Path(__file__).parents[3] / "shared" / "data" / "tapes"


@pytest.mark.parametrize("more", [(), ("~risk.volatility",)], ids=["as it is", "without the volatility check"])
def test_the_first_command_runs_to_the_end_and_leaves_everything_to_review(pmrun_says, cwd, more):
    said = pmrun_says("strategy=reward_mm", "exchange=paper", *more)
    assert said.code == 0, said
    assert "Traceback" not in said.err
    (directory,) = runs(cwd)
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["complete"]
    assert summary["orders"]["placed"] > 0
    wanted = {"config.yaml", "overrides.yaml", "manifest.json", "journal.jsonl", "run.sqlite", "logs", "report.html"}
    assert wanted <= {path.name for path in directory.iterdir()}


@pytest.mark.skipif(not TAPES.is_dir(), reason="the recorded tapes are not beside this checkout")
@pytest.mark.parametrize(
    "name", sorted(path.name for path in TAPES.iterdir() if path.is_dir()) if TAPES.is_dir() else ["none"]
)
def test_every_recorded_tape_runs_by_its_path(pmrun_says, cwd, name):
    said = pmrun_says(*PLAIN, "feed=tape", f"feed.path={TAPES / name}")
    assert (said.code, said.err) == (0, ""), said
    (directory,) = runs(cwd)
    assert json.loads((directory / "summary.json").read_text())["source"] == str(TAPES / name)
