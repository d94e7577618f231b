"""Keep quotes as far from the mid as fills here have cost afterwards."""

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pmrun.plugins.adjust.outward import distance, moved
from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Carried, Fact, FeedLost, Filled, Listed, TimerDue
from pmrun.runner.hooks import Answer, Calibrated, Depth, Look, Quote, hookimpl
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import ONE, SECOND, HalfPrice, Micros, Price, Side

ALL: Final = ConditionId("all")  # what all markets teach together
FILL: Final = 1_000_000  # one fill: counts fade, and stay whole numbers
NAMES: Final = ("fills", "lost")


class _Awaited(NamedTuple):
    """A fill whose mark-out is due; `bought` is in terms of YES."""

    due: Micros
    bought: bool
    mid: HalfPrice  # as it was known at the fill


@dataclass(slots=True)
class _Costs:
    """How many fills there were (millionths), and what the mid went against them in all (millionths of 1/20,000 $)."""

    fills: int = 0
    lost: int = 0

    def add(self, lost: int, memory: int) -> None:
        """Count a fill; those before it fade by one part in `memory`."""
        self.fills += FILL - self.fills // memory
        self.lost += lost * FILL - int(self.lost / memory)


@dataclass(slots=True, eq=False)
class Toxicity:
    """Let no quote be nearer to the mid than `strength` times what the mid went against fills of this market (P4, P10).

    Each quote of ours that is filled is marked out `horizon` later, against the mid that was known at the fill: a
    quote nearer to the mid than the mean of that loses on its fills. The mean is drawn towards that of all markets, and
    that one towards nothing, each as if it were `prior_fills` fills; old fills fade, `memory` fills count. At most the
    quote goes `most` from the mid. Source: Glosten and Milgrom 1985: a spread pays for what the other side knows.
    """

    horizon: Micros = Micros(30 * SECOND)
    strength: float = 1.0
    prior_fills: float = 10.0
    memory: int = 100
    most: Price = Price(500)
    order: int | None = None
    _conditions: dict[MarketNo, ConditionId] = field(default_factory=dict, init=False, repr=False)
    _mids: dict[MarketNo, HalfPrice] = field(default_factory=dict, init=False, repr=False)
    _awaited: dict[MarketNo, deque[_Awaited]] = field(default_factory=dict, init=False, repr=False)
    _costs: dict[ConditionId, _Costs] = field(default_factory=dict, init=False, repr=False)
    _carried: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    depth = Depth(Look.PRICES, 1)
    observes = (Carried, Listed, BookChanged, Filled, FeedLost, TimerDue)

    def __post_init__(self) -> None:
        """Refuse what could measure nothing."""
        if not SECOND <= self.horizon <= 3_600 * SECOND:
            raise ValueError("horizon must be from 1 to 3,600 seconds")
        if not 0 <= self.strength <= 10:
            raise ValueError("strength must be from 0 to 10")
        if not 0 < self.prior_fills <= 10_000:
            raise ValueError("prior_fills must be above 0 and at most 10,000")
        if not 2 <= self.memory <= 1_000_000:
            raise ValueError("memory must be from 2 to 1,000,000 fills")
        if not 0 <= self.most < 5_000:
            raise ValueError("most must be from 0 to below 0.5 dollars")

    # Learning.

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Learn mids and fills, and what became of fills whose time has come."""
        match fact:
            case Carried():
                self._restore(fact.values)
            case Listed():
                self._conditions[fact.market] = fact.terms.condition
            case BookChanged():
                self._mark_out(fact.market, fact.at)
                self._mids.pop(fact.market, None)
                if fact.book.two_sided:
                    self._mids[fact.market] = fact.book.mid_half
            case Filled() if order is not None and order.purpose is Purpose.QUOTE:
                self._filled(order, fact.at)
            case FeedLost():
                self._mark_out_all(fact.at)
                self._mids.clear()
            case TimerDue():
                self._mark_out_all(fact.at)
            case _:
                pass

    def _filled(self, order: Order, at: Micros) -> None:
        mid = self._mids.get(order.market)
        if mid is not None:
            bought = (order.side is Side.BUY) == (order.outcome is Outcome.YES)
            awaited = self._awaited.setdefault(order.market, deque())
            awaited.append(_Awaited(Micros(at + self.horizon), bought, mid))

    def _mark_out_all(self, at: Micros) -> None:
        for no in self._awaited:
            self._mark_out(no, at)

    def _mark_out(self, no: MarketNo, at: Micros) -> None:
        """Take the mid that stands for every fill whose time has come; without one it is not known."""
        awaited = self._awaited.get(no)
        while awaited and awaited[0].due <= at:
            fill, mid = awaited.popleft(), self._mids.get(no)
            if mid is not None:
                self._learn(self._conditions[no], fill.mid - mid if fill.bought else mid - fill.mid)

    def _learn(self, condition: ConditionId, lost: int) -> None:
        for name in (condition, ALL):
            self._costs.setdefault(name, _Costs()).add(lost, self.memory)
        self._carried = self._carried | {
            f"{name}/{what}": getattr(self._costs[name], what) for name in (condition, ALL) for what in NAMES
        }

    def _restore(self, values: Mapping[str, int]) -> None:
        for key, value in values.items():
            name, _, what = key.rpartition("/")
            if what not in NAMES or not name:
                raise ValueError(f"{key}: nothing that this component carries")
            setattr(self._costs.setdefault(ConditionId(name), _Costs()), what, value)
        self._carried = dict(values)

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return how many fills there were in each market, by condition id, and what the mid went against them."""
        return self._carried

    @hookimpl
    def next_wake(self, market_no: MarketNo) -> Micros | None:
        """Wake when the market's next fill is to be marked out."""
        awaited = self._awaited.get(market_no)
        return awaited[0].due if awaited else None

    # Judging.

    def cost(self, condition: ConditionId) -> float:
        """Return what the mid is expected to go against a fill, in 1/20,000 dollar; below 0: for it."""
        pool = 0.0 if condition == ALL else self.cost(ALL)
        costs = self._costs.get(condition)
        if costs is None:
            return pool
        return (costs.lost / FILL + self.prior_fills * pool) / (costs.fills / FILL + self.prior_fills)

    @hookimpl(wrapper=True)
    def price(self, market: Market, book: Book) -> Generator[None, Answer | None, Answer]:
        """Move quotes out that are nearer to the mid than fills cost."""
        quotes = yield
        least, mid = min(2 * self.most, round(self.strength * self.cost(market.condition))), book.mid_half
        return [
            moved(quote, max(0, least - distance(quote, mid))) if isinstance(quote, Quote) and least > 0 else quote
            for quote in quotes or ()
        ]

    # Showing.

    @hookimpl
    def calibrated(self) -> Iterator[Calibrated]:
        """Say of each market how many fills were marked out, and what one is expected to cost."""
        for no, condition in self._conditions.items():
            costs = self._costs.get(condition)
            if costs is not None:
                yield Calibrated(no, "marked_out", costs.fills / FILL)
                yield Calibrated(no, "cost_of_a_fill_usd", self.cost(condition) / (2 * ONE))
