"""What a run and a sweep do besides their jobs: check all before the first starts, compare all at the end (C5)."""

import csv
import math
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import check_overrides, one_line, plain_config
from pmrun.runner.errors import ConfigError, PmrunError
from pmrun.runner.framing import expand
from pmrun.runner.log import Level, Log
from pmrun.runner.runs import read_json

TABLE = "sweep.csv"
FAILURE = "failure.txt"  # beside what a failed job of a sweep has written: why it failed
STOP = ".stopped"  # in the sweep's directory: no further job starts
DONE = "done"
COLUMNS = {
    "orders": ("orders", "placed"),
    "fills": ("fills", "count"),
    "pnl": ("pnl_usd", "total"),
    "realised": ("pnl_usd", "realised"),
    "rebates_estimated": ("pnl_usd", "rebates"),
    "exposure_max": ("exposure_max_usd",),
    "refusals": ("orders", "refused"),
    "wall_s": ("wall_s",),
    "journal_hash": ("journal_hash",),
}


class Refused(SystemExit):
    """Carries an error through Hydra, which swallows what its callbacks raise."""

    def __init__(self, error: Exception) -> None:
        """Exit with the error's own code."""
        super().__init__(getattr(error, "exit_code", 1))
        self.error = error


@dataclass
class _Sweeping:
    """The sweep that is going on."""

    directory: Path
    jobs: list[list[str]] | None  # None: the sweeper chooses them as it goes
    elsewhere: bool  # jobs run in other processes
    signal: int | None = None


_going_on: list[_Sweeping] = []


class Sweep(Callback):
    """Checks every job by its components' constructors before the first one starts."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the one job, and that it destroys no other's results."""
        with _refusing(list(config.hydra.overrides.task)):
            plan(plain_config(config))
            _refuse_used(config.hydra.run.dir, "hydra.run.dir", ("summary.json", "journal.jsonl", "config.yaml"))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check all jobs of a plain sweep; other sweepers choose their jobs as they go."""
        overrides = list(config.hydra.overrides.task)
        jobs = None
        with _refusing(overrides):
            if "BasicSweeper" in str(config.hydra.sweeper.get("_target_")):
                jobs = expand(overrides)
                for job in jobs:
                    _check_job(config, job)
            _refuse_used(config.hydra.sweep.dir, "hydra.sweep.dir", ("multirun.yaml", TABLE, STOP))
        elsewhere = "BasicLauncher" not in str(config.hydra.launcher.get("_target_"))
        _going_on.append(_Sweeping(Path(str(config.hydra.sweep.dir)).resolve(), jobs, elsewhere))


def _check_job(config: DictConfig, job: list[str]) -> None:
    check_overrides(job)
    with one_line(job):
        plan(plain_config(GlobalHydra.instance().config_loader().load_sweep_config(config, job)))


@contextmanager
def _refusing(overrides: list[str]) -> Iterator[None]:
    try:
        with one_line(overrides):
            yield
    except Exception as error:  # Hydra would make a warning of it and go on
        raise Refused(error) from error


def _refuse_used(where: Any, key: str, signs: tuple[str, ...]) -> None:
    """Refuse a directory that holds results: half of ours in half of theirs would pass for a result."""
    if not str(where):
        raise ConfigError(key, '""', "must name a directory")
    for name in signs:
        if (Path(str(where)) / name).exists():
            raise ConfigError(key, where, f"holds results already ({name}); choose another directory or remove it")


# One job.


def job_of_sweep(config: DictConfig, about: Any, directory: Path, overrides: list[str]) -> float:
    """Run one job; returns its PnL. One that fails says so and leaves the others their turn."""
    from pmrun.runner.run import run_plan

    sweep = Path(str(about.sweep.dir))
    worker = multiprocessing.parent_process() is not None
    if worker:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the sweep, which asks us in its own time
    if (sweep / STOP).exists():
        return math.nan
    try:
        made = _alone(_quiet(plan(plain_config(config)), overrides))
        outcome = run_plan(made, directory, overrides, show=not worker)
    except SystemExit:
        if not worker:
            raise
        return math.nan  # stopped before it started; to leave would look like a crash to the launcher
    except Exception as error:
        _say_failure(error, about.job.num, overrides, directory)
        if "BasicSweeper" not in str(about.sweeper.get("_target_")):
            raise  # a sweeper that searches has to know
        return math.nan
    if outcome.exit_code and not worker:
        raise SystemExit(outcome.exit_code)
    figures = {name: _at(outcome.summary, path) for name, path in COLUMNS.items()}
    counted = f"{figures['orders']} orders, {figures['fills']} fills"
    said = f"{counted}, PnL ${figures['pnl']:+,.2f}, {figures['wall_s']:.1f} s"
    print(f"job {about.job.num}: {said}", file=sys.stderr)
    return float(figures["pnl"])


def _quiet(made: Plan, overrides: list[str]) -> Plan:
    """Say of many jobs only what is wrong, unless asked for more."""
    if not isinstance(made.log, Log) or any(each.lstrip("+").startswith("log") for each in overrides):
        return made
    return made._replace(log=replace(made.log, console=made.log.quieter(Level.WARNING)))


def _alone(made: Plan) -> Plan:
    """Have a job learn from earlier runs, and none of the other jobs from it."""
    return made if made.memory is None else made._replace(memory=made.memory.unkept())


def _say_failure(error: Exception, number: int, overrides: list[str], directory: Path) -> None:
    ours = isinstance(error, PmrunError)
    text = " ".join((str(error) if ours else f"internal error: {type(error).__name__}: {error}").split())
    print(f"pmrun: job {number}: {text}", file=sys.stderr)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "overrides.yaml").write_text(yaml.safe_dump(overrides), encoding="utf-8")
        details = "" if ours else "".join(traceback.format_exception(error))
        (directory / FAILURE).write_text(f"{text}\n{details}", encoding="utf-8")
    except OSError:
        pass  # the disk may be what failed; it was said on the terminal


# Signals.


@contextmanager
def stopping() -> Iterator[None]:
    """End in order when asked to: a run sees to it itself, this is for what lies before, between and around them."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, _asked)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _asked(number: int, frame: FrameType | None) -> None:
    sweeping = _going_on[-1] if _going_on else None
    if sweeping is None or not sweeping.elsewhere:
        print(f"pmrun: stopped {'between jobs' if sweeping else 'before anything started'}", file=sys.stderr)
        raise SystemExit(128 + number)
    workers = multiprocessing.active_children()
    if sweeping.signal is not None:
        for worker in workers:
            worker.kill()
        os._exit(128 + number)  # asked twice: at once
    sweeping.signal = number
    (sweeping.directory / STOP).touch()
    for worker in workers:
        worker.terminate()


# The table over all jobs.


def end_of_sweep() -> bool:
    """Compare the jobs of the sweep that was going on, if one was; returns whether any has no result."""
    if not _going_on:
        return False
    sweeping = _going_on.pop()
    rows = collect(sweeping.directory, sweeping.jobs) if sweeping.directory.is_dir() else []
    if not rows:
        return False
    write_table(sweeping.directory / TABLE, rows)
    show_table(rows, sweeping.directory)
    if sweeping.signal is not None:
        raise SystemExit(128 + sweeping.signal)
    return any(row["status"] != DONE for row in rows)


def collect(directory: Path, planned: list[list[str]] | None = None) -> list[dict[str, Any]]:
    """Read what came of each job: its overrides that differ, how it ended, and the figures of its summary."""
    found = {job: _overrides(directory / job) for job in _jobs(directory)}
    for number, overrides in enumerate(planned or ()):
        found.setdefault(str(number), overrides)
    if planned is not None and len(found) > len(planned):  # directories have names of their own
        found = {job: overrides for job, overrides in found.items() if (directory / job).is_dir()}
    shared = set.intersection(*(set(each) for each in found.values())) if len(found) > 1 else set()
    return [
        _row(directory / job, job, [each for each in overrides if each not in shared])
        for job, overrides in found.items()
    ]


def _jobs(directory: Path) -> list[str]:
    paths = {path.parent for name in ("overrides.yaml", FAILURE) for path in directory.rglob(name)}
    names = [str(path.relative_to(directory)) for path in paths]
    return sorted(names, key=lambda name: (0, int(name), "") if name.isdigit() else (1, 0, name))


def _row(job: Path, name: str, overrides: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"job": int(name) if name.isdigit() else name}
    for override in overrides:
        key, _, value = override.partition("=")
        row[key] = value
    summary: dict[str, Any] = {}
    try:
        summary = read_json(job, "summary.json")
        row["status"] = f"stopped by {summary['stopped']}" if summary.get("stopped") else DONE
    except PmrunError:
        begun = any((job / sign).exists() for sign in (FAILURE, "config.yaml"))
        row["status"] = "failed" if begun else "not started"
    row.update({column: _at(summary, path) for column, path in COLUMNS.items() if summary})
    return row


def _overrides(job: Path) -> list[str]:
    path = job / "overrides.yaml"
    return [str(each) for each in yaml.safe_load(path.read_text(encoding="utf-8"))] if path.is_file() else []


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the comparison as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _names(rows))
        writer.writeheader()
        writer.writerows(rows)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns in order: the job, what was swept, how it ended, the figures."""
    fixed = ("status", *COLUMNS)
    swept = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in ("job", *fixed)]
    return ["job", *swept, *(name for name in fixed if any(name in row for row in rows))]


def show_table(rows: list[dict[str, Any]], directory: Path) -> None:
    """Print the comparison of all jobs."""
    from rich.console import Console
    from rich.table import Table

    plain = not sys.stdout.isatty()
    console = Console(width=10_000 if plain else None)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in _shown(rows, narrow=console.width < 110):
        right = name in COLUMNS
        table.add_column(name if plain else _short(name), justify="right" if right else "left", no_wrap=right)
    for row in rows:
        style = None if row["status"] == DONE else "yellow"
        table.add_row(*(_cell(row.get(name)) for name in _shown(rows, narrow=console.width < 110)), style=style)
    console.print(table)
    console.print(f"table: {directory / TABLE}", soft_wrap=True, highlight=False)


def _shown(rows: list[dict[str, Any]], narrow: bool) -> list[str]:
    """Leave out what tells nothing, and on a narrow terminal what can be read in the table's file."""
    hidden = {"journal_hash"} | ({"realised", "rebates_estimated", "wall_s"} if narrow else set())
    if all(row["status"] == DONE for row in rows):
        hidden.add("status")
    return [name for name in _names(rows) if name not in hidden]


def _short(key: str) -> str:
    """Keep the end of a key: what tells one setting from another."""
    return key.split("@")[-1].rpartition(".")[2].rpartition("/")[2]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
