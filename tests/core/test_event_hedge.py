"""Covering NO of one market with NO of another of its event, where that is cheaper than selling it (P10)."""

import pytest
from scenes import (
    BUY,
    NO,
    NOON,
    SELL,
    YES,
    Minds,
    a_holding,
    bid,
    book,
    bought,
    canceled,
    cancels,
    failed,
    fill_of,
    later,
    make_desk,
    market,
    news,
    only,
    places,
    resting,
    shares,
    tell,
    told,
    why,
)

from pmrun.plugins.hedging.event_hedge import EventHedge
from pmrun.plugins.hedging.hedge_sell import HedgeSell
from pmrun.plugins.risk.event_loss import EventLoss
from pmrun.runner.covers import Covers, covers_said
from pmrun.runner.facts import FundsSeen, HoldingSeen, MarketStatus, StatusChanged, TimerDue, Together
from pmrun.runner.hooks import Objection, Sibling, Unhedged, hookimpl
from pmrun.runner.intents import Place, Refuse
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import ConditionId, FeeTerms, MarketNo
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.units import Cash, parse_cash, parse_price

A, B, C = MarketNo(0), MarketNo(1), MarketNo(2)
DEAR = book("0.35x500 0.34x500", "0.45x500 0.46x500")  # NO sells at 0.55
LIKELY = book("0.60x500 0.59x500", "0.62x500 0.63x500")  # NO costs 0.40 there: covering is worth 0.60
UNLIKELY = book("0.05x500 0.04x500", "0.07x500 0.08x500")  # NO costs 0.95 there


def of_event(count=2, **changes):
    terms = {"event": "who wins", "neg_risk": True} | changes
    return [market(condition=ConditionId(f"0xc{number}"), slug=f"m{number}", **terms) for number in range(count)]


def event_desk(*shown, hedging=None, components=None, funds="1000", **terms):
    """A desk that quotes nothing, in an event of as many markets as books are shown."""
    more = {"hedging": hedging or EventHedge(may_take=True), **(components or {})}
    desk, _ = make_desk(components=more, terms=of_event(len(shown), **terms), funds=funds)
    facts = [told(each, no=number) for number, each in enumerate(shown) if each is not None]
    return desk, tell(desk, Together(NOON, tuple(facts)))


def holds(desk, no=A, size="20", cost="0.60", outcome=NO, at=NOON):
    """Let a market hold shares, settled."""
    paid = Cash(parse_price(cost) * shares(size) // 10_000)
    return desk.handle(HoldingSeen(at, no, outcome, shares(size), paid))


def asked(intents):
    """Say market, outcome, side, price, shares and purpose of what is placed."""
    return [
        (one.market, str(one.outcome), str(one.side), one.price / 10_000, one.size / 1e6, str(one.purpose))
        for one in only(Place, intents)
    ]


def gaps(intents):
    return [
        (one.market, one.reasons[0].code, one.size / 1e6) for one in only(Refuse, intents) if one.purpose != "quote"
    ]


BOUGHT = [(B, "NO", "BUY", 0.40, 20.0, "hedge")]
SOLD = [(A, "NO", "SELL", 0.55, 20.0, "hedge")]


# When.


def test_no_is_covered_by_no_of_another_market_where_that_brings_more_than_selling_it():
    desk, _ = event_desk(DEAR, LIKELY)
    intents = holds(desk)
    assert asked(intents) == BOUGHT
    assert not only(Place, intents)[0].post_only
    assert only(Place, intents)[0].reason.code == "event_take"
    assert gaps(intents) == [(A, "buys_sibling", 20.0)]
    covers = Covers()
    covers.record(TimerDue(NOON), intents)
    covers.record(fill_of(desk.orders[OrderNo(1)], "5", "t1"), [])
    assert covers_said(covers.summary()) == "1 placed (event_take 1), 1 filled: 5 shares, $2.00"


def test_hedge_sell_would_sell_the_same_shares():
    desk, _ = event_desk(DEAR, LIKELY, hedging=HedgeSell(may_take=True))
    assert asked(holds(desk)) == SOLD


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_it_does_not_matter_which_market_is_listed_first(order):
    holder, other = order
    shown = {holder: DEAR, other: LIKELY}
    desk, _ = event_desk(shown[A], shown[B])
    assert asked(holds(desk, holder)) == [(other, "NO", "BUY", 0.40, 20.0, "hedge")]


@pytest.mark.parametrize(
    ("yes_bid", "covers"), [("0.57", True), ("0.56", True), ("0.5599", False), ("0.55", False), ("0.30", False)]
)
def test_a_dollar_less_the_price_elsewhere_must_beat_the_own_exit_by_the_saving(yes_bid, covers):
    desk, _ = event_desk(DEAR, book(f"{yes_bid}x500", "0.70x500"), tick=parse_price("0.0001"))
    assert [one[0] for one in asked(holds(desk))] == [B if covers else A]


@pytest.mark.parametrize(("rate", "covers"), [(0, True), (40_000, False)])
def test_fees_of_both_sides_count(rate, covers):
    """Selling at 0.99 costs next to no fee, buying at 0.50 costs the most: 1% at a rate of 4%."""
    cheap, even = book("0.48x500 0.47x500", "0.50x500 0.51x500"), book("0.515x500", "0.70x500")
    tick = parse_price("0.005")
    desk, _ = event_desk(cheap, even, fees=FeeTerms(rate_ppm=0), tick=tick)
    assert asked(holds(desk, cost="0.50"))[0][0] == B
    terms = [*of_event(1, tick=tick), *of_event(2, fees=FeeTerms(rate_ppm=rate), tick=tick)[1:]]
    desk, _ = make_desk(components={"hedging": EventHedge(may_take=True)}, terms=terms)
    tell(desk, told(cheap), told(even, no=1))
    assert (asked(holds(desk, cost="0.50"))[0][0] == B) is covers


def test_only_what_the_asks_sell_cheaply_enough_is_bought_and_the_rest_is_sold():
    desk, _ = event_desk(DEAR, book("0.60x12 0.50x500", "0.62x500"))
    assert asked(holds(desk)) == [(A, "NO", "SELL", 0.55, 8.0, "hedge"), (B, "NO", "BUY", 0.40, 12.0, "hedge")]


@pytest.mark.parametrize("terms", [{"neg_risk": False}, {"event": None}, {"event": None, "neg_risk": False}])
def test_markets_that_may_both_win_cover_nothing(terms):
    desk, _ = event_desk(DEAR, LIKELY, **terms)
    assert asked(holds(desk)) == SOLD


def test_markets_of_two_events_cover_nothing():
    terms = [of_event(1)[0], of_event(2, event="who else")[1]]
    desk, _ = make_desk(components={"hedging": EventHedge(may_take=True)}, terms=terms)
    tell(desk, told(DEAR), told(LIKELY, no=1))
    assert asked(holds(desk)) == SOLD


def test_yes_is_never_covered_since_nobody_says_that_one_of_the_markets_must_win():
    desk, _ = event_desk(LIKELY, book("0.01x500", "0.02x500"))
    assert asked(holds(desk, outcome=YES, cost="0.62")) == [(A, "YES", "SELL", 0.60, 20.0, "hedge")]


def test_nothing_is_bought_where_yes_is_held_or_no_book_is_known_or_the_market_is_halted():
    desk, _ = event_desk(DEAR, None)
    assert asked(holds(desk)) == SOLD
    desk, _ = event_desk(DEAR, LIKELY)
    desk.handle(StatusChanged(NOON, B, MarketStatus.HALTED))
    assert asked(holds(desk)) == SOLD
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk, B, "6", "0.62", YES)
    assert asked(holds(desk)) == SOLD


def test_no_with_yes_beside_it_is_sold_and_not_covered():
    held = a_holding(NO, "20", "0.60")
    assert [one.side for one in orders_in(B, {A: held})] == [BUY]
    held.of(YES).confirmed, held.of(YES).cost = shares("6"), parse_cash("2.28")
    assert orders_in(B, {A: held}) == []
    assert [(one.outcome, one.size) for one in orders_in(A, {A: held})] == [(YES, shares("6")), (NO, shares("20"))]


def test_a_market_of_which_more_is_held_covers_nothing_since_it_could_win():
    """NO of A and of B cover each other; with more of B beside NO of C the event would lose more, should B win."""
    holdings = {A: a_holding(NO, "10", "0.60"), B: a_holding(NO, "10", "0.40"), C: a_holding(NO, "30", "0.60")}
    shown = (LIKELY, LIKELY, DEAR)
    assert [(one.side, one.size) for one in orders_in(C, holdings, shown)] == [(SELL, shares("30"))]
    assert orders_in(A, holdings, shown) == orders_in(B, holdings, shown) == []


def test_a_part_too_fine_to_sell_does_not_hide_what_is_covered():
    holdings = {A: a_holding(NO, "20.004", "0.60"), B: a_holding(NO, "20", "0.40")}
    (gap,) = EventHedge(may_take=True).hedge(*asked_in(A, holdings))
    assert (gap.code, gap.size) == ("covered_by_sibling", shares("20.004"))


def orders_in(no, holdings, shown=(DEAR, LIKELY)):
    answer = EventHedge(may_take=True).hedge(*asked_in(no, holdings, shown))
    return [one for one in answer if not isinstance(one, Unhedged)]


class NotThere:
    """A filter that drops one market."""

    @hookimpl
    def reject_market(self, market):
        return Objection("not_there") if market.slug == "m1" else None


def test_nothing_is_bought_in_a_market_that_is_not_selected():
    desk, _ = event_desk(DEAR, LIKELY, components={"filters.there": NotThere()})
    assert asked(holds(desk)) == SOLD


class Asked:
    """A hedging that only writes down where it is asked."""

    def __init__(self):
        self.markets = []

    @hookimpl
    def hedge(self, market_no):
        self.markets.append(market_no)


class AskedOfEvent(Asked):
    @hookimpl
    def hedge(self, market_no, siblings):
        self.markets.append((market_no, [each.no for each in siblings]))


def test_only_a_hedging_that_names_siblings_is_asked_where_nothing_is_held():
    alone, together = Asked(), AskedOfEvent()
    for hedging in (alone, together):
        desk, _ = event_desk(DEAR, LIKELY, hedging=hedging)
        assert hedging.markets == []
        holds(desk)
        tell(desk, told(UNLIKELY, later(1), no=1))
    assert set(alone.markets) == {A}
    assert together.markets == [(A, [A, B]), (B, [A, B])] * 2


def test_the_best_of_several_markets_is_bought_and_only_that():
    desk, _ = event_desk(DEAR, book("0.58x500", "0.70x500"), LIKELY)
    assert asked(holds(desk)) == [(C, "NO", "BUY", 0.40, 20.0, "hedge")]


# Taking and resting.


def test_without_may_take_a_bid_joins_the_best_one_where_the_own_exit_would_rest_as_well():
    desk, _ = event_desk(DEAR, LIKELY, hedging=EventHedge())
    intents = holds(desk)
    assert asked(intents) == [(B, "NO", "BUY", 0.38, 20.0, "hedge")]
    (placed,) = only(Place, intents)
    assert placed.post_only
    assert placed.reason.code == "event_rest"


def test_a_stop_loss_is_not_put_off_by_a_bid_that_only_rests():
    answers = EventHedge(min_saving=parse_price("0.0001"))
    desk, _ = event_desk(DEAR, LIKELY, hedging=answers)
    assert asked(holds(desk, cost="0.70"))[0][:3] == (A, "NO", "SELL")


def test_a_stop_loss_takes_the_cheaper_way():
    desk, _ = event_desk(DEAR, LIKELY)
    assert asked(holds(desk, cost="0.70")) == BOUGHT


def test_a_bid_that_rests_follows_the_market_and_never_stands_twice():
    desk, _ = event_desk(DEAR, LIKELY, hedging=EventHedge())
    holds(desk)
    tell(desk, resting(1))
    moved = book("0.60x500", "0.61x500")
    intents = tell(desk, told(moved, later(1), no=1))
    assert (cancels(intents), places(intents)) == ([1], [])
    assert asked(tell(desk, canceled(1, later(2)))) == [(B, "NO", "BUY", 0.39, 20.0, "hedge")]


# Never twice.


def test_an_exit_that_works_leaves_before_anything_is_bought_for_its_shares():
    desk, _ = event_desk(DEAR, UNLIKELY)
    assert asked(holds(desk)) == SOLD
    tell(desk, resting(1))
    intents = tell(desk, told(LIKELY, later(1), no=1))
    assert (cancels(intents), asked(intents)) == ([1], [])
    assert asked(tell(desk, canceled(1, later(2)))) == BOUGHT


def test_a_purchase_that_works_leaves_before_its_shares_are_sold():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    tell(desk, resting(1))
    intents = tell(desk, told(UNLIKELY, later(1), no=1))
    assert (cancels(intents), asked(intents)) == ([1], [])
    assert asked(tell(desk, canceled(1, later(2)))) == SOLD


def test_what_filled_while_the_exit_left_is_not_covered_as_well():
    desk, _ = event_desk(DEAR, UNLIKELY)
    holds(desk)
    tell(desk, resting(1), told(LIKELY, later(1), no=1))
    bought(desk, "12", at=later(2))
    assert asked(tell(desk, canceled(1, later(3)))) == [(B, "NO", "BUY", 0.40, 8.0, "hedge")]


def test_a_covered_pair_is_held_and_shown_as_covered():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    intents = tell(desk, resting(1)) + bought(desk, "20")
    assert asked(intents) == []
    assert (A, "covered_by_sibling", 20.0) in gaps(intents)
    assert (B, "covered_by_sibling", 20.0) in gaps(intents)
    assert asked(tell(desk, TimerDue(later(60)), told(LIKELY, later(61), no=1), told(DEAR, later(62)))) == []
    assert desk.markets[A].inventory.of(NO).held == desk.markets[B].inventory.of(NO).held == shares("20")


def test_half_a_purchase_covers_half():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    tell(desk, resting(1))
    bought(desk, "12")
    dearer = book("0.55x500", "0.56x500")
    assert asked(tell(desk, told(dearer, later(1), no=1), canceled(1, later(2)))) == [
        (A, "NO", "SELL", 0.55, 8.0, "hedge")
    ]


def test_a_purchase_that_fails_to_settle_covers_nothing():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    tell(desk, resting(1))
    desk.handle(fill_of(desk.orders[OrderNo(1)], "20", "t1"))
    assert asked(tell(desk, failed(1, "t1", later(1)))) == BOUGHT


def test_shares_that_are_not_settled_are_covered_at_once():
    hedging = EventHedge(may_take=True)
    answer = hedging.hedge(*asked_in(A, {A: a_holding(NO, "20", "0.60", pending="20")}))
    assert [one.code for one in answer] == ["buys_sibling"]
    (purchase,) = hedging.hedge(*asked_in(B, {A: a_holding(NO, "20", "0.60", pending="20")}))
    assert (purchase.outcome, purchase.side, purchase.size) == (NO, BUY, shares("20"))


def asked_in(no, holdings, shown=(DEAR, LIKELY)):
    """What the hook is asked with in one market."""
    terms, none = of_event(len(shown)), Inventory()
    members = [
        Sibling(MarketNo(number), terms[number], each, holdings.get(number, none), [], may_buy=True)
        for number, each in enumerate(shown)
    ]
    return terms[no], no, shown[no], holdings.get(no, none), [], NOON, members


@pytest.mark.parametrize(
    ("held", "sold"), [(("20", "20", "20"), 20.0), (("20", "10", "10"), None), (("20", "5", "5"), 10)]
)
def test_of_three_markets_each_share_covers_once(held, sold):
    holdings = {number: a_holding(NO, size, "0.50") for number, size in enumerate(held)}
    shown = [book("0.49x500", "0.51x500")] * 3
    wanted = []
    for no in (A, B, C):
        answer = EventHedge(may_take=True).hedge(*asked_in(no, holdings, shown))
        wanted += [one.size / 1e6 for one in answer if hasattr(one, "price")]
        assert all(one.side is SELL for one in answer if hasattr(one, "price"))
    assert wanted == ([] if sold is None else [sold])


def test_a_pair_is_sold_where_both_books_pay_more_than_the_dollar_it_is_worth_at_least():
    """NO of two outsiders at 0.93 each: to hold them as a pair would be to hold $1.86 for the sake of a dollar."""
    desk, _ = event_desk(UNLIKELY, UNLIKELY)
    assert asked(holds(desk, A, cost="0.94")) == [(A, "NO", "SELL", 0.93, 20.0, "hedge")]
    assert asked(holds(desk, B, cost="0.94")) == [(B, "NO", "SELL", 0.93, 20.0, "hedge")]


# What may go wrong.


def test_without_the_cash_to_buy_the_shares_are_sold():
    desk, _ = event_desk(DEAR, LIKELY, funds="1")
    intents = holds(desk)
    assert asked(intents) == []
    assert why(intents) == ["buys_sibling", "funds"]
    assert asked(tell(desk, TimerDue(later(0.1)))) == SOLD


def test_a_rejected_purchase_is_not_tried_again_for_a_while():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    assert asked(tell(desk, news(1, News.REJECTED, later(1)), TimerDue(later(1)))) == SOLD
    tell(desk, resting(2, later(1)))
    assert asked(tell(desk, told(LIKELY, later(2), no=1), TimerDue(later(50)))) == []
    intents = tell(desk, TimerDue(later(61)))
    assert cancels(intents) == [2]
    assert asked(tell(desk, canceled(2, later(62)))) == BOUGHT


def test_a_market_that_halts_lets_its_purchase_go_and_the_shares_are_sold():
    desk, _ = event_desk(DEAR, LIKELY)
    holds(desk)
    tell(desk, resting(1))
    assert cancels(tell(desk, StatusChanged(later(1), B, MarketStatus.HALTED))) == [1]
    assert asked(tell(desk, canceled(1, later(2)))) == SOLD


def test_a_quote_of_ours_makes_way_for_the_purchase():
    desk, rule = make_desk(components={"hedging": EventHedge(may_take=True)}, terms=of_event(2))
    rule.quotes = [bid(YES, "0.60")]
    tell(desk, told(DEAR), told(LIKELY, no=1), resting(1), resting(2))
    ours = next(each.no for each in desk.in_play() if each.market == B)
    intents = holds(desk)
    assert ours in cancels(intents)
    assert asked(intents) == []
    assert BOUGHT[0] in asked(tell(desk, canceled(ours, later(1))))


def test_a_check_that_minds_hedges_is_heard():
    minds = Minds({NO})
    minds.judges = frozenset({Purpose.HEDGE})
    desk, _ = event_desk(DEAR, LIKELY, components={"risk.minds": minds})
    assert asked(holds(desk)) == []
    minds.outcomes = set()
    assert asked(tell(desk, TimerDue(later(0.1)))) == SOLD


def test_at_the_end_a_purchase_is_cancelled_even_where_exits_stay():
    more = {"hedging": EventHedge(may_take=True)}
    desk, _ = make_desk(components=more, terms=of_event(2), leave_hedges=True)
    tell(desk, told(DEAR), told(LIKELY, no=1))
    holds(desk)
    tell(desk, resting(1))
    desk._acting.out = out = []
    desk.stop("interrupted")
    assert cancels(out) == [1]


def test_the_most_an_event_can_lose_is_less_once_it_is_covered():
    """20 NO of A at 0.60 and 20 NO of B at 0.40 cost 20 dollars, and pay 20 whoever wins: nothing is left to lose."""
    bound = EventLoss(parse_cash("0.01"))
    desk, rule = make_desk(components={"hedging": EventHedge(may_take=True), "risk.event": bound}, terms=of_event(2))
    tell(desk, told(DEAR), told(LIKELY, no=1))
    holds(desk)
    tell(desk, resting(1))
    bought(desk, "20")
    rule.quotes = [bid(YES, "0.01")]
    assert "event_loss" in why(tell(desk, told(DEAR, later(1))))
    costs = sum(state.inventory.cost for state in desk.markets.values())
    assert costs == parse_cash("20")
    assert tell(desk, FundsSeen(later(2), parse_cash("100"))) == []


@pytest.mark.parametrize("value", [0, -1, 10_000])
def test_a_saving_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="min_saving must be above 0 and below 1 dollar"):
        EventHedge(min_saving=value)
