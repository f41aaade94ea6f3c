"""Account numbers: ten digits, of which the last one checks the others.

The check digit is Damm's (H. M. Damm, "Total anti-symmetrische Quasigruppen", Marburg 2004): it
finds every wrong digit and every two neighbours that changed places.  No number begins with a
zero, so that none is lost in a spreadsheet.
"""

from __future__ import annotations

from typing import Final

from billing.accounts.faults import AccountNumberError

DIGITS: Final = 10
_FIRST: Final = 100_000_000
SERIAL_MAX: Final = 999_999_999 - _FIRST

# A totally anti-symmetric quasigroup with zeros on its diagonal: a number that is followed by its
# check digit ends in the state zero.
_NEXT: Final = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


def account_number(serial: int) -> str:
    """The number of the serial-th account.

    Args:
        serial: 1 to `SERIAL_MAX`; the account's id.

    Raises:
        AccountNumberError: there are no more numbers.
    """
    if not 0 < serial <= SERIAL_MAX:
        raise AccountNumberError(f"There is no account number for the account {serial}.")
    digits = str(_FIRST + serial)
    return digits + str(_state(digits))


def checked_number(typed: str) -> str:
    """An account number as somebody typed it; spaces and hyphens in it do not count.

    Raises:
        AccountNumberError: a digit is wrong, missing, or in the wrong place.
    """
    digits = typed.replace(" ", "").replace("-", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise AccountNumberError(f"An account number has {DIGITS} digits; look at it again.")
    if _state(digits):
        raise AccountNumberError(
            f"{digits} is no account number: a digit is wrong, or two changed places."
        )
    return digits


def _state(digits: str) -> int:
    state = 0
    for digit in digits:
        state = _NEXT[state][int(digit)]
    return state
