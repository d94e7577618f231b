"""What happens in one simulated market: a latent fair value, and orders, cancels and trades around it.

Prices in here are whole steps (the finest tick the market will have), times milliseconds from the start, sizes
1/1,000,000 share. The book follows fair value with a delay: makers look every few seconds, so that a taker who knows
of a jump finds stale orders.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pmrun.plugins.executors.kernel import ASK, BID, LEVEL, PRINT, SNAPSHOT, SNAPSHOT_LEVEL, Ints
from pmrun.plugins.feeds.sim.calibration import FINE, Calibration, Floats, calibration, even
from pmrun.plugins.feeds.sim.plan import Kind, Plan
from pmrun.runner.units import ONE, SIZE_SCALE, Micros, Price

LOT = 10_000  # a hundredth of a share
COLUMNS = 6  # ms, kind, side, price, size, frame
LEAST, MOST = 3, 20  # levels a side
REDRAWN = 0.03  # assumed: this share of changes gives a level an altogether different size, once
BUSY_REDRAWN = 0.9  # assumed
JITTER = 0.1  # assumed: other changes move it this far in the table of sizes
INFORMED = 0.4  # assumed: this share of takers knows fair value
IMPACT = 0.5  # assumed: this part of what a taker moves the touch by is news, and stays
HITS = 0.7  # assumed: a jump is traded on before the makers have moved
SLACK = 0.35  # ticks beyond half a tick that fair value may be off before makers move
LOOKS = {Kind.TRADED: 8.0, Kind.DEEP: 8.0, Kind.SCANNED: 20.0, Kind.BUSY: 1.0}  # assumed: seconds between
WALK = 6  # levels a taker goes through
REPLACED = 5  # levels whose size makers set anew when they move the touch
# How often levels change, beside what was recorded. Busy books were recorded when they changed, which is more often
# than on average; how often quiet ones change was not recorded: assumed half as often as deep ones.
PACE = {Kind.TRADED: 0.5, Kind.DEEP: 1.0, Kind.SCANNED: 0.25, Kind.BUSY: 1 / 3}
SHAPES = {Kind.TRADED: "quiet", Kind.DEEP: "deep", Kind.SCANNED: "quiet", Kind.BUSY: "busy"}
REVERTS = {Kind.TRADED: 0.15, Kind.DEEP: 0.2, Kind.SCANNED: 0.15, Kind.BUSY: 0.15}  # ticks, of noise that goes again
TICK_TURNS = 400  # below 0.04 and above 0.96 the tick becomes finer (reference 5.2)
CHANGE, TRADE, LOOK, HIT = range(4)


class Flow(NamedTuple):
    """One market's rows, its later ticks and its end."""

    rows: "array[int]"  # flat, COLUMNS a row
    ticks: list[tuple[int, Price]]  # ms, new tick
    settled: tuple[int, Price] | None  # ms, what YES paid


def flow(plan: Plan, random: np.random.Generator, start: Micros, length: Micros) -> Flow:
    """Let a market happen."""
    end = min(start + length, plan.ends_at or start + length)
    return _Market(plan, random, (end - start) // 1_000).run()


class _Market:
    def __init__(self, plan: Plan, random: np.random.Generator, length: int) -> None:
        self._plan = plan
        self._random = random
        self._length = length  # ms
        self._table: Calibration = calibration()
        self._shape = self._table.books[SHAPES[plan.kind]]
        self._step = int(plan.step)
        self._grid = int(plan.market.tick) // self._step
        self._top = ONE // self._step
        self._sizes = [_lots(self._table, table) for table in self._shape.size]
        self._levels: tuple[list[int], list[int]] = ([], [])  # best first; asks as they are, bids negated
        self._size: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._spread = int(plan.spread) // self._step
        self._rows = array("q")
        self._frame = 0
        self._ticks: list[tuple[int, Price]] = []
        self._uniform: Iterator[float] = iter(())
        self._value: list[float] = []
        self._learned = 0.0  # what takers added to fair value, in steps

    def run(self) -> Flow:
        """Open the book and go through the events in order of time."""
        jumps = self._jumps()
        self._value = self._path(jumps).tolist()
        at, what, which = self._events(jumps[0])
        self._uniform = iter(self._random.random(8 * len(at) + 1_000).tolist())
        self._open()
        sizes = self._taker_sizes(int((what == TRADE).sum() + (what == HIT).sum()))
        turned = 0
        for ms, kind, detail in zip(at.tolist(), what.tolist(), which.tolist(), strict=True):
            if kind == CHANGE:
                self._change(ms, detail & 1, detail >> 1)
            elif kind == LOOK:
                self._look(ms)
            else:
                self._trade(ms, sizes[turned], kind == HIT)
                turned += 1
        return Flow(self._rows, self._ticks, self._settlement())

    # What is drawn beforehand.

    def _jumps(self) -> tuple[Floats, Floats]:
        """Draw when fair value jumps (ms) and how far (steps)."""
        count = self._times(self._plan.jumps / 3_600)
        far = -np.log(1 - self._random.random(len(count))) * int(self._plan.jump_size) / self._step
        return count, np.where(self._random.random(len(count)) < 0.5, -far, far)

    def _times(self, per_second: float) -> Floats:
        """Draw times of events that come at a constant rate."""
        mean = per_second * self._length / 1_000
        if mean <= 0:
            return np.zeros(0)
        waits = -np.log(1 - self._random.random(int(mean + 6 * mean**0.5 + 10)))
        found = np.cumsum(waits) / mean * self._length
        return np.asarray(found[found < self._length])

    def _path(self, jumps: tuple[Floats, Floats]) -> Floats:
        """Draw fair value, each second, in steps: noise, trends of half an hour, what reverts, jumps."""
        plan, step = self._plan, self._step
        seconds = self._length // 1_000 + 2
        moves = self._random.standard_normal(seconds) * int(plan.noise) / step / 60**0.5
        slopes = self._random.standard_normal(seconds // 1_800 + 1) * int(plan.trend) / step / 1_800
        moves += np.repeat(slopes, 1_800)[:seconds] + int(plan.drift) / step / seconds
        np.add.at(moves, (jumps[0] / 1_000).astype(np.int64) + 1, jumps[1])
        reverting = (
            self._random.standard_normal(seconds // 60 + 2).repeat(60)[:seconds] * REVERTS[plan.kind] * self._grid
        )
        low = max(2.5, self._spread / 2 + 2) * self._grid if self._grid == 1 else self._spread / 2 + 5
        return np.clip(plan.mid * self._top + np.cumsum(moves) + reverting, low, self._top - low)

    def _events(self, jumps: Floats) -> tuple[Ints, Ints, Ints]:
        """Merge what happens: changes of levels, trades, makers who look, takers who know of a jump."""
        rates = self._change_rates()
        changes = self._times(float(rates.sum()))
        ranks = np.searchsorted(np.cumsum(rates / rates.sum()), self._random.random(len(changes)))
        trades = self._trades()
        looks = self._times(1 / LOOKS[self._plan.kind])
        hits = jumps[self._random.random(len(jumps)) < HITS]
        hits = hits + 1_000 + 2_000 * self._random.random(len(hits))
        kinds = [(CHANGE, changes), (TRADE, trades), (LOOK, looks), (HIT, hits[hits < self._length])]
        at = np.concatenate([found for _, found in kinds]).astype(np.int64)
        what = np.concatenate([np.full(len(found), kind, np.int64) for kind, found in kinds])
        which = np.concatenate([np.minimum(ranks, len(rates) - 1), np.zeros(len(at) - len(changes))]).astype(np.int64)
        order = np.argsort(at, kind="stable")
        return at[order] + 1, what[order], which[order]

    def _change_rates(self) -> Floats:
        """Return how often a level changes, a second, by rank and side: from what differs between snapshots.

        Trades and moves of the touch change levels too, and were among what was recorded.
        """
        busy = self._plan.kind is Kind.BUSY
        timed = self._shape if self._shape.changed else self._table.books["deep"]
        rates = -np.log(1 - np.array(timed.changed)) * PACE[self._plan.kind] / timed.seconds_between
        others = np.full(len(rates), 0.0 if busy else timed.mid_moved / timed.seconds_between)
        others[0] += 0.5 / self._plan.print_gap
        return np.repeat(np.maximum(rates - others, 0.2 * rates), 2)

    def _trades(self) -> Floats:
        """Draw the times of trades: gaps as recorded between those of a market, stretched to this one's volume."""
        count = int(self._length / 1_000 / self._plan.print_gap + self._random.random())
        gaps = self._table.at(self._table.prints["busy"].gap_seconds, even(self._random, count + 1))
        return np.asarray(np.cumsum(gaps)[:count] / gaps.sum() * self._length)

    def _taker_sizes(self, count: int) -> list[int]:
        """Draw what takers want, as recorded; those who want more go where more rests."""
        recorded = self._table.prints["busy" if self._plan.kind is Kind.BUSY else "quiet"]
        sizes = self._table.at(recorded.size, _tilted(even(self._random, count), self._plan.tilt)) * SIZE_SCALE
        return np.maximum(LOT, (sizes / LOT).astype(np.int64) * LOT).tolist()  # type: ignore[no-any-return]

    # What happens.

    def _draw(self) -> float:
        return next(self._uniform)

    def _open(self) -> None:
        """Place the first book."""
        grid = self._grid
        half = self._spread / 2
        bid = max(grid, int((self._value[0] - half) // grid) * grid)
        gaps = [
            self._table.at(table, self._random.random(2)).round().astype(int).tolist()
            for table in self._shape.gap_ticks
        ]
        hole = int(self._plan.hole) // self._step // grid
        for side, best in ((BID, bid), (ASK, min(bid + self._spread, self._top - grid))):
            price = best
            for rank in range(self._plan.levels):
                self._put(side, price, self._home(side, rank))
                gap = gaps[rank][side] if rank < len(gaps) else 1
                gap = max(gap, hole if rank == 1 else 1)
                price += (-gap if side == BID else gap) * grid
                if not 0 < price < self._top:
                    break
        self._snapshot(0)

    def _snapshot(self, ms: int) -> None:
        levels = [(side, abs(key), self._size[side][abs(key)]) for side in (BID, ASK) for key in self._levels[side]]
        self._rows.extend((ms, SNAPSHOT, 0, 0, len(levels), self._frame))
        for side, price, size in levels:
            self._rows.extend((ms, SNAPSHOT_LEVEL, side, price, size, self._frame))
        self._frame += 1

    def _put(self, side: int, price: int, size: int) -> None:
        if price not in self._size[side]:
            insort(self._levels[side], -price if side == BID else price)
        self._size[side][price] = size

    def _remove(self, side: int, price: int) -> None:
        levels = self._levels[side]
        del levels[bisect_left(levels, -price if side == BID else price)]
        del self._size[side][price]

    def _home(self, side: int, rank: int) -> int:
        """Return a size near the one that this side keeps at a rank."""
        if self._draw() < (BUSY_REDRAWN if self._plan.kind is Kind.BUSY else REDRAWN):
            place = self._draw()
        else:
            place = abs(self._plan.depth[side][min(rank, 7)] + (self._draw() - 0.5) * JITTER)
            place = 2 - place if place > 1 else place
        return self._sizes[min(rank, 7)][int(place * (FINE - 1))]

    def _change(self, ms: int, side: int, rank: int) -> None:
        """Let orders come to a level, or be cancelled there."""
        levels = self._levels[side]
        if rank >= len(levels):
            return
        price = abs(levels[rank])
        size = self._home(side, rank)
        if size == self._size[side][price]:
            size += LOT
        self._size[side][price] = size
        self._rows.extend((ms, LEVEL, side, price, size, self._frame))
        self._frame += 1

    def _trade(self, ms: int, size: int, hit: bool) -> None:
        """Let a taker hit the best levels; one who knows fair value trades towards it, and not beyond."""
        value = self._fair(ms)
        bid, ask = -self._levels[BID][0], self._levels[ASK][0]
        known = hit or self._draw() < INFORMED
        buys = value > (bid + ask) / 2 if known else self._draw() < 0.5
        if hit and bid <= value <= ask:
            return  # the makers were there first
        side = ASK if buys else BID
        levels = self._levels[side]
        for _ in range(WALK):
            price = abs(levels[0])
            if hit and (price > value if buys else price < value):
                return
            there = self._size[side][price]
            taken = min(size, there - LOT if len(levels) <= LEAST else there)
            if taken <= 0:
                return
            self._rows.extend((ms, PRINT, BID if buys else ASK, price, taken, self._frame))
            self._rows.extend((ms, LEVEL, side, price, there - taken, self._frame + 1))
            self._frame += 2
            size -= taken
            if taken < there:
                self._size[side][price] = there - taken
                return
            self._remove(side, price)
            if not hit:
                self._learned += IMPACT * (levels[0] - (price if buys else -price)) * (1 if buys else -1)

    def _fair(self, ms: int) -> float:
        """Return fair value as those see it who know: what was drawn, and what trades told."""
        return min(max(self._value[ms // 1_000] + self._learned, 2.0), self._top - 2.0)

    def _look(self, ms: int) -> None:
        """Let makers move the touch to fair value, or close it up after a trade."""
        grid, value = self._grid, self._fair(ms)
        bid, ask = -self._levels[BID][0], self._levels[ASK][0]
        if self._plan.kind is Kind.BUSY:
            self._spread = self._busy_spread()
        spread = self._spread
        lean = value - (bid + ask) / 2
        if abs(lean) > (0.5 + SLACK) * grid + max(0, ask - bid - spread) / 2:
            bid = round((value - spread / 2) / grid) * grid
            ask = bid + spread
        elif ask - bid != spread:
            if lean * (ask - bid - spread) > 0:
                bid = ask - spread
            else:
                ask = bid + spread
        else:
            return
        bid = max(grid, bid)
        ask = min(max(ask, bid + grid), self._top - grid)
        self._move(ms, min(bid, ask - grid), ask)
        if grid > 1 and not TICK_TURNS < (bid + ask) / 2 * self._step < ONE - TICK_TURNS:
            self._grid, self._spread = 1, max(1, self._spread // 2)
            self._ticks.append((ms, Price(self._step)))
            self._snapshot(ms)

    def _busy_spread(self) -> int:
        """Draw the next spread of a busy market; trades widen it further, hence a little less of the wide ones."""
        share = self._draw()
        share = min(share, 0.5 + 0.88 * (share - 0.5))
        return max(1, round(float(self._table.at(self._shape.spread_cents, share))))

    def _move(self, ms: int, bid: int, ask: int) -> None:
        """Cancel what stands in the way of a new touch and place what it lacks."""
        grid, gone = self._grid, []
        for side, best in ((BID, -bid), (ASK, ask)):
            levels = self._levels[side]
            while levels and levels[0] < best:
                gone.append((side, abs(levels[0])))
                self._remove(side, abs(levels[0]))
        come = []
        for side, best in ((BID, -bid), (ASK, ask)):
            levels = self._levels[side]
            near = levels[0] if levels else best + grid
            come += [(side, abs(key)) for key in range(best, min(near, best + 4 * grid), grid)]
            last = levels[-1] if levels else best
            missing = LEAST + 2 - len(levels)
            come += [
                (side, abs(last + more * grid))
                for more in range(1, missing + 1)
                if 0 < abs(last + more * grid) < self._top and (last + more * grid) * (last or 1) > 0
            ]
        for side, price in gone:
            self._rows.extend((ms, LEVEL, side, price, 0, self._frame))
        for side, price in come:
            rank = bisect_left(self._levels[side], -price if side == BID else price)
            self._put(side, price, self._home(side, rank))
            self._rows.extend((ms, LEVEL, side, price, self._size[side][price], self._frame))
        come_at = set(come)
        for side in {side for side, _ in gone + come}:
            for rank, key in enumerate(self._levels[side][:REPLACED]):
                price = abs(key)
                if (side, price) not in come_at:  # makers move along: sizes go with the rank
                    self._size[side][price] = self._home(side, rank)
                    self._rows.extend((ms, LEVEL, side, price, self._size[side][price], self._frame))
        for side in (BID, ASK):
            while len(self._levels[side]) > MOST:
                price = abs(self._levels[side][-1])
                self._remove(side, price)
                self._rows.extend((ms, LEVEL, side, price, 0, self._frame))
        self._frame += 1

    def _settlement(self) -> tuple[int, Price] | None:
        """Draw the outcome of a market that ends, with the odds of its last fair value."""
        if self._plan.ends_at is None:
            return None
        won = self._draw() < self._fair(self._length) / self._top
        return self._length, ONE if won else Price(0)


def _lots(table: Calibration, sizes: list[float]) -> list[int]:
    """Return a table of sizes at FINE points, in whole lots."""
    found = table.at(sizes, (np.arange(FINE) + 0.5) / FINE) * SIZE_SCALE
    return np.maximum(100 * LOT, (found / LOT).astype(np.int64) * LOT).tolist()  # type: ignore[no-any-return]


def _tilted(shares: Floats, tilt: float) -> Floats:
    """Make small shares likelier, or large ones where `tilt` is negative; as many of each when tilts even out."""
    if abs(tilt) < 1e-3:
        return shares
    return np.asarray((1 + tilt - np.sqrt((1 + tilt) ** 2 - 4 * tilt * shares)) / (2 * tilt))
