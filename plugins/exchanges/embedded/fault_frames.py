"""Faults of the sockets: frames that vanish, come twice, late or in another order, and sockets that close."""

from collections.abc import Sequence

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.fault_acts import Act, Acting, Disconnect
from pmrun.plugins.exchanges.embedded.fault_terms import Fault
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Leaving, Trigger
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros


def kind_of(channel: str) -> str:
    """Return the channel of a socket: "market" of "market#7"."""
    return channel.partition("#")[0]


class Freeze(Behaviour):
    """A socket stays open and silent; one that is known to be opened during the freeze is not touched."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._opened: dict[str, Micros] = {}

    def opened(self, channel: str, at: Micros) -> None:
        """Remember when a socket that can be told from the others was opened."""
        if channel != kind_of(channel):
            self._opened[channel] = at

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Swallow everything that leaves on a frozen socket."""
        since = self.trigger.since(at)
        if since is not None and self._opened.get(channel, Micros(0)) > at - since:
            return leaving
        return [] if self.trigger.bites(at) else leaving


class Gap(Behaviour):
    """Frames vanish."""

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Swallow what is bitten."""
        return [] if self.trigger.bites(at) else leaving


class Duplicate(Behaviour):
    """Frames come twice."""

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Send a copy behind the frame, later by `by`."""
        if not self.trigger.bites(at):
            return leaving
        later = self.fault.number("by")
        copies = [replace(frame, extra=Micros(frame.extra + later), loose=later > 0) for frame in leaving]
        return [*leaving, *copies]


class Reorder(Behaviour):
    """A frame is overtaken by those behind it; a firing is a frame that was."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._held_until: dict[str, Micros] = {}
        self._overtaken: set[str] = set()

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Hold one frame back and let the following ones pass."""
        if at < self._held_until.get(channel, at):
            self._overtake(channel)
            return leaving
        if not self.trigger.takes(at):
            return leaving
        later = self.fault.number("by")
        self._held_until[channel] = Micros(at + later)
        self._overtaken.discard(channel)
        return [replace(frame, extra=Micros(frame.extra + later), loose=True) for frame in leaving]

    def _overtake(self, channel: str) -> None:
        if channel not in self._overtaken:
            self._overtaken.add(channel)
            self.trigger.count()


class Delay(Behaviour):
    """Frames or answers come late; frames of one socket keep their order."""

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Hold frames back."""
        if not self.trigger.bites(at):
            return leaving
        return [replace(frame, extra=Micros(frame.extra + self.fault.number("by"))) for frame in leaving]

    def after(self, call: Request, reply: Reply, at: Micros) -> Reply:
        """Hold an answer back."""
        if not self.trigger.bites(at):
            return reply
        return replace(reply, delay=Micros(reply.delay + self.fault.number("by")))


class Disconnected(Acting):
    """Sockets are closed: at a moment, or in the middle of what is being sent."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._alive: set[str] = set()  # channels that have carried a frame since they were last closed
        self._waits = False  # for a burst that it is to cut
        self._passed = 0
        self._cut: set[str] = set()  # sockets that carry nothing more

    def strike(self, moment: Micros) -> list[Act]:
        """Close a channel, or wait for the burst that is to be cut."""
        if self.fault.number("burst"):
            self._waits, self._passed = True, 0
            return []
        channel = self.where.channel or self.random.choice(sorted(self._alive) or ["market", "user"])
        if channel in self._alive:
            self.trigger.strike()
        self._alive.discard(channel)
        return [self._close(channel)]

    def finish(self, act: Act) -> list[Act]:
        """Close what was cut."""
        if isinstance(act, Disconnect):
            self._cut.discard(act.channel)
            self._alive.discard(kind_of(act.channel))
        return [act]

    def frames(self, channel: str, leaving: Sequence[Leaving], at: Micros) -> Sequence[Leaving]:
        """Swallow what would leave on a socket that is about to be closed."""
        if channel in self._cut:
            return []
        self._alive.add(kind_of(channel))
        if not self._cuts(at):
            return leaving
        self.trigger.strike()
        self._cut.add(channel)
        self.hold(at, self._close(channel))
        return []

    def _cuts(self, at: Micros) -> bool:
        if self.fault.chance is not None:
            return self.trigger.takes(at)
        self._passed += 1
        if not self._waits or self._passed <= self.fault.number("burst"):
            return False
        self._waits = False
        return True

    def _close(self, channel: str) -> Disconnect:
        return Disconnect(channel, self.fault.number("code"), "simulated fault: disconnect")
