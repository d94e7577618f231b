"""The laws of maker_follow: whatever moves, fills, fails or ends, buys join the touch, sells wait above their floor,
nothing takes, and a restart changes nothing (M1 to M5); the floor itself checks every order that is placed."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from scenes import FIRST
from trading_floor import Floor, parts

from pmrun.plugins.hedging.rounds import Phase
from pmrun.runner.facts import OrderNews
from pmrun.runner.intents import Cancel, CancelAll, Place
from pmrun.runner.market import Outcome
from pmrun.runner.orders import News, Settlement
from pmrun.runner.units import Micros, Side

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["touch"] * 5 + ["fill"] * 4 + ["wait"] * 4 + ["feed", "reject", "fail", "settle", "restart"]),
        st.integers(0, 10**6),
    ),
    min_size=5,
    max_size=60,
)
SIZES = (1_000_000, 2_500_000, 4_999_999, 5_000_000, 7_000_000, 10**9)


def step(floor: Floor, what: str, pick: int, unsettled: list) -> None:
    """Let one thing happen."""
    orders = sorted((order for order in floor.in_play() if order.submitted_at is not None), key=lambda each: each.no)
    if what == "touch":
        bid = 5 + pick % 85
        floor.touch(f"0.{bid:02d}", f"0.{bid + 1 + pick // 85 % 4:02d}")
    elif what == "wait":
        floor.wait((0.3, 1, 4, 10, 11, 35, 70)[pick % 7])
    elif what == "fill" and orders:
        order = orders[pick % len(orders)]
        fact = floor.fill(order, min(order.remaining, SIZES[pick % len(SIZES)]))
        if order.side is Side.BUY and not floor.settles:
            unsettled.append(fact)
    elif what in ("settle", "fail") and unsettled:
        status = Settlement.CONFIRMED if what == "settle" else Settlement.FAILED
        floor.settle(unsettled.pop(pick % len(unsettled)), status)
    elif what == "feed":
        floor.restore_feed() if floor.lost else floor.lose_feed()
    elif what == "reject":
        floor.answers = False
        floor.wait(5)
        for order in floor.in_play():
            if order.submitted_at is None:
                floor.tell(OrderNews(Micros(floor.at), order.no, News.REJECTED, "not enough balance"))
            elif order.cancel_sent:
                floor.tell(OrderNews(Micros(floor.at), order.no, News.CANCELED))
        floor.answers = True
        floor.wait(5)


def check_offers(floor: Floor) -> None:
    """Look at every offer of a session: never raised, and none rests while the ask is below the floor."""
    moved = [intent for _, intent in floor.did if isinstance(intent, Cancel) and intent.reason.code == "moved"]
    for cancel in moved:
        order = floor.desk.orders.get(cancel.order)
        if order is not None and order.side is Side.SELL:
            assert cancel.reason.numbers["to"] < cancel.reason.numbers["from"], "an offer was raised"
    state = floor.desk.markets[FIRST]
    for outcome in Outcome:
        ask = floor.book.seen_by(outcome).best_ask
        assert ask is not None
        for order in floor.in_play(Side.SELL, outcome):
            leaves = order.cancel_sent or order.submitted_at is None
            small = order.remaining < state.terms.min_order_size
            assert leaves or small or floor.lost or ask >= floor.floor(outcome), "an offer rests below its floor"


@given(MOVES, st.booleans(), st.booleans())
def test_buys_join_the_touch_and_offers_wait_above_their_floor_whatever_happens(moves, settles, both):
    floor = Floor(components=parts(both=both), settles=settles)
    unsettled: list = []
    bought = 0
    for what, pick in moves:
        floor.at += 137_000
        if what == "restart":
            for fact in unsettled:  # the exchange lists settled balances
                floor.settle(fact)
            unsettled.clear()
            if floor.lost:
                floor.restore_feed()
            bought += sum(fill.size for fill in floor.desk.account.fills.values())
            before = {outcome: state_of(floor, outcome) for outcome in Outcome}
            floor.restart(parts(both=both), adopt=pick % 2 == 0)
            for outcome in Outcome:
                assert state_of(floor, outcome) == before[outcome], "a restart changed where a round stands"
            floor.did.clear()
        else:
            step(floor, what, pick, unsettled)
        check_offers(floor)
    event(f"sessions: {min(3, floor.sessions)}")
    event(f"phase at the end: {floor.phase()}")
    event(f"traded: {bool(bought or floor.desk.account.fills)}")


def state_of(floor: Floor, outcome: Outcome) -> tuple[object, ...]:
    """Say where a token's round stands: what it buys, since when it waits, how long it cools down."""
    round_ = floor.rounds.of(floor.terms.condition, outcome)
    buying = round_.target > 0
    return buying, round_.target, round_.left, round_.waits, max(round_.until, Micros(floor.at)), held(floor, outcome)


def held(floor: Floor, outcome: Outcome) -> int:
    return int(floor.desk.markets[FIRST].inventory.of(outcome).held)


SCENE = [  # a whole round, with a follow, two fills each way, a wait below the floor, and the cool-down after it
    ("touch", "0.45", "0.47"),
    ("wait", 4),
    ("touch", "0.46", "0.48"),
    ("wait", 11),
    ("fill", "4"),
    ("wait", 3),
    ("fill", None),
    ("wait", 2),
    ("touch", "0.44", "0.46"),
    ("wait", 15),
    ("touch", "0.47", "0.49"),
    ("wait", 11),
    ("fill", "5"),
    ("wait", 1),
    ("fill", None),
    ("wait", 5),
    ("drop",),  # cooling down
    ("touch", "0.50", "0.52"),
    ("wait", 61),
    ("drop",),
]


def play(cut: int | None, adopt: bool) -> tuple[list[tuple[str, str, int, int]], list[Phase]]:
    """Play the scene, with a restart before a step; return what was traded, and the phases after each step.

    The window of the trigger begins anew with a session, so nothing that begins a round lies on both sides of a cut.
    """
    floor = Floor()
    traded, phases = [], []
    for number, (what, *details) in enumerate(SCENE):
        if number == cut:
            floor.restart(parts(), adopt)
        if what == "fill":
            (order,) = floor.in_play()
            fact = floor.fill(order, *details)
            traded.append((str(order.side), str(order.outcome), int(fact.price), int(fact.size)))
        elif what == "drop":
            floor.touch("0.50", "0.52")
            floor.touch("0.44", "0.46")
        else:
            getattr(floor, what)(*details)
        phases.append(floor.phase())
    return traded, phases


@pytest.mark.parametrize("adopt", [True, False], ids=["sells adopted", "sells cancelled"])
@pytest.mark.parametrize("cut", range(1, len(SCENE)))
def test_a_round_cut_anywhere_by_a_restart_trades_the_same(cut, adopt):
    traded, phases = play(None, True)
    assert {*phases} == {Phase.BUYING, Phase.SELLING, Phase.WAITING, Phase.FLAT}
    again, after = play(cut, adopt)
    assert again == traded
    assert after == phases


def test_a_restart_cancels_the_bid_of_the_session_before_and_places_what_is_left():
    floor = Floor()
    floor.touch("0.45", "0.47")
    floor.fill(floor.bid, "3")
    floor.did.clear()
    floor.restart(parts())
    said = [intent for _, intent in floor.did if isinstance(intent, Place | CancelAll)]
    assert isinstance(said[0], CancelAll)
    assert said[0].side is Side.BUY
    assert isinstance(said[1], Place)
    assert (said[1].size, said[1].price) == (7_000_000, 4_500)
