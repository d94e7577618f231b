"""Follows our quotes as they rest: at which distance from the mid, for how long, and which of them fill."""

from dataclasses import dataclass, field

from pmrun.plugins.calibration.exposure import FILL, distance_bin
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import ENDED, Order, OrderNo, Purpose, State
from pmrun.runner.units import HalfPrice, Micros, Side, complement

RESTS = (State.LIVE, State.PARTIALLY_FILLED)


def distance(order: Order, mid: HalfPrice) -> int:
    """Return how far an order is from the mid of YES, in 1/20,000 dollar; below 0 where it is better than the mid."""
    yes = order.outcome is Outcome.YES
    price = order.price if yes else complement(order.price)
    bids = (order.side is Side.BUY) == yes
    return mid - 2 * price if bids else 2 * price - mid


@dataclass(slots=True)
class Watched:
    """One market since the last time that somebody took what was counted."""

    since: Micros
    mid: HalfPrice | None = None
    orders: dict[OrderNo, Order] = field(default_factory=dict)
    rested: dict[int, int] = field(default_factory=dict)
    fills: dict[int, int] = field(default_factory=dict)

    def pass_time(self, at: Micros) -> None:
        """Count the time since the last news; without a mid there is no distance, and nothing is counted."""
        passed, self.since = at - self.since, at
        if self.mid is None or passed <= 0:
            return
        for order in self.orders.values():
            where = distance_bin(distance(order, self.mid))
            if where is not None:
                self.rested[where] = self.rested.get(where, 0) + passed

    def take(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return what was counted, and begin anew."""
        taken = self.rested, self.fills
        self.rested, self.fills = {}, {}
        return taken


class Resting:
    """Follows every market; times never go back."""

    def __init__(self) -> None:
        """Start without a market."""
        self.markets: dict[MarketNo, Watched] = {}
        self._now = Micros(0)
        self._hits: dict[OrderNo, Micros] = {}  # when an order was filled last

    def pass_time(self, at: Micros) -> None:
        """Count up to a moment, everywhere."""
        self._now = max(self._now, at)
        for watched in self.markets.values():
            if watched.orders:
                watched.pass_time(self._now)

    def mid(self, no: MarketNo, mid: HalfPrice | None, at: Micros) -> None:
        """Learn a mid; None: there is none that could be trusted."""
        watched = self._at(no, at)
        if mid != watched.mid:
            watched.pass_time(self._now)
            watched.mid = mid

    def no_mids(self, at: Micros) -> None:
        """Forget every mid: the feed was lost."""
        for no in self.markets:
            self.mid(no, None, at)

    def news(self, order: Order, at: Micros) -> None:
        """Learn how a quote stands."""
        if order.purpose is not Purpose.QUOTE:
            return
        watched = self._at(order.market, at)
        rests = order.state in RESTS
        if rests != (order.no in watched.orders):
            watched.pass_time(self._now)
        if rests:
            watched.orders[order.no] = order
        elif order.state in ENDED:
            watched.orders.pop(order.no, None)
            self._hits.pop(order.no, None)

    def filled(self, order: Order, at: Micros) -> None:
        """Learn that a quote was hit; several parts at one moment are one hit."""
        if order.purpose is Purpose.QUOTE and self._hits.get(order.no) != at:
            self._hits[order.no] = at
            watched = self._at(order.market, at)
            where = None if watched.mid is None else distance_bin(distance(order, watched.mid))
            if where is not None:
                watched.fills[where] = watched.fills.get(where, 0) + FILL
        self.news(order, at)

    def _at(self, no: MarketNo, at: Micros) -> Watched:
        self._now = max(self._now, at)
        watched = self.markets.get(no)
        if watched is None:
            watched = self.markets[no] = Watched(self._now)
        if not watched.orders:
            watched.since = self._now
        return watched
