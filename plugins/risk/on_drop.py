"""Buy only what has just become cheaper."""

from collections import deque
from dataclasses import dataclass, field

from pmrun.plugins.hedging.rounds import FOLLOW
from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact
from pmrun.runner.hooks import Depth, Look, Objection, Wanted, hookimpl
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.units import ONE, PRICE_SCALE, SECOND, Micros, Side


class _Window:
    """The highest and the lowest mid within a window; each mid stands until the next one comes."""

    __slots__ = ("_high", "_low", "_window", "mid")

    def __init__(self, window: Micros, mid: int) -> None:
        self._window = window
        self.mid = mid
        self._high: deque[tuple[Micros, int]] = deque()  # until when a mid stood; each higher than those after it
        self._low: deque[tuple[Micros, int]] = deque()

    def see(self, at: Micros, mid: int) -> None:
        """Take a new mid."""
        if mid == self.mid:
            return
        _push(self._high, at, self.mid, 1)
        _push(self._low, at, self.mid, -1)
        for found in (self._high, self._low):
            while found and found[0][0] <= at - self._window:
                found.popleft()
        self.mid = mid

    def high(self, outcome: Outcome, at: Micros) -> int:
        """Return the highest mid of a token within the window that ends now."""
        found = self._high if outcome is Outcome.YES else self._low
        stood = next((mid for until, mid in found if until > at - self._window), self.mid)
        if outcome is Outcome.YES:
            return max(stood, self.mid)
        return 2 * ONE - min(stood, self.mid)


def _push(found: deque[tuple[Micros, int]], until: Micros, mid: int, sign: int) -> None:
    while found and sign * found[-1][1] <= sign * mid:
        found.pop()
    found.append((until, mid))


@dataclass(slots=True, eq=False)
class OnDrop:
    """Object to a bid unless its token's mid is drop_threshold below its highest within `window` seconds (M5).

    The threshold is a share of that highest mid. A bid that rests stays, and one that goes on with a round that has
    begun is not asked. After a restart the window begins anew.
    """

    drop_threshold: float = 0.05
    window: Micros = Micros(60 * SECOND)
    order: int | None = None
    _markets: dict[MarketNo, _Window] = field(default_factory=dict, init=False, repr=False)

    depth = Depth(Look.PRICES, 1)
    safety = False  # that nothing fell says nothing against the other side (R3)
    observes = (BookChanged,)

    def __post_init__(self) -> None:
        """Refuse a drop that cannot be, and a window without length."""
        if not 0 < self.drop_threshold < 1:
            raise ValueError("drop_threshold must be above 0 and below 1")
        if not 0 < self.window <= 86_400 * SECOND:
            raise ValueError("window must be above 0 seconds and at most a day")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None) -> None:
        """Follow the mids."""
        if not isinstance(fact, BookChanged) or market_no is None or not fact.book.two_sided:
            return
        mid = fact.book.mid_half
        seen = self._markets.get(market_no)
        if seen is None:
            self._markets[market_no] = _Window(self.window, mid)
        else:
            seen.see(fact.at, mid)

    @hookimpl
    def object_to_order(
        self, order: Wanted, market_no: MarketNo, book: Book, resting: bool, at: Micros
    ) -> Objection | None:
        """Object to beginning where nothing fell."""
        if resting or order.side is not Side.BUY or order.basis == FOLLOW:
            return None
        seen = self._markets.get(market_no)
        now = book.mid_half
        high = now if seen is None else max(now, seen.high(order.outcome, at))
        drop = (high - now) / high if high else 0.0
        if drop >= self.drop_threshold:
            return None
        high_dollars = high / (2 * PRICE_SCALE)
        return Objection("no_drop", {"drop": round(drop, 6), "limit": self.drop_threshold, "high": high_dollars})
