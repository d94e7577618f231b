"""Compares what simulated books and trades look like with what was recorded."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from pmrun.plugins.executors import kernel
from pmrun.plugins.feeds.sim.calibration import Floats, Terms, calibration
from pmrun.plugins.feeds.sim.flow import SHAPES
from pmrun.plugins.feeds.sim.plan import Kind, Plan
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.runner.ports import FeedData
from pmrun.runner.units import SECOND, SIZE_SCALE

CENT = 100
RANKS = 5
TOLERANCE = 0.2
EVERY = {Kind.TRADED: 60.0, Kind.DEEP: 60.0, Kind.BUSY: 1.0}  # seconds between looks at a book
NAMES = {Kind.TRADED: "quiet", Kind.DEEP: "deep", Kind.BUSY: "busy", Kind.SCANNED: "scanned"}

Quartiles = tuple[float, float, float]
Levels = dict[int, int]  # sizes by price


class Compared(NamedTuple):
    """One statistic, recorded and simulated."""

    what: str
    source: str
    recorded: tuple[float, ...]  # quartiles, or a single value
    simulated: tuple[float, ...]

    @property
    def off(self) -> float:
        """The largest relative difference."""
        return max(abs(ours / theirs - 1) for ours, theirs in zip(self.simulated, self.recorded, strict=True))


class Looks(NamedTuple):
    """What was seen of the books of one kind, at even times."""

    spread: list[float]  # cents
    size: list[list[float]]  # shares, by rank
    changed: list[list[bool]]  # since the look before, by rank


def compare(feed: Simulated) -> list[Compared]:
    """Simulate, and compare quartiles of spread, depth, sizes, changes, times between trades and terms."""
    plans, data, table = feed.plans(), feed.open(), calibration()
    found: list[Compared] = []
    for kind in EVERY:
        shape, looks = table.books[SHAPES[kind]], _looks(plans, data, kind)
        name, source = NAMES[kind], shape.source
        found.append(
            Compared(f"{name}: spread, cents", source, table.quartiles(shape.spread_cents), _quartiles(looks.spread))
        )
        for rank in range(RANKS):
            sizes = table.quartiles(shape.size[rank]), _quartiles(looks.size[rank])
            found.append(Compared(f"{name}: size of level {rank + 1}, shares", source, *sizes))
        if kind is Kind.DEEP:
            waits = [
                (_wait(shape.changed[rank], shape.seconds_between), _wait(_share(looks.changed[rank]), EVERY[kind]))
                for rank in range(RANKS)
            ]
            found += [
                Compared(f"{name}: time between changes of level {rank + 1}, s", source, *wait)
                for rank, wait in enumerate(waits)
            ]
    return found + list(_trades(plans, data)) + list(_terms(plans))


def moves(seeds: Iterable[int]) -> list[Compared]:
    """Compare how the mids of deep markets move, over several seeds: a single one has too few moves to tell."""
    shape = calibration().books[SHAPES[Kind.DEEP]]
    moved: list[bool] = []
    changes: list[float] = []
    for seed in seeds:
        feed = Simulated(seed)
        deep = [number for number, plan in enumerate(feed.plans()) if plan.kind is Kind.DEEP]
        looks = _replayed(feed.open(), 60 * SECOND)
        mids = np.array(
            [[(max(bids) + min(asks)) / 2 / CENT for bids, asks in _picked(books, deep)] for _, books in looks]
        )
        moved += (np.diff(mids, axis=0) != 0).ravel().tolist()
        changes += (mids[30:] - mids[:-30]).ravel().tolist()
    share = 1 - (1 - shape.mid_moved) ** (60 / shape.seconds_between)
    drift = float(np.std(changes))
    return [
        Compared("deep: share of minutes in which the mid moved", shape.source, (share,), (_share(moved),)),
        Compared("deep: mid over half an hour, deviation, cents", shape.source, (shape.half_hour_cents,), (drift,)),
    ]


def _picked(books: list[tuple[Levels, Levels]], numbers: list[int]) -> list[tuple[Levels, Levels]]:
    """Return the books of some markets."""
    return [books[number] for number in numbers]


def markdown(rows: list[Compared]) -> str:
    """Write the comparison as a table."""
    lines = [
        "| statistic | recorded in | recorded | simulated | off |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        quartiles = " | ".join(" / ".join(f"{value:.4g}" for value in each) for each in (row.recorded, row.simulated))
        lines.append(f"| {row.what} | {row.source} | {quartiles} | {row.off:.0%} |")
    return "\n".join(lines)


def _quartiles(values: list[float] | Floats) -> Quartiles:
    first, second, third = np.quantile(np.array(values, float), (0.25, 0.5, 0.75)).tolist()
    return first, second, third


def _share(seen: list[bool]) -> float:
    return sum(seen) / len(seen)


def _wait(changed: float, seconds: float) -> Quartiles:
    """Return quartiles of the time between changes that come at a constant rate, from how often a look finds one."""
    mean = -seconds / float(np.log(1 - changed))
    first, second, third = (-mean * float(np.log(1 - share)) for share in (0.25, 0.5, 0.75))
    return first, second, third


def _looks(plans: list[Plan], data: FeedData, kind: Kind) -> Looks:
    """Rebuild the books from the rows and look at those of a kind at even times."""
    looks = Looks([], [[] for _ in range(RANKS)], [[] for _ in range(RANKS)])
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for at, books in _replayed(data, int(EVERY[kind] * SECOND)):
        for number, plan in enumerate(plans):
            if plan.kind is not kind or (plan.ends_at is not None and at >= plan.ends_at):
                continue
            bids, asks = books[number]
            looks.spread.append((min(asks) - max(bids)) / CENT)
            for side, levels in enumerate((sorted(bids.items(), reverse=True)[:RANKS], sorted(asks.items())[:RANKS])):
                old = before.get((number, side))
                before[number, side] = levels
                for rank, level in enumerate(levels):
                    looks.size[rank].append(level[1] / SIZE_SCALE)
                    if old is not None and rank < len(old):
                        looks.changed[rank].append(old[rank] != level)
    return looks


def _replayed(data: FeedData, every: int) -> Iterator[tuple[int, list[tuple[Levels, Levels]]]]:
    """Go through the rows; yields the time and all books, as levels by price, at even times."""
    books: list[tuple[Levels, Levels]] = [({}, {}) for _ in data.markets]
    rows = data.rows
    columns = [column.tolist() for column in (rows.at, rows.market, rows.kind, rows.side, rows.price, rows.size)]
    due = int(data.info.first_at) + every
    for at, market, kind, side, price, size in zip(*columns, strict=True):
        while at > due:
            yield due, books
            due += every
        if kind == kernel.SNAPSHOT:
            for levels in books[market]:
                levels.clear()
        elif kind != kernel.PRINT and size:
            books[market][side][price] = size
        elif kind != kernel.PRINT:
            books[market][side].pop(price, None)


def _trades(plans: list[Plan], data: FeedData) -> Iterator[Compared]:
    """Compare what takers trade; what one of them matches at several prices at once counts once."""
    table, rows = calibration(), data.rows
    is_print = rows.kind == kernel.PRINT
    at, market, size = rows.at[is_print], rows.market[is_print], rows.size[is_print] / SIZE_SCALE
    for kind in (Kind.TRADED, Kind.BUSY):
        name = NAMES[kind]
        recorded = table.prints[name]
        sizes: list[float] = []
        gaps: list[float] = []
        for number, plan in enumerate(plans):
            mine = market == number
            if plan.kind is not kind or mine.sum() < 3:
                continue
            times, which = np.unique(at[mine], return_inverse=True)
            sizes += np.bincount(which, size[mine]).tolist()
            waits = np.diff(times) / SECOND
            gaps += (waits / waits.mean() if kind is Kind.TRADED else waits).tolist()
        yield Compared(
            f"{name}: trade size, shares", recorded.source, table.quartiles(recorded.size), _quartiles(sizes)
        )
        timed = table.prints["busy"]
        first, second, third = table.quartiles(timed.gap_seconds)
        unit = timed.gap_mean if kind is Kind.TRADED else 1.0
        what = "over the market's mean" if kind is Kind.TRADED else "s"
        apart = (first / unit, second / unit, third / unit)
        yield Compared(f"{name}: time between trades, {what}", timed.source, apart, _quartiles(gaps))


def _terms(plans: list[Plan]) -> Iterator[Compared]:
    """Compare reward terms."""
    rewards = calibration().rewards
    for kind, terms in ((Kind.TRADED, rewards.traded), (Kind.SCANNED, rewards.scanned)):
        yield from _terms_of([plan for plan in plans if plan.kind is kind], NAMES[kind], terms)


def _terms_of(plans: list[Plan], name: str, terms: Terms) -> Iterator[Compared]:
    table = calibration()
    rates = [plan.market.rewards.daily_rate / 1_000_000 for plan in plans if plan.market.rewards]
    yield Compared(f"{name}: reward, $ a day", terms.source, table.quartiles(terms.daily_rate), _quartiles(rates))
