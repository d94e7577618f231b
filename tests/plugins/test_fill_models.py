"""What the paper exchange does with an order: chance, touch, taking, races, settlements, rejections, three forms."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.executors import kernel, paper_exchange
from pmrun.plugins.executors.chance import NEVER
from pmrun.plugins.executors.fill import Intensity, Queue, Touch
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.bracket import bracket, check_bracket
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import Filled, MarketStatus, OrderNews, Settled, StatusChanged
from pmrun.runner.hooks import WHOLE_BOOK, Hooks
from pmrun.runner.intents import Cancel, CancelAll, Place, Reason
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, OrderNo, Purpose, Settlement
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import SECOND, Micros, Price, Side, Size, parse_size

NOON = 1_700_000_000_000_000
NOW = Reason("test")
SHARE = 1_000_000
BIDS = ((4_500, 100), (4_400, 100))
ASKS = ((4_700, 100), (4_800, 50))
RAIN = Market(
    condition=ConditionId("0xrain"),
    question="Will it rain?",
    slug="rain",
    yes=TokenId("rain-yes"),
    no=TokenId("rain-no"),
    tick=Price(100),
    min_order_size=parse_size(5),
)
FAST = {"submit_latency": Micros(0), "answer_latency": Micros(0)}


class Tape:
    """A feed of one market, written second by second."""

    def __init__(self) -> None:
        self.rows = RowBuilder()
        self.frames = 0
        self.prints = 0
        self.notes: list[Any] = []

    def at(self, seconds: float) -> Micros:
        self.frames += 1
        return Micros(NOON + int(seconds * SECOND))

    def book(self, seconds: float, bids: Any = BIDS, asks: Any = ASKS) -> "Tape":
        at = self.at(seconds)
        sides = [tuple((Price(p), Size(s * SHARE)) for p, s in side) for side in (bids, asks)]
        self.rows.book(at, at, self.frames, 0, Outcome.YES, *sides)
        return self

    def level(self, seconds: float, side: Side, price: int, shares: int) -> "Tape":
        at = self.at(seconds)
        self.rows.level(at, at, self.frames, 0, Outcome.YES, side, Price(price), Size(shares * SHARE))
        return self

    def trade(self, seconds: float, taker: Side, price: int, shares: int) -> "Tape":
        at = self.at(seconds)
        self.prints += 1
        self.rows.trade(at, at, self.frames, 0, Outcome.YES, taker, Price(price), Size(shares * SHARE))
        return self

    def data(self) -> FeedData:
        built = self.rows.build()
        info = FeedInfo(
            name="made up",
            source="test",
            simulated=True,
            data_hash="",
            frames=self.frames,
            prints=self.prints,
            first_at=Micros(int(built.at[0])),
            last_at=Micros(int(built.at[-1])),
        )
        return FeedData(markets=(RAIN,), steps=(100,), rows=built, notes=tuple(self.notes), info=info)


@dataclass
class Session:
    """A paper exchange and everything it said."""

    exchange: paper_exchange.PaperExchange
    facts: list[Any]
    orders: int = 0

    def to(self, seconds: float) -> "Session":
        """Let time go by as a run does: never past what is due."""
        end = Micros(NOON + int(seconds * SECOND))
        while True:
            due = self.exchange.next_due()
            at = end if due is None else min(end, due)
            self.exchange.advance(at)
            first = self.exchange.next_due()
            if first is not None and first <= end:
                self.facts += self.exchange.due(first)
            elif at == end:
                self.now = end
                return self

    def place(self, side: Side, price: int, shares: int, post_only: bool = True) -> OrderNo:
        self.orders += 1
        number = OrderNo(self.orders)
        order = Place(
            self.now,
            number,
            MarketNo(0),
            Outcome.YES,
            side,
            Price(price),
            Size(shares * SHARE),
            Purpose.QUOTE if post_only else Purpose.HEDGE,
            post_only,
            NOW,
        )
        self.exchange.submit([order], self.now)
        return number

    def cancel(self, number: OrderNo) -> None:
        self.exchange.submit([Cancel(self.now, number, NOW)], self.now)

    def fills(self) -> list[tuple[int, int, float, float]]:
        """Order, price, shares, and the seconds when it was told."""
        return [
            (each.order, each.price, each.size / SHARE, (each.at - NOON) / SECOND)
            for each in self.facts
            if isinstance(each, Filled)
        ]

    def shares(self, number: int) -> float:
        return sum(size for order, _, size, _ in self.fills() if order == number)

    def news(self, number: int) -> list[tuple[News, str]]:
        return [(each.news, each.reason) for each in self.facts if isinstance(each, OrderNews) and each.order == number]

    def settled(self) -> list[tuple[str, Settlement, float]]:
        return [
            (each.trade, each.status, (each.at - NOON) / SECOND) for each in self.facts if isinstance(each, Settled)
        ]


def open_paper(tape: Tape, fill: Any = None, **settings: Any) -> Session:
    exchange = Paper(**{**FAST, **settings}).open(tape.data(), fill or Queue(), WHOLE_BOOK, False)
    exchange.opening()
    return Session(exchange, []).to(0)


# Chance.


def windy(seconds: int = 120) -> Tape:
    """A touch that wanders by a cent every few seconds."""
    tape, chance = Tape(), Random(1)
    for second in range(seconds):
        bid = 4_500 + 100 * chance.choice([0, 0, 0, 1, -1])
        tape.book(second, ((bid, 100), (bid - 100, 60)), ((bid + 200, 80), (bid + 300, 70)))
    return tape


def drawn(chunks: list[float], **settings: Any) -> list[tuple[int, int, float, float]]:
    fill = Intensity(**{"seed": 7, "fill_intensity": 1.0, "max_fraction": 0.1} | settings)
    session = open_paper(windy(), fill)
    session.place(Side.BUY, 4_400, 200)
    session.place(Side.SELL, 4_800, 200)
    for until in [*sorted(chunks), 119.0]:
        session.to(until)
    return session.fills()


@given(chunks=st.lists(st.floats(0.0, 119.0), max_size=30))
def test_the_same_seed_draws_the_same_fills_however_time_is_cut(chunks):
    found = drawn(chunks)
    assert len(found) > 10
    assert found == drawn([])


def test_another_seed_draws_other_fills():
    assert drawn([]) != drawn([], seed=8)


def test_the_draws_of_an_order_do_not_depend_on_other_orders():
    both = [each for each in drawn([]) if each[0] == 1]
    session = open_paper(windy(), Intensity(seed=7, fill_intensity=1.0, max_fraction=0.1))
    session.place(Side.BUY, 4_400, 200)
    assert session.to(119).fills() == both


@pytest.mark.parametrize(("price", "away"), [(4_500, 1.0), (4_400, 2.0), (4_300, 3.0), (4_600, 0.0)])
def test_hits_come_at_the_rate_of_the_settings(price, away):
    seconds, rate = 4_000, 0.5 * 2.718281828 ** (-0.7 * away)
    tape = Tape().book(0).book(seconds + 1)
    session = open_paper(tape, Intensity(fill_intensity=0.5, spread_k=0.7, full_fill_probability=1, max_fraction=0.001))
    session.place(Side.BUY, price, 1_000_000)
    expected = seconds * rate
    assert abs(len(session.to(seconds).fills()) - expected) < 4 * expected**0.5


def test_hits_follow_a_touch_that_moves():
    tape, seconds = Tape(), 2_000
    for second in range(seconds):
        bid = 4_500 if second % 2 else 4_300
        tape.book(second, ((bid, 100),), ((bid + 200, 100),))
    session = open_paper(tape, Intensity(fill_intensity=2.0, spread_k=0.7, full_fill_probability=0, max_fraction=0.01))
    session.place(Side.BUY, 4_300, 1_000_000)
    expected = seconds * (2.718281828 ** (-0.7 * 1.0) + 2.718281828 ** (-0.7 * 3.0))
    assert abs(len(session.to(seconds).fills()) - expected) < 4 * expected**0.5


def test_two_orders_at_one_price_are_hit_at_times_of_their_own():
    session = open_paper(Tape().book(0).book(100), Intensity(fill_intensity=1, full_fill_probability=1))
    for _ in range(2):
        session.place(Side.BUY, 4_500, 20)
    assert len({at for _, _, _, at in session.to(99).fills()}) == 2


def test_time_that_goes_by_at_one_rate_is_added_up_at_once():
    chance = Intensity().chance(False)
    hits = chance.start(1, NOON)
    chance.follow(hits, 1e-9, NOON)
    due = hits.at
    chance.follow(hits, 1e-9, NOON + 1)
    assert (hits.since, hits.spent, hits.at) == (NOON, 0.0, due)


def test_nothing_is_applied_past_a_hit_that_is_answered_first():
    tape = Tape()
    for second in range(100):
        tape.book(second)
    session = open_paper(tape, Intensity(fill_intensity=1, full_fill_probability=1), answer_latency=Micros(SECOND))
    session.place(Side.BUY, 4_500, 20)
    session.to(0)
    session.exchange.advance(Micros(NOON + 99 * SECOND))
    due, row = session.exchange.next_due(), session.exchange.next_row()
    assert due == NOON + SECOND  # the answer that it rests
    session.facts += session.exchange.due(due)
    told = session.exchange.next_due()
    assert told < row <= told + SECOND


def test_no_hit_takes_more_than_its_fraction_of_what_is_displayed():
    session = open_paper(Tape().book(0).book(500), Intensity(fill_intensity=1, full_fill_probability=0.5))
    session.place(Side.BUY, 4_500, 10_000)
    sizes = [size for _, _, size, _ in session.to(400).fills()]
    assert max(sizes) == 50  # half of a hundred
    assert min(sizes) < 50 or len(set(sizes)) == 1
    assert all(round(size * 100) == pytest.approx(size * 100) for size in sizes)


def test_a_whole_fill_ends_the_order_and_frees_its_place():
    session = open_paper(Tape().book(0).book(500), Intensity(fill_intensity=10, spread_k=0, full_fill_probability=1))
    first = session.place(Side.BUY, 4_500, 20)
    assert session.to(100).shares(first) == 20
    assert session.exchange.next_due() is None
    second = session.place(Side.BUY, 4_500, 20)
    assert session.to(200).shares(second) == 20


@pytest.mark.parametrize(
    "tape",
    [
        Tape().book(0, BIDS, ()).book(100, BIDS, ()),
        Tape().book(0, (), ASKS).book(100, (), ASKS),
        Tape().book(0, BIDS, ()).trade(1, Side.SELL, 4_300, 500).book(100),
        Tape().book(0, (), ASKS).trade(1, Side.SELL, 4_300, 500).book(100),
        Tape().book(0).trade(99, Side.SELL, 4_300, 500),
    ],
    ids=["no asks", "no bids", "a print but no asks", "a print but no bids", "a feed with prints, none yet"],
)
def test_without_a_mid_or_on_a_feed_with_prints_without_a_print_nothing_is_hit(tape):
    session = open_paper(tape, Intensity(fill_intensity=1_000, spread_k=0))
    order = session.place(Side.BUY, 4_400, 20)
    assert session.to(90).shares(order) == 0


@pytest.mark.parametrize("has_prints", [False, True])
def test_a_halted_market_has_no_hits(has_prints):
    tape = Tape().book(0)
    for second in range(1, 90) if has_prints else ():
        tape.trade(second, Side.SELL, 4_500, 10)
    tape.book(100).notes = [StatusChanged(Micros(NOON + 10 * SECOND), MarketNo(0), MarketStatus.HALTED)]
    session = open_paper(tape, Intensity(fill_intensity=2, full_fill_probability=0, max_fraction=0.01))
    session.place(Side.BUY, 4_500, 10_000)
    times = [at for _, _, _, at in session.to(90).fills()]
    assert times
    assert max(times) <= 10


def test_a_cancelled_order_is_hit_no_more():
    session = open_paper(windy(), Intensity(fill_intensity=1, full_fill_probability=0, max_fraction=0.01))
    order = session.place(Side.BUY, 4_400, 1_000)
    session.to(60).cancel(order)
    times = [at for _, _, _, at in session.to(119).fills()]
    assert times
    assert max(times) <= 60


def test_the_news_of_a_hit_takes_the_latency_back():
    settings = {"fill_intensity": 1.0, "full_fill_probability": 1.0}
    at_once = open_paper(Tape().book(0).book(100), Intensity(**settings))
    later = open_paper(Tape().book(0).book(100), Intensity(**settings), answer_latency=Micros(2 * SECOND))
    for session in (at_once, later):
        session.place(Side.BUY, 4_500, 20)
        session.to(99)
    ((*_, soon),), ((*_, late),) = at_once.fills(), later.fills()
    assert late == pytest.approx(soon + 2)


def test_a_drawn_fill_says_that_it_is_drawn_and_what_it_does_not_know():
    for has_prints in (False, True):
        assert "drawn at random with seed 3, not observed" in Intensity(seed=3).remarks(has_prints)[0]
    assert "only a print" in Intensity().remarks(True)[1]
    assert "ignore why others trade, so a profit from them is not to be believed" in Intensity().remarks(False)[1]


# Chance, on a feed with prints.


def printed(seconds: int = 300) -> Tape:
    """A touch that wanders by a cent, and a print a second, at the touch or through it."""
    tape, chance = Tape(), Random(3)
    for second in range(seconds):
        bid = 4_500 + 100 * chance.choice([0, 0, 1, -1])
        tape.book(second, ((bid, 100), (bid - 100, 60)), ((bid + 200, 80), (bid + 300, 70)))
        taker, through = chance.choice(list(Side)), 100 * chance.choice([0, 0, 1])
        price = bid - through if taker is Side.SELL else bid + 200 + through
        tape.trade(second + 0.5, taker, price, chance.randint(1, 60))
    return tape


def prints_of(tape: Tape) -> dict[float, tuple[int, int, int]]:
    """The side, price and size of each print, by its second."""
    rows = tape.rows.build()
    return {
        (int(at) - NOON) / SECOND: (int(side), int(price), int(size))
        for at, kind, side, price, size in zip(rows.at, rows.kind, rows.side, rows.price, rows.size, strict=True)
        if kind == kernel.PRINT
    }


def struck(chunks: list[float], orders: Any = ((Side.BUY, 4_400), (Side.SELL, 4_800)), **settings: Any) -> Session:
    session = open_paper(printed(), Intensity(**{"seed": 7, "max_fraction": 0.3} | settings))
    for side, price in orders:
        session.place(side, price, 500)
    for until in [*sorted(chunks), 299.9]:
        session.to(until)
    return session


@given(chunks=st.lists(st.floats(0.0, 299.0), max_size=30))
def test_the_same_seed_lets_the_same_prints_hit_however_time_is_cut(chunks):
    found = struck(chunks).fills()
    assert len(found) > 20
    assert found == struck([]).fills() != struck([], seed=8).fills()


@given(
    seed=st.integers(0, 2**32),
    orders=st.lists(
        st.tuples(st.just(Side.BUY), st.sampled_from([4_300, 4_400, 4_500]))
        | st.tuples(st.just(Side.SELL), st.sampled_from([4_700, 4_800, 4_900])),
        min_size=1,
        max_size=6,
    ),
    fraction=st.floats(0.01, 1),
)
def test_fills_are_drawn_only_at_prints_by_the_opposite_taker_that_reach_us_and_never_exceed_them(
    seed, orders, fraction
):
    session = struck([], orders, seed=seed, spread_k=0.1, max_fraction=fraction)
    there, used = prints_of(printed()), dict.fromkeys(prints_of(printed()), 0)
    for number, price, shares, at in session.fills():
        side, limit = orders[number - 1]
        taker, printed_at, size = there[at]
        assert price == limit
        assert taker == (kernel.ASK if side is Side.BUY else kernel.BID)
        assert printed_at <= limit if side is Side.BUY else printed_at >= limit
        filled = round(shares * SHARE)
        assert filled % 10_000 == 0
        assert 0 < filled <= fraction * size
        used[at] += filled
    assert all(used[at] <= size for at, (_, _, size) in there.items())
    assert all(round(session.shares(number + 1), 6) <= 500 for number in range(len(orders)))


@pytest.mark.parametrize(("price", "away"), [(4_500, 1.0), (4_400, 2.0), (4_600, 0.0)])
def test_a_print_hits_ever_more_rarely_away_from_the_mid(price, away):
    count, share = 2_000, 2.718281828 ** (-0.7 * away)
    tape = Tape().book(0)
    for second in range(1, count + 1):
        tape.trade(second, Side.SELL, 4_300, 1_000)
    session = open_paper(tape, Intensity(spread_k=0.7, full_fill_probability=1, max_fraction=0.001))
    session.place(Side.BUY, price, 1_000_000)
    hits = len(session.to(count + 1).fills())
    assert abs(hits - count * share) <= 4 * (count * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("taker", "price", "hit"),
    [
        (Side.SELL, 4_400, True),
        (Side.SELL, 4_500, True),
        (Side.SELL, 4_600, False),
        (Side.BUY, 4_400, False),
        (Side.BUY, 4_700, False),
    ],
)
def test_a_bid_is_hit_by_sells_at_its_price_or_below_and_by_nothing_else(taker, price, hit):
    session = open_paper(Tape().book(0).trade(1, taker, price, 100), Intensity(spread_k=0, full_fill_probability=1))
    order = session.place(Side.BUY, 4_500, 20)
    assert session.to(2).shares(order) == (20 if hit else 0)


@pytest.mark.parametrize(
    ("taker", "price", "hit"),
    [
        (Side.BUY, 4_800, True),
        (Side.BUY, 4_700, True),
        (Side.BUY, 4_600, False),
        (Side.SELL, 4_800, False),
        (Side.SELL, 4_500, False),
    ],
)
def test_an_ask_is_hit_by_buys_at_its_price_or_above_and_by_nothing_else(taker, price, hit):
    session = open_paper(Tape().book(0).trade(1, taker, price, 100), Intensity(spread_k=0, full_fill_probability=1))
    order = session.place(Side.SELL, 4_700, 20)
    assert session.to(2).shares(order) == (20 if hit else 0)


def test_one_print_goes_to_the_best_of_our_orders_first_and_no_further_than_it_is():
    tape = Tape().book(0).trade(1, Side.SELL, 4_300, 50)
    session = open_paper(tape, Intensity(spread_k=0, full_fill_probability=1, max_fraction=0.8))
    behind, best, second = (session.place(Side.BUY, price, 45) for price in (4_400, 4_600, 4_500))
    session.to(2)
    assert [session.shares(each) for each in (best, second, behind)] == [40, 10, 0]


def test_nothing_is_applied_past_a_print_that_hit_and_is_answered_first():
    tape = Tape().book(0)
    for second in range(1, 100):
        tape.trade(second, Side.SELL, 4_500, 10)
    fill = Intensity(spread_k=0, full_fill_probability=1)
    session = open_paper(tape, fill, answer_latency=Micros(3 * SECOND // 2))
    order = session.place(Side.BUY, 4_500, 5)
    session.to(1.6)  # hit at 1
    assert session.shares(order) == 0
    assert session.to(2.5).fills() == [(order, 4_500, 5, 2.5)]
    for _ in range(2):
        session.place(Side.BUY, 4_500, 5)
    session.to(2.6)
    session.exchange.advance(Micros(NOON + 99 * SECOND))
    assert session.exchange.next_row() == NOON + 5 * SECOND  # hit at 3, to be told at 4.5


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [
        ("seed", [0], [-1]),
        ("fill_intensity", [0, 1_000], [-0.1, 1_000.1]),
        ("spread_k", [0, 1_000], [-0.1, 1_000.1]),
        ("full_fill_probability", [0, 1], [-0.01, 1.01]),
        ("partial_beta", [(0.1, 1_000)], [(0, 1), (1, 1_000.1), (1,), (1, 1, 1)]),
        ("max_fraction", [0.01, 1], [0, 1.01]),
    ],
)
def test_an_impossible_intensity_is_refused_by_the_name_of_its_setting(setting, good, bad):
    for value in good:
        Intensity(**{setting: value})
    for value in bad:
        with pytest.raises(ValueError, match=f"^{setting} must "):
            Intensity(**{setting: value})


def test_an_order_that_is_never_hit_waits_forever():
    chance = Intensity(fill_intensity=1e-300).chance(False)
    hits = chance.start(1, NOON)
    assert hits.at == NEVER
    chance.follow(hits, chance.rate_of(4_500, 4_500, 4_700, True), NOON)
    assert hits.at == NEVER


# Touch.


@pytest.mark.parametrize(
    ("side", "price", "then"),
    [
        (Side.BUY, 4_400, lambda tape: tape.level(1, Side.BUY, 4_500, 0)),
        (Side.BUY, 4_400, lambda tape: tape.book(1, ((4_400, 500),))),
        (Side.BUY, 4_400, lambda tape: tape.book(1, ((4_300, 500),))),
        (Side.BUY, 4_500, lambda tape: tape.level(1, Side.SELL, 4_900, 5)),
        (Side.BUY, 4_400, lambda tape: tape.trade(1, Side.SELL, 4_400, 1)),
        (Side.BUY, 4_400, lambda tape: tape.trade(1, Side.SELL, 4_300, 1)),
        (Side.SELL, 4_800, lambda tape: tape.level(1, Side.SELL, 4_700, 0)),
        (Side.SELL, 4_800, lambda tape: tape.book(1, BIDS, ((4_900, 500),))),
        (Side.SELL, 4_800, lambda tape: tape.trade(1, Side.BUY, 4_800, 1)),
    ],
    ids=[
        "it is the best bid",
        "it is the best bid of a new book",
        "it is better than the best bid",
        "it was the best bid already, when anything changes",
        "one share is printed at it",
        "one share is printed through it",
        "it is the best ask",
        "it is better than the best ask",
        "one share is bought at it",
    ],
)
def test_touch_fills_all_of_an_order_at_the_touch_or_at_a_print_whatever_is_ahead_of_it(side, price, then):
    tape = then(Tape().book(0))
    touched, queued = open_paper(tape, Touch()), open_paper(tape)
    for session in (touched, queued):
        session.place(side, price, 70)
        session.to(5)
    assert touched.shares(1) == 70
    assert queued.shares(1) <= 1


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 4_400), (Side.SELL, 4_800)])
@pytest.mark.parametrize(
    "then",
    [
        lambda tape: tape.level(1, Side.SELL, 4_700, 5).level(2, Side.BUY, 4_500, 5),
        lambda tape: tape.trade(1, Side.SELL, 4_500, 500).trade(2, Side.BUY, 4_700, 500),
        lambda tape: tape.trade(1, Side.BUY, 4_400, 500).trade(2, Side.SELL, 4_800, 500),
        lambda tape: tape.book(1, (), ()),
    ],
    ids=["others are better", "others are traded", "traded on the wrong side", "nobody is left"],
)
def test_touch_leaves_alone_what_is_not_at_the_touch_and_sides_that_are_empty(side, price, then):
    session = open_paper(then(Tape().book(0)), Touch())
    order = session.place(side, price, 70)
    assert session.to(5).shares(order) == 0


def test_touch_says_that_it_lies():
    for has_prints in (False, True):
        assert "its profit is not to be believed" in Touch().remarks(has_prints)[0]


# Races.


def test_a_cancel_that_arrives_after_the_fill_loses():
    tape = Tape().book(0).trade(1.2, Side.SELL, 4_400, 500)
    session = open_paper(tape, submit_latency=Micros(SECOND // 2), answer_latency=Micros(SECOND))
    order = session.place(Side.BUY, 4_500, 20)
    session.to(1).cancel(order)  # arrives at 1.5; the fill is told at 2.2
    session.to(5)
    assert session.fills() == [(order, 4_500, 20, 2.2)]
    assert session.news(order) == [(News.RESTING, "")]


def test_a_cancel_after_a_partial_fill_takes_the_rest_and_is_told_after_it():
    tape = Tape().book(0).trade(1.2, Side.SELL, 4_500, 107)
    session = open_paper(tape, submit_latency=Micros(SECOND // 2), answer_latency=Micros(SECOND))
    order = session.place(Side.BUY, 4_500, 20)
    session.to(1).cancel(order)
    session.to(5)
    told = [each for each in session.facts if isinstance(each, Filled | OrderNews)][-2:]
    assert [type(each) for each in told] == [Filled, OrderNews]
    assert (told[0].size, told[1].news) == (7 * SHARE, News.CANCELED)


def test_a_cancel_that_arrives_before_the_print_wins():
    tape = Tape().book(0).trade(1.6, Side.SELL, 4_400, 500)
    session = open_paper(tape, submit_latency=Micros(SECOND // 2))
    order = session.place(Side.BUY, 4_500, 20)
    session.to(1).cancel(order)
    assert session.to(5).fills() == []
    assert session.news(order)[-1][0] is News.CANCELED


def test_pulling_one_side_leaves_the_other():
    session = open_paper(Tape().book(0).book(9))
    bid, ask = session.place(Side.BUY, 4_500, 20), session.place(Side.SELL, 4_700, 20)
    session.to(1).exchange.submit([CancelAll(session.now, NOW, Side.BUY)], session.now)
    session.to(2)
    assert [session.news(each)[-1][0] for each in (bid, ask)] == [News.CANCELED, News.RESTING]


# Taking.


def test_two_hedges_cannot_take_the_same_shares():
    session = open_paper(Tape().book(0).book(9))
    first = session.place(Side.SELL, 4_500, 60, post_only=False)
    second = session.place(Side.SELL, 4_500, 60, post_only=False)
    session.to(1)
    assert [session.shares(each) for each in (first, second)] == [60, 40]


def test_a_level_that_is_told_again_can_be_taken_again():
    session = open_paper(Tape().book(0).level(2, Side.BUY, 4_400, 80).level(4, Side.BUY, 4_500, 100))
    first = session.place(Side.SELL, 4_500, 100, post_only=False)
    session.to(3)
    second = session.place(Side.SELL, 4_500, 100, post_only=False)
    session.to(5)
    third = session.place(Side.SELL, 4_500, 100, post_only=False)
    session.to(6)
    assert [session.shares(each) for each in (first, second, third)] == [100, 0, 100]


def test_an_order_that_takes_is_worth_a_dollar_at_least_and_one_that_rests_need_not_be():
    session = open_paper(Tape().book(0, ((900, 100),), ((1_100, 100),)).book(9))
    little, enough = (session.place(Side.SELL, 900, size, post_only=False) for size in (11, 12))
    rests = session.place(Side.SELL, 1_000, 5, post_only=False)
    session.to(1)
    assert session.news(little) == [
        (News.REJECTED, "invalid amount for a marketable SELL order ($0.99), min size: $1"),
    ]
    assert session.shares(enough) == 12
    assert session.news(rests) == [(News.RESTING, "")]


def test_a_hedge_that_finds_only_what_we_took_before_never_rests_crossed():
    session = open_paper(Tape().book(0).book(9))
    session.place(Side.SELL, 4_500, 90, post_only=False)
    part, none = (session.place(Side.SELL, 4_500, 20, post_only=False) for _ in range(2))
    session.to(1)
    assert session.news(part) == [(News.CANCELED, paper_exchange.TAKEN)]
    assert session.news(none) == [(News.REJECTED, paper_exchange.TAKEN)]


def test_what_is_left_of_a_hedge_rests_at_its_limit_when_it_has_taken_all_that_reaches_it():
    session = open_paper(Tape().book(0).level(1, Side.BUY, 4_500, 0).trade(2, Side.BUY, 4_450, 70))
    order = session.place(Side.SELL, 4_450, 60, post_only=False)
    session.to(0.5)
    assert session.news(order)[0][0] is News.REJECTED  # 0.445 is off the grid
    session = open_paper(Tape().book(0, ((4_400, 100),)).trade(2, Side.BUY, 4_500, 70))
    order = session.place(Side.SELL, 4_500, 60, post_only=False)
    assert session.to(1).news(order) == [(News.RESTING, "")]
    assert session.to(3).shares(order) == 60


@given(data=st.data())
def test_between_two_updates_of_a_level_no_more_is_taken_than_it_shows_and_nothing_rests_crossed(data):
    tape = Tape().book(0)
    updates: dict[int, list[tuple[float, int]]] = {price: [(0.0, size)] for price, size in (*BIDS, *ASKS)}
    for second in range(1, 12):
        price, size = data.draw(st.sampled_from(list(updates))), data.draw(st.integers(0, 120))
        tape.level(second, Side.BUY if price < 4_600 else Side.SELL, price, size)
        updates[price].append((float(second), size))
    session = open_paper(tape)
    for second in range(12):
        placed = []
        for _ in range(data.draw(st.integers(0, 3))):
            side = data.draw(st.sampled_from(list(Side)))
            limit = data.draw(st.sampled_from([4_400, 4_500, 4_600, 4_700, 4_800]))
            order = session.place(side, limit, data.draw(st.integers(5, 90)), post_only=False)
            placed.append((order, side, limit))
        session.to(second + 0.5)
        for price, told in updates.items():
            told_at, size = [each for each in told if each[0] <= second][-1]
            taken = [f.size for f in session.facts if isinstance(f, Filled) and not f.maker and f.price == price
                     and (f.at - NOON) / SECOND >= told_at]  # fmt: skip
            assert sum(taken) <= size * SHARE
        shown = {price: [size for told_at, size in told if told_at <= second][-1] for price, told in updates.items()}
        for order, side, limit in placed:
            if (News.RESTING, "") in session.news(order):
                assert not any(
                    size and (4_600 < price <= limit if side is Side.BUY else limit <= price < 4_600)
                    for price, size in shown.items()
                )
        if second < 11:
            session.to(second + 1)


# Settlement.


def settle(count: int, **settings: Any) -> Session:
    tape = Tape().book(0)
    for second in range(1, count + 1):
        tape.trade(second, Side.SELL, 4_300, 5)
    session = open_paper(tape, **settings)
    session.place(Side.BUY, 4_500, 5 * count)
    return session.to(count + 100)


def test_a_fill_settles_after_the_delay():
    session = settle(1, settlement_delay=Micros(10 * SECOND))
    assert session.settled() == [("paper-1", Settlement.CONFIRMED, 11.0)]


def test_a_settlement_that_fails_is_retried_first():
    session = settle(1, settlement_delay=Micros(10 * SECOND), settlement_failure=1.0)
    assert session.settled() == [("paper-1", Settlement.RETRYING, 6.0), ("paper-1", Settlement.FAILED, 11.0)]


def test_a_fill_is_told_before_its_settlement_fails_at_once():
    session = settle(1, settlement_failure=1.0)
    after = [type(each) for each in session.facts if isinstance(each, Filled | Settled)]
    assert after == [Filled, Settled, Settled]


def test_the_share_of_failures_is_that_of_the_setting_and_the_seed_decides_which():
    def failed(seed: int) -> list[str]:
        done = settle(400, settlement_failure=0.25, seed=seed).settled()
        return [trade for trade, status, _ in done if status is Settlement.FAILED]

    assert 70 < len(failed(0)) < 130
    assert failed(0) == failed(0) != failed(1)


def test_settlements_are_told_in_order_of_time():
    times = [at for *_, at in settle(50, settlement_delay=Micros(7 * SECOND), settlement_failure=0.5).settled()]
    assert all(before <= after for before, after in pairwise(times))


# Rejections on purpose.


def test_every_third_order_is_rejected_with_a_sentence_that_says_it_is_simulated():
    session = open_paper(Tape().book(0).book(9), reject_every=3)
    orders = [session.place(Side.BUY, 4_400, 20, post_only=number % 2 == 0) for number in range(7)]
    session.to(1)
    first = [session.news(order)[0] for order in orders]
    assert [index for index, (news, _) in enumerate(first) if news is News.REJECTED] == [2, 5]
    assert first[2][1] == paper_exchange.REHEARSED
    assert paper_exchange.REHEARSED.startswith("simulated")
    assert any("one order in 3 is rejected on purpose" in said for said in session.exchange.remarks())


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [("settlement_failure", [0, 1], [-0.1, 1.1]), ("reject_every", [0, 1], [-1]), ("seed", [0], [-1])],
)
def test_an_impossible_exchange_is_refused_by_the_name_of_its_setting(setting, good, bad):
    for value in good:
        Paper(**{setting: value})
    for value in bad:
        with pytest.raises(ValueError, match=f"^{setting} must "):
            Paper(**{setting: value})


# Three forms of one run.


@dataclass
class Planned:
    """As much of a plan as a bracket takes."""

    fill: Any
    executor: Any
    settings: DeskSettings

    def desk(self, name: str) -> Desk:
        return Desk(Hooks({"pricing": MakerFollow(), "sizing": Fixed(parse_size(20))}), self.settings, name)

    def depth(self, hooks: Hooks) -> Any:
        return hooks.depth


def busy(seconds: int = 60) -> Tape:
    tape, chance = Tape(), Random(2)
    for second in range(seconds):
        tape.book(second, ((4_500, chance.randint(20, 90)), (4_400, 60)), ((4_700, 80), (4_800, 70)))
        tape.trade(second + 0.5, chance.choice(list(Side)), chance.choice([4_500, 4_700]), chance.randint(1, 40))
    return tape


def test_a_bracket_tells_the_fills_and_the_result_of_every_form():
    plan = Planned(Queue(), Paper(), DeskSettings())
    found = bracket(plan, busy().data(), "bracket")
    assert list(found) == ["pessimistic", "realistic", "optimistic"]
    assert found == bracket(plan, busy().data(), "bracket")
    shares = [form["fills"]["shares"] for form in found.values()]
    assert 0 < shares[0] < shares[2]
    assert all({"total", "fees"} <= set(form["pnl_usd"]) for form in found.values())


def test_a_pessimist_without_prints_fills_nothing_and_says_so():
    quiet = windy(30)
    found = bracket(Planned(Queue(), Paper(), DeskSettings()), quiet.data(), "bracket")
    assert found["pessimistic"]["fills"]["count"] == 0
    assert any("no resting order can fill" in said for said in Queue().bracket()["pessimistic"].remarks(False))


def test_a_model_of_one_form_has_no_bracket():
    check_bracket(Queue())
    with pytest.raises(ConfigError, match="choose fill=queue"):
        check_bracket(Touch())
