"""What became of all orders: each counts once, whatever is said of it, how often, and in what order."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from scenes import FIRST, NOON

from pmrun.runner.facts import Filled, OrderFound, OrderNews
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import Outcome
from pmrun.runner.order_count import OrderCount
from pmrun.runner.orders import LIFECYCLE, News, OrderNo, Purpose, State, TradeId
from pmrun.runner.progress import _markets, _orders
from pmrun.runner.units import Cash, Price, Side, Size
from pmrun.runner.unsent import NO_TURN, PULLED, WOULD_TAKE, never_sent

WHY = Reason("test")
SIZE = Size(10)
ENDS = {State.FILLED: "filled", State.CANCELED: "cancelled", State.EXPIRED: "cancelled", State.REJECTED: "rejected"}


def place(order):
    return Place(
        NOON, OrderNo(order), FIRST, Outcome.YES, Side.BUY, Price(4_000), SIZE, Purpose.QUOTE, True, WHY
    )  # fmt: skip


def fill(order, size):
    return Filled(NOON, OrderNo(order), TradeId("t"), Price(4_000), Size(size), Cash(0))


def found(order, name, filled=0):
    terms = (FIRST, Outcome.YES, Side.BUY, Price(4_000), SIZE, Size(filled))
    return OrderFound(NOON, *terms, name, OrderNo(order))


SAID = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(list(News)) | st.integers(1, 10)), max_size=25)


@given(SAID, st.dictionaries(st.integers(5, 7), st.sampled_from([NO_TURN, PULLED, WOULD_TAKE])), st.integers(0, 2))
def test_placed_and_adopted_orders_are_cancelled_filled_rejected_or_open_and_none_is_two_of_these(
    said, unsent, adopted
):
    count = OrderCount()
    for order in range(1, 8):
        (count.found(found(order, f"x{order}")) if order <= adopted else count.asked_for(place(order)))
    state, filled = dict.fromkeys(range(1, 8), State.PENDING_SUBMIT), Counter()
    for order, news in said:  # the table of an order's life says how each ended
        if not isinstance(news, News):
            if filled[order] + news > SIZE:
                continue
            told = fill(order, news)
            news = News.FILLED_FULL if filled[order] + news == SIZE else News.FILLED_PART
        elif news in (News.FILLED_PART, News.FILLED_FULL):
            continue
        else:
            told = OrderNews(NOON, OrderNo(order), news, "some words of the exchange")
        after = LIFECYCLE[state[order], news]
        if after is not None:
            state[order] = after
            filled[order] += told.size if isinstance(told, Filled) else 0
            (count.fill if isinstance(told, Filled) else count.news)(told)
    for order, why in unsent.items():
        count.news(OrderNews(NOON, OrderNo(order), News.REJECTED if why is WOULD_TAKE else News.CANCELED, why))
    wanted = Counter(ENDS.get(each, "open") for order, each in state.items() if order not in unsent)
    counts = count.summary()
    assert {name: counts[name] for name in ("cancelled", "filled", "rejected", "open")} == {
        name: wanted[name] for name in ("cancelled", "filled", "rejected", "open")
    }
    assert (counts["placed"], counts["adopted"]) == (7 - adopted - len(unsent), adopted)
    assert counts["never_sent"] == len(unsent) == sum(count.unsent.values())
    assert counts["placed"] + counts["adopted"] == sum(wanted.values())


def test_an_adopted_order_that_is_told_twice_is_one_and_one_without_a_number_is_the_next():
    count = OrderCount()
    count.asked_for(place(7))
    for each in (found(0, "a"), found(0, "a"), found(0, "done", filled=10)):
        count.found(each)
    count.news(OrderNews(NOON, OrderNo(8), News.CANCELED))
    assert (count.adopted, count.cancelled, count.summary()["open"]) == (1, 1, 1)


def test_what_an_exchange_says_is_never_taken_for_words_of_our_own():
    said = ("", "market resolved", "invalid post-only order: order crosses book", "it never arrived at the exchange")
    assert not any(never_sent(each) for each in said)
    ours = ("over the cap live.max_order_usd", "cannot be signed: size", "not sent: places are shed, the budget is low")
    assert all(never_sent(each) for each in (*ours, NO_TURN, PULLED, WOULD_TAKE))


def test_the_table_accounts_for_every_order():
    counts = {"placed": 9, "adopted": 0, "cancelled": 5, "filled": 2, "rejected": 2, "open": 0, "never_sent": 0}
    assert _orders(counts | {"refused": 1}, {}) == "9 placed: 5 cancelled, 2 filled, 2 rejected; 1 refusals"
    counts |= {"adopted": 2, "open": 2, "never_sent": 7, "refused": 0}
    assert _orders(counts, {NO_TURN: 4, PULLED: 3}) == (
        "9 placed, 2 adopted: 5 cancelled, 2 filled, 2 rejected, 2 still open; "
        "7 never sent: no order call was free in time (4), pulled before it was sent (3); 0 refusals"
    )


def test_the_table_tells_markets_that_ended_from_those_that_a_filter_dropped():
    markets = {
        "scanned": 4,
        "ever_selected": 4,
        "selected": 1,
        "ended": {"resolved": 3},
        "rejected_by": {"resolved": 3},
    }
    assert _markets(markets) == "4 of 4 traded, 1 still at the end (3 resolved)"
    markets |= {"scanned": 9, "selected": 0, "ended": {"halted": 1, "resolved": 3}}
    markets["rejected_by"] = {"filters.spread": 5, "halted": 1, "resolved": 3}
    assert (
        _markets(markets) == "4 of 9 traded, none still at the end (1 halted, 3 resolved); dropped by filters.spread 5"
    )
