"""The order book: one book seen from two sides, with ours taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUY, NO, SELL, YES, book, levels, shares

from pmrun.runner.book import Book, without_own
from pmrun.runner.units import Price, Size, parse_price

SIDES = st.dictionaries(st.integers(1, 9999), st.integers(1, 10**9), max_size=6)


@st.composite
def books(draw: st.DrawFn) -> Book:
    bids, asks = draw(SIDES), draw(SIDES)
    return Book(
        tuple((Price(p), Size(bids[p])) for p in sorted(bids, reverse=True)),
        tuple((Price(p), Size(asks[p])) for p in sorted(asks)),
    )


@given(books())
def test_the_mirror_of_the_mirror_is_the_book(shown):
    again = Book(shown.bids, shown.asks).mirror().mirror()
    assert again == shown
    assert Book(shown.mirror().bids, shown.mirror().asks).mirror() == shown


@given(books())
def test_the_mirror_is_sorted_best_first_and_keeps_every_share(shown):
    mirror = shown.mirror()
    assert list(mirror.bids) == sorted(mirror.bids, key=lambda level: -level[0])
    assert list(mirror.asks) == sorted(mirror.asks, key=lambda level: level[0])
    assert sum(size for _, size in mirror.bids) == sum(size for _, size in shown.asks)
    assert shown.two_sided == mirror.two_sided


@given(books(), st.integers(1, 4))
def test_a_book_of_prices_first_and_levels_later_is_the_book_of_those_levels(shown, levels):
    def padded(side: tuple) -> list[int]:
        return [size for _, size in side[:levels]] + [0] * (levels - len(side))

    whole = Book(shown.bids[:levels], shown.asks[:levels])
    shallow = Book.shallow(shown.prices(levels), (*padded(shown.bids), *padded(shown.asks)))
    assert (shallow.best_bid, shallow.best_ask, shallow.two_sided) == (whole.best_bid, whole.best_ask, whole.two_sided)
    for fewer in range(levels + 1):
        assert shallow.prices(fewer) == whole.prices(fewer)
    assert shallow == whole


def test_a_bid_for_no_is_an_ask_for_yes_at_the_rest_of_a_dollar():
    shown = book("0.86x30", "0.87x5 0.90x7")
    assert shown.mirror() == book("0.13x5 0.10x7", "0.14x30")
    assert shown.seen_by(YES) is shown
    assert shown.seen_by(NO) == shown.mirror()


def test_the_touch_and_the_mid_are_those_of_the_best_levels():
    shown = book("0.45x1 0.44x1", "0.48x1")
    assert (shown.best_bid, shown.best_ask) == (4500, 4800)
    assert shown.mid_half == 9300
    assert shown.mid == pytest.approx(0.465)


def test_a_side_that_is_empty_has_no_best_price_and_no_mid():
    shown = book("", "0.48x1")
    assert shown.best_bid is None
    assert not shown.two_sided
    with pytest.raises(IndexError):
        _ = shown.mid_half


@pytest.mark.parametrize(
    ("bid", "ask", "quiet"), [("0.47", "0.48", True), ("0.48", "0.48", False), ("0.49", "0.48", False)]
)
def test_a_locked_or_crossed_book_has_no_mid_to_trust(bid, ask, quiet):
    assert book(f"{bid}x1", f"{ask}x1").two_sided is quiet


def test_levels_below_a_price_do_not_hold_the_price_itself():
    shown = book("0.45x1 0.44x2 0.40x3", "")
    assert shown.bids_below(parse_price("0.45"), 2) == levels("0.44x2 0.40x3")
    assert shown.bids_below(parse_price("0.43"), 2) == levels("0.40x3")
    assert shown.bids_below(parse_price("0.50"), 2) == levels("0.45x1 0.44x2")
    assert shown.bids_below(parse_price("0.40"), 2) == ()


def test_bids_above_a_price_are_strictly_better():
    shown = book("0.45x1 0.44x2 0.40x3", "")
    assert [shown.bids_above(parse_price(at)) for at in ("0.45", "0.44", "0.43", "0.40", "0.39")] == [0, 1, 2, 2, 3]


def test_our_own_orders_are_taken_out_of_the_observed_book():
    shown = book("0.45x100 0.44x50", "0.48x30")
    left = without_own(
        shown,
        [
            (BUY, parse_price("0.45"), shares("40")),
            (BUY, parse_price("0.45"), shares("10")),  # two of ours at one price
            (SELL, parse_price("0.48"), shares("30")),  # we are the whole level
            (BUY, parse_price("0.40"), shares("10")),  # not shown yet
            (SELL, parse_price("0.45"), shares("9")),  # the other side
        ],
    )
    assert left == book("0.45x50 0.44x50", "")


def test_a_level_smaller_than_our_order_disappears_rather_than_turn_negative():
    assert without_own(book("0.45x10 0.44x5", ""), [(BUY, parse_price("0.45"), shares("11"))]) == book("0.44x5", "")


@given(books())
def test_without_orders_of_ours_the_book_is_as_observed(shown):
    assert without_own(shown, []) is shown


@given(
    books(), st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 9999), st.integers(1, 10**6)), max_size=4)
)
def test_taking_ours_out_of_a_book_that_holds_them_gives_the_others_back(others, ours):
    sizes = {(BUY, p): s for p, s in others.bids} | {(SELL, p): s for p, s in others.asks}
    for side, price, size in ours:
        sizes[side, price] = sizes.get((side, price), 0) + size
    bids = tuple((Price(p), Size(s)) for (side, p), s in sorted(sizes.items(), key=lambda e: -e[0][1]) if side is BUY)
    asks = tuple((Price(p), Size(s)) for (side, p), s in sorted(sizes.items(), key=lambda e: e[0][1]) if side is SELL)
    assert without_own(Book(bids, asks), ours) == others


def test_equal_books_are_equal_as_keys():
    assert len({book("0.45x1", "0.46x1"), book("0.45x1", "0.46x1"), book("0.45x2", "0.46x1")}) == 2
    assert book("0.45x1", "") != "a book"
