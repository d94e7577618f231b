"""A live run against the embedded exchange in this process, on a virtual clock: the real protocol, no sockets."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from trio.testing import MockClock

from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.host import Host, HostSettings
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.polymarket.live_markets import Network
from pmrun.runner.assembly import plan
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
ADDRESSES = [
    "feed.clob_url=http://memory",
    "feed.gamma_url=http://memory",
    "feed.data_url=http://memory",
    "feed.geoblock_url=http://memory",
    "feed.socket_url=ws://memory",
]
ARMED = ["exchange=live", "live.armed=true", "live.max_order_usd=10000", "live.max_resting_usd=100000"]


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
    runs: int = 0
    engine: Engine = field(init=False)
    host: Host = field(init=False)
    network: MemoryNetwork = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.data.markets, seed=1)
        self._start: float | None = None

    def now(self) -> Micros:
        """The exchange's time, and the run's: virtual."""
        since = 0.0 if self._start is None else trio.current_time() - self._start
        return Micros(int(self.data.info.first_at + (since - self.lead) * SECOND))

    async def open(self, nursery: trio.Nursery) -> None:
        """Open the exchange."""
        self._start = trio.current_time()
        self.host = Host(
            self.engine, self.now, Crowd(self.engine, self.data), self.faults, self.settings
        )
        self.network = MemoryNetwork(self.host, self.request_latency, self.answer_latency)
        await nursery.start(self.network.run)

    async def run(self, *more: str, stop: Stop | None = None) -> dict[str, Any]:
        """Run once to its end; return the summary."""
        self.runs += 1
        directory = self.folder / f"run-{self.runs}"
        directory.mkdir(parents=True)
        overrides = [*self.overrides, *ADDRESSES, *more]
        overrides.append(f"executor.account_folder={self.folder / 'state'}")
        made = plan(compose_config(overrides))
        async with httpx.AsyncClient(transport=self.network.transport(), timeout=None) as http:
            object.__setattr__(made.feed, "_network", Network(http, self.network.connect))
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

    def wallet(self) -> str:
        """The address that trades."""
        from eth_account import Account

        return str(Account.from_key(KEY).address)

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
        desk, wallet = self.desk(), self.wallet()
        found = {"cash": (int(desk.account.funds.total), self.engine.balance(wallet, None))}
        numbers = {state.terms.condition: no for no, state in desk.markets.items()}
        for market in self.engine.markets:
            for outcome in Outcome:
                no = numbers.get(market.condition)
                ours = 0 if no is None else int(desk.markets[no].inventory.of(outcome).held)
                found[f"{market.slug} {outcome}"] = ours, self.engine.balance(wallet, market.token(outcome))
        return {name: pair for name, pair in found.items() if pair[0] != pair[1]}

    def together(self, *more: str, seconds: float = 60.0) -> dict[str, Any]:
        """Run exchange and strategy on a virtual clock, to the end."""

        async def both() -> dict[str, Any]:
            async with trio.open_nursery() as nursery:
                await self.open(nursery)
                summary = await self.run(f"feed.stop_after={seconds}", *more)
                nursery.cancel_scope.cancel()
            return summary

        return trio.run(both, clock=MockClock(autojump_threshold=0))
