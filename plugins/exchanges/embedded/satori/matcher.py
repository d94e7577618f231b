"""The queue between accepting an order and matching it: first in, first matched, a little later (V6)."""

from collections import deque
from collections.abc import Callable
from random import Random

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.order import CANCELED_INVALID
from pmrun.runner.units import Micros


class Matcher:
    """Takes orders out of the queue in the order in which they came; the seed says how long each takes."""

    def __init__(
        self,
        engine: Engine,
        latency: tuple[Micros, Micros],
        seed: int = 0,
        rejects: Callable[[Micros], bool] = lambda at: False,
    ) -> None:
        """Take the engine; `rejects` says whether the order whose turn it is fails its last validation."""
        self._engine = engine
        self._latency = latency
        self._random = Random(f"satori queue {seed}")
        self._rejects = rejects
        self._queue: deque[tuple[Micros, str]] = deque()

    def __len__(self) -> int:
        """Count the orders that wait, cancelled ones too."""
        return len(self._queue)

    def push(self, order_id: str, at: Micros) -> None:
        """Put an order at the end of the queue."""
        due = Micros(at + self._random.randint(*self._latency))
        last = self._queue[-1][0] if self._queue else due
        self._queue.append((max(due, last), order_id))

    def next_at(self) -> Micros | None:
        """Return when the next order is matched."""
        return self._queue[0][0] if self._queue else None

    def advance(self, until: Micros) -> None:
        """Match what is due."""
        while self._queue and self._queue[0][0] <= until:
            due, order_id = self._queue.popleft()
            if self._rejects(due):
                self._engine.end(order_id, CANCELED_INVALID, due)
            else:
                self._engine.enter(order_id, due)
