"""Sessions that are killed in the middle, as kill -9 does: at any await on the order path, with nothing said after it.

The dying run's clean-up goes on in this process, but reaches nobody: its way to the exchange is shut, and the account's
file that the next run finds is a copy of what was on disk at that moment.
"""

import ast
import gc
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from types import AsyncGeneratorType, FrameType, ModuleType
from typing import Any, NamedTuple

import trio
from rehearsal import WALLET, Rehearsal
from verdicts import duplicates

from pmrun.plugins.exchanges.polymarket.exchange import PolymarketExchange
from pmrun.runner.errors import PmrunError
from pmrun.runner.market import Outcome
from pmrun.runner.units import SECOND

# The tasks that carry orders, by the function they run; the run's own task is beside them.
ORDER_PATH = (
    "Trading._send",
    "Trading._counted",
    "Looking.run",
    "Heart.run",
    "PolymarketExchange._reconcile",
    "_holdings.<locals>.ask",
)
USER_SOCKET = "UserSocket.run"
OURS = ("/exchanges/polymarket/", "/runner/session.py", "/runner/live.py")
CHECK_AFTER = 14.0  # seconds after the start: what was under way at the kill has arrived and has been seen
Beside = Callable[[], Awaitable[None]]  # what happens besides, counted from the start of a run
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

    kind: Kind | None = None
    times: int = 1
    request: str | None = None
    after: float = 0.0
    checked: bool = False  # not before the run has lived long enough to be checked


class KillSwitch(trio.abc.Instrument):
    """Watches the steps of the order path, and kills at one of them."""

    def __init__(self) -> None:
        self.seen: Counter[Kind] = Counter()  # by kind, in the present run
        self.ever: Counter[Kind] = Counter()  # in all runs, in the order in which they came first
        self.steps = 0
        self.killed_at: Kind | None = None
        self._wanted: Wanted | None = None
        self._kill: Callable[[], None] = lambda: None
        self._run: trio.lowlevel.Task | None = None
        self._left = 0
        self.checked = False  # whether the run has been

    def watch(self, kill: Callable[[], None], wanted: Wanted | None) -> None:
        """Watch a run that begins in the present task."""
        self.seen, self.steps, self.killed_at, self.checked = Counter(), 0, None, False
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
        self.ever[kind] += 1
        self.steps += 1
        wanted = self._wanted
        if wanted is not None and self._left and wanted.kind in (None, kind) and self.checked >= wanted.checked:
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

    def __init__(self, run: Rehearsal) -> None:
        self.run = run
        self.switch = KillSwitch()
        self.kinds: Counter[Kind] = Counter()  # of kill points that fired
        self.missed: list[Wanted] = []  # that did not come
        self.complaints: list[str] = []
        self.checks = 0
        self.refused_starts = 0
        self._random = Random(f"kills {run.seed}")

    async def until_killed(self, wanted: Wanted | None, seconds: float, beside: Beside | None = None) -> bool:
        """Run until it is killed, or for so long; say whether it was. What rests is checked on the way."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._check_later)
                if beside is not None:
                    nursery.start_soon(beside)
                if wanted is not None and wanted.request is not None:
                    nursery.start_soon(self._kill_after_request, wanted, scope)
                self.switch.watch(lambda: self._strike(scope), wanted)
                await self._run(seconds, wanted is None)
                nursery.cancel_scope.cancel()
        self.switch.unwatch()
        if self.switch.killed_at is None:
            return False
        self.kinds[self.switch.killed_at] += 1
        return True

    async def _run(self, seconds: float, to_the_end: bool) -> None:
        try:
            await self.run.run(f"feed.stop_after={seconds}")
        except* PmrunError:
            if self.switch.killed_at is None:  # what a dying run says is not heard
                self.refused_starts += 1  # the exchange was down; whoever keeps the service starts it again
                if to_the_end:
                    raise
        finally:
            self.switch.unwatch()

    async def _kill_after_request(self, wanted: Wanted, scope: trio.CancelScope) -> None:
        """Kill while a request, or its answer, is on its way."""
        while wanted.checked and not self.switch.checked:
            await trio.sleep(0.5)
        before = self._sent(wanted)
        while self._sent(wanted) < before + wanted.times:
            await self.run.request_sent.wait()
        await trio.sleep(wanted.after)
        there = wanted.after < self.run.request_latency / SECOND
        self.switch.killed_at = f"{wanted.request} {'on its way' if there else 'has arrived'}"
        self._strike(scope)

    def _sent(self, wanted: Wanted) -> int:
        assert wanted.request is not None
        return sum(times for name, times in self.run.sent.items() if name.startswith(wanted.request))

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
                self.switch.checked = True
                self.checks += 1
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
                    said = f"of {token or 'cash'} {held.get(token, 0)}, the exchange has {theirs}"
                    self.complaints.append(f"run {number}: {said}")

    async def rounds(self, wanted: Sequence[Wanted], longest: float, last: float) -> None:
        """Kill again and again, start anew each time after a moment, and end in order."""
        for each in wanted:
            if not await self.until_killed(each, longest):
                self.missed.append(each)
            await trio.sleep(self._random.uniform(0.01, 3))
        await self.until_killed(None, last)
        self._at_the_end()

    def _at_the_end(self) -> None:
        if not self.switch.checked:
            self.complaints.append("the last run was not checked")
        self.complaints += duplicates(self.run)
        self.complaints += [f"{order_id} rests at the end" for order_id in self.run.resting()]
        self.complaints += [f"{name}: {pair}" for name, pair in self.run.differences().items()]


def played(killing: Killing, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play rounds on the rehearsal's exchange, watched."""
    killing.run.play(scene, (killing.switch,))


# What goes wrong besides, so that what is done about it is on the path, too.
TROUBLES = [
    {"fault": "lost_after_accept", "chance": 0.05, "where": {"path": "/order*"}},
    {"fault": "lost_before", "chance": 0.05, "where": {"path": "/order*"}},
    {"fault": "server_error", "chance": 0.05, "reached": "either", "where": {"path": "/order*"}},
    {"fault": "server_error", "chance": 0.02, "where": {"path": "/data/order*"}},
    {"fault": "disconnect", "every": 47, "jitter": 10, "where": {"channel": "user"}},
]
REQUESTS = ("POST /order", "DELETE /")  # one order or several


def random_moments(count: int, seed: int, checked: bool) -> list[Wanted]:
    """Return moments to kill at: half of them anywhere on the order path, half while a request is under way."""
    random, found = Random(f"moments {seed}"), list[Wanted]()
    for number in range(count):
        if number % 2:
            found.append(Wanted(times=random.randint(1, 400), checked=checked))
        else:
            request, after = random.choice(REQUESTS), random.uniform(0, 0.1)
            found.append(Wanted(request=request, times=random.randint(1, 3), after=after, checked=checked))
    return found


def shortly(kind: Kind) -> str:
    """Say a kind of kill point in short: what of ours awaits, and what it awaits in the end."""
    parts = kind.split(" > ")
    kept = [part for part in parts if part.split(".")[0] not in ("live", "transport", "retries", "listing", "session")]
    return " > ".join(kept or parts[:1]) + (f" ({parts[-1]})" if kept and kept[-1] != parts[-1] else "")


def awaits_of(*modules: ModuleType) -> dict[str, tuple[int, int]]:
    """Return every await of some modules, by "module.function:line", with its first and last line."""
    found = {}
    for module in modules:
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Await):
                        place = f"{Path(module.__file__).stem}.{function.name}:{node.lineno}"
                        found[place] = node.lineno, node.end_lineno or node.lineno
    return found


def covered(place: str, lines: tuple[int, int], kinds: Iterable[Kind]) -> int:
    """Return at how many kinds of kill points that fired an await stood."""
    module = place.split(".")[0]
    standing = {part for kind in kinds for part in kind.split(" > ")}
    return sum(
        part.split(".")[0] == module and lines[0] <= int(part.rpartition(":")[2]) <= lines[1]
        for part in standing
        if ":" in part
    )
