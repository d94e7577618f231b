"""Writes what happened in a run to `run.sqlite`: exact, crash-safe, one writer (P5, O2, O8)."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from pmrun.plugins.stores.schema import MIGRATIONS, migrate, refuse_newer, version_of
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.errors import DataError
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    FeedLost,
    FeedRestored,
    Filled,
    FundsSeen,
    Listed,
    MarketStatus,
    Merged,
    OrderNews,
    Settled,
    StatusChanged,
    TickChanged,
    each,
)
from pmrun.runner.fills import Fill
from pmrun.runner.hooks import Calibrated
from pmrun.runner.intents import Cancel, CancelAll, Drop, Halt, Intent, Merge, Observed, Place, Reason, Refuse, Select
from pmrun.runner.market import Market, MarketNo, Outcome, cash_of_notional
from pmrun.runner.markouts import Markouts
from pmrun.runner.orders import ENDED, LIFECYCLE, News, Order, OrderNo, Settlement, State, TradeId, settles
from pmrun.runner.pnl import Pnl
from pmrun.runner.pnl_ledger import UNITS_PER_CASH
from pmrun.runner.summary import exit_values
from pmrun.runner.timings import Measured
from pmrun.runner.units import NOTIONAL_PER_CASH, ONE, SECOND, Micros, Price, Side, Size, cash_paid, cash_received

FILE: Final = "run.sqlite"
MILLISECOND: Final = 1_000
_IDLE: Final = (0, 0, 0, 0, 0)  # a market in which nothing is held and nothing rests
_FIVE_SECONDS: Final = Micros(5 * SECOND)
_MINUTE: Final = Micros(60 * SECOND)
Row = tuple[Any, ...]

# What a sample of estimated rewards has to say, whoever estimated it.
_REWARD: Final = attrgetter(
    "market",
    "at",
    "scoring",
    "ours",
    "competitors_low",
    "competitors_high",
    "share_low",
    "share_mid",
    "share_high",
    "native_low_usd",
    "native_mid_usd",
    "native_high_usd",
    "sponsored_low_usd",
    "sponsored_mid_usd",
    "sponsored_high_usd",
)
_MARKET: Final = (
    "INSERT INTO markets (market, condition_id, question, slug, yes_token, no_token, yes_name, no_name, tick_e4, "
    "min_order_size_e6, fee_rate_ppm, rebate_ppm, reward_min_size_e6, reward_max_spread_e4, reward_daily_cash_e6, "
    "ends_at_us, simulated, assumed_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (market) DO UPDATE SET question = excluded.question, tick_e4 = excluded.tick_e4, "
    "min_order_size_e6 = excluded.min_order_size_e6, fee_rate_ppm = excluded.fee_rate_ppm, "
    "rebate_ppm = excluded.rebate_ppm, reward_min_size_e6 = excluded.reward_min_size_e6, "
    "reward_max_spread_e4 = excluded.reward_max_spread_e4, reward_daily_cash_e6 = excluded.reward_daily_cash_e6, "
    "ends_at_us = excluded.ends_at_us, assumed_json = excluded.assumed_json"
)
_ORDER: Final = (
    "INSERT INTO orders (order_no, client_order_id, exchange_order_id, market, outcome, side, price_e4, size_e6, "
    "purpose, basis, post_only, state, outcome_unknown, placed_at_us, submitted_at_ms, last_event_at_ms, ended_at_us, "
    "filled_size_e6, remaining_size_e6, filled_cash_e6, raw_last_ws_event, raw_last_rest_snapshot) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (order_no) DO UPDATE SET exchange_order_id = excluded.exchange_order_id, state = excluded.state, "
    "outcome_unknown = excluded.outcome_unknown, submitted_at_ms = excluded.submitted_at_ms, "
    "last_event_at_ms = excluded.last_event_at_ms, ended_at_us = coalesce(orders.ended_at_us, excluded.ended_at_us), "
    "filled_size_e6 = excluded.filled_size_e6, remaining_size_e6 = excluded.remaining_size_e6, "
    "filled_cash_e6 = excluded.filled_cash_e6, raw_last_ws_event = excluded.raw_last_ws_event, "
    "raw_last_rest_snapshot = excluded.raw_last_rest_snapshot"
)
_CANCEL: Final = (
    "UPDATE orders SET cancel_at_us = ?, cancel_code = ?, cancel_by = ?, cancel_numbers_json = ? "
    "WHERE order_no = ? AND cancel_at_us IS NULL"
)
_FILL: Final = (
    "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trade_id, order_no) "
    "DO UPDATE SET settlement = excluded.settlement, settlement_at_us = excluded.settlement_at_us"
)
_MERGED: Final = (
    "UPDATE merges SET at_us = ?, pairs_e6 = ?, cash_e6 = ?, reason = ? WHERE merge_no = ? AND at_us IS NULL"
)
_STATUS: Final = "UPDATE markets SET status = ?, settled_yes_e4 = coalesce(?, settled_yes_e4) WHERE market = ?"

# In this order: a row comes after the rows it refers to.
_APPENDED: Final[tuple[tuple[str, str], ...]] = (
    ("markets", _MARKET),
    (
        "market_changes",
        "INSERT INTO market_changes (at_us, market, kind, tick_e4, inferred, status, settled_yes_e4, redeemed_cash_e6) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    ("statuses", _STATUS),
    (
        "selections",
        'INSERT INTO selections (at_us, market, verdict, code, by, numbers_json, value, "limit", margin) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    ("mids", "INSERT OR REPLACE INTO mids VALUES (?, ?, ?, ?, ?, ?, ?)"),
    ("orders", _ORDER),
    ("cancels", _CANCEL),
    (
        "order_transitions",
        "INSERT INTO order_transitions (order_no, at_us, before, after, news, reason) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    ("fills", _FILL),
    ("settlements", "INSERT INTO settlements (trade_id, order_no, at_us, before, after) VALUES (?, ?, ?, ?, ?)"),
    ("merge_requests", "INSERT INTO merges (merge_no, asked_at_us, market, asked_e6) VALUES (?, ?, ?, ?)"),
    ("merges", _MERGED),
    (
        "refusals",
        "INSERT INTO refusals (refusal, at_us, market, outcome, side, price_e4, size_e6, purpose, code, by, "
        "numbers_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    ("alerts", "INSERT INTO alerts (at_us, kind, market, code, by, numbers_json) VALUES (?, ?, ?, ?, ?, ?)"),
    ("equity", "INSERT OR REPLACE INTO equity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    ("inventory", "INSERT OR REPLACE INTO inventory VALUES (?, ?, ?, ?, ?, ?, ?)"),
    ("funds_reconciliation", "INSERT OR REPLACE INTO funds_reconciliation VALUES (?, ?, ?, ?, ?, ?, ?)"),
    ("reward_minutes", f"INSERT OR REPLACE INTO reward_minutes VALUES ({', '.join('?' * 15)})"),
    ("markouts", "INSERT OR REPLACE INTO markouts VALUES (?, ?, ?, ?, ?)"),
    ("pnl_parts", "INSERT OR REPLACE INTO pnl_parts VALUES (?, ?, ?)"),
    ("exits", "INSERT OR REPLACE INTO exits VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
    ("market_calibration", "INSERT OR REPLACE INTO market_calibration VALUES (?, ?, ?, ?)"),
    ("timings", "INSERT OR REPLACE INTO timings VALUES (?, ?, ?, ?, ?, ?)"),
    ("remarks", "INSERT OR IGNORE INTO remarks (text) VALUES (?)"),
    ("run", "INSERT OR REPLACE INTO run VALUES (?, ?)"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Sqlite:
    """Keep a run in one SQLite file.

    `mids_every` and `equity_every` are seconds of the run's own time between samples of a market's touch and of the
    account. Rows are committed every `batch` rows or `commit_every` seconds of the run's time, whichever is first;
    `durable` commits and syncs before each new order leaves, for live.
    """

    mids_every: Micros = SECOND
    equity_every: Micros = _FIVE_SECONDS
    commit_every: Micros = _MINUTE
    batch: int = 5_000
    durable: bool = False

    def __post_init__(self) -> None:
        """Refuse intervals of nothing and batches that would not fit in memory."""
        for name in ("mids_every", "equity_every", "commit_every"):
            if not 0 < getattr(self, name) < 10**12:
                raise ValueError(f"{name} must be above 0 and below 1,000,000 seconds")
        if not 0 < self.batch <= 1_000_000:
            raise ValueError("batch must be from 1 to 1,000,000 rows")

    def open(self, directory: Path, desk: Desk) -> "SqliteStore":
        """Create the run's database; raises DataError when it cannot be written or holds a run already."""
        path = directory / FILE
        connection = connect(path, self.durable)
        if connection.execute("SELECT 1 FROM run").fetchone():
            connection.close()
            raise DataError(f"{path}: holds a run already; a run has a database of its own")
        return SqliteStore(self, connection, path, desk)


def connect(path: Path, durable: bool = False) -> sqlite3.Connection:
    """Open a run's database for writing, at the present version; raises DataError when that cannot be."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # With WAL, NORMAL loses at most the last commits when the power fails, and never the file.
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise DataError(f"{path}: {error}") from None
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a run's database for reading, migrated first where it is older; raises DataError when it cannot be read."""
    if not path.is_file():
        raise DataError(f"{path}: no such database")
    try:
        connection = _reader(path)
        version = version_of(connection)
    except sqlite3.Error as error:
        raise DataError(f"{path}: {error}") from None
    if version == len(MIGRATIONS):
        return connection
    connection.close()
    refuse_newer(version, path)
    connect(path).close()
    return _reader(path)


def _reader(path: Path) -> sqlite3.Connection:
    # A file that was closed in order has no WAL beside it: it can be read even from a read-only directory.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)


def _json(numbers: Mapping[str, object]) -> str:
    return msgspec.json.encode(numbers).decode() if numbers else "{}"


class SqliteStore:
    """Buffers rows and writes them in batches.

    Amounts are read from the desk after each step. States are followed by the same tables that the desk uses, because
    a step may tell several things of one order at once.
    """

    takes_together = True

    def __init__(self, settings: Sqlite, connection: sqlite3.Connection, path: Path, desk: Desk) -> None:
        """Take an open database; `Sqlite.open` makes one."""
        self._settings = settings
        self._connection = connection
        self._path = path
        self._desk = desk
        self._rows: dict[str, list[Row]] = {name: [] for name, _ in _APPENDED}
        self._buffered = 0
        self._touched: dict[OrderNo, Order] = {}  # orders that changed since the last commit, as they are now
        self._touched_fills: dict[tuple[TradeId, OrderNo], tuple[Fill, Micros]] = {}
        self._markets: set[MarketNo] = set()  # listed: what other rows may refer to
        self._states: dict[OrderNo, State] = {}  # of orders, as last recorded
        self._settled: dict[tuple[TradeId, OrderNo], Settlement] = {}
        self._ledgers: dict[OrderNo, _OrderLedger] = {}
        self._held: dict[MarketNo, dict[Outcome, int]] = {}  # by our own count, to tell what a resolution pays
        self._settled_yes: dict[MarketNo, Price] = {}  # of markets that are resolved
        self._merging: set[int] = set()  # merges that are not answered yet
        self._traded: set[MarketNo] = set()  # selected once at least: the touches of the others are not kept
        self._touches: dict[MarketNo, tuple[Micros, Book]] = {}  # the last of the present interval
        self._inventories: dict[MarketNo, Row] = {}
        self._cash = int(desk.account.funds.total)
        self._explained = 0  # of the cash that the present step moved
        self._at = Micros(0)
        self._sample_at: int | None = None
        self._commit_at: int | None = None
        self._refusals = 0
        self._markouts = Markouts()
        self._pnl = Pnl(desk)
        self._closed = False
        self._facts: dict[type[Any], Callable[[Any], None]] = {
            Listed: self._listed,
            BookChanged: self._book_changed,
            TickChanged: self._tick_changed,
            StatusChanged: self._status_changed,
            FundsSeen: self._funds_seen,
            OrderNews: self._order_news,
            Filled: self._filled,
            Settled: self._settlement,
            Merged: self._merged,
            FeedLost: self._feed_changed,
            FeedRestored: self._feed_changed,
        }
        self._intents: dict[type[Any], Callable[[Any], None]] = {
            Place: self._place,
            Cancel: self._cancel,
            CancelAll: self._cancel_all,
            Halt: self._halt,
            Drop: self._drop,
            Select: self._select,
            Merge: self._merge,
            Refuse: self._refuse,
            Observed: self._observed,
        }
        self.describe({"desk": desk.settings, "store": settings})

    # What the shell calls.

    def describe(self, facts: Mapping[str, object] | None = None, remarks: Sequence[str] = ()) -> None:
        """Keep what a reader has to know of the run: named values (stored as JSON, or text as it is) and remarks."""
        for key, value in (facts or {}).items():
            text = value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value), sort_keys=True)
            self._add("run", (key, text))
        for remark in remarks:
            self._add("remarks", (remark,))

    def rewards(self, samples: Iterable[object]) -> None:
        """Keep samples of what resting orders may have earned: one a market and minute, an estimate (R2)."""
        for sample in samples:
            self._add("reward_minutes", _REWARD(sample))

    def calibration(self, learned: Iterable[tuple[str, Calibrated]]) -> None:
        """Keep what components learned of markets, as it is in the end (P2, P5)."""
        for by, one in learned:
            self._add("market_calibration", (one.market, by, one.name, one.value))

    def timings(self, measured: Iterable[Measured]) -> None:
        """Keep how long the key operations took, as far as they are known when the store closes (R16)."""
        for operation in measured:
            self._add("timings", tuple(operation))

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Take one step of the desk, after the desk took it and before anybody carries it out."""
        self._markouts.record(fact, intents)
        self._pnl.record(fact, intents)
        if fact.at > self._at:
            self._at = fact.at
        for one in each(fact):
            learn = self._facts.get(type(one))
            if learn is not None:
                learn(one)
        if self._desk.account.funds.total != self._cash:
            self._check_cash()
        for intent in intents:
            self._intents[type(intent)](intent)
        if self._sample_at is None or self._at >= self._sample_at:
            self._sample()
        if self._is_due(intents):
            self.commit()

    def commit(self) -> None:
        """Write what is buffered, in one transaction; raises DataError when the disk does not take it."""
        self._commit_at = self._at + self._settings.commit_every
        self._gather()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for name, statement in _APPENDED:
                rows = self._rows[name]
                if rows:
                    self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise DataError(f"{self._path}: cannot be written: {error}") from None
        for rows in self._rows.values():
            rows.clear()
        self._buffered = 0

    def close(self) -> None:
        """Write the last touches and the last state of the account, and close the file; again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            for market, (at, book) in self._touches.items():
                self._add_touch(market, at, book)
            if self._sample_at is not None:
                self._sample(last=True)
            for row in self._markouts.rows():
                if (row.trade, row.order) in self._settled:
                    self._add("markouts", tuple(row))
            self._close_books()
            self.commit()
            self._connection.execute("PRAGMA optimize")
        except sqlite3.Error as error:
            raise DataError(f"{self._path}: cannot be written: {error}") from None
        finally:
            self._connection.close()

    def _close_books(self) -> None:
        """Set down what each market made, by cause, and what leaving would have cost."""
        for no, found in self._pnl.result().markets.items():
            for part, units in asdict(found.parts).items():
                self._add("pnl_parts", (no, part, units))
        for no, value in exit_values(self._desk).items():
            inventory = self._desk.account.inventory(no)
            held = (int(inventory.of(outcome).held) for outcome in Outcome)
            self._add("exits", (no, *held, value.paired, value.unsold, value.at_mid, value.at_exit, value.fees))

    def _is_due(self, intents: Sequence[Intent]) -> bool:
        if self._settings.durable and any(type(intent) is Place for intent in intents):
            return True  # O2: the intent is on the disk before the request leaves
        if self._commit_at is None:
            self._commit_at = self._at + self._settings.commit_every
        return self._buffered >= self._settings.batch or self._at >= self._commit_at

    def _add(self, table: str, row: Row) -> None:
        self._rows[table].append(row)
        self._buffered += 1

    def _gather(self) -> None:
        """Turn orders and fills that changed into rows: one each, however often they changed."""
        self._rows["orders"].extend(map(_order_row, self._touched.values()))
        self._touched.clear()
        self._rows["fills"].extend(_fill_row(fill, at) for fill, at in self._touched_fills.values())
        self._touched_fills.clear()

    # Facts.

    def _listed(self, fact: Listed) -> None:
        self._markets.add(fact.market)
        self._add("markets", _market_row(fact.market, fact.terms))

    def _book_changed(self, fact: BookChanged) -> None:
        market = fact.market
        if market not in self._markets:
            return
        before = self._touches.get(market)
        every = self._settings.mids_every
        if before is not None and before[0] // every != fact.at // every:
            self._add_touch(market, *before)
        self._touches[market] = (fact.at, fact.book)

    def _add_touch(self, market: MarketNo, at: Micros, book: Book) -> None:
        if market not in self._traded:
            return
        bid, bid_size = book.bids[0] if book.bids else (None, None)
        ask, ask_size = book.asks[0] if book.asks else (None, None)
        mid = None if bid is None or ask is None else bid + ask
        self._add("mids", (market, at, bid, bid_size, ask, ask_size, mid))

    def _tick_changed(self, fact: TickChanged) -> None:
        if fact.market not in self._markets:
            return
        self._add("market_changes", (fact.at, fact.market, "tick", fact.tick, fact.inferred, None, None, 0))

    def _status_changed(self, fact: StatusChanged) -> None:
        if fact.market not in self._markets:
            return
        paid = self._redeemed(fact)
        self._explained += paid
        row = (fact.at, fact.market, "status", None, 0, str(fact.status), fact.settled_yes, paid)
        self._add("market_changes", row)
        self._add("statuses", (str(fact.status), fact.settled_yes, fact.market))

    def _redeemed(self, fact: StatusChanged) -> int:
        """Return what a resolution pays for what is held, and forget the holding."""
        if fact.status is not MarketStatus.RESOLVED or fact.settled_yes is None:
            return 0
        self._settled_yes[fact.market] = fact.settled_yes
        return self._worth(fact.market, fact.settled_yes)

    def _worth(self, market: MarketNo, settled_yes: Price) -> int:
        held = self._held.pop(market, {})
        worth = {Outcome.YES: settled_yes, Outcome.NO: Price(ONE - settled_yes)}
        return sum(shares * worth[outcome] // NOTIONAL_PER_CASH for outcome, shares in held.items())

    def _redeem_late(self, market: MarketNo) -> None:
        """Set down what a resolution pays, or takes back, for shares that moved before it and were told of after it."""
        settled_yes = self._settled_yes.get(market)
        if settled_yes is not None:
            paid = self._worth(market, settled_yes)
            self._explained += paid
            resolved = str(MarketStatus.RESOLVED)
            self._add("market_changes", (self._at, market, "status", None, 0, resolved, settled_yes, paid))

    def _funds_seen(self, fact: FundsSeen) -> None:
        """Take the exchange's word for the cash: what it says of the past needs no explanation."""
        self._cash, self._explained = int(fact.total), 0

    def _feed_changed(self, fact: FeedLost | FeedRestored) -> None:
        kind = "feed_lost" if type(fact) is FeedLost else "feed_restored"
        self._add("alerts", (fact.at, kind, None, kind, "feed", "{}"))

    def _order_news(self, fact: OrderNews) -> None:
        self._learn_order(fact.order, fact.news, fact.reason)

    def _filled(self, fact: Filled) -> None:
        key = fact.trade, fact.order
        fill = self._desk.account.fills.get(key)
        if fill is None or key in self._settled:
            return  # not applied, or told twice
        self._settled[key] = Settlement.MATCHED
        self._touched_fills[key] = fill, fill.at
        self._buffered += 1
        ledger = self._ledgers.setdefault(fact.order, _OrderLedger())
        ledger.add(fill)
        self._explained += fill.money
        self._hold(fill, fill.shares)
        self._redeem_late(fill.market)
        order = self._desk.orders.get(fact.order)
        full = order is not None and ledger.shares >= order.size
        self._learn_order(fact.order, News.FILLED_FULL if full else News.FILLED_PART, str(fact.trade))
        self._reconcile(fact.order)

    def _settlement(self, fact: Settled) -> None:
        key = fact.trade, fact.order
        fill = self._desk.account.fills.get(key)
        before = self._settled.get(key)
        if fill is None or before is None or not settles(before, fact.status):
            return  # unknown, late, doubled, or a contradiction
        self._settled[key] = fact.status
        self._touched_fills[key] = fill, self._at
        self._add("settlements", (*key, self._at, str(before), str(fact.status)))
        if fact.status is Settlement.FAILED:
            self._ledgers[fact.order].take_back(fill)
            self._explained -= fill.money
            self._hold(fill, -fill.shares)
            self._redeem_late(fill.market)
            self._reconcile(fact.order)

    def _merge(self, intent: Merge) -> None:
        self._merging.add(intent.no)
        self._add("merge_requests", (intent.no, intent.at, intent.market, intent.size))

    def _merged(self, fact: Merged) -> None:
        if fact.no not in self._merging:
            return  # told twice, or never asked for
        self._merging.discard(fact.no)
        self._explained += fact.cash
        held = self._held.setdefault(fact.market, {})
        for outcome in Outcome:
            held[outcome] = held.get(outcome, 0) - fact.size
        self._redeem_late(fact.market)
        self._add("merges", (fact.at, fact.size, fact.cash, fact.reason, fact.no))

    def _learn_order(self, no: OrderNo, news: News, reason: str) -> None:
        order = self._desk.orders.get(no)
        before = self._states.get(no)
        if order is None or before is None:
            return
        self._touched[no] = order
        after = LIFECYCLE[before, news]
        if after is None or after is before:
            return
        self._states[no] = after
        self._add("order_transitions", (no, self._at, str(before), str(after), str(news), reason))
        self._reconcile(no)

    # Funds.

    def _hold(self, fill: Fill, shares: int) -> None:
        held = self._held.setdefault(fill.market, {})
        held[fill.outcome] = held.get(fill.outcome, 0) + shares

    def _check_cash(self) -> None:
        """Report cash that moved without a fill, a resolution or the exchange's word for it (O8)."""
        total = int(self._desk.account.funds.total)
        stray = total - self._cash - self._explained
        self._cash, self._explained = total, 0
        if stray:
            numbers = _json({"cash_e6": stray})
            self._add("alerts", (self._at, "funds", None, "unexplained_cash", "store", numbers))

    def _reconcile(self, no: OrderNo) -> None:
        """Set down for an ended order what its fills should have moved beside what moved (O8)."""
        state = self._states.get(no)
        if state not in ENDED:
            return
        ledger = self._ledgers.get(no, _EMPTY)
        row = (no, self._at, str(state), ledger.fills, ledger.expected, ledger.moved)
        self._add("funds_reconciliation", (*row, ledger.moved - ledger.expected))

    def _sample(self, last: bool = False) -> None:
        """Set down the account as the desk has it."""
        self._sample_at = self._at + self._settings.equity_every
        account = self._desk.account
        value = cost = unpriced = 0
        for market, inventory in account.markets():
            yes, no = inventory.of(Outcome.YES).held, inventory.of(Outcome.NO).held
            if not (yes or no or inventory.bids or last) and self._inventories.get(market) == _IDLE:
                continue  # most markets, most of the time
            worth, paid = int(self._desk.value(market, inventory)), int(inventory.cost)
            value += worth
            cost += paid
            unpriced += 0 if self._has_mid(market) else paid
            row = (yes, no, paid, worth, int(cash_of_notional(inventory.exposure)))
            if last or self._inventories.get(market) != row:
                self._inventories[market] = row
                self._add("inventory", (market, self._at, *row))
        funds, realised = account.funds, account.realised
        outside = self._pnl.opening + self._pnl.transfers
        pnl = ((funds.total + value) * UNITS_PER_CASH - outside) // UNITS_PER_CASH
        self._add(
            "equity",
            (
                self._at,
                funds.total,
                funds.locked,
                value,
                unpriced,
                funds.total + value,
                pnl,
                realised,
                pnl - realised,
                account.fees,
                account.rebates,
                int(cash_of_notional(account.exposure)),
                int(cash_of_notional(account.exposure_max)),
            ),
        )

    def _has_mid(self, market: MarketNo) -> bool:
        """Whether the desk values what is held at a mid, or, without one, at cost."""
        state = self._desk.markets.get(market)
        book = None if state is None else state.observed
        return book is not None and bool(book.bids and book.asks)

    # Intents.

    def _place(self, intent: Place) -> None:
        order = self._desk.orders[intent.order]
        self._touched[intent.order] = order
        self._states[intent.order] = State.PENDING_SUBMIT
        reason = intent.reason.code
        self._add("order_transitions", (intent.order, intent.at, None, str(State.PENDING_SUBMIT), "placed", reason))

    def _cancel(self, intent: Cancel) -> None:
        self._add("cancels", (intent.at, *_reason_row(intent.reason), intent.order))

    def _cancel_all(self, intent: CancelAll) -> None:
        self._alert(intent.at, "cancel_all", None, intent.reason)
        for order in self._desk.in_play():
            self._add("cancels", (intent.at, *_reason_row(intent.reason), order.no))

    def _halt(self, intent: Halt) -> None:
        self._alert(intent.at, "halt", intent.market, intent.reason)

    def _observed(self, intent: Observed) -> None:
        self._alert(intent.at, "observed", None, intent.reason)

    def _alert(self, at: Micros, kind: str, market: MarketNo | None, reason: Reason) -> None:
        self._add("alerts", (at, kind, market, *_reason_row(reason)))

    def _drop(self, intent: Drop) -> None:
        self._verdict(intent, "dropped")

    def _select(self, intent: Select) -> None:
        self._traded.add(intent.market)
        self._verdict(intent, "selected")

    def _verdict(self, intent: Drop | Select, verdict: str) -> None:
        numbers = intent.reason.numbers
        judged = (numbers.get("value"), numbers.get("limit"), numbers.get("margin"))
        self._add("selections", (intent.at, intent.market, verdict, *_reason_row(intent.reason), *judged))

    def _refuse(self, intent: Refuse) -> None:
        self._refusals += 1
        head = (self._refusals, intent.at, intent.market, str(intent.outcome), str(intent.side))
        asked = (intent.price, intent.size, str(intent.purpose))
        for reason in intent.reasons:
            self._add("refusals", (*head, *asked, *_reason_row(reason)))


class _OrderLedger:
    """The cash that the fills of one order should have moved, and what they moved.

    The expectation goes by price, size and fee, whatever we were told that a fill moved. All parts at one price
    together are rounded once, as the paper exchange does: rounding each would show a difference where there is none.
    """

    __slots__ = ("_expected", "_matched", "fills", "moved", "shares")

    def __init__(self) -> None:
        self.fills = self.shares = self.moved = 0
        self._matched: dict[Price, int] = {}
        self._expected: dict[TradeId, int] = {}

    @property
    def expected(self) -> int:
        return sum(self._expected.values())

    def add(self, fill: Fill) -> None:
        self.fills += 1
        self.shares += fill.size  # a fill that fails later has filled its order all the same
        self.moved += fill.money
        before = self._matched.get(fill.price, 0)
        after = self._matched[fill.price] = before + fill.size
        rounded = cash_paid if fill.side is Side.BUY else cash_received
        cash = rounded(fill.price, Size(after)) - rounded(fill.price, Size(before))
        self._expected[fill.trade] = (-cash if fill.side is Side.BUY else cash) - fill.fee

    def take_back(self, fill: Fill) -> None:
        self.fills -= 1
        self.moved -= fill.money
        del self._expected[fill.trade]


_EMPTY: Final = _OrderLedger()


def _reason_row(reason: Reason) -> tuple[str, str, str]:
    return reason.code, reason.by, _json(reason.numbers)


def _market_row(no: MarketNo, terms: Market) -> Row:
    rewards = terms.rewards
    earns = (rewards.min_size, rewards.max_spread, rewards.daily_rate) if rewards else (None, None, None)
    return (
        no,
        terms.condition,
        terms.question,
        terms.slug,
        terms.yes,
        terms.no,
        *terms.outcomes,
        terms.tick,
        terms.min_order_size,
        terms.fees.rate_ppm,
        terms.fees.rebate_ppm,
        *earns,
        terms.ends_at,
        int(terms.simulated),
        json.dumps(terms.assumed),
    )


def _order_row(order: Order) -> Row:
    return (
        order.no,
        order.client_order_id,
        order.exchange_order_id,
        order.market,
        str(order.outcome),
        str(order.side),
        order.price,
        order.size,
        str(order.purpose),
        order.basis,
        order.post_only,
        str(order.state),
        order.outcome_unknown,
        order.placed_at,
        None if order.submitted_at is None else order.submitted_at // MILLISECOND,
        None if order.last_event_at is None else order.last_event_at // MILLISECOND,
        None if order.in_play else order.last_event_at,
        order.filled,
        order.remaining,
        order.paid,
        order.raw_last_ws_event,
        order.raw_last_rest_snapshot,
    )


def _fill_row(fill: Fill, settlement_at: Micros) -> Row:
    return (
        fill.trade,
        fill.order,
        fill.market,
        fill.at,
        str(fill.outcome),
        str(fill.side),
        fill.price,
        fill.size,
        fill.cash,
        fill.fee,
        fill.rebate,
        fill.maker,
        str(fill.status),
        settlement_at,
    )
