"""What a package tries by itself: its rules on a book, and that its options compose."""

# ruff: noqa: ANN001, ANN201, D103

import pytest
from acme_pack.even_book import EvenBook
from acme_pack.improve import Improve

from pmrun.runner.assembly import plan
from pmrun.runner.book import Book
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import Wanted
from pmrun.runner.market import ConditionId, Market, Outcome, TokenId
from pmrun.runner.orders import Purpose
from pmrun.runner.units import Price, Side, Size

SHARE = 1_000_000
MARKET = Market(
    condition=ConditionId("0x01"), question="?", slug="q", yes=TokenId("1"), no=TokenId("2"), tick=Price(100),
    min_order_size=Size(5 * SHARE),
)  # fmt: skip


def book(bid, ask, size=100):
    return Book(((Price(bid), Size(size * SHARE)),), ((Price(ask), Size(size * SHARE)),))


def test_a_wide_spread_is_improved_by_a_tick():
    yes = Improve(ticks=1).price(MARKET, book(4000, 4500))[0]
    assert (yes.price, yes.basis) == (2 * 4100, "improved_bid")


def test_a_narrow_spread_is_joined():
    yes = Improve(ticks=1).price(MARKET, book(4000, 4100))[0]
    assert (yes.price, yes.basis) == (2 * 4000, "best_bid")


def test_a_book_of_one_level_is_objected_to():
    wanted = Wanted(Outcome.YES, Side.BUY, Price(4000), Size(5 * SHARE), Purpose.QUOTE, "best_bid")
    assert EvenBook(0.9).object_to_order(wanted, book(4000, 4500)).code == "uneven_book"
    assert EvenBook(1.0).object_to_order(wanted, book(4000, 4500)) is None


def test_the_strategy_and_the_parts_compose():
    assert type(plan(compose_config(["strategy=acme_mm"])).components["pricing"]) is Improve
    mine = plan(compose_config(["strategy=reward_mm", "+risk@risk.mine=acme_even_book"])).components["risk.mine"]
    assert mine.largest_share == 0.9


def test_a_mistake_in_a_setting_of_the_package_is_told_like_any_other():
    with pytest.raises(ConfigError, match=r"^pricing\.ticks=-1: ticks must be from 0 to 100$"):
        plan(compose_config(["strategy=acme_mm", "pricing.ticks=-1"]))
