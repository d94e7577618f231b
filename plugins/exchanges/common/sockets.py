"""One socket that is kept: the text keepalive, deadlines, and a new one with jittered delays when it is lost."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import NoReturn, Protocol
from urllib.parse import urlsplit

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import ProtocolError

from pmrun.runner.errors import ConfigError

Connect = Callable[[str], Awaitable[WebSocketConnection]]

PING, PONG = "PING", "PONG"
# What a connection may break with; the last one when it is written to while it closes.
BROKEN = (
    ConnectionClosed,
    HandshakeError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    ProtocolError,
)
LARGEST_FRAME = 1 << 25  # bytes; the books of a full subscription may come as one array of some megabytes
_FRAMES_READ_AHEAD = 64
_BYTES_READ_AT_ONCE = 1 << 16
_MOST_UNSENT = 256


@dataclass(frozen=True, slots=True)
class Pace:
    """When a socket pings, when it is given up and when it is tried again, in seconds (reference 5.1)."""

    ping_every: float = 10.0
    pong_within: float = 30.0
    connect_within: float = 10.0
    close_within: float = 1.0
    shortest_delay: float = 0.25
    longest_delay: float = 30.0
    steady_after: float = 60.0  # a connection that lasted so long starts the delays anew

    def __post_init__(self) -> None:
        """Refuse times that cannot work together."""
        if not 0 < self.ping_every < self.pong_within:
            raise ValueError("ping_every must be above 0 and below pong_within")
        if not 0 < self.shortest_delay <= self.longest_delay:
            raise ValueError("shortest_delay must be above 0 and at most longest_delay")
        if min(self.connect_within, self.close_within, self.steady_after) <= 0:
            raise ValueError("connect_within, close_within and steady_after must be above 0")

    def delay(self, failures: int, rng: Random) -> float:
        """Return how long to wait after so many failures in a row: full jitter, twice the range each time."""
        return rng.uniform(self.shortest_delay, min(self.longest_delay, self.shortest_delay * 2 ** min(failures, 20)))


class Owner(Protocol):
    """Whoever a socket is kept for; nothing of it may block."""

    def hello(self) -> str:
        """Return what is sent first on every connection: the subscription."""

    def take(self, text: str) -> None:
        """Take a frame; it may call `drop`."""

    def lost(self, why: str) -> None:
        """Learn that nothing comes any more: once for each outage, also for one before the first connection."""

    def back(self) -> None:
        """Learn that the exchange has answered on a new connection, before its first frame is taken."""


def dialer(nursery: trio.Nursery) -> Connect:
    """Return what opens real sockets; their readers run in the nursery and never break it."""

    async def connect(url: str) -> WebSocketConnection:
        found: WebSocketConnection | Exception = await nursery.start(_read_until_it_ends, url)
        if isinstance(found, Exception):
            raise found
        return found

    return connect


async def _read_until_it_ends(
    url: str, task_status: trio.TaskStatus[WebSocketConnection | Exception] = trio.TASK_STATUS_IGNORED
) -> None:
    """Hold the stream and the reader of one connection: a refused handshake is raised in it, and must end nobody else.

    The stream is ours: the library does not close one whose peer went first.
    """
    opened = False
    try:
        async with await _open_stream(url) as stream, trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery,
                stream,
                urlsplit(url).netloc,
                urlsplit(url)._replace(scheme="", netloc="").geturl() or "/",
                message_queue_size=_FRAMES_READ_AHEAD,
                max_message_size=LARGEST_FRAME,
                receive_buffer_size=_BYTES_READ_AT_ONCE,
            )
            opened = True
            task_status.started(socket)
    except* BROKEN as errors:
        if not opened:
            task_status.started(_first(errors))


async def _open_stream(url: str) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigError("url", url, "must begin with ws:// or wss:// and name a host")
    if parts.scheme == "ws":
        return await trio.open_tcp_stream(parts.hostname, parts.port or 80)
    return await trio.open_ssl_over_tcp_stream(parts.hostname, parts.port or 443, https_compatible=True)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, Exception)
    return first


class KeptSocket:
    """One subscription that survives its connections: it reads, pings, gives up and connects anew until cancelled."""

    def __init__(self, url: str, connect: Connect, owner: Owner, rng: Random, pace: Pace) -> None:
        """Connect to nothing yet."""
        self.up = False  # whether the exchange has answered on the present connection
        self.connections = 0
        self._url = url
        self._connect = connect
        self._owner = owner
        self._rng = rng
        self._pace = pace
        self._scope = trio.CancelScope()
        self._why = ""
        self._told_lost = False
        self._up_since = math.inf
        self._answered = 0.0
        self._unsent: trio.MemorySendChannel[str] | None = None

    async def run(self) -> NoReturn:
        """Keep the socket until cancelled."""
        failures = 0
        while True:
            why = await self._one_connection()
            steady = trio.current_time() - self._up_since >= self._pace.steady_after
            failures = 1 if steady else failures + 1
            self._say_lost(why)
            await trio.sleep(self._pace.delay(failures, self._rng))

    def drop(self, why: str) -> None:
        """Give up the present connection; a new one follows."""
        self._why = self._why or why
        self._scope.cancel()

    def say(self, text: str) -> None:
        """Send a frame on the present connection; without one there is no need, for `hello` says it all."""
        if self._unsent is None:
            return
        try:
            self._unsent.send_nowait(text)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self.drop("the exchange does not take what we send")

    def _say_lost(self, why: str) -> None:
        self.up = False
        self._up_since = math.inf
        if not self._told_lost:
            self._told_lost = True
            self._owner.lost(why)

    def _say_back(self) -> None:
        if not self.up:
            self.up = True
            self._told_lost = False
            self._up_since = trio.current_time()
            self._owner.back()

    async def _one_connection(self) -> str:
        """Live one connection; return why it ended."""
        self._why = ""
        with trio.CancelScope() as self._scope:
            try:
                with trio.fail_after(self._pace.connect_within):
                    socket = await self._connect(self._url)
            except trio.TooSlowError:
                return f"no connection within {self._pace.connect_within:g} s"
            except BROKEN as error:
                return f"cannot connect: {_said(error)}"
            self.connections += 1
            try:
                await self._converse(socket)
            finally:
                self._unsent = None
                with trio.move_on_after(self._pace.close_within, shield=True):
                    await socket.aclose()
        return self._why

    async def _converse(self, socket: WebSocketConnection) -> None:
        self._answered = trio.current_time()
        self._unsent, unsent = trio.open_memory_channel[str](_MOST_UNSENT)
        self.say(self._owner.hello())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, socket, unsent)
            nursery.start_soon(self._ping)
            nursery.start_soon(self._give_up_when_silent)
            await self._read(socket)

    async def _read(self, socket: WebSocketConnection) -> None:
        try:
            while True:
                message = await socket.get_message()
                text = message if isinstance(message, str) else message.decode("utf-8", "replace")
                self._say_back()
                if text == PONG:
                    self._answered = trio.current_time()
                else:
                    self._owner.take(text)
        except BROKEN as error:
            self.drop(_said(error))

    async def _write(self, socket: WebSocketConnection, unsent: trio.MemoryReceiveChannel[str]) -> None:
        """Write everything, one after the other: a frame that was begun is never cut by a deadline."""
        try:
            async for text in unsent:
                await socket.send_message(text)
        except BROKEN as error:
            self.drop(_said(error))

    async def _ping(self) -> None:
        while True:
            self.say(PING)
            await trio.sleep(self._pace.ping_every)

    async def _give_up_when_silent(self) -> None:
        """Wait until the exchange has owed us a PONG for too long; a write that hangs is found so, too."""
        limit = self._pace.pong_within
        while (left := self._answered + limit - trio.current_time()) > 0:
            await trio.sleep(left)
        self.drop(f"no PONG within {limit:g} s")


class OnSocket:
    """What lives on one kept socket: others ask it, run it and give its connection up."""

    _socket: KeptSocket

    @property
    def up(self) -> bool:
        """Whether the exchange answers on the present connection."""
        return self._socket.up

    @property
    def connections(self) -> int:
        """How many connections there were."""
        return self._socket.connections

    async def run(self) -> None:
        """Keep the socket until cancelled."""
        await self._socket.run()

    def reconnect(self, why: str) -> None:
        """Give up the connection; the listener hears when the next one answers."""
        self._socket.drop(why)


def _said(error: Exception) -> str:
    match error:
        case ConnectionRejected():
            return f"refused with status {error.status_code}"
        case ConnectionClosed():
            reason = error.reason
            return f"closed with code {reason.code} {reason.reason or reason.name}" if reason else "closed"
        case _:
            return " ".join(f"{type(error).__name__}: {error}".split())
