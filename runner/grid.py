"""The only place that puts a price on the tick."""

import math
from collections.abc import Iterable
from typing import Final

from pmrun.runner.units import ONE, HalfPrice, Price, Side

BUY: Final = Side.BUY
KNOWN_TICKS = (1000, 100, 50, 25, 10, 1)  # 0.1 … 0.0001 (reference, section 4)


class Grid:
    """The prices a market allows: multiples of the tick from one tick to one dollar less a tick."""

    __slots__ = ("tick",)

    def __init__(self, tick: Price) -> None:
        """Refuse a tick that does not divide a dollar."""
        if tick <= 0 or ONE % tick:
            raise ValueError(f"tick {tick}/10,000 dollar does not divide one dollar")
        self.tick = tick

    def __eq__(self, other: object) -> bool:
        """Whether two grids are of one tick."""
        return isinstance(other, Grid) and self.tick == other.tick

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(self.tick)

    @property
    def lowest(self) -> Price:
        """The lowest valid price."""
        return self.tick

    @property
    def highest(self) -> Price:
        """The highest valid price."""
        return Price(ONE - self.tick)

    def __contains__(self, price: object) -> bool:
        """Whether a price is valid."""
        return isinstance(price, int) and self.holds(price)

    def holds(self, price: int) -> bool:
        """Whether a price is valid, of what is known to be a whole number."""
        tick = self.tick
        return tick <= price <= ONE - tick and price % tick == 0

    def place(self, side: Side, wanted: HalfPrice) -> Price:
        """Put a price that may fall between ticks on the grid: bids floored, asks ceiled (R4).

        The result can lie outside the valid range; `__contains__` says so.
        """
        step = 2 * self.tick
        if side is BUY:
            return Price(wanted // step * self.tick)
        return Price(-(-wanted // step) * self.tick)

    def behind_touch(self, side: Side, price: Price, best_bid: Price | None, best_ask: Price | None) -> Price:
        """Move a price that would cross to the nearest one that rests; unchanged when nothing is across."""
        if side is BUY:
            return price if best_ask is None or price < best_ask else self.place(side, HalfPrice(2 * (best_ask - 1)))
        return price if best_bid is None or price > best_bid else self.place(side, HalfPrice(2 * (best_bid + 1)))

    def rest(self, side: Side, wanted: HalfPrice, best_bid: Price, best_ask: Price) -> Price:
        """Put a price on the grid and behind the touch, as `place` and `behind_touch` do, mostly in one call."""
        tick = self.tick
        if side is BUY:
            price = Price(wanted // (2 * tick) * tick)
            return price if price < best_ask else self.behind_touch(side, price, best_bid, best_ask)
        price = Price(-(-wanted // (2 * tick)) * tick)
        return price if price > best_bid else self.behind_touch(side, price, best_bid, best_ask)

    def refined_by(self, prices: Iterable[Price]) -> "Grid":
        """Return the coarsest known grid, no coarser than this one, that holds these prices.

        A level off the declared grid means that the tick has changed without a message. Every finer known grid
        must still divide this one, or a price that was valid would stop being so.
        """
        off = {price % self.tick for price in prices} - {0}
        if not off:
            return self
        needed = math.gcd(self.tick, *off)
        tick = max((known for known in KNOWN_TICKS if needed % known == 0), default=1)
        return Grid(Price(tick))
