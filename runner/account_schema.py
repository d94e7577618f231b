"""The tables of an account's file, version by version."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pmrun.runner.errors import DataError

APPLICATION: Final = 0x706D7261  # "pmra", in the header of the file

# Money in 1/1,000,000 dollar (e6), prices in 1/10,000 dollar (e4), sizes in 1/1,000,000 share (e6), times in
# microseconds UTC (us).
_TABLES: Final = """
CREATE TABLE account (
    address TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY,
    exchange_order_id TEXT UNIQUE,
    run TEXT NOT NULL,
    market TEXT NOT NULL,
    token TEXT NOT NULL,
    side TEXT NOT NULL,
    price_e4 INTEGER NOT NULL,
    size_e6 INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    sent_at_us INTEGER NOT NULL,
    state TEXT NOT NULL,  -- as last known
    filled_e6 INTEGER NOT NULL,
    ended_at_us INTEGER,
    ended_why TEXT NOT NULL
) STRICT;
CREATE INDEX orders_not_ended ON orders (run) WHERE ended_at_us IS NULL;

CREATE TABLE fills (
    trade_id TEXT NOT NULL,
    exchange_order_id TEXT NOT NULL,
    price_e4 INTEGER NOT NULL,
    size_e6 INTEGER NOT NULL,
    cash_e6 INTEGER NOT NULL,  -- without the fee
    fee_e6 INTEGER NOT NULL,
    status TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (trade_id, exchange_order_id)
) STRICT;
CREATE INDEX fills_of_order ON fills (exchange_order_id);
CREATE INDEX fills_not_settled ON fills (at_us) WHERE status NOT IN ('confirmed', 'failed');

-- What limits have used: the node of the component, and what it wants to know again.
CREATE TABLE carried (
    node TEXT NOT NULL,
    key TEXT NOT NULL,
    value INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    PRIMARY KEY (node, key)
) STRICT, WITHOUT ROWID;

-- One for each ended order; a settlement that fails later replaces it.
CREATE TABLE funds (
    exchange_order_id TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    locked_before_e6 INTEGER NOT NULL,
    locked_after_e6 INTEGER NOT NULL,
    cash_moved_e6 INTEGER NOT NULL,
    shares_moved_e6 INTEGER NOT NULL,
    fee_e6 INTEGER NOT NULL,
    difference_e6 INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    run TEXT PRIMARY KEY,
    started_at_us INTEGER NOT NULL,
    ended_at_us INTEGER,
    clean INTEGER NOT NULL,
    pid INTEGER NOT NULL
) STRICT;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_TABLES,)  # append only: version n is what the first n leave


def prepare(connection: sqlite3.Connection, path: Path, address: str, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Make the connection durable and the file that of an account, at the present version.

    Raises DataError for a file that is something else, another account's, or written by a newer pmrun.
    """
    version = _number(connection, "user_version")
    application = _number(connection, "application_id")
    if version > len(migrations):
        raise DataError(f"{path}: schema version {version}; this pmrun knows up to {len(migrations)}: use a newer one")
    if application != (APPLICATION if version else 0) or (not version and _has_tables(connection)):
        raise DataError(f"{path}: is not the file of an account")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise DataError(f"{path}: cannot be written safely where it is (journal mode {mode}): use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # where the system tells a flush to the disk from one to its cache
    for number in range(version, len(migrations)):
        _migrate(connection, migrations[number], number + 1)
    connection.execute("INSERT INTO account SELECT ? WHERE NOT EXISTS (SELECT * FROM account)", (address,))
    (found,) = connection.execute("SELECT address FROM account").fetchone()
    if found != address:
        raise DataError(f"{path}: is the file of {found}, not of {address}")


def _migrate(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Take one numbered step, whole or not at all."""
    header = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {script} {header} COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT * FROM sqlite_master LIMIT 1").fetchone() is not None
