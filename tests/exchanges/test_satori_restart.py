"""kill -9 at SatoriEx: after the restart nothing unknown rests, nothing was sent twice, holdings are right (R13, V5).

An order has no id before its answer comes, and a fill is told after the balances show it: both make a restart harder
here than where orders are known by their hash.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from killing import Killing, Wanted, played
from satori_rehearsal import LIVELY, SatoriRehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.start import LAGS
from pmrun.runner.market import Outcome, TokenId
from pmrun.runner.units import SECOND

PLACE, CANCEL = "POST /api/v1/orders", "POST /api/v1/orders/"
FEED = lively_feed(3, 2, 100, 20.0)
TROUBLES = [
    {"fault": "lost_after_accept", "chance": 0.1, "where": {"path": "/api/v1/orders*", "method": "POST"}},
    {"fault": "lost_before", "chance": 0.1, "where": {"path": "/api/v1/orders*", "method": "POST"}},
    {"fault": "server_error", "chance": 0.05, "reached": "either", "where": {"path": "/api/v1/orders*"}},
]


class SatoriKilling(Killing):
    """Kills by what happens to orders, too."""

    told_within = 1  # seconds, in which news of a fill come

    def __init__(self, run: SatoriRehearsal) -> None:
        super().__init__(run)
        self._armed: tuple[str, int] = "", 0

    async def killed_at(self, name: str, times: int, seconds: float = 20) -> bool:
        """Kill at the n-th time that something happens."""
        self._armed = name, times
        return await self.until_killed(Wanted(times=0), seconds)

    def happens(self, name: str) -> None:
        """Learn that something happens in the present run."""
        armed, left = self._armed
        if name == armed and self.switch.killed_at is None and self.switch._run is not None:
            self._armed = armed, left - 1
            if left == 1:
                self.switch.killed_at = name
                self.switch._kill()

    def _unsettled(self) -> bool:
        """Whether news of a fill may be under way."""
        return any(trade.matched_at > self.run.now() - self.told_within * SECOND for trade in self.run.trades())

    async def killed_untold(self, seconds: float) -> bool:
        """Kill after an order was matched, and before anybody is told of it."""

        async def beside() -> None:
            while not self.run.trades():
                await trio.sleep(0.05)
            self.switch.killed_at = "matched"
            self.switch._kill()

        return await self.until_killed(Wanted(times=0), seconds, beside)

    def _tokens(self) -> Iterator[tuple[TokenId | None, TokenId | None]]:
        yield None, None
        for market in self.run.engine.markets:
            for outcome in Outcome:
                yield TokenId(f"{market.condition}-{outcome.lower()}"), market.token(outcome)

    def _sent(self, wanted: Wanted) -> int:
        if wanted.request == PLACE:
            return self.run.sent[PLACE]
        return super()._sent(wanted)


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SatoriKilling]:
    def prepared(script: list[dict[str, Any]] | None = None, **terms: Any) -> SatoriKilling:
        faults = Faults(read_script(script), 1) if script else None
        run = SatoriRehearsal(FEED, tmp_path, [*LIVELY, "log.file=OFF"], faults=faults, token=True, **terms)
        made = SatoriKilling(run)
        for name in ("answered", "fill_seen", "lost"):
            monkeypatch.setattr(OrderLife, name, _first(partial(made.happens, name), getattr(OrderLife, name)))
        return made

    return prepared


def _first(this: Callable[[], None], that: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        this()
        return that(*given)

    return both


def verified(killing: SatoriKilling) -> None:
    """Nothing to complain of, and the last run replays to the exchange's ledger."""
    assert killing.complaints == []
    assert killing.run.differences() == {}
    killing.run.engine.ledger.check()


def test_killed_while_a_call_or_its_answer_is_under_way_it_comes_back_knowing_everything(killing):
    run = killing()

    async def scene() -> None:
        for request, after in ((PLACE, 0.0), (PLACE, 0.03), (PLACE, 0.07), (CANCEL, 0.01), (CANCEL, 0.07)):
            while not await run.until_killed(Wanted(request=request, after=after), 15):
                pass
        await run.end(16)

    played(run, scene)
    verified(run)


def test_killed_with_the_news_read_and_not_written_it_comes_back_knowing_everything(killing):
    run = killing()

    async def scene() -> None:
        for moment in ("answered", "fill_seen"):
            while not await run.killed_at(moment, 1, 15):
                pass
        await run.end(16)

    played(run, scene)
    verified(run)


def test_killed_at_random_moments_amid_troubles_it_comes_back_knowing_everything(killing):
    run = killing(TROUBLES)
    random = Random("moments")

    async def scene() -> None:
        while run.kinds.total() < 4:
            await run.until_killed(Wanted(times=random.randint(1, 150)), 20)
        await run.end(40)

    played(run, scene)
    verified(run)


@pytest.mark.parametrize("late", [3, 20])
def test_a_fill_that_the_balances_hold_at_the_start_is_not_counted_again_when_it_is_told(killing, late):
    """One told soon is waited for; where it takes long, its order is cancelled and never adopted (V2)."""
    run = killing([{"fault": "late_fill", "at": 0, "for": 26, "by": late}])
    run.told_within = late + 1

    async def scene() -> None:
        assert await run.killed_untold(40)
        await run.end(late + 25)

    played(run, scene)
    verified(run)
    if late < LAGS / SECOND:
        assert run.run.adapter.accounting.counts["share_differences"] == 0


def test_an_order_that_arrives_only_after_the_restart_is_known_and_cancelled(killing):
    run = killing()
    rehearsal = run.run
    leaves = rehearsal._request_left

    def slowly(name: str) -> None:
        leaves(name)
        slow = name == PLACE and rehearsal.runs == 1
        rehearsal.network._request_latency = 4.0 if slow else 0.05

    rehearsal._request_left = slowly

    async def scene() -> None:
        assert await run.until_killed(Wanted(request=PLACE, after=0.01), 20)
        await run.end(30)

    played(run, scene)
    verified(run)
    assert rehearsal.adapter.life.counts["orders_of_before"] > 0


def test_a_fill_told_long_after_it_was_taken_over_as_a_holding_counts_once(killing):
    run = killing([{"fault": "late_fill", "at": 0, "for": 25, "by": 30}]).run
    summary = run.together(seconds=75.0)
    assert any(remark.startswith("live: share differences") for remark in summary["remarks"])
    assert any(remark.startswith("live: fills taken over before") for remark in summary["remarks"])
    assert summary["fills"]["count"] == len(run.trades()) > 0
    assert summary["may_rest"] == []
    assert summary["oddities"] == {}
    assert run.differences() == {}
