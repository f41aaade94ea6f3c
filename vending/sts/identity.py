"""Who is who: meter numbers, supply groups, keys' names (IEC 62055-41, clause 6.1).

=========  ==========================================================================
MeterPAN   18 digits: IIN · IAIN · Luhn check digit over the 17 before it
IIN/IAIN   ``600727`` + 11 digits, or ``0000`` + 13 digits
IAIN       manufacturer (2 or 4 digits) · serial (8) · Luhn check digit (the "DRN")
DRN        the IAIN, which the customer sees printed on the meter as its number
SGC        supply group code, 6 digits
KRN        key revision number within the supply group, 1-9
TI         tariff index, 2 digits, 00-99
KEN        key expiry number, 0-255, compared with the top 8 bits of a TID
KT         key type: 0 initialisation, 1 default, 2 unique, 3 common
EA         encryption algorithm: 07 STA, 09 DEA (deprecated), 11 MISTY1
DKGA       decoder key generation algorithm: 01, 02, 03, 04
=========  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NewType

from vending.sts.errors import CheckDigitError, InvalidValueError

SupplyGroupCode = NewType("SupplyGroupCode", str)
"""6 decimal digits."""
KeyRevision = NewType("KeyRevision", int)
"""1-9."""
TariffIndex = NewType("TariffIndex", str)
"""2 decimal digits, kept as written."""
KeyExpiry = NewType("KeyExpiry", int)
"""0-255; 255 never expires within its base date."""

_IIN_11: Final = "600727"
_IIN_13: Final = "0000"


class KeyType(IntEnum):
    """Where a decoder key comes from, and so what it may do (KT)."""

    INITIALISATION = 0
    """DITK: put in by the manufacturer; never leaves the factory."""
    DEFAULT = 1
    """DDTK: of a supply group that is not the final one; takes no credit."""
    UNIQUE = 2
    """DUTK: one meter's own key."""
    COMMON = 3
    """DCTK: shared by all meters of a supply group."""


class EncryptionAlgorithm(IntEnum):
    """How class 0 and class 2 tokens are encrypted (EA)."""

    STA = 7
    """64-bit decoder key."""
    DEA = 9
    """Deprecated by the standard; refused here."""
    MISTY1 = 11
    """128-bit decoder key, RFC 2994."""

    @property
    def key_bits(self) -> int:
        """Length of the decoder key in bits: 64 or 128."""
        return 128 if self is EncryptionAlgorithm.MISTY1 else 64


class KeyGeneration(IntEnum):
    """How a decoder key is derived from a vending key (DKGA)."""

    DKGA01 = 1
    DKGA02 = 2
    DKGA03 = 3
    DKGA04 = 4


def luhn_check_digit(digits: str) -> int:
    """The Luhn (ISO/IEC 7812-1) digit that follows ``digits``."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def _require_digits(what: str, text: str, lengths: tuple[int, ...]) -> None:
    if len(text) in lengths and text.isascii() and text.isdigit():
        return
    wanted = " or ".join(str(length) for length in lengths)
    for place, character in enumerate(text, 1):
        if character not in "0123456789":
            raise InvalidValueError(f"{what} takes digits only; position {place} is {character!r}.")
    if len(text) not in lengths:
        raise InvalidValueError(f"{what} has {len(text)} digits; it needs {wanted}.")


def _require_check_digit(what: str, digits: str) -> None:
    right = luhn_check_digit(digits[:-1])
    if int(digits[-1]) != right:
        raise CheckDigitError(
            f"{what} {digits} was mistyped: its last digit is {digits[-1]}, "
            f"the other digits ask for {right}. Read the number again from the meter."
        )


@dataclass(frozen=True, slots=True)
class MeterPan:
    """A meter's primary account number: unique in the world.

    Make one with `MeterPan.parse` (18 digits) or `MeterPan.from_drn` (11 or 13 digits).
    """

    iin: str
    """Issuer identification number: ``600727`` or ``0000``."""
    iain: str
    """Individual account identification number, 11 or 13 digits: the DRN."""

    def __post_init__(self) -> None:
        if self.iin not in (_IIN_11, _IIN_13):
            raise InvalidValueError(
                f"A MeterPAN starts with {_IIN_11} or {_IIN_13}, not with {self.iin}."
            )
        _require_digits("Meter number", self.iain, (11 if self.iin == _IIN_11 else 13,))
        _require_check_digit("Meter number", self.iain)

    @classmethod
    def parse(cls, text: str) -> MeterPan:
        """Read 18 digits; spaces and dashes are ignored.

        Raises:
            InvalidValueError: wrong length, wrong character, unknown issuer.
            CheckDigitError: a check digit (of the whole or of the DRN) does not fit.
        """
        digits = _plain(text)
        _require_digits("MeterPAN", digits, (18,))
        _require_check_digit("MeterPAN", digits)
        if digits.startswith(_IIN_11):
            return cls(_IIN_11, digits[6:17])
        return cls(digits[:4], digits[4:17])

    @classmethod
    def from_drn(cls, text: str) -> MeterPan:
        """Build it from the meter number as printed on the meter: 11 or 13 digits.

        Raises:
            InvalidValueError: wrong length or character.
            CheckDigitError: the last digit does not fit the others.
        """
        digits = _plain(text)
        _require_digits("Meter number", digits, (11, 13))
        return cls(_IIN_11 if len(digits) == 11 else _IIN_13, digits)

    @property
    def drn(self) -> str:
        """The number on the meter's face."""
        return self.iain

    @property
    def manufacturer(self) -> str:
        """Manufacturer code: 2 digits (11-digit form) or 4 (13-digit form)."""
        return self.iain[:-9]

    @property
    def serial(self) -> str:
        """The manufacturer's serial number, 8 digits."""
        return self.iain[-9:-1]

    def __str__(self) -> str:
        body = self.iin + self.iain
        return f"{body}{luhn_check_digit(body)}"


def make_drn(manufacturer: str, serial: str) -> str:
    """A meter number from a manufacturer code (2 or 4 digits) and a serial (8 digits)."""
    _require_digits("Manufacturer code", manufacturer, (2, 4))
    _require_digits("Serial number", serial, (8,))
    body = manufacturer + serial
    return f"{body}{luhn_check_digit(body)}"


def parse_supply_group_code(text: str) -> SupplyGroupCode:
    """Check an SGC: exactly 6 digits."""
    _require_digits("Supply group code", text, (6,))
    return SupplyGroupCode(text)


def parse_key_revision(number: int) -> KeyRevision:
    """Check a KRN: 1-9."""
    return KeyRevision(require_range("Key revision number", number, 1, 9))


def parse_tariff_index(text: str) -> TariffIndex:
    """Check a TI: exactly 2 digits, kept as written because the key depends on them."""
    _require_digits("Tariff index", text, (2,))
    return TariffIndex(text)


def parse_key_expiry(number: int) -> KeyExpiry:
    """Check a KEN: 0-255."""
    return KeyExpiry(require_range("Key expiry number", number, 0, 255))


def parse_key_type(number: int) -> KeyType:
    """Check a KT: 0-3."""
    return KeyType(require_range("Key type", number, 0, 3))


def require_range(what: str, number: int, low: int, high: int) -> int:
    """Give ``number`` back if it lies in ``low..high``, or say what would."""
    if type(number) is int and low <= number <= high:
        return number
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidValueError(f"{what} must be a whole number, not {number!r}.")
    if not low <= number <= high:
        raise InvalidValueError(f"{what} {number} is out of range; it must be {low}-{high}.")
    return number


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("-", "")
