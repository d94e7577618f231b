"""Fees and rebates, as the exchange's worked examples have them (reference 7.1, 7.2)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import NO, YES, cash, market, shares

from pmrun.runner.market import FeeTerms, cash_of_notional
from pmrun.runner.units import Price, Size, parse_price


def per_cent(rate: str, rebate: int = 0) -> FeeTerms:
    return FeeTerms(rate_ppm=int(Fraction(rate) * 10_000), rebate_ppm=rebate * 10_000)


@pytest.mark.parametrize(
    ("rate", "size", "price", "fee"),
    [
        ("5", "100", "0.52", "1.248"),  # sports
        ("4", "250", "0.10", "0.90"),  # politics
        ("7", "50", "0.40", "0.84"),  # crypto
        ("7", "100", "0.50", "1.75"),
        ("5", "100", "0.50", "1.25"),
        ("4", "100", "0.50", "1"),
        ("0", "100", "0.50", "0"),  # geopolitics
    ],
)
def test_the_worked_examples_of_the_exchange(rate, size, price, fee):
    assert per_cent(rate).taker_fee(parse_price(price), shares(size)) == cash(fee)


def test_a_maker_of_four_hundred_crypto_shares_expects_a_dollar_forty_back():
    assert per_cent("7", rebate=20).rebate(parse_price("0.50"), shares("400")) == cash("1.40")


def test_without_rebate_terms_nothing_comes_back():
    assert per_cent("7").rebate(parse_price("0.50"), shares("400")) == 0


def test_fees_are_rounded_to_a_hundred_thousandth_of_a_dollar():
    # 0.01 share at 0.50 with 4 %: 0.0001 exactly; 0.001 share: 0.00001; a fifth of it is nothing.
    terms = per_cent("4")
    assert terms.taker_fee(parse_price("0.5"), shares("0.01")) == cash("0.0001")
    assert terms.taker_fee(parse_price("0.5"), shares("0.001")) == cash("0.00001")
    assert terms.taker_fee(parse_price("0.5"), shares("0.0002")) == 0


@given(price=st.integers(1, 9999), size=st.integers(1, 10**13), rate=st.integers(0, 10**6), exponent=st.integers(1, 3))
def test_a_fee_is_the_exact_curve_to_within_half_a_unit_and_the_same_for_both_outcomes(price, size, rate, exponent):
    terms = FeeTerms(rate_ppm=rate, exponent=exponent)
    fee = terms.taker_fee(Price(price), Size(size))
    p = Fraction(price, 10_000)
    exact = Fraction(size) * Fraction(rate, 10**6) * (p * (1 - p)) ** exponent
    assert fee % 10 == 0
    assert abs(fee - exact) <= 5
    assert fee == terms.taker_fee(Price(10_000 - price), Size(size))


def test_each_outcome_is_the_other_ones_other():
    assert (YES.other, NO.other) == (NO, YES)
    assert (market().token(YES), market().token(NO)) == ("1", "2")


def test_a_notional_becomes_cash_rounded_up():
    assert [cash_of_notional(value) for value in (0, 1, 10_000, 10_001)] == [0, 1, 1, 2]
