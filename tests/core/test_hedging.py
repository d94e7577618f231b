"""Selling what was bought: price steps, stop loss, take profit, retries (R9, R10)."""

import pytest
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    SELL,
    YES,
    Minds,
    a_holding,
    an_order,
    bid,
    book,
    book_at,
    bought,
    canceled,
    cancels,
    confirmed,
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

from pmrun.plugins.hedging.hedge_sell import HedgeSell
from pmrun.plugins.risk.two_sided import TwoSided
from pmrun.runner.facts import FeedLost, OrderNews, TimerDue
from pmrun.runner.hooks import Unhedged
from pmrun.runner.intents import Observed, Place, Refuse
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.units import Price, parse_price


def exits(shown, held="20", cost="0.50", outcome=YES, working=(), at=NOON, hedging=None, pending="0", **terms):
    """Ask the hedging about one holding."""
    inventory = a_holding(outcome, held, cost, pending)
    hedging = hedging or HedgeSell(may_take=True)
    return hedging.hedge(market(**terms), FIRST, shown, inventory, list(working), at)


def step(answer):
    """Say basis, price and whether it may take, of the one exit."""
    (one,) = answer
    assert one.side is SELL
    return one.basis, f"{one.price / 10_000:g}", one.may_take


def seen(outcome, bids, asks="0.80x100 0.81x100"):
    """A book as the outcome sees it."""
    return book(bids, asks).seen_by(outcome)


def test_settings_have_the_seeds_names_and_numbers():
    hedging = HedgeSell(may_take=True)
    assert hedging.max_bid_gap == parse_price("0.05")
    assert hedging.min_profit_margin_bps == 5
    assert hedging.stop_loss_pct == hedging.take_profit_pct == 0.10
    assert hedging.dynamic_follow_enabled is True
    assert (hedging.max_retries, hedging.retry_delay, hedging.cooldown) == (10, 1_000_000, 30_000_000)


@pytest.mark.parametrize("outcome", [YES, NO])
@pytest.mark.parametrize(
    ("bids", "basis", "price", "takes"),
    [
        ("0.50x20 0.49x100", "hedge_cover", "0.5", True),  # the best bid takes all of it
        ("0.50x19 0.49x1 0.48x100", "hedge_cover", "0.49", True),  # down to the level that completes it
        ("0.50x19 0.49x0.99 0.48x100", "hedge_cover", "0.48", True),
        ("0.50x1 0.45x19 0.40x100", "hedge_cover", "0.45", True),  # exactly max_bid_gap away
        ("0.50x1 0.4499x19 0.40x100", "hedge_best_bid", "0.5", True),  # a hair further: the best bid, for what it takes
        ("0.4501x1 0.44x100", "hedge_best_bid", "0.4501", True),
        ("0.4598x1 0.44x100", "hedge_best_bid", "0.4598", True),
    ],
)
def test_a_fill_is_sold_into_bids_near_its_price(outcome, bids, basis, price, takes):
    assert step(exits(seen(outcome, bids), outcome=outcome, tick=Price(1))) == (basis, price, takes)


@pytest.mark.parametrize(
    ("cost", "bids", "asks", "price"),
    [
        ("0.60", "0.54x50 0.53x50", "0.56x50", "0.61"),  # the cost is higher than the mid: 0.6003, up to the tick
        ("0.60", "0.5499x1", "0.75x50", "0.66"),  # the mid is higher: 0.64995 + 5 bps = 0.6503
        ("0.60", "0.5499x1", "0.71x50", "0.64"),  # 0.62995 + 5 bps = 0.6303
        ("0.60", "0.5495x1", "0.70x50", "0.63"),  # 0.62475 + 5 bps = 0.6251
        ("0.5997", "0.54x1", "0.56x50", "0.6"),  # 0.5997 + 5 bps is 0.59999985: just below the tick
        ("0.5998", "0.54x1", "0.56x50", "0.61"),
    ],
)
def test_with_no_bid_near_it_rests_above_its_cost(cost, bids, asks, price):
    hedging = HedgeSell(may_take=True, stop_loss_pct=None)
    shown = book(bids, asks)
    assert step(exits(shown, cost=cost, hedging=hedging)) == ("hedge_rest", price, False)


@pytest.mark.parametrize("outcome", [YES, NO])
@pytest.mark.parametrize(
    ("best", "basis"),
    [("0.72", "stop_loss"), ("0.7201", "hedge_rest"), ("0.74", "hedge_rest"), ("0.75", "hedge_cover")],
)
def test_a_tenth_below_its_cost_everything_is_sold(outcome, best, basis):
    shown = seen(outcome, f"{best}x100 0.02x100", "0.90x10 0.91x10")
    answer = step(exits(shown, cost="0.80", outcome=outcome))
    assert answer[0] == basis
    assert answer[2] is (basis != "hedge_rest")


@pytest.mark.parametrize(
    ("bids", "price"),
    [
        ("0.40x5 0.35x15 0.10x100", "0.35"),  # the level that completes it
        ("0.40x5 0.30x15 0.10x100", "0.3"),  # exactly stop_loss_max_slippage below the best bid
        ("0.40x5 0.29x15 0.01x100", "0.3"),  # no deeper: the rest waits there
        ("0.40x5 0.35x1", "0.35"),  # there is no more
    ],
)
def test_a_stop_loss_sells_no_deeper_than_its_slippage(bids, price):
    assert step(exits(seen(YES, bids), cost="0.80")) == ("stop_loss", price, True)


def test_without_a_limit_of_slippage_a_stop_loss_sells_however_deep():
    all_in = HedgeSell(may_take=True, stop_loss_max_slippage=None)
    assert step(exits(seen(YES, "0.40x5 0.10x100"), cost="0.80", hedging=all_in)) == ("stop_loss", "0.1", True)
    assert step(exits(seen(YES, "0.40x5 0.10x1"), cost="0.80", hedging=all_in)) == ("stop_loss", "0.1", True)


@pytest.mark.parametrize(("bids", "price"), [("0.955x100", "0.95"), ("0.95x100", "0.95"), ("0.005x100", "0.01")])
def test_an_exit_is_on_the_tick_even_where_the_bid_it_sells_into_is_not(bids, price):
    assert step(exits(book(bids, "0.99x9"), cost="0.95"))[1] == price


def test_a_rejection_told_twice_is_one():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    exit_no = max(desk.orders)
    for _ in range(12):
        desk.handle(OrderNews(NOON, OrderNo(exit_no), News.REJECTED, "not enough balance / allowance"))
    assert places(desk.handle(TimerDue(later(1)))) == [(YES, SELL, "0.41")]


@pytest.mark.parametrize(("best", "basis"), [("0.55", "take_profit"), ("0.5499", "hedge_cover")])
def test_a_tenth_above_its_cost_the_profit_is_taken(best, basis):
    assert step(exits(seen(YES, f"{best}x100 0.02x100")))[0] == basis


def test_a_profit_is_not_given_back_by_selling_deep():
    assert step(exits(seen(YES, "0.60x5 0.30x100"))) == ("take_profit", "0.6", True)
    assert step(exits(seen(YES, "0.60x5 0.50x15"))) == ("take_profit", "0.5", True)


def test_purposes_tell_an_exit_at_the_stop_from_a_hedge():
    assert exits(seen(YES, "0.50x100"))[0].purpose is Purpose.HEDGE
    assert exits(seen(YES, "0.40x100"))[0].purpose is Purpose.FLATTEN


def test_what_is_not_settled_is_shown_and_not_sold():
    answer = exits(seen(YES, "0.50x100"), held="20", pending="20")
    assert answer == [Unhedged(YES, shares("20"), "awaiting_settlement", {"size": shares("20")})]


@pytest.mark.parametrize(("held", "sells"), [("5", True), ("4.999999", False)])
def test_fewer_shares_than_the_exchange_takes_are_shown(held, sells):
    (one,) = exits(seen(YES, "0.50x100"), held=held)
    assert isinstance(one, Unhedged) is not sells
    if not sells:
        assert one.code == "below_min_size"


def test_an_exit_worth_less_than_a_dollar_rests_above_the_bids_because_the_exchange_lets_nobody_take_so_little():
    (takes,) = exits(seen(YES, "0.10x100"), held="10", cost="0.10")
    assert (takes.price, takes.may_take) == (parse_price("0.10"), True)
    (rests,) = exits(seen(YES, "0.10x100"), held="9.99", cost="0.10")
    assert (rests.price, rests.may_take) == (parse_price("0.11"), False)
    assert rests.size == shares("9.99")


def working(price="0.90", size="20", filled="0", no=7, outcome=YES):
    return an_order(no, outcome, SELL, price, size, purpose=Purpose.HEDGE, filled=shares(filled))


def test_more_fills_are_sold_beside_the_exit_that_rests_already():
    shown = book("0.40x1", "0.88x1")
    hedging = HedgeSell(may_take=True, stop_loss_pct=None)
    price = exits(shown, cost="0.60", hedging=hedging)[0].price
    first = working(f"{price / 10_000}")
    kept, more = exits(shown, held="50", cost="0.60", working=[first], hedging=hedging)
    assert (kept.price, kept.size) == (price, shares("20"))
    assert (more.price, more.size) == (price, shares("30"))


def test_a_few_more_shares_replace_the_exit_because_the_exchange_takes_no_order_of_three():
    shown = book("0.40x1", "0.88x1")
    hedging = HedgeSell(may_take=True, stop_loss_pct=None)
    price = exits(shown, cost="0.60", hedging=hedging)[0].price
    (one,) = exits(shown, held="23", cost="0.60", working=[working(f"{price / 10_000}")], hedging=hedging)
    assert one.size == shares("23")


def test_without_dynamic_follow_an_exit_keeps_its_price_until_the_stop():
    stays = HedgeSell(may_take=True, dynamic_follow_enabled=False)
    rests = working("0.70")
    near = exits(book("0.58x100", "0.62x9"), cost="0.60", working=[rests], hedging=stays)
    assert near[0].price == parse_price("0.70")
    follows = exits(book("0.58x100", "0.62x9"), cost="0.60", working=[rests], hedging=HedgeSell(may_take=True))
    assert follows[0].price == parse_price("0.58")
    assert exits(book("0.54x100", "0.62x9"), cost="0.60", working=[rests], hedging=stays)[0].basis == "stop_loss"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_bid_gap", Price(-1)),
        ("max_bid_gap", Price(10_000)),
        ("stop_loss_pct", 0.0),
        ("stop_loss_pct", 1.0),
        ("take_profit_pct", 0.0),
        ("min_profit_margin_bps", -1.0),
        ("max_retries", 0),
        ("cooldown", 0),
        ("stop_loss_max_slippage", Price(-1)),
        ("stop_loss_max_slippage", Price(10_000)),
        ("retry_delay", 0),
    ],
)
def test_settings_that_could_never_sell_are_refused(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must"):
        HedgeSell(**{setting: value})


# Through the desk.


def hedged_desk(*quotes, hedging=None, **more):
    components = {"hedging": hedging or HedgeSell(may_take=True)} | more.pop("components", {})
    return make_desk(*quotes, components=components, **more)


def test_a_fill_is_hedged_at_once_for_exactly_the_filled_part():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    sold = only(Place, bought(desk, "30"))
    assert [(one.side, one.size, one.purpose, one.post_only) for one in sold] == [
        (SELL, shares("30"), Purpose.HEDGE, False)
    ]
    again = only(Place, bought(desk, "70", "t2"))
    assert sum(one.size for one in again if one.purpose is Purpose.HEDGE) == shares("70")


def test_a_fill_that_is_not_settled_is_sold_when_it_is():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    waiting = desk.handle(fill_of(desk.orders[1], "30"))
    assert why(waiting) == ["awaiting_settlement"]
    assert [one.purpose for one in only(Refuse, waiting)] == [Purpose.HEDGE]
    assert [one.side for one in only(Place, desk.handle(confirmed(1)))] == [SELL]


def test_a_fill_that_failed_is_not_sold():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    assert (YES, SELL, "0.41") not in places(tell(desk, fill_of(desk.orders[1], "30"), failed(1)))


def test_a_hedge_comes_before_the_quote_it_would_match():
    desk, says = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    exit_no = max(desk.orders)
    tell(desk, fill_of(desk.orders[exit_no], "60", "x1", later(1)))  # 40 rest at 0.41
    says.quotes = [bid(YES, "0.43")]
    said = desk.handle(book_at("0.40", "0.50", later(2)))
    quotes = [one for one in only(Place, said) if one.purpose is Purpose.QUOTE]
    working = [one for one in desk.in_play() if one.purpose is not Purpose.QUOTE and not one.cancel_sent]
    assert all(quote.price < each.price for quote in quotes for each in working)


def test_quotes_offer_nothing_that_is_hedged():
    desk, says = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    says.quotes = [bid(NO, "0.45")]
    said = desk.handle(book_at("0.41", "0.50", later(1)))
    assert [(one.outcome, one.side) for one in only(Place, said) if one.purpose is Purpose.QUOTE] in ([], [(NO, BUY)])


def rejected(order, at):
    return OrderNews(at, OrderNo(order), News.REJECTED, "not enough balance / allowance")


def test_a_failed_hedge_is_tried_every_second_ten_times_then_gives_an_alarm_and_waits_half_a_minute():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    at, tried, codes = 0.0, 0, []
    while at < 45:
        exits_in_play = [one for one in desk.in_play() if one.purpose is not Purpose.QUOTE]
        if exits_in_play:
            tried += 1
            said = desk.handle(rejected(exits_in_play[0].no, later(at)))
            codes += [(round(at), code) for code in why(said) if code.startswith("hedge")]
        at += 0.5
        desk.handle(TimerDue(later(at)))
    assert codes == [*((second, "hedge_retry") for second in range(10)), (10, "hedge_alarm"), (40, "hedge_alarm")]
    assert tried == 12  # at once, ten retries, and once more after the cool-down


def test_one_hedge_that_rests_ends_the_row_of_failures():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    desk.handle(rejected(max(desk.orders), NOON))
    desk.handle(TimerDue(later(1)))
    desk.handle(resting(max(desk.orders), later(1)))
    assert not desk.hooks.next_wake(FIRST, later(1))


def test_a_lost_hedge_is_looked_at_again_by_the_backstop():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    exit_no = max(desk.orders)
    again = desk.handle(canceled(exit_no, later(1)))  # somebody else cancelled it
    assert [one.side for one in only(Place, again)] == [SELL]


def test_a_blocked_book_pulls_quotes_and_leaves_the_exit():
    desk, _ = hedged_desk(bid(YES, "0.40"), bid(NO, "0.45"))
    tell(desk, book_at("0.41", "0.50"), resting(1), resting(2))
    bought(desk, "100")
    exit_no = max(desk.orders)
    desk.handle(resting(exit_no))
    pulled = cancels(desk.handle(told(book("0.41x9 0.40x9", ""), later(1))))
    assert exit_no not in pulled
    assert 2 in pulled


def test_the_exit_of_what_is_held_goes_on_when_the_market_is_no_longer_selected():
    from pmrun.runner.universe import Rescan

    desk, _ = hedged_desk(
        bid(YES, "0.40"),
        terms=[market(), market(slug="other")],
        max_markets=1,
        rescan=Rescan(every=60_000_000),
    )
    tell(desk, book_at("0.41", "0.50"), resting(1))
    tell(desk, fill_of(desk.orders[1], "50"))
    desk.markets[FIRST].selected = False
    said = desk.handle(confirmed(1))
    assert [one.purpose for one in only(Place, said)] == [Purpose.HEDGE]


def test_an_unknown_answer_keeps_the_shares_promised():
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    exit_no = max(desk.orders)
    assert only(Place, desk.handle(news(exit_no, News.UNKNOWN, later(1)))) == []
    assert only(Place, desk.handle(book_at("0.42", "0.50", later(2)))) == []


def test_no_new_quote_takes_the_place_of_the_one_that_makes_way_for_an_exit():
    desk, says = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    tell(desk, fill_of(desk.orders[1], "60"))
    says.quotes = [bid(YES, "0.42"), bid(NO, "0.45")]
    tell(desk, book_at("0.43", "0.50", later(1)), resting(2, later(1)), resting(3, later(1)))
    waiting = tell(desk, book_at("0.40", "0.50", later(2)), confirmed(1, at=later(2)))
    leaving = cancels(waiting)
    assert leaving  # a quote at 0.42 would match the exit at 0.40
    for second in range(3, 8):
        said = desk.handle(book_at("0.40", "0.50", later(second)))
        assert [price for _, side, price in places(said) if side is BUY] in ([], ["0.45"])
    gone = [order.no for order in desk.in_play() if order.cancel_sent]
    freed = tell(desk, *(canceled(no, later(9)) for no in gone))
    assert (YES, SELL, "0.4") in places(freed)


# Where nothing is quoted.


def test_a_market_on_its_way_to_zero_is_sold_into_the_bids_that_are_left():
    desk, says = hedged_desk(
        bid(YES, "0.45"), hedging=HedgeSell(may_take=True, max_bid_gap=Price(0), stop_loss_pct=0.10)
    )
    tell(desk, book_at("0.46", "0.54"), resting(1), told(book("0.44x50 0.43x50", "0.54x50"), later(1)))
    says.quotes = []
    bought(desk, "100", at=later(2))
    working = max(desk.orders)
    desk.handle(resting(working, later(2)))
    said = desk.handle(told(book("0.10x500", ""), later(3)))
    assert working in cancels(said)
    gone = [order.no for order in desk.in_play() if order.cancel_sent]
    freed = tell(desk, *(canceled(no, later(4)) for no in gone))
    assert places(freed) == [(YES, SELL, "0.1")]
    assert [one.purpose for one in only(Place, freed)] == [Purpose.FLATTEN]


@pytest.mark.parametrize(
    ("shown", "code"),
    [(book("", "0.50x9"), "no_bids"), (book("0.51x9 0.49x9", "0.50x9"), "crossed_book")],
)
def test_shares_that_no_book_lets_us_sell_are_shown(shown, code):
    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1), told(shown, later(1)))
    said = bought(desk, "50", at=later(2))
    assert places(said) == []
    assert code in why(said)
    assert desk.markets[FIRST].unhedged[YES] == code
    assert (YES, SELL, "0.41") in places(desk.handle(book_at("0.41", "0.50", later(3))))


# Limits and order among exits.


def test_both_legs_of_a_pair_count_while_each_is_sold_by_itself():
    from pmrun.plugins.risk.exposure import Exposure

    cap = Exposure(shares("25"))  # $25: cash and shares have one unit
    desk, says = hedged_desk(bid(YES, "0.40"), bid(NO, "0.50"), components={"risk.exposure": cap}, shares="20")
    tell(desk, book_at("0.41", "0.49"), resting(1), resting(2))
    tell(desk, fill_of(desk.orders[1], "20", "a"), fill_of(desk.orders[2], "20", "b"))
    inventory = desk.account.inventory(FIRST)
    assert inventory.filled == (8_000_000 + 10_000_000) * 10_000
    says.quotes = [bid(YES, "0.40"), bid(NO, "0.45")]
    tell(desk, book_at("0.41", "0.49", later(1)))
    assert inventory.exposure <= 25_000_000 * 10_000


def test_a_stop_loss_goes_before_an_exit_that_rests():
    desk, says = hedged_desk(bid(YES, "0.40"), bid(NO, "0.50"), hedging=HedgeSell(may_take=True, max_bid_gap=Price(0)))
    tell(desk, book_at("0.41", "0.49"), resting(1), resting(2))
    says.quotes = [bid(NO, "0.50")]
    tell(desk, told(book("0.38x900 0.37x900", "0.55x900 0.56x900"), later(1)))
    bought(desk, "100", "a", 1, later(2))  # rests above its cost
    resting_exit = max(desk.orders)
    desk.handle(resting(resting_exit, later(2)))
    assert desk.orders[resting_exit].post_only
    says.quotes = []
    stopped = bought(desk, "100", "b", 2, later(3))  # NO is worth a tenth less than it cost, and would match that exit
    assert resting_exit in cancels(stopped)
    freed = only(Place, desk.handle(canceled(resting_exit, later(4))))
    assert (NO, Purpose.FLATTEN) in [(one.outcome, one.purpose) for one in freed]


def test_an_exit_that_rests_lets_the_next_one_go_at_once():
    desk, _ = hedged_desk(bid(YES, "0.40"), bid(YES, "0.39"))
    tell(desk, book_at("0.41", "0.50"), resting(1), resting(2))
    bought(desk, "50", "a", 1)
    first = max(desk.orders)
    bought(desk, "50", "b", 2)
    second = max(desk.orders)
    assert first != second
    desk.handle(OrderNews(later(1), OrderNo(second), News.REJECTED, "not enough balance / allowance"))
    assert [one.size for one in only(Place, desk.handle(resting(first, later(1.2))))] == [shares("50")]


def test_an_exit_that_is_answered_after_the_feed_was_lost_is_cancelled():
    from pmrun.runner.facts import FeedLost

    desk, _ = hedged_desk(bid(YES, "0.40"))
    tell(desk, book_at("0.41", "0.50"), resting(1))
    bought(desk, "100")
    exit_no = max(desk.orders)
    desk.handle(FeedLost(later(1)))
    assert cancels(desk.handle(resting(exit_no, later(2)))) == [exit_no]


def test_a_quote_that_makes_way_is_placed_where_it_is_wanted_now_without_waiting_for_other_news():
    from pmrun.plugins.requote.on_deviation import OnDeviation
    from pmrun.runner.units import Micros

    requote = OnDeviation(min_rest=Micros(60_000_000))
    desk, says = hedged_desk(bid(YES, "0.40"), components={"requote": requote})
    tell(desk, book_at("0.41", "0.50"), resting(1))
    says.quotes = [bid(YES, "0.35")]  # kept where it is for a minute
    assert cancels(desk.handle(book_at("0.40", "0.50", later(1)))) == []
    said = bought(desk, "50", at=later(2))
    assert cancels(said) == [1]
    assert (YES, BUY, "0.35") in places(said)


@pytest.mark.parametrize(
    "left", [(FeedLost(later(3)), news(2, News.UNKNOWN, later(3))), (told(book("0.41x100", ""), at=later(3)),)]
)
def test_what_a_check_said_of_quotes_does_not_end_an_exit_when_the_book_goes(left):
    components = {"risk.minds": Minds({NO}), "risk.two_sided": TwoSided(Price(5_000))}
    desk, says = hedged_desk(bid(YES, "0.40"), components=components)
    tell(desk, book_at("0.41", "0.99"), resting(1))
    bought(desk, "100")
    says.quotes = [bid(NO, "0.20")]  # refused: its side is unsafe from here on
    assert "minded" in why(desk.handle(book_at("0.41", "0.98", later(2))))
    said = tell(desk, *left)
    assert [one.reason.code for one in only(Observed, said)] == []
    assert any(order.purpose is Purpose.HEDGE for order in desk.in_play()), "pulled at most for the feed"
