"""Quote around a reservation price that leans against what is held, for a price between 0 and 1 dollar."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact, Listed
from pmrun.runner.hooks import Answer, Depth, Look, NoQuote, Quote, hookimpl
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome
from pmrun.runner.units import PRICE_SCALE, SECOND, SIZE_SCALE, HalfPrice, Micros, Side

YES, BUY, SELL = Outcome.YES, Side.BUY, Side.SELL
WHOLE = 2 * PRICE_SCALE  # a dollar in half prices
REFRESH = 10 * SECOND  # quotes change by the clock alone at multiples of this


class _Estimate(NamedTuple):
    """How much the log-odds of a market move, as of some sample: sums whose latest terms count most."""

    samples: int
    squares: float  # squared moves a second
    weight: float
    sampled: float  # the log-odds at the last sample


class _Moves:
    """The log-odds of one market, looked at `every` microseconds."""

    __slots__ = ("changed_at", "estimate", "every", "keep", "next_at", "now")

    def __init__(self, at: Micros, logit: float, every: Micros, memory: Micros) -> None:
        self.every = every
        self.keep = math.exp(-every / memory)
        self.next_at = at + every
        self.changed_at = at
        self.now = logit
        self.estimate = _Estimate(0, 0.0, 0.0, logit)

    def upto(self, at: int) -> tuple[_Estimate, int]:
        """Return the estimate with the samples that were due by a time, and when the next one is; changes nothing."""
        due = (at - self.next_at) // self.every + 1 if at >= self.next_at else 0
        if not due:
            return self.estimate, self.next_at
        samples, squares, weight, sampled = self.estimate
        moved = (self.now - sampled) ** 2 * SECOND / self.every
        still = self.keep ** (due - 1)  # after the first of them nothing had moved any more
        squares = (squares * self.keep + (1 - self.keep) * moved) * still
        weight = 1 - (1 - weight) * self.keep * still
        return _Estimate(samples + due, squares, weight, self.now), self.next_at + due * self.every

    def change(self, at: Micros, logit: float) -> None:
        """Take new log-odds; a sample that is due now sees them, those before see the old ones."""
        self.estimate, self.next_at = self.upto(at - 1)
        self.now, self.changed_at = logit, at


@dataclass(slots=True, eq=False)
class Reservation:
    """Bid and ask around the price at which we would as soon hold a share less, by Avellaneda and Stoikov (2008).

    The state is x = ln(p / (1 − p)), the log-odds of the mid p, a random walk with a variance a second that is learned
    from the mids (looked at every `sample` seconds, forgotten over `memory` seconds; nothing is quoted before
    `min_samples` of them). What a share may be worth until the horizon τ = min(`horizon`, time to the market's end)
    varies by v = min(variance × τ × (p(1 − p))², p(1 − p)): a price that ends at 0 or 1 cannot vary by more. With q
    YES held net (NO negative), `risk_aversion` γ (1/dollar) and `arrival_decay` k (1/dollar: how fast fills become
    rarer away from the mid), the lean is q γ v and the half-spread γ v / 2 + ln(1 + γ / k) / γ, in dollars. Both are
    applied to the log-odds, divided by p(1 − p), so that every quote lies between 0 and 1.

    Source: Avellaneda and Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008,
    equations for the reservation price and the spread; log-odds and the bound p(1 − p) are what a binary payment asks.
    """

    risk_aversion: float = 0.1
    arrival_decay: float = 50.0
    horizon: Micros = Micros(900 * SECOND)
    sample: Micros = Micros(SECOND)
    memory: Micros = Micros(300 * SECOND)
    min_samples: int = 30
    _moves: dict[ConditionId, _Moves] = field(default_factory=dict, init=False, repr=False)
    _names: dict[MarketNo, ConditionId] = field(default_factory=dict, init=False, repr=False)

    depth = Depth(Look.PRICES, 1)
    observes = (Listed, BookChanged)

    def __post_init__(self) -> None:
        """Refuse an aversion to nothing, and times that learn nothing."""
        if not 0 < self.risk_aversion <= 1000:
            raise ValueError("risk_aversion must be above 0 and at most 1000 per dollar")
        if not 0 < self.arrival_decay <= 100_000:
            raise ValueError("arrival_decay must be above 0 and at most 100,000 per dollar")
        if not self.horizon > 0:
            raise ValueError("horizon must be above 0 seconds")
        if not 0 < self.sample <= self.memory:
            raise ValueError("sample must be above 0 seconds and at most memory")
        if not 1 <= self.min_samples <= 100_000:
            raise ValueError("min_samples must be from 1 to 100,000")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None) -> None:
        """Learn how much the mid of a market moves."""
        if isinstance(fact, Listed):
            self._names[fact.market] = fact.terms.condition
        elif isinstance(fact, BookChanged) and fact.book.two_sided and fact.market in self._names:
            name, logit = self._names[fact.market], _logit(fact.book.mid_half / WHOLE)
            known = self._moves.get(name)
            if known is None:
                self._moves[name] = _Moves(fact.at, logit, self.sample, self.memory)
            elif known.now != logit:
                known.change(fact.at, logit)

    @hookimpl
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Wake for what changes by the clock alone: the estimate, and the time that is left."""
        return Micros((at // REFRESH + 1) * REFRESH) if self._names.get(market_no) in self._moves else None

    @hookimpl
    def price(self, market: Market, book: Book, inventory: Inventory, at: Micros) -> Answer:
        """Answer with a bid and an ask for YES."""
        known = self._moves.get(market.condition)
        if known is None:
            return _no_quote("volatility_unknown", {"samples": 0, "needed": self.min_samples})
        as_of = max(known.changed_at, at // REFRESH * REFRESH)  # between refreshes the clock changes nothing
        estimate, _ = known.upto(as_of)
        if estimate.samples < self.min_samples:
            return _no_quote("volatility_unknown", {"samples": estimate.samples, "needed": self.min_samples})
        left = self.horizon if market.ends_at is None else min(self.horizon, market.ends_at - as_of)
        if left <= 0:
            return _no_quote("past_end", {"seconds": -left / SECOND})
        mid = book.mid_half / WHOLE
        at_stake = mid * (1 - mid)
        varies = min(estimate.squares / estimate.weight * left / SECOND * at_stake**2, at_stake)
        aversion = self.risk_aversion
        lean = inventory.net / SIZE_SCALE * aversion * varies
        half_spread = aversion * varies / 2 + math.log1p(aversion / self.arrival_decay) / aversion
        centre = _logit(mid) - lean / at_stake
        return [
            Quote(YES, BUY, HalfPrice(math.floor(WHOLE * _price(centre - half_spread / at_stake))), "reservation"),
            Quote(YES, SELL, HalfPrice(math.ceil(WHOLE * _price(centre + half_spread / at_stake))), "reservation"),
        ]


def _no_quote(code: str, numbers: dict[str, int | float | str]) -> Answer:
    return [NoQuote(YES, side, code, numbers) for side in Side]


def _logit(price: float) -> float:
    """Return log-odds; a two-sided book has its mid between 0 and 1."""
    return math.log(price / (1 - price))


def _price(logit: float) -> float:
    """Return the price of log-odds, however far out."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(max(logit, -700.0)) / (1 + math.exp(logit))
