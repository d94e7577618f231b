"""Do not rest in a market that moves."""

import math
from collections import deque
from dataclasses import dataclass, field

from pmrun.plugins.risk.hysteresis import check_hysteresis
from pmrun.runner.facts import BookChanged, Fact, TimerDue
from pmrun.runner.hooks import WHOLE_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.units import ONE, Micros, Side


class _Samples:
    """The mids of one market at fixed times, and the mid since the last of them."""

    __slots__ = ("current", "mids", "next_at", "seen_at")

    def __init__(self, window: int, at: Micros, mid: int) -> None:
        self.mids: deque[int] = deque(maxlen=window)
        self.next_at = at
        self.seen_at = at
        self.current = mid


@dataclass(slots=True, eq=False)
class Volatility:
    """The mid's coefficient of variation (standard deviation / mean) stays at or below volatility_threshold (R6).

    The mid is sampled every `interval` seconds into a window; fewer than `min_points` are a refusal. A market without
    a book for `max_gap` seconds starts its window anew. For NO the mean is that of the complement.
    """

    volatility_threshold: float = 0.03
    interval: Micros = Micros(30_000_000)
    window: int = 30
    min_points: int = 5
    max_gap: Micros = Micros(600_000_000)
    hysteresis: float = 0.1
    order: int | None = None
    _markets: dict[MarketNo, _Samples] = field(default_factory=dict, init=False, repr=False)

    depth = WHOLE_BOOK  # the mid needs the touch only, but a gap is one in any news of the book
    observes = (BookChanged, TimerDue)

    def __post_init__(self) -> None:
        """Refuse settings that could never judge."""
        if not 0 < self.volatility_threshold <= 10:
            raise ValueError("volatility_threshold must be above 0 and at most 10")
        if not self.interval > 0:
            raise ValueError("interval must be above 0 seconds")
        if not 2 <= self.min_points <= self.window <= 100_000:
            raise ValueError("min_points must be at least 2 and at most window")
        if not self.max_gap >= self.interval:
            raise ValueError("max_gap must be at least interval")
        check_hysteresis(self.hysteresis)

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None) -> None:
        """Sample the mids whose time has come."""
        if isinstance(fact, BookChanged) and market_no is not None:
            if fact.book.bids and fact.book.asks:
                self._seen(market_no, fact.at, fact.book.mid_half)
            return
        for samples in self._markets.values():
            self._sample(samples, fact.at)

    def _seen(self, market: MarketNo, at: Micros, mid: int) -> None:
        samples = self._markets.get(market)
        if samples is None or at - samples.seen_at > self.max_gap:
            samples = self._markets[market] = _Samples(self.window, at, mid)
        # A sample due now takes the new mid, those that were due before take the one that stood then.
        self._sample(samples, Micros(at - 1))
        samples.current, samples.seen_at = mid, at
        self._sample(samples, at)

    def _sample(self, samples: _Samples, at: Micros) -> None:
        last = min(at, samples.seen_at + self.max_gap)
        while samples.next_at <= last:
            samples.mids.append(samples.current)
            samples.next_at = Micros(samples.next_at + self.interval)

    @hookimpl
    def next_wake(self, market_no: MarketNo) -> Micros | None:
        """Wake for the market's next sample, or when its last book is too old to sample."""
        samples = self._markets.get(market_no)
        return None if samples is None else min(samples.next_at, Micros(samples.seen_at + self.max_gap + 1))

    @hookimpl
    def object_to_order(self, order: Wanted, market_no: MarketNo, resting: bool, at: Micros) -> Objection | None:
        """Object to a bid in a market that moves too much, or is not known well enough."""
        if order.side is not Side.BUY:
            return None
        samples = self._markets.get(market_no)
        points = 0 if samples is None else len(samples.mids)
        if samples is None or points < self.min_points or at - samples.seen_at > self.max_gap:
            return Objection("too_few_points", {"points": points, "needed": self.min_points})
        limit = self.volatility_threshold * (1 + self.hysteresis if resting else 1)
        variation = coefficient_of_variation(samples.mids, order.outcome)
        if variation > limit:
            return Objection("too_volatile", {"variation": round(variation, 6), "limit": limit})
        return None


def coefficient_of_variation(mids: "deque[int]", outcome: Outcome) -> float:
    """Return population standard deviation over mean of half-unit mids, as the outcome sees them."""
    total = sum(mids)
    count = len(mids)
    # Exact: the variance of integers is a ratio of integers, and the mirror has the same.
    spread = math.sqrt(count * sum(mid * mid for mid in mids) - total * total)
    mean = total if outcome is Outcome.YES else count * 2 * ONE - total
    return spread / mean if mean else math.inf
