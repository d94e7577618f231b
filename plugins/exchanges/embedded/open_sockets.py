"""The sockets that are open at a host, under their names, and the frames that leave by them."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, Protocol, TypeVar

from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.runner.units import Micros


class Socket(Protocol):
    """A socket of either protocol."""

    @property
    def channel(self) -> str:
        """What it is a socket of."""

    def shut(self, code: int, reason: str) -> None:
        """Close it from our side."""


S = TypeVar("S", bound=Socket)


class OpenSockets(Generic[S]):
    """Names sockets as faults call them ("market#7"), and lets frames leave when they are due."""

    def __init__(self, faults: Faults | None, latency: Micros, leave: Callable[[Micros, S, str], None]) -> None:
        """Take what goes wrong with frames, how long they take, and who sends one when it is due."""
        self._faults = faults
        self._latency = latency
        self._leave = leave
        self._names: dict[S, str] = {}
        self._numbers = count(1)

    def __iter__(self) -> Iterator[S]:
        """Go through those that are open now; they may close meanwhile."""
        return iter(list(self._names))

    def add(self, socket: S) -> str:
        """Name a socket that opened, and return the name."""
        name = self._names[socket] = f"{socket.channel}#{next(self._numbers)}"
        return name

    def forget(self, socket: S) -> None:
        """Let a socket go."""
        self._names.pop(socket, None)

    def disconnect(self, channel: str | None, code: int, reason: str) -> None:
        """Close the sockets of a channel, one socket by its name, or all."""
        for socket, name in list(self._names.items()):
            if channel in (None, name, socket.channel):
                socket.shut(code, reason)

    def post(self, socket: S, text: str, at: Micros, fallible: bool) -> None:
        """Queue a frame: those of one socket leave in the order of what they tell, unless a fault wills otherwise."""
        leaving = [(Micros(0), text)]
        if fallible and self._faults is not None and socket in self._names:
            leaving = self._faults.frames(self._names[socket], text, at)
        for extra, frame in leaving:
            self._leave(Micros(at + self._latency + extra), socket, frame)
