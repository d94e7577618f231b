"""Exact quantities: what is read is what is written, and rounding never favours us."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.runner.units import (
    NOTIONAL_PER_CASH,
    Cash,
    Price,
    Side,
    Size,
    cash_paid,
    cash_received,
    complement,
    format_cash,
    format_price,
    format_size,
    notional,
    parse_cash,
    parse_price,
    parse_size,
    seconds,
)

PARSERS = [parse_price, parse_size, parse_cash]
PAIRS = [(parse_price, format_price), (parse_size, format_size), (parse_cash, format_cash)]


@pytest.mark.parametrize(("parse", "write"), PAIRS)
@given(value=st.integers(-(10**15), 10**15))
def test_a_quantity_written_and_read_again_is_the_same(parse, write, value):
    assert parse(write(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.455", 4550),
        ("0.0001", 1),
        ("1", 10_000),
        (".5", 5000),
        ("0.4550", 4550),
        (1, 10_000),
        (Decimal("0.01"), 100),
    ],
)
def test_a_price_is_read_exactly(text, value):
    assert parse_price(text) == value


def test_sizes_and_cash_have_six_decimals():
    assert parse_size("219.217767") == 219_217_767
    assert parse_cash("0.000001") == 1


@pytest.mark.parametrize(
    ("value", "text"), [(4550, "0.455"), (0, "0"), (-4550, "-0.455"), (100_000, "10"), (1, "0.0001"), (10_000, "1")]
)
def test_a_price_is_written_without_trailing_zeros(value, text):
    assert format_price(Price(value)) == text


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", ["NaN", "sNaN", "inf", "-inf", "Infinity", "", "abc", "0.5.5", "$1", "1,5"])
def test_what_is_no_number_is_refused(parse, text):
    with pytest.raises(ValueError, match=r"not a number|not finite"):
        parse(text)


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_price, "0.00001"), (parse_price, "0.45555"), (parse_size, "0.0000001"), (parse_cash, "1.0000001")],
)
def test_what_is_too_fine_is_refused_rather_than_rounded(parse, text):
    with pytest.raises(ValueError, match="finer than 1/"):
        parse(text)


def test_a_float_that_is_not_exactly_on_the_unit_is_refused():
    with pytest.raises(ValueError, match="finer than"):
        parse_price(0.1)


def test_a_price_with_more_digits_than_decimal_keeps_is_refused_as_too_fine():
    with pytest.raises(ValueError, match="finer than"):
        parse_price("0.45500000000000000000000000000001")


def test_a_number_beyond_all_measure_is_refused_in_words():
    with pytest.raises(ValueError, match=r"number|finite|large"):
        parse_price("1e999999")


@given(price=st.integers(1, 9999), size=st.integers(1, 10**14))
def test_a_buyer_pays_the_exact_amount_rounded_up_and_a_seller_gets_it_rounded_down(price, size):
    exact = Fraction(price * size, NOTIONAL_PER_CASH)
    paid, received = cash_paid(Price(price), Size(size)), cash_received(Price(price), Size(size))
    assert 0 <= paid - exact < 1
    assert 0 <= exact - received < 1


def test_rounding_differs_only_where_there_is_a_rest():
    assert (cash_paid(Price(5200), Size(10_000_000)), cash_received(Price(5200), Size(10_000_000))) == (5_200_000,) * 2
    assert (cash_paid(Price(3333), Size(1)), cash_received(Price(3333), Size(1))) == (1, 0)


def test_the_examples_of_the_exchange_on_amounts():
    # Reference 2.5: BUY 10 @ 0.52, SELL 12.34 @ 0.33.
    assert cash_paid(parse_price("0.52"), parse_size("10")) == 5_200_000
    assert cash_received(parse_price("0.33"), parse_size("12.34")) == 4_072_200


@given(price=st.integers(0, 10_000))
def test_the_complement_of_the_complement_is_the_price(price):
    assert complement(complement(Price(price))) == price
    assert price + complement(Price(price)) == 10_000


def test_a_notional_is_an_exact_product():
    assert notional(Price(9999), Size(10**15 + 1)) == 9999 * (10**15 + 1)


def test_sides_are_opposite_of_each_other():
    assert [side.opposite for side in Side] == [Side.SELL, Side.BUY]


def test_durations_in_the_configuration_are_seconds():
    assert seconds(0.5) == 500_000
    assert format_cash(Cash(1_500_000)) == "1.5"
