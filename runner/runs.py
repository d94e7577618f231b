"""Reads what a run directory holds."""

import json
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from pmrun.runner.errors import DataError, NoRun

SUMMARY = "summary.json"  # written last
OF_A_RUN = ("config.yaml", "journal.jsonl", SUMMARY)  # a directory without any of them never was a run's


def read_text(directory: Path, name: str) -> str:
    """Read one of a run's files; raises NoRun for what is no run directory, DataError for one that lacks the file."""
    if not directory.is_dir():
        raise NoRun(f"{directory}: no such run directory")
    if not any((directory / each).exists() for each in OF_A_RUN):
        raise NoRun(f"{directory}: not a run directory: no {', '.join(OF_A_RUN)}")
    try:
        return (directory / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        cut = name == SUMMARY and (directory / "journal.jsonl").exists()
        more = " (it was cut off, or is still going; pmrun replay RUN --verify says how far it came)" if cut else ""
        raise DataError(f"{directory}: not a finished run: {name} is missing{more}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{directory / name}: cannot be read: {error}") from None


def read_json(directory: Path, name: str) -> dict[str, Any]:
    """Read one of a run's JSON files; raises DataError when it is not there, or not an object."""
    try:
        value = json.loads(read_text(directory, name))
    except ValueError as error:
        raise DataError(f"{directory / name}: not JSON: {error}") from None
    return _object(value, directory / name)


def read_summary(directory: Path) -> dict[str, Any]:
    """Read the summary of a finished run; raises DataError for one that did not finish."""
    summary = read_json(directory, SUMMARY)
    if summary.get("complete") is False:
        raise DataError(f"{directory / SUMMARY}: the run did not finish")
    return summary


def read_yaml(directory: Path, name: str) -> dict[str, Any]:
    """Read one of a run's YAML files; raises DataError when it is not there, or not a mapping."""
    try:
        value = yaml.safe_load(read_text(directory, name))
    except yaml.YAMLError as error:
        raise DataError(f"{directory / name}: not YAML: {' '.join(str(error).split())}") from None
    return _object(value, directory / name)


def _object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}: not what pmrun writes")
    return value
