"""SatoriEx's socket: market data on one connection, the news of our own orders on another (reference 11)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final, cast

import msgspec
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.common.sockets import PING, PONG, Connect, KeptSocket, OnSocket, Pace
from pmrun.plugins.exchanges.satori.news import Frame
from pmrun.plugins.exchanges.satori.tokens import Tokens
from pmrun.plugins.exchanges.satori.wire_frames import parse_frame
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.market import ConditionId
from pmrun.runner.units import Micros

PACE: Final = Pace()
EXPIRED: Final = 4401  # the close code of a token that ran out
REFUSED: Final = (401, 403)
_PING: Final = '{"type":"ping"}'


class Listener:
    """What is told of a socket; nothing of it may block. A subclass overrides what it needs."""

    def on_frame(self, frame: Frame, text: str, at: Micros) -> None:
        """Take a frame that keeps the protocol."""

    def on_violation(self, text: str) -> None:
        """Learn that a frame broke the protocol; `on_lost` and `on_back` follow."""

    def on_lost(self, why: str) -> None:
        """Learn that news may be missing from now on."""

    def on_back(self) -> None:
        """Learn that news come again, on the first connection too."""


class _JsonKeepalive:
    """A connection that pings as this exchange wants it, whatever its keeper says."""

    def __init__(self, inner: WebSocketConnection, closed: Callable[[int], None]) -> None:
        self._inner = inner
        self._closed = closed

    async def send_message(self, text: str) -> None:
        await self._inner.send_message(_PING if text == PING else text)

    async def get_message(self) -> str | bytes:
        try:
            message = await self._inner.get_message()
        except ConnectionClosed as error:
            if error.reason is not None:
                self._closed(error.reason.code)
            raise
        return PONG if _is_pong(message) else message

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_pong(message: str | bytes) -> bool:
    if len(message) > 64 or "pong" not in str(message):
        return False
    try:
        return bool(msgspec.json.decode(message)["type"] == "pong")
    except (msgspec.DecodeError, KeyError, TypeError):
        return False


def with_token(connect: Connect, tokens: Tokens | None) -> Connect:
    """Return what opens sockets with the present token in their address; one that ran out is renewed before the next.

    The token is put in here and nowhere else: no message or log holds the address that was dialled.
    """
    used: Secret | None = None  # by the latest connection
    refused: Secret | None = None

    def closed(code: int) -> None:
        nonlocal refused
        refused = used if code == EXPIRED else refused

    async def opened(url: str) -> WebSocketConnection:
        nonlocal refused, used
        address = url
        if tokens is not None:
            try:
                used = await (tokens.current() if refused is None else tokens.renewed(refused))
            except ExchangeError as error:
                raise OSError(f"no token: {error}") from None
            refused = None
            address = f"{url}?token={used.reveal()}"
        try:
            inner = await connect(address)
        except ConnectionRejected as rejected:
            refused = used if rejected.status_code in REFUSED else refused
            raise
        return cast(WebSocketConnection, cast(Any, _JsonKeepalive(inner, closed)))

    return opened


class Socket(OnSocket):
    """One kept connection: what it subscribes to, and who listens."""

    def __init__(
        self,
        url: str,
        connect: Callable[[str], Awaitable[WebSocketConnection]],
        listener: Listener,
        now: Callable[[], Micros],
        rng: Random,
        markets: Sequence[ConditionId] = (),
        pace: Pace = PACE,
    ) -> None:
        """Subscribe to nothing yet; without markets it is told of our own orders only."""
        self.frames = 0
        self.unknown: Counter[str] = Counter()
        self.errors: Counter[int] = Counter()
        self._listener = listener
        self._now = now
        self._markets = tuple(markets)
        self._socket = KeptSocket(url, connect, self, rng, pace)

    # What the kept socket asks and tells.

    def hello(self) -> str:
        """Return the first frame; the subscriptions follow it one by one."""
        for market in self._markets:
            self._socket.say(_text({"type": "subscribe", "market_id": market}))
            self._socket.say(_text({"type": "subscribe_marketdata", "market_id": market}))
        return _PING

    def take(self, text: str) -> None:
        """Read a frame and hand it on."""
        at = self._now()
        try:
            frame = parse_frame(text)
        except ProtocolViolation as violation:
            self._listener.on_violation(str(violation))
            self._socket.drop(f"the exchange broke its protocol: {violation}")
            return
        self.frames += 1
        self.unknown.update(frame.unknown)
        if frame.error is not None:
            self.errors[frame.error] += 1
        self._listener.on_frame(frame, text, at)

    def lost(self, why: str) -> None:
        """Hand it on."""
        self._listener.on_lost(why)

    def back(self) -> None:
        """Hand it on."""
        self._listener.on_back()


def _text(frame: object) -> str:
    return msgspec.json.encode(frame).decode()
