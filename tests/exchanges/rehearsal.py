"""A live run against the embedded exchange in this process, on a virtual clock: the real protocol, no sockets.

The same seed gives the same session: who runs first, what is drawn, and what goes wrong.
"""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import trio
from eth_account import Account
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import OrderView, TradeView
from pmrun.plugins.exchanges.embedded.timeline import moved
from pmrun.plugins.exchanges.polymarket.exchange import PolymarketExchange
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.book import Book
from pmrun.runner.compose import compose_config
from pmrun.runner.desk import Desk
from pmrun.runner.journal import End, Header, as_fact, read_journal
from pmrun.runner.live import run_live
from pmrun.runner.market import Outcome
from pmrun.runner.ports import FeedData
from pmrun.runner.progress import Progress
from pmrun.runner.replay import replay
from pmrun.runner.runs import read_yaml
from pmrun.runner.stopping import Stop
from pmrun.runner.timings import Timings
from pmrun.runner.units import SECOND, Cash, Micros

KEY = "0x" + "5e" * 32
WALLET = str(Account.from_key(KEY).address)
ADDRESSES = [
    "feed.clob_url=http://memory",
    "feed.gamma_url=http://memory",
    "feed.data_url=http://memory",
    "feed.geoblock_url=http://memory",
    "feed.socket_url=ws://memory",
]
ARMED = ["exchange=live", "live.armed=true", "live.max_order_usd=10000", "live.max_resting_usd=100000"]
# Limits that would end a session for hours, and a risk that waits for minutes, out of the way: orders are to flow.
LIVELY = [
    "strategy=reward_mm",
    *ARMED,
    "report=none",
    "log.console=OFF",
    "~risk.volatility",
    "universe.max_markets=0",
    "risk.daily_loss.max_loss=100000",
    "risk.drawdown.max_drawdown=100000",
    "risk.error_rate.max_errors=100000",
    "risk.order_rate.max_requests=100000",
]

# At the touch, whatever stands behind it: everything that trades trades with us.
AT_THE_TOUCH = ["pricing=maker_follow", "~risk.cliff", "~risk.protection_size", "~risk.hedge_protection"]


def lively_feed(seed: int, markets: int, seconds: float, speed: float) -> FeedData:
    """Return simulated markets in which so many seconds of trading happen in one."""
    length = int((seconds + 120) * speed)
    composed = _composed(("strategy=reward_mm", f"feed.markets={markets}", f"feed.length={length}", f"seed={seed}"))
    data = cast(Any, plan(deepcopy(composed)).feed).open()
    return moved(data, data.info.first_at, speed)


@contextmanager
def same_again(seed: int) -> Iterator[None]:
    """Let everything inside happen as the seed says: trio's choice of who runs first, and the salts of orders."""
    run, draw = trio._core._run, secrets.randbits
    before = run._ALLOW_DETERMINISTIC_SCHEDULING
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    secrets.randbits = Random(f"salts {seed}").getrandbits
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING, secrets.randbits = before, draw


@lru_cache(maxsize=32)
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return dict(compose_config(list(overrides)))


def planned(overrides: list[str], account_folder: Path) -> Plan:
    """Return a fresh plan; composing is what takes the time, so it is done once."""
    config = deepcopy(_composed(tuple(overrides)))
    if "account_folder" in config["executor"]:
        config["executor"]["account_folder"] = str(account_folder)
    return plan(config)


class Gate(httpx.AsyncBaseTransport):
    """One run's way to the exchange; once shut, nothing passes."""

    def __init__(self, network: MemoryNetwork, sent: Callable[[str], None]) -> None:
        self._network = network
        self._inner = network.transport()
        self._sent = sent
        self.open = True
        self.broken: set[str] = set()  # calls whose connection breaks, by method and path

    def shut(self) -> None:
        """Break all connections; what has left still arrives."""
        self.open = False
        self._network.cut()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        if not self.open:
            raise httpx.ConnectError("connection refused", request=request)
        name = f"{request.method} {request.url.path}"
        self._sent(name)
        if name in self.broken:
            raise httpx.ReadError("the connection broke", request=request)
        return await self._inner.handle_async_request(request)

    async def connect(self, url: str) -> WebSocketConnection:
        """Open a socket."""
        if not self.open:
            raise ConnectionRefusedError("connection refused")
        return await self._network.connect(url)


class _Watched:
    """An executor whose exchange is looked at from outside."""

    def __init__(self, executor: Any, seen: Callable[[PolymarketExchange], None]) -> None:
        self._executor = executor
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    @asynccontextmanager
    async def attach(self, *given: Any) -> AsyncIterator[PolymarketExchange]:
        async with self._executor.attach(*given) as exchange:
            self._seen(exchange)
            yield exchange


@dataclass
class Rehearsal:
    """What a run is made of, kept to be looked at afterwards."""

    data: FeedData
    folder: Path
    overrides: list[str]
    faults: Faults | None = None
    settings: HostSettings = HostSettings(funds=Cash(5_000_000_000))
    request_latency: Micros = Micros(50_000)
    answer_latency: Micros = Micros(50_000)
    lead: float = 5.0  # seconds before the first row at which the run begins
    seed: int = 1
    runs: int = 0
    engine: Engine = field(init=False)
    host: Host = field(init=False)
    network: MemoryNetwork = field(init=False)
    exchange: PolymarketExchange | None = field(init=False, default=None)  # the adapter of the last run
    gate: Gate = field(init=False)  # the last run's
    bare: int = 0  # seconds in which nothing of ours rested
    sent: Counter[str] = field(init=False, default_factory=Counter)  # requests that left, by method and path

    def __post_init__(self) -> None:
        self.engine = Engine(self.data.markets, seed=self.seed)
        self.state = self.folder / "state"
        self.request_sent = trio.Event()
        self._start: float | None = None

    def now(self) -> Micros:
        """The exchange's time, and the run's: virtual."""
        since = 0.0 if self._start is None else trio.current_time() - self._start
        return Micros(int(self.data.info.first_at + (since - self.lead) * SECOND))

    async def open(self, nursery: trio.Nursery) -> None:
        """Open the exchange."""
        self._start = trio.current_time()
        self.host = Host(self.engine, self.now, Crowd(self.engine, self.data), self.faults, self.settings, self.seed)
        self.network = MemoryNetwork(self.host, self.request_latency, self.answer_latency)
        await nursery.start(self.network.run)
        nursery.start_soon(self._count_bare_seconds)

    async def _count_bare_seconds(self) -> None:
        while True:
            await trio.sleep(1)
            self.bare += not self.resting()

    async def run(self, *more: str, stop: Stop | None = None) -> dict[str, Any]:
        """Run once to its end; return the summary."""
        self.runs += 1
        directory = self.last_run()
        directory.mkdir(parents=True)
        overrides = [*self.overrides, *ADDRESSES, *more]
        made = planned(overrides, self.state)
        made = made._replace(executor=_Watched(made.executor, self._attached))  # type: ignore[arg-type]
        self.gate = Gate(self.network, self._request_left)
        self.exchange = None
        async with httpx.AsyncClient(transport=self.gate, timeout=None) as http:
            rng = Random(f"waits {self.seed} {self.runs}")
            object.__setattr__(made.feed, "_network", Network(http, self.gate.connect, rng))
            return dict(
                await run_live(
                    made,
                    directory,
                    overrides,
                    Progress(False),
                    stop or Stop(),
                    Timings(False),
                    lambda: None,
                    self.now,
                )
            )

    def _request_left(self, name: str) -> None:
        self.sent[name] += 1
        self.request_sent.set()
        self.request_sent = trio.Event()

    def _attached(self, exchange: PolymarketExchange) -> None:
        self.exchange = exchange

    # What there is to see afterwards.

    def wallet(self) -> str:
        """The address that trades."""
        return WALLET

    def api_key(self) -> str:
        """The API key that the exchange knows us by."""
        keys = {order.ticket.api_key for order in self.engine._floor.orders.values() if order.ticket.wallet == WALLET}
        return min(keys, default="")

    def placed(self) -> list[OrderView]:
        """Every order of ours that the exchange ever took."""
        return [
            order.view(self.engine.markets[order.market])
            for order in self.engine._floor.orders.values()
            if order.ticket.wallet == WALLET
        ]

    def resting(self) -> list[str]:
        """The ids of our orders that rest at the exchange."""
        return [order_id for order_id, order in self.engine._floor.resting.items() if order.ticket.wallet == WALLET]

    def trades(self) -> list[TradeView]:
        """Our trades, by the exchange."""
        return self.engine.trades(self.api_key())

    def last_run(self) -> Path:
        """The directory of the last run."""
        return self.folder / f"run-{self.runs}"

    def desk(self) -> Desk:
        """The desk as it was at the end, by replaying every fact of the last run; raises where an intent differs."""
        directory = self.last_run()
        replay(directory)
        made = plan(read_yaml(directory, "config.yaml"))
        desk = made.desk("again")
        for line in read_journal(directory):
            first = line.entries[0]
            if not isinstance(first, (Header, End)):
                desk.handle(as_fact(first, lambda entry: Book()))
        return desk

    def differences(self) -> dict[str, tuple[int, int]]:
        """What the runner's books and the exchange's ledger do not agree on, to the last base unit."""
        desk = self.desk()
        found = {"cash": (int(desk.account.funds.total), self.engine.balance(WALLET, None))}
        numbers = {state.terms.condition: no for no, state in desk.markets.items()}
        for market in self.engine.markets:
            for outcome in Outcome:
                no = numbers.get(market.condition)
                ours = 0 if no is None else int(desk.markets[no].inventory.of(outcome).held)
                found[f"{market.slug} {outcome}"] = ours, self.engine.balance(WALLET, market.token(outcome))
        return {name: pair for name, pair in found.items() if pair[0] != pair[1]}

    # Running.

    def play(self, scene: Callable[[], Awaitable[Any]], instruments: tuple[trio.abc.Instrument, ...] = ()) -> Any:
        """Open the exchange and play a scene with it, on a virtual clock and by the seed; return what it returns."""

        async def whole() -> Any:
            async with trio.open_nursery() as nursery:
                await self.open(nursery)
                answer = await scene()
                nursery.cancel_scope.cancel()
            return answer

        with same_again(self.seed):
            return trio.run(whole, clock=MockClock(autojump_threshold=0), instruments=instruments)

    def together(self, *more: str, seconds: float = 60.0) -> dict[str, Any]:
        """Run exchange and strategy to the end."""
        summary: Mapping[str, Any] = self.play(lambda: self.run(f"feed.stop_after={seconds}", *more))
        return dict(summary)
