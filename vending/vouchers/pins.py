"""The secret of a voucher: 16 digits, of which 15 are random and the last is a check digit.

* 16 digits, never 20, so that nobody types a voucher into a meter or sells a token as a voucher.
* The check digit (Luhn) catches a mistyped digit at once, so that an honest slip is not counted
  as a wrong try.
* 15 random digits are 10**15 secrets: with a million valid vouchers about, a guess hits one with
  a chance of one in a thousand million, and tries are limited (`vending.vouchers.tries`).
* What is stored is scrypt (RFC 7914) of the PIN with the house's salt.  The salt is one for all
  vouchers, because a voucher is looked up by its PIN alone; scrypt makes each guess of somebody
  who holds the database cost milliseconds, and there are 10**15 to make.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from vending.shop.faults import RequestFormatError
from vending.vouchers.faults import VoucherPinError

PIN_DIGITS: Final = 16
SALT_BYTES: Final = 16
_RANDOM_DIGITS: Final = PIN_DIGITS - 1
_SCRYPT_COST: Final = 2**12
_SCRYPT_BLOCK: Final = 8
_HASH_BYTES: Final = 32
_PIN: Final = re.compile(rf"[0-9]{{{PIN_DIGITS}}}")


class Pin:
    """A voucher's secret.  It is shown by `digits` alone: never by print, repr or a log.

    Args:
        typed: 16 digits; spaces and dashes are ignored.

    Raises:
        RequestFormatError: no text.
        VoucherPinError: not 16 digits, or the check digit says that one was mistyped.
    """

    __slots__ = ("_digits",)

    def __init__(self, typed: str) -> None:
        if not isinstance(typed, str):
            raise RequestFormatError(f"A voucher's PIN must be text, not {type(typed).__name__}.")
        digits = typed.replace(" ", "").replace("-", "")
        if not _PIN.fullmatch(digits):
            raise VoucherPinError(
                f"A voucher's PIN has {PIN_DIGITS} digits. A number of 20 digits is a token: it is "
                "typed into the meter."
            )
        if check_digit(digits[:-1]) != digits[-1]:
            raise VoucherPinError("This PIN was mistyped: compare it with the voucher again.")
        self._digits: Final = digits

    @classmethod
    def fresh(cls) -> Pin:
        """A new secret, of the operating system's randomness."""
        body = f"{secrets.randbelow(10**_RANDOM_DIGITS):0{_RANDOM_DIGITS}d}"
        return cls(body + check_digit(body))

    def digits(self) -> str:
        """The secret, in groups of four, for the printed voucher and nothing else."""
        return " ".join(self._digits[at : at + 4] for at in range(0, PIN_DIGITS, 4))

    def proof(self, salt: bytes) -> bytes:
        """What is stored of it (32 bytes)."""
        return hashlib.scrypt(
            self._digits.encode(),
            salt=salt,
            n=_SCRYPT_COST,
            r=_SCRYPT_BLOCK,
            p=1,
            dklen=_HASH_BYTES,
        )

    def __repr__(self) -> str:
        return "Pin(****)"


def check_digit(body: str) -> str:
    """The Luhn digit (ISO/IEC 7812-1, annex B) behind a number."""
    total = 0
    for place, character in enumerate(reversed(body)):
        doubled = int(character) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)
