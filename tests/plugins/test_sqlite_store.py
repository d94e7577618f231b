"""What the run's database says is what happened."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from pmrun.plugins.stores.schema import MIGRATIONS, migrate, version_of
from pmrun.plugins.stores.sqlite import FILE, Sqlite, connect, connect_read_only
from pmrun.runner.desk import Desk
from pmrun.runner.errors import DataError
from pmrun.runner.facts import FeedLost, Filled, Listed, OrderNews, Settled, Together
from pmrun.runner.fills import Fill
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Drop, Place, Reason, Refuse, Select
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, Order, OrderNo, Purpose, Settlement, TradeId
from pmrun.runner.timings import Measured
from pmrun.runner.units import Cash, Micros, Price, Side, Size

NOON = Micros(1_700_000_000_000_000)


@contextmanager
def reading(directory: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_read_only(directory / FILE)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def one(db: sqlite3.Connection, sql: str) -> sqlite3.Row:
    return db.execute(sql).fetchone()


# The law: the database, the desk and the account say the same.


def test_holdings_are_the_sum_of_the_recorded_fills(run_desk):
    ran = run_desk(resolves=False)
    assert ran.desk.account.fills
    with reading(ran.path) as db:
        for number, inventory in ran.desk.account.markets():
            for outcome in Outcome:
                held = db.execute(
                    "SELECT coalesce(sum(CASE side WHEN 'BUY' THEN size_e6 ELSE -size_e6 END), 0) FROM fills "
                    "WHERE market = ? AND outcome = ? AND settlement != 'failed'",
                    (number, str(outcome)),
                ).fetchone()[0]
                assert held == inventory.of(outcome).held


def test_the_last_equity_row_is_the_equity_of_the_desk(run_desk):
    ran = run_desk()
    with reading(ran.path) as db:
        last = one(db, "SELECT * FROM equity ORDER BY at_us DESC LIMIT 1")
        first = one(db, "SELECT * FROM equity ORDER BY at_us LIMIT 1")
    account = ran.desk.account
    assert last["equity_cash_e6"] == ran.desk.equity()
    assert (last["cash_e6"], last["locked_cash_e6"]) == (account.funds.total, account.funds.locked)
    assert (last["realised_cash_e6"], last["fees_cash_e6"]) == (account.realised, account.fees)
    assert last["rebates_estimated_cash_e6"] == account.rebates > 0
    assert last["pnl_cash_e6"] == last["equity_cash_e6"] - first["equity_cash_e6"]
    assert last["pnl_cash_e6"] == last["realised_cash_e6"] + last["unrealised_cash_e6"]


def test_what_the_markets_earned_adds_up_to_the_pnl(run_desk):
    ran = run_desk(resolves=True)
    with reading(ran.path) as db:
        resolved = one(db, "SELECT * FROM market_changes WHERE kind = 'status'")
        total = one(db, "SELECT sum(pnl_cash_e6) FROM v_markets")[0]
        last = one(db, "SELECT pnl_cash_e6 FROM equity ORDER BY at_us DESC LIMIT 1")[0]
        stray = one(db, "SELECT count(*) FROM alerts WHERE kind = 'funds'")[0]
    assert resolved["redeemed_cash_e6"] > 0
    assert total == last
    assert stray == 0


def test_every_order_is_recorded_as_the_desk_knows_it(run_desk):
    ran = run_desk()
    with reading(ran.path) as db:
        rows = {row["order_no"]: row for row in db.execute("SELECT * FROM orders")}
        steps = db.execute("SELECT order_no, before, after FROM order_transitions ORDER BY no").fetchall()
    assert rows.keys() == ran.desk.orders.keys()
    for no, order in ran.desk.orders.items():
        row = rows[no]
        assert (row["client_order_id"], row["exchange_order_id"]) == (order.client_order_id, order.exchange_order_id)
        assert (row["state"], row["purpose"], row["basis"]) == (str(order.state), str(order.purpose), order.basis)
        assert (row["filled_size_e6"], row["remaining_size_e6"]) == (order.filled, order.remaining)
        assert row["filled_cash_e6"] == order.paid
        assert row["submitted_at_ms"] == order.submitted_at // 1_000
        assert row["last_event_at_ms"] == order.last_event_at // 1_000
    known: dict[int, str | None] = {}
    for no, before, after in steps:
        assert known.get(no) == before
        known[no] = after
    assert known == {no: str(order.state) for no, order in ran.desk.orders.items()}


def test_every_ended_order_leaves_a_funds_record_without_a_difference(run_desk):
    ran = run_desk()
    with reading(ran.path) as db:
        records = {row["order_no"]: row for row in db.execute("SELECT * FROM funds_reconciliation")}
    ended = {no: order for no, order in ran.desk.orders.items() if not order.in_play}
    assert records.keys() == ended.keys()
    assert all(row["difference_cash_e6"] == 0 for row in records.values())
    bought = [no for no, order in ended.items() if order.side is Side.BUY and order.filled]
    assert bought
    assert all(records[no]["moved_cash_e6"] == -ended[no].paid for no in bought)


# What else a reader looks for.


def test_a_refused_order_leaves_one_row_a_reason_with_its_numbers(run_desk):
    with reading(run_desk().path) as db:
        rows = db.execute("SELECT * FROM refusals WHERE by LIKE 'risk.%' ORDER BY no").fetchall()
    assert [row["by"] for row in rows[:2]] == ["risk.dear", "risk.dearer"]
    assert rows[0]["refusal"] == rows[1]["refusal"]
    assert json.loads(rows[0]["numbers_json"]) == {"price": 5_200, "limit": 5_100}


def test_reasons_given_together_share_one_refusal(run_desk, tmp_path):
    store = open_store(tmp_path)
    reasons = (Reason("too_dear", "risk.a", {"limit": 1}), Reason("too_wild", "risk.b"))
    refuse = Refuse(NOON, MarketNo(0), Outcome.YES, Side.BUY, Price(4_500), None, Purpose.QUOTE, reasons)
    store.record(FeedLost(NOON), [refuse])
    store.close()
    with reading(tmp_path) as db:
        rows = db.execute("SELECT refusal, by, code, price_e4, size_e6 FROM refusals ORDER BY no").fetchall()
    assert [tuple(row) for row in rows] == [
        (1, "risk.a", "too_dear", 4_500, None),
        (1, "risk.b", "too_wild", 4_500, None),
    ]


def test_a_dropped_market_is_recorded_with_the_filter_and_the_number(run_desk):
    with reading(run_desk().path) as db:
        row = one(db, "SELECT * FROM v_drops")
    assert (row["slug"], row["by"], row["code"]) == ("hail", "filters.no_hail", "no_hail")
    assert json.loads(row["numbers_json"]) == {"days": 0.5, "limit": 2}


def test_the_touch_is_kept_once_an_interval_and_as_it_was_last(run_desk):
    with reading(run_desk(settings=Sqlite(mids_every=Micros(10_000_000))).path) as db:
        rows = db.execute("SELECT * FROM mids WHERE market = 0 ORDER BY at_us").fetchall()
    intervals = [row["at_us"] // 10_000_000 for row in rows]
    assert intervals == sorted(set(intervals))
    assert all(row["mid_twice_e4"] == row["bid_e4"] + row["ask_e4"] for row in rows)


def test_assumed_terms_and_simulated_markets_are_marked(run_desk):
    with reading(run_desk().path) as db:
        assert json.loads(one(db, "SELECT assumed_json FROM markets")[0]) == ["feeSchedule", "rewardsMinSize"]
        assert "fills are simulated" in one(db, "SELECT text FROM remarks")[0]
        assert json.loads(one(db, "SELECT value FROM run WHERE key = 'feed'")[0])["simulated"] is True


def test_people_read_dollars_shares_and_iso_time(run_desk):
    with reading(run_desk().path) as db:
        order, fill = one(db, "SELECT * FROM v_orders WHERE filled > 0"), one(db, "SELECT * FROM v_fills")
        views = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
        assert all(db.execute(f"SELECT * FROM {view}").fetchall() is not None for view in views)
    assert order["shares"] == 20.0
    assert 0 < order["avg_fill_price"] < 1
    assert fill["at"].startswith("2023-11-14T22:13:") and fill["at"].endswith("Z")


# Settlement, on a desk that is told step by step.


def listed() -> Listed:
    terms = Market(
        condition=ConditionId("0x1"),
        question="Will it?",
        slug="it",
        yes=TokenId("1"),
        no=TokenId("2"),
        tick=Price(100),
        min_order_size=Size(5_000_000),
    )
    return Listed(NOON, MarketNo(0), terms)


def open_store(path: Path, settings: Sqlite | None = None) -> object:
    desk = Desk(Hooks({}))
    store = (settings or Sqlite()).open(path, desk)
    tell(desk, store, listed())
    return store


def tell(desk: Desk, store: object, fact: object, intents: list[object] | None = None) -> None:
    answered = desk.handle(fact)
    store.record(fact, answered if intents is None else intents)


def one_order(path: Path, settings: Sqlite | None = None) -> tuple[Desk, object, Place]:
    """A desk with one bid that is about to leave."""
    desk = Desk(Hooks({}))
    store = (settings or Sqlite()).open(path, desk)
    tell(desk, store, listed())
    order = Order(
        no=OrderNo(1),
        client_order_id="t-1",
        market=MarketNo(0),
        outcome=Outcome.YES,
        side=Side.BUY,
        price=Price(4_500),
        size=Size(20_000_000),
        purpose=Purpose.QUOTE,
        post_only=True,
        placed_at=NOON,
    )
    desk.orders[order.no] = desk.markets[order.market].orders[order.no] = order
    desk.account.reserve(order)
    place = Place(
        NOON,
        order.no,
        order.market,
        order.outcome,
        order.side,
        order.price,
        order.size,
        order.purpose,
        True,
        Reason("x"),
    )
    store.record(FeedLost(NOON), [place])
    return desk, store, place


def filled(cash: int = 4_500_000) -> Filled:
    return Filled(NOON, OrderNo(1), TradeId("a"), Price(4_500), Size(10_000_000), Cash(cash))


def test_a_fill_told_twice_is_recorded_once_and_its_settlement_is_followed(tmp_path):
    desk, store, _ = one_order(tmp_path)
    for fact in (filled(), filled(), Settled(NOON, OrderNo(1), TradeId("a"), Settlement.MINED)):
        tell(desk, store, fact)
    for status in (Settlement.MINED, Settlement.CONFIRMED, Settlement.MATCHED):
        tell(desk, store, Settled(Micros(NOON + 9), OrderNo(1), TradeId("a"), status))
    store.close()
    with reading(tmp_path) as db:
        assert one(db, "SELECT count(*) FROM fills")[0] == 1
        assert tuple(one(db, "SELECT settlement, settlement_at_us, maker FROM fills")) == ("confirmed", NOON + 9, 1)
        steps = db.execute("SELECT before, after FROM settlements ORDER BY no").fetchall()
    assert [tuple(step) for step in steps] == [("matched", "mined"), ("mined", "confirmed")]


def test_cash_that_an_exchange_moved_by_its_own_arithmetic_is_reported(tmp_path):
    desk, store, _ = one_order(tmp_path)
    tell(desk, store, filled(cash=4_600_000))  # 10 shares at 0.45 are 4.50 dollars
    tell(desk, store, OrderNews(NOON, OrderNo(1), News.CANCELED, ws='{"raw": 1}', rest="{}"))
    store.close()
    with reading(tmp_path) as db:
        row = one(db, "SELECT * FROM funds_reconciliation")
        raw = one(db, "SELECT raw_last_ws_event, raw_last_rest_snapshot, state FROM orders")
    assert (row["expected_cash_e6"], row["moved_cash_e6"], row["difference_cash_e6"]) == (
        -4_500_000,
        -4_600_000,
        -100_000,
    )
    assert tuple(raw) == ('{"raw": 1}', "{}", "CANCELED")


@pytest.mark.parametrize("fails", [(), ("a",), ("b",), ("a", "b")])
@pytest.mark.parametrize("off", [0, 1])
def test_parts_at_one_price_are_rounded_once_and_a_unit_that_moved_besides_is_seen(tmp_path, fails, off):
    """16.427295 and 3.572705 shares at 0.45 are 7.3922828 and 1.6077173 dollars, together exactly 9."""
    desk, store, _ = one_order(tmp_path)
    for trade, size, cash in (("a", 16_427_295, 7_392_283), ("b", 3_572_705, 1_607_717 + off)):
        tell(desk, store, Filled(NOON, OrderNo(1), TradeId(trade), Price(4_500), Size(size), Cash(cash)))
    for trade in fails:
        tell(desk, store, Settled(NOON, OrderNo(1), TradeId(trade), Settlement.FAILED))
    store.close()
    with reading(tmp_path) as db:
        row = one(db, "SELECT fills, difference_cash_e6 FROM funds_reconciliation")
    assert tuple(row) == (2 - len(fails), 0 if "b" in fails else -off)


def test_a_failed_settlement_after_the_end_of_its_order_corrects_the_funds_record(tmp_path):
    desk, store, _ = one_order(tmp_path)
    tell(desk, store, filled())
    tell(desk, store, OrderNews(NOON, OrderNo(1), News.CANCELED))
    tell(desk, store, Settled(NOON, OrderNo(1), TradeId("a"), Settlement.FAILED))
    store.close()
    with reading(tmp_path) as db:
        row = one(db, "SELECT fills, expected_cash_e6, moved_cash_e6 FROM funds_reconciliation")
        assert tuple(row) == (0, 0, 0)
        assert one(db, "SELECT settlement FROM fills")[0] == "failed"


def test_a_fill_after_the_cancel_is_in_the_funds_record(tmp_path):
    desk, store, _ = one_order(tmp_path)
    tell(desk, store, OrderNews(NOON, OrderNo(1), News.CANCELED))
    tell(desk, store, filled())
    store.close()
    with reading(tmp_path) as db:
        row = one(db, "SELECT state, fills, expected_cash_e6, moved_cash_e6 FROM funds_reconciliation")
    assert tuple(row) == ("CANCELED", 1, -4_500_000, -4_500_000)


def test_what_is_told_at_one_moment_is_recorded_step_by_step(tmp_path):
    desk, store, _ = one_order(tmp_path)
    rest = msgspec.structs.replace(filled(), trade=TradeId("b"))
    settled = Settled(NOON, OrderNo(1), TradeId("a"), Settlement.CONFIRMED)
    tell(desk, store, Together(NOON, (OrderNews(NOON, OrderNo(1), News.RESTING), filled(), settled, rest)))
    store.close()
    with reading(tmp_path) as db:
        steps = [row["after"] for row in db.execute("SELECT after FROM order_transitions ORDER BY no")]
        assert steps == ["PENDING_SUBMIT", "LIVE", "PARTIALLY_FILLED", "FILLED"]
        assert [tuple(row) for row in db.execute("SELECT before, after FROM settlements")] == [("matched", "confirmed")]
        statuses = dict(db.execute("SELECT trade_id, settlement FROM fills").fetchall())
        assert statuses == {"a": "confirmed", "b": "matched"}
        assert one(db, "SELECT count(*) FROM alerts WHERE kind = 'funds'")[0] == 0


def test_cash_that_moved_without_a_fill_is_reported(tmp_path):
    desk, store, _ = one_order(tmp_path)
    desk.account.funds.total -= 1_250_000
    tell(desk, store, filled())
    store.close()
    with reading(tmp_path) as db:
        (row,) = db.execute("SELECT code, numbers_json FROM alerts WHERE kind = 'funds'")
    assert tuple(row) == ("unexplained_cash", '{"cash_e6":-1250000}')


def test_a_fill_that_the_desk_did_not_apply_is_no_fill_but_an_alert(tmp_path):
    desk, store, _ = one_order(tmp_path)
    tell(desk, store, msgspec.structs.replace(filled(), order=OrderNo(7)))
    store.close()
    with reading(tmp_path) as db:
        assert one(db, "SELECT count(*) FROM fills")[0] == 0
        kinds = {(row["kind"], row["code"]) for row in db.execute("SELECT * FROM alerts")}
    assert {("observed", "fill_of_unknown_order"), ("halt", "fill_of_unknown_order")} <= kinds


# The file.


def test_an_order_is_on_the_disk_before_it_leaves_when_the_store_is_durable(tmp_path):
    _, store, place = one_order(tmp_path, Sqlite(durable=True))
    with reading(tmp_path) as db:
        assert one(db, "SELECT client_order_id, state FROM orders")[:] == ("t-1", "PENDING_SUBMIT")
        assert one(db, "SELECT order_no FROM order_transitions")[0] == place.order
    store.close()


def test_an_order_waits_for_the_batch_when_it_is_not(tmp_path):
    _, store, _ = one_order(tmp_path)
    with reading(tmp_path) as db:
        assert one(db, "SELECT count(*) FROM orders")[0] == 0
    store.close()


def test_a_run_keeps_a_write_ahead_log_and_foreign_keys(run_desk):
    ran = run_desk()
    with closing(sqlite3.connect(ran.path / FILE)) as db:
        assert one(db, "PRAGMA journal_mode")[0] == "wal"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert one(db, "PRAGMA integrity_check")[0] == "ok"
        assert one(db, "PRAGMA user_version")[0] == len(MIGRATIONS)
    assert sorted(path.name for path in ran.path.iterdir()) == [FILE]


def test_a_database_of_an_older_version_is_migrated_and_keeps_its_rows(tmp_path):
    path = tmp_path / FILE
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db, path, MIGRATIONS[:1])
        db.execute("INSERT INTO run VALUES ('strategy', 'old')")
        assert version_of(db) == 1
    with closing(connect_read_only(path)) as db:
        assert version_of(db) == len(MIGRATIONS)
        assert one(db, "SELECT value FROM run")[0] == "old"
        assert db.execute("SELECT * FROM v_orders").fetchall() == []


def test_migrations_are_applied_in_order_and_once(tmp_path):
    path = tmp_path / FILE
    steps = ("CREATE TABLE t (n INTEGER);", "INSERT INTO t VALUES (1);", "UPDATE t SET n = n + 1;")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for upto in (1, 2, 3, 3):
            migrate(db, path, steps[:upto])
        assert (one(db, "SELECT n FROM t")[0], version_of(db)) == (2, 3)


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path):
    path = tmp_path / FILE
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.Error):
            migrate(db, path, ("CREATE TABLE t (n INTEGER);", "CREATE TABLE u (n INTEGER); nonsense;"))
        assert version_of(db) == 1
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["t"]


@pytest.mark.parametrize("opening", [connect, connect_read_only])
def test_a_database_of_a_newer_version_is_refused_and_untouched(tmp_path, opening):
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(DataError, match=f"schema version {len(MIGRATIONS) + 1}; this pmrun knows up to"):
        opening(path)
    with closing(sqlite3.connect(path)) as db:
        assert version_of(db) == len(MIGRATIONS) + 1


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to look" * 40)
    for opening in (connect, connect_read_only):
        with pytest.raises(DataError, match=r"run\.sqlite: file is not a database"):
            opening(tmp_path / FILE)
    with pytest.raises(DataError, match="no such database"):
        connect_read_only(tmp_path / "else.sqlite")


def test_a_second_run_does_not_mix_with_the_first(run_desk):
    ran = run_desk()
    with pytest.raises(DataError, match="holds a run already"):
        Sqlite().open(ran.path, ran.desk)


def test_a_finished_run_is_read_from_a_read_only_directory(run_desk):
    ran = run_desk()
    ran.path.chmod(0o555)
    try:
        with reading(ran.path) as db:
            assert one(db, "SELECT count(*) FROM orders")[0] > 0
    finally:
        ran.path.chmod(0o755)


def test_a_disk_that_takes_no_more_is_an_error_of_one_line(tmp_path):
    _, store, _ = one_order(tmp_path)
    store._connection.execute("PRAGMA max_page_count = 1")
    store.describe(remarks=["x" * 100_000])
    with pytest.raises(DataError, match=r"run\.sqlite: cannot be written: database or disk is full"):
        store.commit()


@pytest.mark.parametrize(
    "settings", [{"mids_every": 0}, {"equity_every": -1}, {"commit_every": 10**12}, {"batch": 0}, {"batch": 10**7}]
)
def test_settings_that_keep_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sqlite(**settings)


KILLED = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[2])
from test_sqlite_store import one_order, filled, tell
from pmrun.plugins.stores.sqlite import Sqlite
desk, store, place = one_order(Path(sys.argv[1]), Sqlite(batch=1))
tell(desk, store, filled())
print("written", flush=True)
while True:
    store.describe({"beat": time.time()})
    store.commit()
"""


def test_a_killed_process_leaves_a_database_with_all_that_was_committed(tmp_path):
    here = str(Path(__file__).parent)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), here],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"written\n"
        time.sleep(0.2)  # in the middle of its commits
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE}-wal").exists()
    with reading(tmp_path) as db:
        assert one(db, "SELECT filled_size_e6 FROM orders")[0] == 10_000_000
        assert one(db, "SELECT count(*) FROM fills")[0] == 1
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_run_stopped_half_way_is_readable_up_to_its_last_commit(run_desk):
    ran = run_desk(settings=Sqlite(commit_every=Micros(1_000_000)), until=60)
    fills: list[Fill] = list(ran.desk.account.fills.values())
    with reading(ran.path) as db:
        kept = one(db, "SELECT count(*) FROM fills")[0]
        assert 0 < kept <= len(fills)
        assert one(db, "SELECT count(*) FROM orders WHERE filled_size_e6 > 0")[0] > 0
    ran.store.close()
    ran.store.close()  # a second time does nothing


# What a review needs beside the orders: verdicts, rewards, mark-outs, timings.


def test_every_verdict_of_every_scan_is_kept_with_what_was_judged(tmp_path):
    store = open_store(tmp_path)
    numbers = {"value": 0.5, "limit": 2.0, "margin": -1.5, "days": "0.5"}
    later = Micros(NOON + 9)
    store.record(FeedLost(NOON), [Drop(NOON, MarketNo(0), Reason("too_soon", "filters.expiry", numbers))])
    store.record(FeedLost(later), [Drop(later, MarketNo(0), Reason("too_soon", "filters.expiry", numbers))])
    store.commit()
    with reading(tmp_path) as db:
        assert one(db, "SELECT at_us, code FROM drops")[:] == (later, "too_soon")
    store.record(FeedLost(later), [Select(later, MarketNo(0), Reason("selected", "universe", {"ratio": 0.25}))])
    store.record(FeedLost(later), [Drop(later, MarketNo(0), Reason("max_markets", "universe", {"limit": 1}))])
    store.close()
    with reading(tmp_path) as db:
        rows = db.execute('SELECT verdict, by, value, "limit", margin FROM v_selections ORDER BY no').fetchall()
        assert [tuple(row) for row in rows[-4:]] == [
            ("dropped", "filters.expiry", 0.5, 2.0, -1.5),
            ("dropped", "filters.expiry", 0.5, 2.0, -1.5),
            ("selected", "universe", None, None, None),
            ("dropped", "universe", None, 1, None),
        ]
        assert one(db, "SELECT count(*) FROM drops")[0] == 0  # it was traded for a while


def test_the_touch_of_a_market_that_was_never_traded_is_not_kept(run_desk):
    with reading(run_desk().path) as db:
        assert [row[0] for row in db.execute("SELECT DISTINCT market FROM mids ORDER BY market")] == [0, 1]


def test_a_database_from_before_rescans_says_who_was_dropped_and_who_traded(tmp_path):
    path = tmp_path / FILE
    terms = "0, '', '', '', '', '', '', '', 0, 0, 0, 0, NULL, NULL, NULL, NULL, 'trading', NULL, 0, '[]'"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db, path, MIGRATIONS[:2])
        for market in "01":
            db.execute(f"INSERT INTO markets VALUES ({terms.replace('0', market, 1)})")
        db.execute("INSERT INTO drops VALUES (1, 5, 'no_hail', 'filters.no_hail', '{}')")
    with reading(tmp_path) as db:
        verdicts = db.execute("SELECT market, verdict, by FROM selections ORDER BY market").fetchall()
        assert [tuple(row) for row in verdicts] == [(0, "selected", ""), (1, "dropped", "filters.no_hail")]
        assert one(db, "SELECT market FROM drops")[0] == 1


def test_every_fill_has_its_mark_outs_and_those_after_the_end_are_unknown(run_desk):
    ran = run_desk(resolves=False)
    with reading(ran.path) as db:
        rows = db.execute("SELECT horizon_us / 1000000 AS h, per_share_twice_e4 AS gain FROM markouts").fetchall()
        seen = db.execute("SELECT * FROM v_markouts WHERE horizon_s = 5 AND mid IS NOT NULL").fetchall()
        for row in seen:
            worth = row["mid"] if row["outcome"] == "YES" else 1 - row["mid"]
            gain = worth - row["price"] if row["side"] == "BUY" else row["price"] - worth
            assert row["per_share_usd"] == pytest.approx(gain)
            assert row["usd"] == pytest.approx(gain * row["shares"])
    assert seen
    fills = len(ran.desk.account.fills)
    assert sorted({row["h"] for row in rows}) == [0, 5, 30, 300, 3_600]
    assert len(rows) == 5 * fills
    assert all(row["gain"] is None for row in rows if row["h"] >= 300)  # the run has a minute
    assert all(row["gain"] is not None for row in rows if row["h"] == 0)


def test_a_failed_fill_has_no_mark_out(tmp_path):
    desk, store, _ = one_order(tmp_path)
    tell(desk, store, filled())
    tell(desk, store, Settled(NOON, OrderNo(1), TradeId("a"), Settlement.FAILED))
    store.close()
    with reading(tmp_path) as db:
        assert one(db, "SELECT count(*) FROM v_markouts")[0] == 0


def test_reward_samples_and_timings_are_kept(tmp_path):
    store = open_store(tmp_path)
    amounts = {"ours": 1.0, "competitors_low": 2.0, "competitors_high": 4.0}
    shares = {"share_low": 0.2, "share_mid": 0.25, "share_high": 1 / 3}
    pay = {f"{pool}_{end}_usd": 0.1 for pool in ("native", "sponsored") for end in ("low", "mid", "high")}
    for minute, scoring in enumerate((True, False)):
        store.rewards([SimpleNamespace(market=0, at=NOON + minute, scoring=scoring, **amounts, **shares, **pay)])
    store.timings([Measured("desk", 3, 6.0, 2.0, 2.5, 3.0)])
    store.close()
    with reading(tmp_path) as db:
        row = one(db, "SELECT minutes, scoring_minutes, uptime, native_mid_usd FROM v_rewards_estimated")
        assert tuple(row) == (2, 1, 0.5, pytest.approx(0.2))
        assert tuple(one(db, "SELECT * FROM timings")) == ("desk", 3, 6.0, 2.0, 2.5, 3.0)


def test_shares_that_no_sell_covers_are_found_by_one_view(tmp_path):
    store = open_store(tmp_path)
    reasons = (Reason("below_min_size", "hedging", {"size": 3, "min": 5}),)
    gap = Refuse(NOON, MarketNo(0), Outcome.YES, Side.SELL, None, Size(3_000_000), Purpose.HEDGE, reasons)
    quote = Refuse(NOON, MarketNo(0), Outcome.YES, Side.BUY, None, None, Purpose.QUOTE, reasons)
    store.record(FeedLost(NOON), [gap, quote])
    store.close()
    with reading(tmp_path) as db:
        assert [row["shares"] for row in db.execute("SELECT shares FROM v_unhedged")] == [3.0]


# What made the PnL (P8).


@pytest.mark.parametrize("resolves", [False, True])
def test_the_recorded_parts_sum_to_the_last_pnl_to_the_last_unit(run_desk, resolves):
    ran = run_desk(resolves=resolves)
    with reading(ran.path) as db:
        parts = one(db, "SELECT sum(units) FROM pnl_parts")[0]
        last = one(db, "SELECT pnl_cash_e6 FROM equity ORDER BY at_us DESC LIMIT 1")[0]
        fees = one(db, "SELECT sum(units) FROM pnl_parts WHERE part = 'fees'")[0]
        spread = one(db, "SELECT sum(usd) FROM v_pnl_parts WHERE part = 'spread'")[0]
    assert parts == last * 20_000
    assert fees == -ran.desk.account.fees * 20_000
    assert spread != 0


def test_what_is_held_at_the_end_is_kept_at_the_mid_and_sold_at_once(run_desk):
    ran = run_desk(resolves=False)
    with reading(ran.path) as db:
        rows = {row["market"]: row for row in db.execute("SELECT * FROM exits")}
    held = {no: inventory for no, inventory in ran.desk.account.markets() if inventory.held}
    assert rows.keys() == held.keys() != set()
    for no, row in rows.items():
        assert row["mid_cash_e6"] == ran.desk.value(no, held[no])
        assert row["exit_cash_e6"] < row["mid_cash_e6"]
