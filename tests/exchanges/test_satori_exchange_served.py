"""SatoriEx's protocol on real sockets, beside Polymarket's on one engine, and with all that can go wrong (V6)."""

import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import websockets.sync.client as peers
from msgspec.structs import replace
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, PartialCreateOrderOptions
from py_clob_client_v2.http_helpers import helpers
from satori_scene import BUY, HOLDINGS, NOON, RAIN, SELL, Trader, satori_exchange
from trio_websocket import open_websocket_url
from websockets.exceptions import ConnectionClosed as PeerClosed

from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_script import load_script, read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.joint import Joint
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.protocols import Speaks, addresses, lot_of, open_host
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE
from pmrun.plugins.exchanges.embedded.server import serve
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import Ticket
from pmrun.plugins.exchanges.embedded.timeline import moved
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size

KEY = "0x" + "11" * 32


def wall():
    return Micros(time.time_ns() // 1_000)


@asynccontextmanager
async def served(host):
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve, host))
        yield server
        nursery.cancel_scope.cancel()


def body_of(side, price, quantity, market=RAIN):
    condition = market.condition
    return {
        "market_id": condition,
        "outcome_id": f"{condition}-yes",
        "side": side,
        "price": price,
        "quantity": quantity,
    }


async def heard_until(socket, kind):
    """Read frames up to one of a kind, and return all of them."""
    frames = []
    while not frames or frames[-1]["type"] != kind:
        frames.append(json.loads(await socket.get_message()))
    return frames


async def test_an_order_is_taken_matched_and_told_over_real_sockets():
    engine = Engine([RAIN], lot=SHARE)
    host = SatoriHost(Ground.of(engine), wall)
    anne = host.add_account("anne@example.com", "secret", Cash(1_000_000_000))
    bob = host.add_account("bob@example.com", "secret", Cash(1_000_000_000), HOLDINGS)
    async with served(host) as server, httpx.AsyncClient() as web:
        signed_in = await web.post(f"{server.satori}/auth/login", json={"email": anne.email, "password": anne.password})
        token = signed_in.json()["data"]["access_token"]
        async with open_websocket_url(f"{server.satori_socket}?token={token}") as socket:
            assert (await heard_until(socket, "hello"))[0]["server_time"] // 1_000 == pytest.approx(time.time(), abs=5)
            for account, side in ((bob.token, SELL), (token, BUY)):
                answer = await web.post(
                    f"{server.satori}/orders",
                    json=body_of(side, 4000, 10),
                    headers={"authorization": f"Bearer {account}"},
                )
                assert (answer.status_code, answer.json()["data"]["trades"]) == (202, [])
            with trio.fail_after(5):
                frames = await heard_until(socket, "order_filled")
            assert [frame["type"] for frame in frames] == ["order_update", "wallet_changed", "order_filled"]
            assert frames[-1]["trade"]["quantity"] == 10
    engine.ledger.check()


async def test_a_socket_whose_token_expires_is_closed_with_4401_over_real_sockets():
    host = SatoriHost(Ground.of(Engine([RAIN], lot=SHARE)), wall)
    anne = host.add_account("anne@example.com", "secret", Cash(1_000_000_000))

    def closed_with(server, token):
        with (
            peers.connect(f"{server.satori_socket}?token={token}", proxy=None) as peer,
            pytest.raises(PeerClosed) as end,
        ):
            while True:
                if "hello" in peer.recv(timeout=5):
                    trio.from_thread.run_sync(host.expire_tokens)
        return end.value.rcvd.code

    async with served(host) as server:
        assert await trio.to_thread.run_sync(closed_with, server, "pat_nonsense") == 4401
        tokens = host.identity.login(anne.email, anne.password, None, wall())
        assert await trio.to_thread.run_sync(closed_with, server, tokens["access_token"]) == 4401


def joint_of(engine, now, crowd=None):
    return Joint(Ground.of(engine, crowd), now, HostSettings(funds=Cash(1_000_000_000)))


@pytest.fixture
def own_connections(monkeypatch):
    """Connections of the client as its authors ship it, closed when the test is over."""
    with httpx.Client() as web:
        monkeypatch.setattr(helpers, "_http_client", web)
        yield


async def test_both_protocols_trade_with_each_other_on_one_engine_over_real_sockets(own_connections):
    market = like(RAIN, "05", "4" * 76)
    engine = Engine([market], lot=SHARE)
    host = joint_of(engine, wall)
    anne = host.satori.add_account("anne@example.com", "secret", Cash(1_000_000_000))

    def other_half(url):
        client = ClobClient(url, 137, key=KEY)
        client.set_api_creds(client.create_or_derive_api_key())
        bids = client.get_order_book(market.yes)["bids"]
        order = OrderArgs(token_id=market.no, price=0.6, size=20, side="BUY")
        return bids, client.create_and_post_order(order, PartialCreateOrderOptions(tick_size="0.01"), order_type="GTC")

    async with served(host) as server, httpx.AsyncClient(headers={"authorization": f"Bearer {anne.token}"}) as web:
        async with open_websocket_url(f"{server.satori_socket}?token={anne.token}") as socket:
            await web.post(f"{server.satori}/orders", json=body_of(BUY, 4000, 20, market))
            with trio.fail_after(5):
                while (await heard_until(socket, "order_update"))[-1]["order"]["status"] != "open":
                    pass
            bids, placed = await trio.to_thread.run_sync(other_half, server.clob)
            assert [(float(level["price"]), float(level["size"])) for level in bids] == [(0.4, 20)]
            assert placed["status"] == "matched"
            with trio.fail_after(5):
                fill = (await heard_until(socket, "order_filled"))[-1]
        assert (fill["trade"]["quantity"], fill["trade"]["liquidity"]) == (20, "maker")
        assert fill["order"]["status"] == "filled"
        held = (await web.get(f"{server.satori}/me/positions")).json()["data"]
        assert [(row["outcome_id"], row["quantity"]) for row in held] == [(f"{market.condition}-yes", 20)]
    engine.ledger.check()


async def test_time_comes_in_order_whichever_protocol_is_called(autojump_clock):
    feed = Simulated(seed=3, markets=3, length=Micros(120 * SECOND)).open()
    start = feed.info.first_at

    def virtual():
        return Micros(start + round(trio.current_time() * SECOND))

    data = moved(feed, start)
    engine = Engine(data.markets, lot=SHARE)
    host = joint_of(engine, virtual, Crowd(engine, data))
    trader = Trader(host.satori.add_account("anne@example.com", "secret"), MemoryNetwork(host))
    async with trio.open_nursery() as nursery:
        await nursery.start(trader._network.run)
        await trader.listen(nursery)
        market = await trader._network.connect("ws://exchange/ws/market")
        await market.send_message(json.dumps({"type": "market", "assets_ids": [data.markets[0].yes]}))
        await trio.sleep(10)
        name = f"{data.markets[0].condition}-yes"
        for second in range(60):
            book = await trader.get(f"/orderbook/{data.markets[0].condition}/{name}")
            if second % 3 == 0:
                await trader.place(BUY, book["asks" if second % 2 else "bids"][0][0], 50, name)
            await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    engine.ledger.check()
    times = [entry.at for entry in engine.ledger.entries]
    assert times == sorted(times)
    assert trader.frames("order_filled")


def test_a_size_that_is_not_whole_is_refused_where_shares_are_whole():
    engine = Engine([RAIN], lot=SHARE)
    engine.deposit("0xanne", Cash(100_000_000), NOON)
    ticket = Ticket(
        order_id="1",
        wallet="0xanne",
        api_key="k",
        token=RAIN.yes,
        side=Side.BUY,
        price=Price(4000),
        size=Size(5_500_000),
    )
    assert "is not a multiple of 1" in engine.place(ticket, NOON).sentence


def test_a_crowd_that_shrinks_leaves_whole_shares_before_and_behind_us():
    engine = Engine([RAIN], lot=SHARE)
    engine.deposit("0xanne", Cash(100_000_000), NOON)
    price, size = Price(4000), Size(10 * SHARE)
    engine.crowd_set(0, Side.BUY, price, Size(5 * SHARE), NOON)
    engine.place(
        Ticket(order_id="1", wallet="0xanne", api_key="k", token=RAIN.yes, side=Side.BUY, price=price, size=size), NOON
    )
    engine.crowd_set(0, Side.BUY, price, Size(10 * SHARE), NOON)
    engine.crowd_set(0, Side.BUY, price, Size(7 * SHARE), NOON)
    engine.crowd_take(0, Side.SELL, price, Size(6 * SHARE), NOON)
    assert engine.order("1").matched == 3 * SHARE


def test_what_is_served_is_what_was_asked_for():
    urls = {"clob": "a", "satori": "b", "satori_socket": "c"}
    assert addresses(Speaks.POLYMARKET, urls) == {"clob": "a"}
    assert addresses(Speaks.SATORI, urls) == {"satori": "b", "satori_socket": "c"}
    assert addresses(Speaks.BOTH, urls) == urls
    assert (lot_of(Speaks.POLYMARKET), lot_of(Speaks.BOTH)) == (1, SHARE)
    engine = Engine([RAIN], lot=SHARE)
    opened = open_host(Speaks.SATORI, engine, Quiet(), wall, None, Cash(5_000_000), 0)
    (maker, taker) = opened.credentials()
    assert maker["simulated"] is True
    assert maker["personal_access_token"] != taker["personal_access_token"]
    assert engine.balance(maker["user_id"], None) == 5_000_000


class Quiet:
    """A crowd of nobody."""

    def next_at(self):
        return None

    def advance(self, until):
        pass


@pytest.mark.parametrize(
    ("speaks", "fault", "says"),
    [
        (Speaks.SATORI, "ghost_fill", "fault 1=ghost_fill: satori has one of freeze"),
        (Speaks.POLYMARKET, "late_fill", "fault 1=late_fill: polymarket has one of freeze"),
        (Speaks.BOTH, "gap", "faults need one protocol"),
    ],
)
def test_a_fault_of_the_other_protocol_is_refused_before_anything_starts(speaks, fault, says):
    engine = Engine([RAIN])
    faults = Faults(read_script([{"fault": fault, "at": 1}]))
    with pytest.raises(ConfigError, match=says):
        open_host(speaks, engine, Quiet(), wall, faults, Cash(1), 0)


class Clumsy(Trader):
    """A trader who quotes, cancels, signs in again and listens again, whatever goes wrong."""

    def __init__(self, account, network, nursery):
        super().__init__(account, network)
        self.nursery, self.errors = nursery, Counter()

    async def renew(self):
        await self.attempt("POST", "/auth/login", {"email": self.account.email, "password": self.account.password})

    async def attempt(self, method, path, body=None):
        try:
            answer = await self.call(method, path, body)
        except httpx.TimeoutException:
            self.errors["lost"] += 1
            return None
        self.errors[answer.status_code] += 1
        if answer.status_code == 401:
            await self.renew()
        if not answer.headers["content-type"].endswith("json"):
            return None
        data = answer.json()["data"]
        if isinstance(data, dict) and "access_token" in data:
            self.token = data["access_token"]
        return data

    async def trade(self, market, price, side, rounds):
        for turn in range(rounds):
            if self.closed is not None or not self.heard:
                self.closed = None
                await self.listen(self.nursery)
            order = {"market_id": market, "outcome_id": f"{market}-yes", "side": side, "price": price, "quantity": 3}
            placed = await self.attempt("POST", "/orders", order)
            await trio.sleep(4)
            await self.attempt("GET", "/orders?status=active")
            if placed and turn % 3 == 0:
                await self.attempt("POST", f"/orders/{placed['order']['id']}/cancel")
            await trio.sleep(4)


async def test_half_an_hour_under_everything_leaves_orders_and_the_ledger_right(autojump_clock):
    markets = [RAIN, like(RAIN, "02", "2001"), like(RAIN, "03", "3001")]
    script = load_script("satori")
    async with satori_exchange(markets=markets, faults=Faults(script, 4)) as scene:
        traders = [Clumsy(scene.trader(f"t{n}").account, scene.network, scene.nursery) for n in range(4)]
        async with trio.open_nursery() as nursery:
            for number, trader in enumerate(traders):
                nursery.start_soon(trader.renew)
                market = markets[number // 2].condition
                nursery.start_soon(trader.trade, market, 5000, (BUY, SELL)[number % 2], 180)
        await trio.sleep(30)
        for trader in traders:
            trader.token = trader.account.token
            for row in (await trader.get("/orders?status=active&page_size=100"))["items"]:
                view = scene.engine.order(row["id"])
                assert (row["filled_quantity"], view.status) == (view.matched // SHARE, "LIVE")
        assert sum(trader.errors[202] for trader in traders) > 400
        never = {fault.name.value for fault in script} - {name for name, times in scene.host.fired.items() if times}
        assert never == set()


def like(market, digits, first):
    """Return the same market under other ids."""
    condition = "0x" + digits * 32
    return replace(market, condition=condition, slug=f"rain-{digits}", yes=first, no=str(int(first) + 1))
