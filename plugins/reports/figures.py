"""Prepares the lines of a report's charts: exact integers, thinned to what a screen can show."""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pmrun.plugins.reports.finished import TRADED
from pmrun.runner.units import ONE

POINTS: Final = 1_500  # of one line: more than a wide screen has pixels for a chart
MARKETS: Final = 60  # with a chart of their own; the caps below are shared by all of them
MARKET_POINTS: Final = 80_000
QUOTES: Final = 40_000
FILLS: Final = 16_000
REFUSALS: Final = 12_000
BUCKETS: Final = 240  # of a market's time: refusals of one kind within one are a single mark
Row = tuple[Any, ...]
Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Window:
    """The time a run covers: charts count milliseconds from its start, which takes fewer digits."""

    start_us: int
    end_us: int

    def ms(self, at_us: int) -> int:
        """Return a moment in milliseconds from the start."""
        return (at_us - self.start_us) // 1_000


def window(db: sqlite3.Connection) -> Window:
    """Return the time between the first and the last sample of the account."""
    first, last = db.execute("SELECT min(at_us), max(at_us) FROM equity").fetchone()
    return Window(first or 0, last or 0)


def kept(values: Sequence[Sequence[float | None]], limit: int) -> NDArray[np.int64]:
    """Return which samples to keep of several lines: ends, and the extremes of every line in each of some intervals.

    Nothing that stands out is lost: a spike of one sample stays.
    """
    count = len(values[0]) if values else 0
    if count <= limit:
        return np.arange(count)
    buckets = max(1, limit // (2 * len(values)))
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    keep = {0, count - 1}
    for line in values:
        column = np.array([np.nan if value is None else value for value in line], float)
        for left, right in pairwise(edges.tolist()):
            part = column[left:right]
            if part.size and not np.isnan(part).all():
                keep.update((int(left + np.nanargmin(part)), int(left + np.nanargmax(part))))
            elif part.size:
                keep.add(int(left))  # an empty stretch stays empty
    return np.array(sorted(keep))


def columns(rows: Sequence[Row], names: Sequence[str], when: Window, limit: int = POINTS) -> Columns:
    """Turn rows that start with a time into thinned columns; `t` is the time in milliseconds from the start."""
    found: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in ("t", *names)]
    chosen = kept(found[1:], limit).tolist()
    lines = {name: [column[i] for i in chosen] for name, column in zip(names, found[1:], strict=True)}
    return {"t": [when.ms(found[0][i]) for i in chosen], **lines}


def equity(db: sqlite3.Connection, when: Window) -> Columns:
    """Return PnL and its split over time, in 1/1,000,000 dollar."""
    rows = db.execute(
        "SELECT at_us, pnl_cash_e6, realised_cash_e6, unrealised_cash_e6, -fees_cash_e6, rebates_estimated_cash_e6 "
        "FROM equity ORDER BY at_us"
    ).fetchall()
    return columns(rows, ("pnl", "realised", "unrealised", "fees", "rebates"), when)


def rewards(db: sqlite3.Connection, when: Window) -> Columns:
    """Return what all markets together may have paid up to each moment, low, mid and high, in dollars."""
    rows = db.execute(
        "SELECT at_us, sum(native_low_usd + sponsored_low_usd), sum(native_mid_usd + sponsored_mid_usd), "
        "sum(native_high_usd + sponsored_high_usd) FROM reward_minutes GROUP BY at_us ORDER BY at_us"
    ).fetchall()
    sums = [0.0, 0.0, 0.0]
    grown: list[Row] = [(when.start_us, 0.0, 0.0, 0.0)] if rows else []
    for at, *paid in rows:
        sums = [total + one for total, one in zip(sums, paid, strict=True)]
        grown.append((at, *(round(total, 6) for total in sums)))
    return columns(grown, ("low", "mid", "high"), when)


def exposure(db: sqlite3.Connection, when: Window) -> Columns:
    """Return exposure, value held and cash locked over time, in 1/1,000,000 dollar."""
    rows = db.execute(
        "SELECT at_us, exposure_cash_e6, inventory_cash_e6, locked_cash_e6 FROM equity ORDER BY at_us"
    ).fetchall()
    return columns(rows, ("exposure", "inventory", "locked"), when)


def markets(db: sqlite3.Connection, when: Window) -> list[dict[str, Any]]:
    """Return what the chart of each market needs; those we traded in most come first."""
    found = db.execute(
        "SELECT m.market, m.slug, m.question, m.yes_name, m.no_name FROM markets m JOIN v_markets v USING (market) "
        f"WHERE market IN ({TRADED}) ORDER BY v.fills DESC, v.orders DESC, m.market LIMIT ?",
        (MARKETS,),
    ).fetchall()
    points = min(POINTS, MARKET_POINTS // max(1, len(found)))
    quotes, fills = _Room(db, "orders", QUOTES), _Room(db, "fills", FILLS)
    refusals = _Room(db, "refusals", REFUSALS)
    return [
        {
            "no": market,
            "slug": slug,
            "question": question,
            "names": [yes, no],
            "mids": _mids(db, market, when, points),
            "quotes": _quotes(db, market, when, quotes.of(market)),
            "fills": _fills(db, market, when, fills.of(market)),
            "refusals": _refusals(db, market, when, refusals.of(market)),
            "held": _held(db, market, when, points // 2),
        }
        for market, slug, question, yes, no in found
    ]


class _Room:
    """How many rows of a table each market may show: all of them, or its part of a budget."""

    def __init__(self, db: sqlite3.Connection, table: str, budget: int) -> None:
        self._rows: dict[int, int] = dict(
            db.execute(f"SELECT market, count(*) FROM {table} GROUP BY market").fetchall()
        )
        self._part = min(1.0, budget / max(1, sum(self._rows.values())))

    def of(self, market: int) -> int:
        return math.ceil(self._rows.get(market, 0) * self._part)


def _mids(db: sqlite3.Connection, market: int, when: Window, limit: int) -> Columns:
    rows = db.execute("SELECT at_us, bid_e4, ask_e4 FROM mids WHERE market = ? ORDER BY at_us", (market,)).fetchall()
    return columns(rows, ("bid", "ask"), when, limit)


def _held(db: sqlite3.Connection, market: int, when: Window, limit: int) -> Columns:
    rows = db.execute(
        "SELECT at_us, yes_shares_e6, no_shares_e6 FROM inventory WHERE market = ? ORDER BY at_us", (market,)
    ).fetchall()
    return columns(rows, ("yes", "no"), when, limit)


def _quotes(db: sqlite3.Connection, market: int, when: Window, limit: int) -> dict[str, Any]:
    """Return when and where our orders rested, in prices of YES: a bid for NO at p is an ask for YES at 1 - p."""
    rows = db.execute(
        "SELECT coalesce(submitted_at_ms * 1000, placed_at_us), coalesce(ended_at_us, ?), price_e4, outcome, side, "
        "purpose FROM orders WHERE market = ? AND state != 'REJECTED' ORDER BY order_no",
        (when.end_us, market),
    ).fetchall()
    shown: dict[str, list[list[int]]] = {"bids": [], "asks": [], "exits": []}
    for start, end, price, outcome, side, purpose in rows:
        yes, is_bid = _as_yes(price, outcome, side)
        lane = shown["exits" if purpose != "quote" else "bids" if is_bid else "asks"]
        segment = [when.ms(start), when.ms(max(start, end)), yes]
        if lane and lane[-1][2] == yes and segment[0] - lane[-1][1] <= 1_000:
            lane[-1][1] = max(lane[-1][1], segment[1])  # replaced at the same price: one line
        else:
            lane.append(segment)
    left_out = 0
    least = sorted(segment[0] for lane in shown.values() for segment in lane)[-limit:][:1]
    for name, lane in shown.items():
        shown[name] = [segment for segment in lane if segment[0] >= least[0]]
        left_out += len(lane) - len(shown[name])
    return {**shown, "left_out": left_out}


def _fills(db: sqlite3.Connection, market: int, when: Window, limit: int) -> dict[str, Any]:
    rows = db.execute(
        "SELECT f.at_us, f.price_e4, f.size_e6, f.outcome, f.side, f.order_no, f.settlement, o.purpose FROM fills f "
        "JOIN orders o USING (order_no) WHERE f.market = ? ORDER BY f.at_us DESC LIMIT ?",
        (market, limit),
    ).fetchall()
    count = int(db.execute("SELECT count(*) FROM fills WHERE market = ?", (market,)).fetchone()[0])
    shown = []
    for at, price, size, outcome, side, order, settlement, purpose in reversed(rows):
        yes, is_bid = _as_yes(price, outcome, side)
        shown.append([when.ms(at), yes, int(is_bid), size, side, outcome, price, order, settlement, purpose])
    return {"rows": shown, "left_out": count - len(shown)}


def _refusals(db: sqlite3.Connection, market: int, when: Window, limit: int) -> dict[str, Any]:
    """Return the refusals of a market: when, at which price of YES if at any, for which side, why, how many alike."""
    wide = max(1, (when.end_us - when.start_us) // BUCKETS)
    rows = db.execute(
        "SELECT min(at_us), price_e4, outcome, side, by || ': ' || code, count(*) FROM refusals WHERE market = ? "
        "GROUP BY at_us / ?, outcome, side, by, code ORDER BY 1",
        (market, wide),
    ).fetchall()
    shown = []
    for at, price, outcome, side, why, times in rows[:limit]:
        yes, is_bid = _as_yes(price or 0, outcome, side)
        shown.append([when.ms(at), None if price is None else yes, int(is_bid), why, times])
    return {"rows": shown, "left_out": sum(row[-1] for row in rows[limit:])}


def _as_yes(price: int, outcome: str, side: str) -> tuple[int, bool]:
    yes = outcome == "YES"
    return (price if yes else ONE - price), (side == "BUY") == yes
