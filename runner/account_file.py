"""What is known of one account beyond a single run, on disk: orders, fills, limits, funds, sessions (O2, O8, P5).

One writer at a time (runner/wallet_lock.py sees to it), one connection, used from the thread that opened it. What was
written is durable when the call returns. No secret is ever stored.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from pmrun.runner.account_records import FillRecord, FundsRecord, OrderRecord, SessionRecord
from pmrun.runner.account_schema import prepare
from pmrun.runner.errors import DataError
from pmrun.runner.market import TokenId
from pmrun.runner.orders import ENDED, Settlement, State, settles
from pmrun.runner.private_files import file_of, private_file, private_folder, state_folder
from pmrun.runner.units import SECOND, Cash, Micros, Side, Size

CLOCK_TOLERANCE: Final = 60 * SECOND
Values = Mapping[str, int]
Record = TypeVar("Record", bound=msgspec.Struct)

_CARRY: Final = (
    "INSERT INTO carried VALUES (?, ?, ?, ?) "
    "ON CONFLICT (node, key) DO UPDATE SET value = excluded.value, updated_at_us = excluded.updated_at_us"
)


class AccountFile:
    """The file of one account. Every method raises DataError for what the disk or the file refuses."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take an open connection; use `open`."""
        self.path = path
        self._connection = connection
        self._run = ""  # the session that is going on
        self._carried: dict[str, dict[str, int]] = {}  # as written or read last

    @classmethod
    def open(cls, address: str, folder: Path | None = None) -> "AccountFile":
        """Open the file of an account, made when there is none.

        Raises ConfigError for an address that is none, DataError for a file that others can use, that is another
        account's, is damaged, or was written by a newer pmrun.
        """
        place = state_folder(folder)
        path = file_of(address, place, ".sqlite")
        private_folder(place)
        private_file(path)
        with _one_line(path):
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                prepare(connection, path, path.stem)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the file."""
        with _one_line(self.path):
            self._connection.close()

    def __enter__(self) -> "AccountFile":
        """Use it within a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""
        self.close()

    # Orders.

    def intent(self, records: Sequence[OrderRecord], carried: Mapping[str, Values] | None = None) -> None:
        """Write orders that are about to be sent, with what limits carry by now, all or none (O2).

        Raises DataError for an order that was written before, by either of its ids: nothing is sent twice (O7).
        """
        if not records:
            return
        changed = self._changed(carried or {})
        with self._writing() as connection:
            try:
                _insert(connection, "orders", records)
            except sqlite3.IntegrityError as error:
                raise DataError(f"{self.path}: an order would be sent twice: {error}") from None
            _write_carried(connection, changed, records[0].sent_at_us)
        self._carried |= changed

    def name(self, client_order_id: str, exchange_order_id: str) -> None:
        """Write the exchange's id of an order whose id was not known before it was sent.

        An id that begins with `none:` is ours, for an order that never got one: a real one takes its place.
        """
        with self._writing() as connection:
            connection.execute(
                "UPDATE orders SET exchange_order_id = ? WHERE client_order_id = ? "
                "AND (exchange_order_id IS NULL OR exchange_order_id LIKE 'none:%')",
                (exchange_order_id, client_order_id),
            )

    def state(self, exchange_order_id: str, state: State, filled: Size, at: Micros, why: str = "") -> bool:
        """Write where an order stands; False for an order that is not known.

        Only forward: what has ended stays ended (a late fill may still make it FILLED), and filled shares stay filled.
        """
        with self._writing() as connection:
            before = self._one(OrderRecord, "orders WHERE exchange_order_id = ?", exchange_order_id)
            if before is None:
                return False
            ended_at, ended_why = before.ended_at_us, before.ended_why
            if before.state in ENDED:
                state = State.FILLED if state is State.FILLED else before.state
            elif state in ENDED:
                ended_at, ended_why = at, why
            connection.execute(
                "UPDATE orders SET state = ?, filled_e6 = ?, ended_at_us = ?, ended_why = ? "
                "WHERE exchange_order_id = ?",
                (state, max(filled, before.filled_e6), ended_at, ended_why, exchange_order_id),
            )
        return True

    def order(self, exchange_order_id: str) -> OrderRecord | None:
        """Return an order of ours, of this session or any before."""
        return self._one(OrderRecord, "orders WHERE exchange_order_id = ?", exchange_order_id)

    def known(self, exchange_order_id: str) -> bool:
        """Whether an order is ours, of this session or any before."""
        return self.order(exchange_order_id) is not None

    def unfinished(self) -> list[OrderRecord]:
        """Return the orders of earlier sessions that are not known to have ended, oldest first."""
        where = "orders WHERE ended_at_us IS NULL AND run != ? ORDER BY sent_at_us, rowid"
        return self._all(OrderRecord, where, self._run)

    # Fills and funds.

    def fill(self, record: FillRecord) -> bool | None:
        """Write a fill, or how its settlement moved on; told twice it changes nothing.

        True when it was new or moved on, False when it was known, None when it contradicts what was written: other
        amounts, or failed after confirmed. Nothing is changed then.
        """
        where = "fills WHERE trade_id = ? AND exchange_order_id = ?"
        with self._writing() as connection:
            before = self._one(FillRecord, where, record.trade_id, record.exchange_order_id)
            if before is None:
                _insert(connection, "fills", [record])
                return True
            same = msgspec.structs.replace(record, status=before.status, at_us=before.at_us)
            moves = settles(before.status, record.status) if same == before else None
            if moves:
                connection.execute(
                    "UPDATE fills SET status = ? WHERE trade_id = ? AND exchange_order_id = ?",
                    (record.status, record.trade_id, record.exchange_order_id),
                )
        return moves

    def fills(self, exchange_order_id: str) -> list[FillRecord]:
        """Return the fills of an order, oldest first."""
        return self._all(FillRecord, "fills WHERE exchange_order_id = ? ORDER BY at_us, rowid", exchange_order_id)

    def bought(self, token: TokenId) -> tuple[Size, Cash]:
        """Return how many shares of a token were bought and not sold since, and what they cost with fees.

        A sale takes the average cost with it, as in the desk's own books: what an earlier purchase cost, sold long ago,
        says nothing of what is held now.
        """
        rows = self._rows(
            "SELECT o.side, f.size_e6, f.cash_e6 + f.fee_e6 FROM fills f "
            "JOIN orders o ON o.exchange_order_id = f.exchange_order_id "
            "WHERE o.token = ? AND f.status != ? ORDER BY f.at_us, f.rowid",
            token,
            Settlement.FAILED,
        )
        held = cost = 0
        for side, size, cash in rows:
            sold = 0 if side == Side.BUY else min(size, held)
            cost += cash if side == Side.BUY else -(cost * sold // held if held else 0)
            held += size if side == Side.BUY else -sold
        return Size(held), Cash(cost)

    def unsettled(self) -> list[FillRecord]:
        """Return the fills whose settlement is not known to be final, oldest first."""
        final = [status for status in Settlement if status.final]
        return self._all(FillRecord, "fills WHERE status NOT IN (?, ?) ORDER BY at_us, rowid", *final)

    def funds(self, record: FundsRecord) -> None:
        """Write what an ended order did to the funds; written again it replaces what was there (O8)."""
        with self._writing() as connection:
            _insert(connection, "funds", [record], "INSERT OR REPLACE")

    def reconciled(self) -> list[FundsRecord]:
        """Return what all ended orders did to the funds, oldest first."""
        return self._all(FundsRecord, "funds ORDER BY at_us, rowid")

    # What limits carry.

    def carry(self, node: str, values: Values, at: Micros) -> bool:
        """Write what one component carries; False, and nothing written, where it is what was written last."""
        return self.carry_all({node: values}, at)

    def carry_all(self, carried: Mapping[str, Values], at: Micros) -> bool:
        """Write what components carry, all or none; False, and nothing written, where nothing changed.

        Cheap where nothing did, so that it can be called after every step: a limit that trips places nothing more.
        """
        changed = self._changed(carried)
        if not changed:
            return False
        with self._writing() as connection:
            _write_carried(connection, changed, at)
        self._carried |= changed
        return True

    def carried(self, at: Micros) -> dict[str, dict[str, int]]:
        """Return what every component carried.

        Raises DataError where it was written later than `at` by more than a minute: by a wrong clock a limit would
        have more room than it has.
        """
        found: dict[str, dict[str, int]] = {}
        for node, key, value, updated_at in self._rows("SELECT * FROM carried ORDER BY node, key"):
            if updated_at > at + CLOCK_TOLERANCE:
                late = (updated_at - at) // SECOND
                raise DataError(f"{self.path}: {node} was written {late} s from now: the clock is, or was, wrong")
            found.setdefault(node, {})[key] = value
        self._carried = {node: dict(values) for node, values in found.items()}
        return found

    def forget(self, node: str) -> bool:
        """Reset what a component carried, as a person asks; False where there was nothing."""
        self._carried.pop(node, None)
        with self._writing() as connection:
            return connection.execute("DELETE FROM carried WHERE node = ?", (node,)).rowcount > 0

    def _changed(self, carried: Mapping[str, Values]) -> dict[str, dict[str, int]]:
        return {node: dict(values) for node, values in carried.items() if self._carried.get(node, {}) != values}

    # Sessions.

    def begin_session(self, run: str, at: Micros, pid: int) -> None:
        """Write that a session begins; until it is ended cleanly it counts as crashed."""
        with self._writing() as connection:
            try:
                _insert(
                    connection,
                    "sessions",
                    [SessionRecord(run=run, started_at_us=at, ended_at_us=None, clean=False, pid=pid)],
                )
            except sqlite3.IntegrityError:
                raise DataError(f"{self.path}: the run {run} has traded this account before") from None
        self._run = run

    def end_session(self, at: Micros, clean: bool) -> None:
        """Write that the session is over, and whether nothing of it rests."""
        with self._writing() as connection:
            connection.execute("UPDATE sessions SET ended_at_us = ?, clean = ? WHERE run = ?", (at, clean, self._run))

    def unclean(self) -> SessionRecord | None:
        """Return the session before this one where it crashed, or may have left something resting."""
        last = self._one(SessionRecord, "sessions WHERE run != ? ORDER BY rowid DESC LIMIT 1", self._run)
        return None if last is None or last.clean else last

    # Rows.

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction, durable at its end; undone as a whole by any error."""
        connection = self._connection
        with _one_line(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with _one_line(self.path):
            return self._connection.execute(query, values).fetchall()

    def _all(self, kind: type[Record], source: str, *values: object) -> list[Record]:
        names = kind.__struct_fields__
        rows = self._rows(f"SELECT {', '.join(names)} FROM {source}", *values)
        with _one_line(self.path):
            return [msgspec.convert(dict(zip(names, row, strict=True)), kind, strict=False) for row in rows]

    def _one(self, kind: type[Record], source: str, *values: object) -> Record | None:
        found = self._all(kind, source, *values)
        return found[0] if found else None


def _insert(connection: sqlite3.Connection, table: str, records: Iterable[msgspec.Struct], how: str = "INSERT") -> None:
    for record in records:
        values = msgspec.structs.asdict(record)
        places = ", ".join("?" * len(values))
        connection.execute(f"{how} INTO {table} ({', '.join(values)}) VALUES ({places})", tuple(values.values()))


def _write_carried(connection: sqlite3.Connection, carried: Mapping[str, Values], at: Micros) -> None:
    rows = [(node, key, value, at) for node, values in carried.items() for key, value in values.items()]
    connection.executemany(_CARRY, rows)


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what the database or a row of it refuses into one line."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, msgspec.ValidationError, OverflowError) as error:
        raise DataError(f"{path}: {error}") from None
