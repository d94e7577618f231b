"""Measures what the mid did after each of our fills: mark-outs and the realised spread (P4)."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pmrun.runner.book import Book
from pmrun.runner.facts import (
    BookChanged,
    Fact,
    FeedLost,
    Filled,
    MarketStatus,
    OrderFound,
    Settled,
    StatusChanged,
    each,
)
from pmrun.runner.intents import Intent, Place
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import OrderNo, Settlement, TradeId
from pmrun.runner.units import ONE, SECOND, HalfPrice, Micros, Price, Side, Size

AT_THE_FILL: Final = Micros(0)
HORIZONS: Final = tuple(Micros(seconds * SECOND) for seconds in (5, 30, 300, 3_600))
Key = tuple[TradeId, OrderNo]


class Markout(NamedTuple):
    """What one share of a fill had gained or lost a while later.

    `mid` is twice the mid of YES, `per_share` twice the gain in 1/10,000 dollar: exact, positive where it is good for
    us, fees left out. Both are None where no mid was known at that time, or the run ended before.
    """

    trade: TradeId
    order: OrderNo
    horizon: Micros
    mid: HalfPrice | None
    per_share: int | None


class _Bought(NamedTuple):
    """A fill as far as its mark-outs go."""

    market: MarketNo
    outcome: Outcome
    side: Side
    price: Price
    at: Micros
    size: Size


def per_share(outcome: Outcome, side: Side, price: Price, mid: HalfPrice) -> int:
    """Return twice what a share gained, in 1/10,000 dollar, by twice the mid of YES.

    NO is the mirror: its mid is a dollar less that of YES.
    """
    worth = mid if outcome is Outcome.YES else 2 * ONE - mid
    return worth - 2 * price if side is Side.BUY else 2 * price - worth


class Markouts:
    """Follows fills and mids; an observer.

    The mid of a moment is that of the last book told at or before it. A lost feed leaves no mid until the next book; a
    resolved market is worth what it paid. Law: the same as looking every mid up afterwards.
    """

    takes_together = True

    def __init__(self, horizons: Sequence[Micros] = HORIZONS) -> None:
        """Take how long after a fill to look, beside the fill itself."""
        if not horizons or min(horizons) <= 0:
            raise ValueError("horizons must be above 0 seconds")
        self.horizons: tuple[Micros, ...] = (AT_THE_FILL, *horizons)
        self._orders: dict[OrderNo, tuple[MarketNo, Outcome, Side]] = {}
        self._fills: dict[Key, _Bought] = {}
        self._failed: set[Key] = set()
        self._found: dict[tuple[Key, Micros], HalfPrice | None] = {}
        self._books: dict[MarketNo, Book] = {}
        self._paid: dict[MarketNo, HalfPrice] = {}  # of resolved markets
        # One queue a market and horizon: fills come in order of time, so what is due next is always first.
        self._waiting: dict[MarketNo, list[deque[Key]]] = {}
        self._now = Micros(0)
        self._of_fact: dict[type[Any], Callable[[Any], None]] = {
            BookChanged: self._book_changed,
            Filled: self._filled,
            Settled: self._settled,
            StatusChanged: self._status_changed,
            FeedLost: self._feed_lost,
            OrderFound: self._order_found,
        }

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Take one step of the desk."""
        for one in each(fact):
            if one.at > self._now:
                self._now = one.at
            learn = self._of_fact.get(type(one))
            if learn is not None:
                learn(one)
        for intent in intents:
            if type(intent) is Place:
                self._orders[intent.order] = (intent.market, intent.outcome, intent.side)

    def close(self) -> None:
        """Nothing to finish."""

    def _book_changed(self, fact: BookChanged) -> None:
        if fact.market in self._waiting:
            self._look(fact.market, fact.at)
        self._books[fact.market] = fact.book

    def _status_changed(self, fact: StatusChanged) -> None:
        if fact.status is MarketStatus.RESOLVED and fact.settled_yes is not None:
            self._look(fact.market, fact.at)
            self._paid[fact.market] = HalfPrice(2 * fact.settled_yes)

    def _feed_lost(self, fact: FeedLost) -> None:
        for market in self._waiting:
            self._look(market, fact.at)
        self._books.clear()

    def _filled(self, fact: Filled) -> None:
        order = self._orders.get(fact.order)
        key = fact.trade, fact.order
        if order is None or key in self._fills:
            return  # not ours, or told twice
        market, outcome, side = order
        self._fills[key] = _Bought(market, outcome, side, fact.price, fact.at, fact.size)
        queues = self._waiting.get(market)
        if queues is None:
            queues = self._waiting[market] = [deque() for _ in self.horizons]
        for queue in queues:
            queue.append(key)

    def _order_found(self, fact: OrderFound) -> None:
        """Follow an order of an earlier session too, where the fact says its number."""
        if fact.order:
            self._orders[fact.order] = (fact.market, fact.outcome, fact.side)

    def _settled(self, fact: Settled) -> None:
        if fact.status is Settlement.FAILED:
            self._failed.add((fact.trade, fact.order))

    def _look(self, market: MarketNo, before: Micros) -> None:
        """Note the present mid for every fill whose time came before a moment."""
        mid = self._mid(market)
        for horizon, queue in zip(self.horizons, self._waiting.get(market, ()), strict=False):
            while queue and self._fills[queue[0]].at + horizon < before:
                self._found[queue.popleft(), horizon] = mid

    def _mid(self, market: MarketNo) -> HalfPrice | None:
        paid = self._paid.get(market)
        if paid is not None:
            return paid
        book = self._books.get(market)
        return None if book is None or not (book.bids and book.asks) else book.mid_half

    def rows(self) -> Iterator[Markout]:
        """Iterate over every fill that stood and every horizon, as far as is known now."""
        for market in self._waiting:
            self._look(market, Micros(self._now + 1))
        for key, fill in self._fills.items():
            if key in self._failed:
                continue
            for horizon in self.horizons:
                mid = self._found.get((key, horizon))
                gain = None if mid is None else per_share(fill.outcome, fill.side, fill.price, mid)
                yield Markout(*key, horizon, mid, gain)

    def means(self, markets: Iterable[MarketNo] | None = None) -> dict[Micros, tuple[int, float] | None]:
        """Return by horizon how many fills are known and the mean gain of their shares in dollars; None: not one."""
        chosen = None if markets is None else set(markets)
        sums = {horizon: [0, 0, 0] for horizon in self.horizons}
        for row in self.rows():
            fill = self._fills[row.trade, row.order]
            if row.per_share is not None and (chosen is None or fill.market in chosen):
                found = sums[row.horizon]
                found[0] += 1
                found[1] += fill.size
                found[2] += fill.size * row.per_share
        return {
            horizon: (count, gain / (2 * ONE * shares)) if shares else None
            for horizon, (count, shares, gain) in sums.items()
        }
