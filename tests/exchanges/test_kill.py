"""kill -9 at any moment: after the restart nothing unknown rests, nothing was sent twice, holdings are right."""

from pathlib import Path
from zlib import crc32

import pytest
from kill_points import Kind
from killing import TROUBLES, Killing, played, random_moments
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, Rehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults

SEED = 3
ORDERS = ("trading.", "looking.", "heart.", "account.connected", "exchange.", "live_session.")


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    feed = lively_feed(SEED, 2, 3_000, 6)
    faults = Faults(read_script(TROUBLES), SEED)
    return Killing(Rehearsal(feed, tmp_path, [*LIVELY, *AT_THE_TOUCH, "log.file=OFF"], faults, seed=SEED))


def test_killed_at_random_moments_it_comes_back_knowing_everything(killing: Killing) -> None:
    async def scene() -> None:
        await killing.moments(12, random_moments(24, SEED, checked=False), 20)
        await killing.end(20)

    played(killing, scene)
    assert killing.complaints == []


def test_killed_at_awaits_of_the_order_path_it_comes_back_knowing_everything(killing: Killing) -> None:
    """A sixth of them, as they fall; all of them: benchmarks/rehearse.py --kills every."""

    def on_the_order_path(kind: Kind) -> bool:
        return any(word in kind for word in ORDERS) and crc32(kind.encode()) % 6 == 0

    async def scene() -> None:
        await killing.each_kind(on_the_order_path, 18, most_idle=3)
        await killing.end(20)

    played(killing, scene)
    assert killing.complaints == []
    assert len(killing.kinds) > 5
    assert len(killing.kinds) > len(killing.not_come_again(on_the_order_path))
