"""Which NO of an event's markets hold each other, and which are better covered by buying NO of another market.

At most one market of a negative-risk event pays YES (reference 8), so a share of NO in each of two of them pays a
dollar at least. Nothing here needs one of them to pay: covering YES would, and is not done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pmrun.plugins.hedging.hedge_sell import Exit, covering
from pmrun.runner.hooks import Sibling
from pmrun.runner.inventory import Holding
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import NOTIONAL_PER_CASH, ONE, Price, Side, Size, cash_paid

NO: Final = Outcome.NO
BUY: Final = Side.BUY
SELL: Final = Side.SELL
WayOut = Callable[[Sibling, Size], Exit]  # how so many shares of NO would be sold where they are held


class Cover(NamedTuple):
    """NO of another market to be bought: `size` in all, of which `free` may be asked for now."""

    holder: MarketNo
    market: MarketNo
    way: Exit
    size: Size
    free: Size


@dataclass(slots=True)
class Plan:
    """What is to become of each market's NO; each share is in one place only."""

    kept: dict[MarketNo, int] = field(default_factory=dict)  # held to the end against NO of another market
    moving: dict[MarketNo, int] = field(default_factory=dict)  # purchases in play elsewhere may yet cover them
    covers: dict[MarketNo, Cover] = field(default_factory=dict)  # by the market that holds

    def away(self, no: MarketNo) -> int:
        """Return the shares that a purchase elsewhere covers, or is about to."""
        cover = self.covers.get(no)
        return max(self.moving.get(no, 0), 0 if cover is None else cover.size)

    def bought_in(self, no: MarketNo) -> Cover | None:
        """Return what is to be bought in a market."""
        return next((cover for cover in self.covers.values() if cover.market == no), None)


def plan(markets: Sequence[Sibling], way_out: WayOut, may_take: bool, min_saving: Price) -> Plan:
    """Match the NO of all markets in order of listing, and choose for what is left where it is better covered."""
    found = Plan()
    left = {each.no: max(0, int(each.inventory.of(NO).held)) for each in markets}
    _keep(markets, left, min_saving, found)
    _promise(markets, left, found)
    for holder in markets:
        if left[holder.no] > 0 and holder.book is not None:
            _cover(holder, markets, left, way_out, may_take, min_saving, found)
    return found


def purchases(market: Sibling) -> list[Order]:
    """Return the purchases in play in a market that cover what another one holds, leaving ones included."""
    return [order for order in market.orders if order.covers_elsewhere]


def _keep(markets: Sequence[Sibling], left: dict[MarketNo, int], min_saving: Price, found: Plan) -> None:
    for index, one in enumerate(markets):
        for other in markets[index + 1 :]:
            size = Size(min(left[one.no], left[other.no]))
            if size > 0 and not _sells_better(one, other, size, min_saving):
                for each in (one, other):
                    left[each.no] -= size
                    found.kept[each.no] = found.kept.get(each.no, 0) + size


def _sells_better(one: Sibling, other: Sibling, size: Size, min_saving: Price) -> bool:
    """Whether the bids of both markets pay `min_saving` more for a pair than the dollar it is worth at least."""
    total = -(ONE + min_saving) * size
    for each in (one, other):
        price = None if each.book is None else covering(each.book.seen_by(NO).bids, size, 0)
        if price is None:
            return False
        total += _proceeds(each.market, price, size, maker=False)
    return total >= 0


def _promise(markets: Sequence[Sibling], left: dict[MarketNo, int], found: Plan) -> None:
    """Set aside what purchases in play may yet cover: nothing else sells it before they have ended."""
    for market in markets:
        open_ = int(sum(order.remaining for order in purchases(market)))
        for holder in markets:
            if open_ <= 0:
                break
            if holder.no != market.no:
                size = min(open_, left[holder.no] - found.moving.get(holder.no, 0))
                open_ -= size
                found.moving[holder.no] = found.moving.get(holder.no, 0) + size


def _cover(
    holder: Sibling,
    markets: Sequence[Sibling],
    left: dict[MarketNo, int],
    way_out: WayOut,
    may_take: bool,
    min_saving: Price,
    found: Plan,
) -> None:
    """Choose where what a market holds is best covered: one market at a time, that which works already first."""
    best: tuple[tuple[bool, bool, int], Cover] | None = None
    for market in markets:
        if market.no == holder.no or left[market.no] > 0 or found.bought_in(market.no) or not _open(market):
            continue
        # Were more of the other market held than is kept of this one, buying there could lose more, should it win: what
        # is left here may be sold at the same time, and a share of YES held here makes up for one of NO.
        mine = found.kept.get(holder.no, 0) - max(0, holder.inventory.of(Outcome.YES).held)
        if market.inventory.of(NO).held > mine:
            continue
        most = Size(left[holder.no])
        choice = _choose(holder, market, most, way_out, may_take, min_saving)
        if choice is None:
            continue
        way, size, saved = choice
        working = purchases(market)
        open_ = max(found.moving.get(holder.no, 0), sum(order.remaining for order in working))
        free = Size(max(0, min(most - holder.inventory.of(NO).reserved - open_, size)))
        rank = (any(not order.cancel_sent for order in working), way.may_take, saved)
        if best is None or rank > best[0]:
            best = rank, Cover(holder.no, market.no, way, size, free)
    if best is not None:
        found.covers[holder.no] = best[1]


def _open(market: Sibling) -> bool:
    """Whether NO may be bought there: nothing of it is on offer, and no YES makes a pair of its own with it."""
    holding: Holding = market.inventory.of(NO)
    yes_held = market.inventory.of(Outcome.YES).held > 0
    return market.may_buy and market.book is not None and holding.reserved == 0 and not yes_held


def _choose(
    holder: Sibling, market: Sibling, most: Size, way_out: WayOut, may_take: bool, min_saving: Price
) -> tuple[Exit, Size, int] | None:
    """Return how NO would be bought there, how much, and what it saves a share; None where the own exit is no worse."""
    terms = market.market
    size = _whole(most, terms)
    if size <= 0 or market.book is None or holder.book is None:
        return None
    own = way_out(holder, size)
    book = market.book.seen_by(NO)

    def saves(price: Price, size: Size, maker: bool) -> int | None:
        sold = _proceeds(holder.market, own.price, size, maker=not own.may_take)
        fee = terms.fees.charged(BUY, price, size, maker)
        saved = (ONE - price) * size - NOTIONAL_PER_CASH * fee - sold
        return saved // size if saved >= min_saving * size else None

    found: tuple[Exit, Size, int] | None = None
    there = 0
    for level, shares in book.asks if may_take else ():
        there += shares
        price, part = Price(-(-level // terms.tick) * terms.tick), _whole(Size(min(there, size)), terms)
        if part <= 0:
            continue
        saved = saves(price, part, maker=False)
        if saved is None:
            break
        if cash_paid(price, part) >= terms.min_take:
            found = Exit(price, "event_take", Purpose.HEDGE, True), part, saved
        if part == size:
            break
    if found is not None or own.may_take or own.purpose is not Purpose.HEDGE:
        return found  # a purchase that only rests is no substitute for a sale that trades at once, or ought to
    price = Price(max(book.bids[0][0] // terms.tick * terms.tick, terms.tick))
    saved = saves(price, size, maker=True)
    return None if saved is None else (Exit(price, "event_rest", Purpose.HEDGE, False), size, saved)


def _proceeds(market: Market, price: Price, size: Size, maker: bool) -> int:
    """Return what a sale of NO brings, fees taken off, as a notional."""
    return price * size - NOTIONAL_PER_CASH * market.fees.charged(SELL, price, size, maker)


def _whole(size: Size, market: Market) -> Size:
    """Return the most of a size that the exchange takes, 0 where it takes none."""
    whole = Size(max(0, size) // market.size_step * market.size_step)
    return whole if whole >= market.min_order_size else Size(0)
