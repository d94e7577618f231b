"""Bid on both tokens at a distance from the mid that grows with how much it moves."""

import math
from dataclasses import dataclass, field

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact, FeedLost, Listed, TimerDue
from pmrun.runner.hooks import WHOLE_BOOK, Answer, NoQuote, Quote, hookimpl
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome
from pmrun.runner.units import ONE, SECOND, HalfPrice, Micros, Price, Side


@dataclass(slots=True)
class _Mid:
    """What one market's mid did: the mean square of its moves from sample to sample, in (1/20,000 dollar)²."""

    next_at: Micros
    seen_at: Micros
    current: int
    sampled: int
    variance: float = 0.0
    points: int = 0


@dataclass(slots=True, eq=False)
class Spread:
    """Bid for YES and for NO at the mid less `base_half_spread` + `alpha` × σ × √(`horizon`) (P2).

    σ is the short-term volatility of the mid: the root of its mean squared move between samples every `interval`,
    where a move of `half_life` ago counts half. A resting quote is an option for whoever knows better, given for the
    time until it is revised (Copeland and Galai 1983): `alpha` standard deviations of what the mid does within
    `horizon` keep it out of reach. Before `min_points` moves are known, or beyond `max_half_spread`, nothing is quoted.
    A market without a book for `max_gap` begins anew.
    """

    base_half_spread: Price = Price(100)
    alpha: float = 1.5
    horizon: Micros = Micros(6 * SECOND)
    interval: Micros = Micros(3 * SECOND)
    half_life: Micros = Micros(300 * SECOND)
    min_points: int = 10
    max_half_spread: Price = Price(1_000)
    max_gap: Micros = Micros(600 * SECOND)
    _conditions: dict[MarketNo, ConditionId] = field(default_factory=dict, init=False, repr=False)
    _mids: dict[ConditionId, _Mid] = field(default_factory=dict, init=False, repr=False)
    _fresh: float = field(init=False, repr=False)  # the weight of the latest move

    depth = WHOLE_BOOK  # the mid needs the touch only, but a gap is one in any news of the book
    observes = (Listed, BookChanged, FeedLost, TimerDue)

    def __post_init__(self) -> None:
        """Refuse spreads and times that could not be."""
        if not 0 <= self.base_half_spread < 5_000:
            raise ValueError("base_half_spread must be from 0 to below 0.5 dollars")
        if not self.base_half_spread <= self.max_half_spread < 5_000:
            raise ValueError("max_half_spread must be from base_half_spread to below 0.5 dollars")
        if not 0 <= self.alpha <= 100:
            raise ValueError("alpha must be from 0 to 100")
        if not 0 < self.interval <= 3_600 * SECOND:
            raise ValueError("interval must be above 0 and at most 3,600 seconds")
        if not 0 < self.horizon <= 86_400 * SECOND:
            raise ValueError("horizon must be above 0 and at most 86,400 seconds")
        if not self.half_life >= self.interval:
            raise ValueError("half_life must be at least interval")
        if not 1 <= self.min_points <= 100_000:
            raise ValueError("min_points must be from 1 to 100,000")
        if not self.max_gap >= self.interval:
            raise ValueError("max_gap must be at least interval")
        self._fresh = 1 - 0.5 ** (self.interval / self.half_life)

    # Learning.

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None) -> None:
        """Sample the mids whose time has come."""
        match fact:
            case Listed():
                self._conditions[fact.market] = fact.terms.condition
            case BookChanged():
                if fact.book.two_sided:
                    self._seen(self._conditions[fact.market], fact.at, fact.book.mid_half)
            case FeedLost():
                self._mids.clear()
            case _:
                for mid in self._mids.values():
                    self._sample(mid, fact.at)

    def _seen(self, condition: ConditionId, at: Micros, half: int) -> None:
        mid = self._mids.get(condition)
        if mid is None or at - mid.seen_at > self.max_gap:
            mid = self._mids[condition] = _Mid(Micros(at + self.interval), at, half, half)
        # A sample due now takes the new mid, those that were due before take the one that stood then.
        self._sample(mid, Micros(at - 1))
        mid.current, mid.seen_at = half, at
        self._sample(mid, at)

    def _sample(self, mid: _Mid, at: Micros) -> None:
        last = min(at, mid.seen_at + self.max_gap)
        while mid.next_at <= last:
            mid.points += 1
            move = mid.current - mid.sampled
            # The mean of all moves, until there are enough for the oldest to fade.
            mid.variance += (move * move - mid.variance) * max(self._fresh, 1 / mid.points)
            mid.sampled = mid.current
            mid.next_at = Micros(mid.next_at + self.interval)

    @hookimpl
    def next_wake(self, market_no: MarketNo) -> Micros | None:
        """Wake for the market's next sample, or when its last book is too old to sample."""
        condition = self._conditions.get(market_no)
        mid = None if condition is None else self._mids.get(condition)
        return None if mid is None else min(mid.next_at, Micros(mid.seen_at + self.max_gap + 1))

    # Judging.

    @hookimpl
    def price(self, market: Market, book: Book, at: Micros) -> Answer:
        """Answer with one bid a token: the ask of one is the bid of the other."""
        mid = self._mids.get(market.condition)
        known = mid is not None and at - mid.seen_at <= self.max_gap
        points = mid.points if mid is not None and known else 0
        if mid is None or points < self.min_points:
            numbers = {"points": points, "needed": self.min_points}
            return [NoQuote(outcome, Side.BUY, "too_few_points", dict(numbers)) for outcome in Outcome]
        half = 2 * self.base_half_spread + math.ceil(self.alpha * self.moves(mid.variance))
        if half > 2 * self.max_half_spread:
            said = {"half_spread": half // 2, "limit": int(self.max_half_spread)}
            return [NoQuote(outcome, Side.BUY, "spread_too_wide", dict(said)) for outcome in Outcome]
        mids = {Outcome.YES: book.mid_half, Outcome.NO: 2 * ONE - book.mid_half}
        return [Quote(outcome, Side.BUY, HalfPrice(mids[outcome] - half), "spread") for outcome in Outcome]

    def moves(self, variance: float) -> float:
        """Return a standard deviation of what the mid does within the horizon, in 1/20,000 dollar."""
        return math.sqrt(variance * self.horizon / self.interval)
