"""Account numbers: what is mistyped is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.accounts.faults import AccountNumberError
from billing.accounts.numbers import SERIAL_MAX, account_number, checked_number

SERIALS = st.integers(1, SERIAL_MAX)


def test_the_first_account_has_this_number() -> None:
    assert account_number(1) == "1000000018"


@given(SERIALS)
def test_a_number_has_ten_digits_and_no_zero_in_front(serial: int) -> None:
    number = account_number(serial)
    assert len(number) == 10
    assert number[0] != "0"
    assert checked_number(f" {number[:4]}-{number[4:]} ") == number


@given(SERIALS, st.integers(0, 9), st.integers(1, 9))
def test_req01_a_wrong_digit_is_found(serial: int, place: int, other: int) -> None:
    number = account_number(serial)
    wrong = f"{number[:place]}{(int(number[place]) + other) % 10}{number[place + 1 :]}"
    with pytest.raises(AccountNumberError) as refused:
        checked_number(wrong)
    assert refused.value.code == "account_number"


@given(SERIALS, st.integers(0, 8))
def test_req01_neighbours_that_changed_places_are_found(serial: int, place: int) -> None:
    number = account_number(serial)
    one, two = number[place], number[place + 1]
    if one != two:
        with pytest.raises(AccountNumberError):
            checked_number(f"{number[:place]}{two}{one}{number[place + 2 :]}")


@pytest.mark.parametrize("typed", ["", "123", "10000000a4", "\uff11000000018", "10000000140"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(AccountNumberError):
        checked_number(typed)


@pytest.mark.parametrize("serial", [0, -1, SERIAL_MAX + 1])
def test_there_are_no_numbers_outside(serial: int) -> None:
    with pytest.raises(AccountNumberError):
        account_number(serial)
