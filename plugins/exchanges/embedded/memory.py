"""The network between a client and the embedded exchange in one process: memory streams on trio's clock."""

import heapq
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from math import inf
from urllib.parse import parse_qs, urlsplit

import httpx
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)

from pmrun.plugins.exchanges.embedded.links import Link
from pmrun.plugins.exchanges.embedded.outbox import TEXT_ONLY, Outbox
from pmrun.plugins.exchanges.embedded.ports import Exchange, Query
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import SECOND, Micros

HANDSHAKE = 10.0  # seconds the exchange waits for the opening of a socket
LARGEST_FRAME = 1 << 25  # bytes; the books of a full subscription may come as one array
FRAMES_READ_AHEAD = 64
BYTES_READ_AT_ONCE = 1 << 16


class MemoryNetwork:
    """Carries requests and sockets to a host; what is sent arrives in the order in which it was sent.

    A request that has left arrives, whether or not its caller still waits (O7). `request_latency` is what it takes to
    get there and `answer_latency` what its answer takes to come back; frames leave as the host says (news latency).
    """

    def __init__(self, host: Exchange, request_latency: Micros = Micros(0), answer_latency: Micros = Micros(0)) -> None:
        """Take the host; nothing moves before `run`."""
        self.refuse_connections = False
        self._host = host
        self._request_latency = request_latency / SECOND
        self._answer_latency = answer_latency / SECOND
        self._travelling: list[tuple[float, int, Callable[[], None]]] = []
        self._sent = count()
        self._bell = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._links: set[Link] = set()
        self._calls: set[_Call] = set()
        self._frozen = False
        self._silent = False

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Carry everything, and wake the host when it wants to be woken, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._host.wake = self._ring
            task_status.started()
            try:
                while True:
                    self._arrive()
                    due = self._host.pump()
                    self._bell = trio.Event()
                    with trio.move_on_at(self._next(due)):
                        await self._bell.wait()
            finally:
                self._nursery = None
                nursery.cancel_scope.cancel()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for httpx that leads to the host."""
        return _Transport(self)

    async def connect(self, url: str) -> WebSocketConnection:
        """Open a socket; raises what a real network raises: ConnectionRefusedError, ConnectionRejected."""
        place = urlsplit(url)
        if self.refuse_connections:
            raise ConnectionRefusedError(f"connection refused: {url}")
        if place.path not in self._host.socket_paths:
            raise ConnectionRejected(404, (), b"")
        link = Link(frozen=self._frozen)
        self._links.add(link)
        nursery = self._running()
        query = parse_qs(place.query, keep_blank_values=True)
        nursery.start_soon(self._serve_socket, link, place.path, query)
        try:
            opened = await nursery.start(_hold_client, link, place.netloc, place.path)
        except BaseException:
            link.cut()
            raise
        assert isinstance(opened, WebSocketConnection)
        return opened

    def cut(self) -> None:
        """Break every connection without a word: no close frame, no answer; what has left still arrives."""
        for link in list(self._links):
            link.cut()
        for call in list(self._calls):
            call.fail(httpx.ReadError("the connection broke"))

    def freeze(self, requests: bool = False) -> None:
        """Let nothing pass through the sockets, in either direction; with `requests`, no request or answer either."""
        self._frozen, self._silent = True, requests
        for link in self._links:
            link.freeze()

    def thaw(self) -> None:
        """End a freeze: what was sent into the sockets meanwhile arrives; requests and answers stay lost."""
        self._frozen = self._silent = False
        for link in self._links:
            link.thaw()

    def _ring(self) -> None:
        self._bell.set()

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("the network is not running: start `run` first")
        return self._nursery

    def _next(self, due: Micros | None) -> float:
        """Return when the loop has to come round, on trio's clock."""
        soonest = self._travelling[0][0] if self._travelling else inf
        if due is None:
            return soonest
        # At least a base unit: a clock that rounds may wake us just before what is due.
        return min(soonest, trio.current_time() + max(due - self._host.now(), 1) / SECOND)

    def _arrive(self) -> None:
        """Do what has arrived by now, in the order in which it was sent."""
        now = trio.current_time()
        while self._travelling and self._travelling[0][0] <= now:
            heapq.heappop(self._travelling)[2]()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._travelling, (trio.current_time() + seconds, next(self._sent), action))
        self._ring()

    def _send(self, call: "_Call") -> None:
        self._running()
        self._calls.add(call)
        if not self._silent:
            self._after(self._request_latency, lambda: self._reach(call))

    def _reach(self, call: "_Call") -> None:
        reply = self._host.answer(call.request)
        if not (reply.lost or self._silent):
            self._after(reply.delay / SECOND + self._answer_latency, lambda: self._bring(call, reply))

    def _bring(self, call: "_Call", reply: Reply) -> None:
        if not self._silent:
            call.take(reply)

    def _forget(self, call: "_Call") -> None:
        self._calls.discard(call)

    async def _serve_socket(self, link: Link, path: str, query: Query) -> None:
        try:
            async with trio.open_nursery() as nursery:
                peer = None
                with trio.move_on_after(HANDSHAKE):
                    peer = await (await wrap_server_stream(nursery, link.server)).accept()
                if peer is not None:
                    await self._converse(peer, link, path, query)
                nursery.cancel_scope.cancel()
        finally:
            self._links.discard(link)
            link.server.close()

    async def _converse(self, peer: WebSocketConnection, link: Link, path: str, query: Query) -> None:
        outbox = Outbox()
        connection = self._host.connect(path, outbox.send, outbox.close, query)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._deliver, outbox, peer, link)
                while True:
                    said = await peer.get_message()
                    if isinstance(said, str):
                        connection.receive(said)
                    else:
                        outbox.close(TEXT_ONLY, "text frames only")
        except* ConnectionClosed:
            pass
        finally:
            connection.gone()

    async def _deliver(self, outbox: Outbox, peer: WebSocketConnection, link: Link) -> None:
        await outbox.deliver(peer.send_message, peer.aclose, link.server.close)


async def _hold_client(
    link: Link, host: str, path: str, *, task_status: "trio.TaskStatus[WebSocketConnection]" = trio.TASK_STATUS_IGNORED
) -> None:
    """Hold the reader of a client: what it breaks with ends its own socket and nothing else."""
    with suppress(ExceptionGroup):
        async with trio.open_nursery() as nursery:
            task_status.started(
                await wrap_client_stream(
                    nursery,
                    link.client,  # type: ignore[arg-type]
                    host,
                    path,
                    message_queue_size=FRAMES_READ_AHEAD,
                    max_message_size=LARGEST_FRAME,
                    receive_buffer_size=BYTES_READ_AT_ONCE,
                )
            )


class _Call:
    """One request under way, and what becomes of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.ended = trio.Event()
        self.reply: Reply | None = None
        self.error: httpx.TransportError | None = None

    def take(self, reply: Reply) -> None:
        if not self.ended.is_set():
            self.reply = reply
            self.ended.set()

    def fail(self, error: httpx.TransportError) -> None:
        if not self.ended.is_set():
            self.error = error
            self.ended.set()


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._network.refuse_connections:
            raise httpx.ConnectError("connection refused", request=request)
        call = _Call(await _as_asked(request))
        self._network._send(call)
        try:
            with trio.move_on_after(_read_timeout(request)):
                await call.ended.wait()
        finally:
            self._network._forget(call)
        if call.error is not None:
            raise call.error
        if call.reply is None:
            raise httpx.ReadTimeout("the answer did not come in time", request=request)
        return httpx.Response(call.reply.status, headers=dict(call.reply.headers), content=call.reply.body)


async def _as_asked(request: httpx.Request) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        query=parse_qs(request.url.query.decode("ascii"), keep_blank_values=True),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.aread(),
    )


def _read_timeout(request: httpx.Request) -> float:
    allowed = request.extensions.get("timeout", {}).get("read")
    return inf if allowed is None else float(allowed)
