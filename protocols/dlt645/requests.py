"""What a master asks a 2007 meter, one class for each control code (spec section 2).

====  ==========================================  =================================  =========
C     request                                     answer                             repeatable
====  ==========================================  =================================  =========
03    `Security`                                  `SecurityAnswer`                   no
08    `BroadcastTime`                             none                               no
11    `ReadData`                                  `DataAnswer`                       yes
12    `ReadFollowing`                             `DataAnswer`                       yes
13    `ReadAddress`                               `AddressAnswer`                    yes
14    `WriteData`                                 `Accepted`                         no
15    `WriteAddress`                              `Accepted`                         no
16    `Freeze`                                    `Accepted`, none to 99…99          no
17    `ChangeBaud`                                `SpeedAnswer`                      no
18    `ChangePassword`                            `PasswordAnswer`                   no
19    `ClearDemand`                               `Accepted`                         no
1A    `ClearMeter`                                `Accepted`                         no
1B    `ClearEvents`                               `Accepted`                         no
1C    `RelayControl`, `EncryptedRelayControl`     `Accepted`                         no
1D    `SetMultiFunctionOutput`                    `OutputAnswer`                     no
====  ==========================================  =================================  =========

"Repeatable" is what a link may send again by itself after silence.  A request checks its fields
when it is made (`FieldRangeError` and the like, all `LocalProtocolError`); `parse` is the meter's
side and raises `LayoutError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import (
    AddressAnswer,
    Answer,
    DataAnswer,
    OutputAnswer,
    PasswordAnswer,
    SecurityAnswer,
    SpeedAnswer,
    encode_di,
)
from protocols.dlt645.controls import Function, Function2007
from protocols.dlt645.errors import FieldRangeError, LayoutError
from protocols.dlt645.fields import (
    OPERATOR_BYTES,
    PASSWORD_BYTES,
    MultiFunctionOutput,
    Password,
    Speed,
    decode_operator,
    decode_time,
    encode_operator,
    require_byte,
)
from protocols.dlt645.relay import EncryptedRelayControl, RelayControl
from protocols.dlt645.request import (
    ADDRESS_BYTES,
    CLOCK,
    FREEZE_TIME,
    MINUTE,
    WRITE_BYTES_MAX,
    Request,
    Request2007,
    accepted,
    parse_di,
    parse_new_address,
    require_di,
    require_new_address,
    require_write,
    take,
    take_all,
)
from protocols.dlt645.times import EVERY, MeterTime

DI_BYTES: Final = 4
SEQ_MAX: Final = 255


def _bcd(number: int) -> bytes:
    return bytes.fromhex(f"{number:02d}")


@dataclass(frozen=True, slots=True)
class Security(Request2007):
    """03: prepayment and authentication; `security` makes and reads ``data``."""

    di: int
    operator: str
    data: bytes = b""

    function: ClassVar[Function] = Function2007.SECURITY

    def __post_init__(self) -> None:
        require_di(self.di)
        encode_operator(self.operator)

    def encode(self) -> bytes:
        return encode_di(self.di, self.edition) + encode_operator(self.operator) + self.data

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, operator, rest = take(data, DI_BYTES, OPERATOR_BYTES)
        return cls(parse_di(di), decode_operator(operator), rest)

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        di, rest = take(data, DI_BYTES)
        return SecurityAnswer(self.di, rest) if parse_di(di) == self.di and not more else None


@dataclass(frozen=True, slots=True)
class BroadcastTime(Request2007):
    """08: set the clock, of all meters or of one; nobody answers."""

    time: MeterTime

    function: ClassVar[Function] = Function2007.BROADCAST_TIME
    to_broadcast: ClassVar[bool] = True

    def __post_init__(self) -> None:
        CLOCK.encode(self.time)

    def encode(self) -> bytes:
        return CLOCK.encode(self.time)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(decode_time(CLOCK, take_all(data, CLOCK.length)[0]))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return None


@dataclass(frozen=True, slots=True)
class ReadData(Request2007):
    """11: read an item; of the load profile, so many blocks, from a time on or not.

    Raises:
        FieldRangeError: identifier or number of blocks out of range; a time without blocks.
    """

    di: int
    blocks: int | None = None
    """N, 1-99, BCD."""
    since: MeterTime | None = None
    """Year to minute (L = 0A, one firmware only: grade C)."""

    function: ClassVar[Function] = Function2007.READ_DATA
    repeatable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_di(self.di)
        if self.blocks is not None:
            require_byte("Number of blocks", self.blocks, 1, 99)
        if self.since is not None:
            if self.blocks is None:
                raise FieldRangeError("Records from a time on need a number of blocks.")
            MINUTE.encode(self.since)

    def encode(self) -> bytes:
        data = encode_di(self.di, self.edition)
        if self.blocks is not None:
            data += _bcd(self.blocks)
        return data if self.since is None else data + MINUTE.encode(self.since)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, rest = take(data, DI_BYTES)
        if not rest:
            return cls(parse_di(di))
        blocks, time = take(rest, 1)
        if not blocks.hex().isdecimal() or blocks == b"\x00":
            raise LayoutError("The number of blocks is not 1-99 in BCD.")
        since = decode_time(MINUTE, take_all(time, MINUTE.length)[0]) if time else None
        return cls(parse_di(di), int(blocks.hex()), since)

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        di, rest = take(data, DI_BYTES)
        return DataAnswer(self.di, rest, more) if parse_di(di) == self.di else None


@dataclass(frozen=True, slots=True)
class ReadFollowing(Request2007):
    """12: the part numbered ``seq`` of a long answer."""

    di: int
    seq: int
    """1-255, then 1 again."""

    function: ClassVar[Function] = Function2007.READ_FOLLOWING
    repeatable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_di(self.di)
        require_byte("SEQ", self.seq, 1, SEQ_MAX)

    def encode(self) -> bytes:
        return encode_di(self.di, self.edition) + bytes((self.seq,))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, seq = take_all(data, DI_BYTES, 1)
        if not seq[0]:
            raise LayoutError("SEQ begins with 1.")
        return cls(parse_di(di), seq[0])

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        di, rest = take(data, DI_BYTES)
        if not rest:
            raise LayoutError("A following part must end with its SEQ.")
        if parse_di(di) != self.di or rest[-1] != self.seq:
            return None
        return DataAnswer(self.di, rest[:-1], more, self.seq)


@dataclass(frozen=True, slots=True)
class ReadAddress(Request2007):
    """13: what number has the one meter on this line?  Sent to AA…AA."""

    function: ClassVar[Function] = Function2007.READ_ADDRESS
    repeatable: ClassVar[bool] = True

    def encode(self) -> bytes:
        return b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        take_all(data)
        return cls()

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        (address,) = take_all(data, ADDRESS_BYTES)
        return AddressAnswer(Address(address[::-1].hex().upper()))


@dataclass(frozen=True, slots=True)
class WriteData(Request2007):
    """14: write an item."""

    di: int
    password: Password
    operator: str
    data: bytes

    function: ClassVar[Function] = Function2007.WRITE_DATA

    def __post_init__(self) -> None:
        require_di(self.di)
        encode_operator(self.operator)
        require_write(self.data)

    def encode(self) -> bytes:
        head = encode_di(self.di, self.edition) + self.password.encode()
        return head + encode_operator(self.operator) + self.data

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, password, operator, rest = take(data, DI_BYTES, PASSWORD_BYTES, OPERATOR_BYTES)
        if len(rest) > WRITE_BYTES_MAX:
            raise LayoutError(f"A write of {len(rest)} bytes is longer than the standard allows.")
        return cls(parse_di(di), Password.from_wire(password), decode_operator(operator), rest)

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


@dataclass(frozen=True, slots=True)
class WriteAddress(Request2007):
    """15: give the one meter on this line a number; sent to AA…AA, programming key pressed."""

    address: Address

    function: ClassVar[Function] = Function2007.WRITE_ADDRESS

    def __post_init__(self) -> None:
        require_new_address(self.address)

    def encode(self) -> bytes:
        return bytes.fromhex(self.address)[::-1]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(parse_new_address(data))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


@dataclass(frozen=True, slots=True)
class Freeze(Request2007):
    """16: keep the registers: now, each hour, each day or each month.

    Raises:
        FieldRangeError: a lower unit is "every" under a higher one that is not.
    """

    time: MeterTime = field(default_factory=lambda: freeze_time())
    """Month, day, hour, minute; 99 (`EVERY`) stands for each."""

    function: ClassVar[Function] = Function2007.FREEZE
    to_broadcast: ClassVar[bool] = True

    def __post_init__(self) -> None:
        FREEZE_TIME.encode(self.time)
        parts = (self.time.month, self.time.day, self.time.hour, self.time.minute)
        given = [part != EVERY for part in parts]
        if given != sorted(given):
            raise FieldRangeError("A freeze names the last units only: minute, hour, day.")

    def encode(self) -> bytes:
        return FREEZE_TIME.encode(self.time)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        time = decode_time(FREEZE_TIME, take_all(data, FREEZE_TIME.length)[0])
        try:
            return cls(time)
        except FieldRangeError as fault:
            raise LayoutError(str(fault)) from None

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


def freeze_time(
    *, month: int = EVERY, day: int = EVERY, hour: int = EVERY, minute: int = EVERY
) -> MeterTime:
    """When to freeze: nothing given = now, minute = hourly, hour too = daily, day too = monthly."""
    return MeterTime(month=month, day=day, hour=hour, minute=minute)


@dataclass(frozen=True, slots=True)
class ChangeBaud(Request2007):
    """17: another speed; the answer still comes at the old one."""

    speed: Speed

    function: ClassVar[Function] = Function2007.CHANGE_BAUD

    def encode(self) -> bytes:
        return bytes((self.speed,))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        (feature,) = take_all(data, 1)
        try:
            return cls(Speed(feature[0]))
        except ValueError:
            raise LayoutError(f"Speed feature {feature.hex().upper()} is not one bit.") from None

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        (feature,) = take_all(data, 1)
        return SpeedAnswer(feature[0]) if feature[0] == self.speed else None


_PASSWORD_ITEMS: Final = range(0x04000C01, 0x04000C0B)


@dataclass(frozen=True, slots=True)
class ChangePassword(Request2007):
    """18: the password of a level (04000C01 level 0 .. 04000C0A level 9).

    ``old`` is the password that permits it: of that level or a higher one.
    """

    di: int
    old: Password
    new: Password

    function: ClassVar[Function] = Function2007.CHANGE_PASSWORD

    def __post_init__(self) -> None:
        if self.di not in _PASSWORD_ITEMS:
            raise FieldRangeError("Passwords are the items 04000C01 to 04000C0A.")

    def encode(self) -> bytes:
        return encode_di(self.di, self.edition) + self.old.encode() + self.new.encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, old, new = take_all(data, DI_BYTES, PASSWORD_BYTES, PASSWORD_BYTES)
        if parse_di(di) not in _PASSWORD_ITEMS:
            raise LayoutError(f"{parse_di(di):08X} is no password.")
        return cls(parse_di(di), Password.from_wire(old), Password.from_wire(new))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        (new,) = take_all(data, PASSWORD_BYTES)
        return PasswordAnswer(Password.from_wire(new))


@dataclass(frozen=True, slots=True)
class _Clear(Request2007):
    password: Password
    operator: str

    def __post_init__(self) -> None:
        encode_operator(self.operator)

    def encode(self) -> bytes:
        return self.password.encode() + encode_operator(self.operator)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        password, operator = take_all(data, PASSWORD_BYTES, OPERATOR_BYTES)
        return cls(Password.from_wire(password), decode_operator(operator))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


@dataclass(frozen=True, slots=True)
class ClearDemand(_Clear):
    """19: set the maximum demands to zero."""

    function: ClassVar[Function] = Function2007.CLEAR_DEMAND


@dataclass(frozen=True, slots=True)
class ClearMeter(_Clear):
    """1A: set energies, demands and records to zero."""

    function: ClassVar[Function] = Function2007.CLEAR_METER


ALL_EVENTS: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class ClearEvents(Request2007):
    """1B: forget the events of one kind (DI3 DI2 DI1 FF), or all (`ALL_EVENTS`)."""

    password: Password
    operator: str
    di: int = ALL_EVENTS

    function: ClassVar[Function] = Function2007.CLEAR_EVENTS

    def __post_init__(self) -> None:
        encode_operator(self.operator)
        require_di(self.di)
        if self.di & 0xFF != 0xFF:
            raise FieldRangeError("Events are cleared by kind: the identifier ends with FF.")

    def encode(self) -> bytes:
        access = self.password.encode() + encode_operator(self.operator)
        return access + encode_di(self.di, self.edition)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        password, operator, di = take_all(data, PASSWORD_BYTES, OPERATOR_BYTES, DI_BYTES)
        if di[0] != 0xFF:
            raise LayoutError("Events are cleared by kind: the identifier ends with FF.")
        return cls(Password.from_wire(password), decode_operator(operator), parse_di(di))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


@dataclass(frozen=True, slots=True)
class SetMultiFunctionOutput(Request2007):
    """1D: what the test output gives out."""

    output: MultiFunctionOutput

    function: ClassVar[Function] = Function2007.MULTI_FUNCTION_OUTPUT

    def encode(self) -> bytes:
        return bytes((self.output,))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(_output(data))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        output = _output(data)
        return OutputAnswer(output) if output is self.output else None


def _output(data: bytes) -> MultiFunctionOutput:
    (number,) = take_all(data, 1)
    try:
        return MultiFunctionOutput(number[0])
    except ValueError:
        raise LayoutError(f"Output {number.hex()} does not exist.") from None


SENT_TO_ANY: Final = (ReadAddress, WriteAddress)
"""Requests that go to `ANY_METER` and to no other address."""

__all__ = [
    "ALL_EVENTS",
    "BroadcastTime",
    "ChangeBaud",
    "ChangePassword",
    "ClearDemand",
    "ClearEvents",
    "ClearMeter",
    "EncryptedRelayControl",
    "Freeze",
    "ReadAddress",
    "ReadData",
    "ReadFollowing",
    "RelayControl",
    "Request",
    "Security",
    "SetMultiFunctionOutput",
    "WriteAddress",
    "WriteData",
    "freeze_time",
]
