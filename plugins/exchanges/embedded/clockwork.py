"""How the host of an exchange comes through time: what is due happens in order, and its pump is woken in time."""

import heapq
from collections.abc import Callable
from itertools import count

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_acts import Act
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.works import Flow
from pmrun.runner.units import Micros


class Clockwork:
    """The time of a host; `wake` is called when something is due earlier than `pump` said."""

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], Micros],
        works: Flow,
        faults: Faults | None,
        carry_out: Callable[[Act, Micros], None],
        publish: Callable[[], None],
    ) -> None:
        """Take what moves, who carries out what a fault asks for, and who tells what happened."""
        self.wake: Callable[[], None] = lambda: None
        self.now = now
        self._engine = engine
        self._works = works
        self._faults = faults
        self._carry_out = carry_out
        self._publish = publish
        self._time = now()
        self._later: list[tuple[Micros, int, Callable[[], None]]] = []
        self._queued = count()
        self._told: Micros | None = None

    def moment(self) -> Micros:
        """Return the time, which never goes back."""
        self._time = max(self._time, self.now())
        return self._time

    def later(self, due: Micros, action: Callable[[], None]) -> None:
        """Do something when it is due; of one moment in the order in which it was asked for."""
        heapq.heappush(self._later, (due, next(self._queued), action))

    def catch_up(self) -> Micros:
        """Let happen what is due by now, in order of time."""
        at = self.moment()
        while (due := self._next()) is not None and due <= at:
            self._step(due)
        self._engine.advance(at)
        self._publish()
        return at

    def pump(self) -> Micros | None:
        """Bring everything up to now; return when to come again."""
        self.catch_up()
        self._told = self._next()
        return self._told

    def ring(self) -> None:
        """Wake whoever pumps, where something became due earlier than they know."""
        due = self._next()
        if due is not None and (self._told is None or due < self._told):
            self._told = due
            self.wake()

    def _step(self, at: Micros) -> None:
        if self._faults is not None:
            for act in self._faults.advance(at):
                self._carry_out(act, at)
        self._works.advance(at)
        self._engine.advance(at)
        self._publish()
        while self._later and self._later[0][0] <= at:
            heapq.heappop(self._later)[2]()

    def _next(self) -> Micros | None:
        dues = [self._engine.next_due(), self._works.next_at(), self._later[0][0] if self._later else None]
        if self._faults is not None:
            dues.append(self._faults.next_due(self._time))
        return min((due for due in dues if due is not None), default=None)
