"""The file of an account: what is written stays, what comes twice changes nothing, and nobody else can read it."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from pmrun.runner import account_schema
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import FillRecord, FundsRecord, OrderRecord, SessionRecord
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.orders import Purpose, Settlement, State, TradeId
from pmrun.runner.private_files import state_folder
from pmrun.runner.units import Cash, Micros, Price, Side, Size

ADDRESS = "0xAbCdEf0123456789aBcDeF0123456789AbCdEf01"
NOON = Micros(1_763_985_600_000_000)
SECOND = 1_000_000


def at(seconds: int) -> Micros:
    return Micros(NOON + seconds * SECOND)


def order(number: int = 1, **changes: object) -> OrderRecord:
    base = OrderRecord(
        client_order_id=f"pmrun-a-{number}",
        exchange_order_id=f"0xhash{number}",
        run="a",
        market=ConditionId("0xc0"),
        token=TokenId("1"),
        side=Side.BUY,
        price_e4=Price(4500),
        size_e6=Size(20_000_000),
        purpose=Purpose.QUOTE,
        sent_at_us=at(number),
    )
    return msgspec.structs.replace(base, **changes)


def fill(trade: str = "t1", number: int = 1, **changes: object) -> FillRecord:
    base = FillRecord(
        trade_id=TradeId(trade),
        exchange_order_id=f"0xhash{number}",
        price_e4=Price(4500),
        size_e6=Size(5_000_000),
        cash_e6=Cash(2_250_000),
        fee_e6=Cash(0),
        status=Settlement.MATCHED,
        at_us=at(5),
    )
    return msgspec.structs.replace(base, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def account(folder: Path):
    with AccountFile.open(ADDRESS, folder) as opened:
        yield opened


# Whose file it is.


def test_the_file_is_ours_alone_and_named_after_the_wallet(account, folder):
    account.intent([order()])
    assert account.path == folder / f"{ADDRESS.lower()}.sqlite"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.name.partition(".")[2]: each.stat().st_mode & 0o777 for each in folder.iterdir()} == {
        "sqlite": 0o600,
        "sqlite-wal": 0o600,
        "sqlite-shm": 0o600,
    }


def test_a_wallet_written_in_capitals_is_the_same_wallet(account, folder):
    account.intent([order()])
    with AccountFile.open(ADDRESS.lower(), folder) as again:
        assert again.known("0xhash1")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_that_others_can_use_is_refused(account, folder, mode):
    account.path.chmod(mode)
    with pytest.raises(DataError, match=rf"others can use it \(mode {mode:o}\): chmod 600 it"):
        AccountFile.open(ADDRESS, folder)


def test_a_folder_in_which_others_can_replace_the_file_is_refused(folder):
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)
    with pytest.raises(DataError, match=r"others can write here \(mode 770\): chmod 700 it"):
        AccountFile.open(ADDRESS, folder)


def test_a_link_is_not_followed(folder, tmp_path):
    folder.mkdir(mode=0o700)
    (tmp_path / "elsewhere").touch(mode=0o600)
    (folder / f"{ADDRESS.lower()}.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is not a plain file"):
        AccountFile.open(ADDRESS, folder)


@pytest.mark.parametrize("address", ["", "../x", "a/b", "a b", "x" * 101, "ü"])
def test_an_address_that_could_be_a_path_is_refused(folder, address):
    with pytest.raises(ConfigError, match=r"^account"):
        AccountFile.open(address, folder)


def test_the_file_of_another_account_is_refused(account, folder):
    other = "0x" + "1" * 40
    account.close()
    account.path.rename(folder / f"{other}.sqlite")
    with pytest.raises(DataError, match=f"is the file of {ADDRESS.lower()}, not of {other}"):
        AccountFile.open(other, folder)


@pytest.mark.parametrize(
    ("environment", "found"),
    [({"XDG_STATE_HOME": "/somewhere"}, Path("/somewhere/pmrun")), ({"XDG_STATE_HOME": "relative"}, None), ({}, None)],
)
def test_accounts_are_kept_in_the_users_state_directory(environment, found):
    assert state_folder(None, environment) == (found or Path.home() / ".local" / "state" / "pmrun")
    assert state_folder(Path("/given"), environment) == Path("/given")


# Versions and damage.


def test_an_empty_file_becomes_an_account_at_the_present_version(folder):
    AccountFile.open(ADDRESS, folder).close()
    path = folder / f"{ADDRESS.lower()}.sqlite"
    path.write_bytes(b"")
    with AccountFile.open(ADDRESS, folder) as account:
        assert account.unfinished() == []


def test_an_older_file_is_brought_to_the_present_version_with_what_it_holds(account, folder, monkeypatch):
    account.intent([order()])
    account.close()
    more = (*account_schema.MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT;")
    monkeypatch.setattr(account_schema.prepare, "__defaults__", (more,))
    for _ in range(2):  # the second time there is nothing left to do
        with AccountFile.open(ADDRESS, folder) as newer:
            assert newer.known("0xhash1")
    monkeypatch.undo()
    with pytest.raises(DataError, match="schema version 2; this pmrun knows up to 1"):
        AccountFile.open(ADDRESS, folder)


def test_a_migration_that_fails_leaves_the_file_as_it_was(account, folder, monkeypatch):
    account.intent([order()])
    account.close()
    bad = (*account_schema.MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT; CREATE TABLE orders (x INTEGER);")
    monkeypatch.setattr(account_schema.prepare, "__defaults__", (bad,))
    with pytest.raises(DataError, match="orders"):
        AccountFile.open(ADDRESS, folder)
    monkeypatch.undo()
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.known("0xhash1")


@pytest.mark.parametrize("what", ["text", "another database"])
def test_what_is_no_account_is_refused_in_one_line(folder, what):
    AccountFile.open(ADDRESS, folder).close()
    path = folder / f"{ADDRESS.lower()}.sqlite"
    path.write_bytes(b"this is not a database, though it is long enough to look at" * 100)
    if what == "another database":
        path.write_bytes(b"")
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (x)")
        other.commit()
        other.close()
    with pytest.raises(DataError) as raised:
        AccountFile.open(ADDRESS, folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET state = 'DREAMING'",
        "UPDATE orders SET side = 'HOLD'",
        "UPDATE orders SET purpose = 'fun'",
    ],
)
def test_a_row_that_says_what_cannot_be_is_an_error_and_not_a_guess(account, change):
    account.intent([order()])
    account._connection.execute(change)
    with pytest.raises(DataError):
        account.unfinished()


# Orders.


def test_what_was_written_is_read_back_to_the_last_field(account):
    wrote = [
        order(1),
        order(2, side=Side.SELL, purpose=Purpose.FLATTEN, price_e4=Price(9990), size_e6=Size(219_217_767)),
        order(3, exchange_order_id=None),
    ]
    account.intent(wrote)
    assert account.unfinished() == wrote


def test_an_order_is_known_from_before_it_is_sent_to_ever_after(account, folder):
    assert not account.known("0xhash1")
    account.intent([order()])
    assert account.known("0xhash1")
    account.state("0xhash1", State.CANCELED, Size(0), at(9))
    account.close()
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.known("0xhash1")
        assert not again.known("0xhash2")


@pytest.mark.parametrize("again", [order(1, exchange_order_id="0xother"), order(9, exchange_order_id="0xhash1")])
def test_nothing_is_sent_twice_and_a_batch_is_written_whole_or_not_at_all(account, again):
    account.intent([order(1)])
    with pytest.raises(DataError, match="sent twice"):
        account.intent([order(2), again, order(3)], {"risk.rate": {"count": 3}})
    assert [each.client_order_id for each in account.unfinished()] == ["pmrun-a-1"]
    assert account.carried(NOON) == {}
    account.intent([order(2)], {"risk.rate": {"count": 3}})
    assert account.carried(NOON) == {"risk.rate": {"count": 3}}


def test_an_exchange_that_names_an_order_later_is_believed_once(account):
    account.intent([order(1, exchange_order_id=None)])
    account.name("pmrun-a-1", "8841")
    account.name("pmrun-a-1", "8842")
    assert account.known("8841")
    assert not account.known("8842")


def test_where_an_order_stands_is_kept(account):
    account.intent([order()])
    assert account.state("0xhash1", State.PARTIALLY_FILLED, Size(5_000_000), at(7))
    found = account.order("0xhash1")
    assert (found.state, found.filled_e6, found.ended_at_us) == (State.PARTIALLY_FILLED, 5_000_000, None)
    account.state("0xhash1", State.CANCELED, Size(5_000_000), at(8), "moved")
    found = account.order("0xhash1")
    assert (found.state, found.ended_at_us, found.ended_why) == (State.CANCELED, at(8), "moved")


def test_news_of_an_order_that_is_not_ours_is_not_written(account):
    assert account.state("0xstranger", State.LIVE, Size(0), NOON) is False
    assert account.order("0xstranger") is None


def test_what_has_ended_does_not_begin_again(account):
    account.intent([order()])
    account.state("0xhash1", State.CANCELED, Size(5_000_000), at(8), "moved")
    account.state("0xhash1", State.LIVE, Size(0), at(9))
    found = account.order("0xhash1")
    assert (found.state, found.filled_e6, found.ended_at_us) == (State.CANCELED, 5_000_000, at(8))
    account.state("0xhash1", State.FILLED, Size(20_000_000), at(10))  # a fill that was matched before the cancel
    found = account.order("0xhash1")
    assert (found.state, found.filled_e6, found.ended_at_us) == (State.FILLED, 20_000_000, at(8))


def test_what_an_earlier_session_left_unfinished_is_found_and_what_this_one_does_is_not(account, folder):
    account.begin_session("a", NOON, 1)
    account.intent([order(1), order(2), order(3)])
    account.state("0xhash2", State.REJECTED, Size(0), at(4), "no")
    assert account.unfinished() == []
    account.close()
    with AccountFile.open(ADDRESS, folder) as again:
        again.begin_session("b", at(60), 2)
        again.intent([order(4, run="b", client_order_id="pmrun-b-4")])
        assert [each.exchange_order_id for each in again.unfinished()] == ["0xhash1", "0xhash3"]


# Fills and funds.


def test_a_fill_told_twice_is_one_fill(account):
    assert account.fill(fill()) is True
    assert account.fill(fill()) is False
    assert account.fill(fill(at_us=at(99))) is False  # told by the other road, at another time
    assert account.fills("0xhash1") == [fill()]


def test_one_trade_may_fill_two_orders_and_one_order_two_trades(account):
    assert [account.fill(each) for each in (fill("t1", 1), fill("t1", 2), fill("t2", 1))] == [True, True, True]
    assert [each.trade_id for each in account.fills("0xhash1")] == ["t1", "t2"]


def test_a_settlement_moves_on_and_never_back(account):
    assert account.fill(fill()) is True
    assert account.fill(fill(status=Settlement.MINED)) is True
    assert account.fill(fill()) is False
    assert account.fill(fill(status=Settlement.CONFIRMED)) is True
    assert account.fill(fill(status=Settlement.MINED)) is False
    assert account.fill(fill(status=Settlement.FAILED)) is None
    assert account.fills("0xhash1")[0].status is Settlement.CONFIRMED


def test_a_fill_with_other_amounts_contradicts_and_changes_nothing(account):
    account.fill(fill())
    assert account.fill(fill(size_e6=Size(6_000_000), status=Settlement.MINED)) is None
    assert account.fills("0xhash1") == [fill()]


def test_fills_that_may_still_fail_are_found_after_a_crash(account, folder):
    for trade, status in (("t1", Settlement.MATCHED), ("t2", Settlement.CONFIRMED), ("t3", Settlement.RETRYING)):
        account.fill(fill(trade, status=status))
    account.fill(fill("t4", status=Settlement.FAILED))
    with AccountFile.open(ADDRESS, folder) as again:
        assert [each.trade_id for each in again.unsettled()] == ["t1", "t3"]


def test_what_is_held_cost_what_was_paid_for_it_and_not_for_what_was_sold_long_ago(account):
    account.intent([order(1), order(2, side=Side.SELL, purpose=Purpose.HEDGE), order(3)])
    dear, sold = fill("t1", 1, cash_e6=Cash(4_500_000)), fill("t2", 2, cash_e6=Cash(4_600_000), at_us=at(6))
    cheap = fill("t3", 3, cash_e6=Cash(1_000_000), fee_e6=Cash(10), at_us=at(7))
    for each in (dear, sold, cheap, fill("t4", 3, at_us=at(8), status=Settlement.FAILED)):
        account.fill(each)
    assert account.bought(TokenId("1")) == (5_000_000, 1_000_010)
    account.fill(fill("t5", 2, size_e6=Size(2_000_000), cash_e6=Cash(900_000), at_us=at(9)))
    assert account.bought(TokenId("1")) == (3_000_000, 600_006)


def test_each_ended_order_leaves_one_record_of_its_funds(account):
    record = FundsRecord(
        exchange_order_id="0xhash1",
        at_us=at(9),
        locked_before_e6=Cash(9_000_000),
        locked_after_e6=Cash(0),
        cash_moved_e6=Cash(-2_250_000),
        shares_moved_e6=5_000_000,
        fee_e6=Cash(0),
        difference_e6=Cash(1),
    )
    account.funds(record)
    assert account.reconciled() == [record]
    after = msgspec.structs.replace(record, at_us=at(10), cash_moved_e6=Cash(0), shares_moved_e6=0)
    account.funds(after)
    assert account.reconciled() == [after]


# What limits carry.


def test_what_limits_carry_survives_and_is_written_only_when_it_changed(account, folder):
    day = {"day": 20_416, "start": 1_000_000_000, "low": -5, "high": 2**62, "tripped": 0}
    assert account.carry("risk.day", day, at(1)) is True
    assert account.carry("risk.day", dict(day), at(2)) is False
    assert account.carry("risk.day", day | {"tripped": 1}, at(3)) is True
    assert account.carry("risk.rate", {}, at(3)) is False
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.carried(at(3)) == {"risk.day": day | {"tripped": 1}}
        assert again.carry("risk.day", day | {"tripped": 1}, at(4)) is False


def test_what_changed_of_several_limits_is_written_at_once_and_after_a_batch_nothing_is_left_to_write(account, folder):
    both = {"risk.day": {"tripped": 0}, "risk.rate": {"count": 1}}
    account.intent([order()], both)
    assert account.carry_all(both, at(1)) is False
    assert account.carry_all({}, at(1)) is False
    assert account.carry_all(both | {"risk.day": {"tripped": 1}}, at(2)) is True
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.carried(at(2)) == {"risk.day": {"tripped": 1}, "risk.rate": {"count": 1}}


@pytest.mark.parametrize(("back", "refused"), [(60, False), (61, True)])
def test_limits_are_not_read_by_a_clock_that_is_behind_them(account, back, refused):
    account.carry("risk.day", {"day": 1}, at(0))
    if not refused:
        assert account.carried(at(-back)) == {"risk.day": {"day": 1}}
        return
    with pytest.raises(DataError, match=r"risk\.day was written 61 s from now: the clock"):
        account.carried(at(-back))


def test_a_person_may_reset_one_limit(account):
    account.carry("risk.day", {"tripped": 1}, NOON)
    account.carry("risk.fall", {"tripped": 1}, NOON)
    assert account.forget("risk.fall") is True
    assert account.forget("risk.fall") is False
    assert account.carried(NOON) == {"risk.day": {"tripped": 1}}
    assert account.carry("risk.fall", {"tripped": 1}, NOON) is True


def test_a_number_that_does_not_fit_is_an_error_and_nothing_is_written(account):
    with pytest.raises(DataError):
        account.carry("risk.day", {"low": 1, "high": 2**64}, NOON)
    assert account.carried(NOON) == {}
    assert account.carry("risk.day", {"low": 1, "high": 2}, NOON) is True


# Sessions.


def test_a_session_that_ended_cleanly_leaves_nothing_to_look_into(account):
    assert account.unclean() is None
    account.begin_session("a", NOON, 11)
    assert account.unclean() is None
    account.end_session(at(9), clean=True)
    account.begin_session("b", at(20), 12)
    assert account.unclean() is None


def test_a_session_that_crashed_or_could_not_verify_is_named(account, folder):
    account.begin_session("a", NOON, 11)
    account.close()
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.unclean() == SessionRecord(run="a", started_at_us=NOON, ended_at_us=None, clean=False, pid=11)
        again.begin_session("b", at(5), 12)
        assert again.unclean().run == "a"
        again.end_session(at(9), clean=False)
    with AccountFile.open(ADDRESS, folder) as third:
        assert (third.unclean().run, third.unclean().ended_at_us) == ("b", at(9))


def test_a_run_trades_an_account_once(account):
    account.begin_session("a", NOON, 11)
    with pytest.raises(DataError, match="the run a has traded this account before"):
        account.begin_session("a", at(1), 12)


# Durability.


def test_writes_are_synchronous_and_in_a_write_ahead_log(account):
    settings = {
        name: account._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_account_file import ADDRESS, NOON, order
from pmrun.runner.account_file import AccountFile
account = AccountFile.open(ADDRESS, Path({folder!r}))
account.begin_session("a", NOON, os.getpid())
account.intent([order(1), order(2)], {{"risk.rate": {{"count": 2}}}})
account._connection.execute("BEGIN IMMEDIATE")
account._connection.execute("UPDATE orders SET state = 'FILLED'")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_kill_9_everything_that_was_written_is_there_and_nothing_by_halves(folder):
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with AccountFile.open(ADDRESS, folder) as again:
        assert again.unclean().run == "a"
        assert [each.state for each in again.unfinished()] == [State.PENDING_SUBMIT, State.PENDING_SUBMIT]
        assert again.carried(NOON) == {"risk.rate": {"count": 2}}


def test_a_disk_that_refuses_is_one_line_and_leaves_no_half_of_a_batch(account):
    pages = account._connection.execute("PRAGMA page_count").fetchone()[0]
    account._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DataError, match="full"):
        account.intent([order(number) for number in range(500)])
    assert account.unfinished() == []


def test_an_account_is_used_from_the_thread_that_opened_it(account):
    import threading

    said: list[BaseException] = []

    def other() -> None:
        try:
            account.known("0xhash1")
        except DataError as error:
            said.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(said) == 1


def test_a_batch_of_fifteen_is_on_disk_within_a_tenth_of_a_second(account):
    began = time.perf_counter()
    account.intent([order(number) for number in range(15)])
    assert time.perf_counter() - began < 0.1
    assert account.path.with_name(account.path.name + "-wal").stat().st_size > 0
