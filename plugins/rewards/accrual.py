"""What a run's resting orders would have earned from liquidity rewards: sampled once a minute, and an estimate."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from pmrun.plugins.rewards.score import NO_SCORE, NOTHING, SAMPLES_A_DAY, Income, Range, income, own_order, score
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    FeedEnded,
    FeedLost,
    Filled,
    Listed,
    MarketStatus,
    OrderNews,
    StatusChanged,
    TickChanged,
    each,
)
from pmrun.runner.hooks import WHOLE_BOOK
from pmrun.runner.intents import Drop, Intent, Select
from pmrun.runner.market import MarketNo, RewardTerms
from pmrun.runner.orders import Order, State
from pmrun.runner.units import SECOND, Micros

MINUTE: Final = 60 * SECOND
PAYOUT_MINIMUM_USD: Final = 1.0  # a day that earned less is not paid (reference 7.3)
ASSUMES: Final = (
    "who owns the other orders and how levels are split into orders is not public: low to high spans every way "
    "to share them among makers, mid takes half; a level of the minimum size or more counts whole, a smaller one not "
    "at all; a sample pays 1/1440 of a day's pool"
)
_OF_MARKET: Final = frozenset({BookChanged, Listed, TickChanged, StatusChanged})
_OF_ORDER: Final = frozenset({OrderNews, Filled})
_RESTS: Final = frozenset({State.LIVE, State.PARTIALLY_FILLED})
_OVER: Final = frozenset({MarketStatus.CLOSED, MarketStatus.RESOLVED})


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One market at one sampled moment: an estimate. Scores in score-shares, shares as fractions, pay in dollars."""

    market: MarketNo
    at: Micros
    scoring: bool
    ours: float
    competitors_low: float
    competitors_high: float
    share_low: float
    share_mid: float
    share_high: float
    native_low_usd: float
    native_mid_usd: float
    native_high_usd: float
    sponsored_low_usd: float
    sponsored_mid_usd: float
    sponsored_high_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """Estimate what resting orders earn, by the exchange's own score (R2, reference 7.3).

    `min_order_age` is how long an order has to rest before it scores; listings of markets do not say, and those that
    were recorded say four seconds.
    """

    min_order_age: Micros = Micros(4 * SECOND)
    depth = WHOLE_BOOK

    def __post_init__(self) -> None:
        """Refuse ages at which nothing would ever score."""
        if not 0 <= self.min_order_age < 24 * 60 * MINUTE:
            raise ValueError("min_order_age must be from 0 to below 86,400 seconds")

    def open(self, desk: Desk, seed: int) -> "Accrual":
        """Start watching a desk; the seed decides the moments that are sampled."""
        return Accrual(desk, seed, self.min_order_age)


def sample_in(minute: int, seed: int) -> Micros:
    """Return the sampled moment of a UTC minute: the same for every run of a seed, whenever it begins."""
    drawn = blake2b(f"{seed}:{minute}".encode(), digest_size=8).digest()
    return Micros(minute * MINUTE + int.from_bytes(drawn, "big") % MINUTE)


class _Seen(NamedTuple):
    """A market as a step of the desk left it."""

    terms: RewardTerms | None
    status: MarketStatus
    selected: bool
    book: Book | None
    orders: tuple[Order, ...]


class _Total:
    """What came of the samples of a market, or of all."""

    __slots__ = ("paid", "samples", "scoring")

    def __init__(self) -> None:
        self.samples = 0
        self.scoring = 0
        self.paid = Income(NOTHING, NOTHING)

    def add(self, scoring: bool, paid: Income) -> None:
        self.samples += 1
        self.scoring += scoring
        self.paid = Income(self.paid.native.plus(paid.native), self.paid.sponsored.plus(paid.sponsored))

    def shown(self) -> dict[str, Any]:
        """Write it for people and programs; without samples there is no uptime."""
        return {
            **_usd(self.paid.total),
            "native": _usd(self.paid.native),
            "sponsored": _usd(self.paid.sponsored),
            "uptime": round(self.scoring / self.samples, 6) if self.samples else None,
            "samples": self.samples,
            "scoring_samples": self.scoring,
        }


class Accrual:
    """Watches a run and samples it; an observer.

    An observer hears of a fact when the desk has taken it already, so what the desk looked like before is kept: the
    moment of a sample is judged by all that was told up to it, and by nothing that came later.
    """

    takes_together = True

    def __init__(self, desk: Desk, seed: int, min_order_age: Micros) -> None:
        """Start before the first sample."""
        self._desk = desk
        self._seed = seed
        self._age = min_order_age
        self._seen: dict[MarketNo, _Seen] = {}
        self._next = Micros(0)
        self._ended = False
        self._rows: list[Sample] = []
        self._all = _Total()
        self._of_market: defaultdict[MarketNo, _Total] = defaultdict(_Total)
        self._of_day: defaultdict[str, Range] = defaultdict(lambda: NOTHING)

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Take the samples that are due before a fact, then see what the fact changed."""
        if self._ended:
            return
        if not self._seen:
            self._next = self._first(fact.at)
        while self._next < fact.at:
            self._sample(self._next)
            self._next = sample_in(self._next // MINUTE + 1, self._seed)
        for one in each(fact):
            self._learn(one)
        if intents and any(type(intent) is Select or type(intent) is Drop for intent in intents):
            self._look(self._desk.markets)

    def close(self) -> None:
        """Nothing to finish."""

    def rows(self) -> Sequence[Sample]:
        """Return all samples so far, in order of time and market."""
        return self._rows

    def estimate(self) -> dict[str, Any]:
        """Return what was earned, in dollars, as an interval: of all markets, by day and by market.

        `terms_assumed` says that the source did not hold a market's reward terms and somebody filled them in.
        """
        markets = {}
        for no in sorted(self._of_market):
            terms = self._desk.markets[no].terms
            assumed = any("reward" in field.lower() for field in terms.assumed)
            markets[str(no)] = {"slug": terms.slug, "terms_assumed": assumed, **self._of_market[no].shown()}
        return {
            "estimated": True,
            "assumes": ASSUMES,
            "terms_assumed": any(market["terms_assumed"] for market in markets.values()),
            "payout_minimum_usd": PAYOUT_MINIMUM_USD,
            **self._all.shown(),
            "days": {day: _usd(paid) for day, paid in sorted(self._of_day.items())},
            "markets": markets,
        }

    def _first(self, at: Micros) -> Micros:
        first = sample_in(at // MINUTE, self._seed)
        return first if first >= at else sample_in(at // MINUTE + 1, self._seed)

    def _learn(self, fact: Fact) -> None:
        kind = type(fact)
        if kind in _OF_MARKET:
            self._look((fact.market,))  # type: ignore[union-attr]
        elif kind in _OF_ORDER:
            order = self._desk.orders.get(fact.order)  # type: ignore[union-attr]
            if order is not None:
                self._look((order.market,))
        elif kind is FeedLost:
            self._look(self._desk.markets)
        elif kind is FeedEnded:
            self._ended = True  # what is pulled now is pulled because the run is over

    def _look(self, markets: Any) -> None:
        """Keep how markets are now: a book never changes, an order does."""
        for no in markets:
            state = self._desk.markets.get(no)
            if state is not None:
                orders = tuple([order.copy() for order in state.orders.values()])
                self._seen[no] = _Seen(state.terms.rewards, state.status, state.selected, state.book, orders)

    def _sample(self, at: Micros) -> None:
        for no, seen, terms in self._sampled():
            found = NO_SCORE
            if seen.book is not None and seen.status is MarketStatus.TRADING:
                found = score(seen.book, [own_order(order) for order in self._old_enough(seen, at)], terms)
            paid = income(found.share, terms, 1 / SAMPLES_A_DAY)
            self._all.add(found.scoring, paid)
            self._of_market[no].add(found.scoring, paid)
            day = datetime.fromtimestamp(at // SECOND, UTC).date().isoformat()
            self._of_day[day] = self._of_day[day].plus(paid.total)
            self._rows.append(
                Sample(
                    market=no,
                    at=at,
                    scoring=found.scoring,
                    ours=found.ours,
                    competitors_low=found.competitors_low,
                    competitors_high=found.competitors_high,
                    share_low=found.share.low,
                    share_mid=found.share.mid,
                    share_high=found.share.high,
                    native_low_usd=paid.native.low,
                    native_mid_usd=paid.native.mid,
                    native_high_usd=paid.native.high,
                    sponsored_low_usd=paid.sponsored.low,
                    sponsored_mid_usd=paid.sponsored.mid,
                    sponsored_high_usd=paid.sponsored.high,
                )
            )

    def _sampled(self) -> Iterator[tuple[MarketNo, _Seen, RewardTerms]]:
        """Iterate over the markets that pay rewards and that we are in: selected, or with orders of ours."""
        for no in sorted(self._seen):
            seen = self._seen[no]
            if seen.terms is not None and seen.status not in _OVER and (seen.selected or seen.orders):
                yield no, seen, seen.terms

    def _old_enough(self, seen: _Seen, at: Micros) -> Iterator[Order]:
        """Iterate over the orders that rest, and have done so for as long as the exchange asks."""
        for order in seen.orders:
            since = order.submitted_at
            if order.state in _RESTS and since is not None and at - since >= self._age:
                yield order


def _usd(paid: Range) -> dict[str, float]:
    return {"low": round(paid.low, 6), "mid": round(paid.mid, 6), "high": round(paid.high, 6)}
