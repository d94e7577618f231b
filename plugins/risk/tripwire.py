"""Too many in a while: what limits of order rate and error rate have in common."""

from collections import deque
from collections.abc import Mapping

from pmrun.plugins.risk.equity_watch import read_carried
from pmrun.runner.units import Micros


def check_tripwire(name: str, most: int, window: Micros, pause: Micros) -> None:
    """Refuse settings that could never judge, or always would; raises ValueError."""
    if not 0 < most <= 1_000_000:
        raise ValueError(f"{name} must be 1 to 1,000,000")
    if not window > 0:
        raise ValueError("window must be above 0 seconds")
    if not pause > 0:
        raise ValueError("pause must be above 0 seconds")


class Tripwire:
    """Counts what happened within a window: one more than `most` trips it for a pause, each further one renews that."""

    __slots__ = ("_most", "_pause", "_times", "_window", "until")

    def __init__(self, most: int, window: Micros, pause: Micros) -> None:
        """Start with nothing."""
        self._most = most
        self._window = window
        self._pause = pause
        self._times: deque[Micros] = deque()
        self.until: Micros | None = None  # tripped before this moment

    def happened(self, at: Micros) -> None:
        """Count one more; it counts for less than a window."""
        times = self._times
        at = max(at, times[-1]) if times else at
        times.append(at)
        while times[0] <= at - self._window:
            times.popleft()
        if len(times) > self._most:
            self.until = Micros(at + self._pause)
            if len(times) > self._most + 1:
                times.popleft()  # more would not change when it trips

    def tripped(self, at: Micros) -> bool:
        """Whether the pause is on."""
        return self.until is not None and at < self.until

    def carry(self) -> dict[str, int]:
        """Return how many there were and when the last one was: after a restart all count from then."""
        if not self._times:
            return {}
        return {"count": len(self._times), "last": self._times[-1], "until": self.until or 0}

    def restore(self, values: Mapping[str, int]) -> None:
        """Go on where the last session ended; raises ValueError for what cannot be read."""
        count, last, until = read_carried(values, "count", "last", "until")
        if not 0 < count <= 1_000_001 or last < 0 or until < 0:
            raise ValueError(f"carried {count} until {until}, the last at {last}")
        self._times = deque([Micros(last)] * count)
        self.until = Micros(until) if until else None
