"""The socket: whose it is, what it listens to, and what it is answered."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.satori.codes import Code
from pmrun.plugins.exchanges.embedded.satori.identity import Session

PATH = "/ws"
UNAUTHORISED = 4401  # the token is unknown or too old


class Desk(Protocol):
    """What a socket asks of the exchange behind it."""

    def send(self, connection: "Connection", frame: dict[str, Any], fallible: bool = True) -> None:
        """Let a frame leave after what has happened before it."""

    def listed(self, market_id: str) -> bool:
        """Whether there is such a market."""

    def show_books(self, connection: "Connection", market_id: str) -> None:
        """Send the books of a market."""

    def sentence(self, code: Code) -> str:
        """Return the words for a code."""

    def forget(self, connection: "Connection") -> None:
        """Let a socket go."""


class _Said(msgspec.Struct):
    type: str = ""
    market_id: str = ""


_SAID = msgspec.json.Decoder(_Said)


class Connection:
    """One socket: takes what its peer says, knows what its peer wants to hear."""

    channel = "user"

    def __init__(
        self,
        desk: Desk,
        session: Session | None,
        send: Callable[[str], None],
        close: Callable[[int, str], None],
    ) -> None:
        """Take who it is for, and the ways out, which must not block."""
        self.user_id = "" if session is None else session.user.user_id
        self.personal = session is not None and session.personal
        self.open = True
        self.markets: set[str] = set()
        self.books: set[str] = set()
        self._desk = desk
        self._send = send
        self._close = close

    def receive(self, text: str) -> None:
        """Take a frame of the peer."""
        if not self.open:
            return
        try:
            said = _SAID.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._complain(Code.BAD_REQUEST)
            return
        if said.type == "ping":
            self._desk.send(self, {"type": "pong"}, fallible=False)
        elif said.type in ("subscribe", "unsubscribe", "subscribe_marketdata", "unsubscribe_marketdata"):
            self._subscribe(said)
        else:
            self._complain(Code.BAD_REQUEST)

    def _subscribe(self, said: _Said) -> None:
        if not self._desk.listed(said.market_id):
            self._complain(Code.NO_MARKET)
            return
        wanted = self.books if said.type.endswith("_marketdata") else self.markets
        if said.type.startswith("unsubscribe"):
            wanted.discard(said.market_id)
            return
        wanted.add(said.market_id)
        if wanted is self.books:
            self._desk.show_books(self, said.market_id)

    def _complain(self, code: Code) -> None:
        self._desk.send(self, {"type": "error", "code": int(code), "msg": self._desk.sentence(code)}, fallible=False)

    def gone(self) -> None:
        """Hear that the peer has left."""
        self.open = False
        self._desk.forget(self)

    def shut(self, code: int, reason: str = "") -> None:
        """Close from our side."""
        if self.open:
            self.gone()
            self._close(code, reason)

    def deliver(self, text: str) -> None:
        """Hand a frame to the network."""
        if self.open:
            self._send(text)
