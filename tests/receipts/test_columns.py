"""The writer of fixed columns that receipts, reports and statements share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.receipts.strategies import WORDS
from vending.receipts.columns import Roll, width, wrapped


def test_a_roll_is_written_line_by_line() -> None:
    roll = Roll(32)
    roll.centred("City Power")
    roll.rule()
    roll.pair("Counted", "120.00")
    roll.pair("A label that is too long for this", "120.00")
    roll.row(["cash", "12", "1,200.00"])
    roll.row(["a long name of a tender", "12", "1,200.00"])
    roll.blank()
    roll.wrapped("one two three four five six seven eight")
    assert roll.text().split("\n") == [
        "           City Power",
        "--------------------------------",
        "Counted                   120.00",
        "A label that is too long for",
        "this",
        "                          120.00",
        "cash                12  1,200.00",
        "a long name of a tender",
        "                    12  1,200.00",
        "",
        "one two three four five six",
        "seven eight",
        "",
    ]


def test_chinese_breaks_between_its_letters_but_not_in_a_number_or_before_a_stop() -> None:
    assert list(wrapped("电表 07000000013 请先输入以前购买的充值码：旧码", 24)) == [
        "电表 07000000013 请先输",
        "入以前购买的充值码：旧码",
    ]
    assert list(wrapped("充值码充值码充值码12345。", 24)) == ["充值码充值码充值码", "12345。"]


@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(24, 60))
def test_nothing_is_wider_than_the_roll_and_no_letter_is_lost(
    cells: list[str], columns: int
) -> None:
    roll = Roll(columns)
    roll.row(cells)
    for cell in cells:
        roll.pair(cell, cells[0])
        roll.centred(cell)
    assert all(width(line) <= columns for line in roll.lines)
    plain = "".join("".join(wrapped(cells[0], columns)).split())
    assert plain == "".join(cells[0].split())


def test_a_roll_that_would_break_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="24"):
        Roll(20)
