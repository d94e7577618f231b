"""maker_follow: the eight acceptance cases of the seed's chapter 10, and what the requirements add (M1 to M7)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from scenes import NOON, SECOND, a_holding, bid, book, book_at, holding, make_desk, market, shares, told
from trading_floor import COOLDOWN, Floor, parts

from pmrun.plugins.hedging.maker_round import MakerRound
from pmrun.plugins.hedging.rounds import Phase
from pmrun.plugins.requote.follow_up import FollowUp
from pmrun.plugins.risk.on_drop import OnDrop
from pmrun.plugins.sizing.target import Target
from pmrun.runner.facts import Carried, OrderNews
from pmrun.runner.hooks import Quote, Wanted, hookimpl
from pmrun.runner.intents import Cancel, Place, Reason, Refuse
from pmrun.runner.log import Level, Log, LogObserver
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import News, Purpose, Settlement
from pmrun.runner.units import Cash, HalfPrice, Micros, Price, Side, Size, parse_cash, parse_price, parse_size

YES, NO = Outcome.YES, Outcome.NO


def dropped(**changes: Any) -> Floor:
    """A floor on which YES has just fallen from 0.51 to 0.46, so that a round begins."""
    floor = Floor(**changes)
    floor.wait(1)
    floor.touch("0.45", "0.47")
    return floor


def bought(**changes: Any) -> Floor:
    """A floor on which the ten shares of a round were bought at 0.45: the floor price is 0.47."""
    floor = dropped(**changes)
    floor.fill(floor.bid)
    return floor


# The eight cases.


def test_case_1_the_bid_rises_three_times_and_is_followed_three_times_until_all_is_bought() -> None:
    floor = dropped()
    floor.fill(floor.bid, "1")
    for price in ("0.46", "0.47", "0.48"):
        floor.touch(price, "0.52")
        floor.wait(10)
    assert [line for line in floor.story() if "YES" in line or "cancel" in line] == [
        "1: buy 10 YES at 0.45, best_bid",
        "11: cancel, moved",
        "11: buy 9 YES at 0.46, follow",
        "21: cancel, moved",
        "21: buy 9 YES at 0.47, follow",
        "31: cancel, moved",
        "31: buy 9 YES at 0.48, follow",
    ]
    floor.fill(floor.bid)
    holding = floor.desk.markets[MarketNo(0)].inventory.of(YES)
    assert (holding.held, holding.cost) == (parse_size("10"), parse_cash("4.77"))  # 1 at 0.45 and 9 at 0.48
    assert floor.phase() is Phase.SELLING
    assert floor.offer.price == parse_price("0.52")  # the floor is 0.477 and two cents: 0.50


def test_case_2_a_remainder_under_the_least_that_can_be_bought_ends_the_buying() -> None:
    floor = dropped()
    floor.fill(floor.bid, "5.5")
    floor.wait(9)
    assert floor.bid.remaining == parse_size("4.5")  # under the exchange's minimum of five, and not looked at yet
    floor.wait(1)
    assert floor.in_play(Side.BUY) == []
    assert floor.story()[-2:] == ["11: cancel, not_wanted", "11: sell 5.5 YES at 0.47, best_ask"]
    assert floor.phase() is Phase.SELLING


def test_case_2_what_is_left_has_to_be_worth_a_dollar() -> None:
    floor = Floor(components=parts("100"), terms=market(min_order_size=parse_size("1")))
    floor.touch("0.10", "0.12")
    floor.fill(floor.bid, "90.01")
    floor.wait(10)
    assert floor.in_play(Side.BUY) == []  # 9.99 shares at 0.10 are worth less
    whole = Floor(components=parts("100"), terms=market(min_order_size=parse_size("1")))
    whole.touch("0.10", "0.12")
    whole.fill(whole.bid, "90")
    whole.wait(30)
    assert whole.bid.remaining == parse_size("10")


def test_case_3_an_ask_below_the_floor_pulls_the_offer_and_one_at_the_floor_brings_it_back() -> None:
    floor = bought()
    assert (floor.offer.price, floor.phase()) == (parse_price("0.47"), Phase.SELLING)
    floor.wait(3)
    floor.touch("0.44", "0.46")
    assert (floor.in_play(), floor.phase()) == ([], Phase.WAITING)
    assert floor.story()[-1] == "4: cancel, below_floor"
    floor.wait(25)
    assert floor.in_play(Side.SELL) == []
    floor.touch("0.46", "0.48")
    floor.wait(4)
    assert floor.in_play(Side.SELL) == []  # looked at every ten seconds
    floor.wait(1)
    assert floor.story()[-1] == "34: sell 10 YES at 0.48, best_ask"
    assert floor.phase() is Phase.SELLING


def test_case_4_the_offer_follows_the_ask_down_to_its_floor_and_is_never_raised() -> None:
    floor = Floor()
    floor.touch("0.45", "0.51")
    floor.fill(floor.bid)
    assert floor.offer.price == parse_price("0.51")
    floor.wait(5)
    for ask in ("0.50", "0.56", "0.49", "0.48", "0.47"):
        floor.touch("0.45", ask)
        floor.wait(10)
    sells = [line for line in floor.story() if "sell" in line]
    assert sells == [
        "0: sell 10 YES at 0.51, best_ask",
        "10: sell 10 YES at 0.5, best_ask",
        "30: sell 10 YES at 0.49, best_ask",
        "40: sell 10 YES at 0.48, best_ask",
        "50: sell 10 YES at 0.47, best_ask",
    ]


def test_case_5_what_is_left_under_a_hundredth_of_a_share_is_sold_out() -> None:
    floor = bought()
    order = floor.offer
    floor.fill(order, order.remaining - 9_999)  # the exchange may match finer than it takes orders
    floor.answer([_cancel(order.no)])
    floor.wait(60)
    assert floor.in_play(Side.SELL) == []
    assert floor.said()[-1] != "below_floor"
    assert "below_size_step" in floor.said()
    floor.touch("0.50", "0.52")  # a new high, and a new fall
    floor.touch("0.45", "0.47")
    assert floor.story()[-1] == "61: buy 10 YES at 0.45, best_bid"  # the round was over, and so is its cool-down


def _cancel(no: int) -> Any:
    return Cancel(Micros(NOON), no, Reason("test"))


def test_case_6_looks_at_which_nothing_changed_print_nothing() -> None:
    lines: list[str] = []
    floor = dropped()
    handler = logger.add(lambda text: lines.append(str(text).strip()), level="DEBUG", format="{message}")
    floor.watches = LogObserver(Log(console=Level.DEBUG, file=Level.OFF))
    try:
        floor.wait(120)
        assert lines == []
        floor.touch("0.46", "0.48")
        floor.wait(9)
        floor.fill(floor.bid, "10")
        before = len(lines)
        floor.wait(120)
        assert len(lines) == before
    finally:
        logger.remove(handler)
    assert [line for line in lines if "refused" not in line] == [
        "cancel 1 (moved)",
        "placed 2: BUY YES 10 at 0.46 (follow)",
        "order 2 filled 10 at 0.46",
        "placed 3: SELL YES 10 at 0.48 (best_ask)",
    ]


def test_case_7_a_lost_feed_pulls_everything_and_what_is_sent_anew_goes_on() -> None:
    floor = dropped()
    floor.fill(floor.bid, "1")
    floor.lose_feed()
    assert floor.in_play() == []
    floor.touch("0.46", "0.48")
    floor.wait(300)
    assert (floor.in_play(), floor.phase()) == ([], Phase.BUYING)
    floor.restore_feed()
    assert floor.story()[-1] == "301: buy 9 YES at 0.46, follow"
    floor.fill(floor.bid)
    floor.lose_feed()
    assert floor.in_play() == []
    floor.restore_feed()
    assert floor.story()[-1] == "301: sell 10 YES at 0.48, best_ask"


def test_case_7_a_market_whose_feed_is_gone_is_shown_empty_and_its_round_waits() -> None:
    floor = dropped()
    floor.fill(floor.bid, "1")
    floor.tell(told(book("", ""), Micros(floor.at)))
    assert floor.in_play() == []
    floor.wait(300)
    assert (floor.in_play(), floor.phase()) == ([], Phase.BUYING)
    floor.touch("0.44", "0.46")
    assert floor.story()[-1] == "301: buy 9 YES at 0.44, follow"


def test_case_8_after_a_round_the_cool_down_keeps_the_next_one_out() -> None:
    floor = bought()
    floor.wait(5)
    floor.fill(floor.offer)
    assert floor.phase() is Phase.FLAT
    ended = 6
    while floor.at < NOON + (ended + COOLDOWN) * SECOND:
        assert [line for line in floor.story() if "buy" in line] == ["1: buy 10 YES at 0.45, best_bid"]
        floor.touch("0.60", "0.62")
        floor.wait(5)
        floor.touch("0.40", "0.42")
        floor.wait(5)
    bids = [line for line in floor.story() if "buy" in line and "YES" in line]
    assert bids[1:] == [f"{ended + COOLDOWN}: buy 10 YES at 0.4, best_bid"]
    assert "cooling_down" in floor.said()


# Buying.


def test_a_bid_is_never_moved_down() -> None:
    floor = dropped()
    for price in ("0.44", "0.30", "0.45"):
        floor.touch(price, "0.52")
        floor.wait(20)
    assert floor.bid.price == parse_price("0.45")
    assert [line for line in floor.story() if "cancel" in line] == []


def test_a_bid_that_rose_between_two_looks_and_fell_back_is_not_followed() -> None:
    floor = dropped()
    floor.wait(2)
    floor.touch("0.47", "0.52")
    floor.wait(5)
    floor.touch("0.45", "0.52")
    floor.wait(60)
    assert [line for line in floor.story() if "cancel" in line] == []


def test_the_next_bid_waits_until_the_cancel_of_the_one_before_is_confirmed_and_is_for_what_is_left() -> None:
    floor = dropped()
    order = floor.bid
    floor.answers = False
    floor.touch("0.46", "0.48")
    floor.wait(10)
    assert floor.story()[-1] == "11: cancel, moved"
    floor.wait(3)
    floor.fill(order, "4")  # while it leaves
    assert [line for line in floor.story() if "0.46" in line] == []
    floor.answers = True
    floor.answer([_cancel(order.no)])
    assert floor.story()[-1] == "14: buy 6 YES at 0.46, follow"


def test_nothing_bought_ends_the_round() -> None:
    floor = Floor(components=parts("5"))
    floor.touch("0.20", "0.22")  # five shares are worth a dollar
    assert floor.bid.size == parse_size("5")
    floor.lose_feed()
    floor.touch("0.10", "0.12")
    floor.restore_feed()  # at 0.10 ten would be needed
    floor.wait(9)
    assert floor.phase() is Phase.BUYING
    floor.wait(1)
    assert (floor.in_play(), floor.phase()) == ([], Phase.FLAT)
    floor.touch("0.05", "0.07")
    assert floor.in_play() == []
    assert "cooling_down" in floor.said()


def test_a_bid_that_nothing_lets_rest_for_a_whole_poll_ends_the_buying() -> None:
    floor = dropped()
    floor.fill(floor.bid, "6")
    floor.answers = False
    floor.answer([_cancel(floor.bid.no)])
    while floor.phase() is Phase.BUYING and floor.at < NOON + 60 * SECOND:
        for order in floor.in_play(Side.BUY):
            if order.submitted_at is None:
                floor.tell(_rejected(order.no, floor.at))
        floor.wait(0.5)
    assert floor.phase() is not Phase.BUYING
    assert floor.at <= NOON + 40 * SECOND
    floor.answers = True
    floor.wait(1)
    assert floor.in_play(Side.BUY) == []


def _rejected(no: int, at: int) -> Any:
    return OrderNews(Micros(at), no, News.REJECTED, "not enough balance")  # type: ignore[arg-type]


def test_buying_ends_with_the_countdown_and_selling_goes_on() -> None:
    ends = Micros(NOON + 120 * SECOND)
    floor = dropped(components=parts("20", countdown=Micros(60 * SECOND)), terms=market(ends_at=ends))
    floor.fill(floor.bid, "6")
    floor.wait(58.9)
    assert floor.in_play(Side.BUY)
    floor.wait(0.2)
    assert floor.in_play(Side.BUY) == []
    assert floor.offer.size == parse_size("6")
    floor.fill(floor.offer)
    floor.touch("0.60", "0.62")
    floor.touch("0.40", "0.42")
    assert floor.in_play() == []
    assert "countdown" in floor.said()


def test_no_round_begins_where_no_price_is_left_for_the_profit() -> None:
    floor = Floor(components=parts(both=True))
    floor.touch("0.02", "0.04")  # NO: 0.96 to 0.98
    floor.touch("0.01", "0.02")
    floor.wait(100)
    floor.touch("0.005", "0.02")
    assert "no_profit_left" in floor.said()
    assert [line for line in floor.story() if "NO" in line] == []


@pytest.mark.parametrize(
    ("target", "price", "terms", "size"),
    [
        (None, "0.45", {"min_order_size": parse_size("1")}, "3"),  # 1 / 0.45 = 2.2, in whole shares
        (None, "0.5", {"min_order_size": parse_size("1")}, "2"),
        (None, "0.45", {}, "5"),  # the exchange's minimum
        (None, "0.03", {}, "34"),
        ("12.3456", "0.45", {}, "12.35"),  # four decimals up, then the exchange's two
        ("3", "0.45", {}, "5"),
        ("6", "0.1", {}, "10"),  # worth a dollar
        ("6", "0.15", {}, "6.67"),
    ],
)
def test_the_size_is_the_target_or_whole_shares_worth_a_dollar(target, price, terms, size) -> None:
    sizing = Target(None if target is None else parse_size(target))
    assert sizing.size_order(market(**terms), bid(YES, price)) == parse_size(size)
    sold = Quote(NO, Side.SELL, HalfPrice(20_000 - 2 * parse_price(price)), "")
    assert sizing.size_order(market(**terms), sold) == parse_size(size)  # an ask for NO is a bid for YES


def test_where_the_tick_is_finer_than_a_cent_the_bid_is_the_best_bid_and_not_rounded_up_over_it() -> None:
    floor = Floor(terms=market(tick=Price(10)))
    floor.touch("0.451", "0.459")  # rounded up to a cent it would be 0.46, and cross
    assert floor.bid.price == parse_price("0.451")


# The trigger.


def test_a_bid_begins_only_where_the_mid_fell_far_enough_within_the_window() -> None:
    floor = Floor()
    floor.touch("0.48", "0.50")  # 0.51 to 0.49: 3.9 %
    assert floor.story() == []
    floor.wait(61)
    floor.touch("0.455", "0.475")  # 5.1 % below 0.49, and 8.8 % below what is out of the window
    assert floor.story() == ["61: buy 10 YES at 0.45, best_bid"]
    slow = Floor()
    for cents in range(50, 30, -1):
        slow.touch(f"0.{cents}", f"0.{cents + 2}")
        slow.wait(61)
    assert slow.story() == []


def test_what_rises_falls_for_the_other_token() -> None:
    floor = Floor(components=parts(both=True))
    floor.touch("0.55", "0.57")
    assert floor.story() == ["0: buy 10 NO at 0.43, best_bid"]


def test_the_high_of_a_window_is_the_highest_mid_that_stood_in_it() -> None:
    check = OnDrop(0.05, Micros(60 * SECOND))
    mids = [(0, 0.50), (10, 0.60), (20, 0.55), (65, 0.52), (90, 0.51)]
    for second, mid in mids:
        check.observe(book_at(f"{mid - 0.01:.2f}", f"{mid + 0.01:.2f}", Micros(NOON + second * SECOND)), MarketNo(0))
    seen = check._markets[MarketNo(0)]
    for second in range(90, 200):
        at = Micros(NOON + second * SECOND)
        stood = [mid for (_, mid), (end, _) in zip(mids, [*mids[1:], (10**6, 0)], strict=True) if end > second - 60]
        assert seen.high(YES, at) == round(max(stood) * 20_000)
        assert seen.high(NO, at) == 20_000 - round(min(stood) * 20_000)


def test_both_tokens_of_a_market_and_several_markets_have_rounds_of_their_own() -> None:
    floor = Floor(components=parts(both=True))
    floor.touch("0.56", "0.58")
    floor.wait(1)
    floor.touch("0.52", "0.54")  # YES fell from 0.57, NO from 0.49
    assert {line.split(": ")[1] for line in floor.story()} == {
        "buy 10 NO at 0.42, best_bid",
        "buy 10 YES at 0.52, best_bid",
    }
    floor.fill(next(iter(floor.in_play(outcome=YES))))
    assert (floor.phase(YES), floor.phase(NO)) == (Phase.SELLING, Phase.BUYING)


# Selling.


def test_nothing_is_offered_before_the_buying_is_over() -> None:
    floor = dropped()
    floor.fill(floor.bid, "5")
    assert floor.in_play(Side.SELL) == []
    assert "still_buying" in floor.said()


def test_the_rest_of_an_offer_that_could_not_be_placed_again_stays_where_it_is() -> None:
    floor = bought()
    floor.fill(floor.offer, "6")
    floor.touch("0.40", "0.42")
    floor.wait(60)
    assert (floor.offer.remaining, floor.offer.price) == (parse_size("4"), parse_price("0.47"))


@pytest.mark.parametrize(
    ("profit", "cost", "ask", "offered"),
    [
        ({}, "0.45", "0.47", "0.47"),
        ({}, "0.451", "0.48", "0.48"),
        ({}, "0.451", "0.47", None),  # the floor is 0.471, on the grid 0.48
        ({"profit_threshold": None, "profit_pct": 0.1}, "0.45", "0.5", "0.5"),  # 0.495
        ({"profit_threshold": None, "profit_pct": 0.1}, "0.45", "0.49", None),
        ({}, "0.98", "0.99", "0.99"),  # a dollar is no price: the end of the grid
    ],
)
def test_the_floor_is_the_average_price_with_the_profit_up_to_the_grid(profit, cost, ask, offered) -> None:
    hedging = MakerRound(**{"profit_threshold": parse_price("0.02")} | profit)
    held = a_holding(YES, "10", cost)
    below = f"{float(ask) - 0.02:.2f}"
    answer = hedging.hedge(market(), book(f"{below}x9", f"{ask}x9"), held, [], NOON)
    prices = [each.price for each in answer if isinstance(each, Wanted)]
    assert prices == ([] if offered is None else [parse_price(offered)])


def test_many_small_sales_lift_no_floor_by_a_tick() -> None:
    floor = bought(terms=market(tick=Price(1)))
    floor.touch("0.455", "0.60")
    floor.wait(10)
    price = floor.offer.price
    for _ in range(60):
        floor.fill(floor.offer, 77_777)
        assert floor.floor(YES) <= parse_price("0.47")
    assert floor.offer.price == price


def test_an_offer_keeps_away_from_the_bid_on_a_grid_that_became_coarser() -> None:
    hedging = MakerRound(profit_threshold=Price(0))
    answer = hedging.hedge(market(), book("0.455x9", "0.458x9"), a_holding(YES, "10", "0.40"), [], NOON)
    (offer,) = answer
    assert offer.price == parse_price("0.47")


def test_what_has_not_settled_is_not_offered_and_a_fill_that_fails_is_bought_again() -> None:
    floor = dropped(settles=False)
    fill = floor.fill(floor.bid, "4")
    assert floor.bid.remaining == parse_size("6")
    floor.settle(fill, Settlement.FAILED)
    floor.touch("0.46", "0.48")
    floor.wait(10)
    assert floor.bid.size == parse_size("10")
    floor.fill(floor.bid)
    assert floor.in_play(Side.SELL) == []
    assert (floor.phase(), floor.said()[-1]) == (Phase.LONG, "awaiting_settlement")


# Restarts.


@pytest.mark.parametrize("adopt", [True, False], ids=["sells adopted", "sells cancelled"])
def test_a_restart_goes_on_wherever_the_round_stands(adopt: bool) -> None:
    def again(floor: Floor) -> None:
        floor.wait(2)
        floor.restart(parts(), adopt)

    floor = dropped()
    again(floor)
    assert (floor.phase(), floor.bid.size) == (Phase.BUYING, parse_size("10"))  # although nothing fell in this session
    floor.fill(floor.bid, "4")
    again(floor)
    assert (floor.phase(), floor.bid.size) == (Phase.BUYING, parse_size("6"))
    floor.fill(floor.bid)
    again(floor)
    assert (floor.phase(), floor.offer.price) == (Phase.SELLING, parse_price("0.47"))
    floor.touch("0.44", "0.46")
    assert floor.phase() is Phase.WAITING
    again(floor)
    assert (floor.phase(), floor.in_play()) == (Phase.WAITING, [])
    floor.touch("0.46", "0.48")
    floor.wait(10)
    floor.fill(floor.offer)
    again(floor)
    assert floor.phase() is Phase.FLAT
    floor.touch("0.60", "0.62")
    floor.touch("0.46", "0.48")
    assert floor.in_play() == []  # the cool-down goes on too
    assert "cooling_down" in floor.said()


def test_a_holding_without_a_memory_of_it_is_sold_above_its_cost() -> None:
    floor = bought()
    floor.restart(parts(), adopt=False)
    floor.components["hedging"].rounds._rounds.clear()
    assert floor.offer.price == parse_price("0.47")


def test_what_cannot_be_read_of_an_earlier_session_stops_everything() -> None:
    with pytest.raises(ValueError, match="carried 0xc0 YES hope: 3"):
        MakerRound().observe(_carried({"0xc0 YES hope": 3}), None, None)


def _carried(values: dict[str, int]) -> Any:
    return Carried(NOON, "hedging", values)


def test_a_cool_down_from_a_clock_that_was_ahead_keeps_nobody_out_for_longer_than_it_lasts() -> None:
    hedging = MakerRound(cooldown=Micros(60 * SECOND))
    hedging.observe(_carried({"0xc0 YES until": NOON + 10**12}), None, None)
    assert hedging.rounds.of(market().condition, YES).until == NOON + 60 * SECOND


# Only a maker (M1).


@dataclass(eq=False)
class Taker:
    """A hedging that would take, and no setting says that it may."""

    may: bool | None = None

    def __post_init__(self) -> None:
        """Have the setting only where the test says so."""
        if self.may is not None:
            self.may_take = self.may

    @hookimpl
    def hedge(self) -> list[Wanted]:
        return [Wanted(YES, Side.SELL, Price(4000), shares("10"), Purpose.FLATTEN, "test", may_take=True)]


@pytest.mark.parametrize(("may", "takes"), [(None, False), (False, False), (True, True)])
def test_nothing_takes_unless_a_setting_of_its_hedging_says_that_it_may(may, takes) -> None:
    desk, _ = make_desk(components={"hedging": Taker(may)})
    holding(desk, YES, "10")
    intents = desk.handle(book_at("0.44", "0.46"))
    assert [each.post_only for each in intents if isinstance(each, Place)] == ([False] if takes else [])
    refused = [each.reasons[0].code for each in intents if isinstance(each, Refuse) and each.purpose is Purpose.HEDGE]
    assert ("may_not_take" in refused) is not takes


def test_maker_round_has_no_setting_that_lets_it_take() -> None:
    assert not hasattr(MakerRound(), "may_take")
    assert not any("take" in name for name in MakerRound.__dataclass_fields__)
    code = Path(__file__).parents[2].joinpath("plugins", "hedging", "maker_round.py").read_text()
    assert "may_take=" not in code


# Settings.


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (MakerRound, {"profit_pct": 0.1}, "profit_threshold must be null where profit_pct is set"),
        (MakerRound, {"profit_threshold": None}, "profit_threshold must be null where"),
        (MakerRound, {"profit_threshold": Price(10_000)}, "profit_threshold must be from 0"),
        (MakerRound, {"profit_threshold": None, "profit_pct": -0.1}, "profit_pct must be from 0 to 100"),
        (MakerRound, {"poll_sec": Micros(999_999)}, "poll_sec must be from 1 second"),
        (MakerRound, {"min_quote_amt": Cash(0)}, "min_quote_amt must be above 0"),
        (MakerRound, {"countdown": Micros(-1)}, "countdown must be 0 seconds or more"),
        (MakerRound, {"cooldown": Micros(-1)}, "cooldown must be 0 seconds or more"),
        (FollowUp, {"poll_sec": Micros(0)}, "poll_sec must be from 1 second"),
        (OnDrop, {"drop_threshold": 0.0}, "drop_threshold must be above 0"),
        (OnDrop, {"drop_threshold": 1.0}, "drop_threshold must be above 0"),
        (OnDrop, {"window": Micros(0)}, "window must be above 0"),
        (Target, {"target_size": Size(0)}, "target_size must be above 0"),
        (Target, {"min_quote_amt": Cash(0)}, "min_quote_amt must be above 0"),
    ],
)
def test_settings_that_could_not_work_are_refused(kind, given, message) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**given)
