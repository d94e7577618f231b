"""Join the touch where a place in its queue is worth something, and wait behind it where it is not."""

import math
from collections import deque
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact, Listed, OrderNews, Printed
from pmrun.runner.hooks import Answer, Depth, Look, NoQuote, Quote, hookimpl
from pmrun.runner.intents import Number
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome
from pmrun.runner.orders import News, Order, OrderNo
from pmrun.runner.units import PRICE_SCALE, SECOND, SIZE_SCALE, HalfPrice, Micros, Price, Side, Size

YES, BUY, SELL = Outcome.YES, Side.BUY, Side.SELL
REFRESH = 10 * SECOND  # what prints taught counts from the next change of the touch, or multiple of this, on
HALF = 2 * PRICE_SCALE  # half prices a dollar


class Otherwise(StrEnum):
    """What to do where a place at the touch is worth too little."""

    BEHIND = "behind"
    NOTHING = "nothing"


class _Queue:
    """What happened at the touch of one side: sums whose latest terms count most, all fading alike."""

    __slots__ = ("ahead", "away", "drifted", "gone", "jumped", "marked", "order", "price", "printed", "prints", "time")

    def __init__(self) -> None:
        self.time = 0.0  # seconds
        self.printed = 0.0  # shares that takers took
        self.prints = 0  # of them ever
        self.gone = 0.0  # times the touch went, to the side of whoever rests there
        self.jumped = 0.0  # what the mid moved then, dollars
        self.away = 0.0  # times a better touch came before it
        self.marked = 0.0  # shares printed whose mark-out is known
        self.drifted = 0.0  # and what the mid moved against their maker, dollars × shares
        self.order: OrderNo | None = None  # ours, where one rests
        self.price = Price(0)
        self.ahead = 0.0  # shares before it in the queue

    def fade(self, seconds: float, memory: float) -> None:
        keep = math.exp(-seconds / memory)
        self.time = self.time * keep + memory * (1 - keep)
        for name in ("printed", "gone", "jumped", "away", "marked", "drifted"):
            setattr(self, name, getattr(self, name) * keep)

    def value(self, ahead: float, half_spread: float) -> tuple[float, dict[str, Number]]:
        """Return what a place behind so many shares is worth (dollars a share), and the numbers behind it."""
        rate = self.printed / self.time
        loses, leaves = self.gone / self.time, self.away / self.time
        hazard = loses + leaves
        waits = ahead / rate if rate > 0 else math.inf
        reached = math.exp(-hazard * waits) if hazard and waits < math.inf else float(waits < math.inf)
        swept = loses / hazard * (1 - reached) if hazard else 0.0
        drift = self.drifted / self.marked if self.marked else 0.0
        jump = self.jumped / self.gone if self.gone else 0.0
        worth = reached * (half_spread - drift) - swept * max(0.0, jump - half_spread)
        numbers: dict[str, Number] = {
            "value": round(worth, 6),
            "ahead": round(ahead, 2),
            "reached": round(reached, 4),
            "swept": round(swept, 4),
        }
        return worth, numbers


class _Touch:
    """What is known of one market's touch."""

    __slots__ = ("asks", "at", "bids", "top", "waiting")

    def __init__(self, at: Micros) -> None:
        self.at = at
        self.bids, self.asks = _Queue(), _Queue()
        self.top: tuple[tuple[Price, Size], tuple[Price, Size]] | None = None  # best bid and ask, with sizes
        self.waiting: deque[tuple[int, bool, float, float]] = deque()  # prints: due, hit bids?, shares, mid

    def queue(self, bids: bool) -> _Queue:
        return self.bids if bids else self.asks

    def frozen(self) -> tuple[_Queue, _Queue]:
        return copy(self.bids), copy(self.asks)

    @property
    def mid(self) -> float:
        assert self.top is not None
        return (self.top[0][0] + self.top[1][0]) / HALF


class _Known:
    """A market's touch as it is learned, and as it is judged by until something that a decision goes by changes."""

    __slots__ = ("epoch", "judged", "touch")

    def __init__(self, at: Micros) -> None:
        self.touch = _Touch(at)
        self.epoch = at // REFRESH
        self.judged = self.touch.frozen()

    def as_of(self, at: Micros) -> tuple[_Queue, _Queue]:
        """Return what a decision goes by: nothing that prints taught since the touch or the epoch changed."""
        return self.judged if at // REFRESH <= self.epoch else (self.touch.bids, self.touch.asks)

    def begin(self, at: Micros) -> None:
        if at // REFRESH > self.epoch:
            self.freeze(at)

    def freeze(self, at: Micros) -> None:
        self.epoch, self.judged = at // REFRESH, self.touch.frozen()


@dataclass(slots=True, eq=False)
class QueueValue:
    """Quote at the touch where the expected value of the place in its queue is above `least_value` (dollars a share).

    A place with A shares ahead is reached after A / μ seconds, where takers print μ shares a second there; before
    that the touch goes through us (rate λ−, the mid then moves by J on average) or leaves us behind (rate λ+). With
    P = exp(−(λ− + λ+) A / μ) its value is P × (h − d) − (1 − P) × λ− / (λ− + λ+) × max(0, J − h): h is half the
    spread, d what the mid moves against makers within `after` seconds of a print. All are learned from the market's
    own prints and touches, forgotten over `memory` seconds; before `min_prints` prints nothing is known of a side.
    Where the value is too small, `otherwise` says whether to rest a tick behind the touch, or not at all. An order of
    ours that rests keeps the place that prints have brought it to. Without prints on the feed nothing joins the touch.

    Source: Moallemi and Yuan, A model for queue position valuation in a limit order book, 2017: its static part, with
    waiting time and price moves taken as independent; cancels ahead of us are left out, which values places too low.
    """

    least_value: float = 0.0
    otherwise: Otherwise = Otherwise.BEHIND
    memory: Micros = Micros(600 * SECOND)
    after: Micros = Micros(5 * SECOND)
    min_prints: int = 10
    _markets: dict[ConditionId, _Known] = field(default_factory=dict, init=False, repr=False)
    _names: dict[MarketNo, ConditionId] = field(default_factory=dict, init=False, repr=False)

    depth = Depth(Look.LEVELS, 1, prints=True)
    observes = (Listed, BookChanged, Printed, OrderNews)

    def __post_init__(self) -> None:
        """Refuse times that learn nothing."""
        if not -1 < self.least_value < 1:
            raise ValueError("least_value must be between -1 and 1 dollars a share")
        if not self.memory > 0:
            raise ValueError("memory must be above 0 seconds")
        if not 0 < self.after <= 10**9:
            raise ValueError("after must be above 0 and at most 1000 seconds")
        if not 1 <= self.min_prints <= 100_000:
            raise ValueError("min_prints must be from 1 to 100,000")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Learn what happens at the touch."""
        if isinstance(fact, Listed):
            self._names[fact.market] = fact.terms.condition
            return
        name = None if market_no is None else self._names.get(market_no)
        if name is None:
            return
        known = self._markets.get(name)
        if known is None:
            known = self._markets[name] = _Known(fact.at)
        known.begin(fact.at)
        touch = known.touch
        self._pass_time(touch, fact.at)
        if isinstance(fact, Printed):
            self._printed(touch, fact)
        elif isinstance(fact, BookChanged):
            if fact.book.two_sided and self._moved(touch, fact.book):
                known.freeze(fact.at)
        elif isinstance(fact, OrderNews) and order is not None:
            _our_order(touch, fact, order)

    @hookimpl
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Wake for what prints taught since the touch changed."""
        return Micros((at // REFRESH + 1) * REFRESH) if self._names.get(market_no) in self._markets else None

    @hookimpl
    def price(self, market: Market, book: Book, at: Micros) -> Answer:
        """Answer with a bid and an ask for YES."""
        known = self._markets.get(market.condition)
        if known is None:
            return [NoQuote(YES, side, "queue_unknown", {"prints": 0, "needed": self.min_prints}) for side in Side]
        bids, asks = known.as_of(at)
        return [self._quote(market, book, BUY, bids), self._quote(market, book, SELL, asks)]

    def _quote(self, market: Market, book: Book, side: Side, queue: _Queue) -> Quote | NoQuote:
        if queue.prints < self.min_prints or not queue.time:
            return NoQuote(YES, side, "queue_unknown", {"prints": queue.prints, "needed": self.min_prints})
        price, size = (book.bids if side is BUY else book.asks)[0]
        ahead = size / SIZE_SCALE
        if queue.order is not None and queue.price == price:
            ahead = min(ahead, queue.ahead)
        worth, numbers = queue.value(ahead, (book.asks[0][0] - book.bids[0][0]) / HALF)
        if worth > self.least_value:
            return Quote(YES, side, HalfPrice(2 * price), "join_touch")
        if self.otherwise is Otherwise.NOTHING:
            return NoQuote(YES, side, "queue_worthless", numbers)
        behind = price - market.tick if side is BUY else price + market.tick
        return Quote(YES, side, HalfPrice(2 * behind), "behind_touch")

    def _pass_time(self, touch: _Touch, at: Micros) -> None:
        """Let the past fade, and mark the prints out whose time has come, at the mid that stands."""
        passed = (at - touch.at) / SECOND
        if passed > 0:
            touch.at = at
            touch.bids.fade(passed, self.memory / SECOND)
            touch.asks.fade(passed, self.memory / SECOND)
        while touch.waiting and touch.waiting[0][0] <= at:
            _, hit_bids, shares, mid = touch.waiting.popleft()
            queue = touch.queue(hit_bids)
            queue.marked += shares
            queue.drifted += shares * (mid - touch.mid if hit_bids else touch.mid - mid)

    def _printed(self, touch: _Touch, fact: Printed) -> None:
        if touch.top is None:
            return
        hit_bids, shares = fact.side is SELL, fact.size / SIZE_SCALE
        queue = touch.queue(hit_bids)
        queue.printed += shares
        queue.prints += 1
        touch.waiting.append((fact.at + self.after, hit_bids, shares, touch.mid))
        if queue.order is not None and (fact.price <= queue.price if hit_bids else fact.price >= queue.price):
            queue.ahead = max(0.0, queue.ahead - shares)

    def _moved(self, touch: _Touch, book: Book) -> bool:
        """Take a book; whether the touch is another one."""
        top = book.bids[0], book.asks[0]
        before, touch.top = touch.top, top
        if before is None or before == top:
            return before is None
        moved = touch.mid - (before[0][0] + before[1][0]) / HALF
        for bids in (True, False):
            queue, was, now = touch.queue(bids), before[not bids], top[not bids]
            worse = now[0] - was[0] if bids else was[0] - now[0]
            if worse < 0:
                queue.gone += 1
                queue.jumped += max(0.0, -moved if bids else moved)
            elif worse > 0:
                queue.away += 1
            if queue.order is not None and queue.price == now[0]:
                queue.ahead = min(queue.ahead, now[1] / SIZE_SCALE)
        return True


def _our_order(touch: _Touch, fact: OrderNews, order: Order) -> None:
    """Remember the place of an order of ours that rests, and forget it when it goes."""
    on_bids = order.book_side is BUY
    queue = touch.queue(on_bids)
    if not order.in_play:
        if queue.order == order.no:
            queue.order = None
    elif fact.news is News.RESTING and touch.top is not None:
        price = order.price if order.outcome is YES else Price(PRICE_SCALE - order.price)
        shown, size = touch.top[not on_bids]
        better = price > shown if on_bids else price < shown
        queue.order, queue.price = order.no, price
        queue.ahead = 0.0 if better else size / SIZE_SCALE if price == shown else math.inf
