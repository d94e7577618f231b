"""Sweeps: everything is checked first, one directory a job, one table over all jobs (C5)."""

import csv
import json
import os
import signal
import subprocess
import time

import pytest
from commands import PLAIN, runs, wait_for

JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
LAUNCHERS = pytest.mark.parametrize("launcher", [(), JOBLIB], ids=["basic", "joblib"])


def table(cwd):
    (file,) = cwd.rglob("sweep.csv")
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def hash_of(directory):
    return json.loads((directory / "summary.json").read_text())["journal_hash"]


@LAUNCHERS
def test_a_sweep_over_a_setting_has_a_directory_a_job_and_a_table_over_all(pmrun_says, cwd, short_tape, launcher):
    tape = f"feed.path={short_tape}"
    said = pmrun_says("-m", *PLAIN, tape, *launcher, "sizing.order_size_multiplier=1,2,3")
    assert said.code == 0, said
    rows = table(cwd)
    assert [(row["job"], row["sizing.order_size_multiplier"], row["status"]) for row in rows] == [
        ("0", "1", "done"), ("1", "2", "done"), ("2", "3", "done"),
    ]  # fmt: skip
    directories = runs(cwd)
    assert [path.name for path in directories] == ["0", "1", "2"]
    assert [hash_of(path) for path in directories] == [row["journal_hash"] for row in rows]
    assert len({row["journal_hash"] for row in rows}) == 3
    assert said.out.splitlines()[0].split()[:2] == ["job", "sizing.order_size_multiplier"]
    assert len(said.out.splitlines()) == 5
    assert said.out.splitlines()[-1] == f"table: {directories[0].parent / 'sweep.csv'}"
    assert [line.split(":")[0] for line in sorted(said.err.splitlines())] == ["job 0", "job 1", "job 2"]
    alone = pmrun_says(*PLAIN, tape, "sizing.order_size_multiplier=2", "hydra.run.dir=alone")
    assert alone.code == 0, alone
    assert hash_of(cwd / "alone") == rows[1]["journal_hash"]


def test_a_sweep_over_parts_and_settings_runs_every_pair(pmrun_says, cwd, short_tape):
    swept = ("pricing=reward_band,maker_follow", "risk.cliff.price_cliff_threshold=0.02,0.05")
    said = pmrun_says("-m", *PLAIN, f"feed.path={short_tape}", *swept)
    assert said.code == 0, said
    pairs = [(row["pricing"], row["risk.cliff.price_cliff_threshold"]) for row in table(cwd)]
    assert pairs == [(rule, limit) for rule in ("reward_band", "maker_follow") for limit in ("0.02", "0.05")]


def test_a_sweep_over_strategies_may_change_their_parts_too(pmrun_says, cwd, short_tape):
    parts = ("~risk.volatility", "pricing=maker_follow", "risk.cliff.price_cliff_threshold=0.02")
    said = pmrun_says("-m", *PLAIN[1:], f"feed.path={short_tape}", "strategy=reward_mm,reward_mm_small", *parts)
    assert said.code == 0, said
    assert [row["strategy"] for row in table(cwd)] == ["reward_mm", "reward_mm_small"]
    alone = pmrun_says(*PLAIN[1:], f"feed.path={short_tape}", "strategy=reward_mm_small", *parts, "hydra.run.dir=one")
    assert alone.code == 0, alone
    assert hash_of(cwd / "one") == table(cwd)[1]["journal_hash"]


@pytest.mark.parametrize(
    ("swept", "told"),
    [
        ("sizing.order_size_multiplier=1,2,x", "sizing.order_size_multiplier=x: must be a number"),
        ("pricing=reward_band,maker_follow,nope", "pricing=nope: no such option; pricing can be: complement, maker_f"),
        ("sizing.nope=1,2", "sizing.nope=1: unknown setting; known: order_size_multiplier"),
        ("risk.cliff=null,null", "risk.cliff=null: use ~risk.cliff to drop it"),
        ("~risk.nope seed=1,2", "~risk.nope: nothing there to drop; risk has: cliff, exposure, hedge_protection,"),
        ("feed.path=/no/such/tape,/nor/this", "feed.path=/no/such/tape: no such folder"),
    ],
)
def test_a_mistake_in_the_last_job_is_told_before_the_first_starts(pmrun_says, cwd, swept, told):
    said = pmrun_says("-m", *PLAIN, *JOBLIB, *swept.split())
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert line.startswith(f"pmrun: {told}")
    assert list(cwd.iterdir()) == []


def test_a_sweep_without_a_strategy_is_told_which_there_are(pmrun_says, cwd):
    said = pmrun_says("-m", "seed=1,2")
    assert (said.code, said.err.startswith("pmrun: strategy: missing; choose one"), said.out) == (2, True, "")
    assert len(said.err.splitlines()) == 1
    assert list(cwd.iterdir()) == []


@LAUNCHERS
def test_a_job_that_fails_is_marked_and_the_others_still_run(pmrun_says, cwd, short_tape, tmp_path, launcher):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "markets.json").write_bytes((short_tape / "markets.json").read_bytes())
    (damaged / "frames.jsonl.gz").write_bytes((short_tape / "frames.jsonl.gz").read_bytes()[:5000])
    said = pmrun_says("-m", *PLAIN, *launcher, f"feed.path={short_tape},{damaged},{short_tape}")
    assert said.code == 1, said
    assert [row["status"] for row in table(cwd)] == ["done", "failed", "done"]
    others = [line for line in said.err.splitlines() if not line.startswith("job ")]
    assert len(others) == 1, others
    (line,) = others
    assert line.startswith(f"pmrun: job 1: {damaged}")
    (reason,) = cwd.rglob("failure.txt")
    assert reason.read_text().startswith(str(damaged))
    assert "Traceback" not in reason.read_text()
    assert "failed" in said.out


@pytest.mark.parametrize(
    ("launcher", "number"),
    [((), signal.SIGINT), (JOBLIB, signal.SIGTERM), (JOBLIB, signal.SIGINT)],
    ids=["basic, Ctrl-C", "joblib, SIGTERM", "joblib, Ctrl-C"],
)
def test_a_signal_ends_the_jobs_that_run_and_starts_no_other(started, cwd, long_tape, launcher, number):
    arguments = (*PLAIN, "~risk.volatility", f"feed.path={long_tape}", *launcher, "seed=1,2,3,4,5")
    process = started("-m", *arguments)
    wait_for(lambda: list(cwd.rglob("journal.jsonl")), process)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: everybody hears it
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, (out, err)
    states = [row["status"] for row in table(cwd)]
    assert states[-2:] == ["not started", "not started"]
    assert any(state.startswith("stopped by SIG") for state in states)
    assert set(states) <= {"not started", "stopped by SIGINT", "stopped by SIGTERM"}
    assert "Traceback" not in err
    until = time.monotonic() + 20
    while alive(process.pid):
        assert time.monotonic() < until, "processes were left behind"
        time.sleep(0.01)


def alive(group):
    """Return the processes of a group that still run."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.split()[0] == str(group) and line.split()[1][0] != "Z"]


def test_a_sweep_does_not_mix_with_an_earlier_one(pmrun_says, cwd, short_tape):
    arguments = ("-m", *PLAIN, f"feed.path={short_tape}", "seed=1,2", "hydra.sweep.dir=mine")
    assert pmrun_says(*arguments).code == 0
    said = pmrun_says(*arguments)
    assert said.code == 2
    assert said.err.startswith("pmrun: hydra.sweep.dir=mine: holds results already")


def test_jobs_may_have_directories_named_after_what_was_swept(pmrun_says, cwd, short_tape):
    said = pmrun_says(
        "-m", *PLAIN, f"feed.path={short_tape}", "seed=1,2", "hydra.sweep.dir=mine", "hydra.sweep.subdir=seed-${seed}"
    )
    assert said.code == 0, said
    assert [(row["job"], row["seed"]) for row in table(cwd)] == [("seed-1", "1"), ("seed-2", "2")]
