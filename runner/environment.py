"""Takes secrets from a private file into the environment, where configuration may refer to them (R17)."""

import os
import stat
from pathlib import Path

from pmrun.runner.errors import ConfigError
from pmrun.runner.packs import installed_packs

FILE = ".env"
OURS = "PMRUN_"


def load_environment(folder: Path) -> None:
    """Set the variables of ours that a folder's `.env` names and nobody has set.

    Lines are NAME=value, with or without quotes; names that are not ours belong to somebody else and are left alone.
    Raises ConfigError for a file with names of ours that others can use. No message shows a value.
    """
    path = folder / FILE
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8-sig").splitlines() if stat.S_ISREG(mode) else []
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), None, f"cannot be read: {type(error).__name__}") from None
    found = dict(pair for pair in map(_variable, lines) if pair is not None)
    if found and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(str(path), None, f"holds secrets and others can use it (mode {mode & 0o777:o}): chmod 600 it")
    for name, value in found.items():
        os.environ.setdefault(name, value)


def _prefixes() -> tuple[str, ...]:
    """Return how our variables begin, and those of the packs that are installed."""
    return (OURS, *(prefix for pack in installed_packs() for prefix in pack.variables))


def _variable(line: str) -> tuple[str, str] | None:
    name, equals, value = line.strip().removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name.startswith(_prefixes()) or not name.isidentifier():
        return None
    if value[:1] in ("'", '"'):
        value, quote, more = value[1:].partition(value[0])
        if not quote or (more.strip() and not more.strip().startswith("#")):
            raise ConfigError(
                f"{FILE}: {name}", None, "quotes have to be closed, with nothing but a # comment after them"
            )
    return name, value
