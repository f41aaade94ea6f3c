"""What a master asks a 1997 meter (spec section 5; layouts proven by FW97 and the vectors).

====  ==========================  ==================  ==========  =====
C     request                     answer              repeatable  grade
====  ==========================  ==================  ==========  =====
01    `ReadData1997`              `DataAnswer`        yes         A
02    `ReadFollowing1997`         `DataAnswer`        no          A
03    `RereadData1997`            `DataAnswer`        yes         B
04    `WriteData1997`             `Accepted`          no          A
08    `requests.BroadcastTime`    none                no          A
0A    `WriteAddress1997`          `Accepted`          no          A
0C    `ChangeBaud1997`            `SpeedAnswer`       no          B
0F    `ChangePassword1997`        `PasswordAnswer`    no          A
10    `ClearDemand1997`           `Accepted`          no          A
====  ==========================  ==================  ==========  =====

Identifiers have two bytes, writes no operator code, and the meter keeps the position of a long
answer itself: to ask for the next part again would skip one, so it must not be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import (
    Answer,
    DataAnswer,
    PasswordAnswer,
    SpeedAnswer,
    encode_di,
)
from protocols.dlt645.controls import Edition, Function, Function1997
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.fields import PASSWORD_BYTES, Password, decode_time, require_byte
from protocols.dlt645.request import (
    CLOCK,
    WRITE_BYTES_MAX,
    accepted,
    parse_di,
    parse_new_address,
    require_di,
    require_new_address,
    require_write,
    take,
    take_all,
)
from protocols.dlt645.times import MeterTime

DI_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class _Request1997:
    edition: ClassVar[Edition] = Edition.Y1997
    repeatable: ClassVar[bool] = False
    to_broadcast: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class _Read1997(_Request1997):
    di: int

    def __post_init__(self) -> None:
        require_di(self.di, Edition.Y1997)

    def encode(self) -> bytes:
        return encode_di(self.di, self.edition)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(parse_di(take_all(data, DI_BYTES)[0]))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        di, rest = take(data, DI_BYTES)
        if parse_di(di) != self.di:
            return None
        return DataAnswer(self.di, rest, more, edition=self.edition)


@dataclass(frozen=True, slots=True)
class ReadData1997(_Read1997):
    """01: read an item."""

    function: ClassVar[Function] = Function1997.READ_DATA
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ReadFollowing1997(_Read1997):
    """02: the next part of a long answer, from where the meter stands."""

    function: ClassVar[Function] = Function1997.READ_FOLLOWING


@dataclass(frozen=True, slots=True)
class RereadData1997(_Read1997):
    """03: the last answer once more; only the code is known, its layout is 01's (D)."""

    function: ClassVar[Function] = Function1997.REREAD_DATA
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class WriteData1997(_Request1997):
    """04: write an item."""

    di: int
    password: Password
    data: bytes

    function: ClassVar[Function] = Function1997.WRITE_DATA

    def __post_init__(self) -> None:
        require_di(self.di, Edition.Y1997)
        require_write(self.data)

    def encode(self) -> bytes:
        return encode_di(self.di, self.edition) + self.password.encode() + self.data

    @classmethod
    def parse(cls, data: bytes) -> Self:
        di, password, rest = take(data, DI_BYTES, PASSWORD_BYTES)
        if len(rest) > WRITE_BYTES_MAX:
            raise LayoutError(f"A write of {len(rest)} bytes is longer than the standard allows.")
        return cls(parse_di(di), Password.from_wire(password), rest)

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)


@dataclass(frozen=True, slots=True)
class BroadcastTime1997(_Request1997):
    """08: the same as in 2007."""

    time: MeterTime

    function: ClassVar[Function] = Function1997.BROADCAST_TIME

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
class WriteAddress1997(_Request1997):
    """0A: a new number, sent to 99…99; the answer still comes from the old one."""

    address: Address

    function: ClassVar[Function] = Function1997.WRITE_ADDRESS

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
class ChangeBaud1997(_Request1997):
    """0C: another speed.  What its bits mean in 1997 is not known: the byte is the caller's."""

    feature: int

    function: ClassVar[Function] = Function1997.CHANGE_BAUD

    def __post_init__(self) -> None:
        require_byte("The speed's feature byte", self.feature)

    def encode(self) -> bytes:
        return bytes((self.feature,))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(take_all(data, 1)[0][0])

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        # Whether 8C repeats the byte is not said; an empty one is taken for the same speed.
        if not data:
            return SpeedAnswer(self.feature)
        (feature,) = take_all(data, 1)
        return SpeedAnswer(feature[0]) if feature[0] == self.feature else None


@dataclass(frozen=True, slots=True)
class ChangePassword1997(_Request1997):
    """0F: old and new password."""

    old: Password
    new: Password

    function: ClassVar[Function] = Function1997.CHANGE_PASSWORD

    def encode(self) -> bytes:
        return self.old.encode() + self.new.encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        old, new = take_all(data, PASSWORD_BYTES, PASSWORD_BYTES)
        return cls(Password.from_wire(old), Password.from_wire(new))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        (new,) = take_all(data, PASSWORD_BYTES)
        return PasswordAnswer(Password.from_wire(new))


@dataclass(frozen=True, slots=True)
class ClearDemand1997(_Request1997):
    """10: set the maximum demands to zero."""

    password: Password

    function: ClassVar[Function] = Function1997.CLEAR_DEMAND

    def encode(self) -> bytes:
        return self.password.encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls(Password.from_wire(take_all(data, PASSWORD_BYTES)[0]))

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)
