"""Windows as people write them."""

from __future__ import annotations

import pytest

from headend.faults import EntryError
from headend.orders.calendar import parse_windows


def test_a_span_of_days_may_go_over_the_end_of_the_week() -> None:
    found = parse_windows("fri-mon 9:00-11:30")
    assert sorted(each.weekday for each in found) == [1, 5, 6, 7]


@pytest.mark.parametrize("text", ["", " , ", "mon", "mon 9-25", "someday 9:00-10:00"])
def test_what_says_no_window_is_refused(text: str) -> None:
    with pytest.raises(EntryError):
        parse_windows(text)
