"""The paper exchange merges pairs after its latencies, and tells prints to those who learn from them (issue 5)."""

import pytest
from scenes import FIRST, NOON, SELL, levels, market, shares

from pmrun.plugins.exchanges.polymarket.capabilities import CAPABILITIES
from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.live import PAIRS_HELD, Live
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.runner.capabilities import Capability, settle
from pmrun.runner.facts import MarketStatus, Merged, Printed, StatusChanged
from pmrun.runner.hooks import NO_BOOK, WHOLE_BOOK, Depth, Look
from pmrun.runner.intents import Merge, Reason
from pmrun.runner.market import Outcome
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import ONE, SECOND, Cash, Micros, Price


def a_feed(*notes):
    rows = RowBuilder()
    rows.book(NOON, NOON, 1, 0, Outcome.YES, levels("0.49x100"), levels("0.51x100"))
    for second in (1, 2, 3):
        at = Micros(NOON + second * SECOND)
        rows.trade(at, at, 1 + second, 0, Outcome.NO, SELL, Price(5100), shares("7"))
    info = FeedInfo(
        name="made", source="", simulated=True, data_hash="", frames=4, prints=3, first_at=NOON, last_at=NOON
    )
    return FeedData(markets=(market(),), steps=(100,), rows=rows.build(), notes=notes, info=info)


def opened(*notes, depth=WHOLE_BOOK, **settings):
    return Paper(**settings).open(a_feed(*notes), Queue(), depth, False)


def merge(number=1):
    return Merge(NOON, number, FIRST, shares("20"), Reason("pairs"))


def test_pairs_become_cash_after_the_way_there_the_merge_and_the_way_back():
    exchange = opened(submit_latency=Micros(50_000), merge_delay=Micros(2 * SECOND), answer_latency=Micros(70_000))
    exchange.submit([merge()], NOON)
    heard = []
    while (due := exchange.next_due()) is not None:
        heard += [(due, fact) for fact in exchange.due(due)]
    told = NOON + 2 * SECOND + 120_000
    assert heard == [(told, Merged(Micros(told), 1, FIRST, shares("20"), Cash(20_000_000)))]
    assert "merges are simulated: pairs are cash 2 s after the request, and it costs no gas" in exchange.remarks()


def test_a_resolved_market_has_paid_its_pairs_already():
    exchange = opened(StatusChanged(NOON, FIRST, MarketStatus.RESOLVED, Price(ONE)))
    exchange.due(NOON)
    exchange.submit([merge()], NOON)
    facts = []
    while (due := exchange.next_due()) is not None:
        facts += exchange.due(due)
    assert [(fact.size, fact.cash, fact.reason) for fact in facts] == [(0, 0, "market resolved")]


@pytest.mark.parametrize("prints", [True, False])
def test_prints_are_told_to_those_who_learn_from_them_when_they_have_happened(prints):
    exchange = opened(depth=Depth(Look.PRICES, 1, prints=prints))
    exchange.advance(Micros(NOON + 2 * SECOND))
    found = [fact for fact in exchange.due(Micros(NOON + 2 * SECOND)) if isinstance(fact, Printed)]
    # A sale of NO at 0.51 is a purchase of YES at 0.49.
    wanted = [(NOON + second * SECOND, "BUY", 4900, shares("7")) for second in (1, 2)]
    assert [(each.at, str(each.side), each.price, each.size) for each in found] == (wanted if prints else [])
    assert exchange.due(Micros(NOON + 2 * SECOND)) == []


def test_whoever_wants_prints_is_heard_whatever_the_others_look_at():
    for one, other in ((Depth(prints=True), NO_BOOK), (NO_BOOK._replace(prints=True), WHOLE_BOOK)):
        assert one.also(other).prints and other.also(one).prints
    assert not WHOLE_BOOK.also(NO_BOOK).prints


def test_an_armed_run_says_at_the_start_that_pairs_stay_held():
    armed = Live(armed=True, max_order_usd=Cash(1), max_resting_usd=Cash(1))
    (said,) = settle(CAPABILITIES.without(armed.lacks), {"desk.merge_from": [Capability.MERGE]})
    assert (said.capability, said.how) == (Capability.MERGE, PAIRS_HELD)
    assert settle(CAPABILITIES.without(Live().lacks), {"desk.merge_from": [Capability.MERGE]}) == ()
