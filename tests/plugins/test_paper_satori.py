"""Paper where no order is post-only and calls are few: it agrees with the embedded exchange (V1, V2, V5)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.terms import Request
from pmrun.plugins.exchanges.satori.terms import SHARE, Satori
from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.executors.paper_exchange import PaperExchange
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.runner.facts import Filled, OrderNews
from pmrun.runner.hooks import WHOLE_BOOK
from pmrun.runner.intents import Cancel, Place, Reason
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, Size
from pmrun.runner.unsent import BOOK_UNKNOWN, NO_TURN, PULLED, WOULD_TAKE, never_sent

NOON = Micros(1_790_000_000_000_000)
MS = 1_000
AT_NO_RISK = (((4_000, 500),), ((6_000, 500),))
RAIN = Market(
    condition=ConditionId("0x" + "01" * 32),
    question="Will it rain? (simulated)",
    slug="rain",
    yes=TokenId("1001"),
    no=TokenId("1002"),
    tick=Price(100),
    min_order_size=Size(5 * SHARE),
)
Levels = tuple[tuple[int, int], ...]  # price and shares


def paper_on(*books: tuple[int, tuple[Levels, Levels]]) -> PaperExchange:
    """Open paper under the exchange's rules; `books` are milliseconds since noon and what is shown from then on."""
    rows = RowBuilder()
    for frame, (after, sides) in enumerate(books, 1):
        at = Micros(NOON + after * MS)
        shown = [tuple((Price(p), Size(s * SHARE)) for p, s in side) for side in sides]
        rows.book(at, at, frame, 0, Outcome.YES, *shown)
    built = rows.build()
    named = {"name": "made up", "source": "test", "simulated": True, "data_hash": ""}
    info = FeedInfo(**named, frames=len(books), prints=0, first_at=NOON, last_at=NOON)
    data = Satori().data(FeedData(markets=(RAIN,), steps=(100,), rows=built, notes=(), info=info))
    latency = {"submit_latency": Micros(100 * MS), "answer_latency": Micros(0)}
    paper = Paper(**latency).open(data, Queue(), WHOLE_BOOK, False)
    paper.opening()
    return paper


def played(paper: PaperExchange, until: int) -> list[Any]:
    """Let time go by as a run does; return what is told."""
    end, facts = Micros(NOON + until * MS), []
    while True:
        due = paper.next_due()
        paper.advance(end if due is None else min(end, due))
        due = paper.next_due()
        if due is None or due > end:
            return facts
        facts += paper.due(due)


def quote(number: int, side: Side, price: int, shares: int, after: int = 0) -> Place:
    at, size = Micros(NOON + after * MS), Size(shares * SHARE)
    no = OrderNo(number)
    return Place(at, no, MarketNo(0), Outcome.YES, side, Price(price), size, Purpose.QUOTE, True, Reason("test"))


def at_the_exchange(levels: Levels, order: Place) -> tuple[list[tuple[int, ...]], bool]:
    """Place the order at the embedded exchange, where those levels rest; return its fills, and whether it rests."""
    now = [NOON]
    engine = Engine([Satori().market(RAIN)], lot=SHARE)
    host = SatoriHost(Ground.of(engine), lambda: now[0], None, SatoriSettings(limits=False), 0)
    us = host.add_account("anne@example.com", "secret", Cash(10**9), {RAIN.yes: Size(500 * SHARE)})
    for price, shares in levels:
        engine.crowd_set(0, order.side.opposite, Price(price), Size(shares * SHARE), NOON)
    sides, quantity = {Side.BUY: 1, Side.SELL: 2}, order.size // SHARE
    body = {"market_id": RAIN.condition, "outcome_id": f"{RAIN.condition}-yes", "side": sides[order.side]}
    sent = json.dumps(body | {"price": order.price, "quantity": quantity}).encode()
    said = {"authorization": f"Bearer {us.token}"}
    reply = host.answer(Request(method="POST", path="/api/v1/orders", headers=said, body=sent))
    assert reply.status == 202, "it is accepted before anybody knows what it reaches"
    now[0] = Micros(NOON + 10 * SECOND)
    host.pump()
    (record,) = host.records.of(us.user_id)
    fills = [(fill.price, fill.quantity, fill.fee - fill.rebate, fill.maker) for fill in record.fills]
    return fills, record.active


CENTS = st.integers(45, 55).map(lambda cents: 100 * cents)


@given(
    side=st.sampled_from(list(Side)),
    shown=st.dictionaries(CENTS, st.integers(1, 40), min_size=1, max_size=5),
    price=CENTS,
    shares=st.integers(1, 100),
)
def test_an_order_that_crosses_by_the_time_it_arrives_takes_what_the_exchange_would_have_it_take(
    side, shown, price, shares
):
    levels = tuple(sorted(shown.items(), reverse=side is Side.SELL))
    order = quote(1, side, price, shares)
    moved = (((4_000, 500),), levels) if side is Side.BUY else (levels, ((6_000, 500),))
    paper = paper_on((0, AT_NO_RISK), (50, moved))
    assert played(paper, 0) == []
    paper.submit([order], NOON)
    facts = played(paper, 1_000)
    filled = [fact for fact in facts if isinstance(fact, Filled)]
    news = [fact.news for fact in facts if isinstance(fact, OrderNews)]
    mine = [(fill.price, fill.size // SHARE, int(fill.fee), fill.maker) for fill in filled]
    assert (mine, news == [News.RESTING]) == at_the_exchange(levels, order)
    took = any("took on arrival" in said for said in paper.remarks())
    assert took is bool(filled), "and the notes say so"


def test_what_was_taken_once_is_taken_from_nobody_and_the_next_order_rests():
    paper = paper_on((0, AT_NO_RISK), (50, (((4_000, 500),), ((4_700, 30),))))
    played(paper, 0)
    paper.submit([quote(1, Side.BUY, 4_700, 20), quote(2, Side.BUY, 4_700, 20)], NOON)
    facts = played(paper, 1_000)
    assert [(f.order, f.size // SHARE) for f in facts if isinstance(f, Filled)] == [(1, 20), (2, 10)]
    assert [(f.order, f.news) for f in facts if isinstance(f, OrderNews)] == [(2, News.RESTING)]


@pytest.mark.parametrize(
    ("shown", "why"),
    [((((4_000, 500),), ((4_700, 30),)), WOULD_TAKE), (((), ()), BOOK_UNKNOWN)],
    ids=["the book crosses", "the book is not known"],
)
def test_an_order_that_would_take_by_the_book_as_it_is_never_leaves_and_costs_no_call(shown, why):
    paper = paper_on((0, shown))
    paper.advance(NOON)
    paper.submit([quote(1, Side.BUY, 4_700, 20)], NOON)
    (told,) = played(paper, 1_000)
    assert (told.news, told.reason) == (News.REJECTED, why)
    assert never_sent(why)
    paper.submit([quote(number, Side.BUY, 3_900, 5, 1_000) for number in range(2, 22)], Micros(NOON + 1_000 * MS))
    resting = [each for each in played(paper, 2_000) if each.news is News.RESTING]
    assert len(resting) == (15 if why is WOULD_TAKE else 0), "half of thirty calls: the others are kept for cancels"


def test_orders_that_had_no_turn_are_told_and_noted_and_none_is_noted_where_all_had_theirs():
    paper = paper_on((0, AT_NO_RISK))
    paper.advance(NOON)
    paper.submit([quote(number, Side.BUY, 3_900, 5) for number in range(1, 16)], NOON)
    assert {fact.news for fact in played(paper, 1_000)} == {News.RESTING}
    assert not any("no turn" in said or "had" in said for said in paper.remarks()), paper.remarks()
    at = Micros(NOON + 1_000 * MS)
    more = [quote(number, Side.BUY, 3_900, 5, 1_000) for number in (16, 17)]
    paper.submit(more, at)
    paper.submit([Cancel(at, OrderNo(17), Reason("test"))], at)
    told = [(fact.order, fact.reason) for fact in played(paper, 8_000)]
    assert told == [(17, PULLED), (16, NO_TURN)]
    assert "30 order calls a minute: 1 order had no turn in time and never left" in paper.remarks()


def test_an_exit_of_one_share_may_take_at_any_price_there():
    """Polymarket asks for a dollar; SatoriEx for a share."""
    terms = Satori().market(RAIN)
    assert (RAIN.min_take, terms.min_take, terms.min_order_size) == (Cash(1_000_000), Cash(0), SHARE)
