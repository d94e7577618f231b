"""One engine a wallet: two would count each other's orders as strangers' and trade against each other (O11)."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.private_files import file_of, private_folder, state_folder
from pmrun.runner.units import SECOND, Micros

_LONGEST: Final = 4_096  # bytes of what a holder says of itself


@contextmanager
def hold_wallet(
    address: str, run: str, since: Micros, folder: Path | None = None, pid: int | None = None, host: str | None = None
) -> Iterator[None]:
    """Hold the lock of a wallet within a block; the system releases it when the process dies, however it dies.

    `run` and `since` (and pid and host, this process's unless given) are what a second engine is told. It holds
    between processes that share the folder: on one machine, unless they are sent to different ones.
    Raises ConfigError, in one line that names the holder, when somebody holds it.
    """
    place = state_folder(folder)
    path = file_of(address, place, ".lock")
    private_folder(place)
    handle = _open(path)
    try:
        _lock(handle, path, address)
        said = {"pid": pid or os.getpid(), "host": host or os.uname().nodename, "run": run, "since": since}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(said).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DataError(f"{path}: cannot be used: {error.strerror}") from None


def _lock(handle: int, path: Path, address: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError("live", address, f"is traded by {_holder(handle)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be locked: {error.strerror}: use a local disk") from None


def _holder(handle: int) -> str:
    """Say who holds the lock; it may have had no time to say so."""
    try:
        said: Any = json.loads(os.pread(handle, _LONGEST, 0))
        since = datetime.fromtimestamp(said["since"] / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"pid {int(said['pid'])} on {said['host']} since {since} (run {said['run']})"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another pmrun"
