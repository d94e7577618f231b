"""Components: their order, their names, and what they may not be."""

from collections.abc import Generator
from dataclasses import dataclass

import pytest
from scenes import (
    FIRST,
    NOON,
    SECOND,
    YES,
    Minds,
    Says,
    bid,
    book,
    book_at,
    cancels,
    later,
    make_desk,
    market,
    news,
    wanted,
)

from pmrun.plugins.hedging.hedge_sell import HedgeSell
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.pricing.nth_level import NthLevel
from pmrun.plugins.risk.cliff import Cliff
from pmrun.plugins.risk.position import Position
from pmrun.plugins.risk.protection_size import ProtectionSize
from pmrun.plugins.risk.stale_book import StaleBook
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import BookChanged, OrderNews, TimerDue
from pmrun.runner.hooks import NO_BOOK, WHOLE_BOOK, Answer, Depth, Hooks, Look, Quote, hookimpl
from pmrun.runner.inventory import Inventory
from pmrun.runner.orders import News
from pmrun.runner.units import HalfPrice, Micros, Size


@dataclass(eq=False)
class Ranked(Minds):
    order: int | None = None


def test_checks_are_asked_in_the_order_they_are_written_unless_they_say_otherwise():
    components = {
        "risk.a": Ranked(order=None),
        "risk.b": Ranked(order=2),
        "risk.c": Ranked(order=1),
        "risk.d": Ranked(),
    }
    hooks = Hooks(components)
    assert tuple(check.name for check in hooks.checks) == hooks.order
    assert hooks.order.index("risk.c") < hooks.order.index("risk.b")
    assert hooks.order.index("risk.a") < hooks.order.index("risk.d")


def test_each_check_answers_for_itself():
    hooks = Hooks({"risk.a": Minds({YES}, "a"), "risk.b": Minds(set(), "b"), "risk.c": Minds({YES}, "c")})
    found = {
        check.name: check.object_to_order(wanted(), market(), FIRST, book("", ""), Inventory(), 0, False, NOON)
        for check in hooks.checks
    }
    assert {name: said and said.code for name, said in found.items()} == {"risk.a": "a", "risk.b": None, "risk.c": "c"}


@pytest.mark.parametrize(
    "components",
    [
        {"pricing": Says(), "pricing2": MakerFollow()},
        {"sizing": Fixed(Size(5_000_000)), "other": Fixed(Size(5_000_000))},
    ],
)
def test_there_can_be_only_one_rule_for_a_price_or_a_size(components):
    with pytest.raises(ConfigError, match="a second component"):
        Hooks(components)


@dataclass(eq=False)
class Misspelt:
    @hookimpl
    def object_to_order(self, ordr: object) -> None:
        return None


def test_a_hook_with_an_argument_nobody_gives_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"^risk\.mine"):
        Hooks({"risk.mine": Misspelt()})


@dataclass(eq=False)
class Lower:
    by: int

    @hookimpl(wrapper=True)
    def price(self) -> Generator[None, Answer, Answer]:
        quotes = yield
        return [
            each._replace(price=HalfPrice(each.price - self.by)) for each in quotes or () if isinstance(each, Quote)
        ]


@dataclass(eq=False)
class Turn:
    """An adjustment that notes when it has its turn."""

    name: str
    turns: list[str]

    @hookimpl(wrapper=True)
    def price(self):
        answer = yield
        self.turns.append(self.name)
        return answer


def test_adjustments_change_the_quotes_in_the_order_of_the_yaml():
    turns: list[str] = []
    hooks = Hooks({"pricing": MakerFollow(), "adjust.first": Turn("first", turns), "adjust.last": Turn("last", turns)})
    hooks.price(market(), book_at("0.48", "0.52").book, Inventory(), NOON)
    assert turns == ["first", "last"]


def test_adjustments_wrap_the_rule():
    hooks = Hooks({"pricing": Says([bid(YES, "0.40")]), "adjust.a": Lower(3), "adjust.b": Lower(4)})
    (quote,) = hooks.price(market(), book("", ""), Inventory(), NOON)
    assert quote.price == 8000 - 7


def test_the_book_is_told_as_deep_as_somebody_looks():
    assert Hooks({"pricing": MakerFollow(), "sizing": Fixed(Size(5_000_000))}).depth == Depth(Look.PRICES, 1)
    assert Hooks({"pricing": NthLevel(3), "risk.position": Position()}).depth == Depth(Look.PRICES, 3)
    assert Hooks({"pricing": NthLevel(3), "risk.p": ProtectionSize()}).depth == Depth(Look.LEVELS, 3)
    assert Hooks({"pricing": NthLevel(3), "risk.cliff": Cliff()}).depth == WHOLE_BOOK
    assert Hooks({}).depth == NO_BOOK


def test_the_depth_of_two_covers_both():
    shallow, deep = Depth(Look.LEVELS, 2), Depth(Look.PRICES, 5)
    assert shallow.also(deep) == deep.also(shallow) == Depth(Look.LEVELS, 5)
    assert shallow.also(NO_BOOK) == NO_BOOK.also(shallow) == shallow
    assert shallow.also(WHOLE_BOOK) == WHOLE_BOOK


@dataclass(eq=False)
class Listens:
    observes = (TimerDue,)

    def __post_init__(self) -> None:
        self.heard: list[object] = []

    @hookimpl
    def observe(self, fact: object) -> None:
        self.heard.append(fact)


def test_a_component_hears_the_facts_it_asks_for():
    ears = Listens()
    hooks = Hooks({"risk.ears": ears})
    hooks.observe(TimerDue(NOON), None, None)
    assert ears.heard == [TimerDue(NOON)]
    assert hooks.next_wake(FIRST, NOON) is None


def test_without_a_requote_rule_an_order_is_replaced_at_once():
    assert Hooks({}).replace_at(None, None, None, NOON) == NOON


def test_a_component_that_remembers_is_told_the_kinds_it_names_and_no_others():
    class Hears:
        def __init__(self, *kinds):
            self.observes = kinds or None
            self.told = []

        @hookimpl
        def observe(self, fact):
            self.told.append(type(fact))

    books, orders, everything = Hears(BookChanged), Hears(OrderNews), Hears()
    hooks = Hooks({"a": books, "b": orders, "c": everything})
    for fact in (book_at("0.46", "0.54"), news(1, News.RESTING)):
        hooks.observe(fact, FIRST, None)
    assert (books.told, orders.told) == ([BookChanged], [OrderNews])
    assert everything.told == [BookChanged, OrderNews]


def test_news_of_an_order_is_no_news_of_the_book():
    desk, _ = make_desk(
        bid(YES, "0.40"), components={"risk.stale": StaleBook(Micros(60 * SECOND)), "hedging": HedgeSell(may_take=True)}
    )
    desk.handle(book_at("0.46", "0.54"))
    desk.handle(news(1, News.RESTING, later(50)))
    assert cancels(desk.handle(TimerDue(later(60.1)))) == [1]
