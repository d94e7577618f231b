"""Where an account's files are, and that nobody else can use them."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pmrun.runner.errors import ConfigError, DataError

_ADDRESS: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def state_folder(folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where accounts are kept: the given folder, else `pmrun` in the user's state directory (XDG)."""
    if folder is not None:
        return folder
    given = environment.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return base / "pmrun"


def file_of(address: str, folder: Path, suffix: str) -> Path:
    """Return the file of an account; raises ConfigError for an address that cannot be the name of one."""
    if not _ADDRESS.fullmatch(address):
        raise ConfigError("account", address, "must be 1 to 100 letters, digits, - and _")
    hexadecimal = address.startswith(("0x", "0X"))  # written in any case it is the same wallet
    return folder / f"{address.lower() if hexadecimal else address}{suffix}"


def private_folder(folder: Path) -> None:
    """Make a folder that is ours alone; raises DataError for one in which others can replace files."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise DataError(f"{folder}: cannot be used: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise DataError(f"{folder}: belongs to somebody else")
    if found.st_mode & _OTHERS_WRITE:
        raise DataError(f"{folder}: others can write here (mode {found.st_mode & 0o777:o}): chmod 700 it")


def private_file(path: Path) -> None:
    """Make a file that is ours alone, or see that it is; raises DataError."""
    try:
        made = _make(path)
        found = path.lstat()
        if made:
            _sync(path.parent)
    except OSError as error:
        raise DataError(f"{path}: cannot be used: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: is not a plain file")
    if found.st_uid != os.geteuid():
        raise DataError(f"{path}: belongs to somebody else")
    if found.st_mode & _OTHERS:
        raise DataError(f"{path}: others can use it (mode {found.st_mode & 0o777:o}): chmod 600 it")


def _make(path: Path) -> bool:
    """Make an empty file; False where there is one.

    One that is there is not opened: closing it would end the locks that this process may hold on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def _sync(folder: Path) -> None:
    """Have the name of a new file on disk too."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
