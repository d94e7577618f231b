"""The parts of the PnL sum to the wallet's change, to the last unit, whatever a day brings (P8, issue 5)."""

from collections.abc import Sequence
from copy import copy
from random import Random
from typing import Any

from hypothesis import event, given
from msgspec.structs import replace
from tapes import QUEUES, SEEDS, SETTINGS, compositions, papers, tapes

from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, FundsSeen, HoldingSeen, Merged, Settled, each
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Intent
from pmrun.runner.market import Outcome
from pmrun.runner.orders import Settlement
from pmrun.runner.pnl import Pnl
from pmrun.runner.pnl_ledger import UNITS_PER_CASH
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import Cash, Size

SHARE = 1_000_000


class Troubled:
    """An exchange on which settlements fail, early or late, and money and shares come and go from elsewhere."""

    def __init__(self, inner: Any, desk: Desk, chance: Random) -> None:
        self._inner, self._desk, self._chance = inner, desk, chance
        self.happened: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def due(self, at: Any) -> list[Fact]:
        return [other for fact in self._inner.due(at) for other in self._troubled(fact)]

    def _troubled(self, fact: Fact) -> list[Fact]:
        chance = self._chance
        if type(fact) is Settled and chance.random() < 0.3:
            self.happened.add("failed")
            fact = replace(fact, status=Settlement.FAILED)
        if type(fact) in (Settled, Merged) and chance.random() < 0.1:
            return [fact, fact]  # told twice
        found = [fact]
        if chance.random() < 0.05:
            self.happened.add("transfer")
            total = self._desk.account.funds.total + chance.randint(-3_000_000, 5_000_000)
            found.insert(chance.randint(0, 1), FundsSeen(fact.at, Cash(max(0, total))))
        if chance.random() < 0.05:
            self.happened.add("shares")
            no, outcome = chance.choice(list(self._desk.markets)), chance.choice(list(Outcome))
            size = Size(chance.randint(0, 50 * SHARE))
            found.append(HoldingSeen(fact.at, no, outcome, size, Cash(chance.randint(0, size))))
        return found


class Checked:
    """Looks at the parts after every step."""

    takes_together = True

    def __init__(self, desk: Desk) -> None:
        self.pnl, self.facts = Pnl(desk), list[Fact]()

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        self.facts += each(fact)
        self.pnl.record(fact, intents)
        found = self.pnl.result()
        assert found.complaints == ()
        assert found.unexplained == 0

    def close(self) -> None:
        pass


def a_day(data, build, settings, paper, queue, chance):
    hooks = Hooks(build())
    desk = Desk(hooks, settings)
    exchange = Troubled(paper.open(data, queue, hooks.depth, not settings.gated), desk, chance)
    checked = Checked(desk)
    for _ in Simulation(desk, exchange, [checked], "over").run():
        pass
    for what in exchange.happened:
        event(what)
    return desk, checked


days = given(tapes(), compositions(), SETTINGS, papers(), QUEUES, SEEDS.map(Random))


@days
def test_the_parts_sum_to_the_wallets_change_after_every_step(data, build, settings, paper, queue, chance):
    """And to what is realised and not, where no shares came from elsewhere, whose cost the exchange makes up."""
    desk, checked = a_day(data, build, settings, paper, queue, chance)
    event(f"fills: {min(3, len(desk.account.fills))}")
    found, account = checked.pnl.result(), desk.account
    if not any(isinstance(fact, HoldingSeen) for fact in checked.facts):
        unrealised = sum(desk.value(no, inventory) - inventory.cost for no, inventory in account.markets())
        assert found.total == (account.realised + unrealised) * UNITS_PER_CASH
        assert found.parts.fees == -account.fees * UNITS_PER_CASH


@days
def test_one_unit_that_is_nowhere_recorded_is_found(data, build, settings, paper, queue, chance):
    desk, checked = a_day(data, build, settings, paper, queue, chance)
    account = desk.account
    account.funds.total += 1
    assert not checked.pnl.result().closes
    account.funds.total -= 1
    for no, inventory in account.markets():
        for outcome in Outcome:
            inventory.of(outcome).confirmed += 1
            assert not checked.pnl.result().closes
            inventory.of(outcome).confirmed -= 1
        ledger = checked.pnl._ledgers.get(no)
        if ledger and ledger._mark is not None:
            for name in ledger._parts.__struct_fields__:
                kept = copy(ledger._parts)
                ledger._add(name, 1)
                assert not checked.pnl.result().closes
                ledger._parts = kept
    assert checked.pnl.result().closes
