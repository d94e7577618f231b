"""When quotes are decided (R12)."""

from pmrun.runner.units import Micros


class Pace:
    """When quotes are decided (R12): at once (`every` 0), or on a clock with an offset from the first fact."""

    __slots__ = ("every", "offset")

    def __init__(self, *, every: Micros = Micros(0), offset: Micros = Micros(0)) -> None:
        """Take two durations."""
        self.every = every
        self.offset = offset

    def __repr__(self) -> str:
        """Show both."""
        return f"Pace(every={self.every}, offset={self.offset})"

    def next(self, origin: Micros, at: Micros) -> Micros:
        """Return the first decision time at or after a moment."""
        every = self.every
        if not every:
            return at
        first = origin + self.offset
        return Micros(first - (first - at) // every * every) if at > first else Micros(first)
