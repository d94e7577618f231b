"""Recorded tapes: what arrives late, twice, in arrays or unknown, and what their books say of the tick."""

import gzip
import json
from pathlib import Path

import pytest

from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import DataError
from pmrun.runner.facts import BookChanged, StatusChanged, TickChanged
from pmrun.runner.hooks import WHOLE_BOOK
from pmrun.runner.intents import Cancel, Place
from pmrun.runner.market import MarketNo
from pmrun.runner.simulate import Simulation

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tapes"
T0 = 1_790_000_000_000
YES, NO = "111", "222"
CONDITION = "0x" + "ab" * 32


def book(bids: dict, asks: dict, at: int, token: str = YES) -> dict:
    return {
        "event_type": "book",
        "asset_id": token,
        "market": CONDITION,
        "timestamp": str(at),
        "hash": "",
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in asks.items()],
    }


def change(price: str, size: str, side: str, at: int, token: str = YES) -> dict:
    one = {"asset_id": token, "price": price, "size": size, "side": side, "hash": ""}
    return {"event_type": "price_change", "market": CONDITION, "timestamp": str(at), "price_changes": [one]}


def a_print(price: str, size: str, side: str, at: int, token: str = YES) -> dict:
    return {
        "event_type": "last_trade_price",
        "asset_id": token,
        "market": CONDITION,
        "price": price,
        "size": size,
        "side": side,
        "timestamp": str(at),
        "transaction_hash": f"0x{at}",
    }


QUIET = book({"0.48": "100", "0.47": "200"}, {"0.52": "100", "0.53": "200"}, T0)


@pytest.fixture
def tape(tmp_path):
    def write(*frames: object, times: list[int] | None = None) -> Tape:
        market = {
            "id": "1",
            "conditionId": CONDITION,
            "version": "v1",
            "question": "Will it rain?",
            "slug": "rain",
            "outcomes": '["Yes", "No"]',
            "clobTokenIds": json.dumps([YES, NO]),
            "active": True,
            "closed": False,
            "acceptingOrders": True,
            "enableOrderBook": True,
            "orderPriceMinTickSize": 0.01,
            "orderMinSize": 5,
        }
        (tmp_path / "markets.json").write_text(json.dumps([market]))
        with gzip.open(tmp_path / "frames.jsonl.gz", "wt") as file:
            for index, frame in enumerate(frames):
                file.write(json.dumps({"t": times[index] if times else T0 + index, "m": frame}) + "\n")
        return Tape(str(tmp_path))

    return write


def last_book(feed: Tape):
    data = feed.open()
    exchange = Paper().open(data, Queue(), WHOLE_BOOK, False)
    exchange.advance(2**61)
    (changed,) = exchange.books(data.info.last_at)
    assert isinstance(changed, BookChanged)
    return changed.book


def test_a_change_that_arrives_after_a_newer_one_does_not_undo_it(tape):
    feed = tape(QUIET, change("0.48", "70", "BUY", T0 + 50), change("0.48", "90", "BUY", T0 + 20))
    assert feed.open().info.late == 1
    assert last_book(feed).bids[0] == (4800, 70_000_000)


def test_a_snapshot_that_arrives_late_keeps_the_levels_that_changed_since(tape):
    late = book({"0.48": "100", "0.46": "5"}, {"0.52": "100"}, T0 + 10)
    feed = tape(QUIET, change("0.48", "70", "BUY", T0 + 50), late)
    assert last_book(feed).bids == ((4800, 70_000_000), (4600, 5_000_000))


def test_a_frame_told_twice_is_counted_and_a_print_happens_once(tape):
    once = a_print("0.48", "10", "SELL", T0 + 5)
    info = tape(QUIET, once, once).open().info
    assert (info.duplicates, info.prints) == (1, 1)


def test_frames_come_in_arrays_too_and_an_empty_one_says_nothing(tape):
    feed = tape([QUIET, change("0.49", "5", "BUY", T0 + 1)], [])
    assert last_book(feed).best_bid == 4900


def test_an_event_type_nobody_knows_is_counted_and_harms_nothing(tape):
    info = tape(QUIET, {"event_type": "weather", "market": CONDITION}, {**QUIET, "colour": "blue"}).open().info
    assert info.unknown == {"weather": 1}


def test_a_frame_of_a_market_that_the_tape_does_not_list_is_counted(tape):
    assert tape(QUIET, {**QUIET, "asset_id": "333"}).open().info.unlisted == 1


def test_the_no_book_is_the_yes_book_mirrored(tape):
    feed = tape(book({"0.45": "7"}, {"0.55": "9"}, T0, token=NO))
    assert (last_book(feed).bids, last_book(feed).asks) == (((4500, 9_000_000),), ((5500, 7_000_000),))


def test_a_level_off_the_grid_refines_the_tick_and_is_counted(tape):
    data = tape(QUIET, change("0.485", "10", "BUY", T0 + 1)).open()
    (note,) = data.notes
    assert isinstance(note, TickChanged)
    assert (note.tick, note.inferred, data.info.inferred_ticks, data.steps) == (50, True, 1, (50,))


def test_a_tick_change_by_message_is_not_an_inferred_one(tape):
    event = {
        "event_type": "tick_size_change",
        "asset_id": YES,
        "market": CONDITION,
        "old_tick_size": "0.01",
        "new_tick_size": "0.001",
        "timestamp": str(T0 + 1),
    }
    data = tape(QUIET, event).open()
    assert [(note.tick, note.inferred) for note in data.notes] == [(10, False)]


def test_no_frame_arrives_before_it_was_sent(tape):
    """The receive clock of a recording may be rounded down; time never goes back."""
    rows = tape(QUIET, change("0.48", "70", "BUY", T0 + 900), times=[T0, T0]).open().rows
    assert rows.at[-1] == (T0 + 900) * 1_000
    assert (rows.at[1:] >= rows.at[:-1]).all()


def test_a_frame_that_breaks_the_protocol_names_its_line(tape):
    with pytest.raises(DataError, match=r"line 2: .*price"):
        tape(QUIET, change("1.5", "10", "BUY", T0 + 1)).open()


def test_the_tape_that_ships_says_whose_it_is_and_what_was_assumed():
    info = plan(compose_config(["strategy=reward_mm", "tape=btc_15m"])).feed.open().info
    assert "CC BY 4.0" in info.licence
    assert not info.simulated
    assert any("assumed" in remark and "rewardsMinSize" in remark for remark in info.remarks)


def trade(name: str, *overrides: str):
    """Run a recorded tape in this process; return the desk and what it did."""
    path = SHARED / name
    if not path.is_dir():
        pytest.skip("needs ../shared")
    made = plan(compose_config(["strategy=reward_mm", "feed=tape", f"feed.path={path}", *overrides]))
    data = made.feed.open()
    desk = made.desk("test")
    seen = []

    class Watch:
        def record(self, fact, intents):
            seen.append((fact, list(intents)))

        def close(self):
            pass

    exchange = made.executor.open(data, made.fill, desk.hooks.depth, False)
    for _ in Simulation(desk, exchange, [Watch()], "the feed ended").run():
        pass
    return data, desk, seen


def test_slow_markets_are_all_quoted_and_their_quotes_move():
    _, desk, seen = trade("mlb-pregame-1min")
    intents = [intent for _, wanted in seen for intent in wanted]
    assert {intent.market for intent in intents if isinstance(intent, Place)} == {MarketNo(n) for n in range(10)}
    assert sum(isinstance(intent, Cancel) and intent.reason.code == "moved" for intent in intents) > 50
    assert not list(desk.in_play())


def test_every_recorded_slow_book_passes_the_static_checks():
    _, desk, seen = trade("mlb-pregame-1min", "~risk.volatility", "~risk.stale_book")
    refused = {
        (reason.by, reason.code) for _, wanted in seen for intent in wanted for reason in getattr(intent, "reasons", ())
    }
    static = {"risk.cliff", "risk.protection_size", "risk.hedge_protection", "risk.position"}
    assert not {by for by, _ in refused} & static, refused
    assert static <= {check.name for check in desk.hooks.checks}


def test_crossed_and_locked_recorded_books_quote_nothing():
    data, _, seen = trade("btc-15m-1hz", "~risk.volatility")
    crossed = 0
    for fact, wanted in seen:
        for one in getattr(fact, "facts", (fact,)):
            if isinstance(one, BookChanged) and one.book.bids and one.book.asks and not one.book.two_sided:
                crossed += 1
                assert not [i for i in wanted if isinstance(i, Place) and i.market == one.market]
    assert crossed > 0
    assert data.info.inferred_ticks == 7
    assert sum(isinstance(note, StatusChanged) for note in data.notes) == 9
