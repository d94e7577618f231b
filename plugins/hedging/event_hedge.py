"""Cover NO of one market with NO of another of its event, where that is cheaper than selling it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pmrun.plugins.hedging.event_plan import NO, Plan, plan, purchases
from pmrun.plugins.hedging.hedge_sell import Exit, HedgeSell
from pmrun.runner.book import Book
from pmrun.runner.facts import Fact
from pmrun.runner.hooks import Sibling, Unhedged, Wanted, hookimpl
from pmrun.runner.intents import Number
from pmrun.runner.inventory import Holding, Inventory
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order
from pmrun.runner.units import ONE, Cash, Micros, Price, Side, Size


@dataclass(slots=True, eq=False)
class EventHedge(HedgeSell):
    """Sell as hedge_sell does, but for NO of a negative-risk event that NO of another market covers (P10).

    Two shares of NO in two such markets pay a dollar at least. So NO is covered by NO bought elsewhere in the event
    where a dollar less its price brings `min_saving` a share more than the own exit asks, fees taken off both; a pair
    is held to the end unless the bids of both markets pay `min_saving` more than a dollar for it. With `may_take` NO is
    bought from the asks; else, and where the own exit would rest as well, a bid joins the best one. A share is sold,
    covered, or waiting for a purchase that works: never two of these. YES is never covered: that would take an event in
    which one market must win, and nobody says that of a market.
    """

    min_saving: Price = Price(100)

    def __post_init__(self) -> None:
        """Refuse a saving that is none, beside what hedge_sell refuses."""
        HedgeSell.__post_init__(self)
        if not 0 < self.min_saving < ONE:
            raise ValueError("min_saving must be above 0 and below 1 dollar")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None, order: Order | None) -> None:
        """Count rejected exits; of rejected purchases the desk takes care."""
        if order is not None and order.side is Side.SELL:
            HedgeSell.observe(self, fact, market_no, order)

    @hookimpl
    def hedge(  # type: ignore[override]
        self,
        market: Market,
        market_no: MarketNo,
        book: Book,
        inventory: Inventory,
        orders: Sequence[Order],
        at: Micros,
        siblings: Sequence[Sibling],
    ) -> list[Wanted | Unhedged]:
        """Answer with the exits of both tokens, and the purchase that covers what another market holds."""
        sales = [order for order in orders if order.side is Side.SELL]
        answer = self.sell(market, market_no, Outcome.YES, book, inventory.of(Outcome.YES), sales, at)
        planned = plan(siblings, self._way_out, self.may_take, self.min_saving)
        kept, away = planned.kept.get(market_no, 0), planned.away(market_no)
        rest = _without(inventory.of(NO), kept + away)
        sold = self.sell(market, market_no, NO, book, rest, sales, at)
        answer += [one for one in sold if isinstance(one, Wanted)]
        answer += _gap([one for one in sold if isinstance(one, Unhedged)], kept, away)
        mine = next((each for each in siblings if each.no == market_no), None)
        return answer if mine is None else [*answer, *_buy(mine, planned)]

    def _way_out(self, holder: Sibling, size: Size) -> Exit:
        """Return how shares of NO would be sold where they are held."""
        assert holder.book is not None
        book, holding = holder.book.seen_by(NO), holder.inventory.of(NO)
        working = [o for o in holder.orders if o.side is Side.SELL and o.outcome is NO and not o.cancel_sent]
        return self.way_out(holder.market, book, holding, size, working)


def _without(holding: Holding, away: int) -> Holding:
    """Return what is left to be sold of a holding; what is not settled covers as well, and goes first."""
    left = Holding()
    unsettled = min(holding.pending, away)
    left.pending, left.confirmed = holding.pending - unsettled, holding.confirmed - (away - unsettled)
    if holding.held > 0:
        left.cost = Cash(holding.cost * left.held // holding.held)
    return left


def _gap(own: list[Unhedged], kept: int, away: int) -> Iterator[Unhedged]:
    """Say in one word which shares of NO no sale covers: first what is wrong, then what is on its way."""
    numbers: dict[str, Number] = {"covered": kept, "buying": away}
    size = Size(kept + away + sum(max(0, gap.size) for gap in own))
    dust = all(gap.code == "below_size_step" for gap in own)
    if own and not (dust and kept + away):
        yield own[-1]._replace(size=size)
    elif away:
        yield Unhedged(NO, size, "buys_sibling", numbers)
    elif kept:
        yield Unhedged(NO, size, "covered_by_sibling", numbers)


def _buy(market: Sibling, planned: Plan) -> Iterator[Wanted]:
    """Answer with what is to be bought in a market; what leaves counts until it has left."""
    cover = planned.bought_in(market.no)
    if cover is None:
        return
    way = cover.way
    working = [order for order in purchases(market) if not order.cancel_sent and order.price == way.price]
    kept = sum(order.remaining for order in working)
    if kept > cover.size:
        return
    yield from (Wanted.of(order) for order in working)
    more = Size(min(cover.free, cover.size - kept) // market.market.size_step * market.market.size_step)
    if more >= market.market.min_order_size:
        yield Wanted(NO, Side.BUY, way.price, more, way.purpose, way.basis, way.may_take)
