"""What components remembered when a run began, and where it is kept when it ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pmrun.runner.facts import Carried, Fact
from pmrun.runner.intents import Intent
from pmrun.runner.units import SECOND, Micros

EVERY: Final = Micros(60 * SECOND)  # a live run that is killed forgets no more than that
Values = Mapping[str, Mapping[str, int]]


class Remembered(NamedTuple):
    """What is remembered, by component, and what keeps it; None where nothing is to be kept."""

    values: Values
    keep: Callable[[Values], None] | None


NOTHING: Final = Remembered({}, None)


def recall(values: Values, at: Micros) -> list[Fact]:
    """Return what the desk is told of it before anything else: it is in the journal, so the run replays."""
    return [Carried(at, node, dict(carried)) for node, carried in sorted(values.items())]


class Keeping:
    """Keeps what components carry as a run goes; an observer."""

    takes_together = True

    def __init__(self, remembered: Remembered, carried: Callable[[], Values], every: Micros | None) -> None:
        """Take what keeps, who knows what is carried, and how often it is kept before the end (None: not)."""
        self._keep = remembered.keep
        self._carried = carried
        self._every = every
        self._next = Micros(0)

    def record(self, fact: Any, intents: Sequence[Intent]) -> None:
        """Keep what is carried by now, every so often."""
        if self._every is not None and fact.at >= self._next:
            self._next = Micros(fact.at + self._every)
            self.close()

    def close(self) -> None:
        """Keep what is carried in the end."""
        if self._keep is not None:
            self._keep(self._carried())
