"""A rule that goes by prices alone is asked once for each set of prices, and never answers for another moment."""

from dataclasses import dataclass, field

import pytest
from scenes import NO, YES, ask, bid, book_at, later, make_desk, places, tell

from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.facts import TickChanged
from pmrun.runner.hooks import Answer, Depth, Hooks, Look, NoQuote, hookimpl
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.units import Side, parse_price, parse_size


@dataclass(eq=False)
class ByPrices:
    """Joins both sides of the touch, and counts how often it was asked."""

    asked: int = 0
    declines: bool = False
    depth = Depth(Look.PRICES, 1)

    @hookimpl
    def price(self, market: Market, book: Book) -> Answer:
        self.asked += 1
        if self.declines:
            return [NoQuote(YES, Side.BUY, "declined", {})]
        return [bid(YES, f"{book.bids[0][0] / 10_000}"), ask(YES, f"{book.asks[0][0] / 10_000}")]


@dataclass(eq=False)
class ByHoldings(ByPrices):
    @hookimpl
    def price(self, market: Market, book: Book, inventory: Inventory) -> Answer:
        return ByPrices.price(self, market, book)


@dataclass(eq=False)
class Remembering(ByPrices):
    seen: list[object] = field(default_factory=list)

    @hookimpl
    def observe(self, fact) -> None:
        self.seen.append(fact)


@dataclass(eq=False)
class BySizes(ByPrices):
    depth = Depth(Look.LEVELS, 1)


def desk_with(rule: object, **settings: bool) -> Desk:
    desk, _ = make_desk(components={"pricing": rule}, **{"sell_holdings": False, **settings})
    return desk


BACK_AND_FORTH = [
    book_at(low, high, later(second)) for second, (low, high) in enumerate([("0.40", "0.44"), ("0.41", "0.44")] * 3)
]


def test_prices_that_come_back_are_answered_as_before():
    rule = ByPrices()
    desk = desk_with(rule)
    placed = [places(tell(desk, book)) for book in BACK_AND_FORTH]
    assert rule.asked == 2
    assert placed[0] == [(YES, Side.BUY, "0.4"), (NO, Side.BUY, "0.56")]


@pytest.mark.parametrize("rule", [ByHoldings(), Remembering(), BySizes()])
def test_who_goes_by_more_than_prices_is_asked_every_time(rule):
    desk = desk_with(rule)
    tell(desk, *BACK_AND_FORTH)
    assert rule.asked == len(BACK_AND_FORTH)


@pytest.mark.parametrize("settings", [{"gated": False}, {"sell_holdings": True}])
def test_everything_is_judged_anew_without_gating_and_where_quotes_may_sell_what_is_held(settings):
    rule = ByPrices()
    tell(desk_with(rule, **settings), *BACK_AND_FORTH)
    assert rule.asked >= len(BACK_AND_FORTH)


def test_a_refusal_is_not_remembered():
    rule = ByPrices(declines=True)
    desk = desk_with(rule)
    tell(desk, *BACK_AND_FORTH[:2])
    rule.declines = False
    assert places(tell(desk, *BACK_AND_FORTH[2:]))


def test_another_tick_is_another_question():
    rule = ByPrices()
    desk = desk_with(rule)
    tell(desk, *BACK_AND_FORTH[:2], TickChanged(later(2), MarketNo(0), parse_price("0.001")), *BACK_AND_FORTH[2:4])
    assert rule.asked >= 4


def test_what_counts_is_found_in_what_the_components_say_of_themselves():
    hooks = Hooks({"pricing": ByPrices(), "sizing": Fixed(parse_size("100"))})
    assert hooks.price_levels == 1
    assert Hooks({"pricing": BySizes(), "sizing": Fixed(parse_size("100"))}).price_levels is None
