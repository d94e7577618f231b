"""Reservation price, complement quoting, the value of a place in the queue: what they promise (issue 5)."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_terms
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    SELL,
    YES,
    a_holding,
    an_order,
    book,
    book_at,
    later,
    market,
    news,
    shares,
    told,
)
from tapes import AT_ONCE, ON_A_CLOCK, QUEUES, papers, settings_of, tapes, trade

from pmrun.plugins.pricing.complement import Complement
from pmrun.plugins.pricing.queue_value import Otherwise, QueueValue
from pmrun.plugins.pricing.reservation import Reservation
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.facts import Listed, Merged, Printed
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import NoQuote, Quote
from pmrun.runner.intents import Merge
from pmrun.runner.inventory import Inventory
from pmrun.runner.orders import News, State
from pmrun.runner.units import ONE, PRICE_SCALE, HalfPrice, Micros, Price, Size

SECOND = 1_000_000
RICH = st.just(1_000_000)
RULES = {
    "reservation": lambda: Reservation(sample=Micros(SECOND), memory=Micros(60 * SECOND), min_samples=3),
    "complement": lambda: Complement(edge=Price(200), least_edge=Price(-300), max_unpaired=shares("60")),
    "queue value": lambda: QueueValue(min_prints=2, memory=Micros(60 * SECOND), least_value=-0.01),
}
EVERY_RULE = pytest.mark.parametrize("rule", RULES)


def composed(rule):
    return lambda: {"pricing": RULES[rule](), "sizing": Fixed(shares("10"))}


# Laws of a run.


def apart(data):
    """Give each market of a random tape a condition of its own, as real ones have: what is learned is kept by it."""
    named = tuple(replace_terms(each, condition=f"0xc{number}") for number, each in enumerate(data.markets))
    return replace_terms(data, markets=named)


@EVERY_RULE
@given(
    data=tapes(), settings=st.one_of(settings_of(AT_ONCE), settings_of(ON_A_CLOCK)), paper=papers(RICH), queue=QUEUES
)
def test_a_market_looked_at_only_when_something_changed_is_quoted_as_if_always_looked_at(
    rule, data, settings, paper, queue
):
    settings = replace_terms(settings, merge_from=shares("5"), sell_holdings=rule != "complement")
    ungated = replace_terms(settings, gated=False)
    gated, always = (trade(apart(data), composed(rule), each, paper, queue) for each in (settings, ungated))
    assert gated.acted() == always.acted()


@given(data=tapes(), settings=settings_of(AT_ONCE), paper=papers(RICH), queue=QUEUES)
def test_merged_pairs_are_cash_once_and_nothing_is_made_or_lost(data, settings, paper, queue):
    settings = replace_terms(settings, merge_from=shares("5"), sell_holdings=False)
    watch = trade(data, composed("complement"), settings, replace(paper, settlement_failure=0.2), queue)
    account = watch.desk.account
    cost = sum(each.cost for _, each in account.markets())
    assert account.funds.total + cost - account.realised == paper.funds
    asked = {each.no: each.size for each in watch.intents if isinstance(each, Merge)}
    merged = [each for each in watch.facts if isinstance(each, Merged)]
    assert len({each.no for each in merged}) == len(merged)
    assert all(each.size in (0, asked[each.no]) and each.cash == each.size for each in merged)


# Complement quoting.


def quotes_of(answer):
    return {each.outcome: each for each in answer if isinstance(each, Quote)}


def floored(quote, tick=100):
    return Grid(Price(tick)).place(BUY, quote.price)


PRICES = st.integers(1, 98)


@given(bid=PRICES, spread=st.integers(1, 20), edge=st.integers(1, 3000), tick=st.sampled_from([100, 50, 25, 10, 1]))
def test_bids_on_both_tokens_cost_a_dollar_less_the_edge_together(bid, spread, edge, tick):
    assume(bid + spread <= 99)
    shown = book(f"{bid / 100}x10", f"{(bid + spread) / 100}x10")
    found = quotes_of(Complement(edge=Price(edge), least_edge=Price(0)).price(market(), shown, Inventory()))
    assert floored(found[YES], tick) + floored(found[NO], tick) <= ONE - edge


@given(
    mid=st.integers(2, 97),
    paid=st.integers(1, 99),
    held=st.integers(1, 99_999_999),
    least=st.integers(-500, 200),
    outcome=st.sampled_from([YES, NO]),
)
def test_the_second_leg_of_a_pair_leaves_what_it_has_to(mid, paid, held, least, outcome):
    inventory = Inventory()
    holding = inventory.of(outcome)
    holding.confirmed, holding.cost = held, -(-paid * held // 100)
    shown = book(f"{(mid - 1) / 100}x10", f"{(mid + 1) / 100}x10")
    rule = Complement(edge=Price(200), least_edge=Price(least), max_unpaired=Size(10**12))
    second = quotes_of(rule.price(market(), shown, inventory))[outcome.other]
    # Exact: price × shares and what the held ones cost come to at most a dollar a pair less the least edge.
    assert floored(second, 1) * held + holding.cost * PRICE_SCALE <= (ONE - least) * held


def test_a_token_held_alone_is_not_bid_for_any_more():
    rule = Complement(max_unpaired=shares("50"))
    alone, other = rule.price(market(), book("0.46x10", "0.54x10"), a_holding(YES, "50", "0.40"))
    assert (type(alone), alone.outcome, alone.code) == (NoQuote, YES, "unpaired")
    assert (other.outcome, other.basis) == (NO, "complement")


def test_a_pair_that_would_lose_is_finished_no_higher_than_it_may():
    rule = Complement()
    _, other = rule.price(market(), book("0.30x10", "0.32x10"), a_holding(YES, "20", "0.45"))
    assert (other.price, other.basis) == (2 * 5500, "pair")


# The reservation price.


def after_a_walk(rule, walk, start=50):
    rule.observe(Listed(NOON, FIRST, market()), FIRST)
    cents = start
    for second, step in enumerate(walk):
        cents = min(90, max(10, cents + step))
        rule.observe(book_at(f"{(cents - 1) / 100:.2f}", f"{(cents + 1) / 100:.2f}", later(second)), FIRST)
    return rule


def both(rule, inventory, bid="0.49", ask="0.51", at=None, terms=None):
    return rule.price(terms or market(), book(f"{bid}x100", f"{ask}x100"), inventory, later(100) if at is None else at)


WALK = Random(7).choices([-1, 0, 1], k=90)


def test_nothing_is_quoted_before_the_volatility_is_known():
    found = both(after_a_walk(Reservation(), WALK[:20]), Inventory(), at=later(20))
    assert [each.code for each in found] == ["volatility_unknown"] * 2


def test_nothing_is_quoted_past_the_end():
    ended = market(ends_at=later(95))
    assert [each.code for each in both(after_a_walk(Reservation(), WALK), Inventory(), terms=ended)] == ["past_end"] * 2


def test_what_is_held_moves_both_quotes_away_from_more_of_it():
    rule = after_a_walk(Reservation(risk_aversion=0.01), WALK)
    flat, long, short = (
        both(rule, each) for each in (Inventory(), a_holding(YES, "100", "0.5"), a_holding(NO, "100", "0.5"))
    )
    for side in (0, 1):
        assert long[side].price < flat[side].price < short[side].price


def test_where_the_odds_move_more_the_quotes_are_wider_and_lean_more():
    calm, wild = (after_a_walk(Reservation(risk_aversion=0.01), [each * size for each in WALK]) for size in (1, 3))
    (calm_bid, calm_ask), (wild_bid, wild_ask) = both(calm, Inventory()), both(wild, Inventory())
    assert wild_ask.price - wild_bid.price > calm_ask.price - calm_bid.price
    held = a_holding(YES, "50", "0.5")
    assert sum(each.price for each in both(wild, held)) < sum(each.price for each in both(calm, held))


def test_without_risk_the_half_spread_is_what_the_arrival_of_fills_asks_for():
    rule = after_a_walk(Reservation(risk_aversion=0.001, arrival_decay=50.0), [0] * 90)
    bid, ask = both(rule, Inventory())
    assert ask.price - bid.price == pytest.approx(2 * 2 * PRICE_SCALE / 50, rel=0.01)  # 1 / k a side


@given(
    bid=st.integers(1, 98),
    held=st.integers(-10_000, 10_000),
    aversion=st.floats(0.001, 1000),
    seed=st.integers(0, 2**32),
)
def test_every_quote_lies_between_nothing_and_a_dollar_and_mirrors_that_of_the_other_token(bid, held, aversion, seed):
    chance = Random(seed)
    walk = [chance.choice([-5, 0, 5]) for _ in range(60)]
    mirrored = [-each for each in walk]
    inventory = a_holding(YES if held > 0 else NO, str(abs(held)), "0.5") if held else Inventory()
    opposite = a_holding(NO if held > 0 else YES, str(abs(held)), "0.5") if held else Inventory()
    rule, other = (after_a_walk(Reservation(risk_aversion=aversion), each) for each in (walk, mirrored))
    low, high = both(rule, inventory, f"{bid / 100:.2f}", f"{(bid + 1) / 100:.2f}")
    assert 0 <= low.price <= high.price <= 2 * ONE
    assert (low.side, high.side) == (BUY, SELL)
    left, right = both(other, opposite, f"{(99 - bid) / 100:.2f}", f"{(100 - bid) / 100:.2f}")
    assert abs(low.price - (2 * ONE - right.price)) <= 2
    assert abs(high.price - (2 * ONE - left.price)) <= 2


def test_repeated_news_of_the_same_book_teaches_nothing():
    once, often = after_a_walk(Reservation(), WALK), after_a_walk(Reservation(), [])
    cents = 50
    for second, step in enumerate(WALK):
        cents = min(90, max(10, cents + step))
        for part in range(3):
            shown = book_at(f"{(cents - 1) / 100:.2f}", f"{(cents + 1) / 100:.2f}", later(second + part / 4))
            often.observe(shown, FIRST)
    assert both(once, Inventory()) == both(often, Inventory())


# The value of a place in the queue.


def taught(prints="30x5", gone=0, memory=600.0, **settings):
    """A rule that saw so many sells of so many shares at 0.49, one a second, and the bid going so many times."""
    rule = QueueValue(memory=Micros(int(memory * SECOND)), min_prints=5, **settings)
    rule.observe(Listed(NOON, FIRST, market()), FIRST, None)
    rule.observe(told(book("0.49x100", "0.51x100"), NOON), FIRST, None)
    many, size = prints.split("x")
    for second in range(1, int(many) + 1):
        if second <= gone:
            rule.observe(told(book("0.47x100", "0.51x100"), later(second - 0.6)), FIRST, None)
            rule.observe(told(book("0.49x100", "0.51x100"), later(second - 0.3)), FIRST, None)
        rule.observe(Printed(later(second), FIRST, SELL, Price(4900), shares(size)), FIRST, None)
    return rule


def bid_of(rule, ahead="100", at=60, bid="0.49", ask="0.51"):
    return rule.price(market(), book(f"{bid}x{ahead}", f"{ask}x100"), later(at))[0]


def test_the_touch_is_joined_where_takers_come_and_the_price_stays():
    assert (bid_of(taught()).basis, bid_of(taught()).price) == ("join_touch", HalfPrice(2 * 4900))


def test_before_enough_prints_nothing_is_quoted():
    found = bid_of(taught("4x5"))
    assert (found.code, found.numbers) == ("queue_unknown", {"prints": 4, "needed": 5})
    untouched = taught().price(market(), book("0.49x10", "0.51x10"), later(60))[1]
    assert untouched.code == "queue_unknown"  # nobody bought: of the asks nothing is known


def test_a_price_that_goes_through_whoever_rests_there_is_left_a_tick_behind():
    found = bid_of(taught(gone=25), ahead="5000")
    assert (found.basis, found.price) == ("behind_touch", HalfPrice(2 * 4800))


def test_or_is_not_quoted_at_all():
    found = bid_of(taught(gone=25, otherwise=Otherwise.NOTHING), ahead="5000")
    assert found.code == "queue_worthless" and found.numbers["value"] <= 0


def test_more_shares_ahead_are_worth_less():
    rule = taught(gone=10)
    queue = rule._markets[market().condition].touch.bids
    values = [queue.value(ahead, 0.01)[0] for ahead in (0, 10, 100, 1000, 10_000)]
    assert values == sorted(values, reverse=True)


def test_our_order_keeps_the_place_that_prints_brought_it_to():
    rule = taught(gone=25, otherwise=Otherwise.NOTHING)
    rule.observe(told(book("0.49x5000", "0.51x100"), later(40)), FIRST, None)
    assert bid_of(rule, ahead="5000", at=41).code == "queue_worthless"
    ours = an_order(3, YES, BUY, "0.49", "20", state=State.LIVE)
    rule.observe(news(3, News.RESTING, later(41)), FIRST, ours)
    rule.observe(Printed(later(42), FIRST, SELL, Price(4900), shares("5000")), FIRST, None)
    assert bid_of(rule, ahead="5000", at=43).code == "queue_worthless"  # nothing the desk is woken for has changed
    assert bid_of(rule, ahead="5000", at=60).basis == "join_touch"  # a new order would still wait behind them


def test_impossible_settings_are_refused():
    for wrong in (
        lambda: Reservation(risk_aversion=0),
        lambda: Reservation(sample=Micros(0)),
        lambda: Complement(edge=Price(0)),
        lambda: Complement(edge=Price(100), least_edge=Price(200)),
        lambda: QueueValue(min_prints=0),
        lambda: QueueValue(memory=Micros(0)),
    ):
        with pytest.raises(ValueError, match=r"must be"):
            wrong()
