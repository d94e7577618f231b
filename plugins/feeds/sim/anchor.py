"""Simulated markets without an edge: whoever trades pays what the outcome is then worth, on average.

After Glosten and Milgrom (1985): a price is the expected payoff given everything that was seen, the present trade
included. Here the chance of YES goes up one tick with a buy and down one with a sell, each as likely; the ask is the
chance after a buy, the bid the chance after a sell. So every trade is at a price that is exactly fair, and at the end
YES pays with the last chance. Sizes, cancels and waits tell nothing of it. A fill at the price of a trade can then
neither win nor lose on average, whatever the strategy; a fill model that shows a profit here invents it.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pmrun.plugins.executors.kernel import ASK, BID, LEVEL, PRINT, SNAPSHOT, SNAPSHOT_LEVEL
from pmrun.plugins.feeds.sim.flow import LOT, Flow
from pmrun.plugins.feeds.sim.plan import Kind, Plan
from pmrun.plugins.feeds.sim.sim import START, assembled, check_session, generator
from pmrun.plugins.feeds.sim.terms import DAY, LABEL, ids
from pmrun.runner.market import Market, RewardTerms
from pmrun.runner.ports import FeedData
from pmrun.runner.units import ONE, SECOND, Cash, Micros, Price, Size

TICK = Price(50)
TOP = ONE // TICK
LEVELS = 12  # a side
ROOM = LEVELS + 2  # nobody trades closer to 0 or 1 than this many ticks
SMALLEST, LARGEST = 10.0, 120.0  # shares a level
CHANGES = 4  # levels that change between two trades
BURST = 0.5  # this share of trades comes right after another; whichever way either goes
SWEEP = 0.4  # this share of takers wants all that rests at the touch
NOTE = "no edge: every simulated trade is at the expected payoff, this trade included"


@dataclass(frozen=True, slots=True, eq=False)
class NoEdge:
    """Markets in which nobody can expect to win or lose: what a fill model shows here is its own error.

    `markets` is their number, `length` how long they are watched, `trade_gap` the mean time between trades.
    """

    seed: int
    markets: int = 2
    length: Micros = Micros(7_200 * SECOND)
    trade_gap: Micros = Micros(45 * SECOND)

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        check_session(self.seed, self.markets, self.length)
        if not SECOND <= self.trade_gap <= self.length:
            raise ValueError("trade_gap must be from 1 second to length")

    def open(self) -> FeedData:
        """Let the markets happen, to their ends."""
        plans = [_plan(self.seed, number) for number in range(self.markets)]
        flows = [
            _Fair(generator(self.seed, 3, number), self.length // 1_000, self.trade_gap / 1_000).run()
            for number in range(self.markets)
        ]
        return assembled("sim_no_edge", f"seed {self.seed}", plans, flows, (NOTE,))


class _Fair:
    """One such market; prices are in ticks, `chance` is the price that is fair now."""

    def __init__(self, random: np.random.Generator, length: int, gap: float) -> None:
        self._length = length  # ms
        count = int(length / gap * 2) + 20
        burst = random.random(count) < BURST
        waits = np.where(burst, 20 + 200 * random.random(count), -np.log(1 - random.random(count)) * gap / (1 - BURST))
        times = np.cumsum(waits).astype(np.int64) + 1
        self._times = times[times < length].tolist()
        self._uniform: Iterator[float] = iter(
            random.random((len(self._times) + 1) * (CHANGES * 4 + 8) + 8 * LEVELS).tolist()
        )
        self._chance = TOP // 2
        self._size: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._rows = array("q")
        self._frame = 0

    def run(self) -> Flow:
        """Open, trade until the end, and pay with the last chance."""
        for rank in range(1, LEVELS + 1):
            self._size[BID][self._chance - rank] = self._shares()
            self._size[ASK][self._chance + rank] = self._shares()
        self._snapshot()
        before = 0
        for at in self._times:
            for share in sorted(self._draw() for _ in range(CHANGES)):
                self._change(before + int((at - before) * share))
            if ROOM < self._chance < TOP - ROOM:
                self._trade(at, self._draw() < 0.5)
            before = at
        won = self._draw() < self._chance / TOP
        return Flow(self._rows, [], (self._length, ONE if won else Price(0)))

    def _draw(self) -> float:
        return next(self._uniform)

    def _shares(self) -> int:
        """Draw the size of a level."""
        return int((SMALLEST + (LARGEST - SMALLEST) * self._draw()) * 100) * LOT

    def _snapshot(self) -> None:
        levels = [(side, price, size) for side in (BID, ASK) for price, size in self._size[side].items()]
        self._rows.extend((0, SNAPSHOT, 0, 0, len(levels), self._frame))
        for side, price, size in levels:
            self._rows.extend((0, SNAPSHOT_LEVEL, side, price, size, self._frame))
        self._frame += 1

    def _set(self, at: int, side: int, price: int, size: int) -> None:
        if size:
            self._size[side][price] = size
        else:
            del self._size[side][price]
        self._rows.extend((at, LEVEL, side, price, size, self._frame))

    def _change(self, at: int) -> None:
        """Let orders come to one of the first levels, or be cancelled there."""
        side = BID if self._draw() < 0.5 else ASK
        rank = 1 + int(4 * self._draw() ** 2)
        self._set(at, side, self._chance + (rank if side == ASK else -rank), self._shares())
        self._frame += 1

    def _trade(self, at: int, buys: bool) -> None:
        """Let a taker trade at the touch; the chance is then what was paid, and the makers move around it."""
        side, price = (ASK, self._chance + 1) if buys else (BID, self._chance - 1)
        there = self._size[side][price]
        share = self._draw() / (1 - SWEEP)
        taken = there if share >= 1 else max(LOT, int(there * share) // LOT * LOT)
        self._rows.extend((at, PRINT, BID if buys else ASK, price, taken, self._frame))
        self._frame += 1
        self._set(at, side, price, there - taken)
        self._frame += 1
        if there > taken:
            self._set(at, side, price, 0)
        self._chance = price
        other, behind = (BID, price - 1) if buys else (ASK, price + 1)
        self._set(at, other, behind, self._shares())
        self._set(at, other, price + (-LEVELS - 1 if buys else LEVELS + 1), 0)
        self._set(at, side, price + (LEVELS if buys else -LEVELS), self._shares())
        self._frame += 1


def _plan(seed: int, number: int) -> Plan:
    condition, yes, no = ids(f"simulated without an edge {seed} {number}")
    market = Market(
        condition=condition,
        question=f"Will fair coin {number + 1} have come up heads? {LABEL}",
        slug=f"simulated-no-edge-{number}",
        yes=yes,
        no=no,
        tick=TICK,
        min_order_size=Size(5_000_000),
        rewards=RewardTerms(min_size=Size(20_000_000), max_spread=Price(350), daily_rate=Cash(50_000_000)),
        ends_at=Micros(START + 30 * DAY),
        volume_24h=Cash(20_000_000_000),
        liquidity=Cash(10_000_000_000),
        event=f"simulated-no-edge-{number}",
        simulated=True,
    )
    return Plan(
        market=market, kind=Kind.TRADED, step=TICK, mid=0.5, spread=Price(2 * TICK), levels=LEVELS, depth=([], []),
        hole=Price(0), tilt=0.0, print_gap=0.0, jumps=0.0, jump_size=Price(0), noise=Price(0), trend=Price(0),
        drift=Price(0), ends_at=None,
    )  # fmt: skip
