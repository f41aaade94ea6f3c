"""What a token says: one class per token of the standard (IEC 62055-41, clause 6.2).

=========  ========================================  =====================================
class.sub  token                                     content, 44 bits, most significant first
=========  ========================================  =====================================
0.0 - 0.3  `TransferCredit`                          RND 4 · TID 24 · Amount 16
0.4 - 0.7  `CurrencyCredit`                          RND 4 · TID 24 · raw Amount 16
1.0        `InitiateMeterTest` (2-digit maker)       Control 36 · MfrCode 8
1.1        `InitiateMeterTest` (4-digit maker)       Control 28 · MfrCode 16
2.0        `SetMaximumPowerLimit`                    RND 4 · TID 24 · MPL 16
2.1        `ClearCredit`                             RND 4 · TID 24 · Register 16
2.2        `SetTariffRate`                           RND 4 · TID 24 · Rate 16
2.3        `Set1stSectionDecoderKey`                 KENHO 4 · KRN 4 · RO · 3KCT · KT 2 · NKHO 32
2.4        `Set2ndSectionDecoderKey`                 KENLO 4 · TI 8 · NKLO 32
2.5        `ClearTamperCondition`                    RND 4 · TID 24 · Pad 16
2.6        `SetMaximumPhasePowerUnbalanceLimit`      RND 4 · TID 24 · MPPUL 16
2.7        `SetWaterMeterFactor`                     RND 4 · TID 24 · WMFactor 16
2.8        `Set3rdSectionDecoderKey`                 SGC low 12 · NKMO2 32
2.9        `Set4thSectionDecoderKey`                 SGC high 12 · NKMO1 32
rest       `Reserved`, `Proprietary`                 raw 44
=========  ========================================  =====================================

Each class packs itself (`content`) and is read back by `parse_content`.  Amounts and power
limits are given as asked for; what the token carries is rounded up (see `amount`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final, Protocol

from vending.sts.amount import AMOUNT_MAX, CodedAmount, decode_amount, encode_amount
from vending.sts.errors import InvalidValueError, NotIssuableError, UnconfirmedError
from vending.sts.identity import KeyType, require_range
from vending.sts.tid import TID_MAX, is_reserved

CREDIT_CLASS: Final = 0
TEST_CLASS: Final = 1
MANAGEMENT_CLASS: Final = 2
ENCRYPTED_CLASSES: Final = frozenset((CREDIT_CLASS, MANAGEMENT_CLASS))
"""Encrypted under the meter's key; the others are the same in every meter."""


class Service(IntEnum):
    """What a credit token pays for; also its subclass."""

    ELECTRICITY = 0
    """Units of 0.1 kWh."""
    WATER = 1
    """Units of 0.1 m3."""
    GAS = 2
    """Units of 0.1 m3."""
    TIME = 3
    """Units of 0.1 minute."""


class CreditRegister(IntEnum):
    """Which register a `ClearCredit` token empties."""

    ELECTRICITY = 0
    WATER = 1
    GAS = 2
    TIME = 3
    ELECTRICITY_CURRENCY = 4
    WATER_CURRENCY = 5
    GAS_CURRENCY = 6
    TIME_CURRENCY = 7
    ALL = 0xFFFF


class Content(Protocol):
    """Any token's content."""

    name: ClassVar[str]

    @property
    def token_class(self) -> int:
        """0 credit, 1 meter test, 2 management, 3 reserved."""

    @property
    def subclass(self) -> int:
        """0-15."""

    def content(self) -> int:
        """The 44 bits.

        Raises:
            InvalidValueError: a field is out of its range.
            UnconfirmedError, NotIssuableError: the token may only be read.
        """


def _require_stamp(rnd: int, tid: int) -> None:
    require_range("Random number (RND)", rnd, 0, 15)
    require_range("Token identifier (TID)", tid, 0, TID_MAX)


@dataclass(frozen=True, slots=True)
class TransferCredit:
    """Credit for one service (class 0, subclass 0-3)."""

    service: Service
    rnd: int
    """4 random bits, given by the caller."""
    tid: int
    """Minutes since the base date, see `tid`."""
    amount: int
    """Tenths of the service's unit, 0 .. 18,201,624; the token carries `coded`."""

    name: ClassVar[str] = "transfer credit"
    token_class: ClassVar[int] = CREDIT_CLASS

    def __post_init__(self) -> None:
        if type(self.service) is not Service:
            raise InvalidValueError("A credit token is for a Service: 0-3, see Service.")
        _require_stamp(self.rnd, self.tid)
        require_range("Amount", self.amount, 0, AMOUNT_MAX)

    @property
    def subclass(self) -> int:
        return self.service

    @property
    def coded(self) -> CodedAmount:
        """What the token really carries."""
        return encode_amount(self.amount)

    def content(self) -> int:
        amount = self.amount
        code = amount if amount < 16_384 else encode_amount(amount).code
        return self.rnd << 40 | self.tid << 16 | code


@dataclass(frozen=True, slots=True)
class CurrencyCredit:
    """Credit in money (class 0, subclass 4-7): read only, its amount format is unconfirmed."""

    service: Service
    rnd: int
    tid: int
    raw_amount: int
    """The 16 bits as they stand; the unit is 0.00001 of the currency."""

    name: ClassVar[str] = "transfer currency credit"
    token_class: ClassVar[int] = CREDIT_CLASS

    @property
    def subclass(self) -> int:
        return self.service + 4

    def content(self) -> int:
        raise UnconfirmedError(
            "Currency credit is refused: no published figure confirms how its amount is coded. "
            "Sell units (subclass 0-3)."
        )


@dataclass(frozen=True, slots=True)
class InitiateMeterTest:
    """Meter tests and display requests (class 1): the same token works in every meter.

    Bits of ``control`` are numbered from 0, the least significant; see `TEST_NAMES`.
    """

    control: int
    """Bit mask: 36 bits with a 2-digit manufacturer code, 28 bits with a 4-digit one."""
    manufacturer_code: int = 0
    """0 for the tests that the standard names."""
    four_digit_manufacturer: bool = False
    """Subclass 1 instead of 0."""

    name: ClassVar[str] = "initiate meter test or display"
    token_class: ClassVar[int] = TEST_CLASS

    @property
    def subclass(self) -> int:
        return int(self.four_digit_manufacturer)

    def content(self) -> int:
        wide = self.four_digit_manufacturer
        maker_max, maker_bits, control_bits = (9999, 16, 28) if wide else (99, 8, 36)
        require_range("Manufacturer code", self.manufacturer_code, 0, maker_max)
        require_range("Control", self.control, 0, (1 << control_bits) - 1)
        return self.control << maker_bits | self.manufacturer_code


TEST_NAMES: Final = {
    0: "all tests",
    1: "breaker",
    2: "display",
    3: "cumulative consumption",
    4: "key revision number",
    5: "tariff index",
}
"""The control bits that the standard names and we have confirmed; show the rest as numbers."""


@dataclass(frozen=True, slots=True)
class _Stamped:
    """RND · TID · 16 bits: the common form of management tokens."""

    rnd: int
    tid: int

    token_class: ClassVar[int] = MANAGEMENT_CLASS
    subclass: ClassVar[int]

    def __post_init__(self) -> None:
        _require_stamp(self.rnd, self.tid)

    def _word(self) -> int:
        return 0

    def content(self) -> int:
        return self.rnd << 40 | self.tid << 16 | self._word()


@dataclass(frozen=True, slots=True)
class _PowerLimit(_Stamped):
    limit_w: int
    """Watts, rounded up like an amount."""

    @property
    def coded(self) -> CodedAmount:
        """What the token really carries."""
        return encode_amount(self.limit_w)

    def _word(self) -> int:
        return self.coded.code


@dataclass(frozen=True, slots=True)
class SetMaximumPowerLimit(_PowerLimit):
    """The load above which the meter disconnects (2.0)."""

    name: ClassVar[str] = "set maximum power limit"
    subclass: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class ClearCredit(_Stamped):
    """Empty a credit register (2.1): money vanishes, so two persons decide."""

    register: int
    """See `CreditRegister`; 16 bits."""

    name: ClassVar[str] = "clear credit"
    subclass: ClassVar[int] = 1

    def _word(self) -> int:
        return require_range("Register", self.register, 0, 0xFFFF)


@dataclass(frozen=True, slots=True)
class SetTariffRate(_Stamped):
    """Tariff rate for meters that count money (2.2)."""

    rate: int
    """16 bits."""

    name: ClassVar[str] = "set tariff rate"
    subclass: ClassVar[int] = 2

    def _word(self) -> int:
        return require_range("Tariff rate", self.rate, 0, 0xFFFF)


@dataclass(frozen=True, slots=True)
class ClearTamperCondition(_Stamped):
    """Let the meter supply again after tampering was dealt with (2.5)."""

    pad: int = 0

    name: ClassVar[str] = "clear tamper condition"
    subclass: ClassVar[int] = 5

    def _word(self) -> int:
        return require_range("Pad", self.pad, 0, 0xFFFF)


@dataclass(frozen=True, slots=True)
class SetMaximumPhasePowerUnbalanceLimit(_PowerLimit):
    """The difference between phases above which the meter disconnects (2.6)."""

    name: ClassVar[str] = "set maximum phase power unbalance limit"
    subclass: ClassVar[int] = 6


@dataclass(frozen=True, slots=True)
class SetWaterMeterFactor(_Stamped):
    """The factor of a water meter (2.7)."""

    factor: int
    """16 bits."""

    name: ClassVar[str] = "set water meter factor"
    subclass: ClassVar[int] = 7

    def _word(self) -> int:
        return require_range("Water meter factor", self.factor, 0, 0xFFFF)


StampedContent = (
    TransferCredit
    | CurrencyCredit
    | SetMaximumPowerLimit
    | ClearCredit
    | SetTariffRate
    | ClearTamperCondition
    | SetMaximumPhasePowerUnbalanceLimit
    | SetWaterMeterFactor
)
"""Tokens that carry RND and TID: each is used once."""


@dataclass(frozen=True, slots=True)
class Set1stSectionDecoderKey:
    """Key change, first token (2.3).  Sections of a key never show in ``repr``."""

    ken_high: int
    """KENHO, the key expiry number's high 4 bits."""
    krn: int
    rollover: bool
    """RO: the meter forgets its used TIDs (change of base date)."""
    three_tokens: bool
    """3KCT: a third token follows although the key has 64 bits."""
    key_type: KeyType
    key_section: int = field(repr=False)
    """NKHO, the new key's high-order 32 bits."""

    name: ClassVar[str] = "set 1st section decoder key"
    token_class: ClassVar[int] = MANAGEMENT_CLASS
    subclass: ClassVar[int] = 3

    def content(self) -> int:
        require_range("Key expiry number, high half", self.ken_high, 0, 15)
        require_range("Key revision number", self.krn, 1, 9)
        require_range("Key type", int(self.key_type), 0, 3)
        _require_section(self.key_section)
        flags = self.rollover << 3 | self.three_tokens << 2 | self.key_type
        return self.ken_high << 40 | self.krn << 36 | flags << 32 | self.key_section


@dataclass(frozen=True, slots=True)
class Set2ndSectionDecoderKey:
    """Key change, second token (2.4)."""

    ken_low: int
    """KENLO, the key expiry number's low 4 bits."""
    tariff_index: int
    """0-99, binary here although it is two digits everywhere else."""
    key_section: int = field(repr=False)
    """NKLO, the new key's low-order 32 bits."""

    name: ClassVar[str] = "set 2nd section decoder key"
    token_class: ClassVar[int] = MANAGEMENT_CLASS
    subclass: ClassVar[int] = 4

    def content(self) -> int:
        require_range("Key expiry number, low half", self.ken_low, 0, 15)
        require_range("Tariff index", self.tariff_index, 0, 99)
        _require_section(self.key_section)
        return self.ken_low << 40 | self.tariff_index << 32 | self.key_section


@dataclass(frozen=True, slots=True)
class Set3rdSectionDecoderKey:
    """Key change, third token (2.8)."""

    sgc_low: int
    """The supply group code's low 12 bits (the code as a 24-bit number)."""
    key_section: int = field(repr=False)
    """NKMO2, bits 95-64 of a 128-bit key."""

    name: ClassVar[str] = "set 3rd section decoder key"
    token_class: ClassVar[int] = MANAGEMENT_CLASS
    subclass: ClassVar[int] = 8

    def content(self) -> int:
        require_range("Supply group code, low 12 bits", self.sgc_low, 0, 0xFFF)
        _require_section(self.key_section)
        return self.sgc_low << 32 | self.key_section


@dataclass(frozen=True, slots=True)
class Set4thSectionDecoderKey:
    """Key change, fourth token (2.9)."""

    sgc_high: int
    """The supply group code's high 12 bits."""
    key_section: int = field(repr=False)
    """NKMO1, bits 63-32 of a 128-bit key."""

    name: ClassVar[str] = "set 4th section decoder key"
    token_class: ClassVar[int] = MANAGEMENT_CLASS
    subclass: ClassVar[int] = 9

    def content(self) -> int:
        require_range("Supply group code, high 12 bits", self.sgc_high, 0, 0xFFF)
        _require_section(self.key_section)
        return self.sgc_high << 32 | self.key_section


def _require_section(section: int) -> None:
    if not 0 <= section <= 0xFFFFFFFF:  # never quoted: it is a part of a key
        raise InvalidValueError("A section of a decoder key has 32 bits.")


KeySection = (
    Set1stSectionDecoderKey
    | Set2ndSectionDecoderKey
    | Set3rdSectionDecoderKey
    | Set4thSectionDecoderKey
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A token that the standard keeps for later: read only."""

    token_class: int
    subclass: int
    raw: int
    """The 44 bits."""

    name: ClassVar[str] = "reserved"

    def content(self) -> int:
        raise NotIssuableError(
            f"Class {self.token_class} subclass {self.subclass} is reserved by the standard "
            "and cannot be issued."
        )


@dataclass(frozen=True, slots=True)
class Proprietary:
    """A manufacturer's own token: read only."""

    token_class: int
    subclass: int
    raw: int
    """The 44 bits."""

    name: ClassVar[str] = "proprietary"

    def content(self) -> int:
        raise NotIssuableError(
            f"Class {self.token_class} subclass {self.subclass} is a manufacturer's own token "
            "and cannot be issued."
        )


def is_currency(token_class: int, subclass: int) -> bool:
    """Whether the token is currency credit, whose checksum is CRC_C."""
    return token_class == CREDIT_CLASS and 4 <= subclass <= 7


_PROPRIETARY_FROM: Final = {TEST_CLASS: 6, MANAGEMENT_CLASS: 11}
"""First proprietary subclass; classes 0 and 3 have none."""


def token_name(token_class: int, subclass: int) -> str:
    """What a token of this class and subclass is called."""
    if token_class == CREDIT_CLASS and subclass < 8:
        return TransferCredit.name if subclass < 4 else CurrencyCredit.name
    if token_class == TEST_CLASS and subclass < 2:
        return InitiateMeterTest.name
    if token_class == MANAGEMENT_CLASS and subclass in _MANAGEMENT:
        return _MANAGEMENT[subclass][0].name
    proprietary = subclass >= _PROPRIETARY_FROM.get(token_class, 16)
    return Proprietary.name if proprietary else Reserved.name


def parse_content(token_class: int, subclass: int, content: int) -> Content:
    """Read 44 authenticated bits.

    Raises:
        InvalidValueError: a field holds a value that the standard does not allow (a meter
            answers FormatError).
    """
    if token_class == CREDIT_CLASS and subclass < 8:
        return _parse_credit(subclass, content)
    if token_class == TEST_CLASS and subclass < 2:
        return _parse_test(subclass, content)
    if token_class == MANAGEMENT_CLASS and subclass in _MANAGEMENT:
        return _MANAGEMENT[subclass][1](content)
    if token_name(token_class, subclass) == Proprietary.name:
        return Proprietary(token_class, subclass, content)
    return Reserved(token_class, subclass, content)


def _rnd(content: int) -> int:
    return content >> 40


def _tid(content: int) -> int:
    return content >> 16 & TID_MAX


def _parse_credit(subclass: int, content: int) -> Content:
    word = content & 0xFFFF
    if subclass < 4:
        return TransferCredit(Service(subclass), _rnd(content), _tid(content), decode_amount(word))
    return CurrencyCredit(Service(subclass - 4), _rnd(content), _tid(content), word)


def _parse_test(subclass: int, content: int) -> Content:
    if subclass == 0:
        return InitiateMeterTest(content >> 8, content & 0xFF)
    return InitiateMeterTest(content >> 16, content & 0xFFFF, four_digit_manufacturer=True)


def _parse_1st(content: int) -> Content:
    krn, flags = content >> 36 & 0xF, content >> 32 & 0xF
    return Set1stSectionDecoderKey(
        ken_high=content >> 40,
        krn=require_range("Key revision number", krn, 1, 9),
        rollover=bool(flags & 8),
        three_tokens=bool(flags & 4),
        key_type=KeyType(flags & 3),
        key_section=content & 0xFFFFFFFF,
    )


def _parse_2nd(content: int) -> Content:
    tariff_index = require_range("Tariff index", content >> 32 & 0xFF, 0, 99)
    return Set2ndSectionDecoderKey(content >> 40, tariff_index, content & 0xFFFFFFFF)


_MANAGEMENT: Final[dict[int, tuple[type[Content], Callable[[int], Content]]]] = {
    0: (
        SetMaximumPowerLimit,
        lambda c: SetMaximumPowerLimit(_rnd(c), _tid(c), decode_amount(c & 0xFFFF)),
    ),
    1: (ClearCredit, lambda c: ClearCredit(_rnd(c), _tid(c), c & 0xFFFF)),
    2: (SetTariffRate, lambda c: SetTariffRate(_rnd(c), _tid(c), c & 0xFFFF)),
    3: (Set1stSectionDecoderKey, _parse_1st),
    4: (Set2ndSectionDecoderKey, _parse_2nd),
    5: (ClearTamperCondition, lambda c: ClearTamperCondition(_rnd(c), _tid(c), c & 0xFFFF)),
    6: (
        SetMaximumPhasePowerUnbalanceLimit,
        lambda c: SetMaximumPhasePowerUnbalanceLimit(_rnd(c), _tid(c), decode_amount(c & 0xFFFF)),
    ),
    7: (SetWaterMeterFactor, lambda c: SetWaterMeterFactor(_rnd(c), _tid(c), c & 0xFFFF)),
    8: (Set3rdSectionDecoderKey, lambda c: Set3rdSectionDecoderKey(c >> 32, c & 0xFFFFFFFF)),
    9: (Set4thSectionDecoderKey, lambda c: Set4thSectionDecoderKey(c >> 32, c & 0xFFFFFFFF)),
}
"""Subclass → (the token's class here, how to read it)."""


def require_normal_tid(tid: int) -> None:
    """Refuse the reserved minute 00:01 for a token that is about to be issued.

    Raises:
        InvalidValueError: the TID is a 00:01.
    """
    if is_reserved(tid):
        raise InvalidValueError(
            f"Token identifier {tid} is a reserved minute (00:01); use {tid + 1}."
        )
