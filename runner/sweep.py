"""What a run and a sweep do besides their jobs: check everything before the first starts, compare all at the end (C5)."""

import csv
import json
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pmrun.runner.assembly import plan
from pmrun.runner.compose import plain_config
from pmrun.runner.errors import PmrunError
from pmrun.runner.runs import read_json

TABLE = "sweep.csv"
COLUMNS = {
    "orders": ("orders", "placed"),
    "fills": ("fills", "count"),
    "pnl": ("pnl_usd", "total"),
    "realised": ("pnl_usd", "realised"),
    "rebates_estimated": ("pnl_usd", "rebates"),
    "exposure_max": ("exposure_max_usd",),
    "refusals": ("orders", "refused"),
    "wall_s": ("wall_s",),
    "journal_hash": ("journal_hash",),
}


class Refused(SystemExit):
    """Carries an error through Hydra, which swallows what its callbacks raise."""

    def __init__(self, error: PmrunError) -> None:
        """Exit with the error's own code."""
        super().__init__(error.exit_code)
        self.error = error


class Sweep(Callback):
    """Checks every job by its components' constructors before the first one starts; writes one table at the end."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the one job."""
        _refuse_mistakes(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check all jobs of a plain sweep; other sweepers choose their jobs as they go."""
        if "BasicSweeper" not in str(config.hydra.sweeper.get("_target_")):
            return
        loader = GlobalHydra.instance().config_loader()
        for overrides in expand(list(config.hydra.overrides.task)):
            _refuse_mistakes(loader.load_sweep_config(config, overrides))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compare the jobs."""
        directory = Path(str(config.hydra.sweep.dir)).resolve()
        rows = collect(directory)
        if rows:
            write_table(directory / TABLE, rows)
            show_table(rows, directory)


def expand(overrides: list[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    batches = BasicSweeper.split_arguments(parsed, None)
    return [list(job) for batch in batches for job in batch]


def swept_keys(overrides: list[str]) -> list[str]:
    """Return the keys that differ between the jobs of a sweep."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [each.get_key_element() for each in parsed if each.type != OverrideType.DEL and each.is_sweep_override()]


def _refuse_mistakes(config: DictConfig) -> None:
    try:
        plan(plain_config(config))
    except PmrunError as error:
        raise Refused(error) from None
    except Exception as error:  # Hydra would make a warning of it and go on
        raise Refused(PmrunError(f"internal error: {type(error).__name__}: {error}")) from error


def collect(directory: Path) -> list[dict[str, Any]]:
    """Read what came of each job: its overrides that differ, and the figures of its summary; a failed job says so."""
    jobs = sorted((path for path in directory.iterdir() if path.is_dir() and path.name.isdigit()), key=lambda p: int(p.name))
    overrides = {job: _overrides(job) for job in jobs}
    shared = set.intersection(*(set(each) for each in overrides.values())) if overrides else set()
    rows = []
    for job in jobs:
        row: dict[str, Any] = {"job": int(job.name)}
        row.update(override.split("=", 1) if "=" in override else (override, "") for override in overrides[job] if override not in shared)
        try:
            summary = read_json(job, "summary.json")
            row.update({name: _at(summary, path) for name, path in COLUMNS.items()})
        except PmrunError:
            row["failed"] = True
        rows.append(row)
    return rows


def _overrides(job: Path) -> list[str]:
    import yaml

    path = job / "overrides.yaml"
    return [str(each) for each in yaml.safe_load(path.read_text(encoding="utf-8"))] if path.is_file() else []


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the comparison as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def show_table(rows: list[dict[str, Any]], directory: Path) -> None:
    """Print the comparison of all jobs."""
    from rich.console import Console
    from rich.table import Table

    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "journal_hash"]
    table = Table(title=f"{len(rows)} jobs", title_justify="left")
    for name in names:
        table.add_column(name, justify="left" if name not in COLUMNS else "right")
    for row in rows:
        table.add_row(*(_cell(row.get(name, "")) for name in names))
    console = Console()
    console.print(table)
    console.print(f"table: {directory / TABLE}", soft_wrap=True, highlight=False)


def _cell(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else json.dumps(value) if value is None else str(value)
