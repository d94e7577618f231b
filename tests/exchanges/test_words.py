"""Every order keeps what was said of it last, word for word, by socket and by REST (O2)."""

import sqlite3
from contextlib import closing

import pytest
from rehearsal import AT_THE_TOUCH, KEY, LIVELY, Rehearsal, lively_feed

from pmrun.plugins.exchanges.common.words import LONGEST, clipped

SEED = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
        feed = lively_feed(SEED, 2, 90, 12)
        run = Rehearsal(feed, tmp_path_factory.mktemp("words"), [*LIVELY, *AT_THE_TOUCH], seed=SEED)
        run.together(seconds=60.0)
    return run


def rows(run: Rehearsal, where: str) -> list[tuple[str, str | None, str | None]]:
    with closing(sqlite3.connect(run.last_run() / "run.sqlite")) as store:
        return store.execute(
            f"SELECT exchange_order_id, raw_last_ws_event, raw_last_rest_snapshot FROM orders WHERE {where}"
        ).fetchall()


def test_every_order_that_arrived_keeps_its_last_message_and_its_last_answer(run: Rehearsal) -> None:
    found = rows(run, "state IN ('CANCELED', 'FILLED')")
    assert len(found) > 5
    for order_id, ws, rest in found:
        assert ws is not None
        assert rest is not None
        assert order_id in ws
        assert '"event_type"' in ws


def test_an_order_that_was_filled_keeps_the_last_word_on_its_trade(run: Rehearsal) -> None:
    found = rows(run, "state = 'FILLED'")
    assert found
    assert all(ws is not None and '"trade"' in ws and "CONFIRMED" in ws for _, ws, _ in found)


def test_an_order_that_was_cancelled_keeps_the_message_that_says_so(run: Rehearsal) -> None:
    found = rows(run, "state = 'CANCELED' AND filled_size_e6 = 0")
    assert found
    assert all(ws is not None and "CANCELLATION" in ws for _, ws, _ in found)


def test_words_alone_change_nothing_and_the_run_replays(run: Rehearsal) -> None:
    assert run.differences() == {}


def test_a_long_message_is_cut() -> None:
    assert clipped("x" * LONGEST) == "x" * LONGEST
    assert len(clipped("x" * (LONGEST + 1))) == LONGEST
    assert clipped("x" * (LONGEST + 1)).endswith("…")
