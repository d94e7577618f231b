"""The market and the user socket as the exchange keeps them: who hears what, and what it answers (reference 5)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.identity import ApiKey
from pmrun.plugins.exchanges.embedded.notices import MarketNotice, Notice, UserNotice
from pmrun.plugins.exchanges.embedded.replies import encode
from pmrun.runner.market import ConditionId, TokenId

MARKET_PATH, USER_PATH = "/ws/market", "/ws/user"
KEEPALIVE, ALIVE = "PING", "PONG"
NORMAL_CLOSURE = 1000


class Desk(Protocol):
    """What a socket asks of the exchange behind it."""

    def send(self, connection: "Connection", text: str, fallible: bool = True) -> None:
        """Let a frame leave after the latency; faults may touch it if it is `fallible`."""

    def hear(self, tokens: Sequence[TokenId]) -> None:
        """Make news of these tokens' markets from now on."""

    def books(self, tokens: Sequence[TokenId]) -> list[dict[str, Any]]:
        """Return the books of those tokens that are listed, as events of the market channel."""

    def who(self, key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the API key with these credentials."""

    def forget(self, connection: "Connection") -> None:
        """Let a socket go."""


class _MarketRequest(msgspec.Struct):
    type: str = ""
    operation: str = ""
    assets_ids: list[TokenId] = []
    custom_feature_enabled: bool | None = None
    initial_dump: bool = True


class _Auth(msgspec.Struct, rename="camel"):
    api_key: str = ""
    secret: str = ""
    passphrase: str = ""

    def __repr__(self) -> str:
        return "<secret>"


class _UserRequest(msgspec.Struct):
    type: str = ""
    operation: str = ""
    auth: _Auth | None = None
    markets: list[ConditionId] = []


_MARKET = msgspec.json.Decoder(_MarketRequest)
_USER = msgspec.json.Decoder(_UserRequest)


class Connection:
    """One socket: takes what its peer says, knows what its peer wants to hear."""

    channel = ""

    def __init__(self, desk: Desk, send: Callable[[str], None], close: Callable[[int, str], None]) -> None:
        """Take the ways out, which must not block."""
        self._desk = desk
        self._send = send
        self._close = close
        self.open = True

    def receive(self, text: str) -> None:
        """Take a frame of the peer; what is not understood is passed over in silence."""
        if not self.open:
            return
        if text.strip() == KEEPALIVE:
            self._desk.send(self, ALIVE, fallible=False)
        else:
            self._understand(text)

    def gone(self) -> None:
        """Hear that the peer has left."""
        self.open = False
        self._desk.forget(self)

    def shut(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close from our side."""
        if self.open:
            self.gone()
            self._close(code, reason)

    def deliver(self, text: str) -> None:
        """Hand a frame to the network."""
        if self.open:
            self._send(text)

    def wants(self, notice: Notice) -> bool:
        """Whether a frame is for this peer."""
        raise NotImplementedError

    def _understand(self, text: str) -> None:
        raise NotImplementedError


class MarketConnection(Connection):
    """A socket of the market channel (reference 5.2)."""

    channel = "market"

    def __init__(self, desk: Desk, send: Callable[[str], None], close: Callable[[int, str], None]) -> None:
        """Start without a subscription."""
        super().__init__(desk, send, close)
        self._tokens: set[TokenId] = set()
        self._custom = False

    def wants(self, notice: Notice) -> bool:
        """Whether one of its tokens is subscribed to; news of the custom features only where they are on."""
        if not isinstance(notice, MarketNotice) or (notice.custom and not self._custom):
            return False
        return not notice.tokens or not self._tokens.isdisjoint(notice.tokens)

    def _understand(self, text: str) -> None:
        request = _decoded(_MARKET, text)
        if request is None:
            return
        if request.operation == "unsubscribe":
            self._tokens.difference_update(request.assets_ids)
            return
        if request.custom_feature_enabled is not None:
            self._custom = request.custom_feature_enabled
        if request.type.lower() == "market":
            self._begin(request)
        elif request.operation == "subscribe":
            self._add(request.assets_ids)

    def _begin(self, request: _MarketRequest) -> None:
        """Answer a first subscription with all books in one array, which may be empty."""
        self._tokens = set(request.assets_ids)
        self._desk.hear(request.assets_ids)
        if request.initial_dump:
            self._desk.send(self, encode(self._desk.books(request.assets_ids)).decode())

    def _add(self, tokens: Sequence[TokenId]) -> None:
        """Send the books of new tokens one by one; a token subscribed to already gets none."""
        new = [token for token in dict.fromkeys(tokens) if token not in self._tokens]
        self._tokens.update(new)
        self._desk.hear(new)
        for book in self._desk.books(new) if new else ():
            self._desk.send(self, encode(book).decode())


class UserConnection(Connection):
    """A socket of the user channel (reference 5.3)."""

    channel = "user"

    def __init__(self, desk: Desk, send: Callable[[str], None], close: Callable[[int, str], None]) -> None:
        """Start as a stranger."""
        super().__init__(desk, send, close)
        self._key: ApiKey | None = None
        self._markets: set[ConditionId] = set()
        self._everything = False

    def wants(self, notice: Notice) -> bool:
        """Whether it is news of its own orders and trades, in a market it listens to."""
        if self._key is None or not isinstance(notice, UserNotice) or notice.api_key != self._key.key:
            return False
        return self._everything or notice.condition in self._markets

    def _understand(self, text: str) -> None:
        request = _decoded(_USER, text)
        if request is None:
            return
        if request.type.lower() == "user":
            self._begin(request)
        elif self._key is not None and request.operation == "subscribe":
            self._markets.update(request.markets)
        elif self._key is not None and request.operation == "unsubscribe":
            self._markets.difference_update(request.markets)

    def _begin(self, request: _UserRequest) -> None:
        auth = request.auth or _Auth()
        self._key = self._desk.who(auth.api_key, auth.secret, auth.passphrase)
        if self._key is None:
            self.shut()  # without a useful message (reference 5.3)
            return
        self._markets = set(request.markets)
        self._everything = not request.markets


def _decoded(decoder: msgspec.json.Decoder[Any], text: str) -> Any | None:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
