"""One run: from a plan to a run directory that can be reviewed."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio

from pmrun.runner.assembly import Plan
from pmrun.runner.bracket import bracket
from pmrun.runner.desk import Desk
from pmrun.runner.errors import DataError, PmrunError
from pmrun.runner.memory import Keeping
from pmrun.runner.ports import Feed, FeedData
from pmrun.runner.progress import Progress
from pmrun.runner.review import Review, write_report
from pmrun.runner.simulate import Simulation
from pmrun.runner.stopping import Stop
from pmrun.runner.timings import Timings

DAY = re.compile(r"\d{4}-\d\d-\d\d")  # the folder of a day's runs
ORDER_NAME = "pmrun"  # starts every client order id of a paper run: the same run has the same ids


class Outcome(NamedTuple):
    """How a run ended."""

    summary: Mapping[str, Any]
    directory: Path
    signal: int | None

    @property
    def exit_code(self) -> int:
        """0 done, 1 the PnL does not close, 4 something may still rest, 130 and 143 stopped by a signal."""
        if self.summary["may_rest"]:
            return 4
        if not self.summary["pnl_usd"]["closes"]:
            return 1
        return 128 + self.signal if self.signal else 0


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
            if DAY.fullmatch(directory.parent.name):
                with suppress(OSError):  # others' runs may be in it
                    directory.parent.rmdir()


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


async def _run(plan: Plan, directory: Path, overrides: list[str], show: bool, begun: Any) -> Outcome:
    stop = Stop()
    with stop.listening(), Progress(show) as progress:
        timings = Timings(plan.timings)
        if hasattr(plan.feed, "connect"):
            from pmrun.runner.live import run_live

            summary = await run_live(plan, directory, overrides, progress, stop, timings, begun)
            return Outcome(summary, directory, stop.signal)
        progress.say("reading the feed")
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
    stop: Stop,
    timings: Timings,
) -> Outcome:
    with (
        plan.remembered(f"{ORDER_NAME}-{directory.name}") as remembered,
        Review(plan, directory, overrides, data.info, desk, timings) as review,
    ):
        known = remembered.values
        simulation = Simulation(desk, exchange, [review.recording], "the feed ended", timings, known)
        for now in simulation.run():
            progress.update(now - data.info.first_at, data.info.last_at - data.info.first_at, review.tally)
            await trio.lowlevel.checkpoint()
            if stop.signal is not None:
                simulation.stop(f"stopped by {stop.name}")
                break
        Keeping(remembered, desk.hooks.learned, None).close()
        review.conclude(data.info, exchange.remarks())
    bracketed = None
    if plan.bracket and stop.signal is None:
        progress.say("running again under each form of the fill model")
        bracketed = await trio.to_thread.run_sync(partial(bracket, plan, data, ORDER_NAME, known))
    summary = review.summary(data.info, simulation.now, stopped=stop.name, bracket=bracketed, mode="paper", may_rest=[])
    await write_report(plan, directory, progress)
    return Outcome(summary, directory, stop.signal)
