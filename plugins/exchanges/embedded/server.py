"""The embedded exchange as a real server on loopback: REST and both sockets on one port."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from typing import Any
from urllib.parse import parse_qs

import msgspec
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, LifespanState
from starlette.requests import ClientDisconnect
from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.websockets import WebSocket

from pmrun.plugins.exchanges.embedded.address import parse_bind
from pmrun.plugins.exchanges.embedded.outbox import PATIENCE, TEXT_ONLY, UNREAD_FRAMES, Outbox
from pmrun.plugins.exchanges.embedded.ports import SOCKET_PATHS, Exchange, Socket
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros

GOING_AWAY = 1001
HOLD_LOST = 30.0  # seconds a connection is held open whose answer is lost


class Server(msgspec.Struct, frozen=True):
    """A running server: the address of each service."""

    clob: str
    gamma: str
    data: str
    ws_market: str
    ws_user: str
    geoblock: str
    satori: str
    satori_socket: str

    @property
    def urls(self) -> dict[str, str]:
        """Return the addresses by service."""
        return msgspec.structs.asdict(self)


async def serve(
    host: Exchange,
    bind: str = "127.0.0.1:0",
    *,
    pace: float = 1.0,
    hold_lost: float = HOLD_LOST,
    unread_frames: int = UNREAD_FRAMES,
    patience: float = PATIENCE,
    task_status: "trio.TaskStatus[Server]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; the peers of open sockets are then told (1001), and every connection is closed.

    `pace` is the exchange's seconds in one second of ours; `hold_lost` (seconds) is how long a connection stays open
    whose answer is lost; a peer may leave `unread_frames` before it is let go, and has `patience` (seconds) to take a
    close frame. Raises ConfigError when it cannot listen there, and whatever the host raises: an exchange that failed
    does not go on.
    """
    address = parse_bind(bind)
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        raise ConfigError("--bind", bind, f"cannot listen there: {error.strerror or error}") from None
    place = f"{_shown(address.host)}:{listeners[0].socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        gate = _Gate(host, pace, hold_lost, partial(Outbox, unread_frames, patience), patience)
        await nursery.start(gate.run, listeners)
        task_status.started(_server(place))
        try:
            await gate.failed.wait()
        finally:
            await gate.close()
    gate.raise_error()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _server(place: str) -> Server:
    web = f"http://{place}"
    return Server(
        clob=web,
        gamma=web,
        data=web,
        ws_market=f"ws://{place}{SOCKET_PATHS[0]}",
        ws_user=f"ws://{place}{SOCKET_PATHS[1]}",
        geoblock=f"{web}/api/geoblock",
        satori=f"{web}/api/v1",
        satori_socket=f"ws://{place}/ws",
    )


def _config() -> Config:
    config = Config()
    config.errorlog = None  # what goes wrong ends the server with its own error
    config.include_server_header = False
    config.keep_alive_max_requests = 2**62
    config.keep_alive_timeout = 75.0
    return config


class _Gate:
    """Takes connections, hands what they say to the host, and wakes the host when it wants to be woken."""

    def __init__(
        self, host: Exchange, pace: float, hold_lost: float, outbox: Callable[[], Outbox], patience: float
    ) -> None:
        self.failed = trio.Event()
        self._host = host
        self._pace = pace
        self._hold_lost = hold_lost
        self._outbox = outbox
        self._patience = patience
        self._error: Exception | None = None
        self._bell = trio.Event()
        self._streams: set[trio.SocketStream] = set()
        self._outboxes: set[Outbox] = set()
        self._all_said = trio.Event()
        self._scope = trio.CancelScope(shield=True)  # it ends when the goodbyes are said
        self._config = _config()
        self._context = WorkerContext(None)

    async def run(
        self, listeners: list[trio.SocketListener], *, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
    ) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump)
                await nursery.start(partial(trio.serve_listeners, self._connection, listeners))
                task_status.started()

    async def close(self) -> None:
        """Say goodbye to the sockets, then close every connection, whether or not its peer reads."""
        with trio.move_on_after(self._patience, shield=True):
            for outbox in self._outboxes:
                outbox.close(GOING_AWAY, "the simulated exchange stops")
            self._all_said = trio.Event()
            if self._outboxes:
                await self._all_said.wait()
        for stream in self._streams:
            stream.socket.close()  # hypercorn shields what it sends: only this ends it
        self._scope.cancel()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Keep an error of the host: hypercorn would only log it."""
        try:
            yield
        except Exception as error:
            self._error = self._error or error
            self.failed.set()
            raise

    async def _pump(self) -> None:
        self._host.wake = self._ring
        while not self.failed.is_set():
            due: Micros | None = None
            with suppress(Exception), self._noticing():
                due = self._host.pump()
            self._bell = trio.Event()
            with trio.move_on_after(inf if due is None else max(due - self._host.now(), 1) / SECOND / self._pace):
                await self._bell.wait()

    def _ring(self) -> None:
        self._bell.set()

    async def _connection(self, stream: trio.SocketStream) -> None:
        self._streams.add(stream)
        app = ASGIWrapper(partial(self._app, stream))
        try:
            # What a peer sends may be anything: it loses its connection by it, and nobody else does.
            with suppress(Exception):
                await TCPServer(app, self._config, self._context, ConnectionState(LifespanState({})), stream)  # type: ignore[arg-type]
        finally:
            self._streams.discard(stream)
            stream.socket.close()

    async def _app(self, stream: trio.SocketStream, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(WebSocket(scope, receive, send), stream)
        else:
            with suppress(ClientDisconnect):
                await self._serve_call(WebRequest(scope, receive), send, stream)

    async def _serve_call(self, asked: WebRequest, send: Any, stream: trio.SocketStream) -> None:
        request = await _as_asked(asked)
        with self._noticing():
            reply = self._host.answer(request)
        self._ring()
        await trio.sleep(reply.delay / SECOND / self._pace)
        if reply.lost:
            await trio.sleep(self._hold_lost)
            stream.socket.close()
            return
        response = Response(reply.body, reply.status, dict(reply.headers))
        await response(asked.scope, asked.receive, send)

    async def _serve_socket(self, peer: WebSocket, stream: trio.SocketStream) -> None:
        if peer.scope["path"] not in self._host.socket_paths:
            await peer.close()  # before it is accepted: refused with 403
            return
        await peer.accept()
        outbox = self._outbox()
        self._outboxes.add(outbox)
        try:
            await self._converse(peer, outbox, stream)
        finally:
            self._outboxes.discard(outbox)
            if not self._outboxes:
                self._all_said.set()

    async def _converse(self, peer: WebSocket, outbox: Outbox, stream: trio.SocketStream) -> None:
        with self._noticing():
            query = _query(peer.scope)
            connection = self._host.connect(peer.scope["path"], outbox.send, outbox.close, query)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(outbox.deliver, peer.send_text, peer.close, stream.socket.close)
                while (said := await peer.receive())["type"] == "websocket.receive":
                    if said.get("text") is None:
                        outbox.close(TEXT_ONLY, "text frames only")
                    else:
                        self._hear(connection, said["text"])
                nursery.cancel_scope.cancel()
        finally:
            connection.gone()
            self._ring()

    def _hear(self, connection: Socket, text: str) -> None:
        with self._noticing():
            connection.receive(text)
        self._ring()


def _query(scope: Any) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


async def _as_asked(asked: WebRequest) -> Request:
    return Request(
        method=asked.method,
        path=asked.scope["path"],
        query=_query(asked.scope),
        headers=dict(asked.headers),
        body=await asked.body(),
    )
