"""Reads an account's file while it may be an engine's: nothing is made, brought up to date or written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_schema import APPLICATION, MIGRATIONS
from pmrun.runner.errors import DataError
from pmrun.runner.private_files import file_of, private_file, private_folder, state_folder
from pmrun.runner.units import Micros


class Carried(msgspec.Struct, frozen=True):
    """What one component carries, and when any of it was written last."""

    node: str
    values: dict[str, int]
    written_at: Micros


class AccountReader:
    """An account's file, opened to be read; every method raises DataError for what the disk or the file refuses."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take an open connection; use `reading`."""
        self.path = path
        self.account = AccountFile(path, connection)
        self._connection = connection

    def carried(self) -> list[Carried]:
        """Return what every component carries, whatever the clock says."""
        found: dict[str, Carried] = {}
        try:
            rows = self._connection.execute("SELECT node, key, value, updated_at_us FROM carried ORDER BY node, key")
            for node, key, value, at in rows:
                before = found.get(node, Carried(node, {}, Micros(0)))
                found[node] = Carried(node, before.values | {key: value}, max(before.written_at, Micros(at)))
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: {error}") from None
        return list(found.values())


@contextmanager
def reading(address: str, folder: Path | None) -> Iterator[AccountReader | None]:
    """Open an account's file within a block; None where the account was never traded.

    Raises DataError for a file that others can use, that is none of an account, or of another version of pmrun.
    """
    place = state_folder(folder)
    path = file_of(address, place, ".sqlite")
    if not path.exists():
        yield None
        return
    private_folder(place)
    private_file(path)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise DataError(f"{path}: {error}") from None
    with closing(connection):
        _check(connection, path)
        yield AccountReader(path, connection)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        broken = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise DataError(f"{path}: {error}") from None
    if application != APPLICATION:
        raise DataError(f"{path}: is not the file of an account")
    if version != len(MIGRATIONS):
        older = "the next session brings it up to date" if version < len(MIGRATIONS) else "use a newer pmrun"
        raise DataError(f"{path}: schema version {version}, and this pmrun reads {len(MIGRATIONS)}: {older}")
    if broken != "ok":
        raise DataError(f"{path}: is damaged: {broken}")
