"""Laws of what learns: judged seldom or always, in one session or in two, it comes to the same (P2, P4)."""

from dataclasses import replace

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st
from scenes import FIRST, NOON, YES, an_order, book, later, market, shares, told
from tapes import ON_A_CLOCK, QUEUES, SECOND, papers, settings_of, tapes, trade

from pmrun.plugins.adjust.book_imbalance import BookImbalance
from pmrun.plugins.adjust.calibration import Calibration
from pmrun.plugins.adjust.inventory_skew import InventorySkew
from pmrun.plugins.adjust.toxicity import Toxicity
from pmrun.plugins.pricing.spread import Spread
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.facts import Carried, FeedEnded, Filled, Listed, OrderNews, TimerDue
from pmrun.runner.orders import News, OrderNo, State, TradeId
from pmrun.runner.units import Cash, Micros, Price, Size

SPREADS = st.builds(
    Spread,
    base_half_spread=st.sampled_from([0, 50, 100, 300]).map(Price),
    alpha=st.sampled_from([0.0, 0.3, 1.5]),
    interval=st.sampled_from([1, 3, 10]).map(lambda each: Micros(each * SECOND)),
    min_points=st.sampled_from([1, 2]),
    max_half_spread=st.just(Price(4_000)),
)
CALIBRATIONS = st.builds(
    Calibration,
    wanted_fills_per_minute=st.sampled_from([0.2, 1.0, 20.0]),
    prior_fills=st.sampled_from([0.1, 1.0]),
    pool_fills=st.sampled_from([0.1, 1.0]),
)
TOXICITIES = st.builds(
    Toxicity,
    horizon=st.sampled_from([1, 5, 30]).map(lambda each: Micros(each * SECOND)),
    prior_fills=st.sampled_from([0.1, 1.0]),
)


@st.composite
def makers(draw):
    """The parts of spread_mm, with settings that let them learn within a short tape."""
    spread, calibration, toxicity = draw(SPREADS), draw(CALIBRATIONS), draw(TOXICITIES)
    leans = draw(st.booleans())

    def build():
        parts = {"pricing": replace(spread), "sizing": Fixed(Size(20 * 1_000_000))}
        parts |= {"adjust.imbalance": BookImbalance(levels=2), "adjust.skew": InventorySkew()} if leans else {}
        return parts | {"adjust.calibration": replace(calibration), "adjust.toxicity": replace(toxicity)}

    return build


@settings(max_examples=settings.default.max_examples // 2)
@given(tapes(), makers(), settings_of(ON_A_CLOCK), papers(), QUEUES)
def test_what_is_learned_moves_quotes_alike_whether_judged_seldom_or_always(data, build, chosen, paper, queue):
    seldom = trade(data, build, chosen, paper, queue)
    always = trade(data, build, msgspec.structs.replace(chosen, gated=False), paper, queue)
    assert seldom.acted() == always.acted()
    assert seldom.desk.hooks.carried() == always.desk.hooks.carried()
    event(f"filled: {min(3, len(seldom.fills))}")


MIDS = st.sampled_from(["0.48x100 0.52x100", "0.47x100 0.50x100", "0.50x100 0.55x100"])
STEPS = st.lists(
    st.tuples(st.floats(0.001, 100), st.sampled_from(["mid", "rest", "fill", "gone"]), MIDS), min_size=2, max_size=25
)


class Session:
    """One market, in which a quote comes, is filled and goes."""

    def __init__(self, carried: dict[str, int], at: float, shown: str, rests: bool) -> None:
        self.learner = Calibration(half_life=Micros(300 * SECOND))
        if carried:
            self.tell(Carried(later(at), "adjust.calibration", carried))
        self.tell(Listed(later(at), FIRST, market()))
        self.step(at, "mid", shown)
        if rests:
            self.step(at, "rest", shown)

    def tell(self, fact, order=None) -> None:
        self.learner.observe(fact, FIRST, order)

    def step(self, at: float, what: str, shown: str) -> None:
        bids, asks = shown.split()
        order = an_order(1, YES, price="0.46", state=State.CANCELED if what == "gone" else State.LIVE)
        if what == "mid":
            self.tell(told(book(bids, asks), later(at)))
        elif what == "fill":
            fact = Filled(later(at), OrderNo(1), TradeId(str(at)), Price(4600), shares("5"), Cash(1))
            self.tell(fact, order)
        else:
            self.tell(OrderNews(later(at), OrderNo(1), News.RESTING), order)


@given(STEPS, st.floats(0, 1), st.integers(0, 24))
def test_a_session_that_is_cut_anywhere_learns_what_an_unbroken_one_learns(steps, where, cut):
    shown, rests, at = "0.48x100 0.52x100", False, 0.0
    whole = part = Session({}, 0, shown, rests)
    part = Session({}, 0, shown, rests)
    for number, (wait, what, new) in enumerate(steps):
        if number == cut % len(steps):
            moment = at + where * wait  # with a quote resting or without, in the middle of a minute or at its end
            part.tell(FeedEnded(later(moment)))
            part = Session(part.learner.carry(), moment, shown, rests)
        at += wait
        shown = new if what == "mid" else shown
        rests = what == "rest" or (what == "fill") or (rests and what != "gone")
        for session in (whole, part):
            session.step(at, what, shown)
    for session in (whole, part):
        session.tell(TimerDue(later(at)))
        session.tell(FeedEnded(later(at + 70)))
    assert part.learner.carry() == whole.learner.carry()
    assert part.learner.intensity(market().condition) == whole.learner.intensity(market().condition)
    event("learned" if whole.learner.carry() else "nothing")


def test_noon_is_the_beginning_of_a_window():
    assert NOON % (60 * SECOND) == 0  # else the law above would not meet a cut at a window's end
