"""What goes wrong again and again is said when it begins, once a minute, and when it is over."""

from collections.abc import Callable
from typing import Any

from pmrun.runner.units import SECOND, Micros

EVERY = Micros(60 * SECOND)


class Trouble:
    """One kind of trouble that is met at every try; by the clock that is given."""

    def __init__(self, log: Any, what: str, now: Callable[[], Micros]) -> None:
        """Say nothing yet; `what` is said before every reason."""
        self._log = log
        self._what = what
        self._now = now
        self._began: Micros | None = None
        self._said = Micros(0)
        self._times = 0

    def met(self, why: object) -> None:
        """Meet it (again)."""
        now = self._now()
        self._times += 1
        if self._began is None:
            self._began = self._said = now
            self._log.warning("{}: {}", self._what, why)
        elif now - self._said >= EVERY:
            self._said = now
            self._log.warning("{}, for {} s now, {} times: {}", self._what, self._seconds(now), self._times, why)

    def over(self) -> None:
        """Meet it no more; says so where it was more than once."""
        if self._began is not None and self._times > 1:
            self._log.info("over: {}, after {} s, {} times", self._what, self._seconds(self._now()), self._times)
        self._began, self._times = None, 0

    def _seconds(self, now: Micros) -> int:
        assert self._began is not None
        return (now - self._began) // SECOND
