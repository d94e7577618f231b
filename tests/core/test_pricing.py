"""Pricing rules: where the reward band is, and what joins the second bid."""

import pytest
from scenes import BUY, NO, SELL, YES, book, cash, market, seen_as, shares

from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.pricing.nth_level import NthLevel
from pmrun.plugins.pricing.reward_band import Join, RewardBand
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import NoQuote, Quote
from pmrun.runner.market import Outcome, RewardTerms
from pmrun.runner.units import HalfPrice, Price, parse_price

BOTH = pytest.mark.parametrize("outcome", [YES, NO])


def within(spread: str, tick: str = "0.01"):
    """A market whose rewards reach so far from the mid."""
    terms = RewardTerms(min_size=shares("20"), max_spread=parse_price(spread), daily_rate=cash("10"))
    return market(tick=parse_price(tick), rewards=terms)


def band(outcome: Outcome, bids: str, asks: str, terms=None, rule: RewardBand | None = None) -> Quote | NoQuote:
    """What the band answers for an outcome that sees this book."""
    answers = (rule or RewardBand()).price(market=terms or within("0.03"), book=seen_as(outcome, bids, asks))
    return {answer.outcome: answer for answer in answers}[outcome]


def rested(quote: Quote, tick: str = "0.01") -> Price:
    return Grid(parse_price(tick)).place(quote.side, quote.price)


@BOTH
def test_the_bid_is_one_cent_inside_the_band(outcome):
    quote = band(outcome, "0.50x9 0.40x9", "0.54x9")  # mid 0.52, band 0.03
    assert quote == Quote(outcome, BUY, HalfPrice(2 * 5000), "band_edge")


@BOTH
def test_an_edge_between_two_ticks_is_floored(outcome):
    quote = band(outcome, "0.50x9 0.40x9", "0.55x9")  # mid 0.525, edge 0.505
    assert quote.price == 2 * 5050
    assert rested(quote) == parse_price("0.50")


@BOTH
@pytest.mark.parametrize(
    ("best", "ask", "spread", "exact"),
    [("0.08", "0.09", "0.025", "0.07"), ("0.04", "0.05", "0.035", "0.02"), ("0.11", "0.12", "0.025", "0.10")],
)
def test_floats_would_floor_these_edges_a_tick_too_low(outcome, best, ask, spread, exact):
    as_float = (float(best) + float(ask)) / 2 - (float(spread) * 100 - 1) / 100
    assert int(as_float / 0.01) != round(float(exact) * 100), "not a case that floats get wrong"
    quote = band(outcome, f"{best}x9 0.01x9", f"{ask}x9", within(spread))
    assert rested(quote) == parse_price(exact)


@BOTH
@pytest.mark.parametrize("spread", ["0.01", "0.005"])
def test_a_band_of_a_cent_or_less_holds_no_quote(outcome, spread):
    answer = band(outcome, "0.50x9 0.49x9", "0.54x9", within(spread))
    assert (answer.code, answer.side) == ("band_too_narrow", BUY)


@BOTH
def test_a_band_of_a_hair_more_than_a_cent_does(outcome):
    assert isinstance(band(outcome, "0.50x9 0.49x9", "0.51x9", within("0.0101")), Quote)


def test_a_market_without_rewards_takes_the_band_of_the_settings_or_none():
    bare = market(rewards=None)
    assert band(YES, "0.50x9 0.40x9", "0.54x9", bare).code == "no_reward_terms"
    rule = RewardBand(max_spread=parse_price("0.03"))
    assert band(YES, "0.50x9 0.40x9", "0.54x9", bare, rule).price == 2 * 5000


# R5: the second bid.


@BOTH
def test_a_book_with_one_bid_level_gets_no_quote(outcome):
    assert band(outcome, "0.50x9", "0.54x9 0.55x9").code == "one_bid_level"


@BOTH
@pytest.mark.parametrize(
    ("second", "basis", "price"),
    [
        ("0.51", "second_bid", "0.51"),
        ("0.50", "second_bid", "0.50"),  # just at the edge
        ("0.49", "band_edge", "0.50"),  # just below it
        ("0.20", "band_edge", "0.50"),
    ],
)
def test_the_second_bid_is_joined_when_it_is_inside_the_band(outcome, second, basis, price):
    quote = band(outcome, f"0.52x9 {second}x9", "0.52x9")  # whoever asks checks for locked books, not the rule
    assert (quote.basis, quote.price) == (basis, 2 * parse_price(price))


@BOTH
def test_the_second_bid_is_compared_with_the_edge_in_half_ticks(outcome):
    # mid 0.525, edge 0.505: a second bid at 0.50 is half a tick below it, where flooring comes to the same price.
    quote = band(outcome, "0.52x9 0.50x9", "0.53x9")
    assert (quote.basis, rested(quote)) == ("band_edge", parse_price("0.50"))


def test_the_second_bid_is_not_joined_when_settings_say_edge():
    rule = RewardBand(join=Join.EDGE)
    assert band(YES, "0.52x9 0.51x9", "0.54x9", rule=rule) == Quote(YES, BUY, HalfPrice(2 * 5100), "band_edge")


@BOTH
@pytest.mark.parametrize(("spread", "quotes"), [("0.05", True), ("0.0499", False)])
def test_an_edge_that_the_tick_floors_out_of_the_band_is_no_quote(outcome, spread, quotes):
    # mid 0.45, tick 0.1: the edge is floored to 0.40, which is just 0.05 from the mid.
    answer = band(outcome, "0.4x9 0.3x9", "0.5x9", within(spread, tick="0.1"))
    assert isinstance(answer, Quote) is quotes
    assert quotes or answer.code == "outside_band"


def test_one_bid_a_token_is_a_bid_and_an_ask():
    yes, no = RewardBand().price(market=within("0.03"), book=book("0.50x9 0.40x9", "0.54x9 0.64x9"))
    assert (yes.outcome, yes.side, yes.price) == (YES, BUY, 2 * 5000)
    assert (no.outcome, no.side, no.price) == (NO, BUY, 2 * 4600)  # the ask at 0.54


@pytest.mark.parametrize("spread", [100, 5000, 0, -1])
def test_a_band_that_cannot_hold_a_quote_is_refused_as_a_setting(spread):
    with pytest.raises(ValueError, match="max_spread"):
        RewardBand(max_spread=Price(spread))


# The other rules.


@BOTH
def test_maker_follow_bids_at_the_best_bid_of_each_token(outcome):
    answers = MakerFollow().price(market=market(), book=seen_as(outcome, "0.45x1 0.44x9", "0.48x9"))
    prices = {answer.outcome: answer.price for answer in answers}
    assert prices == {outcome: 2 * 4500, outcome.other: 2 * 5200}


def test_maker_follow_bids_only_where_somebody_else_does():
    answers = MakerFollow().price(market=market(), book=book("0.45x1", ""))
    assert [(answer.outcome, answer.side) for answer in answers] == [(YES, BUY)]


@pytest.mark.parametrize(("level", "bid", "ask"), [(1, 4500, 4800), (2, 4400, 5000), (3, None, 5500)])
def test_a_fixed_level_is_counted_from_the_touch(level, bid, ask):
    answers = NthLevel(level).price(market=market(), book=book("0.45x1 0.44x1", "0.48x1 0.50x1 0.55x1"))
    found = {answer.side: answer.price // 2 for answer in answers}
    assert (found.get(BUY), found.get(SELL)) == (bid, ask)
    assert {answer.outcome for answer in answers} == {YES}


@pytest.mark.parametrize("level", [0, -1, 51])
def test_a_level_that_no_book_has_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        NthLevel(level)
