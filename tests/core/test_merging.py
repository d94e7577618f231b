"""Pairs of YES and NO that are held become a dollar each, once, and never while somebody else needs them (issue 5)."""

import pytest
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    YES,
    an_order,
    ask,
    bid,
    book_at,
    cash,
    fill_of,
    holding,
    later,
    make_desk,
    only,
    places,
    resting,
    shares,
    tell,
)

from pmrun.runner.facts import FeedLost, MarketStatus, Merged, StatusChanged
from pmrun.runner.intents import Halt, Merge, Observed, Place
from pmrun.runner.units import ONE, Price, format_cash


def a_desk_with_pairs(yes="60", no="40", merge_from="20", **more):
    desk, says = make_desk(merge_from=shares(merge_from), **more)
    holding(desk, YES, yes, at="0.45")
    holding(desk, NO, no, at="0.50")
    return desk, says


def answer(merge, at=NOON, pairs=None, dollars=None):
    size = merge.size if pairs is None else shares(pairs)
    return Merged(at, merge.no, merge.market, size, cash(format_cash(size) if dollars is None else dollars))


def the_merge(desk, at=NOON):
    (merge,) = only(Merge, desk.handle(book_at("0.46", "0.54", at=at)))
    return merge


def test_what_is_paired_is_merged_and_becomes_a_dollar_a_pair():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    before, worth = desk.account.funds.total, desk.equity()
    assert merge.size == shares("40")
    desk.handle(answer(merge))
    inventory = desk.account.inventory(FIRST)
    assert desk.account.funds.total == before + cash("40")
    assert (inventory.of(YES).held, inventory.of(NO).held) == (shares("20"), 0)
    assert (inventory.of(YES).reserved, inventory.of(NO).reserved) == (0, 0)
    assert desk.account.realised == cash("2")  # a dollar less 0.45 and 0.50, forty times
    assert inventory.of(YES).cost == cash("9")
    assert desk.equity() == worth  # a pair is a dollar before and after, whatever the mid


def test_fewer_pairs_than_asked_for_are_held():
    desk, _ = a_desk_with_pairs(no="19")
    assert only(Merge, desk.handle(book_at("0.46", "0.54"))) == []


def test_without_the_setting_pairs_are_held():
    desk, _ = a_desk_with_pairs(merge_from="0")
    assert only(Merge, desk.handle(book_at("0.46", "0.54"))) == []


def test_one_merge_of_a_market_is_in_flight_at_a_time():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    holding(desk, NO, "20", at="0.50")
    assert only(Merge, desk.handle(book_at("0.45", "0.53", at=later(1)))) == []
    (second,) = only(Merge, tell(desk, answer(merge, later(2)), book_at("0.46", "0.54", at=later(3))))
    assert (second.no, second.size) == (merge.no + 1, shares("20"))


def test_shares_whose_merge_is_in_flight_are_sold_by_nobody():
    desk, says = a_desk_with_pairs(yes="100", no="100", shares="100")
    assert the_merge(desk).size == shares("100")
    says.quotes = [ask(YES, "0.55")]
    assert places(desk.handle(book_at("0.46", "0.54", at=later(1)))) == [(NO, BUY, "0.45")]


def test_shares_promised_to_an_ask_are_not_merged():
    desk, says = make_desk(merge_from=shares("20"), shares="50")
    says.quotes = [ask(YES, "0.55")]
    holding(desk, YES, "60")
    tell(desk, book_at("0.46", "0.54"))
    assert [each.outcome for each in desk.in_play()] == [YES]
    holding(desk, NO, "60")
    assert only(Merge, desk.handle(book_at("0.45", "0.54", at=later(1)))) == []


def test_shares_that_are_not_settled_are_not_merged():
    desk, _ = make_desk(merge_from=shares("20"))
    holding(desk, YES, "60")
    order = an_order(5000, NO, BUY, "0.50", "60")
    desk.orders[order.no] = desk.markets[FIRST].orders[order.no] = order
    desk.account.reserve(order)
    tell(desk, resting(5000), fill_of(order, "60", "unsettled"))
    assert only(Merge, desk.handle(book_at("0.46", "0.54"))) == []


def test_the_answer_told_twice_counts_once():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    tell(desk, answer(merge))
    total, realised = desk.account.funds.total, desk.account.realised
    assert only(Observed, tell(desk, answer(merge))) == []
    assert (desk.account.funds.total, desk.account.realised) == (total, realised)


def test_an_answer_that_nobody_asked_for_halts_the_market():
    desk, _ = a_desk_with_pairs()
    total = desk.account.funds.total
    said = desk.handle(Merged(NOON, 7, FIRST, shares("40"), cash("40")))
    assert [each.reason.code for each in only(Observed, said)] == ["impossible_merge"]
    assert [each.market for each in only(Halt, said)] == [FIRST]
    assert desk.account.funds.total == total


def test_more_pairs_than_were_asked_for_halt_the_market():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    said = desk.handle(answer(merge, pairs="41"))
    assert [each.reason.code for each in only(Halt, said)] == ["impossible_merge"]


def test_a_refused_merge_is_said_once_and_the_pairs_stay_held():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    total = desk.account.funds.total
    said = desk.handle(Merged(later(1), merge.no, FIRST, reason="not here"))
    (oddity,) = only(Observed, said)
    assert (oddity.reason.code, oddity.reason.numbers["reason"]) == ("merge_refused", "not here")
    assert only(Merge, desk.handle(book_at("0.45", "0.53", at=later(2)))) == []
    inventory = desk.account.inventory(FIRST)
    assert (inventory.of(YES).sellable, inventory.of(NO).sellable) == (shares("60"), shares("40"))
    assert desk.account.funds.total == total


def test_a_merge_told_after_the_resolution_pays_nothing_twice():
    desk, _ = a_desk_with_pairs()
    total, merge = desk.account.funds.total, the_merge(desk)
    tell(desk, StatusChanged(later(1), FIRST, MarketStatus.RESOLVED, Price(ONE)))
    tell(desk, answer(merge, later(2)))
    assert desk.account.funds.total == total + cash("60")
    assert desk.account.inventory(FIRST).held == 0


def test_a_refusal_after_the_resolution_is_nothing_odd():
    desk, _ = a_desk_with_pairs()
    merge = the_merge(desk)
    tell(desk, StatusChanged(later(1), FIRST, MarketStatus.RESOLVED, Price(ONE)))
    assert only(Observed, desk.handle(Merged(later(2), merge.no, FIRST, reason="resolved"))) == []


@pytest.mark.parametrize("why", ["feed lost", "stopped", "halted"])
def test_nothing_is_merged_in_a_market_that_is_not_quoted(why):
    desk, _ = a_desk_with_pairs()
    if why == "stopped":
        desk.stop("enough")
    if why == "halted":
        desk.markets[FIRST].halted = True
    fact = FeedLost(NOON) if why == "feed lost" else book_at("0.46", "0.54")
    assert only(Merge, desk.handle(fact)) == []


def test_merged_pairs_free_the_cash_that_a_quote_waited_for():
    desk, says = a_desk_with_pairs(yes="40", no="40", funds="40", shares="60", sell_holdings=False)
    says.quotes = [bid(YES, "0.45")]
    merge = the_merge(desk)
    (placed,) = only(Place, tell(desk, answer(merge, later(1)), book_at("0.46", "0.53", at=later(2))))
    assert placed.size == shares("60")
