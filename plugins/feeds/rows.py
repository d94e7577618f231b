"""Collects the rows of a feed, in terms of YES."""

from array import array

import numpy as np

from pmrun.plugins.executors.kernel import LEVEL, PRINT, SNAPSHOT, SNAPSHOT_LEVEL, Rows
from pmrun.runner.book import Levels
from pmrun.runner.market import Outcome
from pmrun.runner.units import ONE, Micros, Price, Side, Size


class RowBuilder:
    """Appends books, levels and prints of either outcome; NO is stored as the mirror it is."""

    def __init__(self) -> None:
        """Start empty."""
        self._ints = {name: array("q") for name in ("at", "ts", "frame", "size")}
        self._small = {name: array("i") for name in ("market", "kind", "side", "price")}

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._ints["at"])

    def _add(
        self, at: Micros, ts: Micros, frame: int, market: int, kind: int, levels: list[tuple[int, int, int]]
    ) -> None:
        count = len(levels)
        for column, value in (("at", at), ("ts", ts), ("frame", frame)):
            self._ints[column].extend([value] * count)
        self._small["market"].extend([market] * count)
        self._small["kind"].extend([kind] * count)
        self._small["side"].extend([side for side, _, _ in levels])
        self._small["price"].extend([price for _, price, _ in levels])
        self._ints["size"].extend([size for _, _, size in levels])

    def book(
        self, at: Micros, ts: Micros, frame: int, market: int, outcome: Outcome, bids: Levels, asks: Levels
    ) -> None:
        """Append a whole book."""
        levels = [_mirrored(0, price, size, outcome) for price, size in bids]
        levels += [_mirrored(1, price, size, outcome) for price, size in asks]
        self._add(at, ts, frame, market, SNAPSHOT, [(0, 0, len(levels))])
        self._add(at, ts, frame, market, SNAPSHOT_LEVEL, levels)

    def level(
        self, at: Micros, ts: Micros, frame: int, market: int, outcome: Outcome, side: Side, price: Price, size: Size
    ) -> None:
        """Append the new size of one level."""
        self._add(at, ts, frame, market, LEVEL, [_mirrored(int(side is Side.SELL), price, size, outcome)])

    def trade(
        self, at: Micros, ts: Micros, frame: int, market: int, outcome: Outcome, taker: Side, price: Price, size: Size
    ) -> None:
        """Append a print."""
        self._add(at, ts, frame, market, PRINT, [_mirrored(int(taker is Side.SELL), price, size, outcome)])

    def build(self) -> Rows:
        """Return the columns."""
        ints = {name: np.array(values, np.int64) for name, values in self._ints.items()}
        small = {name: np.array(values, np.int32) for name, values in self._small.items()}
        return Rows(
            ints["at"],
            ints["ts"],
            ints["frame"],
            small["market"],
            small["kind"].astype(np.uint8),
            small["side"].astype(np.uint8),
            small["price"],
            ints["size"],
        )


def _mirrored(side: int, price: int, size: int, outcome: Outcome) -> tuple[int, int, int]:
    return (side, price, size) if outcome is Outcome.YES else (1 - side, ONE - price, size)
