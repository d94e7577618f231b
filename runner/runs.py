"""Reads what a run directory holds."""

import json
from pathlib import Path
from typing import Any

from pmrun.runner.errors import DataError


def read_json(directory: Path, name: str) -> dict[str, Any]:
    """Read one of a run's JSON files; raises DataError when there is none, or it is not whole."""
    path = directory / name
    if not directory.is_dir():
        raise DataError(f"{directory}: no such run directory")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{directory}: not a finished run: {name} is missing") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: not what pmrun writes")
    return value
