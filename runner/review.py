"""What a run leaves to be reviewed: the files of its directory, written as it goes and at its end."""

import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import trio
import yaml  # type: ignore[import-untyped]

from pmrun.runner.assembly import Plan
from pmrun.runner.covers import Covers
from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, each
from pmrun.runner.funnel import Funnel
from pmrun.runner.halts_said import halts_of
from pmrun.runner.intents import Intent
from pmrun.runner.journal import journal_hash
from pmrun.runner.journal_writer import JournalWriter
from pmrun.runner.log import LogObserver, say_substitutions, say_timings, say_unexplained
from pmrun.runner.manifest import manifest
from pmrun.runner.pnl import Pnl
from pmrun.runner.ports import FeedInfo, Observer
from pmrun.runner.progress import Progress
from pmrun.runner.summary import Tally, iso, summarise
from pmrun.runner.timings import Timings
from pmrun.runner.units import Micros


class _Recording:
    """All observers as one; who cannot take several facts at once gets them one by one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._whole = [each for each in observers if getattr(each, "takes_together", False)]
        self._single = [each for each in observers if each not in self._whole]

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        for observer in self._whole:
            observer.record(fact, intents)
        if self._single:
            *first, last = each(fact)
            for observer in self._single:
                for one in first:
                    observer.record(one, ())
                observer.record(last, intents)

    def close(self) -> None:
        for observer in self._observers:
            observer.close()


class _Timed:
    """An observer with a stopwatch."""

    def __init__(self, observer: Observer, timings: Timings, name: str) -> None:
        self.takes_together = getattr(observer, "takes_together", False)
        self.record = timings.wrap(name, observer.record)
        self.close = observer.close


class Review:
    """Opens everything that watches a run, and writes what is to be read of it afterwards."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        overrides: list[str],
        info: FeedInfo,
        desk: Desk,
        timings: Timings,
        logs: bool = True,
    ) -> None:
        """Write the settings and the manifest; what watches is opened on entering, the logs unless they are open."""
        self._plan = plan
        self._directory = directory
        self._desk = desk
        self._logs = logs
        self._timings = timings
        self._wall = time.perf_counter()
        self._started = datetime.now(UTC)
        self._closing = ExitStack()
        self._remarks: list[str] = []
        self.tally = Tally()
        self._pnl = Pnl(desk)
        write_text(directory / "config.yaml", yaml.safe_dump(plan.config, sort_keys=False, allow_unicode=True))
        write_text(directory / "overrides.yaml", yaml.safe_dump(overrides, allow_unicode=True))
        write_json(directory / "manifest.json", manifest(plan.config, overrides, info, desk.hooks.order))

    def __enter__(self) -> Self:
        """Start the logs, the journal, the store, and what estimates rewards."""
        plan, timings = self._plan, self._timings
        with ExitStack() as closing:
            if self._logs:
                closing.enter_context(logging(plan.log, self._directory))
            say_substitutions(plan.substitutions, getattr(plan.executor, "armed", False))
            self.journal = JournalWriter(self._directory, plan.config)
            self._funnel = Funnel(self._desk.hooks.order, plan.components)
            journal = _Timed(self.journal, timings, "journal")
            observers: list[Observer] = [self.tally, self._pnl, self._funnel, journal, LogObserver(plan.log)]
            self._covers = Covers() if self._desk.hooks.hedges_events else None
            observers += [] if self._covers is None else [self._covers]
            self._rewards = None if plan.rewards is None else plan.rewards.open(self._desk, plan.seed)
            if self._rewards is not None:
                observers.append(_Timed(self._rewards, timings, "rewards"))
            self._store = None if plan.store is None else plan.store.open(self._directory, self._desk)
            if self._store is not None:
                observers.append(_Timed(self._store, timings, "store"))
            self.recording = _Recording(observers)
            closing.callback(self.recording.close)
            closing.enter_context(rare_collections())
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything that is still open."""
        self._closing.close()

    def conclude(self, info: FeedInfo, remarks: Sequence[str]) -> None:
        """Write what is known only at the end into the store, and close what watched."""
        self._remarks = [*info.remarks, *map(str, self._plan.substitutions), *remarks]
        found = self._pnl.result()
        if not found.closes:
            say_unexplained(found.complaints)
            self._remarks.append("the PnL does not close: see pnl_usd.complaints in summary.json")
        measured = self._timings.measured()
        if self._store is not None:
            self._store.describe({"feed": msgspec.to_builtins(info)}, self._remarks)
            if self._rewards is not None:
                self._store.rewards(self._rewards.rows())
            self._store.calibration(self._desk.hooks.calibrated())
            self._store.timings(measured)
        if self._plan.timings:
            say_timings(measured)
        self._closing.pop_all().close()

    def summary(self, info: FeedInfo, now: Micros, **more: Any) -> Mapping[str, Any]:
        """Write and return what came of the run."""
        rewards = self._rewards
        summary = summarise(
            self._desk,
            self.tally,
            self._pnl.result(),
            info,
            markets=self._funnel.summary(),
            strategy=self._plan.config.get("strategy"),
            exchange=self._plan.config.get("exchange"),
            feed=info.name,
            source=info.source,
            seed=self._plan.seed,
            started_at=_moment(self._started),
            ended_at=_moment(datetime.now(UTC)),
            market_time={"from": iso(info.first_at), "to": iso(now)},
            wall_s=round(time.perf_counter() - self._wall, 3),
            journal_hash=journal_hash(self._directory),
            remarks=self._remarks,
            rewards=None if rewards is None else rewards.estimate(),
            covers=None if self._covers is None else self._covers.summary(),
            halts=halts_of(self._desk.halts.all(now), {no: each.terms.slug for no, each in self._desk.markets.items()}),
            timings=self._timings.summary(),
            **more,
        )
        write_json(self._directory / "summary.json", summary)
        return summary


async def write_report(plan: Plan, directory: Path, progress: Progress) -> None:
    """Write the report of a run whose summary is written."""
    if plan.report is not None:
        progress.say("writing the report")
        await trio.to_thread.run_sync(plan.report.write, directory)


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage cycles rarely: a run makes millions of records and no cycles; looking costs a sixth of it."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


@contextmanager
def logging(log: Any, directory: Path) -> Iterator[None]:
    """Keep what is said below a run's directory, and show it."""
    log.start(directory)
    try:
        yield
    finally:
        log.stop()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
