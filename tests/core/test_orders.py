"""The life of an order: every pair of state and news is decided, and the order in which news comes does not matter."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUY, NO, SELL, YES, an_order, cash, filled_by, later, shares, told_of

from pmrun.runner.orders import ENDED, LIFECYCLE, News, Order, Settlement, State, settles

S, N = State, News
FILLS = {N.FILLED_PART, N.FILLED_FULL}


def in_state(state: State) -> Order:
    filled = {S.PARTIALLY_FILLED: "40", S.FILLED: "100"}.get(state, "0")
    return an_order(state=state, filled=shares(filled))


def apply(order: Order, what: News) -> Order | None:
    """Say something of an order of 100 shares; a part is ten of them, full is all that is left."""
    if what is N.FILLED_PART:
        return filled_by(order, shares("10"), cash("4"), later(1))
    if what is N.FILLED_FULL:
        return filled_by(order, max(order.remaining, shares("1")), cash("4"), later(1))
    return told_of(order, what, later(1))


def test_every_pair_of_state_and_news_is_decided():
    assert len(LIFECYCLE) == len(State) * len(News) == 72
    assert set(LIFECYCLE) == set(product(State, News))


@pytest.mark.parametrize(("state", "what"), list(product(State, News)))
def test_news_does_to_an_order_what_the_table_says_and_nothing_else(state, what):
    before = in_state(state)
    expected = LIFECYCLE[state, what]
    after = apply(before, what)
    if expected is None:
        assert after is None
        return
    assert isinstance(after, Order)
    assert after.state is expected
    assert after.last_event_at == later(1)
    if what not in FILLS:
        assert (after.filled, after.paid) == (before.filled, before.paid)


@pytest.mark.parametrize(
    "path",
    [
        [N.ACCEPTED, N.RESTING],
        [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.FILLED_FULL],
        [N.ACCEPTED, N.RESTING, N.CANCELED],
        [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.CANCELED],
        [N.ACCEPTED, N.REJECTED],
    ],
)
def test_the_paths_of_the_seed_lead_where_the_seed_says(path):
    order = an_order()
    reached = []
    for what in path:
        order = apply(order, what)
        reached.append(order.state)
    names = {
        N.ACCEPTED: S.SUBMITTED,
        N.RESTING: S.LIVE,
        N.FILLED_PART: S.PARTIALLY_FILLED,
        N.FILLED_FULL: S.FILLED,
        N.CANCELED: S.CANCELED,
        N.REJECTED: S.REJECTED,
    }
    assert reached == [names[what] for what in path]


@pytest.mark.parametrize("state", [S.SUBMITTED, S.LIVE, S.PARTIALLY_FILLED])
def test_an_order_may_expire_wherever_it_is_known_to_the_exchange(state):
    assert told_of(in_state(state), N.EXPIRED).state is S.EXPIRED


@pytest.mark.parametrize(
    ("what", "state"),
    [(N.FILLED_PART, S.PARTIALLY_FILLED), (N.FILLED_FULL, S.FILLED), (N.CANCELED, S.CANCELED)],
)
def test_fills_and_cancels_may_come_before_the_order_was_seen_to_rest(what, state):
    assert apply(in_state(S.SUBMITTED), what).state is state
    assert apply(in_state(S.PENDING_SUBMIT), what).state is state


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_order_never_comes_back_into_play(state):
    for what in News:
        after = LIFECYCLE[state, what]
        assert after is None or after in ENDED


def test_only_the_missing_fill_turns_one_end_into_another():
    moves = {(s, n): t for (s, n), t in LIFECYCLE.items() if s in ENDED and t is not None and t is not s}
    assert moves == {(S.CANCELED, N.FILLED_FULL): S.FILLED, (S.EXPIRED, N.FILLED_FULL): S.FILLED}


def test_a_rejected_order_has_never_existed():
    for what in set(News) - {N.REJECTED, N.UNKNOWN, N.SEEN}:
        assert LIFECYCLE[S.REJECTED, what] is None
    assert all(
        LIFECYCLE[state, N.REJECTED] is None
        for state in State
        if state not in (S.PENDING_SUBMIT, S.SUBMITTED, S.REJECTED)
    )


@pytest.mark.parametrize("state", list(State))
def test_an_unknown_outcome_is_a_mark_and_no_state(state):
    after = told_of(in_state(state), N.UNKNOWN, later(1))
    assert after.state is state
    assert after.outcome_unknown is (state in (S.PENDING_SUBMIT, S.SUBMITTED))
    assert after.submitted_at is None


@pytest.mark.parametrize("what", [N.ACCEPTED, N.RESTING, N.CANCELED, N.EXPIRED, N.REJECTED])
def test_any_answer_takes_the_mark_off_again(what):
    unknown = told_of(an_order(), N.UNKNOWN)
    assert unknown.outcome_unknown
    assert not told_of(unknown, what, later(1)).outcome_unknown


def test_a_fill_takes_the_mark_off_too_and_proves_that_the_order_was_accepted():
    filled = filled_by(told_of(an_order(), N.UNKNOWN), shares("10"), cash("4"), later(1))
    assert not filled.outcome_unknown
    assert filled.submitted_at == later(1)


def test_the_first_answer_tells_when_the_order_was_submitted():
    order = told_of(told_of(an_order(), N.ACCEPTED, later(1)), N.RESTING, later(2))
    assert (order.submitted_at, order.last_event_at) == (later(1), later(2))


def test_fills_add_up_to_a_cost_and_a_size():
    order = filled_by(filled_by(an_order(), shares("30"), cash("12")), shares("70"), cash("28"))
    assert (order.filled, order.paid, order.remaining, order.state) == (shares("100"), cash("40"), 0, S.FILLED)


@pytest.mark.parametrize("filled", ["0", "40"])
def test_more_than_was_asked_for_cannot_be_filled(filled):
    order = an_order(filled=shares(filled), state=S.LIVE)
    over = order.remaining + 1
    assert filled_by(order, over, cash("1")) is None
    assert filled_by(order, order.remaining, cash("1")).state is S.FILLED


HISTORIES = [
    [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.FILLED_FULL],
    [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.CANCELED],
    [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.FILLED_FULL, N.CANCELED],  # the cancel crossed the last fill
    [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.EXPIRED],
    [N.ACCEPTED, N.RESTING, N.FILLED_FULL, N.EXPIRED],
    [N.UNKNOWN, N.ACCEPTED, N.RESTING, N.CANCELED],
    [N.ACCEPTED, N.RESTING, N.FILLED_PART, N.FILLED_PART],
]


def run(history: list[tuple[int, News]]) -> tuple[State, int, int]:
    """Apply news, each fill once however often it is told (the account tells them apart)."""
    order, seen = an_order(), set()
    fills = {key: what for key, what in history if what in FILLS}
    full = N.FILLED_FULL in fills.values()
    for key, what in history:
        if what not in FILLS:
            after = told_of(order, what)
        elif key in seen:
            continue
        else:
            # A full fill is one of several that together make 100 shares; parts alone leave something.
            after = filled_by(order, shares("100") // len(fills) if full else shares("30"), cash("1"))
        seen.add(key)
        assert isinstance(after, Order), (history, after)
        order = after
    return order.state, order.filled, order.paid


@pytest.mark.parametrize("history", HISTORIES)
def test_news_in_any_order_comes_to_the_same_end(history):
    told = list(enumerate(history))
    ends = {run(list(order)) for order in permutations(told)}
    assert len(ends) == 1


@given(data=st.data())
def test_doubled_and_late_news_comes_to_the_same_end(data):
    history = list(enumerate(data.draw(st.sampled_from(HISTORIES))))
    more = history + data.draw(st.lists(st.sampled_from(history), max_size=8))
    assert run(data.draw(st.permutations(more))) == run(history)


def test_what_an_order_keeps_from_other_uses_ends_with_it():
    bid = an_order(price="0.3333", size="10")
    assert bid.locked == cash("3.333")
    assert an_order(price="0.3333", size="0.01").locked == 3333
    assert an_order(price="0.3333", size="0.000001").locked == 1  # rounded up: never short
    assert bid.reserved == 0
    assert told_of(bid, N.CANCELED).locked == 0
    ask = an_order(side=SELL, size="10")
    assert (ask.locked, ask.reserved) == (0, shares("10"))
    assert filled_by(ask, shares("4"), cash("1")).reserved == shares("6")
    assert told_of(ask, N.EXPIRED).reserved == 0


@pytest.mark.parametrize(
    ("outcome", "side", "book_side"), [(YES, BUY, BUY), (YES, SELL, SELL), (NO, BUY, SELL), (NO, SELL, BUY)]
)
def test_a_bid_for_no_rests_on_the_ask_side_of_the_book(outcome, side, book_side):
    assert an_order(outcome=outcome, side=side).book_side is book_side


M, D, R, C, F = Settlement.MATCHED, Settlement.MINED, Settlement.RETRYING, Settlement.CONFIRMED, Settlement.FAILED
SETTLES = {
    (M, M): False, (M, D): True, (M, R): True, (M, C): True, (M, F): True,
    (D, M): False, (D, D): False, (D, R): True, (D, C): True, (D, F): True,
    (R, M): False, (R, D): True, (R, R): False, (R, C): True, (R, F): True,
    (C, M): False, (C, D): False, (C, R): False, (C, C): False, (C, F): None,
    (F, M): False, (F, D): False, (F, R): False, (F, C): None, (F, F): False,
}  # fmt: skip


@pytest.mark.parametrize(("before", "what"), list(product(Settlement, Settlement)))
def test_settlement_only_moves_forward_and_nothing_follows_its_end(before, what):
    assert settles(before, what) is SETTLES[before, what]
    assert before.final is (before in (C, F))
