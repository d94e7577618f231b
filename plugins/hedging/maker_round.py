"""Buy with one bid, then sell at a profit: as a maker only, one round at a time for each token."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pmrun.plugins.hedging.rounds import Round, Rounds
from pmrun.plugins.requote.looks import check_poll, look_at
from pmrun.plugins.sizing.target import bid_price, check_amount, least_size
from pmrun.runner.book import Book
from pmrun.runner.facts import (
    BookChanged,
    Carried,
    Fact,
    FeedLost,
    FeedRestored,
    Filled,
    HoldingSeen,
    Listed,
    OrderFound,
    OrderNews,
    Settled,
    TimerDue,
)
from pmrun.runner.hooks import Answer, Depth, Look, NoQuote, Quote, Unhedged, Wanted, hookimpl
from pmrun.runner.intents import Intent
from pmrun.runner.inventory import Holding, Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import ONE, PRICE_SCALE, SECOND, Cash, Micros, Price, Side, Size

MILLION: Final = 1_000_000
ROUNDING: Final = 100  # base units of cost: what rounding at many fills may add lifts no floor by a tick


@dataclass(slots=True, eq=False)
class MakerRound:
    """Bid until the target is bought, then offer it at the best ask, never below a floor (M1 to M6).

    The floor is the average buy price plus profit_threshold dollars, or times 1 + profit_pct. An offer follows the ask
    down at looks, every poll_sec, and is never raised; where the ask is below the floor it is pulled, and offered again
    at a look at which the ask is back. Buying ends when what is left is under the exchange's minimum or worth less than
    min_quote_amt, when nothing has bid for a whole poll, or `countdown` seconds before the market ends. The next round
    begins `cooldown` seconds after the last sale. It has no setting that lets it take, so the desk places nothing of
    its that could.
    """

    profit_threshold: Price | None = Price(100)
    profit_pct: float | None = None
    poll_sec: Micros = Micros(10 * SECOND)
    min_quote_amt: Cash = Cash(MILLION)
    countdown: Micros | None = Micros(120 * SECOND)
    cooldown: Micros = Micros(60 * SECOND)
    rounds: Rounds = field(init=False, repr=False)

    depth = Depth(Look.PRICES, 1)
    observes = (
        Carried, Listed, HoldingSeen, OrderFound, OrderNews, Filled, Settled, BookChanged, TimerDue, FeedLost,
        FeedRestored,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse a round that could never end well."""
        if (self.profit_threshold is None) == (self.profit_pct is None):
            raise ValueError("profit_threshold must be null where profit_pct is set, and set where it is null")
        if self.profit_threshold is not None and not 0 <= self.profit_threshold < ONE:
            raise ValueError("profit_threshold must be from 0 to below 1 dollar, or null")
        if self.profit_pct is not None and not 0 <= self.profit_pct <= 100:
            raise ValueError("profit_pct must be from 0 to 100, or null")
        check_poll(self.poll_sec)
        check_amount(self.min_quote_amt)
        if self.countdown is not None and not self.countdown >= 0:
            raise ValueError("countdown must be 0 seconds or more, or null")
        if not self.cooldown >= 0:
            raise ValueError("cooldown must be 0 seconds or more")
        self.rounds = Rounds(self.poll_sec, self.min_quote_amt, self.countdown, self.cooldown)

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Learn where the rounds stand."""
        self.rounds.learn(fact, market_no, order)

    @hookimpl
    def observe_intent(self, intent: Intent) -> None:
        """Learn what the desk asks for."""
        self.rounds.heard(intent)

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return where the rounds stand."""
        return self.rounds.carry()

    @hookimpl
    def next_wake(self, market_no: MarketNo, at: Micros) -> Micros | None:
        """Wake for the next look, the end of a cool-down, and the countdown."""
        return self.rounds.wake(market_no, at)

    # Buying.

    @hookimpl(wrapper=True)
    def price(self, market: Market, inventory: Inventory, at: Micros) -> Generator[None, Answer | None, Answer]:
        """Let one bid a token through: the first of a round, or the one that goes on with it."""
        quotes = yield
        found: dict[Outcome, Quote | NoQuote] = {}
        for quote in quotes or ():
            token = quote.outcome if quote.side is Side.BUY else quote.outcome.other
            if token not in found or isinstance(found[token], NoQuote):
                found[token] = self._admit(quote, market, token, inventory.of(token), at)
        return list(found.values())

    def _admit(
        self, quote: Quote | NoQuote, market: Market, token: Outcome, holding: Holding, at: Micros
    ) -> Quote | NoQuote:
        if isinstance(quote, NoQuote):
            return quote
        round_ = self.rounds.of(market.condition, token)
        if round_.target:
            return Quote(quote.outcome, quote.side, quote.price, "follow")
        return self._why_not(quote, round_, market, holding, at) or quote

    def _why_not(self, quote: Quote, round_: Round, market: Market, holding: Holding, at: Micros) -> NoQuote | None:
        """Say why no round may begin."""
        outcome, side, price = quote.outcome, quote.side, bid_price(quote)
        if round_.bid is not None or holding.reserved or holding.held >= market.min_order_size:
            return NoQuote(outcome, side, "round_sells", {"held": holding.held})
        if at < round_.until:
            return NoQuote(outcome, side, "cooling_down", {"until": round_.until})
        deadline = self.rounds.deadline(market)
        if deadline is not None and at >= deadline:
            return NoQuote(outcome, side, "countdown", {"from": deadline})
        floor = self._above(price * MILLION, MILLION)
        if floor > ONE - market.tick:
            return NoQuote(outcome, side, "no_profit_left", {"price": price, "floor": floor})
        return None

    @hookimpl(wrapper=True)
    def size_order(self, market: Market, quote: Quote) -> Generator[None, Size | None, Size | None]:
        """Return what is left to buy in a round that has begun."""
        size = yield
        token = quote.outcome if quote.side is Side.BUY else quote.outcome.other
        round_ = self.rounds.of(market.condition, token)
        if not round_.target or size is None:
            return size
        if round_.bid is not None:
            return round_.bid_size  # what rests stands for what is left of it
        least = least_size(market, bid_price(quote), self.min_quote_amt)
        return round_.left if round_.left >= least else None

    # Selling.

    @hookimpl
    def hedge(
        self, market: Market, book: Book, inventory: Inventory, orders: Sequence[Order], at: Micros
    ) -> list[Wanted | Unhedged]:
        """Answer with the offers of both tokens, and what none of them covers."""
        answer: list[Wanted | Unhedged] = []
        for outcome in Outcome:
            holding = inventory.of(outcome)
            if holding.held > 0:
                working = [order for order in orders if order.outcome is outcome and not order.cancel_sent]
                answer.extend(self._sell(market, outcome, book.seen_by(outcome), holding, working, at))
        return answer

    def _sell(
        self, market: Market, outcome: Outcome, book: Book, holding: Holding, working: list[Order], at: Micros
    ) -> Iterator[Wanted | Unhedged]:
        round_ = self.rounds.of(market.condition, outcome)
        if round_.target and not working:
            yield Unhedged(outcome, holding.held, "still_buying", {"bought": round_.bought, "target": round_.target})
            return
        if holding.pending:
            yield Unhedged(outcome, Size(holding.pending), "awaiting_settlement", {"size": holding.pending})
        floor, ask = self._floor(market, holding), book.best_ask
        size = max(0, holding.confirmed - holding.confirmed % market.size_step)
        kept = [stays for order in working if (stays := self._stays(market, order, floor, book, at)) is not None]
        yield from kept
        size -= sum(want.size for want in kept)
        if size < market.min_order_size:
            if holding.confirmed and size + holding.confirmed % market.size_step > 0:
                yield self._left_over(market, outcome, size, holding)
            return
        if ask is None:
            yield Unhedged(outcome, Size(size), "no_asks", {})
        elif ask < floor or (round_.waits is not None and look_at(round_.waits, self.poll_sec, at) > at):
            yield Unhedged(outcome, Size(size), "below_floor", {"ask": ask, "floor": floor})
        else:
            yield _offer(outcome, _on_the_grid(ask, book, market.tick), Size(size), "best_ask")

    def _stays(self, market: Market, order: Order, floor: Price, book: Book, at: Micros) -> Wanted | None:
        """Return what an offer in play ought to be: the same, or lower at a look; None where it has to wait.

        What is left of it under the exchange's minimum could not be placed again, so it stays (M4).
        """
        stays, ask = Wanted.of(order), book.best_ask
        if ask is None or order.remaining < market.min_order_size:
            return stays
        if ask < floor or order.price < floor:
            return None
        lower = _on_the_grid(ask, book, market.tick)  # the ask is at or above the floor here
        if lower > order.price - market.tick or look_at(order.placed_at, self.poll_sec, at) > at:
            return stays
        return _offer(order.outcome, lower, order.remaining, "best_ask")

    def _left_over(self, market: Market, outcome: Outcome, size: int, holding: Holding) -> Unhedged:
        """Say what is too little to offer: finer than the exchange's step, or under its minimum."""
        whole = Size(size + holding.confirmed % market.size_step)
        if not size:
            return Unhedged(outcome, whole, "below_size_step", {"size": whole, "step": market.size_step})
        return Unhedged(outcome, whole, "below_min_size", {"size": whole, "min": market.min_order_size})

    def _floor(self, market: Market, holding: Holding) -> Price:
        """Return the least that is asked: the average price with the profit, up to the grid, at most its end (M3)."""
        above = self._above(max(0, holding.cost - ROUNDING) * PRICE_SCALE, holding.held)
        return Price(min(-(-above // market.tick) * market.tick, ONE - market.tick))

    def _above(self, cost: int, size: int) -> Price:
        """Return cost over size with the profit, rounded up; any grid."""
        if self.profit_pct is None:
            assert self.profit_threshold is not None
            return Price(-(-cost // size) + self.profit_threshold)
        return Price(-(-cost * (MILLION + round(self.profit_pct * MILLION)) // (size * MILLION)))


def _offer(outcome: Outcome, price: Price, size: Size, basis: str) -> Wanted:
    """Make the only kind of order that is offered here: a sell that rests (M1)."""
    return Wanted(outcome, Side.SELL, price, size, Purpose.HEDGE, basis)


def _on_the_grid(price: int, book: Book, tick: Price) -> Price:
    """Put an offer on the grid, up, and above the best bid, at most at the end of the grid."""
    above = book.bids[0][0] + tick if book.bids else tick
    return Price(min(-(-max(price, above) // tick) * tick, ONE - tick))
