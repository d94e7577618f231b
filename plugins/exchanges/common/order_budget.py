"""Planning order calls: so many a minute, and room kept for cancelling everything that rests (V5, P9).

Pure: the time is given. The law it keeps: when a place is let through, calls of the last minute and orders in play
together do not pass the limit, so that every one of them can be cancelled at once, whatever happens next.
"""

from collections import deque

from pmrun.runner.units import SECOND, Micros

MINUTE = Micros(60 * SECOND)
MARGIN = Micros(1 * SECOND)  # calls take their time to arrive: the exchange counts them a little later than we do


class Window:
    """So many calls within a window that moves; it holds for a limit by the clock's minute as well."""

    def __init__(self, calls: int, window: Micros = Micros(MINUTE + MARGIN)) -> None:
        """Start with nothing used."""
        self.calls = calls
        self._window = window
        self._at: deque[Micros] = deque()
        self._blocked = Micros(0)

    def used(self, at: Micros) -> int:
        """Return how many calls count at a moment."""
        while self._at and self._at[0] <= at - self._window:
            self._at.popleft()
        return len(self._at)

    def room(self, at: Micros) -> int:
        """Return how many calls may be made now."""
        return 0 if at < self._blocked else self.calls - self.used(at)

    def spend(self, at: Micros) -> None:
        """Count a call."""
        self._at.append(at)

    def unspend(self) -> None:
        """Take back the latest call: it was not made."""
        self._at.pop()

    def block(self, until: Micros) -> None:
        """Make none before a time: the exchange asked for it."""
        self._blocked = max(self._blocked, until)

    def when(self, room: int, at: Micros) -> Micros:
        """Return when there will be room for so many calls, if none is made until then."""
        missing = room - (self.calls - self.used(at))
        free = self._at[missing - 1] + self._window if 0 < missing <= len(self._at) else at
        return Micros(max(free, self._blocked, at))


class OrderBudget:
    """Which of the places and cancels that wait may leave now."""

    def __init__(self, calls: int, most_resting: int | None = None) -> None:
        """Take the limit of a minute; fewer orders rest than that (two thirds), so that some calls are left to move."""
        most_resting = calls * 2 // 3 if most_resting is None else most_resting
        if not 0 < most_resting < calls:
            raise ValueError("most_resting must be above 0 and below the calls of a minute")
        self.window = Window(calls)
        self._most_resting = most_resting

    def may_place(self, at: Micros, in_play: int) -> bool:
        """Whether one more order may be sent while so many may rest, and all could be cancelled at once after it."""
        return in_play < self._most_resting and self.window.room(at) >= in_play + 2

    def may_cancel(self, at: Micros) -> bool:
        """Whether a cancel may be sent."""
        return self.window.room(at) >= 1

    def place_when(self, at: Micros, in_play: int) -> Micros | None:
        """Return when a place may leave, if nothing else does before; None while too many rest."""
        return None if in_play >= self._most_resting else self.window.when(in_play + 2, at)

    def cancel_when(self, at: Micros) -> Micros:
        """Return when a cancel may leave."""
        return self.window.when(1, at)

    def spend(self, at: Micros) -> None:
        """Count a place or a cancel."""
        self.window.spend(at)

    def unspend(self) -> None:
        """Take back the latest call: it was not made."""
        self.window.unspend()

    def block(self, until: Micros) -> None:
        """Send nothing before a time."""
        self.window.block(until)
