"""The recorded statistics that simulated markets are drawn from, as benchmarks/calibrate.py wrote them."""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FINE = 1024  # points a table is looked up at inside the loop of a market


class Shape(msgspec.Struct, frozen=True):
    """What recorded books of one kind look like; sizes in shares, by rank from the touch."""

    source: str
    books: int
    spread_cents: list[float]
    size: list[list[float]]
    gap_ticks: list[list[float]]
    changed: list[float] = []  # share of levels that differ from one snapshot to the next, by rank
    mid_moved: float = 0.0  # share of snapshots
    half_hour_cents: float = 0.0  # standard deviation of the mid's change over half an hour
    seconds_between: float = 0.0


class Prints(msgspec.Struct, frozen=True):
    """Recorded trades: sizes in shares, seconds between those of one market."""

    source: str
    prints: int
    size: list[float]
    mean_dollars: float = 0.0
    gap_seconds: list[float] = []
    gap_mean: float = 0.0


class Orders(msgspec.Struct, frozen=True):
    """Recorded changes of levels by single orders, in shares."""

    source: str
    placed: list[float]
    cancelled: list[float]
    cancel_share: float


class Terms(msgspec.Struct, frozen=True):
    """Recorded terms of rewarded markets."""

    source: str
    rows: int
    spread_cents: list[float]
    mid: list[float]
    min_size: dict[str, float]
    daily_rate: list[float]
    volume_24h: list[float]
    liquidity: list[float]
    ends_in: dict[str, float]


class MaxSpreads(msgspec.Struct, frozen=True):
    """How often each rewarded spread, in cents, comes: in all markets and in those of small orders."""

    source: str
    all: dict[str, float]
    small: dict[str, float]


class Rewards(msgspec.Struct, frozen=True):
    """Reward terms of all markets, and of those that trade and are a maker's choice."""

    scanned: Terms
    traded: Terms
    max_spread_cents: MaxSpreads


class Listed(msgspec.Struct, frozen=True):
    """Recorded listings."""

    source: str
    rows: int
    volume_24h: list[float]
    days_to_end: list[float]
    tick: dict[str, float]


class Calibration(msgspec.Struct, frozen=True):
    """All recorded statistics; tables are quantiles at `probabilities`."""

    note: str
    probabilities: list[float]
    books: dict[str, Shape]
    prints: dict[str, Prints]
    orders: Orders
    rewards: Rewards
    listed: Listed

    def at(self, table: list[float], shares: Any) -> Floats:
        """Return a table's values at shares of 0..1, between quantiles by their logarithm where all are positive."""
        if table[0] > 0:
            return np.asarray(np.exp(np.interp(shares, self.probabilities, np.log(table))))
        return np.asarray(np.interp(shares, self.probabilities, table))

    def quartiles(self, table: list[float]) -> tuple[float, float, float]:
        """Return the three quartiles of a table."""
        first, second, third = (table[self.probabilities.index(share)] for share in (0.25, 0.5, 0.75))
        return first, second, third


@cache
def calibration() -> Calibration:
    """Read the statistics that come with the package."""
    text = files(__package__).joinpath("calibration.json").read_bytes()
    return msgspec.json.decode(text, type=Calibration)


def even(random: np.random.Generator, count: int) -> Floats:
    """Return shares of 0..1 that are evenly spread, in random order: few draws do for a table's quartiles."""
    return np.asarray((np.argsort(random.random(count)) + 0.5) / count)


def choice(shares: dict[str, float], at: Floats) -> list[str]:
    """Return the word that each share of 0..1 falls on."""
    words = list(shares)
    edges = np.cumsum(list(shares.values()))
    found = np.minimum(np.searchsorted(edges / edges[-1], at, side="right"), len(words) - 1)
    return [words[index] for index in found.tolist()]
