"""Money as whole minor units; decimals only as people write and read them.

Nothing here or behind it is ever a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vending.shop.faults import AmountFormatError, InvalidSettingError
from vending.shop.values import require_text, require_whole

# ISO 4217 currencies whose minor unit is not a hundredth (list one, column "Mnr unt").
_MINOR_DIGITS: Final = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
_CODE: Final = re.compile(r"[A-Z]{3}")
_NUMBER: Final = re.compile(r"(?P<whole>[0-9]{1,15})(?:\.(?P<part>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency and how many digits its minor unit has.

    Raises:
        InvalidSettingError: not three capital letters, or not 0-4 digits.
    """

    code: str
    minor_digits: int

    def __post_init__(self) -> None:
        require_text("A currency's code", self.code, fault=InvalidSettingError)
        require_whole("The number of minor digits", self.minor_digits, fault=InvalidSettingError)
        if not _CODE.fullmatch(self.code):
            raise InvalidSettingError(
                f"A currency is three capital letters of ISO 4217, like ZAR; not {self.code!r}."
            )
        if not 0 <= self.minor_digits <= 4:
            raise InvalidSettingError("A currency has 0 to 4 minor digits.")

    @classmethod
    def named(cls, code: str) -> Currency:
        """A currency with the minor digits of ISO 4217."""
        return cls(code, _MINOR_DIGITS.get(code, 2))

    def text(self, minor: int) -> str:
        """Minor units as people read them, without the code: ``100.50``, ``-3.00``."""
        return scaled(minor, self.minor_digits)

    def parse(self, text: str) -> int:
        """An amount as people type it (``100``, ``100.5``, ``100.50``) in minor units.

        Raises:
            AmountFormatError: not such a number, or more digits than the currency has.
        """
        return parse_scaled(text, self.minor_digits, "An amount", f"{self.code} has")


def scaled(number: int, digits: int) -> str:
    """A whole number of 1/10**digits as a decimal."""
    sign, number = ("-", -number) if number < 0 else ("", number)
    if digits == 0:
        return f"{sign}{number}"
    whole, part = divmod(number, 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"


def parse_scaled(text: str, digits: int, what: str, whose: str) -> int:
    """A plain decimal as a whole number of 1/10**digits.

    Args:
        text: digits, with at most one point; no sign, no grouping, no exponent.
        digits: how many digits after the point count.
        what: what the number is, for the error.
        whose: who allows only so many digits, for the error.

    Raises:
        AmountFormatError: anything else.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise AmountFormatError(
            f"{what} is written in digits with at most one point, like 100 or 100.50; "
            f"{text!r} is not."
        )
    part = match["part"] or ""
    if len(part) > digits:
        raise AmountFormatError(f"{whose} {digits} digits after the point; {text!r} has more.")
    return int(match["whole"] + part.ljust(digits, "0"))
