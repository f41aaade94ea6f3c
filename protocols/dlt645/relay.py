"""Relay control 1CH: trip, close, alarm, protection (spec section 2.5).

Plain (grade A by v098), or as a container for what an ESAM encrypted (A by v099).  "Accepted" is
not "supply on": many meters close only by the button, so status word 3 is read afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from protocols.dlt645.answers import Answer
from protocols.dlt645.controls import Function, Function2007
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.fields import (
    OPERATOR_BYTES,
    PASSWORD_BYTES,
    Password,
    RelayCommand,
    decode_operator,
    decode_time,
    encode_operator,
    require_byte,
    require_bytes,
)
from protocols.dlt645.request import CLOCK, Request2007, accepted, take_all
from protocols.dlt645.times import MeterTime

_RELAY_FIELDS_BYTES: Final = 8
ENCRYPTED_LEVEL: Final = 0x98
CIPHER_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class RelayControl(Request2007):
    """1C, plain: trip, close, alarm, protection (spec section 2.5)."""

    password: Password
    operator: str
    command: RelayCommand
    valid_until: MeterTime
    """N3-N8: the meter refuses when its clock is past it."""
    parameter: int = 0
    """N2: 00; with the delayed trips the delay in minutes; one vendor wants 01."""

    function: ClassVar[Function] = Function2007.RELAY_CONTROL

    def __post_init__(self) -> None:
        encode_operator(self.operator)
        CLOCK.encode(self.valid_until)
        require_byte("N2", self.parameter)

    def encode(self) -> bytes:
        access = self.password.encode() + encode_operator(self.operator)
        return access + bytes((self.command, self.parameter)) + CLOCK.encode(self.valid_until)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        password, operator, fields = take_all(
            data, PASSWORD_BYTES, OPERATOR_BYTES, _RELAY_FIELDS_BYTES
        )
        try:
            command = RelayCommand(fields[0])
        except ValueError:
            raise LayoutError(f"Relay command {fields[0]:02X} does not exist.") from None
        return cls(
            Password.from_wire(password),
            decode_operator(operator),
            command,
            decode_time(CLOCK, fields[2:]),
            fields[1],
        )

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)

    def plain_text(self) -> bytes:
        """What an ESAM encrypts for `EncryptedRelayControl`: N1 N2 YY MM DD hh mm ss."""
        return bytes((self.command, self.parameter)) + CLOCK.encode(self.valid_until)[::-1]


@dataclass(frozen=True, slots=True)
class EncryptedRelayControl(Request2007):
    """1C with PA 98: the same under an ESAM's key, which is the operator's affair.

    The container, not the cipher: 16 bytes of cipher text and 4 of MAC come from a plug-in.
    """

    operator: str
    cipher_and_mac: bytes
    """20 bytes in the cipher's own order; the wire has the whole block reversed (v099)."""

    function: ClassVar[Function] = Function2007.RELAY_CONTROL

    def __post_init__(self) -> None:
        encode_operator(self.operator)
        require_bytes("Cipher text and MAC", self.cipher_and_mac, CIPHER_BYTES)

    def encode(self) -> bytes:
        head = bytes((ENCRYPTED_LEVEL, 0, 0, 0)) + encode_operator(self.operator)
        return head + self.cipher_and_mac[::-1]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        password, operator, block = take_all(data, PASSWORD_BYTES, OPERATOR_BYTES, CIPHER_BYTES)
        if password[0] != ENCRYPTED_LEVEL:
            raise LayoutError(f"PA {password[0]:02X} in an encrypted command; 98 belongs there.")
        return cls(decode_operator(operator), block[::-1])

    def parse_answer(self, data: bytes, *, more: bool) -> Answer | None:
        return accepted(data)
