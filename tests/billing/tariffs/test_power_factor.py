"""The tables of the adjustment by power factor."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.tariffs.power_factor import adjustment_bp, power_factor
from tests.billing.tariffs.spreadsheet import TABLES, factor_percent


@pytest.mark.parametrize("standard", [90, 85, 80])
def test_req12_the_computed_tables_are_the_printed_ones(standard: int) -> None:
    printed = TABLES[f"0.{standard}"]
    for hundredths, percent in printed.items():
        assert Fraction(adjustment_bp(standard, hundredths), 100) == percent, hundredths
    for hundredths in range(101):
        told = factor_percent(f"0.{standard}", hundredths)
        assert Fraction(adjustment_bp(standard, hundredths), 100) == told, hundredths


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_req12_a_power_factor_is_rounded_to_hundredths(active: int, reactive: int) -> None:
    found = power_factor(active, reactive)
    if not active and not reactive:
        assert found is None
        return
    assert found is not None
    assert abs(found / 100 - active / sqrt(active**2 + reactive**2)) < 0.005_001


def test_req12_exact_power_factors_are_themselves() -> None:
    # Nothing lies in the middle of two hundredths: P/S = odd/200 with whole P, Q and S would be a
    # right triangle in lowest terms whose longest side is even, and there is none.
    assert power_factor(3, 4) == 60
    assert power_factor(24, 7) == 96
    assert power_factor(5, 12) == 38  # 0.3846
    assert power_factor(12, 5) == 92  # 0.9231
    assert power_factor(1, 0) == 100
    assert power_factor(0, 1) == 0
