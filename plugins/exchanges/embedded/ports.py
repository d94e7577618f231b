"""What a network needs of the host of an exchange."""

from collections.abc import Callable, Mapping
from typing import Protocol

from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros

Query = Mapping[str, list[str]]
NO_QUERY: Query = {}
SOCKET_PATHS = ("/ws/market", "/ws/user")


class Socket(Protocol):
    """One socket as the host serves it."""

    def receive(self, text: str) -> None:
        """Take a frame of the peer."""

    def gone(self) -> None:
        """Hear that the peer is no longer there."""


class Exchange(Protocol):
    """What a network needs of the host of an exchange."""

    wake: Callable[[], None]
    socket_paths: tuple[str, ...]

    def now(self) -> Micros:
        """Return the exchange's own time."""

    def answer(self, request: Request) -> Reply:
        """Answer one call."""

    def connect(
        self, path: str, send: Callable[[str], None], close: Callable[[int, str], None], query: Query = NO_QUERY
    ) -> Socket:
        """Serve a socket; `query` is what was asked beside the path."""

    def pump(self) -> Micros | None:
        """Bring everything up to now; return when it next wants to be called."""
