"""A run against the embedded exchange with SatoriEx's protocol, in this process and on a virtual clock."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import trio
from rehearsal import Gate, Rehearsal, _Watched, lively_feed, planned

from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.memory import MemoryNetwork
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriAccount, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.terms import OrderView
from pmrun.plugins.exchanges.satori.exchange import SatoriExchange
from pmrun.plugins.exchanges.satori.terms import Satori
from pmrun.runner.live import run_live
from pmrun.runner.market import Outcome
from pmrun.runner.progress import Progress
from pmrun.runner.stopping import Stop
from pmrun.runner.timings import Timings
from pmrun.runner.units import Cash

__all__ = ["SatoriRehearsal", "lively_feed"]

EMAIL, PASSWORD = "anne@example.com", "anne's password"
ADDRESSES = ["feed.url=http://memory/api/v1", "feed.socket_url=ws://memory/ws"]
ARMED = ["exchange=satori", "live.armed=true", "live.max_order_usd=10000", "live.max_resting_usd=100000"]
# At the touch of a few markets, with nothing that would end a session: orders are to flow.
LIVELY = [
    "strategy=level_mm",
    "pricing.level=1",
    "sizing.shares=20",
    *ARMED,
    "report=none",
    "log.console=OFF",
    "+requote=on_deviation",
    "requote.min_rest=5",
    "risk.daily_loss.max_loss=100000",
    "risk.drawdown.max_drawdown=100000",
    "risk.error_rate.max_errors=100000",
    "risk.order_rate.max_requests=100000",
]


@dataclass
class SatoriRehearsal(Rehearsal):
    """What a run is made of, kept to be looked at afterwards."""

    terms: SatoriSettings = SatoriSettings()
    token: bool = False  # a personal access token in the place of a login
    account: SatoriAccount = field(init=False)

    def __post_init__(self) -> None:
        self.data = Satori().data(self.data)
        self.engine = Engine(self.data.markets, seed=self.seed, lot=SHARE)
        self.state = self.folder / "state"
        self.request_sent = trio.Event()
        self._start: float | None = None

    async def open(self, nursery: trio.Nursery) -> None:
        """Open the exchange, and an account there."""
        self._start = trio.current_time()
        ground = Ground.of(self.engine, Crowd(self.engine, self.data))
        self.satori = SatoriHost(ground, self.now, self.faults, self.terms, self.seed)
        self.account = self.satori.add_account(EMAIL, PASSWORD, Cash(5_000_000_000))
        said = (
            {"SATORI_TOKEN": self.account.token} if self.token else {"SATORI_EMAIL": EMAIL, "SATORI_PASSWORD": PASSWORD}
        )
        for name in ("SATORI_TOKEN", "SATORI_EMAIL", "SATORI_PASSWORD", "SATORI_TOTP"):
            os.environ.pop(name, None)
        os.environ |= said
        self.network = MemoryNetwork(self.satori, self.request_latency, self.answer_latency)
        await nursery.start(self.network.run)
        nursery.start_soon(self._count_bare_seconds)

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
            summary: Mapping[str, Any] = await run_live(
                made, directory, overrides, Progress(False), stop or Stop(), Timings(False), lambda: None, self.now
            )
            return dict(summary)

    @property
    def adapter(self) -> SatoriExchange:
        """The adapter of the last run."""
        assert isinstance(self.exchange, SatoriExchange)
        return self.exchange

    def wallet(self) -> str:
        """Who trades."""
        return self.account.user_id

    def api_key(self) -> str:
        """Who trades."""
        return self.account.user_id

    def placed(self) -> list[OrderView]:
        """Every order of ours that the exchange ever took."""
        mine = self.account.user_id
        return [
            order.view(self.engine.markets[order.market])
            for order in self.engine._floor.orders.values()
            if order.ticket.wallet == mine
        ]

    def resting(self) -> list[str]:
        """The ids of our orders that rest at the exchange."""
        mine = self.account.user_id
        return [each for each, order in self.engine._floor.resting.items() if order.ticket.wallet == mine]

    def differences(self) -> dict[str, tuple[int, int]]:
        """What the runner's books and the exchange's ledger do not agree on, to the last base unit."""
        desk = self.desk()
        mine = self.account.user_id
        found = {"cash": (int(desk.account.funds.total), self.engine.balance(mine, None))}
        numbers = {state.terms.condition: no for no, state in desk.markets.items()}
        for market in self.engine.markets:
            for outcome in Outcome:
                no = numbers.get(market.condition)
                ours = 0 if no is None else int(desk.markets[no].inventory.of(outcome).held)
                found[f"{market.slug} {outcome}"] = ours, self.engine.balance(mine, market.token(outcome))
        return {name: pair for name, pair in found.items() if pair[0] != pair[1]}
