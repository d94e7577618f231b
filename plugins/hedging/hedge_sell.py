"""Sell what was bought, at once and never twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pmrun.runner.book import Book, Levels
from pmrun.runner.facts import Fact, Filled, OrderNews
from pmrun.runner.hooks import WHOLE_BOOK, Unhedged, Wanted, hookimpl
from pmrun.runner.inventory import Holding, Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order, OrderNo, Purpose, State
from pmrun.runner.units import ONE, PRICE_SCALE, Micros, Price, Side, Size, cash_paid

MILLION = 1_000_000
BASIS_POINTS = 10_000


class Exit(NamedTuple):
    """How holdings are sold: at which price, by which rule, and whether into bids."""

    price: Price
    basis: str
    purpose: Purpose
    may_take: bool


class _Failures:
    """How often in a row an exit was rejected, which was the last, and until when none is tried again."""

    __slots__ = ("count", "last", "until")

    def __init__(self) -> None:
        self.count = 0
        self.last: OrderNo | None = None
        self.until = Micros(0)


@dataclass(slots=True, eq=False)
class HedgeSell:
    """Sell every settled share that was bought, in one of three price steps, with stop loss and take profit (R9, R10).

    The steps, from the average cost of what is held: the highest price at which bids within `max_bid_gap` below the
    cost take all of it; else the best bid if that is within max_bid_gap; else max(cost, mid) plus
    `min_profit_margin_bps`, resting. When the best bid is `stop_loss_pct` below the cost, or `take_profit_pct` above
    it, everything is sold into the bids; a stop loss no deeper than `stop_loss_max_slippage` below the best bid (null:
    however deep), where the rest then waits. `dynamic_follow_enabled` moves a resting exit with the market; without, it
    keeps its price. A rejected exit is tried again after `retry_delay` seconds, `max_retries` times in a row; then an
    alarm is given and the next attempt waits for `cooldown` seconds. Without `may_take`, or where what is left is worth
    less than the exchange lets anybody take, no exit takes: one that would rests a tick above the best bid instead, and
    follows it down.
    """

    max_bid_gap: Price = Price(500)
    min_profit_margin_bps: float = 5.0
    stop_loss_pct: float | None = 0.10
    stop_loss_max_slippage: Price | None = Price(1_000)
    take_profit_pct: float | None = 0.10
    dynamic_follow_enabled: bool = True
    max_retries: int = 10
    retry_delay: Micros = Micros(1_000_000)
    cooldown: Micros = Micros(30_000_000)
    may_take: bool = False
    _failures: dict[tuple[MarketNo, Outcome], _Failures] = field(default_factory=dict, init=False, repr=False)

    depth = WHOLE_BOOK
    observes = (OrderNews, Filled)

    def __post_init__(self) -> None:
        """Refuse numbers that could never sell, or would sell at once whatever happens."""
        if not 0 <= self.max_bid_gap < ONE:
            raise ValueError("max_bid_gap must be from 0 to below 1 dollar")
        if not 0 <= self.min_profit_margin_bps <= 10_000:
            raise ValueError("min_profit_margin_bps must be from 0 to 10,000")
        if self.stop_loss_pct is not None and not 0 < self.stop_loss_pct < 1:
            raise ValueError("stop_loss_pct must be above 0 and below 1, or null")
        if self.stop_loss_max_slippage is not None and not 0 <= self.stop_loss_max_slippage < ONE:
            raise ValueError("stop_loss_max_slippage must be from 0 to below 1 dollar, or null")
        if self.take_profit_pct is not None and not 0 < self.take_profit_pct <= 100:
            raise ValueError("take_profit_pct must be above 0 and at most 100, or null")
        if not self.max_retries >= 1:
            raise ValueError("max_retries must be 1 or more")
        for name in ("retry_delay", "cooldown"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0 seconds")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Count rejected exits in a row; one that rests or fills ends the row (R10)."""
        if order is None or market_no is None or order.purpose is Purpose.QUOTE:
            return
        key = (market_no, order.outcome)
        if order.state is not State.REJECTED:
            if order.state in (State.LIVE, State.PARTIALLY_FILLED, State.FILLED):
                self._failures.pop(key, None)
            return
        failures = self._failures.setdefault(key, _Failures())
        if failures.last == order.no:
            return  # told twice
        failures.last = order.no
        failures.count += 1
        wait = self.retry_delay if failures.count <= self.max_retries else self.cooldown
        failures.until = Micros(fact.at + wait)

    @hookimpl
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Wake when the next exit that failed may be tried again."""
        waits = (self._failures.get((market_no, outcome)) for outcome in Outcome)
        return min((each.until for each in waits if each is not None and each.until > at), default=None)

    @hookimpl
    def hedge(
        self,
        market: Market,
        market_no: MarketNo,
        book: Book,
        inventory: Inventory,
        orders: Sequence[Order],
        at: Micros,
    ) -> list[Wanted | Unhedged]:
        """Answer with the exits of both tokens, and what none of them covers."""
        answer: list[Wanted | Unhedged] = []
        for outcome in Outcome:
            answer.extend(self.sell(market, market_no, outcome, book, inventory.of(outcome), orders, at))
        return answer

    def sell(
        self,
        market: Market,
        market_no: MarketNo,
        outcome: Outcome,
        book: Book,
        holding: Holding,
        orders: Sequence[Order],
        at: Micros,
    ) -> list[Wanted | Unhedged]:
        """Answer with the exits of one token, and what none of them covers."""
        if holding.held <= 0:
            return []
        working = [order for order in orders if order.outcome is outcome and not order.cancel_sent]
        failures = self._failures.get((market_no, outcome))
        return list(self._sell(market, outcome, book.seen_by(outcome), holding, working, failures, at))

    def way_out(self, market: Market, book: Book, holding: Holding, size: Size, working: list[Order]) -> Exit:
        """Choose the price step, as far as the exit may take, on the grid; `book` has bids, as the token sees it."""
        way = self._exit(market, book, holding, size, working)
        if way.may_take and not (self.may_take and cash_paid(way.price, size) >= market.min_take):
            way = way._replace(price=Price(max(way.price, book.bids[0][0] + market.tick)), may_take=False)
        return _on_the_grid(way, market.tick)

    def _sell(
        self,
        market: Market,
        outcome: Outcome,
        book: Book,
        holding: Holding,
        working: list[Order],
        failures: _Failures | None,
        at: Micros,
    ) -> Iterator[Wanted | Unhedged]:
        finer = max(0, holding.confirmed) % market.size_step
        size, dust = Size(holding.confirmed - finer), Size(0 if holding.pending else finer)
        if not book.bids:  # nothing says what it could be sold for: what works stays
            yield from (Wanted.of(order) for order in working)
            yield Unhedged(outcome, Size(holding.held - sum(order.remaining for order in working)), "no_bids", {})
            return
        if failures is not None and failures.until > at:
            yield from (Wanted.of(order) for order in working)
            gap = holding.held - sum(order.remaining for order in working)
            if gap > 0:
                yield self._waiting(outcome, Size(gap), failures)
            return
        if holding.pending:
            yield Unhedged(outcome, Size(holding.pending), "awaiting_settlement", {"size": holding.pending})
        if size <= 0:
            yield from _too_small(market, outcome, Size(0), dust)
            return
        way = self.way_out(market, book, holding, size, working)
        kept = [order for order in working if order.price == way.price and order.purpose is way.purpose]
        more = size - sum(order.remaining for order in kept)
        if kept and (more == 0 or more >= market.min_order_size):  # what rests keeps its place in the queue
            yield from (Wanted.of(order) for order in kept)
            size = Size(more)
        if size >= market.min_order_size:
            yield Wanted(outcome, Side.SELL, way.price, size, way.purpose, way.basis, way.may_take)
            size = Size(0)
        yield from _too_small(market, outcome, size, dust)

    def _waiting(self, outcome: Outcome, size: Size, failures: _Failures) -> Unhedged:
        alarm = failures.count > self.max_retries
        code = "hedge_alarm" if alarm else "hedge_retry"
        return Unhedged(outcome, size, code, {"failed": failures.count, "until": failures.until})

    def _exit(self, market: Market, book: Book, holding: Holding, size: Size, working: list[Order]) -> Exit:
        """Choose the price step."""
        best = book.bids[0][0]
        worth = best * holding.held * MILLION  # in the unit of cost x price scale x a million
        cost = holding.cost * PRICE_SCALE
        if self.stop_loss_pct is not None and worth <= cost * (MILLION - round(self.stop_loss_pct * MILLION)):
            deepest = 0 if self.stop_loss_max_slippage is None else best - self.stop_loss_max_slippage
            price = covering(book.bids, size, deepest) or max(book.bids[-1][0], deepest)
            return Exit(Price(price), "stop_loss", Purpose.FLATTEN, True)
        if self.take_profit_pct is not None and worth >= cost * (MILLION + round(self.take_profit_pct * MILLION)):
            lowest = -(-cost // holding.held)  # a profit is not given back by selling deep
            return Exit(covering(book.bids, size, lowest) or best, "take_profit", Purpose.FLATTEN, True)
        if working and not self.dynamic_follow_enabled:
            first = working[0]
            return Exit(first.price, first.basis, first.purpose, not first.post_only)
        lowest = -(-cost // holding.held) - self.max_bid_gap
        price_of_all = covering(book.bids, size, lowest)
        if price_of_all is not None:
            return Exit(price_of_all, "hedge_cover", Purpose.HEDGE, True)
        if best >= lowest:
            return Exit(best, "hedge_best_bid", Purpose.HEDGE, True)
        return Exit(self._above(market, book, holding, best), "hedge_rest", Purpose.HEDGE, False)

    def _above(self, market: Market, book: Book, holding: Holding, best: Price) -> Price:
        """Return max(cost, mid) plus the margin, up to the next tick above the best bid, at most the highest price."""
        bps = round(self.min_profit_margin_bps * 100)  # hundredths of a basis point
        scale = BASIS_POINTS * 100 + bps
        by_cost = -(-holding.cost * PRICE_SCALE * scale // (holding.held * BASIS_POINTS * 100))
        mid_half = book.mid_half if book.asks else 2 * best  # without asks nobody knows more than the best bid
        by_mid = -(-mid_half * scale // (2 * BASIS_POINTS * 100))
        wished = max(by_cost, by_mid, best + market.tick)
        return Price(min(-(-wished // market.tick) * market.tick, ONE - market.tick))


def _too_small(market: Market, outcome: Outcome, size: Size, dust: Size) -> Iterator[Unhedged]:
    """Say what the exchange would not take: less than its least, or a part finer than its step."""
    if size:
        whole = Size(size + dust)
        yield Unhedged(outcome, whole, "below_min_size", {"size": whole, "min": market.min_order_size})
    elif dust:
        yield Unhedged(outcome, dust, "below_size_step", {"size": dust, "step": market.size_step})


def _on_the_grid(way: Exit, tick: Price) -> Exit:
    """Put a price on the tick, down: a level may lie off a grid that changed, and no exchange takes such a price."""
    return way._replace(price=Price(min(max(way.price // tick * tick, tick), ONE - tick)))


def covering(bids: Levels, size: int, lowest: int) -> Price | None:
    """Return the price down to which the bids, from `lowest` on, take the whole size."""
    left = int(size)
    for price, there in bids:
        if price < lowest:
            return None
        left -= there
        if left <= 0:
            return price
    return None
