"""Money as people type and read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vending import Currency
from vending.shop.faults import AmountFormatError, InvalidSettingError


@pytest.mark.parametrize(
    ("code", "text", "minor"),
    [
        ("ZAR", "100", 10_000),
        ("ZAR", "100.5", 10_050),
        ("ZAR", "100.50", 10_050),
        ("ZAR", " 0.01 ", 1),
        ("ZAR", "007", 700),
        ("UGX", "5000", 5_000),
        ("KWD", "1.234", 1_234),
    ],
)
def test_amounts_are_read_in_the_minor_units_of_their_currency(
    code: str, text: str, minor: int
) -> None:
    assert Currency.named(code).parse(text) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,000",
        "1.2.3",
        "-5",
        "+5",
        "1e3",
        ".5",
        "5.",
        "100.505",
        "\N{ARABIC-INDIC DIGIT ONE}00",
        "1_000",
        "NaN",
        "9" * 16,
    ],
)
def test_amounts_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(AmountFormatError) as fault:
        Currency.named("ZAR").parse(text)
    assert fault.value.code == "amount_format"


def test_a_currency_without_minor_units_takes_no_point() -> None:
    with pytest.raises(AmountFormatError, match="UGX has 0 digits after the point"):
        Currency.named("UGX").parse("5000.5")


@pytest.mark.parametrize("code", ["", "zar", "ZA", "ZARR", "Z R"])
def test_a_currency_is_three_capital_letters(code: str) -> None:
    with pytest.raises(InvalidSettingError):
        Currency.named(code)


@given(st.integers(0, 10**15 - 1), st.integers(0, 4))
def test_what_is_shown_reads_back_as_the_same(minor: int, digits: int) -> None:
    currency = Currency("ZAR", digits)
    assert currency.parse(currency.text(minor)) == minor


def test_negative_amounts_keep_their_sign_in_front() -> None:
    assert Currency.named("ZAR").text(-5) == "-0.05"
