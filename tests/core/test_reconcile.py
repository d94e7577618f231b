"""Reconciling: what already says the right thing stays, and the rest is exactly what is wanted."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from scenes import BUY, NO, SELL, YES, an_order, wanted

from pmrun.runner.orders import Purpose
from pmrun.runner.reconcile import reconcile


def test_an_order_at_the_wanted_price_is_left_alone():
    order, want = an_order(price="0.40"), wanted(price="0.40")
    assert reconcile([want], [order]) == [(order, want)]


def test_the_order_at_the_price_keeps_its_place_and_the_other_one_moves():
    near, far = an_order(1, price="0.41"), an_order(2, price="0.40")
    stay, new = wanted(price="0.40"), wanted(price="0.39")
    assert reconcile([new, stay], [near, far]) == [(far, stay), (near, new)]


def test_a_moved_target_is_paired_with_the_order_it_replaces():
    order, want = an_order(price="0.40"), wanted(price="0.41")
    assert reconcile([want], [order]) == [(order, want)]


def test_what_nobody_wants_is_paired_with_nothing_and_what_is_missing_comes_last():
    order, want = an_order(outcome=YES), wanted(outcome=NO)
    assert reconcile([want], [order]) == [(order, None), (None, want)]


def test_a_hedge_does_not_take_the_place_of_a_quote():
    order, want = an_order(side=SELL), wanted(side=SELL, purpose=Purpose.HEDGE)
    assert reconcile([want], [order]) == [(order, None), (None, want)]


def test_a_bid_does_not_take_the_place_of_an_ask():
    order, want = an_order(side=SELL), wanted(side=BUY)
    assert reconcile([want], [order]) == [(order, None), (None, want)]


def test_two_orders_at_one_price_answer_one_wish_each():
    first, second = an_order(1), an_order(2)
    assert reconcile([wanted()], [first, second]) == [(first, wanted()), (second, None)]
    assert reconcile([wanted(), wanted()], [first, second]) == [(first, wanted()), (second, wanted())]


PRICES = st.sampled_from(["0.40", "0.41", "0.42"])
KINDS = st.tuples(st.sampled_from([YES, NO]), st.sampled_from([BUY, SELL]), PRICES, st.sampled_from(list(Purpose)))


@given(wishes=st.lists(KINDS, max_size=6), there=st.lists(KINDS, max_size=6))
def test_reconciling_leaves_exactly_what_is_wanted(wishes, there):
    wants = [wanted(o, s, p, purpose=u) for o, s, p, u in wishes]
    orders = [an_order(n, o, s, p, purpose=u) for n, (o, s, p, u) in enumerate(there, 1)]
    pairs = reconcile(wants, orders)
    # Everything appears once, and nothing is invented.
    assert Counter(want for _, want in pairs if want) == Counter(wants)
    assert sorted(order.no for order, _ in pairs if order) == [order.no for order in orders]
    assert all(order or want for order, want in pairs)
    for order, want in pairs:
        if order and want:
            assert (order.outcome, order.side, order.purpose) == (want.outcome, want.side, want.purpose)
    # No order at a wanted price is moved, and nothing is both pulled and asked for.
    for key in {(w.outcome, w.side, w.purpose) for w in wants}:
        mine = [(o, w) for o, w in pairs if (o or w) and key == ((o or w).outcome, (o or w).side, (o or w).purpose)]
        assert not (any(w is None for _, w in mine) and any(o is None for o, _ in mine))
        at_price = Counter(o.price for o, w in mine if o and w and o.price == w.price)
        asked = Counter(w.price for w in wants if (w.outcome, w.side, w.purpose) == key)
        had = Counter(o.price for o in orders if (o.outcome, o.side, o.purpose) == key)
        assert at_price == asked & had
    # Orders come first: what makes room is known before what needs it.
    flags = [order is None for order, _ in pairs]
    assert flags == sorted(flags)
