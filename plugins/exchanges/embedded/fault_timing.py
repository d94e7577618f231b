"""When faults strike: openings, windows and chances, the same from the same seed."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import msgspec

from pmrun.plugins.exchanges.embedded.fault_terms import Fault, window
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros


class Schedule:
    """The moments of a fault's `at` or `every`; none for a fault by chance."""

    def __init__(self, fault: Fault, random: Random) -> None:
        self._fault = fault
        self._random = random
        self._start: Micros | None = None
        self._passed = 0
        self.due: Micros | None = None

    def begin(self, start: Micros) -> None:
        """Count from this moment."""
        self._start = start
        self.due = self._moment()

    def step(self) -> None:
        """Leave the present moment behind."""
        self._passed += 1
        self.due = self._moment()

    def _moment(self) -> Micros | None:
        fault, start = self._fault, self._start
        if start is None:
            return None
        if fault.at is not None:
            return Micros(start + fault.at) if not self._passed else None
        if fault.every is None:
            return None
        lean = self._random.randint(-fault.jitter, fault.jitter) if fault.jitter else 0
        return Micros(start + (self._passed + 1) * fault.every + lean)


class Trigger:
    """Whether a fault bites on an event that it could bite on.

    A window is open from its moment, inclusive, until `for` later, exclusive, and counts as one firing however much it
    bites on; without `for` the fault is armed at its moment and bites once, whenever something comes.
    """

    def __init__(self, fault: Fault, seed: int, number: int, fired: Counter[str]) -> None:
        self.fault = fault
        self.random = Random(f"{seed}/{number}/{fault.name}")
        self.opened: Micros | None = None
        self.schedule = Schedule(fault, Random(f"{seed}/{number}/{fault.name}/when"))
        self.fired = fired
        self.uses = 0
        self._length = window(fault)
        self._started = False
        self._armed = False
        self._counted = False

    def begin(self, start: Micros) -> None:
        """Count from this moment."""
        self._started = True
        self.schedule.begin(start)

    def since(self, at: Micros) -> Micros | None:
        """Return how long the present window has been open, None when it is shut."""
        self._roll(at)
        if self._length is None or self.opened is None or not 0 <= at - self.opened < self._length:
            return None
        return Micros(at - self.opened)

    def ready(self, at: Micros) -> bool:
        """Tell whether an event could be bitten now: looking into it may cost something."""
        if not self._started:
            return False
        if self.since(at) is not None:
            return self._counted or not self.spent
        return not self.spent and (self._armed or self.fault.chance is not None)

    def bites(self, at: Micros) -> bool:
        """Tell whether this event is bitten, and count it."""
        if not self.takes(at):
            return False
        self.count()
        return True

    def takes(self, at: Micros) -> bool:
        """Tell whether this event is bitten, to be counted when the bite has had its effect."""
        if not self.ready(at):
            return False
        if self.since(at) is not None:
            return True
        if self.fault.chance is not None:
            return self._drawn(at)
        self._armed = False
        return True

    def count(self) -> None:
        """Count a firing: once for each window."""
        if self._length is not None and self._counted:
            return
        self._counted = True
        self.strike()

    def strike(self) -> None:
        """Count a firing, whatever was counted before."""
        self.uses += 1
        self.fired[self.fault.name.value] += 1

    @property
    def spent(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.fault.times is not None and self.uses >= self.fault.times

    def _roll(self, at: Micros) -> None:
        while self.schedule.due is not None and self.schedule.due <= at:
            if not self.spent:
                self.opened = self.schedule.due
                self._armed = self._length is None
                self._counted = False
            self.schedule.step()

    def _drawn(self, at: Micros) -> bool:
        if self.fault.chance is None or self.random.random() >= self.fault.chance:
            return False
        self.opened = at
        self._counted = False
        return True


class Leaving(msgspec.Struct, frozen=True):
    """A frame on its way to a peer: `loose` ones may be overtaken, all others keep their order."""

    text: str
    extra: Micros = Micros(0)
    loose: bool = False


class Visit(msgspec.Struct):
    """What was decided about the REST call in hand before the engine saw it."""

    legs: list[str | None] = []
    instead: Reply | None = None  # the engine does it, the caller is told this
    lose: bool = False  # the engine does it, the caller is told nothing
    spoken: bool = False


class Behaviour:
    """One fault at work; every hook may be left as it is, which changes nothing."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        self.fault = fault
        self.where = fault.where
        self.trigger = trigger
        self.random = trigger.random

    def begin(self, start: Micros) -> None:
        """Count from this moment."""
        self.trigger.begin(start)

    def before(self, call: Request, at: Micros, visit: Visit) -> Reply | None:
        """Answer instead of the exchange."""
        return None

    def legs(self, count: int, at: Micros) -> list[str | None]:
        """Return a sentence for each leg of a batch that fails before the engine."""
        return [None] * count

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Change an answer."""
        return reply

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Change what leaves on a socket."""
        return leaving

    def watch(self, text: str) -> None:
        """Look at a frame or an answer as the exchange meant it."""

    def opened(self, channel: str, at: Micros) -> None:
        """Hear of a new socket."""

    def late(self, at: Micros) -> int:
        """Return how much later than usual the fill that was just matched is told."""
        return 0

    def rejects(self, at: Micros) -> bool:
        """Tell whether an order that was taken fails when it is to be matched."""
        return False

    def shift(self, at: Micros) -> int:
        """Return how far off the exchange's clock is."""
        return 0
