"""Whatever comes first, book or acknowledgement: what is ours is taken out of the book, and nothing else (O12)."""

from hypothesis import given
from hypothesis import strategies as st
from scenes import FIRST, NOON, told_of

from pmrun.runner.book import Book
from pmrun.runner.market import Outcome
from pmrun.runner.orders import News, Order, OrderNo, Purpose
from pmrun.runner.own_orders import BELIEVED, OwnOrders
from pmrun.runner.units import Micros, Price, Side, Size

OTHERS = {Price(4000): Size(50), Price(3900): Size(70)}


def ours(no: int, price: int, size: int) -> Order:
    return Order(
        no=OrderNo(no),
        client_order_id=str(no),
        market=FIRST,
        outcome=Outcome.YES,
        side=Side.BUY,
        price=Price(price),
        size=Size(size),
        purpose=Purpose.QUOTE,
        post_only=True,
        placed_at=NOON,
    )


def shown(extra: dict[int, int]) -> Book:
    levels = {price: OTHERS.get(Price(price), 0) + extra.get(price, 0) for price in {*OTHERS, *extra}}
    bids = sorted(((Price(p), Size(s)) for p, s in levels.items() if s), reverse=True)
    return Book(tuple(bids), ((Price(6000), Size(9)),))


steps = st.permutations(["frame", "ack"])


@given(steps, steps, st.sampled_from([4000, 3900, 3800]), st.integers(1, 200))
def test_a_quiet_book_never_shows_us_whatever_overtakes_what(placing, leaving, price, size):
    own, now = OwnOrders(), NOON
    order = ours(1, price, size)
    orders = {order.no: order}
    observed = shown({})

    def look(book: Book) -> None:
        nonlocal now, observed
        now = Micros(now + 10_000)
        own.before(observed, orders, now)
        own.after(book, now)
        observed = book
        assert own.without(observed) == shown({}), "our own order passes for somebody else's"

    for step in placing:
        if step == "ack":
            order.learn(News.RESTING, now)
            look(observed)
        else:
            look(shown({price: size}))
    order.cancel_sent = True
    for step in leaving:
        if step == "ack":
            del orders[order.no]
            look(observed)
        else:
            look(shown({}))
    look(shown({}))


@given(st.lists(st.tuples(st.sampled_from([4000, 3900, 3800]), st.integers(1, 99), st.booleans()), max_size=6))
def test_in_the_end_only_other_peoples_orders_are_left(story):
    own, orders, observed, now = OwnOrders(), {}, shown({}), NOON
    for number, (price, size, leaves) in enumerate(story):
        orders[OrderNo(number)] = told_of(ours(number, price, size), News.RESTING)
        if leaves and number:
            orders.pop(OrderNo(number - 1), None)
        now = Micros(now + 1_000)
        own.before(observed, orders, now)
        resting: dict[int, int] = {}
        for order in orders.values():
            resting[order.price] = resting.get(order.price, 0) + order.size
        observed = shown(resting)
        own.after(observed, now)
    for _ in range(2):
        now = Micros(now + BELIEVED)
        own.before(observed, orders, now)
        own.after(observed, now)
    assert own.without(observed) == shown({})


def test_somebody_who_joins_us_is_seen():
    own = OwnOrders()
    orders = {OrderNo(1): told_of(ours(1, 4000, 30), News.RESTING)}
    own.before(shown({}), orders, NOON)
    own.after(shown({4000: 30}), NOON)
    own.before(shown({4000: 30}), orders, NOON)
    own.after(shown({4000: 45}), NOON)
    assert own.without(shown({4000: 45})) == shown({4000: 15})
