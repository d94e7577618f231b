"""How a desk behaves, whatever its components are."""

import msgspec

from pmrun.runner.units import Micros, Size, next_beat
from pmrun.runner.universe import Rescan


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When quotes are decided (R12): at once (`every` 0), or on a clock with an offset from the first fact."""

    every: Micros = Micros(0)
    offset: Micros = Micros(0)

    def next(self, origin: Micros, at: Micros) -> Micros:
        """Return the first decision time at or after a moment."""
        return next_beat(self.every, origin + self.offset, at)


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a desk behaves, whatever its components are."""

    pace: Pace = Pace()
    max_markets: int = 0  # 0: no limit
    gated: bool = True  # evaluate a market only when something it depends on changed
    sell_holdings: bool = True  # offer shares that are held before buying the complement (R4a)
    book_holds_us: bool = False  # the observed book shows our own orders (live) or not (tape)
    merge_from: Size = Size(0)  # pairs that are merged into cash once so many are held; 0: pairs are held to the end
    remember: Micros = Micros(3_600_000_000)  # how long an ended order is kept for late news
    retry_after: Micros = Micros(1_000_000)  # how long a rejected order is not tried again (R15)
    retry_limit: int = 3  # how often in a row it is tried again that soon (R15)
    retry_pause: Micros = Micros(60_000_000)  # how long it is left alone then
    recheck_after: Micros = Micros(500_000)  # how long uncovered shares wait for a new look (R10)
    rescan: Rescan = Rescan()
    clean_start: bool = False  # cancel what an earlier session left bidding, before anything else (R13)
    leave_hedges: bool = False  # at the end cancel bids and quotes only; hedges go on working (R13)
    stop_only: bool = False  # cancel what bids, and end (R13)
    keep_when_halted: bool = False  # what rests stays when the exchange halts a market; nothing is added (V4)
