"""Damaged data and disks that take nothing: one line, and nothing half-written passes for a result."""

import gzip
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from commands import PLAIN, runs, wait_for

from pmrun.runner.cli import run


@pytest.fixture
def tape(short_tape, tmp_path):
    """A tape of one's own to damage."""
    return Path(shutil.copytree(short_tape, tmp_path / "tape"))


def refused(said, code, *parts):
    """Whether a command said one line of ours, with these parts, and ended with this code."""
    lines = said.err.splitlines()
    assert (said.code, len(lines), said.out) == (code, 1, ""), said
    assert lines[0].startswith("pmrun: "), lines
    assert "internal error" not in lines[0], lines
    for part in parts:
        assert part in lines[0], lines
    return lines[0]


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (["+risk.cliff.treshold=0.02"], "risk.cliff.treshold=0.02: unknown setting; known: hysteresis, order, price"),
        (["pricing=nope"], "pricing=nope: no such option; pricing can be: complement, maker_follow, nth_level,"),
        (["~risk.nope"], "~risk.nope: nothing there to drop; risk has: cliff, exposure,"),
        (["pricing=["], "pricing=[: cannot be read as KEY=VALUE;"),
        (["sizing.order_size_multiplier=1,2"], "sizing.order_size_multiplier=1,2: several values: add -m"),
        (["feed.path=/no/such/tape"], "feed.path=/no/such/tape: no such folder"),
        (["hydra.run.dir="], 'hydra.run.dir="": must name a directory'),
        (["--strategy=reward_mm"], "--strategy=reward_mm: unknown option; see pmrun --help; a setting has no dashes"),
        (["--cfg", "everything"], "--cfg/-c: invalid choice: 'everything' (choose from 'job', 'hydra', 'all')"),
        (["--resolve"], "--resolve: goes with --cfg job"),
    ],
)
def test_a_mistake_on_the_command_line_starts_nothing_and_leaves_no_directory(pmrun_says, cwd, mistake, told):
    assert refused(pmrun_says(*PLAIN, *mistake), 2).startswith(f"pmrun: {told}")
    assert list(cwd.iterdir()) == []


def test_a_run_without_a_strategy_is_told_which_there_are(pmrun_says, cwd):
    refused(pmrun_says("exchange=paper"), 2, "strategy: missing; choose one with strategy=…: complement_mm, level_mm,")
    assert list(cwd.iterdir()) == []


@pytest.mark.parametrize("verb", ["replay", "report", "compare"])
def test_a_path_that_is_no_run_directory_is_bad_input(verb, capsys, tmp_path):
    """Exit code 2 as every mistake on the command line, whichever verb it was given to (C4)."""
    more = [str(tmp_path)] if verb == "compare" else []
    for path, said in ((tmp_path / "nowhere", "no such run directory"), (tmp_path, "not a run directory: no config")):
        assert run([verb, str(path), *more]) == 2
        assert f"pmrun: {path}: {said}" in capsys.readouterr().err


def test_a_verb_that_does_not_exist_is_told_to_be_none(pmrun_says):
    refused(pmrun_says("relpay", "somewhere"), 2, "relpay: neither a verb nor an override;")


def damage_line(tape):
    frames = gzip.decompress((tape / "frames.jsonl.gz").read_bytes()).splitlines(keepends=True)
    frames[400] = frames[400][:60] + b"\n"
    (tape / "frames.jsonl.gz").write_bytes(gzip.compress(b"".join(frames)))
    return "401"


def cut_gzip(tape):
    whole = (tape / "frames.jsonl.gz").read_bytes()
    (tape / "frames.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return "frames.jsonl.gz"


def no_gzip(tape):
    (tape / "frames.jsonl.gz").write_bytes(b"not what it says")
    return "frames.jsonl.gz"


def empty_tape(tape):
    (tape / "frames.jsonl.gz").write_bytes(gzip.compress(b""))
    return "holds no frame"


def damage_markets(tape):
    text = (tape / "markets.json").read_text()
    (tape / "markets.json").write_text(text[: len(text) // 2])
    return "markets.json"


def markets_of_another_kind(tape):
    (tape / "markets.json").write_text('{"markets": 3}')
    return "markets.json"


@pytest.mark.parametrize(
    "damage", [damage_line, cut_gzip, no_gzip, empty_tape, damage_markets, markets_of_another_kind]
)
def test_a_damaged_tape_is_told_by_its_name_and_leaves_no_run(pmrun_says, cwd, tape, damage):
    where = damage(tape)
    refused(pmrun_says(*PLAIN, f"feed.path={tape}"), 1, str(tape), where)
    assert runs(cwd) == []


def test_a_file_where_the_results_should_go_is_told(pmrun_says, cwd, short_tape):
    (cwd / "outputs").write_text("in the way")
    refused(pmrun_says(*PLAIN, f"feed.path={short_tape}"), 1, "cannot write the run", "outputs")
    assert runs(cwd) == []


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes everywhere")
def test_a_directory_that_may_not_be_written_is_told(pmrun_says, cwd, short_tape):
    cwd.chmod(0o555)
    drop = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--reuid=65534", "--regid=65534")
    prefix = ("setpriv", *drop, "--clear-groups") if os.geteuid() == 0 else ()
    for place in [cwd, *cwd.parents][1:]:
        if os.geteuid() == 0 and place.stat().st_uid == 0 and "pytest-of" in str(place):
            place.chmod(0o755)  # another user has to get there
    for part in [short_tape, short_tape.parent]:
        part.chmod(0o755)
    try:
        said = pmrun_says(*PLAIN, f"feed.path={short_tape}", env={"HOME": "/nonexistent"}, prefix=prefix)
        if "pmrun" in said.err and "Permission denied" not in said.err and said.code == 127:
            pytest.skip("another user cannot even start this installation")
        refused(said, 1, "cannot write the run", "Permission denied")
    finally:
        cwd.chmod(0o755)
    assert list(cwd.iterdir()) == []


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 80 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("store", ["none", "sqlite"])
def test_a_full_disk_ends_the_run_with_one_line_and_leaves_no_result(pmrun_says, tiny_disk, tape, store):
    directory = tiny_disk / "run"
    more = [f"feed.path={tape}", "~risk.volatility", "log.file=TRACE", f"store={store}", f"hydra.run.dir={directory}"]
    refused(pmrun_says(*PLAIN, *more), 1, str(directory))
    assert not (directory / "summary.json").exists()
    said = pmrun_says("replay", str(directory))
    assert "cut off" in said.out + said.err
    refused(pmrun_says("compare", str(directory), str(directory)), 1, "not a finished run")


def test_a_run_that_was_killed_leaves_nothing_that_passes_for_a_result(pmrun_says, started, cwd, long_tape):
    process = started(*PLAIN, "~risk.volatility", f"feed.path={long_tape}")
    wait_for(lambda: runs(cwd) and (runs(cwd)[0] / "journal.jsonl").exists(), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (directory,) = runs(cwd)
    said = pmrun_says("replay", str(directory), "--verify")
    assert "the run was cut off" in said.out + said.err
    refused(pmrun_says("compare", str(directory), str(directory)), 1, "not a finished run: summary.json is missing")
    refused(pmrun_says("report", str(directory)), 1, "not a finished run: summary.json is missing")


def test_a_second_run_does_not_overwrite_the_first(pmrun_says, cwd, short_tape):
    arguments = [*PLAIN, f"feed.path={short_tape}", "hydra.run.dir=mine"]
    assert pmrun_says(*arguments).code == 0
    before = {path: path.read_bytes() for path in (cwd / "mine").rglob("*") if path.is_file()}
    refused(pmrun_says(*arguments), 2, "hydra.run.dir=mine: holds results already (summary.json); choose another")
    assert {path: path.read_bytes() for path in (cwd / "mine").rglob("*") if path.is_file()} == before
