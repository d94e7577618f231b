"""Everybody else at the embedded exchange: a recorded or simulated feed, played into its books (simulated trading)."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.terms import Levels
from pmrun.plugins.executors.kernel import LEVEL, PRINT, SNAPSHOT, Ints, Rows
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged, TickChanged
from pmrun.runner.ports import FeedData
from pmrun.runner.units import ONE, Micros, Price, Side, Size

SIDES: Final = (Side.BUY, Side.SELL)
BLOCK: Final = 4096  # rows turned into Python's integers at once
LOOK_BACK: Final = 256  # rows that a print may come after the level it explains

Row = tuple[int, int, int, int, int, int, int]  # at, ts, market, kind, side, price, size


class Crowd:
    """Plays the rows and notes of a feed into an engine, in order of time.

    A level, or a part of a snapshot, that is older than what is known already is left out, as paper trading does.
    """

    def __init__(self, engine: Engine, data: FeedData) -> None:
        """Take a feed whose market numbers are the engine's."""
        self._engine = engine
        self._rows = _rows(_prints_first(data.rows))
        self._notes: Iterator[Fact] = iter(data.notes)
        self._row = next(self._rows, None)
        self._note = next(self._notes, None)
        self._changed: dict[tuple[int, int, int], int] = {}  # by market, side, price: when the exchange last said so
        self._snapped: dict[int, int] = {}

    def next_at(self) -> Micros | None:
        """Return when the crowd moves next; None when it never will."""
        times = [self._row[0]] if self._row is not None else []
        if self._note is not None:
            times.append(self._note.at)
        return Micros(min(times)) if times else None

    def advance(self, until: Micros) -> None:
        """Let the crowd do all that it does up to a time."""
        while True:
            row, note = self._row, self._note
            if row is not None and row[0] <= until and (note is None or row[0] <= note.at):
                self._apply(row)
            elif note is not None and note.at <= until:
                self._note = next(self._notes, None)
                self._happen(note)
            else:
                return

    def _apply(self, row: Row) -> None:
        at, ts, market, kind, side, price, size = row
        if kind == SNAPSHOT:
            self._snapshot(row)
            return
        self._row = next(self._rows, None)
        if not 0 < price < ONE:
            return
        if kind == PRINT:
            self._engine.crowd_take(market, SIDES[side], Price(price), Size(size), Micros(at))
        elif kind == LEVEL and ts >= max(self._changed.get((market, side, price), ts), self._snapped.get(market, ts)):
            self._changed[market, side, price] = ts
            self._engine.crowd_set(market, SIDES[side], Price(price), Size(size), Micros(at))

    def _snapshot(self, header: Row) -> None:
        at, ts, market, _, _, _, count = header
        levels = [next(self._rows) for _ in range(count)]
        self._row = next(self._rows, None)
        if ts < self._snapped.get(market, ts):
            return
        self._snapped[market] = ts
        sides = [self._merged(market, side, ts, [row for row in levels if row[4] == side]) for side in range(2)]
        self._engine.crowd_snapshot(market, sides[0], sides[1], Micros(at))

    def _merged(self, market: int, side: int, ts: int, rows: list[Row]) -> Levels:
        """Return a side of a snapshot, with the levels that changed after it was taken as they are now."""

        def newer(price: int) -> bool:
            return self._changed.get((market, side, price), ts) > ts

        now = self._engine.crowd_levels(market, SIDES[side])
        kept = {price: size for price, size in now.items() if newer(price)}
        told = {Price(row[5]): Size(row[6]) for row in rows if 0 < row[5] < ONE and not newer(row[5])}
        self._changed.update({(market, side, price): ts for price in told})
        best_first = sorted((kept | told).items(), reverse=side == 0)
        return tuple((price, size) for price, size in best_first if size)

    def _happen(self, note: Fact) -> None:
        match note:
            case TickChanged():
                self._engine.set_tick(note.market, note.tick, note.at)
            case StatusChanged(status=MarketStatus.RESOLVED, settled_yes=settled_yes) if settled_yes is not None:
                self._engine.resolve(note.market, settled_yes, note.at)
            case StatusChanged():
                self._engine.set_status(note.market, note.status, note.at)
            case _:
                pass  # what a recorder noticed of its own connection is no business of the exchange


def _rows(rows: Rows) -> Iterator[Row]:
    columns = (rows.at, rows.ts, rows.market, rows.kind, rows.side, rows.price, rows.size)
    for start in range(0, len(rows.at), BLOCK):
        yield from zip(*(column[start : start + BLOCK].tolist() for column in columns), strict=True)


def _prints_first(rows: Rows) -> Rows:
    """Return rows in which a print comes before the level that it explains.

    A recording often has the new level first. Played in that order, the volume would leave the queue twice: once as
    if it had been cancelled, then as traded.
    """
    places, at = 2 * np.arange(len(rows.at)), rows.at.copy()
    moved = False
    for i in np.nonzero(rows.kind == PRINT)[0].tolist():
        explained = _explained(rows, i)
        if explained is not None:
            places[i], at[i], moved = 2 * explained - 1, rows.at[explained], True
    if not moved:
        return rows
    order = np.argsort(places, kind="stable")
    return Rows._make(column[order] for column in rows._replace(at=at))


def _explained(rows: Rows, i: int) -> int | None:
    """Return the earliest row before a print, of the same moment at the exchange, that may be its consequence."""
    near = slice(max(0, i - LOOK_BACK), i)
    kind = rows.kind[near]
    at_its_level = (kind == LEVEL) & (rows.price[near] == rows.price[i]) & (rows.side[near] != rows.side[i])
    same: Ints = (rows.market[near] == rows.market[i]) & (rows.ts[near] == rows.ts[i])
    found = np.nonzero(same & (at_its_level | (kind == SNAPSHOT)))[0]
    return int(found[0]) + near.start if len(found) else None
