"""Reads a finished run directory: what a report may rely on, and which words its numbers have to carry."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pmrun.plugins.stores.sqlite import FILE, connect_read_only
from pmrun.runner.errors import DataError
from pmrun.runner.runs import read_json, read_summary

SIMULATED: Final = "simulated"
ESTIMATED: Final = "estimated"
ASSUMED: Final = "assumed"
RECORDED: Final = "recorded"

TRADED: Final = "SELECT DISTINCT market FROM selections WHERE verdict = 'selected'"

# What a market's assumed fields mean for a reader, by a part of the exchange's field name.
_TOPICS: Final = (("fee", "fees"), ("reward", "rewards"), ("volume", "volume"), ("liquidity", "liquidity"))


@dataclass(frozen=True, slots=True)
class Labels:
    """What of a run is not real, so that no number is shown for more than it is."""

    fills: str  # "simulated", or "" where a real exchange matched them
    data: str  # "simulated" or "recorded" market data
    assumed: tuple[str, ...]  # topics that the source lacked and somebody filled in
    exchanged: bool = False  # an exchange matched them, a simulated one or a real one

    @property
    def fees(self) -> str:
        """The word for fees and rebates: "assumed" when the rates are."""
        return ASSUMED if "fees" in self.assumed else ""

    @property
    def rewards(self) -> str:
        """The word for reward terms."""
        return ASSUMED if "rewards" in self.assumed else ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run, open for reading."""

    path: Path
    summary: Mapping[str, Any]
    manifest: Mapping[str, Any]
    db: sqlite3.Connection
    labels: Labels

    def number(self, *keys: str) -> float | None:
        """Return a number of the summary by its path, or None where it is missing."""
        found: object = self.summary
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, int | float) and not isinstance(found, bool) else None

    def text(self, key: str, missing: str = "—") -> str:
        """Return a value of the summary as text."""
        found = self.summary.get(key)
        return missing if found is None else str(found)

    @property
    def rebates_paid(self) -> bool:
        """Whether the exchange pays rebates with the fills: they are in the fees and so in the PnL."""
        pnl = self.summary.get("pnl_usd")
        return isinstance(pnl, Mapping) and pnl.get("rebates_in_fees") is True

    def nothing_left(self) -> str:
        """Return why no market was ever traded, or nothing."""
        markets = self.summary.get("markets")
        return str(markets.get("nothing_left") or "") if isinstance(markets, Mapping) else ""

    def traded(self) -> int:
        """Return how many markets were selected at any time."""
        return int(self.db.execute(f"SELECT count(*) FROM ({TRADED})").fetchone()[0])


@contextmanager
def opened(path: Path) -> Iterator[Finished]:
    """Open a run directory; raises DataError when it is not one, or not finished."""
    summary = read_summary(path)
    manifest = read_json(path, "manifest.json")
    with closing(connect_read_only(path / FILE)) as db:
        try:
            yield Finished(path, summary, manifest, db, _labels(summary, db))
        except sqlite3.Error as error:
            raise DataError(f"{path / FILE}: {error}") from None


def _labels(summary: Mapping[str, Any], db: sqlite3.Connection) -> Labels:
    """Decide the words; whatever is not said to be real is shown as simulated."""
    simulated = False
    assumed: set[str] = set()
    for is_simulated, fields in db.execute("SELECT simulated, assumed_json FROM markets"):
        simulated = simulated or bool(is_simulated)
        for field in json.loads(fields):
            assumed.update(topic for part, topic in _TOPICS if part in field.lower())
    simulated = simulated or summary.get("simulated") is True
    real = summary.get("paper") is False
    order = [topic for _, topic in _TOPICS]
    return Labels(
        "" if real and not simulated else SIMULATED,
        SIMULATED if simulated else RECORDED,
        tuple(sorted(assumed, key=order.index)),
        real,
    )
