"""What a network needs of the host of an exchange."""

from collections.abc import Callable
from typing import Protocol

from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros

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

    def now(self) -> Micros:
        """Return the exchange's own time."""

    def answer(self, request: Request) -> Reply:
        """Answer one call."""

    def connect(self, path: str, send: Callable[[str], None], close: Callable[[int, str], None]) -> Socket:
        """Serve a socket."""

    def pump(self) -> Micros | None:
        """Bring everything up to now; return when it next wants to be called."""
