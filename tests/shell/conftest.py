"""Runs the `pmrun` command as a user does, in an empty directory."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # importlib mode does not look beside the tests by itself

from commands import COMMAND, SHIPPED, Said


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """An empty directory to be in."""
    place = tmp_path / "empty"
    place.mkdir()
    return place


@pytest.fixture
def pmrun_says(cwd: Path) -> Callable[..., Said]:
    """Run a command to its end."""

    def run(*arguments: str, env: dict[str, str] | None = None, prefix: tuple[str, ...] = ()) -> Said:
        done = subprocess.run(
            [*prefix, COMMAND, *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **(env or {})},
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def started(cwd: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command and leave it running; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [COMMAND, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def short_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first minutes of the shipped tape: enough to trade on, and quick."""
    folder = tmp_path_factory.mktemp("tapes") / "short"
    folder.mkdir()
    (folder / "markets.json").write_bytes((SHIPPED / "markets.json").read_bytes())
    with gzip.open(SHIPPED / "frames.jsonl.gz", "rt") as whole, gzip.open(folder / "frames.jsonl.gz", "wt") as cut:
        for _, line in zip(range(600), whole, strict=False):
            cut.write(line)
    return folder


@pytest.fixture(scope="session")
def long_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped tape's beginning over and over, so that a run lasts until it is stopped."""
    folder = tmp_path_factory.mktemp("tapes") / "long"
    folder.mkdir()
    markets = json.loads((SHIPPED / "markets.json").read_bytes())
    for market in markets:
        market.pop("endDate", None)
        market.pop("_settlement", None)
    (folder / "markets.json").write_text(json.dumps(markets))
    with gzip.open(SHIPPED / "frames.jsonl.gz", "rt") as whole:
        frames = [json.loads(line) for _, line in zip(range(600), whole, strict=False)]
    lasts = frames[-1]["t"] - frames[0]["t"] + 1000
    with gzip.open(folder / "frames.jsonl.gz", "wt", compresslevel=1) as file:
        for turn in range(20):
            for frame in frames:
                at = frame["t"] + turn * lasts
                file.write(json.dumps({"t": at, "m": {**frame["m"], "timestamp": str(at)}}) + "\n")
    return folder
