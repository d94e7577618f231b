"""Live, the parts of the PnL close to the exchange's own ledger: faults, failed settlements, money from elsewhere."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, WALLET, Rehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.runner.market import Outcome
from pmrun.runner.units import Cash

SEED, SECONDS = 4, 60.0
DEPOSIT = Cash(7_654_321)
SCRIPT = [
    {"fault": "ghost_fill", "every": 9},
    {"fault": "retrying_trade", "every": 8},
    {"fault": "duplicate", "every": 7, "by": 2, "where": {"channel": "user"}},
    {"fault": "delay", "every": 25, "for": 4, "by": 2, "where": {"channel": "user"}},
    {"fault": "disconnect", "every": 31, "burst": 1, "where": {"channel": "user"}},
    {"fault": "resolved", "at": 45},
]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)


def exact(amount: float) -> Decimal:
    """What the summary wrote, digit by digit."""
    return Decimal(str(amount))


def worth(run: Rehearsal) -> Decimal:
    """Cash by the exchange's ledger, and its shares at the desk's last marks, rounded down market by market."""
    desk = run.desk()
    total = run.engine.balance(WALLET, None)
    for market in run.engine.markets:
        state = next(state for state in desk.markets.values() if state.terms.condition == market.condition)
        shares = {outcome: run.engine.balance(WALLET, market.token(outcome)) for outcome in Outcome}
        if any(shares.values()):
            twice = shares[Outcome.YES] * state.mark + shares[Outcome.NO] * (20_000 - state.mark)
            total += twice // 20_000
    return Decimal(total) / 1_000_000


def test_the_parts_of_a_live_session_sum_to_what_the_exchange_says(key: None, tmp_path: Path) -> None:
    faults = Faults(read_script(SCRIPT), SEED)
    run = Rehearsal(lively_feed(SEED, 3, SECONDS, 20), tmp_path, [*LIVELY, *AT_THE_TOUCH], faults, seed=SEED)
    before = Decimal(run.settings.funds) / 1_000_000

    async def scene() -> dict[str, Any]:
        async with trio.open_nursery() as nursery:

            async def somebody_pays_in() -> None:
                await trio.sleep(SECONDS / 6)
                run.engine.deposit(WALLET, DEPOSIT, run.now())

            nursery.start_soon(somebody_pays_in)
            return await run.run(f"feed.stop_after={SECONDS}")
        raise AssertionError

    summary = run.play(scene)
    pnl, wallet = summary["pnl_usd"], summary["wallet_usd"]
    assert summary["fills"]["count"] >= 3
    assert summary["fills"]["failed"] > 0
    assert pnl["complaints"] == []
    assert run.differences() == {}
    assert sum(map(exact, pnl["parts"].values())) == exact(pnl["total"])
    assert exact(wallet["transfers"]) == Decimal(DEPOSIT) / 1_000_000
    assert worth(run) == before + exact(wallet["transfers"]) + exact(pnl["total"])
    for market in summary["pnl_by_market"].values():
        assert sum(map(exact, market["parts"].values())) == exact(market["total"])
