"""The embedded exchange as SatoriEx in this process: memory streams, a virtual clock, and traders who use it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriAccount, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.works import Flow
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size

URL, SOCKET = "http://satori/api/v1", "ws://satori/ws"
NOON = Micros(1_790_000_000_000_000)
BUY, SELL = 1, 2
YES, NO = TokenId("1001"), TokenId("1002")
RAIN = Market(
    condition=ConditionId("0x" + "01" * 32),
    question="Will it rain? (simulated)",
    slug="rain",
    yes=YES,
    no=NO,
    tick=Price(100),
    min_order_size=Size(5_000_000),
    simulated=True,
)
RAIN_YES, RAIN_NO = f"{RAIN.condition}-yes", f"{RAIN.condition}-no"
HOLDINGS = {YES: Size(500 * SHARE), NO: Size(500 * SHARE)}


def virtual_now() -> Micros:
    """Return the time of the exchange on trio's clock."""
    return Micros(NOON + round(trio.current_time() * SECOND))


class Trader:
    """One user: calls with a token, and a socket whose frames are kept with the time at which they came."""

    def __init__(self, account: SatoriAccount, network: MemoryNetwork) -> None:
        self.account = account
        self.user = account.user_id
        self.token = account.token
        self.heard: list[tuple[Micros, dict[str, Any]]] = []
        self.closed: int | None = None
        self._network = network
        self._web = httpx.AsyncClient(transport=network.transport(), base_url=URL, timeout=5.0)
        self.socket: WebSocketConnection | None = None

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Make a call with the token."""
        said = {
            "authorization": f"Bearer {self.token}",
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        return await self._web.request(method, URL + path, json=body, headers=said)

    async def get(self, path: str) -> Any:
        """Return what a read answers; it has to succeed."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def post(self, side: int, price: int, quantity: int, outcome: str = RAIN_YES) -> httpx.Response:
        """Place an order."""
        market = outcome.rpartition("-")[0]
        body = {"market_id": market, "outcome_id": outcome, "side": side, "price": price, "quantity": quantity}
        return await self.call("POST", "/orders", body)

    async def place(self, side: int, price: int, quantity: int, outcome: str = RAIN_YES) -> dict[str, Any]:
        """Place an order that is taken, and return it."""
        answer = await self.post(side, price, quantity, outcome)
        assert answer.status_code == 202, answer.text
        data = answer.json()["data"]
        assert data["trades"] == []
        return dict(data["order"])

    async def cancel(self, order_id: str) -> dict[str, Any]:
        """Cancel an order, and return it."""
        answer = await self.call("POST", f"/orders/{order_id}/cancel")
        assert answer.status_code == 202, answer.text
        return dict(answer.json()["data"])

    async def order(self, order_id: str) -> dict[str, Any]:
        """Return an order."""
        return dict(await self.get(f"/orders/{order_id}"))

    async def listen(self, nursery: trio.Nursery) -> None:
        """Open the socket, and keep what comes."""
        self.socket = await self._network.connect(f"{SOCKET}?token={self.token}")
        nursery.start_soon(self._hear, self.socket)
        await trio.sleep(0)

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        assert self.socket is not None
        await self.socket.send_message(json.dumps(frame))

    async def _hear(self, socket: WebSocketConnection) -> None:
        try:
            while True:
                frame = json.loads(await socket.get_message())
                self.heard.append((virtual_now(), frame))
        except ConnectionClosed as closed:
            self.closed = closed.reason.code if closed.reason is not None else 0

    def frames(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames of a kind, in order."""
        return [frame for _, frame in self.heard if frame["type"] == kind]

    def when(self, kind: str) -> list[Micros]:
        """Return when the frames of a kind came."""
        return [at for at, frame in self.heard if frame["type"] == kind]


class Scene:
    """The exchange, its network, and two traders with money and shares."""

    def __init__(self, host: SatoriHost, network: MemoryNetwork, nursery: trio.Nursery) -> None:
        self.host = host
        self.engine = host.engine
        self.network = network
        self.nursery = nursery
        self.anne = self.trader("anne")
        self.bob = self.trader("bob")

    def trader(self, name: str, **terms: Any) -> Trader:
        """Open an account."""
        wanted = {"funds": Cash(1_000_000_000), "holdings": HOLDINGS, **terms}
        return Trader(self.host.add_account(f"{name}@example.com", f"{name}'s password", **wanted), self.network)

    async def matched(self) -> None:
        """Wait until the queue has been matched and everything is told."""
        await trio.sleep(1)

    def trade(self, price: int, shares: int = 1) -> None:
        """Let the crowd trade with itself at a price of YES."""
        size, at = Size(shares * SHARE), virtual_now()
        self.engine.crowd_set(0, Side.SELL, Price(price), size, at)
        self.engine.crowd_take(0, Side.BUY, Price(price), size, at)
        self.host.pump()
        self.host.wake()


@asynccontextmanager
async def satori_exchange(
    script: Sequence[dict[str, Any]] = (),
    markets: Sequence[Market] = (RAIN,),
    crowd: Flow | None = None,
    seed: int = 0,
    faults: Faults | None = None,
    **settings: Any,
) -> AsyncIterator[Scene]:
    """Run the exchange; `script` is one of faults, `settings` those of SatoriSettings."""
    faults = Faults(read_script(list(script)), seed) if script else faults
    engine = Engine(markets, seed=seed, lot=SHARE)
    host = SatoriHost(Ground.of(engine, crowd), virtual_now, faults, SatoriSettings(**settings), seed)
    network = MemoryNetwork(host)
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        yield Scene(host, network, nursery)
        nursery.cancel_scope.cancel()
    engine.ledger.check()
