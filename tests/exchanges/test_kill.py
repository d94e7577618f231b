"""kill -9, at any moment: after the restart nothing rests that nobody knows, nothing was sent twice, holdings are right."""

from pathlib import Path

import pytest
from killing import TROUBLES, Killing, Wanted, played, random_moments
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, Rehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults

SEED = 3


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    feed = lively_feed(SEED, 3, 900, 6)
    faults = Faults(read_script(TROUBLES), SEED)
    return Killing(Rehearsal(feed, tmp_path, [*LIVELY, *AT_THE_TOUCH], faults, seed=SEED))


def test_killed_at_random_moments_it_comes_back_knowing_everything(killing: Killing) -> None:
    wanted = random_moments(12, SEED, checked=False)
    played(killing, lambda: killing.rounds(wanted, 12, 20))
    assert killing.complaints == []
    assert killing.kinds.total() >= 10
