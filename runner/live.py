"""A run as time passes: against a live feed, on paper, dry or with money."""

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import trio

from pmrun.runner.assembly import Plan
from pmrun.runner.memory import EVERY, Keeping
from pmrun.runner.ports import LiveExchange, LiveExecutor, LiveFeed, LiveSetup, Observer
from pmrun.runner.progress import Progress
from pmrun.runner.review import Review, logging, write_report
from pmrun.runner.session import Bell, Session
from pmrun.runner.stopping import Stop
from pmrun.runner.timings import Timings
from pmrun.runner.units import SECOND, Micros

ANSWERS_WITHIN = 10.0  # seconds that answers and settlements are awaited for at the end


def clock() -> Callable[[], Micros]:
    """Return a clock that tells UTC and never goes back: the wall clock now, and trio's time from here on."""
    offset = time.time() - trio.current_time()
    return lambda: Micros(int((offset + trio.current_time()) * SECOND))


async def run_live(
    plan: Plan,
    directory: Path,
    overrides: list[str],
    progress: Progress,
    stop: Stop,
    timings: Timings,
    begun: Callable[[], None],
    now: Callable[[], Micros] | None = None,
) -> Mapping[str, Any]:
    """Run until a signal or the end that the feed names, by the clock that is given; return the summary.

    Whatever rests is pulled at the end, and the exchange is asked whether it is gone.
    """
    bell, now = Bell(), now or clock()
    feed, executor = cast(LiveFeed, plan.feed), cast(LiveExecutor, plan.executor)
    with stop.ends_the_wait(), logging(plan.log, directory):
        async with AsyncExitStack() as stack:
            progress.say("connecting")
            data = await stack.enter_async_context(feed.connect(now, bell))
            name = f"pmrun-{directory.name}"
            desk = plan.desk(name)
            setup = LiveSetup(
                name=name,
                directory=directory,
                fill=plan.fill,
                depth=plan.depth(desk.hooks),
                everything=not plan.settings.gated,
                now=now,
                bell=bell,
                carried=desk.hooks.carried,
            )
            exchange = await stack.enter_async_context(executor.attach(data, setup))
            remembered = stack.enter_context(plan.remembered(name))
            stop.begin(bell.ring)
            begun()
            with Review(plan, directory, overrides, data.info, desk, timings, logs=False) as review:
                keeping = Keeping(remembered, desk.hooks.learned, EVERY)
                observers: list[Observer] = [review.recording, _Flush(review.journal), keeping]
                session = Session(desk, exchange, observers, now, bell, timings, remembered.values)
                ends = now() + feed.stop_after if feed.stop_after else None

                def over() -> bool:
                    return stop.signal is not None or (ends is not None and now() >= ends)

                began, length = now(), feed.stop_after or None
                await session.run(over, lambda at: progress.update(at - began, length, review.tally))
                progress.say("pulling everything, and asking whether it is gone")
                may_rest = await _end(session, exchange, stop)
                keeping.close()
                review.conclude(data.info, exchange.remarks())
            summary = review.summary(
                data.info, session.now, stopped=stop.name, bracket=None, mode=exchange.mode, may_rest=may_rest
            )
            await write_report(plan, directory, progress)
            return summary
    raise stop.left()


async def _end(session: Session, exchange: LiveExchange, stop: Stop) -> list[str]:
    """Pull everything and have it verified, whatever else is cancelled meanwhile."""
    may_rest: list[str] = []
    with trio.CancelScope(shield=True):
        why = f"stopped by {stop.name}" if stop.signal is not None else "the time was up"
        await session.stop(why, ANSWERS_WITHIN)
        may_rest += await exchange.finish()
    return may_rest


class _Flush:
    """Has every step that wants something on disk, or in the system's hands, before it is carried out (O2)."""

    takes_together = True

    def __init__(self, journal: Any) -> None:
        self._journal = journal

    def record(self, fact: object, intents: object) -> None:
        self._journal.flush()

    def close(self) -> None:
        pass
