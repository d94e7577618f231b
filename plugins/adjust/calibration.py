"""Learn how often quotes fill in each market, and move them towards as many fills as are wanted."""

import math
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pmrun.plugins.adjust.outward import distance, moved
from pmrun.plugins.calibration.exposure import CENT, Counts, counts_of
from pmrun.plugins.calibration.intensity import Intensity, deviance, errors, expected, fit
from pmrun.plugins.calibration.resting import Resting
from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Carried, Fact, FeedEnded, FeedLost, Filled, Listed, OrderNews, TimerDue
from pmrun.runner.hooks import Answer, Calibrated, Depth, Look, Quote, hookimpl
from pmrun.runner.market import ConditionId, Market, MarketNo
from pmrun.runner.orders import Order
from pmrun.runner.units import SECOND, HalfPrice, Micros, Price

WINDOW: Final = 60 * SECOND  # what is learned counts from the next minute of the clock on
ALL: Final = ConditionId("all")  # what all markets teach together
MINUTE: Final = 60.0
FADED: Final = 1.0  # seconds of exposure: a market whose counts have faded to less is forgotten
FLAT: Final = 1e-6  # a cent: fills that do not thin out with distance


@dataclass(slots=True)
class _Forecast:
    """What was predicted a minute ahead in this session, and what came of it."""

    seconds: float = 0.0
    fills: float = 0.0
    calibrated: float = 0.0
    prior: float = 0.0
    calibrated_deviance: float = 0.0
    prior_deviance: float = 0.0


@dataclass(slots=True, eq=False)
class Calibration:
    """Fit λ(δ) = A·exp(−k·δ) to a market's fills and exposure, and steer to `wanted_fills_per_minute` (P2, P10).

    δ is a quote's distance from the mid. A market is taken to be like all the others as if they were `pool_fills` fills
    of its own, and all together to be like `fills_per_minute_at_mid` and `decay_per_cent` as if that were `prior_fills`
    fills. Counts fade by half in `half_life`. Quotes move together, at most by `most`, so that the fills predicted are
    those wanted (None: nothing moves, and what is learned is shown). Sources: Avellaneda and Stoikov 2008; Guéant et
    al. 2013.
    """

    wanted_fills_per_minute: float | None = None
    most: Price = Price(200)
    fills_per_minute_at_mid: float = 1.0
    decay_per_cent: float = 0.5
    prior_fills: float = 1.0
    pool_fills: float = 5.0
    half_life: Micros = Micros(86_400 * SECOND)
    order: int | None = None
    _conditions: dict[MarketNo, ConditionId] = field(default_factory=dict, init=False, repr=False)
    _resting: Resting = field(default_factory=Resting, init=False, repr=False)
    _counts: dict[ConditionId, Counts] = field(default_factory=dict, init=False, repr=False)
    _fitted: dict[ConditionId, Intensity] = field(default_factory=dict, init=False, repr=False)
    _forecasts: dict[MarketNo, _Forecast] = field(
        default_factory=lambda: defaultdict(_Forecast), init=False, repr=False
    )
    _carried: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _window: int | None = field(default=None, init=False, repr=False)
    _ended: bool = field(default=False, init=False, repr=False)
    _prior: Intensity = field(init=False, repr=False)
    _kept: float = field(init=False, repr=False)  # what is left of a count after a window

    depth = Depth(Look.PRICES, 1)
    observes = (Carried, Listed, BookChanged, OrderNews, Filled, FeedLost, FeedEnded, TimerDue)

    def __post_init__(self) -> None:
        """Refuse beliefs and wishes that no market could have."""
        wanted = self.wanted_fills_per_minute
        if wanted is not None and not 0 < wanted <= 1_000:
            raise ValueError("wanted_fills_per_minute must be above 0 and at most 1,000, or null")
        if not 0 <= self.most < 5_000:
            raise ValueError("most must be from 0 to below 0.5 dollars")
        if not 0 < self.fills_per_minute_at_mid <= 10_000:
            raise ValueError("fills_per_minute_at_mid must be above 0 and at most 10,000")
        if not 0 <= self.decay_per_cent <= 20:
            raise ValueError("decay_per_cent must be from 0 to 20")
        for name in ("prior_fills", "pool_fills"):
            if not 0 < getattr(self, name) <= 10_000:
                raise ValueError(f"{name} must be above 0 and at most 10,000")
        if self.half_life < 0 or 0 < self.half_life < WINDOW:
            raise ValueError("half_life must be 0 (never) or at least 60 seconds")
        self._prior = Intensity(self.fills_per_minute_at_mid / MINUTE, self.decay_per_cent)
        self._kept = 0.5 ** (WINDOW / self.half_life) if self.half_life else 1.0

    # Learning.

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Count exposure and fills; what a minute taught counts from its end on."""
        if isinstance(fact, Carried):
            self._counts = {ConditionId(name): counts for name, counts in counts_of(fact.values).items()}
            self._carried = dict(fact.values)
            return
        self._pass(fact.at)
        match fact:
            case Listed():
                self._conditions[fact.market] = fact.terms.condition
            case BookChanged():
                self._resting.mid(fact.market, fact.book.mid_half if fact.book.two_sided else None, fact.at)
            case OrderNews() if order is not None:
                self._resting.news(order, fact.at)
            case Filled() if order is not None:
                self._resting.filled(order, fact.at)
            case FeedLost():
                self._resting.no_mids(fact.at)
            case FeedEnded():
                self._ended = True
            case _:
                pass
        if self._ended:  # nothing may come after it: what is known by now is what is carried
            self._resting.pass_time(fact.at)
            self._learn()

    def _pass(self, at: Micros) -> None:
        """Close the windows that ended before a moment."""
        window = at // WINDOW
        if self._window is None:
            self._window = window
        while self._window < window:
            self._resting.pass_time(Micros((self._window + 1) * WINDOW))
            resting = self._learn()
            self._window = self._window + 1 if resting else window

    def _learn(self) -> bool:
        """Add what was counted since; return whether there was anything."""
        window, learned = self._window or 0, False
        for no, watched in self._resting.markets.items():
            rested, fills = watched.take()
            if not rested and not fills:
                continue
            learned = True
            now = Counts(window, rested, fills)
            self._compare(no, now)
            for name in (self._conditions[no], ALL):
                counts = self._counts.setdefault(name, Counts(window))
                counts.bring_to(window, self._kept)
                counts.add(rested, fills)
        if learned:
            self._fitted.clear()
            self._forget(window)
            self._carried = self._written()
        return learned

    def _forget(self, window: int) -> None:
        for name, counts in list(self._counts.items()):
            if counts.seconds * self._kept ** max(0, window - counts.window) < FADED and counts.window < window:
                del self._counts[name]

    def _compare(self, no: MarketNo, now: Counts) -> None:
        """Compare a window with what was predicted before it began."""
        seen, said = now.seen(), self._forecasts[no]
        calibrated, prior = expected(seen, self.intensity(self._conditions[no])), expected(seen, self._prior)
        said.seconds += now.seconds
        said.fills += now.count
        said.calibrated += calibrated
        said.prior += prior
        said.calibrated_deviance += deviance(now.count, calibrated)
        said.prior_deviance += deviance(now.count, prior)

    def _written(self) -> dict[str, int]:
        written: dict[str, int] = {}
        for name, counts in self._counts.items():
            written |= counts.carried(name)
        return written

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return the counts of every market, by condition id; they change once a minute."""
        return self._carried

    # Judging.

    def intensity(self, condition: ConditionId) -> Intensity:
        """Return what is believed of a market: its own counts, drawn to those of all markets, those to the prior."""
        found = self._fitted.get(condition)
        if found is None:
            alone = condition == ALL
            belief, worth = (self._prior, self.prior_fills) if alone else (self.intensity(ALL), self.pool_fills)
            counts = self._counts.get(condition)
            found = self._fitted[condition] = belief if counts is None else fit(counts.seen(), belief, worth)
        return found

    @hookimpl
    def next_wake(self, at: Micros) -> Micros | None:
        """Wake when what the present minute taught begins to count."""
        return None if self.wanted_fills_per_minute is None else Micros((at // WINDOW + 1) * WINDOW)

    @hookimpl(wrapper=True)
    def price(self, market: Market, book: Book) -> Generator[None, Answer | None, Answer]:
        """Move all quotes by the distance at which the fills predicted are those wanted."""
        quotes = yield
        if self.wanted_fills_per_minute is None or not quotes:
            return quotes or ()
        outward = self._outward(market, [quote for quote in quotes if isinstance(quote, Quote)], book.mid_half)
        return [_moved(quote, outward, book.mid_half) if isinstance(quote, Quote) else quote for quote in quotes]

    def _outward(self, market: Market, quotes: Sequence[Quote], mid: HalfPrice) -> int:
        assert self.wanted_fills_per_minute is not None
        believed = self.intensity(market.condition)
        predicted = MINUTE * sum(believed.rate(max(0, distance(quote, mid)) / CENT) for quote in quotes)
        if not predicted:
            return 0 if not quotes else -2 * self.most
        log_excess = math.log(predicted / self.wanted_fills_per_minute)
        if believed.decay < FLAT:
            return round(math.copysign(2 * self.most, log_excess))
        return round(max(-2.0 * self.most, min(2.0 * self.most, log_excess / believed.decay * CENT)))

    # Showing.

    @hookimpl
    def calibrated(self) -> Iterator[Calibrated]:
        """Say of each market what was learned, and how well it predicted."""
        for no, said in self._forecasts.items():
            condition = self._conditions[no]
            counts, believed = self._counts.get(condition) or Counts(), self.intensity(condition)
            uncertain = errors(counts.seen(), believed)
            yield from (
                Calibrated(no, name, value)
                for name, value in {
                    "fills_per_minute_at_mid": believed.at_mid * MINUTE,
                    "decay_per_cent": believed.decay,
                    "log_at_mid_error": uncertain.log_at_mid,
                    "decay_error": uncertain.decay,
                    "quote_seconds": said.seconds,
                    "fills": said.fills,
                    "predicted": said.calibrated,
                    "predicted_by_prior": said.prior,
                    "deviance": said.calibrated_deviance,
                    "deviance_of_prior": said.prior_deviance,
                }.items()
                if math.isfinite(value)
            )


def _moved(quote: Quote, outward: int, mid: HalfPrice) -> Quote:
    """Move a quote, but not through the mid; one that is beyond it already comes no nearer to the other side."""
    away = distance(quote, mid)
    return moved(quote, max(outward, min(0, -away)))
