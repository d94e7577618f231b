"""Compares finished runs: what was configured differently, and what came out differently."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pmrun.runner.runs import read_summary, read_yaml

# Keys of a summary that say when and how a run was made, not what it earned: they differ without meaning anything.
OF_THE_RUN: Final = frozenset({"started_at", "ended_at", "wall_s", "journal_hash", "directory", "timings"})


class _Missing:
    """What a run does not have; unlike null, which is a value."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING: Final = _Missing()


class Difference(NamedTuple):
    """One key, and its value in every run."""

    key: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether any run has another value than the first."""
        return any(not _same(self.values[0], value) for value in self.values[1:])

    @property
    def changes(self) -> tuple[float | None, ...]:
        """The change of every later run from the first; None where it is not a number in both."""
        first = self.values[0]
        return tuple(
            _less(value, first) if _is_number(value) and _is_number(first) else None for value in self.values[1:]
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two or more runs side by side."""

    runs: tuple[str, ...]
    config: tuple[Difference, ...]  # only keys that differ
    results: tuple[Difference, ...]  # every number, and every other value that differs
    made: tuple[Difference, ...]  # when and how the runs were made

    @property
    def differing(self) -> tuple[Difference, ...]:
        """The results that differ."""
        return tuple(result for result in self.results if result.differs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a key that a run does not have is absent from its `values`."""
        return {
            "runs": list(self.runs),
            "config": [_plain(each, self.runs) for each in self.config],
            "results": [_plain(each, self.runs, changes=True) for each in self.results],
            "made": [_plain(each, self.runs) for each in self.made],
        }


def compare(first: Path, second: Path, *more: Path) -> Comparison:
    """Compare run directories with the first; raises DataError when one is not a finished run."""
    paths = (first, second, *more)
    configs = [flatten(read_yaml(path, "config.yaml")) for path in paths]
    summaries = [_summary(path) for path in paths]
    results = [flatten({k: v for k, v in summary.items() if k not in OF_THE_RUN}) for summary in summaries]
    made = [flatten({k: v for k, v in summary.items() if k in OF_THE_RUN}) for summary in summaries]
    return Comparison(
        _names(paths),
        tuple(each for each in _beside(configs) if each.differs),
        tuple(each for each in _beside(results) if each.differs or any(map(_is_number, each.values))),
        tuple(_beside(made)),
    )


def flatten(tree: Mapping[Any, Any], under: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys; lists, and mappings without a key, are values."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{under}{key}"
        if isinstance(value, Mapping) and value:
            found.update(flatten(value, f"{name}."))
        else:
            found[name] = value
    return found


def render(comparison: Comparison) -> list[RenderableType]:
    """Return what to print: configuration, results, and how the runs were made."""
    same = len(comparison.results) - len(comparison.differing)
    shown: list[RenderableType] = [
        _section("Configuration", comparison.config, comparison.runs, "the configurations are the same"),
        _section("Results", comparison.differing, comparison.runs, "the results are the same", changes=True),
    ]
    if comparison.differing and same:
        shown.append(Text(f"{same} other results are equal", style="dim"))
    shown.append(
        _section("How they were made", comparison.made, comparison.runs, "nothing is said of how they were made")
    )
    return shown


def _section(
    title: str, rows: Sequence[Difference], runs: Sequence[str], empty: str, changes: bool = False
) -> RenderableType:
    if not rows:
        return Group(Text(title, style="bold"), Text(f"  {empty}", style="dim"))
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("key", overflow="fold")
    for run in runs:
        table.add_column(Text(run), justify="right", overflow="fold")
    if changes:
        for run in runs[1:]:
            table.add_column(Text(f"change in {run}" if len(runs) > 2 else "change"), justify="right")
    for row in rows:
        cells = [Text(row.key), *(_cell(value) for value in row.values)]
        table.add_row(*cells, *(_change(change) for change in row.changes if changes))
    return table


def _cell(value: object) -> Text:
    if value is MISSING:
        return Text("(missing)", style="dim")
    if isinstance(value, str):
        return Text(value)
    return Text(json.dumps(value, default=str))


def _change(change: float | None) -> Text:
    if change is None:
        return Text("")
    text = f"{change:+,.10g}" if isinstance(change, float) else f"{change:+,}"
    return Text(text, style="bold" if change else "dim")  # more is not better: no colours


def _plain(each: Difference, runs: Sequence[str], changes: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": each.key,
        "differs": each.differs,
        "values": {run: _json_value(v) for run, v in zip(runs, each.values, strict=True) if v is not MISSING},
    }
    if changes:
        found["changes"] = {run: _json_value(c) for run, c in zip(runs[1:], each.changes, strict=True) if c is not None}
    return found


def _json_value(value: object) -> object:
    """Return a value that JSON has: numbers that are not finite, and dates, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _beside(flats: Sequence[Mapping[str, Any]]) -> Iterable[Difference]:
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return (Difference(key, tuple(flat.get(key, MISSING) for flat in flats)) for key in keys)


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Name the runs as shortly as keeps them apart: the end of each path, longer until no two are the same."""
    parts = [path.resolve().parts for path in paths]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = tuple("/".join(each[-length:]) for each in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(f"{number}: {path}" for number, path in enumerate(paths, 1))  # one run, compared with itself


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _less(value: float, first: float) -> float:
    """Subtract decimals as people read them: 0.3 less 0.1 is 0.2."""
    difference = value - first
    return difference if isinstance(difference, int) or not math.isfinite(difference) else round(difference, 10)


def _same(one: object, other: object) -> bool:
    """Compare values as a person would: true is not 1, 1 is 1.0, and not-a-number equals itself."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return one == other


def _summary(path: Path) -> dict[str, Any]:
    summary = read_summary(path)
    for key in ("complete", "pnl_by_market"):  # numbers of markets are not those of another run
        summary.pop(key, None)
    return summary
