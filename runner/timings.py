"""Measures how long the key operations of a run take (R16)."""

from collections.abc import Callable
from time import perf_counter_ns
from types import TracebackType
from typing import Final, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., object])
MILLISECOND: Final = 1_000_000  # in nanoseconds
_FINE: Final = 6  # bits of a duration that are kept: a quantile is known to 1/64


class Measured(NamedTuple):
    """How often an operation was done, and how long it took, in milliseconds."""

    name: str
    times: int
    total_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Stopwatch:
    """Collects the durations of one operation in buckets: an hour of them takes no more memory than a second.

    Used as `with watch:`; an operation does not contain itself.
    """

    __slots__ = ("_buckets", "_most", "_since", "_total", "name")

    def __init__(self, name: str) -> None:
        """Start at nothing."""
        self.name = name
        self._buckets: dict[int, int] = {}
        self._total = 0
        self._most = 0
        self._since = 0

    def __enter__(self) -> None:
        """Start the clock."""
        self._since = perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock; what failed took its time too."""
        self.add(perf_counter_ns() - self._since)

    def add(self, duration: int) -> None:
        """Take a duration in nanoseconds."""
        coarse = duration.bit_length() - _FINE - 1
        bucket = duration if coarse <= 0 else duration >> coarse << coarse
        buckets = self._buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        self._total += duration
        if duration > self._most:
            self._most = duration

    def wrap(self, operation: F) -> F:
        """Return an operation that is timed."""
        add, clock = self.add, perf_counter_ns

        def timed(*args: object, **kwargs: object) -> object:
            since = clock()
            try:
                return operation(*args, **kwargs)
            finally:
                add(clock() - since)

        return timed  # type: ignore[return-value]

    def measured(self) -> Measured:
        """Return what came of it; a quantile is the lower end of its bucket."""
        count = sum(self._buckets.values())
        return Measured(
            self.name,
            count,
            self._total / MILLISECOND,
            self._quantile(count, 50) / MILLISECOND,
            self._quantile(count, 99) / MILLISECOND,
            self._most / MILLISECOND,
        )

    def _quantile(self, count: int, percent: int) -> int:
        """Return the least duration that so many percent of all do not exceed."""
        left = -(-count * percent // 100)
        for bucket, times in sorted(self._buckets.items()):
            left -= times
            if left <= 0:
                return bucket
        return 0


class _Nothing:
    """A stopwatch that is not there."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass


_NOTHING: Final = _Nothing()


class Timings:
    """The stopwatches of a run, by name, in order of first use; switched off it measures nothing and costs nothing."""

    def __init__(self, on: bool = True) -> None:
        """Start without any."""
        self.on = on
        self._watches: dict[str, Stopwatch] = {}

    def of(self, name: str) -> Stopwatch | _Nothing:
        """Return the stopwatch of an operation, for `with`; keep it where the operation is short."""
        return self._watch(name) if self.on else _NOTHING

    def wrap(self, name: str, operation: F) -> F:
        """Return an operation that is timed under a name, or the operation itself."""
        return self._watch(name).wrap(operation) if self.on else operation

    def _watch(self, name: str) -> Stopwatch:
        found = self._watches.get(name)
        if found is None:
            found = self._watches[name] = Stopwatch(name)
        return found

    def measured(self) -> list[Measured]:
        """Return what was measured so far; an operation that was never done is left out."""
        found = (watch.measured() for watch in self._watches.values())
        return [each for each in found if each.times]

    def summary(self) -> dict[str, dict[str, float]]:
        """Return the same for summary.json, in milliseconds."""
        return {
            each.name: {
                "count": each.times,
                "total_ms": round(each.total_ms, 3),
                "p50_ms": round(each.p50_ms, 4),
                "p99_ms": round(each.p99_ms, 4),
                "max_ms": round(each.max_ms, 3),
            }
            for each in self.measured()
        }
