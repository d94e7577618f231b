"""The grid: bids are floored, asks are ceiled, nothing crosses."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUY, SELL

from pmrun.runner.grid import KNOWN_TICKS, Grid
from pmrun.runner.units import HalfPrice, Price, parse_price

TICKS = st.sampled_from(KNOWN_TICKS)


@pytest.mark.parametrize(
    ("half", "tick", "floored", "ceiled"),
    [
        (1301, 100, 600, 700),  # 0.06505
        (1300, 100, 600, 700),  # 0.065: exactly half a tick
        (1200, 100, 600, 600),  # on the grid: both the same
        (1201, 100, 600, 700),  # a hair above
        (1199, 100, 500, 600),  # a hair below
        (13, 1, 6, 7),  # a mid between two of the finest ticks
        (101, 25, 50, 75),
        (-1, 100, -100, 0),  # below the range: the grid floors on, and says that it is not valid
    ],
)
def test_bids_are_floored_and_asks_are_ceiled(half, tick, floored, ceiled):
    grid = Grid(Price(tick))
    assert grid.place(BUY, HalfPrice(half)) == floored
    assert grid.place(SELL, HalfPrice(half)) == ceiled


@given(tick=TICKS, half=st.integers(-20_000, 40_000))
def test_a_placed_price_is_the_nearest_tick_away_from_the_touch(tick, half):
    grid = Grid(Price(tick))
    below, above = grid.place(BUY, HalfPrice(half)), grid.place(SELL, HalfPrice(half))
    assert below % tick == above % tick == 0
    assert below <= Fraction(half, 2) <= above
    assert above - below == (0 if half % (2 * tick) == 0 else tick)


@pytest.mark.parametrize("tick", KNOWN_TICKS)
def test_valid_prices_run_from_one_tick_to_a_dollar_less_a_tick(tick):
    grid = Grid(Price(tick))
    assert (grid.lowest, grid.highest) == (tick, 10_000 - tick)
    assert tick in grid
    assert 10_000 - tick in grid
    assert 0 not in grid
    assert 10_000 not in grid
    assert -tick not in grid
    assert 10_000 + tick not in grid
    if tick > 1:
        assert tick + 1 not in grid
    assert sum(price in grid for price in range(-10, 10_010)) == 10_000 // tick - 1


def test_what_is_no_price_is_not_valid():
    assert 0.5 not in Grid(Price(100))
    assert "0.5" not in Grid(Price(100))


@pytest.mark.parametrize("tick", [0, -100, 3, 300, 20_000])
def test_a_tick_that_does_not_divide_a_dollar_is_refused(tick):
    with pytest.raises(ValueError, match="does not divide one dollar"):
        Grid(Price(tick))


@pytest.mark.parametrize(
    ("tick", "seen", "expected"),
    [
        (100, "0.45", 100),
        (100, "0.455", 50),
        (100, "0.4525", 25),
        (100, "0.451", 10),
        (100, "0.4501", 1),
        (1000, "0.45", 100),  # 0.05 would do, but no market has it
        (1000, "0.41", 100),
        (50, "0.4525", 25),
        (50, "0.451", 10),
        (25, "0.451", 1),  # 0.001 does not hold 0.0025
        (10, "0.4525", 1),
        (1, "0.4501", 1),
        (25, "0.45", 25),  # never coarser
    ],
)
def test_a_level_off_the_grid_means_a_finer_known_tick(tick, seen, expected):
    assert Grid(Price(tick)).refined_by([parse_price(seen)]).tick == expected


@given(tick=TICKS, price=st.integers(1, 9999))
def test_the_refined_grid_is_the_coarsest_known_one_that_holds_all(tick, price):
    fits = [known for known in KNOWN_TICKS if tick % known == 0 and price % known == 0]
    assert Grid(Price(tick)).refined_by([Price(price)]).tick == max(fits)


@given(tick=TICKS, prices=st.lists(st.integers(1, 9999), max_size=5))
def test_a_refined_grid_holds_the_prices_seen_and_all_that_were_valid_before(tick, prices):
    refined = Grid(Price(tick)).refined_by(map(Price, prices))
    assert all(price in refined for price in prices if price % tick or price in Grid(Price(tick)))
    assert all(price in refined for price in range(tick, 10_000, tick))
    assert refined.tick in (tick, *KNOWN_TICKS)


@given(
    tick=TICKS,
    price=st.integers(1, 9999),
    bid=st.none() | st.integers(1, 9999),
    ask=st.none() | st.integers(1, 9999),
)
def test_a_price_behind_the_touch_never_crosses_and_moves_only_if_it_must(tick, price, bid, ask):
    grid = Grid(Price(tick))
    on_grid = Price(price // tick * tick)
    buy = grid.behind_touch(BUY, on_grid, bid, ask)
    sell = grid.behind_touch(SELL, on_grid, bid, ask)
    assert ask is None or buy < ask
    assert bid is None or sell > bid
    assert buy % tick == sell % tick == 0
    assert buy == on_grid or on_grid >= ask > buy >= ask - tick
    assert sell == on_grid or on_grid <= bid < sell <= bid + tick


def test_a_bid_at_the_ask_moves_one_tick_below_it():
    grid = Grid(Price(100))
    assert grid.behind_touch(BUY, Price(5000), None, Price(5000)) == 4900
    assert grid.behind_touch(BUY, Price(4900), None, Price(5000)) == 4900
    assert grid.behind_touch(SELL, Price(5000), Price(5000), None) == 5100
    assert grid.behind_touch(BUY, Price(5000), None, Price(4950)) == 4900  # an ask off the grid


def test_known_ticks_get_finer_in_order():
    assert all(coarse > fine for coarse, fine in pairwise(KNOWN_TICKS))


def test_grids_of_one_tick_are_the_same_grid():
    assert Grid(Price(100)) == Grid(Price(100))
    assert Grid(Price(100)) != Grid(Price(10))
    assert len({Grid(Price(100)), Grid(Price(100)), Grid(Price(10))}) == 2
