"""Sessions that are killed in the middle, as kill -9 does: at any await on the order path, with nothing said after it.

The dying run's clean-up goes on in this process, but reaches nobody: its way to the exchange is shut, and the account's
file that the next run finds is a copy of what was on disk at that moment.
"""

import gc
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from types import AsyncGeneratorType, FrameType
from typing import Any, NamedTuple

import trio
from rehearsal import WALLET, Rehearsal
from verdicts import duplicates

from pmrun.plugins.exchanges.polymarket.exchange import PolymarketExchange
from pmrun.runner.market import Outcome
from pmrun.runner.units import SECOND

# The tasks that carry orders, by the function they run; the run's own task is beside them.
ORDER_PATH = ("Trading._send", "Trading._counted", "Looking.run", "Heart.run", "PolymarketExchange._reconcile")
USER_SOCKET = "UserSocket.run"
OURS = ("/exchanges/polymarket/", "/runner/session.py", "/runner/live.py")
CHECK_AFTER = 14.0  # seconds after the start: what was under way at the kill has arrived and has been seen
Kind = str  # the functions that await one another, outermost first, each with the line it awaits on


def kind_of(task: trio.lowlevel.Task) -> Kind:
    """Say at which await of ours a task stands."""
    return " > ".join(
        f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}:{frame.f_lineno}"
        for frame in _frames(task.coro)
        if any(place in frame.f_code.co_filename for place in OURS)
    )


def _frames(awaited: Any) -> Iterator[FrameType]:
    """Go through what awaits what; through asynchronous generators, which hide behind what they are awaited by."""
    while awaited is not None:
        if type(awaited).__name__ in ("async_generator_asend", "async_generator_athrow", "anext_awaitable"):
            behind = gc.get_referents(awaited)
            awaited = next((each for each in behind if isinstance(each, AsyncGeneratorType)), behind[0])
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


class Wanted(NamedTuple):
    """When to kill: at the n-th step of a kind, or of any kind; or so many seconds after the n-th request has left."""

    name: str
    kind: Kind | None = None
    times: int = 1
    request: str | None = None
    after: float = 0.0


class KillSwitch(trio.abc.Instrument):
    """Watches the steps of the order path, and kills at one of them."""

    def __init__(self) -> None:
        self.seen: Counter[Kind] = Counter()  # by kind, in the present run
        self.steps = 0
        self.killed_at: Kind | None = None
        self._wanted: Wanted | None = None
        self._kill: Callable[[], None] = lambda: None
        self._run: trio.lowlevel.Task | None = None
        self._left = 0

    def watch(self, kill: Callable[[], None], wanted: Wanted | None) -> None:
        """Watch a run that begins in the present task."""
        self.seen, self.steps, self.killed_at = Counter(), 0, None
        self._kill, self._wanted = kill, wanted
        self._run = trio.lowlevel.current_task()
        self._left = 0 if wanted is None or wanted.request is not None else wanted.times

    def unwatch(self) -> None:
        """Watch nothing more."""
        self._run = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count a step, and kill where it is the one."""
        if self._run is None or self.killed_at is not None or not self._on_the_path(task):
            return
        kind = kind_of(task)
        if not kind:
            return
        self.seen[kind] += 1
        self.steps += 1
        if self._wanted is not None and self._left and self._wanted.kind in (None, kind):
            self._left -= 1
            if not self._left:
                self.killed_at = kind
                self._kill()

    def _on_the_path(self, task: trio.lowlevel.Task) -> bool:
        if task is self._run or task.name.endswith(ORDER_PATH):
            return True
        if "KeptSocket" not in task.name and not task.name.endswith(USER_SOCKET):
            return False
        nursery = task.parent_nursery
        while nursery is not None:
            if nursery.parent_task.name.endswith(USER_SOCKET):
                return True
            nursery = nursery.parent_task.parent_nursery
        return task.name.endswith(USER_SOCKET)


class Killing:
    """One exchange, and runs against it that are killed and started again."""

    def __init__(self, run: Rehearsal, seed: int) -> None:
        self.run = run
        self.switch = KillSwitch()
        self.kinds: Counter[Kind] = Counter()  # of kill points that fired
        self.missed: list[Kind] = []  # that were wanted, and did not come
        self.complaints: list[str] = []
        self._random = Random(f"kills {seed}")
        self._checked = 0

    async def until_killed(self, wanted: Wanted | None, seconds: float) -> bool:
        """Run until it is killed, or for so long; say whether it was. What rests is checked on the way."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._check_later)
                if wanted is not None and wanted.request is not None:
                    nursery.start_soon(self._kill_after_request, wanted, scope)
                self.switch.watch(lambda: self._strike(scope), wanted)
                with suppress(Exception) if wanted else nullcontext():  # what a dying run says is not heard
                    await self.run.run(f"feed.stop_after={seconds}")
                self.switch.unwatch()
                nursery.cancel_scope.cancel()
        self.switch.unwatch()
        if self.switch.killed_at is None:
            return False
        self.kinds[self.switch.killed_at] += 1
        return True

    async def _kill_after_request(self, wanted: Wanted, scope: trio.CancelScope) -> None:
        """Kill while a request, or its answer, is on its way."""
        before = self.run.sent[wanted.request or ""]
        while self.run.sent[wanted.request or ""] < before + wanted.times:
            await self.run.request_sent.wait()
        await trio.sleep(wanted.after)
        there = wanted.after < self.run.request_latency / SECOND
        self.switch.killed_at = f"{wanted.request}, {'on its way' if there else 'arrived, or its answer on its way'}"
        self._strike(scope)

    def _strike(self, scope: trio.CancelScope) -> None:
        """Cut the run off as the kernel would: the disk is as it is now, connections break, nothing more is sent."""
        run = self.run
        kept = run.folder / f"state-{run.runs}"
        if run.state.exists():
            shutil.copytree(run.state, kept, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
        run.state = kept
        run.gate.shut()
        if run.exchange is not None:
            run.exchange.finished = True  # it does not come to its clean-up
        scope.cancel()

    # Checks.

    async def _check_later(self) -> None:
        """Once late requests of the run before must have arrived and been seen, look at what rests and is held."""
        await trio.sleep(CHECK_AFTER)
        while True:
            exchange = self.run.exchange
            if exchange is not None and not exchange.trading.busy() and not self._unsettled():
                self._check(exchange)
                self._checked = self.run.runs
                return
            await trio.sleep(0.25)

    def _unsettled(self) -> bool:
        return any(not trade.status.final for trade in self.run.trades())

    def _check(self, exchange: PolymarketExchange) -> None:
        number, life = self.run.runs, exchange.life
        known = {record.order_id for record in life.in_play()}
        for order_id in self.run.resting():
            if order_id not in known:
                self.complaints.append(f"run {number}: {order_id} rests and is not tracked")
        engine, held = self.run.engine, exchange.accounting.expected()
        for market in engine.markets:
            for token in (None, *(market.token(each) for each in Outcome)):
                theirs = engine.balance(WALLET, token)
                if held.get(token, 0) != theirs:
                    self.complaints.append(f"run {number}: of {token or 'cash'} {held.get(token, 0)}, not {theirs}")

    @property
    def checked(self) -> bool:
        """Whether the last run lived long enough to be checked."""
        return self._checked == self.run.runs

    async def rounds(self, wanted: Sequence[Wanted], longest: float, last: float) -> None:
        """Kill again and again, start anew each time after a moment, and end in order."""
        for each in wanted:
            if not await self.until_killed(each, longest):
                self.missed.append(each.name)
            await trio.sleep(self._random.uniform(0.01, 3))
        await self.until_killed(None, last)
        self._at_the_end()

    def _at_the_end(self) -> None:
        if not self.checked:
            self.complaints.append("the last run was not checked")
        self.complaints += duplicates(self.run)
        self.complaints += [f"{order_id} rests at the end" for order_id in self.run.resting()]
        self.complaints += [f"{name}: {pair}" for name, pair in self.run.differences().items()]


def played(killing: Killing, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play rounds on the rehearsal's exchange, watched."""
    killing.run.play(scene, (killing.switch,))
