"""The desk: what it wants done when the exchange, the clock or a component says something."""

from dataclasses import dataclass, field

import msgspec
import pytest
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    SELL,
    YES,
    Minds,
    an_order,
    ask,
    bid,
    book,
    book_at,
    canceled,
    cancels,
    cash,
    confirmed,
    failed,
    fill_of,
    holding,
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

from pmrun.plugins.filters.accepting import Accepting
from pmrun.plugins.refill.after_fill import AfterFill
from pmrun.plugins.requote.on_deviation import OnDeviation
from pmrun.plugins.risk.exposure import Exposure
from pmrun.plugins.risk.stale_book import StaleBook
from pmrun.plugins.risk.volatility import Volatility
from pmrun.runner.desk import Pace
from pmrun.runner.facts import (
    BookChanged,
    FeedEnded,
    FeedLost,
    FeedRestored,
    FundsSeen,
    Listed,
    MarketStatus,
    StatusChanged,
    TickChanged,
    TimerDue,
    Together,
)
from pmrun.runner.hooks import NoQuote, Objection, Wanted, hookimpl
from pmrun.runner.intents import Cancel, CancelAll, Drop, Halt, Intent, Observed, Place, Reason, Refuse, Select
from pmrun.runner.market import MarketNo
from pmrun.runner.orders import News, OrderNo, State
from pmrun.runner.units import Micros, Price, parse_price

QUIET = book_at("0.46", "0.54")


def two_sided(**settings):
    """A desk whose bid at 0.40 and ask at 0.60 (a NO bid at 0.40) rest."""
    desk, says = make_desk(bid(YES, "0.40"), ask(YES, "0.60"), **settings)
    assert places(desk.handle(QUIET)) == [(YES, BUY, "0.4"), (NO, BUY, "0.4")]
    tell(desk, resting(1), resting(2))
    return desk, says


# Pulling.


def test_a_lost_feed_pulls_every_order():
    desk, _ = two_sided()
    assert desk.handle(FeedLost(NOON)) == [CancelAll(NOON, Reason("feed_lost", "desk"))]
    assert all(order.cancel_sent for order in desk.in_play())


def test_after_a_lost_feed_nothing_is_quoted_until_a_new_book_comes():
    desk, _ = two_sided()
    tell(desk, FeedLost(NOON), canceled(1), canceled(2))
    assert list(desk.in_play()) == []
    assert places(tell(desk, FeedRestored(NOON), TimerDue(NOON))) == []
    assert places(desk.handle(QUIET)) == [(YES, BUY, "0.4"), (NO, BUY, "0.4")]


def test_the_end_of_the_feed_pulls_everything_and_ends_the_quoting():
    desk, _ = two_sided()
    assert only(CancelAll, desk.handle(FeedEnded(NOON))) == [CancelAll(NOON, Reason("feed_ended", "desk"))]
    assert tell(desk, canceled(1), canceled(2), QUIET, TimerDue(later(1))) == []


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (book("0.50x9 0.49x9", "0.50x9 0.51x9"), "crossed_book"),  # locked
        (book("0.51x9 0.49x9", "0.50x9 0.51x9"), "crossed_book"),
        (book("0.50x9", ""), "one_sided_book"),
        (book("", "0.50x9"), "one_sided_book"),
        (book("", ""), "one_sided_book"),
    ],
)
def test_a_crossed_locked_or_one_sided_book_quotes_nothing_and_pulls(shown, code):
    fresh, _ = make_desk(bid(YES, "0.40"), ask(YES, "0.60"))
    assert fresh.handle(told(shown)) == [Drop(NOON, FIRST, Reason(code, "universe"))]
    assert len(places(fresh.handle(book_at("0.46", "0.54", later(1))))) == 2
    desk, _ = two_sided()
    pulled = desk.handle(told(shown, at=later(1)))
    assert cancels(pulled) == [1, 2]
    assert {intent.reason.code for intent in only(Cancel, pulled)} == {code}


@pytest.mark.parametrize("status", [MarketStatus.HALTED, MarketStatus.CLOSED, MarketStatus.RESOLVED])
def test_a_market_that_takes_no_orders_is_pulled(status):
    desk, _ = two_sided()
    assert cancels(desk.handle(StatusChanged(later(1), FIRST, status))) == [1, 2]
    tell(desk, canceled(1), canceled(2))
    assert places(desk.handle(book_at("0.46", "0.54", later(2)))) == []


def test_a_halted_market_is_quoted_again_when_it_trades_again():
    desk, _ = two_sided()
    tell(desk, StatusChanged(NOON, FIRST, MarketStatus.HALTED), canceled(1), canceled(2))
    assert len(places(desk.handle(StatusChanged(later(1), FIRST, MarketStatus.TRADING)))) == 2


def test_a_resolved_market_pays_what_is_held():
    desk, _ = make_desk()
    holding(desk, YES, "100", at="0.40")
    before = desk.account.funds.total
    desk.handle(StatusChanged(NOON, FIRST, MarketStatus.RESOLVED, Price(10_000)))
    desk.handle(StatusChanged(NOON, FIRST, MarketStatus.RESOLVED, Price(10_000)))
    assert desk.account.funds.total - before == cash("100")


def test_a_fill_whose_news_comes_after_the_resolution_is_paid_out_too():
    desk, _ = two_sided()
    order = desk.orders[OrderNo(1)]
    desk.handle(StatusChanged(NOON, FIRST, MarketStatus.RESOLVED, Price(10_000)))
    tell(desk, fill_of(order, "100"), confirmed(1))
    assert desk.account.funds.total == cash("1060")
    assert desk.account.inventory(FIRST).of(YES).held == 0


# Failing closed.


@dataclass(eq=False)
class Raises:
    """A check that breaks when the test says so, or at the n-th judgement."""

    broken: bool = False
    at: int = 0
    asked: int = field(default=0, init=False)

    @hookimpl
    def object_to_order(self, order: Wanted) -> Objection | None:
        self.asked += 1
        if self.broken or self.asked == self.at:
            raise ZeroDivisionError("no mid")
        return None


@dataclass(eq=False)
class BrokenRule:
    """A pricing rule that breaks."""

    @hookimpl
    def price(self) -> list[NoQuote]:
        raise KeyError("book")


def test_a_component_that_raises_pulls_what_rests_and_quotes_nothing():
    check = Raises()
    desk, _ = two_sided(components={"risk.mine": check})
    check.broken = True
    intents = desk.handle(book_at("0.47", "0.54", later(1)))
    assert cancels(intents) == [1, 2]
    assert places(intents) == []
    (seen,) = only(Observed, intents)
    assert seen.reason.code == "component_failed"
    assert "ZeroDivisionError: no mid" in seen.reason.numbers["error"]


def test_a_pricing_rule_that_raises_quotes_nothing():
    desk, _ = make_desk(components={"pricing": BrokenRule()})
    intents = desk.handle(QUIET)
    assert places(intents) == []
    assert only(Observed, intents)[0].reason.code == "component_failed"


def test_quoting_goes_on_when_the_component_has_recovered():
    check = Raises(broken=True)
    desk, _ = make_desk(bid(YES, "0.40"), components={"risk.mine": check})
    assert places(desk.handle(QUIET)) == []
    check.broken = False
    assert places(desk.handle(book_at("0.46", "0.54", later(1)))) == [(YES, BUY, "0.4")]


def test_a_check_that_raises_at_the_second_order_does_not_leave_the_first_one_placed():
    desk, _ = make_desk(bid(YES, "0.40"), bid(NO, "0.40"), components={"risk.mine": Raises(at=2)})
    assert places(desk.handle(QUIET)) == []


# Replacing.


def test_a_moved_target_is_cancelled_and_placed_together_when_both_fit():
    desk, says = two_sided()
    says.quotes = [bid(YES, "0.41"), ask(YES, "0.60")]
    intents = desk.handle(book_at("0.46", "0.54", later(1)))
    assert cancels(intents) == [1]
    assert places(intents) == [(YES, BUY, "0.41")]


def test_a_replacement_waits_for_the_cancel_when_both_do_not_fit_the_limit():
    cap = Exposure(cash("60"))
    desk, says = make_desk(bid(YES, "0.40"), components={"risk.exposure": cap})
    tell(desk, QUIET, resting(1))
    says.quotes = [bid(YES, "0.41")]
    intents = desk.handle(book_at("0.46", "0.54", later(1)))
    assert (cancels(intents), places(intents), why(intents)) == ([1], [], [])
    assert places(desk.handle(canceled(1, later(1.1)))) == [(YES, BUY, "0.41")]


def test_a_replacement_goes_along_when_the_limit_holds_both_exactly():
    desk, says = make_desk(bid(YES, "0.40"), components={"risk.exposure": Exposure(cash("81"))})
    tell(desk, QUIET, resting(1))
    says.quotes = [bid(YES, "0.41")]
    assert places(desk.handle(book_at("0.46", "0.54", later(1)))) == [(YES, BUY, "0.41")]


@pytest.mark.parametrize(("funds", "together"), [("81", True), ("80.999999", False)])
def test_a_replacement_waits_for_the_cancel_when_the_funds_do_not_hold_both(funds, together):
    desk, says = make_desk(bid(YES, "0.40"), funds=funds)
    tell(desk, QUIET, resting(1))
    says.quotes = [bid(YES, "0.41")]
    intents = desk.handle(book_at("0.46", "0.54", later(1)))
    assert cancels(intents) == [1]
    assert (len(places(intents)) == 1) is together
    assert why(intents) == []
    assert len(places(desk.handle(canceled(1, later(1.1))))) == (0 if together else 1)


def test_a_fill_that_beats_the_cancel_is_not_replaced_beyond_the_limit():
    desk, says = make_desk(bid(YES, "0.40"), components={"risk.exposure": Exposure(cash("60"))})
    tell(desk, QUIET, resting(1))
    says.quotes = [bid(YES, "0.41")]
    desk.handle(book_at("0.46", "0.54", later(1)))
    intents = desk.handle(fill_of(desk.orders[OrderNo(1)], "100", at=later(1.1)))
    assert (places(intents), why(intents)) == ([], ["exposure_limit"])


def test_an_unanswered_order_is_not_doubled():
    desk, says = make_desk(bid(YES, "0.40"))
    assert len(places(desk.handle(QUIET))) == 1
    says.quotes = [bid(YES, "0.41")]
    for seconds in (1, 2, 3):
        assert tell(desk, book_at("0.46", "0.54", later(seconds))) == []
    (said,) = tell(desk, news(1, News.UNKNOWN, later(4)), book_at("0.45", "0.54", later(5)))[:1]
    assert isinstance(said, Refuse)
    assert said.reasons[0].code == "order_in_doubt"
    assert len(desk.orders) == 1


def test_the_answer_to_an_order_decides_again():
    desk, says = make_desk(bid(YES, "0.40"))
    desk.handle(QUIET)
    says.quotes = [bid(YES, "0.41")]
    desk.handle(book_at("0.46", "0.54", later(1)))
    intents = desk.handle(resting(1, later(2)))
    assert (cancels(intents), places(intents)) == ([1], [(YES, BUY, "0.41")])


def test_a_cancel_is_asked_for_once():
    desk, says = two_sided()
    says.quotes = []
    assert cancels(desk.handle(book_at("0.46", "0.54", later(1)))) == [1, 2]
    assert cancels(desk.handle(book_at("0.46", "0.55", later(2)))) == []
    assert cancels(desk.handle(told(book("", ""), at=later(3)))) == []


def test_an_order_that_says_the_right_thing_is_left_alone():
    desk, _ = two_sided()
    assert desk.handle(book_at("0.45", "0.55", later(1))) == []


def test_a_partly_filled_order_keeps_its_place():
    desk, _ = two_sided()
    assert places(desk.handle(fill_of(desk.orders[OrderNo(1)], "30", at=later(1)))) == []
    assert desk.orders[OrderNo(1)].state is State.PARTIALLY_FILLED


def test_an_order_filled_whole_is_placed_again():
    desk, _ = two_sided()
    assert places(desk.handle(fill_of(desk.orders[OrderNo(1)], "100", at=later(1)))) == [(YES, BUY, "0.4")]


def test_an_order_is_replaced_when_it_has_rested_long_enough():
    desk, says = make_desk(bid(YES, "0.40"), components={"requote": OnDeviation(min_rest=Micros(5_000_000))})
    tell(desk, QUIET, resting(1))
    says.quotes = [bid(YES, "0.41")]
    assert desk.handle(book_at("0.46", "0.54", later(1))) == []
    assert desk.wake == later(5)
    assert cancels(desk.handle(TimerDue(later(5)))) == [1]


@dataclass(eq=False)
class MindsPrice:
    """A check that objects to one price."""

    price: str

    @hookimpl
    def object_to_order(self, order: Wanted) -> Objection | None:
        return Objection("minded") if order.price == parse_price(self.price) else None


def test_an_order_that_is_pulled_by_a_check_makes_way_for_the_one_that_waited_for_its_rest():
    minds = MindsPrice("0.99")
    checks = {"risk.mine": minds, "requote": OnDeviation(min_rest=Micros(60_000_000))}
    desk, says = make_desk(bid(YES, "0.40"), components=checks)
    tell(desk, QUIET, resting(1))
    says.quotes, minds.price = [bid(YES, "0.41")], "0.40"
    said = desk.handle(book_at("0.46", "0.54", later(1)))
    assert cancels(said) == [1]
    assert places(said) == [(YES, BUY, "0.41")]


def test_a_rejected_order_is_tried_again_after_a_while():
    desk, _ = make_desk(bid(YES, "0.40"))
    desk.handle(QUIET)
    assert places(desk.handle(news(1, News.REJECTED, later(0.1)))) == []
    assert desk.wake == later(1.1)
    assert places(desk.handle(TimerDue(later(1.1)))) == [(YES, BUY, "0.4")]


def test_an_order_rejected_four_times_in_a_row_is_left_alone_for_a_minute():
    desk, _ = make_desk(bid(YES, "0.40"))
    desk.handle(QUIET)
    tries = []
    for second in range(130):
        for order in list(desk.in_play()):
            tries.append(second)
            desk.handle(news(order.no, News.REJECTED, later(second)))
        desk.handle(TimerDue(later(second + 1)))
    assert tries == [0, 1, 2, 3, 63, 123]


def test_an_order_that_rests_forgets_the_rejections_before_it():
    desk, says = make_desk(bid(YES, "0.40"))
    desk.handle(QUIET)
    for order in (1, 2, 3):
        desk.handle(news(order, News.REJECTED, later(order)))
        desk.handle(TimerDue(later(order + 1)))
    desk.handle(resting(4, later(5)))
    says.quotes = [bid(YES, "0.41")]
    tell(desk, book_at("0.46", "0.54", later(6)), canceled(4, later(7)), news(5, News.REJECTED, later(8)))
    assert places(desk.handle(TimerDue(later(9)))) == [(YES, BUY, "0.41")]


# Pulling what was unanswered.


def test_an_unanswered_order_in_a_crossed_market_is_pulled_when_its_answer_comes():
    desk, _ = make_desk(bid(YES, "0.40"))
    tell(desk, QUIET, told(book("0.5x9", "0.5x9"), at=later(1)))
    assert cancels(desk.handle(resting(1, later(2)))) == [1]


@pytest.mark.parametrize("end", [FeedLost(later(1)), FeedEnded(later(1))])
def test_an_order_that_turns_out_to_rest_after_everything_was_pulled_is_pulled_too(end):
    desk, _ = make_desk(bid(YES, "0.40"))
    tell(desk, QUIET, end)
    intents = desk.handle(resting(1, later(2)))
    assert cancels(intents) == [1] or only(CancelAll, intents)


# Limits with everything in flight.


def test_an_unanswered_order_that_is_not_wanted_any_more_still_counts_against_the_cap():
    desk, says = make_desk(bid(YES, "0.40"), components={"risk.exposure": Exposure(cash("60"))})
    assert len(places(desk.handle(QUIET))) == 1
    says.quotes = [bid(NO, "0.40")]
    desk.handle(book_at("0.46", "0.54", later(1)))
    assert desk.account.inventory(FIRST).exposure <= cash("60") * 10_000


def test_an_unanswered_order_that_a_check_objects_to_still_counts_against_the_cap():
    minds = Minds()
    checks = {"risk.exposure": Exposure(cash("60")), "risk.mine": minds}
    desk, _ = make_desk(bid(YES, "0.40"), bid(NO, "0.40"), components=checks)
    assert places(desk.handle(QUIET)) == [(YES, BUY, "0.4")]
    minds.outcomes = {YES}
    desk.handle(book_at("0.46", "0.54", later(1)))
    assert desk.account.inventory(FIRST).exposure <= cash("60") * 10_000


def test_orders_of_one_decision_count_against_each_other():
    desk, _ = make_desk(bid(YES, "0.40"), bid(NO, "0.40"), components={"risk.exposure": Exposure(cash("79.999999"))})
    intents = desk.handle(QUIET)
    assert places(intents) == [(YES, BUY, "0.4")]
    assert why(intents) == ["exposure_limit"]


def test_what_was_filled_counts_against_the_cap_until_it_is_paired_or_sold():
    desk, _ = make_desk(bid(YES, "0.40"), components={"risk.exposure": Exposure(cash("79.999999"))})
    tell(desk, QUIET, resting(1))
    assert why(desk.handle(fill_of(desk.orders[OrderNo(1)], "100"))) == ["exposure_limit"]


# Funds.


@pytest.mark.parametrize(("funds", "placed"), [("40", 1), ("39.999999", 0)])
def test_an_order_without_the_funds_for_it_is_refused(funds, placed):
    desk, _ = make_desk(bid(YES, "0.40"), funds=funds)
    intents = desk.handle(QUIET)
    assert len(places(intents)) == placed
    assert why(intents) == ([] if placed else ["funds"])


def test_funds_are_shared_by_all_orders_of_a_decision():
    desk, _ = make_desk(bid(YES, "0.40"), bid(NO, "0.40"), funds="79.999999")
    intents = desk.handle(QUIET)
    assert (places(intents), why(intents)) == ([(YES, BUY, "0.4")], ["funds"])


def test_a_refusal_for_funds_says_what_is_short():
    desk, _ = make_desk(bid(YES, "0.40"), funds="30")
    (refusal,) = only(Refuse, desk.handle(QUIET))
    assert refusal.reasons == (Reason("funds", "desk", {"short": cash("10")}),)


def test_a_market_refused_for_funds_is_quoted_when_the_funds_come():
    desk, _ = make_desk(bid(YES, "0.40"), funds="30")
    desk.handle(QUIET)
    intents = desk.handle(FundsSeen(later(1), cash("100")))
    assert len(places(intents)) == 1 or desk.wake is not None


# Refusals.


def test_a_refusal_is_told_once_for_each_change_of_mind():
    minds = Minds({YES})
    desk, _ = make_desk(bid(YES, "0.40"), components={"risk.mine": minds})
    assert why(desk.handle(QUIET)) == ["minded"]
    assert why(desk.handle(book_at("0.46", "0.55", later(1)))) == []
    minds.code = "minded_again"
    assert why(desk.handle(book_at("0.46", "0.54", later(2)))) == ["minded_again"]
    minds.outcomes = set()
    assert len(places(desk.handle(book_at("0.46", "0.55", later(3))))) == 1
    desk.handle(resting(1, later(3)))
    minds.outcomes = {YES}
    intents = desk.handle(book_at("0.46", "0.54", later(4)))
    assert (cancels(intents), why(intents)) == ([1], ["minded_again"])


def test_a_refusal_carries_every_objection_and_who_made_it():
    checks = {"risk.one": Minds({YES}, "first"), "risk.two": Minds({YES}, "second")}
    desk, _ = make_desk(bid(YES, "0.40"), components=checks)
    (refusal,) = only(Refuse, desk.handle(QUIET))
    assert refusal.reasons == (Reason("first", "risk.one"), Reason("second", "risk.two"))


def test_a_rules_reason_for_not_quoting_is_a_refusal():
    desk, _ = make_desk(NoQuote(NO, BUY, "one_bid_level", {"levels": 1}))
    (refusal,) = only(Refuse, desk.handle(QUIET))
    assert (refusal.outcome, refusal.reasons) == (NO, (Reason("one_bid_level", "pricing", {"levels": 1}),))


def test_a_refusal_is_told_again_after_the_quote_rested_as_a_bid_on_the_complement():
    desk, says = make_desk(NoQuote(YES, SELL, "thin", {}))
    assert why(desk.handle(QUIET)) == ["thin"]
    says.quotes = [ask(YES, "0.60")]
    tell(desk, book_at("0.46", "0.55", later(1)), resting(1))
    says.quotes = [NoQuote(YES, SELL, "thin", {})]
    assert why(desk.handle(book_at("0.46", "0.54", later(2)))) == ["thin"]


# Prices and sizes.


@pytest.mark.parametrize(
    ("quote", "placed"),
    [
        (bid(YES, "0.4050"), (YES, BUY, "0.4")),
        (ask(YES, "0.5950"), (NO, BUY, "0.4")),  # ceiled to 0.60
        (bid(NO, "0.4050"), (NO, BUY, "0.4")),
        (ask(NO, "0.5950"), (YES, BUY, "0.4")),
        (bid(YES, "0.70"), (YES, BUY, "0.53")),  # kept off the ask at 0.54
        (ask(YES, "0.30"), (NO, BUY, "0.53")),  # and off the bid at 0.46
        (bid(NO, "0.70"), (NO, BUY, "0.53")),
    ],
)
def test_a_quote_is_put_on_the_grid_and_never_across_the_book(quote, placed):
    desk, _ = make_desk(quote)
    assert places(desk.handle(QUIET)) == [placed]


@pytest.mark.parametrize("price", ["0.0099", "0", "-0.5"])
def test_a_bid_below_the_lowest_valid_price_is_refused(price):
    desk, _ = make_desk(bid(YES, price))
    assert why(desk.handle(QUIET)) == ["no_valid_price"]


def test_a_size_below_the_exchanges_minimum_is_refused():
    terms = market(min_order_size=shares("100"))

    @dataclass(eq=False)
    class Small:
        @hookimpl
        def size_order(self) -> int:
            return shares("99.99")

    desk, _ = make_desk(bid(YES, "0.40"), components={"sizing": Small()}, terms=terms)
    assert why(desk.handle(QUIET)) == ["below_min_size"]


def test_a_tick_that_changes_moves_what_would_be_off_the_grid():
    desk, _ = make_desk(bid(YES, "0.405"), terms=market(tick=Price(50)))
    assert places(tell(desk, QUIET, resting(1))) == [(YES, BUY, "0.405")]
    intents = desk.handle(TickChanged(later(1), FIRST, Price(100)))
    assert (cancels(intents), places(intents)) == ([1], [(YES, BUY, "0.4")])


# Our own orders.


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        (bid(NO, "0.60"), True),  # 0.40 + 0.60 = 1: the exchange would mint a pair for us
        (bid(NO, "0.59"), False),
        (bid(NO, "0.61"), True),
    ],
)
def test_a_bid_on_the_complement_that_would_match_our_own_is_refused(second, refused):
    desk, _ = make_desk(bid(YES, "0.40"), second)
    intents = desk.handle(told(book("0.35x9 0.34x9", "0.65x9 0.66x9")))
    assert places(intents)[0] == (YES, BUY, "0.4")
    assert why(intents) == (["self_match"] if refused else [])
    assert len(places(intents)) == (1 if refused else 2)


def test_a_sale_that_would_match_our_own_bid_is_refused():
    desk, says = make_desk()
    holding(desk, YES, "100")
    says.quotes = [bid(YES, "0.50"), ask(YES, "0.50")]
    intents = desk.handle(told(book("0.35x9 0.34x9", "0.65x9 0.66x9")))
    assert (places(intents), why(intents)) == ([(YES, BUY, "0.5")], ["self_match"])


def test_an_order_that_would_match_one_that_is_leaving_waits_for_it():
    desk, says = make_desk(bid(YES, "0.50"))
    wide = told(book("0.35x9 0.34x9", "0.65x9 0.66x9"))
    tell(desk, wide, resting(1))
    says.quotes = [bid(NO, "0.55")]
    intents = desk.handle(told(wide.book, at=later(1)))
    assert (cancels(intents), places(intents), why(intents)) == ([1], [], [])
    assert places(desk.handle(canceled(1, later(2)))) == [(NO, BUY, "0.55")]


# Holdings.


def test_without_holdings_an_ask_is_a_bid_on_the_complement():
    desk, _ = make_desk(ask(YES, "0.60"))
    assert places(desk.handle(QUIET)) == [(NO, BUY, "0.4")]


def test_an_ask_rests_from_settled_holdings():
    desk, says = make_desk()
    holding(desk, YES, "100")
    says.quotes = [ask(YES, "0.60")]
    assert places(desk.handle(QUIET)) == [(YES, SELL, "0.6")]


def test_shares_that_are_not_settled_are_not_offered():
    desk, _ = two_sided()
    tell(desk, fill_of(desk.orders[OrderNo(1)], "100"), canceled(2))
    (no_bid,) = [order for order in desk.in_play() if order.outcome is NO]
    assert no_bid.side is BUY


def test_fewer_shares_than_the_order_needs_are_not_offered():
    desk, says = make_desk()
    holding(desk, YES, "99.99")
    says.quotes = [ask(YES, "0.60")]
    assert places(desk.handle(QUIET)) == [(NO, BUY, "0.4")]


def test_a_bid_on_the_complement_becomes_a_sale_of_what_is_held():
    desk, says = make_desk()
    holding(desk, YES, "100")
    says.quotes = [bid(NO, "0.40")]
    assert places(desk.handle(QUIET)) == [(YES, SELL, "0.6")]
    keeps, said = make_desk(sell_holdings=False)
    holding(keeps, YES, "100")
    said.quotes = [bid(NO, "0.40")]
    assert places(keeps.handle(QUIET)) == [(NO, BUY, "0.4")]


def test_a_moved_sale_waits_until_its_shares_are_free():
    desk, says = make_desk()
    holding(desk, YES, "100")
    says.quotes = [ask(YES, "0.60")]
    tell(desk, QUIET, resting(1))
    says.quotes = [ask(YES, "0.61")]
    intents = desk.handle(book_at("0.46", "0.54", later(1)))
    assert (cancels(intents), places(intents)) == ([1], [])
    assert places(desk.handle(canceled(1, later(2)))) == [(YES, SELL, "0.61")]


# News that cannot be.


def test_a_fill_of_an_order_we_do_not_know_pulls_everything_and_halts():
    desk, _ = two_sided()
    stranger = an_order(no=77)
    intents = desk.handle(fill_of(stranger, "10", at=later(1)))
    assert cancels(intents) == [1, 2]
    assert only(Halt, intents) == [
        Halt(later(1), None, Reason("fill_of_unknown_order", "desk", {"order": OrderNo(77)}))
    ]
    tell(desk, canceled(1), canceled(2))
    assert places(desk.handle(book_at("0.46", "0.54", later(2)))) == []


def test_more_filled_than_was_asked_for_halts_the_market():
    desk, _ = two_sided()
    tell(desk, fill_of(desk.orders[OrderNo(1)], "60"))
    over = fill_of(an_order(1, size="100"), "40.000001", trade="t2", at=later(1))
    intents = desk.handle(over)
    assert only(Halt, intents)[0].market == FIRST
    assert desk.account.inventory(FIRST).of(YES).held == shares("60")


def test_impossible_news_is_observed_and_never_applied():
    desk, _ = two_sided()
    (seen,) = desk.handle(news(1, News.REJECTED, later(1)))
    assert seen.reason.code == "impossible_news"
    assert desk.orders[OrderNo(1)].state is State.LIVE
    (unknown,) = desk.handle(news(99, News.RESTING, later(1)))
    assert unknown.reason.code == "unknown_order"


def test_a_fill_told_twice_counts_once():
    desk, _ = two_sided()
    fill = fill_of(desk.orders[OrderNo(1)], "30")
    tell(desk, fill)
    before = (desk.account.funds.total, desk.orders[OrderNo(1)])
    assert desk.handle(fill) == []
    assert (desk.account.funds.total, desk.orders[OrderNo(1)]) == before


def test_a_failed_fill_gives_cash_and_shares_back_and_the_order_stays_filled():
    desk, _ = make_desk(bid(YES, "0.40"), components={"refill": AfterFill(enabled=False)})
    tell(desk, QUIET, resting(1))
    tell(desk, fill_of(desk.orders[OrderNo(1)], "100"), failed(1))
    assert desk.account.funds.total == cash("1000")
    assert desk.account.inventory(FIRST).of(YES).held == 0
    assert desk.orders[OrderNo(1)].state is State.FILLED


def test_a_confirmation_that_overtakes_its_fill_is_not_lost():
    desk, _ = make_desk(bid(YES, "0.40"))
    tell(desk, QUIET, resting(1))
    tell(desk, confirmed(1), fill_of(desk.orders[OrderNo(1)], "100"))
    assert desk.account.inventory(FIRST).of(YES).confirmed == shares("100")


def test_what_the_exchange_said_is_kept_with_the_order():
    desk, _ = make_desk(bid(YES, "0.40"))
    desk.handle(QUIET)
    said = msgspec.structs.replace(resting(1), exchange_order_id="0xabc", ws="{}", rest="[]")
    desk.handle(said)
    order = desk.orders[OrderNo(1)]
    assert (order.exchange_order_id, order.raw_last_ws_event, order.raw_last_rest_snapshot) == ("0xabc", "{}", "[]")
    assert order.client_order_id == "pmrun-1"


def test_an_ended_order_is_remembered_for_late_news_and_then_forgotten():
    desk, says = make_desk(bid(YES, "0.40"), remember=Micros(60_000_000))
    tell(desk, QUIET, resting(1))
    says.quotes = []
    tell(desk, book_at("0.46", "0.54", later(1)), canceled(1, later(2)))
    assert desk.handle(canceled(1, later(60))) == []
    says.quotes = [bid(YES, "0.40")]
    tell(desk, book_at("0.46", "0.54", later(61)), resting(2, later(61)))
    assert OrderNo(1) in desk.orders
    tell(desk, fill_of(desk.orders[OrderNo(2)], "100", at=later(63)))
    assert OrderNo(1) not in desk.orders


# Which markets.


def test_a_market_that_a_filter_rejects_is_dropped_and_never_quoted():
    desk, _ = make_desk(
        bid(YES, "0.40"), components={"filters.accepting": Accepting()}, terms=market(accepting_orders=False)
    )
    assert desk.handle(QUIET) == []
    assert desk.universe.dropped[FIRST] == Reason("not_accepting_orders", "filters.accepting")
    assert Drop(NOON, MarketNo(1), desk.universe.dropped[FIRST]) in desk.handle(
        Listed(NOON, MarketNo(1), market(accepting_orders=False))
    )


def test_the_first_markets_are_taken_and_the_rest_is_dropped():
    desk, _ = make_desk(terms=[market(), market(), market()], max_markets=2)
    said = desk.handle(Together(NOON, tuple(book_at("0.46", "0.54", no=no) for no in range(3))))
    assert only(Drop, said) == [Drop(NOON, MarketNo(2), Reason("max_markets", "universe", {"max_markets": 2}))]
    assert [intent.market for intent in only(Select, said)] == [0, 1]
    assert desk.handle(book_at("0.46", "0.54", later(1), no=2)) == []


def test_a_listing_told_twice_changes_nothing():
    desk, _ = two_sided()
    desk.handle(Listed(later(1), FIRST, market()))
    assert len(list(desk.in_play())) == 2
    assert places(desk.handle(book_at("0.46", "0.54", later(2)))) == []


# Our orders in the observed book.


def test_live_the_desk_takes_its_own_orders_out_of_the_book():
    desk, _ = make_desk(bid(YES, "0.40"), bid(NO, "0.30"), book_holds_us=True)
    tell(desk, told(book("0.39x50 0.38x9", "0.75x9")), resting(1), resting(2))
    desk.handle(told(book("0.40x100 0.39x50 0.38x9", "0.70x130 0.75x9"), at=later(1)))
    assert desk.markets[FIRST].book == book("0.39x50 0.38x9", "0.70x30 0.75x9")


def test_paper_and_live_decide_alike():
    def run(shows_us: bool) -> list[Intent]:
        desk, _ = make_desk(bid(YES, "0.40"), book_holds_us=shows_us)
        ours = "0.40x100 " if shows_us else ""
        return tell(
            desk,
            told(book("0.39x50 0.38x9", "0.75x9")),
            resting(1),
            told(book(ours + "0.39x50", "0.75x9"), at=later(1)),
            told(book(ours, "0.75x9"), at=later(2)),
        )

    assert run(True) == run(False)


# Time.


def test_quotes_are_decided_on_the_clock_that_was_set():
    pace = Pace(every=Micros(500_000), offset=Micros(100_000))
    assert [pace.next(NOON, Micros(NOON + at)) - NOON for at in (0, 100_000, 100_001, 600_000, 600_001)] == [
        100_000,
        100_000,
        600_000,
        600_000,
        1_100_000,
    ]
    assert Pace().next(NOON, Micros(NOON + 7)) == NOON + 7


def test_on_a_clock_news_is_acted_on_at_the_next_decision():
    desk, _ = make_desk(bid(YES, "0.40"), pace=Pace(every=Micros(500_000)))
    tell(desk, QUIET, resting(1, later(0.1)))
    assert desk.handle(fill_of(desk.orders[OrderNo(1)], "100", at=later(0.2))) == []
    assert desk.wake == later(0.5)
    assert len(places(desk.handle(TimerDue(later(0.5))))) == 1


def test_a_decision_that_is_due_is_not_put_off_by_the_book_of_another_market():
    desk, _ = make_desk(bid(YES, "0.40"), terms=[market(), market()], pace=Pace(every=Micros(500_000)))
    tell(desk, QUIET, resting(1, later(0.1)))
    tell(desk, fill_of(desk.orders[OrderNo(1)], "100", at=later(0.2)))
    assert desk.wake == later(0.5)
    intents = desk.handle(book_at("0.46", "0.54", later(0.5), no=1))
    if desk.wake == later(0.5):
        intents += desk.handle(TimerDue(later(0.5)))
    assert FIRST in [each.market for each in only(Place, intents)]


def test_a_book_too_old_is_noticed_without_any_news():
    desk, _ = two_sided(components={"risk.stale_book": StaleBook(Micros(60_000_000))})
    assert desk.wake == later(60) + 1
    assert cancels(desk.handle(TimerDue(Micros(later(60) + 1)))) == [1, 2]


def test_a_book_too_old_is_noticed_while_another_market_trades():
    desk, _ = make_desk(
        bid(YES, "0.40"), components={"risk.stale_book": StaleBook(Micros(60_000_000))}, terms=[market(), market()]
    )
    tell(desk, QUIET, resting(1))
    due = Micros(later(60) + 1)
    desk.handle(book_at("0.46", "0.54", due, no=1))
    assert desk.wake is not None
    assert desk.wake <= due
    assert cancels(desk.handle(TimerDue(due))) == [1]


def test_a_sample_that_is_due_together_with_other_news_is_still_taken():
    check = Volatility(min_points=2)
    desk, _ = make_desk(bid(YES, "0.40"), components={"risk.volatility": check})
    intents = tell(desk, QUIET, StatusChanged(later(30), FIRST, MarketStatus.TRADING))
    if desk.wake is not None and desk.wake <= later(30):
        intents += desk.handle(TimerDue(later(30)))
    assert len(places(intents)) == 1


# The same facts give the same intents.


def test_two_desks_told_the_same_give_the_same_bytes():
    def run() -> bytes:
        desk, _ = make_desk(bid(YES, "0.40"), ask(YES, "0.60"), components={"risk.exposure": Exposure(cash("100"))})
        first = desk.handle(QUIET)
        more = tell(
            desk,
            resting(1),
            resting(2),
            fill_of(desk.orders[OrderNo(1)], "100", at=later(1)),
            confirmed(1, at=later(2)),
            told(book("0.5x9", "0.5x9"), at=later(3)),
            book_at("0.45", "0.52", later(4)),
            FeedLost(later(5)),
        )
        return msgspec.msgpack.encode(first + more)

    assert run() == run()


def test_a_desk_without_components_that_answer_says_nothing():
    desk, _ = make_desk()
    assert desk.handle(QUIET) == [Select(NOON, FIRST, Reason("selected", "universe"))]
    assert desk.handle(book_at("0.46", "0.54", later(1))) == []


def test_what_is_held_counts_at_the_mid_and_without_a_mid_at_cost():
    desk, _ = make_desk()
    holding(desk, YES, "100", at="0.40")
    assert desk.equity() == cash("1000")
    desk.handle(QUIET)
    assert desk.equity() == cash("1010")


@dataclass(eq=False)
class BrokenMemory:
    """A component that breaks when it learns of a book."""

    @hookimpl
    def observe(self, fact):
        if type(fact) is BookChanged:
            raise RuntimeError("wires crossed")


@dataclass(eq=False)
class BrokenClock:
    """A component that breaks when it is asked for its next wake-up."""

    @hookimpl
    def next_wake(self):
        raise RuntimeError("wires crossed")


@dataclass(eq=False)
class BrokenFilter:
    """A filter that breaks."""

    @hookimpl
    def reject_market(self):
        raise RuntimeError("wires crossed")


@pytest.mark.parametrize("component", [BrokenMemory(), BrokenClock()])
def test_a_market_whose_component_cannot_learn_or_wait_is_halted(component):
    desk, _ = make_desk(bid(YES, "0.40"), components={"risk.mine": component})
    intents = desk.handle(QUIET)
    assert places(intents) == []
    assert only(Halt, intents)[0].reason.code == "component_failed"
    assert places(desk.handle(book_at("0.46", "0.54", later(1)))) == []


def test_a_market_that_a_filter_fails_to_judge_is_not_traded():
    desk, _ = make_desk(bid(YES, "0.40"), components={"filters.mine": BrokenFilter()})
    assert desk.universe.dropped[FIRST].code == "component_failed"
    assert desk.handle(QUIET) == []
