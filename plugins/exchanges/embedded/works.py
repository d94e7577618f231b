"""What hosts of one exchange share: everything that moves by itself, and the news of the engine for each of them."""

from collections.abc import Callable
from typing import Protocol

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.terms import Event
from pmrun.runner.units import Micros


class Flow(Protocol):
    """What moves by itself: everybody else, a queue of orders, a halt that ends."""

    def next_at(self) -> Micros | None:
        """Return when it moves next."""

    def advance(self, until: Micros) -> None:
        """Let it do all that it does up to a time."""


class Works:
    """Several flows as one, in order of time; at one moment in the order in which they were added."""

    def __init__(self, *flows: Flow) -> None:
        """Start with these."""
        self._flows = list(flows)

    def add(self, flow: Flow) -> None:
        """Let another one move, whichever host brings time forward."""
        self._flows.append(flow)

    def next_at(self) -> Micros | None:
        """Return when the next of them moves."""
        return min((due for flow in self._flows if (due := flow.next_at()) is not None), default=None)

    def advance(self, until: Micros) -> None:
        """Let all of them move up to a time."""
        while (due := self.next_at()) is not None and due <= until:
            for flow in self._flows:
                flow.advance(due)


class News:
    """What an engine tells, once for each reader."""

    def __init__(self, engine: Engine) -> None:
        """Take over the events of an engine: nobody else may drain it."""
        self._engine = engine
        self._unread: list[list[Event]] = []

    def reader(self) -> Callable[[], list[Event]]:
        """Return how one more reader gets what it has not read, in order."""
        mine: list[Event] = []
        self._unread.append(mine)

        def read() -> list[Event]:
            events = self._engine.drain()
            for unread in self._unread:
                unread.extend(events)
            found = mine.copy()
            mine.clear()
            return found

        return read
