"""What a holding fetches if it has to be sold now: by brute force on books, and by hand (issue 5: exit cost)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import NO, YES, book, cash, market, shares, wanted

from pmrun.plugins.risk.event_loss import EventLoss
from pmrun.plugins.risk.exit_cost import ExitCost
from pmrun.runner.book import Book
from pmrun.runner.exit_cost import exit_value, leave, mid_value
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import FeeTerms
from pmrun.runner.units import Notional, Price, Side, Size

FEES = FeeTerms(rate_ppm=70_000)
NO_FEES = FeeTerms()
level = st.tuples(st.integers(1, 9_999), st.integers(1, 40))


def held(yes: str = "0", no: str = "0") -> Inventory:
    inventory = Inventory()
    inventory.of(YES).confirmed, inventory.of(NO).confirmed = shares(yes), shares(no)
    return inventory


@given(st.lists(level, max_size=6, unique_by=lambda each: each[0]), st.integers(0, 120))
def test_leaving_sells_share_by_share_to_whoever_pays_most(levels, size):
    levels.sort(reverse=True)
    bids = tuple((Price(price), Size(1_000_000 * there)) for price, there in levels)
    buyers = sorted((price for price, there in levels for _ in range(there)), reverse=True)[:size]
    found = leave(Book(bids, ()), Size(1_000_000 * size), NO_FEES)
    assert found.cash == sum(buyers) * 100
    assert found.sold == 1_000_000 * len(buyers)
    assert found.unsold == 1_000_000 * (size - len(buyers))
    assert found.lowest == (buyers[-1] if buyers else None)


@given(st.lists(level, min_size=1, max_size=4, unique_by=lambda each: each[0]), st.integers(1, 60), st.integers(1, 60))
def test_more_shares_never_cost_less_to_leave(levels, one, other):
    bids = tuple((Price(price), Size(1_000_000 * there)) for price, there in sorted(levels, reverse=True))
    shown = Book(bids, ())
    few, many = (Size(1_000_000 * size) for size in sorted((one, other)))
    mid = 2 * bids[0][0]
    costs = [mid_value(size, mid) - leave(shown, size, FEES).cash for size in (few, many)]
    assert costs[0] <= costs[1]


def test_the_taker_pays_a_fee_at_every_price():
    found = leave(book("0.50x10 0.40x10", "0.52x5"), shares("15"), FEES)
    fees = FEES.taker_fee(Price(5_000), shares("10")) + FEES.taker_fee(Price(4_000), shares("5"))
    assert (found.cash, found.fees) == (cash("7") - fees, fees)


def test_too_few_shares_for_an_order_cannot_be_sold():
    assert leave(book("0.50x10", ""), shares("4.99"), NO_FEES, shares("5")).unsold == shares("4.99")
    assert leave(book("0.50x10", ""), shares("5"), NO_FEES, shares("5")).unsold == 0


def test_no_is_sold_to_those_who_sell_yes():
    value = exit_value(held(no="10"), cash("5"), book("0.40x9", "0.60x4 0.70x6"), market(), pairs=True)
    assert value.at_exit == cash("3.4")  # 4 at 0.40 and 6 at 0.30
    assert value.cost == cash("1.6")


def test_pairs_count_a_dollar_unless_their_legs_are_sold_one_by_one():
    empty = book("", "")
    assert exit_value(held("10", "7"), cash("9"), empty, market(), pairs=True).at_exit == cash("7")
    assert exit_value(held("10", "7"), cash("9"), empty, market(), pairs=True).unsold == shares("3")
    assert exit_value(held("10", "7"), cash("9"), empty, market(), pairs=False).unsold == shares("17")


def test_without_a_book_nothing_can_be_sold():
    value = exit_value(held("10"), cash("5"), None, market(), pairs=True)
    assert (value.at_exit, value.unsold) == (0, shares("10"))


# The check.

SHOWN = book("0.50x20 0.40x30", "0.52x5")


def objection(check: ExitCost, size: str = "10", others: str = "0", resting: bool = False, no: str = "0"):
    return check.object_to_order(
        order=wanted(size=size),
        market=market(),
        book=SHOWN,
        inventory=held(no=no),
        shares=shares(others),
        resting=resting,
    )


@pytest.mark.parametrize(
    ("others", "numbers"),
    [
        ("0", None),
        ("10", None),
        ("20", {"cost": cash("1.3"), "shares": shares("30"), "unsold": 0, "limit": cash("1")}),
        ("90", {"cost": cash("29"), "shares": shares("100"), "unsold": shares("50"), "limit": cash("1")}),
    ],
)
def test_what_is_held_and_wanted_beside_counts_with_the_order(others, numbers):
    found = objection(ExitCost(cash("1")), others=others)
    assert (found and found.code) == (numbers and "exit_cost")
    assert (found and found.numbers) == numbers


def test_a_share_of_the_value_bounds_as_well():
    half = ExitCost(None, max_share=0.08)
    assert objection(half, others="0") is None
    assert objection(half, others="20").code == "exit_cost_share"  # 1.30 of 15.30


def test_what_rests_may_be_a_tenth_past_the_bound():
    check = ExitCost(cash("1.2"))
    assert objection(check, others="20") is not None
    assert objection(check, others="20", resting=True) is None
    assert objection(ExitCost(cash("1.18")), others="20", resting=True) is not None


def test_pairs_need_not_be_left_unless_the_settings_say_so():
    assert objection(ExitCost(cash("1")), others="20", no="30") is None
    assert objection(ExitCost(cash("1"), net_pairs=False), others="20", no="30") is not None


def test_a_sale_is_never_kept_back():
    sale = wanted(side=Side.SELL)
    check = ExitCost(Price(1))
    assert (
        check.object_to_order(
            order=sale, market=market(), book=SHOWN, inventory=held("500"), shares=shares("500"), resting=False
        )
        is None
    )
    assert EventLoss().object_to_order(order=sale, event_loss=Notional(10**18)) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"max_cost": None},
        {"max_cost": cash("0")},
        {"max_share": 0.0},
        {"max_share": 1.1},
        {"hysteresis": 1.0},
    ],
)
def test_bounds_that_are_none_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ExitCost(**settings)


def test_an_event_may_cost_its_limit_and_no_unit_more():
    check = EventLoss(cash("50"))
    assert check.object_to_order(order=wanted(), event_loss=Notional(50 * 10**10)) is None
    found = check.object_to_order(order=wanted(), event_loss=Notional(50 * 10**10 + 1))
    assert (found.code, found.numbers) == ("event_loss", {"loss": cash("50") + 1, "limit": cash("50")})
    with pytest.raises(ValueError, match="max_loss"):
        EventLoss(cash("0"))
