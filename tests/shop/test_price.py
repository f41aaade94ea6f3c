"""Money to units: what holds for every price and every amount."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vending import Currency, Price, Quote
from vending.shop.faults import (
    AboveMaximumError,
    BelowMinimumError,
    InvalidSettingError,
    RequestFormatError,
)
from vending.shop.price import LineKind, cost_minor, parse_price, price_text, quote
from vending.sts import AMOUNT_MAX, encode_amount

ZAR = Currency.named("ZAR")
PRICES = st.builds(Price, per_kwh=st.integers(1, 10**9), tax_bp=st.integers(0, 10_000))
HUGE = pytest.param(10**5_000, id="huge")  # too long to be printed even
AMOUNTS = st.integers(1, 10**9)


def _quote(price: Price, amount: int) -> Quote:
    try:
        return quote(price, amount, ZAR)
    except (BelowMinimumError, AboveMaximumError):
        assume(False)
        raise


def _exact_cost(price: Price, units: int) -> Fraction:
    """In minor units, without any rounding."""
    return Fraction(units * price.per_kwh * (10_000 + price.tax_bp), 10 * 1_000 * 10_000)


@given(PRICES, AMOUNTS)
def test_the_lines_add_up_to_the_tendered_amount(price: Price, amount: int) -> None:
    sold = _quote(price, amount)
    assert sum(line.amount_minor for line in sold.lines) == amount
    assert all(line.amount_minor > 0 and line.explanation for line in sold.lines)


@given(PRICES, AMOUNTS)
def test_units_never_exceed_what_was_paid_for(price: Price, amount: int) -> None:
    sold = _quote(price, amount)
    assert _exact_cost(price, sold.units) <= amount - sold.change_minor


@given(PRICES, AMOUNTS)
def test_the_customer_is_charged_less_than_a_minor_unit_too_much(price: Price, amount: int) -> None:
    sold = _quote(price, amount)
    assert amount - sold.change_minor - _exact_cost(price, sold.units) < 1


@given(PRICES, AMOUNTS)
def test_change_would_not_buy_the_next_step_of_a_token(price: Price, amount: int) -> None:
    sold = _quote(price, amount)
    next_step = encode_amount(sold.units + 1).amount if sold.units < AMOUNT_MAX else None
    if next_step is not None:
        assert cost_minor(price, next_step) > amount


@given(PRICES, AMOUNTS)
def test_a_token_carries_exactly_the_units_sold(price: Price, amount: int) -> None:
    assert encode_amount(_quote(price, amount).units).rounding == 0


@given(PRICES, AMOUNTS, st.integers(0, 10**6))
def test_more_money_never_buys_less(price: Price, amount: int, more: int) -> None:
    assert _quote(price, amount + more).units >= _quote(price, amount).units


@given(PRICES, AMOUNTS)
def test_tax_is_its_share_of_the_cost_to_half_a_minor_unit(price: Price, amount: int) -> None:
    sold = _quote(price, amount)
    cost = amount - sold.change_minor
    exact = Fraction(cost * price.tax_bp, 10_000 + price.tax_bp)
    assert abs(sold.amount_of(LineKind.TAX) - exact) <= Fraction(1, 2)


def test_a_sale_in_full() -> None:
    sold = quote(Price(250_000, 1500), 10_000, ZAR)
    assert sold.units == 347
    assert [(line.kind, line.amount_minor, line.explanation) for line in sold.lines] == [
        (LineKind.ENERGY, 8_676, "34.7 kWh @ 2.50"),
        (LineKind.TAX, 1_301, "15 % tax on energy"),
        (LineKind.CHANGE, 23, "less than 0.1 kWh"),
    ]


def test_lines_of_zero_are_left_out() -> None:
    sold = quote(Price(250_000), 10_000, ZAR)
    assert [line.kind for line in sold.lines] == [LineKind.ENERGY]


def test_what_a_token_cannot_represent_is_change() -> None:
    # 1,638.9 kWh: above 1,638.3 a token counts in whole kWh from 1,638.4 on
    sold = quote(Price(100_000), 163_890, ZAR)
    assert (sold.units, sold.change_minor) == (16_384, 50)
    assert sold.lines[-1].explanation == "0.5 kWh more cannot be put on one token"


def test_too_little_for_a_tenth_says_what_would_do() -> None:
    with pytest.raises(BelowMinimumError, match=r"ZAR 0\.28 does not pay .* ZAR 0\.29 does"):
        quote(Price(250_000, 1500), 28, ZAR)
    assert quote(Price(250_000, 1500), 29, ZAR).units == 1


def test_more_than_a_token_carries_is_refused() -> None:
    with pytest.raises(AboveMaximumError, match=r"1820162\.4 kWh"):
        quote(Price(1), 10**9, ZAR)


@pytest.mark.parametrize(("per_kwh", "tax_bp"), [(0, 0), (-1, 0), (1, -1), (1, 10_001)])
def test_prices_that_make_no_sense_are_refused(per_kwh: int, tax_bp: int) -> None:
    with pytest.raises(InvalidSettingError):
        Price(per_kwh, tax_bp)


@pytest.mark.parametrize("wrong", [2.5, 250_000.0, True, "250000", None, Fraction(5), HUGE])
def test_a_price_is_made_of_whole_numbers(wrong: Any) -> None:
    with pytest.raises(InvalidSettingError):
        Price(wrong)
    with pytest.raises(InvalidSettingError):
        Price(250_000, wrong)


@pytest.mark.parametrize("wrong", [100.0, 100.5, True, "100", None, Fraction(100), HUGE])
def test_only_whole_minor_units_buy_anything(wrong: Any) -> None:
    with pytest.raises(RequestFormatError, match="whole number"):
        quote(Price(250_000), wrong, ZAR)


@pytest.mark.parametrize(
    ("code", "typed", "shown"),
    [("ZAR", "2.5", "2.50"), ("ZAR", "2.12345", "2.12345"), ("UGX", "800", "800")],
)
def test_a_price_is_read_and_shown_with_the_digits_it_needs(
    code: str, typed: str, shown: str
) -> None:
    currency = Currency.named(code)
    assert price_text(parse_price(typed, "7.5", currency), currency) == shown
    assert parse_price(typed, "7.5", currency).tax_bp == 750
