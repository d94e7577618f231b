"""The parts of spread_mm: its spread, what it learns from fills, its universe by liquidity (P1, P2, P4, P10)."""

import math

import pytest
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    SECOND,
    SELL,
    YES,
    a_holding,
    an_order,
    ask,
    bid,
    book,
    later,
    market,
    shares,
    told,
)

from pmrun.plugins.adjust.book_imbalance import BookImbalance
from pmrun.plugins.adjust.calibration import Calibration
from pmrun.plugins.adjust.toxicity import Toxicity
from pmrun.plugins.filters.liquidity import Liquidity as LiquidityFilter
from pmrun.plugins.filters.range import Range
from pmrun.plugins.pricing.spread import Spread
from pmrun.plugins.ranking.liquidity import Liquidity
from pmrun.runner.facts import Carried, FeedEnded, FeedLost, Filled, Listed, OrderNews, TimerDue
from pmrun.runner.hooks import NoQuote, Quote
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import ConditionId
from pmrun.runner.orders import News, OrderNo, Purpose, State, TradeId
from pmrun.runner.units import Cash, Micros, Price, parse_cash

RAIN = market()
OTHER = ConditionId("0xd0")
CENT = 200  # in 1/20,000 dollar


def at_mid(mid: str, at: Micros = NOON, spread: int = 100):
    """Tell of a book with this mid."""
    half = round(float(mid) * 20_000)
    low, high = (half - spread) // 2, (half + spread) // 2
    return told(book(f"{low / 10_000:.4f}x100", f"{high / 10_000:.4f}x100"), at)


def quoted(component, quotes, shown=None, terms=RAIN, inventory=None):
    """What an adjustment makes of the rule's quotes: dollars of each."""
    wrapper = component.price(*_arguments(component, terms, shown, inventory))
    next(wrapper)
    with pytest.raises(StopIteration) as done:
        wrapper.send(quotes)
    return [round(each.price / 20_000, 6) for each in done.value.value]


def _arguments(component, terms, shown, inventory):
    given = {"market": terms, "book": shown or at_mid("0.50").book, "inventory": inventory or Inventory()}
    names = type(component).price.__code__.co_varnames[1 : type(component).price.__code__.co_argcount]
    return [given[name] for name in names]


# The spread.


def spread_after(*mids: str, **settings) -> Spread:
    """A rule that saw these mids, three seconds apart."""
    rule = Spread(**settings)
    rule.observe(Listed(NOON, FIRST, RAIN), FIRST)
    for number, mid in enumerate(mids):
        rule.observe(at_mid(mid, later(3 * number)), FIRST)
    return rule


def halves(rule: Spread, mid: str, at: float) -> list[float]:
    """How far its quotes are from the mid, in cents."""
    answer = rule.price(RAIN, at_mid(mid).book, later(at))
    assert all(isinstance(each, Quote) and each.side is BUY for each in answer), answer
    own = [float(mid) if each.outcome is YES else 1 - float(mid) for each in answer]
    return [round(100 * (each - quote.price / 20_000), 4) for each, quote in zip(own, answer, strict=True)]


def test_a_market_that_stands_still_is_quoted_at_the_base_on_both_tokens():
    assert halves(spread_after(*["0.40"] * 11), "0.40", 30) == [1.0, 1.0]


def test_what_moves_is_quoted_wider_by_alpha_deviations_of_the_horizon():
    moving = ["0.40", "0.41"] * 6  # every move is a cent, so a deviation is a cent every three seconds
    assert halves(spread_after(*moving, horizon=Micros(12 * SECOND)), "0.41", 33) == [1 + 1.5 * 2, 1 + 1.5 * 2]
    assert halves(spread_after(*moving, alpha=0.0), "0.41", 33) == [1.0, 1.0]
    assert halves(spread_after(*moving, horizon=Micros(3 * SECOND), alpha=2.0), "0.41", 33) == [3.0, 3.0]


def test_an_old_move_counts_half_after_its_half_life():
    calm = ["0.40"] * 10 + ["0.44"] + ["0.44"] * 20
    rule = spread_after(*calm, half_life=Micros(30 * SECOND), min_points=1, base_half_spread=Price(0), alpha=1.0)
    first = halves(rule, "0.44", 90)[0]
    for number in range(31, 41):  # thirty seconds on
        rule.observe(TimerDue(later(3 * number)), None)
    assert halves(rule, "0.44", 120)[0] == pytest.approx(first / math.sqrt(2), rel=0.02)


def test_too_few_moves_a_gap_or_a_lost_feed_are_no_ground_to_quote_on():
    def codes(rule, at):
        return [each.code for each in rule.price(RAIN, at_mid("0.40").book, later(at)) if isinstance(each, NoQuote)]

    assert codes(spread_after(*["0.40"] * 10), 27) == ["too_few_points"] * 2
    assert codes(Spread(), 27) == ["too_few_points"] * 2
    assert codes(spread_after(*["0.40"] * 30), 87 + 601) == ["too_few_points"] * 2
    rule = spread_after(*["0.40"] * 30)
    assert codes(rule, 87) == []
    rule.observe(FeedLost(later(87)), None)
    assert codes(rule, 87) == ["too_few_points"] * 2


def test_a_spread_that_would_have_to_be_too_wide_is_none():
    answer = spread_after(*["0.30", "0.60"] * 8).price(RAIN, at_mid("0.60").book, later(45))
    assert [each.code for each in answer] == ["spread_too_wide"] * 2
    assert answer[0].numbers["half_spread"] > answer[0].numbers["limit"] == 1_000


def test_the_rule_wakes_for_its_next_sample():
    assert spread_after("0.40", "0.40").next_wake(FIRST) == later(6)
    assert Spread().next_wake(FIRST) is None


# Calibration.

MINUTE = 60


class Life:
    """One market in which a quote rests and is filled."""

    def __init__(self, component=None, terms=RAIN, **settings) -> None:
        self.component = component or Calibration(**settings)
        self.tell(Listed(NOON, FIRST, terms))

    def tell(self, fact, order=None) -> None:
        self.component.observe(fact, FIRST, order)

    def rest(self, at: float, price: str = "0.48", no: int = 1, **how) -> None:
        order = an_order(no, price=price, state=State.LIVE, **how)
        self.tell(OrderNews(later(at), OrderNo(no), News.RESTING), order)

    def gone(self, at: float, no: int = 1) -> None:
        self.tell(OrderNews(later(at), OrderNo(no), News.CANCELED), an_order(no, state=State.CANCELED))

    def fill(self, at: float, price: str = "0.48", no: int = 1, trade: str = "t", **how) -> None:
        fact = Filled(later(at), OrderNo(no), TradeId(trade), Price(4800), shares("5"), Cash(1))
        self.tell(fact, an_order(no, price=price, state=State.PARTIALLY_FILLED, **how))

    def mid(self, at: float, mid: str) -> None:
        self.tell(at_mid(mid, later(at)))

    def until(self, at: float) -> "Calibration":
        self.tell(TimerDue(later(at)))
        return self.component


def counted(component: Calibration, name: str = "0xc0") -> dict[str, int]:
    """What is carried of a market, seconds and fills, by distance in half cents."""
    found = {}
    for key, value in component.carry().items():
        market_name, what, *distance = key.split("/")
        if market_name == name and what != "window":
            found[f"{what} {int(distance[0]) / CENT:g}"] = value / 1e6
    return found


def test_time_at_a_distance_and_fills_there_are_counted():
    life = Life()
    life.mid(0, "0.50")
    life.rest(10)
    life.mid(20, "0.51")
    life.fill(25)
    life.fill(25, trade="u")  # two parts of one hit
    life.gone(30)
    assert counted(life.until(61)) == {"rested 2": 10, "rested 3": 10, "fills 3": 1}
    assert counted(life.component, "all") == counted(life.component)


@pytest.mark.parametrize(
    ("price", "how"),
    [
        ("0.48", {"outcome": YES, "side": BUY}),
        ("0.52", {"outcome": YES, "side": SELL}),
        ("0.48", {"outcome": NO, "side": BUY}),
        ("0.52", {"outcome": NO, "side": SELL}),
    ],
)
def test_distance_is_from_the_mid_on_either_side_of_either_token(price, how):
    life = Life()
    life.mid(0, "0.50")
    life.rest(10, price, **how)
    assert counted(life.until(60)) == {"rested 2": 50}


def test_without_a_mid_nothing_is_counted_and_exits_teach_nothing():
    life = Life()
    life.rest(10)
    life.rest(10, no=2, purpose=Purpose.HEDGE)
    life.mid(20, "0.50")
    life.fill(25, no=2, purpose=Purpose.HEDGE)
    life.tell(FeedLost(later(30)))
    assert counted(life.until(60)) == {"rested 2": 10}


def test_what_a_minute_taught_counts_from_its_end_on():
    life = Life()
    before = life.component.intensity(RAIN.condition)
    life.mid(0, "0.50")
    life.rest(0)
    life.fill(30)
    assert life.component.intensity(RAIN.condition) == before
    assert life.component.carry() == {}
    assert life.until(60).intensity(RAIN.condition) != before


def test_a_market_without_fills_of_its_own_is_taken_to_be_like_the_others():
    life = Life(prior_fills=1.0)
    for turn in range(20):
        life.mid(turn * MINUTE, "0.50")
        life.rest(turn * MINUTE, no=turn + 1)
        life.fill(turn * MINUTE + 30, no=turn + 1)
        life.gone(turn * MINUTE + 50, no=turn + 1)
    learned = life.until(21 * MINUTE)
    seen = 20 / (20 * 50)  # fills a second, two cents from the mid
    assert learned.intensity(RAIN.condition).rate(2) == pytest.approx(seen, rel=0.25)
    assert learned.intensity(OTHER).rate(2) == pytest.approx(seen, rel=0.25)
    assert Calibration().intensity(OTHER).rate(2) < seen / 2


def test_a_restart_goes_on_with_what_was_learned_to_the_last_second():
    def first(life: Life) -> Life:
        life.mid(0, "0.50")
        life.rest(0)
        life.fill(40)
        life.gone(85)
        return life

    def second(life: Life) -> Life:
        life.mid(100, "0.50")
        life.rest(100, no=2)
        life.fill(130, no=2)
        life.gone(170, no=2)
        life.until(240)
        return life

    whole = second(first(Life()))
    before = first(Life())
    before.tell(FeedEnded(later(90)))  # in the middle of a minute
    after = Life(Calibration())
    after.component.observe(Carried(later(95), "adjust.calibration", before.component.carry()), None, None)
    second(after)
    assert after.component.carry() == whole.component.carry()
    assert after.component.intensity(RAIN.condition) == whole.component.intensity(RAIN.condition)


def test_a_memory_that_is_no_count_is_refused():
    with pytest.raises(ValueError, match="nothing that this component carries"):
        Calibration().observe(Carried(NOON, "adjust.calibration", {"peak": 1}), None, None)


def test_half_of_what_was_learned_is_left_after_the_half_life():
    life = Life(half_life=Micros(600 * SECOND))
    life.mid(0, "0.50")
    life.rest(0)
    life.gone(60)
    life.until(120)
    life.rest(60 + 600, no=2)
    life.gone(60 + 600 + 30, no=2)
    assert counted(life.until(60 + 660))["rested 2"] == pytest.approx(60 / 2 ** (11 / 10) + 30, rel=1e-3)


def test_quotes_move_out_where_more_fills_are_predicted_than_wanted_and_in_where_fewer():
    believed = {"fills_per_minute_at_mid": 4.0, "decay_per_cent": 1.0, "most": Price(1_000)}
    quotes = [bid(YES, "0.48"), bid(NO, "0.48")]  # 2 × 4 × exp(−2) fills a minute
    predicted = 8 * math.exp(-2)
    for wanted in (predicted, predicted / math.e, predicted * math.e):
        rule = Calibration(wanted_fills_per_minute=wanted, **believed)
        out = math.log(predicted / wanted) / 100
        assert quoted(rule, quotes) == pytest.approx([0.48 - out, 0.48 - out], abs=1e-4)
    assert quoted(Calibration(**believed), quotes) == [0.48, 0.48]


def test_quotes_move_no_farther_than_allowed_and_never_through_the_mid():
    quotes = [bid(YES, "0.495"), ask(YES, "0.53")]
    greedy, shy = (Calibration(wanted_fills_per_minute=wanted, most=Price(200)) for wanted in (900.0, 1e-6))
    assert quoted(greedy, quotes) == [0.5, 0.51]
    assert quoted(shy, quotes) == [0.475, 0.55]
    beyond = [bid(YES, "0.51")]  # an adjustment before this one leans through the mid: it is left alone
    assert quoted(greedy, beyond) == [0.51]


def test_a_market_that_does_not_care_for_distance_moves_as_far_as_allowed():
    flat = {"decay_per_cent": 0.0, "fills_per_minute_at_mid": 1.0, "most": Price(100)}
    assert quoted(Calibration(wanted_fills_per_minute=0.1, **flat), [bid(YES, "0.48")]) == [0.47]


def test_it_wakes_at_the_full_minute_where_that_moves_quotes():
    assert Calibration().next_wake(later(7)) is None
    assert Calibration(wanted_fills_per_minute=1.0).next_wake(later(7)) == later(60)


def test_it_says_what_it_learned_and_how_well_it_foretold():
    life = Life()
    life.mid(0, "0.50")
    life.rest(0)
    life.fill(30)
    said = {each.name: each.value for each in life.until(120).calibrated()}
    belief = Calibration().intensity(RAIN.condition)
    assert said["quote_seconds"] == 120
    assert said["fills"] == 1
    assert said["predicted_by_prior"] == pytest.approx(120 * belief.rate(2))
    assert said["predicted"] != pytest.approx(said["predicted_by_prior"])  # the second minute knew of the first
    assert said["fills_per_minute_at_mid"] > 0


# Toxicity.


def toxic(*moves: str, **settings) -> Life:
    """A market in which each bid that is filled at a mid of 0.50 sees the mid go elsewhere within 30 seconds."""
    life = Life(Toxicity(**settings))
    for number, mid in enumerate(moves):
        at = 100 * number
        life.mid(at, "0.50")
        life.fill(at + 1, no=number + 1)
        life.mid(at + 20, mid)
        life.until(at + 40)
    return life


def test_quotes_keep_the_distance_that_fills_cost():
    rule = toxic(*["0.47"] * 10, prior_fills=0.001).component
    assert rule.cost(RAIN.condition) == pytest.approx(3 * CENT, rel=0.01)
    near, far = [bid(YES, "0.49"), bid(NO, "0.49")], [bid(YES, "0.45")]
    assert quoted(rule, near) == pytest.approx([0.47, 0.47], abs=1e-4)
    assert quoted(rule, far) == [0.45]


@pytest.mark.parametrize(
    ("how", "against"),
    [
        ({"outcome": YES, "side": BUY}, "0.47"),
        ({"outcome": YES, "side": SELL}, "0.53"),
        ({"outcome": NO, "side": BUY}, "0.53"),
        ({"outcome": NO, "side": SELL}, "0.47"),
    ],
)
def test_what_goes_against_a_fill_depends_on_what_was_bought_or_sold(how, against):
    life = Life(Toxicity(prior_fills=0.001))
    life.mid(0, "0.50")
    life.fill(1, **how)
    life.mid(20, against)
    assert life.until(40).cost(RAIN.condition) == pytest.approx(3 * CENT, rel=0.01)


def test_exits_teach_nothing_of_quotes():
    life = Life(Toxicity())
    life.mid(0, "0.50")
    life.fill(1, purpose=Purpose.HEDGE)
    life.mid(20, "0.40")
    assert life.until(40).carry() == {}


def test_fills_that_gain_move_no_quote():
    rule = toxic(*["0.53"] * 10, prior_fills=0.001).component
    assert rule.cost(RAIN.condition) < 0
    assert quoted(rule, [bid(YES, "0.49")]) == [0.49]


def test_a_few_bad_fills_are_not_believed_at_once():
    few, many = (toxic(*["0.47"] * count).component.cost(RAIN.condition) for count in (1, 30))
    assert 0 < few < 0.3 * 3 * CENT
    assert 0.8 * 3 * CENT < many < 3 * CENT


def test_what_is_learned_in_one_market_warns_the_others_too():
    rule = toxic(*["0.47"] * 30).component
    assert 0 < rule.cost(OTHER) < rule.cost(RAIN.condition)


def test_no_quote_is_moved_farther_than_allowed():
    rule = toxic(*["0.20"] * 30, most=Price(400)).component
    assert quoted(rule, [bid(YES, "0.49")]) == [0.46]


def test_the_mid_of_the_moment_counts_not_that_of_the_next_book():
    life = Life(Toxicity(prior_fills=0.001))
    life.mid(0, "0.50")
    life.fill(1)
    life.mid(20, "0.47")
    life.mid(31.5, "0.60")  # half a second late: at 31 the mid was 0.47
    assert life.component.cost(RAIN.condition) == pytest.approx(3 * CENT, rel=0.01)


def test_a_fill_whose_mid_was_lost_teaches_nothing():
    life = Life(Toxicity())
    life.mid(0, "0.50")
    life.fill(1)
    life.tell(FeedLost(later(10)))
    life.mid(60, "0.40")
    assert life.component.carry() == {}


def test_it_wakes_when_a_fill_is_to_be_marked_out():
    life = Life(Toxicity())
    life.mid(0, "0.50")
    assert life.component.next_wake(FIRST) is None
    life.fill(1)
    assert life.component.next_wake(FIRST) == later(31)


def test_what_fills_cost_is_known_after_a_restart():
    before = toxic(*["0.47"] * 5, memory=4).component
    after = Toxicity(memory=4)
    after.observe(Carried(NOON, "adjust.toxicity", before.carry()), None, None)
    assert after.cost(RAIN.condition) == before.cost(RAIN.condition) > 0
    assert after.carry() == before.carry()
    with pytest.raises(ValueError, match="nothing that this component carries"):
        after.observe(Carried(NOON, "adjust.toxicity", {"0xc0/gained": 1}), None, None)


def test_old_fills_fade():
    rule = toxic(*["0.47"] * 20, *["0.50"] * 60, memory=10, prior_fills=0.001).component
    assert rule.cost(RAIN.condition) < 0.01 * 3 * CENT


# Imbalance.


def test_quotes_lean_to_the_side_on_which_more_rests():
    heavy_bid = book("0.48x300", "0.52x100")
    weighted = (0.48 * 100 + 0.52 * 300) / 400  # the weighted mid is 0.51
    rule = BookImbalance(strength=1.0, most=Price(1_000))
    assert rule.lean(heavy_bid) / 20_000 == pytest.approx(weighted - 0.50)
    assert quoted(rule, [bid(YES, "0.47"), bid(NO, "0.47")], heavy_bid) == [0.48, 0.46]
    assert quoted(BookImbalance(), [bid(YES, "0.47")], heavy_bid) == [0.475]


def test_the_lean_is_bounded_and_nothing_leans_on_an_even_book():
    assert quoted(BookImbalance(strength=10.0), [bid(YES, "0.47")], book("0.48x900", "0.52x100")) == [0.48]
    assert quoted(BookImbalance(), [bid(YES, "0.47")], book("0.48x100", "0.52x100")) == [0.47]


def test_deeper_levels_count_where_they_are_asked_for():
    deep = book("0.48x100 0.47x800", "0.52x100 0.53x100")
    assert BookImbalance(levels=1).lean(deep) == 0
    assert BookImbalance(levels=2).lean(deep) > 0
    assert BookImbalance(levels=2).depth.levels == 2


def test_the_skew_of_what_is_held_joins_in():
    from pmrun.plugins.adjust.inventory_skew import InventorySkew

    held = a_holding(YES, "100", "0.50")
    assert quoted(InventorySkew(), [bid(YES, "0.48"), bid(NO, "0.48")], inventory=held) == [0.47, 0.49]


# Liquidity.


def test_markets_are_ranked_by_the_liquidity_the_exchange_lists():
    assert Liquidity().rank_market(market(liquidity=parse_cash("1234.5"))).value == 1234.5
    with pytest.raises(ValueError, match="nobody says how liquid rain is"):
        Liquidity().rank_market(RAIN)


def test_unknown_liquidity_is_a_rejection_and_no_nought():
    rule = LiquidityFilter()
    assert rule.reject_market(RAIN).code == "liquidity_unknown"
    assert rule.reject_market(market(liquidity=Cash(0))) is None
    bounded = LiquidityFilter(Range(parse_cash("1000")))
    assert bounded.reject_market(market(liquidity=parse_cash("400"))).numbers == {
        "value": 400.0,
        "limit": 1_000.0,
        "margin": 600.0,
        "unit": "dollars",
    }


@pytest.mark.parametrize(
    ("component", "setting", "value"),
    [
        (Spread, "base_half_spread", -1),
        (Spread, "max_half_spread", 50),
        (Spread, "alpha", -0.1),
        (Spread, "interval", 0),
        (Spread, "horizon", 0),
        (Spread, "half_life", 1),
        (Spread, "min_points", 0),
        (Spread, "max_gap", 1),
        (Calibration, "wanted_fills_per_minute", 0.0),
        (Calibration, "most", 5_000),
        (Calibration, "fills_per_minute_at_mid", 0.0),
        (Calibration, "decay_per_cent", -1.0),
        (Calibration, "prior_fills", 0.0),
        (Calibration, "pool_fills", 0.0),
        (Calibration, "half_life", 1),
        (Toxicity, "horizon", 0),
        (Toxicity, "strength", -1.0),
        (Toxicity, "prior_fills", 0.0),
        (Toxicity, "memory", 1),
        (Toxicity, "most", -1),
        (BookImbalance, "levels", 0),
        (BookImbalance, "strength", 11.0),
        (BookImbalance, "most", 5_000),
    ],
)
def test_a_setting_that_could_not_be_is_refused_by_its_name(component, setting, value):
    with pytest.raises(ValueError, match=f"^{setting} must be "):
        component(**{setting: value})
