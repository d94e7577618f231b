"""The networks in front of the embedded exchange: in memory on a virtual clock, and real sockets on loopback."""

import json
import socket
import threading
import time
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import pytest
import trio
import websockets.sync.client as peers
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import ApiCreds, OrderArgs, PartialCreateOrderOptions
from py_clob_client_v2.exceptions import PolyApiException
from trio_websocket import ConnectionClosed, ConnectionRejected
from websockets.exceptions import ConnectionClosed as PeerClosed
from websockets.exceptions import InvalidStatus

from pmrun.plugins.exchanges.embedded.address import parse_bind
from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.outbox import Outbox
from pmrun.plugins.exchanges.embedded.ports import SOCKET_PATHS
from pmrun.plugins.exchanges.embedded.server import serve
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import Reply
from pmrun.plugins.exchanges.embedded.timeline import moved
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros, parse_cash

MARKET = "ws://exchange/ws/market"
URL = "http://exchange"


def millis(number):
    return Micros(number * 1_000)


class Peer:
    """One socket of the stand-in: it echoes, and says what was said to it."""

    def __init__(self, host, path, send, close):
        self.host, self.path, self.send, self.close = host, path, send, close
        self.heard, self.went = [], 0

    def receive(self, text):
        self.heard.append(text)
        self.send("PONG" if text == "PING" else text)

    def gone(self):
        self.went += 1


class StandIn:
    """A host without an exchange: it notes what arrives and when, and answers as it is told to."""

    def __init__(self):
        self.wake = lambda: None
        self.socket_paths = SOCKET_PATHS
        self.calls, self.peers, self.pumped, self.due = [], [], [], []
        self.reply = Reply(body=b'{"ok":true}', headers={"content-type": "application/json"})

    def now(self):
        return Micros(round(trio.current_time() * SECOND))

    def answer(self, request):
        self.calls.append((self.now(), request))
        return self.reply

    def connect(self, path, send, close, query):
        self.peers.append(Peer(self, path, send, close))
        return self.peers[-1]

    def pump(self):
        now = self.now()
        self.pumped.append(now)
        while self.due and self.due[0][0] <= now:
            self.due.pop(0)[1]()
        return self.due[0][0] if self.due else None

    def later(self, at, action):
        self.due.append((at, action))
        self.due.sort(key=lambda each: each[0])
        self.wake()


@asynccontextmanager
async def running(host, **latencies):
    network = MemoryNetwork(host, **latencies)
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        yield network
        nursery.cancel_scope.cancel()


def client_of(network, timeout=5.0):
    return httpx.AsyncClient(transport=network.transport(), base_url=URL, timeout=timeout)


# In memory.


async def test_a_request_arrives_after_its_latency_and_its_answer_takes_its_own(autojump_clock):
    host = StandIn()
    host.reply = Reply(status=201, body=b"{}", headers={"x-said": "yes"}, delay=millis(30))
    async with (
        running(host, request_latency=millis(10), answer_latency=millis(5)) as network,
        client_of(network) as web,
    ):
        begin = host.now()
        answer = await web.post("/order?a=1&a=2&b=", content=b"body", headers={"POLY_ADDRESS": "0x1"})
        assert host.now() - begin == millis(45)
    assert (answer.status_code, answer.headers["x-said"], answer.content) == (201, "yes", b"{}")
    ((at, request),) = host.calls
    assert at - begin == millis(10)
    assert (request.method, request.path, request.body) == ("POST", "/order", b"body")
    assert request.query == {"a": ["1", "2"], "b": [""]}
    assert request.headers["poly_address"] == "0x1"


async def test_requests_of_one_moment_arrive_in_the_order_in_which_they_were_sent(autojump_clock):
    host, sent = StandIn(), []

    async def ask(web, number):
        sent.append(f"/{number}")
        await web.get(f"/{number}")

    async with (
        running(host, request_latency=millis(10)) as network,
        client_of(network) as web,
        trio.open_nursery() as nursery,
    ):
        for number in range(30):
            nursery.start_soon(ask, web, number)
        await trio.sleep(1)
    assert [request.path for _, request in host.calls] == sent


async def test_a_request_that_has_left_arrives_though_its_caller_gave_up(autojump_clock):
    host = StandIn()
    async with running(host, request_latency=millis(500)) as network, client_of(network) as web:
        with trio.move_on_after(0.1) as given_up:
            await web.post("/order")
        assert given_up.cancelled_caught
        assert host.calls == []
        await trio.sleep(1)
        assert [request.path for _, request in host.calls] == ["/order"]


@pytest.mark.parametrize("reply", [Reply(lost=True), Reply(delay=Micros(6 * SECOND))])
async def test_a_lost_or_late_answer_is_a_time_out_of_the_caller_after_the_order_was_taken(autojump_clock, reply):
    host = StandIn()
    host.reply = reply
    async with running(host) as network, client_of(network, timeout=4.0) as web:
        begin = host.now()
        with pytest.raises(httpx.ReadTimeout):
            await web.post("/order")
        assert host.now() - begin == 4 * SECOND
        assert len(host.calls) == 1
        await trio.sleep(60)


async def test_a_refused_connection_reaches_nobody(autojump_clock):
    host = StandIn()
    async with running(host) as network, client_of(network) as web:
        network.refuse_connections = True
        with pytest.raises(httpx.ConnectError):
            await web.get("/time")
        with pytest.raises(ConnectionRefusedError):
            await network.connect(MARKET)
        network.refuse_connections = False
        assert (await web.get("/time")).json() == {"ok": True}
        with pytest.raises(ConnectionRejected):
            await network.connect("ws://exchange/ws/nothing")
    assert len(host.calls) == 1


async def test_the_host_is_woken_when_something_is_due_and_when_it_calls(autojump_clock):
    host, happened = StandIn(), []
    async with running(host):
        begin = host.now()
        host.later(Micros(begin + 86_400 * SECOND), lambda: happened.append(host.now() - begin))
        host.later(Micros(begin + 3 * SECOND), lambda: happened.append(host.now() - begin))
        await trio.sleep(100_000)
        assert happened == [3 * SECOND, 86_400 * SECOND]
        assert len(host.pumped) < 10


async def test_frames_pass_both_ways_and_a_peer_that_leaves_is_gone_once(autojump_clock):
    host = StandIn()
    async with running(host) as network:
        user = await network.connect("ws://exchange/ws/user")
        await user.send_message("PING")
        assert await user.get_message() == "PONG"
        (peer,) = host.peers
        for number in range(500):
            peer.send(str(number))
        assert [await user.get_message() for _ in range(500)] == [str(number) for number in range(500)]
        await user.aclose()
        await trio.sleep(1)
        assert (peer.path, peer.heard, peer.went) == ("/ws/user", ["PING"], 1)


async def test_the_exchange_can_close_a_socket_with_a_code(autojump_clock):
    host = StandIn()
    async with running(host) as network:
        market = await network.connect(MARKET)
        host.peers[0].send("last")
        host.peers[0].close(1012, "restart")
        assert await market.get_message() == "last"
        with pytest.raises(ConnectionClosed) as closed:
            await market.get_message()
        assert (closed.value.reason.code, closed.value.reason.reason) == (1012, "restart")
        await trio.sleep(2)
        assert host.peers[0].went == 1


async def test_a_cut_breaks_sockets_and_answers_but_what_had_left_arrives(autojump_clock):
    host, failed = StandIn(), []

    async def ask(web):
        try:
            await web.post("/order")
        except httpx.ReadError as error:
            failed.append(error)

    async with running(host, request_latency=millis(100)) as network, client_of(network) as web:
        market = await network.connect(MARKET)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, web)
            await trio.sleep(0.05)
            network.cut()
        assert len(failed) == 1
        with pytest.raises(ConnectionClosed) as closed:
            await market.get_message()
        assert closed.value.reason.code == 1006
        await trio.sleep(1)
        assert host.peers[0].went == 1
        assert len(host.calls) == 1
        again = await network.connect(MARKET)
        await again.send_message("PING")
        assert await again.get_message() == "PONG"


async def test_a_frozen_socket_says_nothing_and_stays_open_until_it_thaws(autojump_clock):
    host = StandIn()
    async with running(host) as network, client_of(network) as web:
        market = await network.connect(MARKET)
        network.freeze()
        await market.send_message("PING")
        host.peers[0].send("book")
        with trio.move_on_after(3600) as waited:
            await market.get_message()
        assert waited.cancelled_caught
        assert host.peers[0].heard == []
        assert (await web.get("/book")).json() == {"ok": True}
        with trio.move_on_after(5) as handshake:
            await network.connect(MARKET)
        assert handshake.cancelled_caught
        network.thaw()
        assert [await market.get_message(), await market.get_message()] == ["book", "PONG"]


async def test_a_freeze_of_everything_swallows_requests_too(autojump_clock):
    host = StandIn()
    async with running(host) as network, client_of(network) as web:
        network.freeze(requests=True)
        with pytest.raises(httpx.ReadTimeout):
            await web.get("/time")
        network.thaw()
        await web.get("/time")
        assert len(host.calls) == 1


async def test_a_client_that_does_not_read_is_let_go_and_its_frames_with_it(autojump_clock):
    host = StandIn()
    async with running(host) as network:
        market = await network.connect(MARKET)
        (peer,) = host.peers
        for _ in range(300):
            for _ in range(100):
                peer.send("x" * 1_000)
            await trio.sleep(0.01)
        await trio.sleep(5)
        assert peer.went == 1
        with pytest.raises(ConnectionClosed):
            for _ in range(20_000):
                await market.get_message()


async def test_a_client_that_reads_again_in_time_hears_that_it_was_too_slow(autojump_clock):
    outbox, sent, closed = Outbox(limit=3), [], []
    for number in range(10):
        outbox.send(str(number))
        assert len(outbox) <= 3

    async def send(text):
        sent.append(text)

    async def close(code, reason):
        closed.append((code, reason))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.deliver, send, close, nursery.cancel_scope.cancel)
    assert sent == []
    assert closed == [(1008, "3 frames were not read")]


# Real sockets.


@asynccontextmanager
async def served(host, **settings):
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve, host, **settings))
        yield server
        nursery.cancel_scope.cancel()


def blocking(work, *arguments):
    return trio.to_thread.run_sync(work, *arguments)


async def test_rest_and_both_sockets_share_one_port_and_reach_one_host():
    host = StandIn()
    async with served(host) as server:
        assert server.urls["gamma"] == server.urls["data"] == server.clob
        assert server.ws_market.startswith("ws://127.0.0.1:")
        async with httpx.AsyncClient(base_url=server.clob) as web:
            answer = await web.request("DELETE", "/orders?a=%2F&b=", content=b'["0x1"]', headers={"POLY_API_KEY": "k"})
        assert answer.json() == {"ok": True}
        assert answer.headers["content-type"] == "application/json"
        ((_, request),) = host.calls
        assert (request.method, request.path, request.query) == ("DELETE", "/orders", {"a": ["/"], "b": [""]})
        assert (request.headers["poly_api_key"], request.body) == ("k", b'["0x1"]')

        def converse(url):
            with peers.connect(url, proxy=None) as peer:
                peer.send("PING")
                return peer.recv(timeout=1)

        assert await blocking(converse, server.ws_market) == "PONG"
        assert await blocking(converse, server.ws_user) == "PONG"
        assert [peer.path for peer in host.peers] == ["/ws/market", "/ws/user"]
        with pytest.raises(InvalidStatus):
            await blocking(converse, server.clob.replace("http", "ws") + "/ws/other")


async def test_frames_leave_a_real_socket_when_they_are_due():
    host = StandIn()
    async with served(host) as server:

        def listen():
            with peers.connect(server.ws_market, proxy=None) as peer:
                opened.set()
                return [peer.recv(timeout=2) for _ in range(2)]

        opened, heard = threading.Event(), []

        async def listening():
            heard.extend(await blocking(listen))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listening)
            await blocking(opened.wait)
            (peer,) = host.peers
            host.later(Micros(host.now() + millis(40)), lambda: peer.send("second"))
            host.later(Micros(host.now() + millis(20)), lambda: peer.send("first"))
        assert heard == ["first", "second"]


async def test_a_lost_answer_leaves_the_caller_with_a_broken_connection():
    host = StandIn()
    host.reply = Reply(lost=True)
    async with served(host, hold_lost=0.05) as server, httpx.AsyncClient(base_url=server.clob) as web:
        with pytest.raises(httpx.RemoteProtocolError):
            await web.post("/order")
        assert len(host.calls) == 1
        host.reply = Reply(body=b"{}")
        assert (await web.get("/time")).status_code == 200


async def test_a_stopping_server_says_so_and_waits_for_nobody_who_does_not_read():
    host, heard = StandIn(), []

    def listen(url):
        with peers.connect(url, proxy=None) as peer:
            opened.set()
            try:
                peer.recv(timeout=2)
            except PeerClosed as closed:
                heard.append((closed.rcvd.code, closed.rcvd.reason))

    opened = threading.Event()
    with trio.fail_after(2):
        async with trio.open_nursery() as nursery, served(host, patience=0.15) as server:
            deaf = await deaf_peer(server.ws_market)
            nursery.start_soon(blocking, listen, server.ws_user)
            await blocking(opened.wait)
            for _ in range(200):
                host.peers[0].send("x" * 100_000)
            await trio.sleep(0.05)
    deaf.close()
    assert heard == [(1001, "the simulated exchange stops")]
    assert [peer.went for peer in host.peers] == [1, 1]


async def deaf_peer(url):
    """A peer that opens a socket and never reads."""
    place = url.removeprefix("ws://").partition("/")
    host, _, port = place[0].rpartition(":")
    raw = socket.create_connection((host, int(port)))
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    raw.sendall(
        f"GET /{place[2]} HTTP/1.1\r\nHost: {place[0]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await trio.sleep(0.05)
    return raw


async def test_a_real_client_that_does_not_read_is_let_go():
    host = StandIn()
    async with served(host, unread_frames=100, patience=0.1) as server:
        deaf = await deaf_peer(server.ws_market)
        (peer,) = host.peers
        with trio.fail_after(2):
            while not peer.went:
                for _ in range(50):
                    peer.send("x" * 100_000)
                await trio.sleep(0.01)
        deaf.close()


async def test_an_exchange_that_fails_does_not_go_on():
    class Broken(StandIn):
        def answer(self, request):
            raise LookupError("the ledger does not sum to zero")

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="sum to zero")):
        async with served(Broken()) as server, httpx.AsyncClient(base_url=server.clob) as web:
            with suppress(httpx.TransportError):
                await web.get("/time")
            await trio.sleep(1)


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "192.168.1.7:80", "example.org:80", ":80", "80", "[::]:1"])
def test_nothing_but_loopback_is_served(bind):
    with pytest.raises(ConfigError, match="must be on loopback"):
        parse_bind(bind)


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "localhost:x"])
def test_a_bind_names_a_port(bind):
    with pytest.raises(ConfigError):
        parse_bind(bind)


async def test_a_port_that_is_taken_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot listen there"):
            await serve(StandIn(), bind)


async def test_what_a_peer_gets_wrong_costs_only_its_own_connection():
    host = StandIn()
    async with served(host) as server:
        place = server.clob.removeprefix("http://").rpartition(":")
        for bytes_sent in (b"\xff\xfe\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /order HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection((place[0], int(place[2]))) as raw:
                raw.sendall(bytes_sent)
        async with httpx.AsyncClient(base_url=server.clob) as web:
            assert json.loads((await web.get("/time")).content) == {"ok": True}


# The real exchange behind real sockets, and the client as its authors ship it.

KEY = "0x" + "11" * 32


@pytest.fixture(scope="module")
def feed():
    """A minute of simulated markets."""
    return Simulated(seed=3, markets=3, length=Micros(60 * SECOND)).open()


def wall():
    return Micros(time.time_ns() // 1_000)


def exchange_on(feed, now, faults=None):
    data = moved(feed, now())
    engine = Engine(data.markets)
    return Host(engine, now, Crowd(engine, data), faults, HostSettings(funds=parse_cash("100")))


def trade_with(url, market):
    """What a client does in one session; returns what it was told."""
    client = ClobClient(url, 137, key=KEY)
    client.set_api_creds(client.create_or_derive_api_key())
    tick = client.get_tick_size(market.yes)
    book = client.get_order_book(market.yes)
    price = min(float(level["price"]) for level in book["bids"])
    order = OrderArgs(token_id=market.yes, price=price, size=20, side="BUY")
    placed = client.create_and_post_order(order, PartialCreateOrderOptions(tick_size=tick), order_type="GTC")
    resting = [each["id"] for each in client.get_open_orders()]
    beat = client.post_heartbeat()["heartbeat_id"]
    again = client.post_heartbeat(beat)["heartbeat_id"]
    canceled = client.cancel_orders([placed["orderID"]])["canceled"]
    return placed, resting, beat, again, canceled, client.get_open_orders()


async def test_the_unmodified_client_trades_against_the_server(feed):
    host = exchange_on(feed, wall)
    async with served(host) as server:
        placed, resting, beat, again, canceled, left = await blocking(trade_with, server.clob, host.engine.markets[0])
    assert (placed["success"], placed["status"]) == (True, "live")
    assert resting == canceled == [placed["orderID"]]
    assert beat
    assert again != beat
    assert left == []
    host.engine.ledger.check()


async def test_a_tampered_call_is_refused_in_the_exchanges_words_over_real_sockets(feed):
    host = exchange_on(feed, wall)

    def tamper(url):
        client = ClobClient(url, 137, key=KEY)
        creds = client.create_or_derive_api_key()
        client.set_api_creds(ApiCreds(creds.api_key, "A" * 43 + "=", creds.api_passphrase))
        with pytest.raises(PolyApiException) as refused:
            client.get_open_orders()
        return refused.value

    async with served(host) as server:
        refused = await blocking(tamper, server.clob)
    assert refused.status_code == 401
    assert refused.error_msg == {"error": "Unauthorized/Invalid api key"}


async def test_an_independent_peer_hears_the_book_and_the_order_of_another(feed):
    host = exchange_on(feed, wall)
    market = host.engine.markets[0]

    def listen(server):
        with peers.connect(server.ws_market, proxy=None) as peer:
            peer.send(json.dumps({"type": "market", "assets_ids": [market.yes]}))
            books = json.loads(peer.recv(timeout=1))
            peer.send("PING")
            trade_with(server.clob, market)
            heard = [peer.recv(timeout=1)]
            while "PONG" not in heard or not any('"size":"0"' in frame or "price_change" in frame for frame in heard):
                heard.append(peer.recv(timeout=1))
            return books, heard

    async with served(host) as server:
        books, heard = await blocking(listen, server)
    assert [(book["event_type"], book["asset_id"]) for book in books] == [("book", market.yes)]
    assert [float(level["price"]) for level in books[0]["bids"]] == sorted(
        float(level["price"]) for level in books[0]["bids"]
    )
    assert "PONG" in heard


async def test_both_networks_lead_to_the_same_exchange_with_the_same_answers(feed, autojump_clock):
    start = feed.info.first_at

    def virtual():
        return Micros(start + round(trio.current_time() * SECOND))

    host = exchange_on(feed, virtual)
    token = host.engine.markets[0].yes
    async with running(host) as network, client_of(network) as web:
        await trio.sleep(30)
        market = await network.connect(MARKET)
        await market.send_message(json.dumps({"type": "market", "assets_ids": [token]}))
        (seen,) = json.loads(await market.get_message())
        book = (await web.get("/book", params={"token_id": token})).json()
        assert (seen["bids"], seen["asks"], seen["hash"]) == (book["bids"], book["asks"], book["hash"])
        await trio.sleep(25)
    host.engine.ledger.check()
