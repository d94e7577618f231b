"""Sessions that are killed in the middle, as kill -9 does: at any await on the order path, with nothing said after it.

The dying run's clean-up goes on in this process, but reaches nobody: its way to the exchange is shut, and the account's
file that the next run finds is a copy of what was on disk at that moment.
"""

import math
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from random import Random
from typing import Any, NamedTuple

import trio
from kill_points import Kind, kind_of
from rehearsal import Rehearsal
from verdicts import duplicates

from pmrun.plugins.exchanges.polymarket.exchange import PolymarketExchange
from pmrun.runner.errors import PmrunError
from pmrun.runner.market import Outcome, TokenId
from pmrun.runner.units import SECOND

# The tasks that carry orders, by the function they run; the run's own task is beside them.
ORDER_PATH = (
    "Trading._send",
    "Trading._counted",
    "Looking.run",
    "Heart.run",
    "LiveSession.run",
    "PolymarketExchange._reconcile",
    "SatoriExchange._reconcile",
    "_holdings.<locals>.ask",
)
USER_SOCKET = "UserSocket.run"
IDLE = 6  # runs in a row that come by nothing new: then there is nothing new
OFTEN = 20  # steps of one kind
CHECK_AFTER = 14.0  # seconds after the start: what was under way at the kill has arrived and has been seen


class Broken(Exception):
    """What breaks a run off, raised beside it."""


Beside = Callable[[], Awaitable[None]]  # what happens besides, counted from the start of a run


def any_kind(kind: Kind) -> bool:
    """Want every kind."""
    return True


class Wanted(NamedTuple):
    """When to kill: at the n-th step of some kinds, or so many seconds after the n-th request has left."""

    kinds: Callable[[Kind], bool] = any_kind
    times: int = 1
    request: str | None = None
    after: float = 0.0
    checked: bool = False  # not before the run has lived long enough to be checked
    at_last: float = math.inf  # seconds after the start from which on any step will do


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
        self._began = 0.0
        self.checked = False  # whether the run has been

    def watch(self, kill: Callable[[], None], wanted: Wanted | None) -> None:
        """Watch a run that begins in the present task."""
        self.seen, self.steps, self.killed_at, self.checked = Counter(), 0, None, False
        self._kill, self._wanted = kill, wanted
        self._run = trio.lowlevel.current_task()
        self._began = trio.current_time()
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
        if wanted is not None and self._left and self._is_one(wanted, kind):
            self._left -= 1
            if not self._left:
                self.killed_at = kind
                self._kill()

    def _is_one(self, wanted: Wanted, kind: Kind) -> bool:
        if trio.current_time() >= self._began + wanted.at_last:
            return True
        return self.checked >= wanted.checked and wanted.kinds(kind)

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
        self.complaints: list[str] = []
        self.checks = 0
        self.refused_starts = 0
        self.breaks = 0
        self._random = Random(f"kills {run.seed}")

    async def until_killed(self, wanted: Wanted | None, seconds: float, beside: Beside | None = None) -> bool:
        """Run until it is killed, or for so long; say whether it was. What rests is checked on the way."""
        try:
            await self._watched(wanted, seconds, beside)
        except* Broken:
            self.breaks += 1
        self.switch.unwatch()
        if self.switch.killed_at is None:
            return False
        self.kinds[self.switch.killed_at] += 1
        return True

    async def _watched(self, wanted: Wanted | None, seconds: float, beside: Beside | None) -> None:
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

    async def each_kind(
        self, ours: Callable[[Kind], bool], seconds: float, beside: Beside | None = None, most_idle: int = IDLE
    ) -> None:
        """Kill once at each kind of await that is come by, until a few runs in a row come by none that is new.

        Of three runs, one may be killed from its start, where it deals with what the one before has left; one lives
        until it is checked, and is killed in the end anyhow, so that something is left; and one may come to its end.
        What comes often is hit somewhere in the middle.
        """
        await self.until_killed(None, seconds, beside)
        runs = idle = 0

        def new(kind: Kind) -> bool:
            if kind in self.kinds or not ours(kind):
                return False
            return self.switch.ever[kind] < OFTEN or self._random.random() < 0.3

        while idle < most_idle:
            runs += 1
            known = len(self.kinds)
            wanted = Wanted(new, checked=runs % 3 != 2, at_last=seconds - 2 if runs % 3 == 1 else math.inf)
            await self.until_killed(wanted, seconds, beside)
            idle = 0 if len(self.kinds) > known else idle + 1
            await trio.sleep(self._random.uniform(0.01, 3))

    async def moments(self, count: int, wanted: Iterator[Wanted], longest: float) -> None:
        """Kill so often; a moment that does not come in time is replaced by the next."""
        while self.kinds.total() < count:
            moment = next(wanted, None)
            if moment is None:
                self.complaints.append(f"only {self.kinds.total()} of {count} moments to be killed at came")
                return
            await self.until_killed(moment, longest)
            await trio.sleep(self._random.uniform(0.01, 3))

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
        for ours, token in self._tokens():
            theirs = engine.balance(self.run.wallet(), token)
            if held.get(ours, 0) != theirs:
                said = f"of {ours or 'cash'} {held.get(ours, 0)}, the exchange has {theirs}"
                self.complaints.append(f"run {number}: {said}")

    def _tokens(self) -> Iterator[tuple[TokenId | None, TokenId | None]]:
        """Yield what is compared, as the adapter and as the engine call it; None: cash."""
        yield None, None
        for market in self.run.engine.markets:
            for outcome in Outcome:
                yield market.token(outcome), market.token(outcome)

    def not_come_again(self, ours: Callable[[Kind], bool] = any_kind) -> list[Kind]:
        """Return the kinds that were seen and never killed at."""
        return [kind for kind in self.switch.ever if ours(kind) and kind not in self.kinds]

    async def end(self, seconds: float) -> None:
        """Run once to the end, and look at everything that happened."""
        await self.until_killed(None, seconds)
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


def random_moments(count: int, seed: int, checked: bool) -> Iterator[Wanted]:
    """Yield moments to kill at: half of them anywhere on the order path, half while a request is under way."""
    random = Random(f"moments {seed}")
    for number in range(count):
        if number % 2:
            yield Wanted(times=random.randint(1, 400), checked=checked)
        else:
            request, after = random.choice(REQUESTS), random.uniform(0, 0.1)
            yield Wanted(request=request, times=random.randint(1, 3), after=after, checked=checked)
