"""One run: from a plan to a run directory that can be reviewed."""

import gc
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec
import trio
import yaml  # type: ignore[import-untyped]

from pmrun.runner.assembly import Plan
from pmrun.runner.bracket import bracket
from pmrun.runner.desk import Desk
from pmrun.runner.errors import DataError, PmrunError
from pmrun.runner.facts import Fact, each
from pmrun.runner.funnel import Funnel
from pmrun.runner.intents import Intent
from pmrun.runner.journal import JournalWriter, journal_hash
from pmrun.runner.log import LogObserver, say_timings
from pmrun.runner.manifest import manifest
from pmrun.runner.ports import Feed, FeedData, Observer
from pmrun.runner.progress import Progress
from pmrun.runner.simulate import Simulation
from pmrun.runner.summary import Tally, iso, summarise
from pmrun.runner.timings import Timings

T = TypeVar("T")
ORDER_NAME = "pmrun"  # starts every client order id of a paper run: the same run has the same ids


class Outcome(NamedTuple):
    """How a run ended."""

    summary: dict[str, Any]
    directory: Path
    signal: int | None

    @property
    def exit_code(self) -> int:
        """0 done, 130 and 143 stopped by a signal with nothing resting."""
        return 128 + self.signal if self.signal else 0


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


def run_plan(plan: Plan, directory: Path, overrides: list[str], show: bool = True) -> Outcome:
    """Run a plan to its end, or to a signal; raises PmrunError, and leaves nothing that passes for a result.

    A run that never started leaves no directory behind.
    """
    fresh = not directory.exists() or not any(directory.iterdir())
    started = False

    def begun() -> None:
        nonlocal started
        started = True

    try:
        directory.mkdir(parents=True, exist_ok=True)
        return trio.run(_run, plan, directory, overrides, show, begun)
    except OSError as error:
        raise _unwritten(error, directory) from error
    except BaseExceptionGroup as group:
        reason = _single(group)
        raise (_unwritten(reason, directory) if isinstance(reason, OSError) else reason) from None
    finally:
        if fresh and not started:
            shutil.rmtree(directory, ignore_errors=True)


def _single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one reason behind a nursery's group; the first of ours where there are several."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, PmrunError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _unwritten(error: OSError, directory: Path) -> PmrunError:
    where = f" ({error.filename})" if error.filename and error.filename != str(directory) else ""
    return PmrunError(f"cannot write the run to {directory}: {error.strerror or error}{where}")


class _Stop:
    """Whether, and by which signal, the run was asked to stop.

    Not a task: a simulation lets other tasks have a turn now and then only, and a second signal must not wait for one.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: trio.CancelScope | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that ask to stop; from within trio."""
        token = trio.lowlevel.current_trio_token()

        def asked(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                _at_once(number)
            self.signal = number
            token.run_sync_soon(self._give_up)

        # What is ignored stays ignored: nohup does so, and the workers of a sweep, which asks them itself.
        heard = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, asked) for each in heard}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _give_up(self) -> None:
        if self._before is not None:
            self._before.cancel()

    async def unless(self, prepare: Callable[[], T]) -> T:
        """Do what comes before the start in a thread; a signal ends the waiting for it."""
        with trio.CancelScope() as self._before:
            return await trio.to_thread.run_sync(prepare, abandon_on_cancel=True)
        assert self.signal is not None, "only a signal cancels"
        print("pmrun: stopped before anything started", file=sys.stderr)
        raise SystemExit(128 + self.signal)

    def begin(self) -> None:
        """From here on a signal ends the run in order."""
        self._before = None


def _at_once(number: int) -> NoReturn:
    """End at the second signal, whatever is going on; only the terminal gets its cursor back."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")
    os._exit(128 + number)


async def _run(plan: Plan, directory: Path, overrides: list[str], show: bool, begun: Any) -> Outcome:
    stop = _Stop()
    with stop.listening(), Progress(show) as progress:
        progress.say("reading the feed")
        timings = Timings(plan.timings)
        data = await stop.unless(timings.wrap("open the feed", partial(open_feed, plan.feed)))
        progress.say("preparing the exchange (compiled on a machine's first run: half a minute)")
        desk = plan.desk(ORDER_NAME)
        exchange = await stop.unless(
            lambda: plan.executor.open(data, plan.fill, plan.depth(desk.hooks), not plan.settings.gated)
        )
        stop.begin()
        begun()
        return await _simulate(plan, directory, overrides, data, desk, exchange, progress, stop, timings)


def open_feed(feed: Feed) -> FeedData:
    """Read and check a feed; raises DataError, also for what the operating system refuses."""
    try:
        return feed.open()
    except OSError as error:
        raise DataError(f"{error.filename or 'the feed'}: cannot be read: {error.strerror or error}") from None


async def _simulate(
    plan: Plan,
    directory: Path,
    overrides: list[str],
    data: FeedData,
    desk: Desk,
    exchange: Any,
    progress: Progress,
    stop: _Stop,
    timings: Timings,
) -> Outcome:
    wall = time.perf_counter()
    at = datetime.now(UTC)
    _write_text(directory / "config.yaml", yaml.safe_dump(plan.config, sort_keys=False, allow_unicode=True))
    _write_text(directory / "overrides.yaml", yaml.safe_dump(overrides, allow_unicode=True))
    _write_json(directory / "manifest.json", manifest(plan.config, overrides, data.info, desk.hooks.order))
    tally = Tally()
    with ExitStack() as closing:
        closing.enter_context(_logging(plan.log, directory))
        journal = _Timed(JournalWriter(directory, plan.config), timings, "journal")
        funnel = Funnel(desk.hooks.order, plan.components)
        observers: list[Observer] = [tally, funnel, journal, LogObserver(plan.log)]
        rewards = None if plan.rewards is None else plan.rewards.open(desk, plan.seed)
        if rewards is not None:
            observers.append(_Timed(rewards, timings, "rewards"))
        store = None if plan.store is None else plan.store.open(directory, desk)
        if store is not None:
            observers.append(_Timed(store, timings, "store"))
        recording = _Recording(observers)
        closing.callback(recording.close)
        simulation = Simulation(desk, exchange, [recording], "the feed ended", timings)
        closing.enter_context(rare_collections())
        for now in simulation.run():
            progress.update(now - data.info.first_at, data.info.last_at - data.info.first_at, tally)
            await trio.lowlevel.checkpoint()
            if stop.signal is not None:
                simulation.stop(f"stopped by {signal.Signals(stop.signal).name}")
                break
        remarks = [*data.info.remarks, *exchange.remarks()]
        if store is not None:
            store.describe({"feed": msgspec.to_builtins(data.info)}, remarks)
            if rewards is not None:
                store.rewards(rewards.rows())
            store.timings(timings.measured())
        if plan.timings:
            say_timings(timings.measured())
        closing.pop_all().close()
    bracketed = None
    if plan.bracket and stop.signal is None:
        progress.say("running again under each form of the fill model")
        bracketed = await trio.to_thread.run_sync(partial(bracket, plan, data, ORDER_NAME))
    summary = summarise(
        desk,
        tally,
        data.info,
        markets=funnel.summary(),
        strategy=plan.config.get("strategy"),
        exchange=plan.config.get("exchange"),
        feed=data.info.name,
        source=data.info.source,
        seed=plan.seed,
        started_at=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        ended_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        market_time={"from": iso(data.info.first_at), "to": iso(simulation.now)},
        wall_s=round(time.perf_counter() - wall, 3),
        stopped=None if stop.signal is None else signal.Signals(stop.signal).name,
        journal_hash=journal_hash(directory),
        remarks=remarks,
        rewards=None if rewards is None else rewards.estimate(),
        timings=timings.summary(),
        bracket=bracketed,
    )
    _write_json(directory / "summary.json", summary)
    if plan.report is not None:
        progress.say("writing the report")
        await trio.to_thread.run_sync(plan.report.write, directory)
    return Outcome(summary, directory, stop.signal)


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
def _logging(log: Any, directory: Path) -> Iterator[None]:
    log.start(directory)
    try:
        yield
    finally:
        log.stop()


def _write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_json(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
