"""Mark-outs say what the mid did after a fill, signed so that positive is good for us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.runner.book import Book
from pmrun.runner.facts import (
    BookChanged,
    FeedLost,
    Filled,
    MarketStatus,
    OrderFound,
    Settled,
    StatusChanged,
    Together,
)
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.markouts import HORIZONS, Markouts
from pmrun.runner.orders import OrderNo, Purpose, Settlement, TradeId
from pmrun.runner.units import ONE, SECOND, Cash, Micros, Price, Side, Size

NOON = 1_700_000_000 * SECOND
SHARES = Size(10_000_000)


def at(seconds: float) -> Micros:
    return Micros(int(NOON + seconds * SECOND))


def book(seconds: float, bid: int | None, ask: int | None, market: int = 0) -> BookChanged:
    bids = () if bid is None else ((Price(bid), SHARES),)
    asks = () if ask is None else ((Price(ask), SHARES),)
    return BookChanged(at(seconds), MarketNo(market), 0, Book(bids, asks))


def place(no: int, outcome: Outcome = Outcome.YES, side: Side = Side.BUY, market: int = 0) -> Place:
    terms = (OrderNo(no), MarketNo(market), outcome, side, Price(4_500), SHARES, Purpose.QUOTE, True, Reason("quote"))
    return Place(at(0), *terms)


def fill(seconds: float, no: int = 1, price: int = 4_500, trade: str = "a", size: int = SHARES) -> Filled:
    return Filled(at(seconds), OrderNo(no), TradeId(trade), Price(price), Size(size), Cash(0))


def told(*facts: object, orders: tuple[Place, ...] = (place(1),), horizons: tuple[int, ...] = (5,)) -> Markouts:
    markouts = Markouts([Micros(seconds * SECOND) for seconds in horizons])
    markouts.record(FeedLost(at(0)), orders)
    for fact in facts:
        markouts.record(fact, ())
    return markouts


def gains(markouts: Markouts) -> list[int | None]:
    return [row.per_share for row in markouts.rows()]


@pytest.mark.parametrize(
    ("outcome", "side", "price", "gain"),
    [
        (Outcome.YES, Side.BUY, 4_500, 2 * 700),  # the mid of YES went to 0.52
        (Outcome.YES, Side.SELL, 4_500, -2 * 700),
        (Outcome.NO, Side.BUY, 4_500, 2 * 300),  # and that of NO is 0.48
        (Outcome.NO, Side.SELL, 4_500, -2 * 300),
    ],
)
def test_a_gain_is_positive_whatever_we_did(outcome, side, price, gain):
    markouts = told(book(1, 5_100, 5_300), fill(1, price=price), book(7, 1, 9), orders=(place(1, outcome, side),))
    assert gains(markouts) == [gain, gain]


def test_the_mid_at_the_fill_is_the_spread_that_was_earned():
    markouts = told(book(1, 4_500, 4_700), fill(2), book(3, 4_300, 4_500), book(20, 4_300, 4_500))
    assert gains(markouts) == [200, -200]  # a cent earned, and lost again


def test_a_book_at_the_very_moment_counts_and_a_later_one_does_not():
    assert gains(told(book(1, 4_400, 4_600), fill(1), book(6, 4_600, 4_800), book(7, 1, 9)))[1] == 400
    late = msgspec_moved(book(6, 4_600, 4_800), 1)
    assert gains(told(book(1, 4_400, 4_600), fill(1), late))[1] == 0


def msgspec_moved(fact: BookChanged, micros: int) -> BookChanged:
    return BookChanged(Micros(fact.at + micros), fact.market, fact.upto, fact.book)


def test_a_run_that_ended_before_the_horizon_knows_no_mark_out():
    before = told(book(1, 4_400, 4_600), fill(1), FeedLost(Micros(at(6) - 1)))
    assert gains(before) == [0, None]
    assert gains(told(book(1, 4_400, 4_600), fill(1), book(6, 4_400, 4_600)))[1] == 0


def test_a_one_sided_book_has_no_mid():
    assert gains(told(book(1, 4_400, None), fill(1), book(4, 4_400, 4_600), book(5, None, 4_600), book(9, 1, 9))) == [
        None,
        None,
    ]


def test_a_lost_feed_leaves_no_mid_until_the_next_book():
    lost = told(book(1, 4_400, 4_600), fill(1), FeedLost(at(5)), book(9, 4_400, 4_600))
    assert gains(lost) == [0, None]
    back = told(book(1, 4_400, 4_600), fill(1), FeedLost(at(5)), book(6, 4_600, 4_800), book(9, 1, 9))
    assert gains(back) == [0, 400]


def test_a_resolved_market_is_worth_what_it_paid():
    resolved = StatusChanged(at(4), MarketNo(0), MarketStatus.RESOLVED, Price(ONE))
    assert gains(told(book(1, 4_400, 4_600), fill(1), resolved, book(5, 1, 9), book(9, 1, 9))) == [0, 2 * 5_500]


def test_a_fill_told_twice_counts_once_and_a_failed_one_not_at_all():
    twice = told(book(1, 4_400, 4_600), fill(1), fill(1), fill(1, trade="b"), book(9, 1, 9))
    assert len(gains(twice)) == 4
    twice.record(Settled(at(10), OrderNo(1), TradeId("b"), Settlement.FAILED), ())
    assert [row.trade for row in twice.rows()] == ["a", "a"]


def test_a_fill_of_an_order_we_never_placed_is_not_ours():
    assert gains(told(book(1, 4_400, 4_600), fill(1, no=9), book(9, 1, 9))) == []


def test_an_order_of_an_earlier_session_is_followed_once_it_is_found():
    found = OrderFound(at(0), MarketNo(0), Outcome.YES, Side.BUY, Price(4_500), SHARES, Size(0), "0x1", OrderNo(9))
    assert gains(told(found, book(1, 4_400, 4_600), fill(1, no=9), book(9, 1, 9))) == [0, 0]


def test_what_is_told_together_is_learned_in_order():
    together = Together(at(2), (book(2, 4_600, 4_800), fill(2)))
    assert gains(told(book(1, 4_400, 4_600), together))[0] == 400


def test_means_weigh_by_shares_and_say_how_many_fills_they_are_of():
    small, large = fill(1, size=1_000_000), fill(2, trade="b", size=3_000_000)
    facts = book(1, 4_500, 4_700), small, book(1.5, 4_500, 4_600), large
    markouts = told(*facts)
    assert markouts.means() == {Micros(0): (2, (1 * 0.01 + 3 * 0.005) / 4), Micros(5 * SECOND): None}
    assert markouts.means([MarketNo(1)])[Micros(0)] is None


def test_horizons_are_those_of_the_literature_and_never_nothing():
    assert [horizon // SECOND for horizon in HORIZONS] == [5, 30, 300, 3_600]
    for wrong in ((), (0,), (5, -1)):
        with pytest.raises(ValueError, match="horizons must be"):
            Markouts([Micros(each) for each in wrong])


price = st.integers(1, 9_999)
events = st.lists(
    st.one_of(
        st.tuples(st.just("book"), st.integers(0, 60), st.integers(0, 1), st.none() | price, st.none() | price),
        st.tuples(st.just("fill"), st.integers(0, 60), st.integers(0, 7), price, st.none()),
        st.tuples(st.just("lost"), st.integers(0, 60), st.none(), st.none(), st.none()),
    ),
    max_size=40,
)


@given(events)
def test_following_is_the_same_as_looking_every_mid_up_afterwards(drawn):
    """Orders 0 to 7 are both markets, outcomes and sides; several things happen in one second, in order."""
    orders = [
        place(no, (Outcome.YES, Outcome.NO)[no & 1], (Side.BUY, Side.SELL)[no >> 1 & 1], no >> 2) for no in range(8)
    ]
    facts = []
    for index, (kind, second, which, one, other) in enumerate(sorted(drawn, key=lambda event: event[1])):
        if kind == "book":
            facts.append(book(second, one, other, which))
        elif kind == "fill":
            facts.append(fill(second, which, one, f"t{index}"))
        else:
            facts.append(FeedLost(at(second)))
    markouts = told(*facts, orders=tuple(orders), horizons=(5, 20))
    end = facts[-1].at if facts else at(0)
    expected = {}
    for position, one in enumerate(facts):
        if type(one) is Filled:
            order = orders[one.order]
            for horizon in (0, 5 * SECOND, 20 * SECOND):
                expected[one.trade, horizon] = brute_force(facts, position, order, one, horizon, end)
    assert {(row.trade, row.horizon): row.per_share for row in markouts.rows()} == expected


def brute_force(facts, position, order, one, horizon, end):
    due = one.at + horizon
    if due > end:
        return None
    last = None
    for fact in facts:
        if fact.at > due:
            break
        if type(fact) is FeedLost:
            last = None
        elif type(fact) is BookChanged and fact.market == order.market:
            last = fact.book
    if last is None or not last.bids or not last.asks:
        return None
    mid = last.bids[0][0] + last.asks[0][0]
    worth = mid if order.outcome is Outcome.YES else 2 * ONE - mid
    return (worth - 2 * one.price) * (1 if order.side is Side.BUY else -1)
