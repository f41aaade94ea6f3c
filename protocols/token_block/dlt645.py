"""The token block on DL/T 645-2007: identifiers of the makers' range, and their bytes.

Pure functions: the data of an answer (without its identifier, without the +33H of the wire) in and
out.  Names and readings are those of the Modbus profile, so that one meter speaks both.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from protocols.errors import RemoteProtocolError
from protocols.token_block.block import TokenBlockError, check_sequence, plain_digits

Value = int | str | tuple[str, ...] | None
"""A reading; None: no value."""

TOKEN_DI: Final = 0x04F00101
"""Written with 14H: a sequence number and 20 digits."""
REPORT_DI: Final = 0x04F00102
"""Read: what came of it."""
CREDIT_DI: Final = 0x04F00201
CONTACT_DI: Final = 0x04F00301

_FILE: Final = Path(__file__).parent / "meterhouse-keypad.toml"
_FIELD: Final = re.compile(r"([a-z0-9_]+): ([a-z]+) ([0-9]+)")
_SIGN: Final = 0x80


class TokenBlockContentError(RemoteProtocolError):
    """An answer's bytes are not what the token block says."""

    code = "token_block_content"


class Format(Enum):
    """How a field lies in its bytes; see the data file."""

    BCD = "bcd"
    SIGNED = "signed"
    DIGITS = "digits"
    ASCII = "ascii"
    BINARY = "binary"
    BITS = "bits"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an item."""

    name: str
    format: Format
    size: int
    """Bytes."""
    names: tuple[str, ...] = ()
    """Of states, by number, or of bits."""

    def encode(self, value: Value) -> bytes:
        """The field's bytes.

        Raises:
            TokenBlockError: a value that it cannot hold.
        """
        if value is None:
            return b"\xff" * self.size
        if self.format is Format.ASCII and isinstance(value, str) and value.isascii():
            if len(value) <= self.size:
                return value.encode("ascii").ljust(self.size, b"\0")[::-1]
        elif self.format is Format.BITS and isinstance(value, tuple):
            if set(value) <= set(self.names):
                bits = sum(1 << self.names.index(name) for name in set(value))
                return bits.to_bytes(self.size, "little")
        elif self.format is Format.DIGITS and isinstance(value, str):
            if value.isascii() and value.isdecimal() and len(value) <= 2 * self.size:
                return bytes.fromhex(value.zfill(2 * self.size))[::-1]
        elif isinstance(value, str) and value in self.names:
            return self._number(self.names.index(value))
        elif isinstance(value, int) and not self.names:
            return self._number(value)
        raise self._unfit()

    def _number(self, number: int) -> bytes:
        if self.format is Format.BINARY:
            if 0 <= number < 1 << 8 * self.size:
                return number.to_bytes(self.size, "little")
            raise self._unfit()
        digits = str(abs(number)).zfill(2 * self.size)
        is_signed = self.format is Format.SIGNED
        if len(digits) > 2 * self.size or (number < 0 and not is_signed):
            raise self._unfit()
        data = bytearray(bytes.fromhex(digits)[::-1])
        if is_signed and data[-1] & _SIGN:
            raise self._unfit()
        if number < 0:
            data[-1] |= _SIGN
        return bytes(data)

    def _unfit(self) -> TokenBlockError:
        return TokenBlockError(
            f"This value does not fit {self.name}: {self.format.value}, {self.size} bytes."
        )

    def decode(self, data: bytes) -> Value:
        """The reading in the field's bytes.

        Raises:
            TokenBlockContentError: bytes that are none.
        """
        if data.count(0xFF) == len(data):
            return None
        if self.format is Format.BINARY:
            return int.from_bytes(data, "little")
        if self.format is Format.BITS:
            bits = int.from_bytes(data, "little")
            return tuple(name for bit, name in enumerate(self.names) if bits >> bit & 1)
        if self.format is Format.ASCII:
            try:
                return data[::-1].rstrip(b"\0 ").decode("ascii") or None
            except UnicodeDecodeError:
                raise TokenBlockContentError(f"{self.name} is not ASCII.") from None
        return self._from_bcd(data)

    def _from_bcd(self, data: bytes) -> Value:
        octets = bytearray(data[::-1])
        is_negative = self.format is Format.SIGNED and bool(octets[0] & _SIGN)
        if is_negative:
            octets[0] &= ~_SIGN & 0xFF
        digits = octets.hex()
        if not digits.isdecimal():
            raise TokenBlockContentError(f"{self.name} is not BCD.")
        if self.format is Format.DIGITS:
            return digits
        number = -int(digits) if is_negative else int(digits)
        if not self.names:
            return number
        return self.names[number] if number < len(self.names) else f"unknown:{number}"


@dataclass(frozen=True, slots=True)
class BlockItem:
    """One identifier of the token block."""

    di: int
    text: str
    access: str
    """``r`` or ``w``."""
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return sum(field.size for field in self.fields)

    def encode(self, values: Mapping[str, Value]) -> bytes:
        """The item's data; what ``values`` does not have is "no value".

        Raises:
            TokenBlockError: a value that its field cannot hold.
        """
        return b"".join(field.encode(values.get(field.name)) for field in self.fields)

    def decode(self, data: bytes) -> dict[str, Value]:
        """The readings in the item's data.

        Raises:
            TokenBlockContentError: the wrong length, or bytes that are none.
        """
        if len(data) != self.size:
            raise TokenBlockContentError(f"{self.di:08X} has {self.size} bytes; {len(data)} came.")
        readings: dict[str, Value] = {}
        at = 0
        for field in self.fields:
            readings[field.name] = field.decode(data[at : at + field.size])
            at += field.size
        return readings


def encode_token(sequence: int, digits: str) -> bytes:
    """What `TOKEN_DI` is written with (12 bytes).

    Raises:
        TokenBlockError: not 20 digits, or a number that is not 1-9999.
    """
    values: dict[str, Value] = {
        "token_sequence": check_sequence(sequence),
        "token_digits": plain_digits(digits),
    }
    return keypad_items()[TOKEN_DI].encode(values)


def decode_token(data: bytes) -> tuple[int, str]:
    """Sequence number and digits of a write to `TOKEN_DI`; for the meter's side.

    Raises:
        TokenBlockContentError: not 12 bytes of BCD.
        TokenBlockError: a number that is not 1-9999.
    """
    values = keypad_items()[TOKEN_DI].decode(data)
    sequence, digits = values["token_sequence"], values["token_digits"]
    if not isinstance(sequence, int) or not isinstance(digits, str):
        raise TokenBlockContentError("A token cannot be empty.")
    return check_sequence(sequence), digits


@functools.cache
def keypad_items() -> Mapping[int, BlockItem]:
    """The identifiers of the reference token block; read once."""
    content = tomllib.loads(_FILE.read_text("utf-8"))
    return {int(di, 16): _item(int(di, 16), row, content) for di, row in content["items"].items()}


def _item(di: int, row: Mapping[str, Any], content: Mapping[str, Any]) -> BlockItem:
    return BlockItem(
        di=di,
        text=row["text"],
        access=row["access"],
        fields=tuple(_field(text, content) for text in row["fields"]),
    )


def _field(text: str, content: Mapping[str, Any]) -> Field:
    match = _FIELD.fullmatch(text)
    assert match, f"{_FILE.name}: {text!r} is no field"
    name, format_, size = match.groups()
    names = content["bits" if format_ == "bits" else "states"].get(name, ())
    return Field(name, Format(format_), int(size), tuple(names))
