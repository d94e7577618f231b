"""kill -9 at any moment: after the restart nothing unknown rests, nothing was sent twice, holdings are right."""

from pathlib import Path

import pytest
from killing import TROUBLES, Killing, Wanted, played, random_moments
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, Rehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults

SEED = 3
ORDERS = ("trading.", "looking.", "heart.", "account.connected", "exchange.")


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    feed = lively_feed(SEED, 3, 900, 6)
    faults = Faults(read_script(TROUBLES), SEED)
    return Killing(Rehearsal(feed, tmp_path, [*LIVELY, *AT_THE_TOUCH, "log.file=OFF"], faults, seed=SEED))


def test_killed_at_random_moments_it_comes_back_knowing_everything(killing: Killing) -> None:
    wanted = random_moments(12, SEED, checked=False)
    played(killing, lambda: killing.rounds(wanted, 20, 20))
    assert killing.complaints == []
    assert killing.kinds.total() >= 10


def test_killed_at_every_await_on_the_order_path_it_comes_back_knowing_everything(killing: Killing) -> None:
    async def scene() -> None:
        await killing.until_killed(None, 25)
        kinds = [kind for kind in killing.switch.seen if any(word in kind for word in ORDERS)]
        await killing.rounds([Wanted(kind=kind) for kind in kinds], 20, 20)

    played(killing, scene)
    assert killing.complaints == []
