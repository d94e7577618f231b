"""What one simulated market is meant to be, before anything happens in it."""

from enum import StrEnum
from typing import NamedTuple

from pmrun.runner.market import Market
from pmrun.runner.units import Micros, Price


class Kind(StrEnum):
    """Which recorded markets a simulated one is like."""

    TRADED = "traded"  # active, rewarded, small orders: what a reward maker looks for
    DEEP = "deep"  # as before baseball games: a cent wide, tens of thousands of shares a level
    SCANNED = "scanned"  # any rewarded market: mostly quiet, often wide, large orders or low rates
    BUSY = "busy"  # up or down within minutes; ends during the run


class Plan(NamedTuple):
    """A market, its book at the start, and how much happens in it."""

    market: Market
    kind: Kind
    step: Price  # the finest tick it will have
    mid: float  # dollars
    spread: Price
    levels: int  # a side
    depth: tuple[list[float], list[float]]  # of each side by rank: where in the table of sizes a level stays, 0..1
    hole: Price  # an empty stretch below the best bid and above the best ask; 0: none
    tilt: float  # how much smaller than elsewhere trades are, -1..1: more rests elsewhere
    print_gap: float  # seconds between trades, mean
    jumps: float  # an hour
    jump_size: Price  # mean
    noise: Price  # standard deviation of fair value over a minute
    trend: Price  # standard deviation of a drift over half an hour
    drift: Price  # over the whole run, known beforehand
    ends_at: Micros | None  # when it resolves, if during the run
