"""What meters answer, both editions (spec sections 2 and 5).

Each answer encodes itself; `matching` tells which request an answer belongs to and parses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.dlt645.addresses import Address
from protocols.dlt645.controls import AnswerKind, Edition, Function, Function2007
from protocols.dlt645.error_bits import (
    ErrorByte,
    ErrorWord,
    RelayError,
    SecurityError,
    error_names,
)
from protocols.dlt645.fields import MultiFunctionOutput, Password


def di_bytes(edition: Edition) -> int:
    """Length of an identifier: 4 in 2007, 2 in 1997."""
    return 4 if edition is Edition.Y2007 else 2


def encode_di(di: int, edition: Edition) -> bytes:
    """DI0 first."""
    return di.to_bytes(di_bytes(edition), "little")


@dataclass(frozen=True, slots=True)
class DataAnswer:
    """91/B1, 92/B2 (2007), 81/A1, 82/A2, 83 (1997): an item's bytes, or a part of them."""

    di: int
    data: bytes
    """Without identifier and SEQ; wire order."""
    more: bool = False
    """D5: the rest is to be fetched."""
    seq: int | None = None
    """Of a following part in 2007: its number."""
    edition: Edition = Edition.Y2007

    @property
    def kind(self) -> AnswerKind:
        return AnswerKind.FOLLOW_UP if self.more else AnswerKind.NORMAL

    def encode(self) -> bytes:
        seq = b"" if self.seq is None else bytes((self.seq,))
        return encode_di(self.di, self.edition) + self.data + seq


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """93: the meter's own address."""

    address: Address

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return bytes.fromhex(self.address)[::-1]


@dataclass(frozen=True, slots=True)
class Accepted:
    """94, 95, 96, 99, 9A, 9B, 9C; 84, 8A, 90 in 1997: done, and nothing more said.

    "Done" means taken: whether a relay moved is read from status word 3.
    """

    data: bytes = b""
    """Empty by the standard; what a meter sent nevertheless."""

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class SpeedAnswer:
    """97, 8C: the speed's feature byte again, still sent at the old speed."""

    feature: int

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return bytes((self.feature,))


@dataclass(frozen=True, slots=True)
class PasswordAnswer:
    """98, 8F: the new password."""

    password: Password

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return self.password.encode()


@dataclass(frozen=True, slots=True)
class OutputAnswer:
    """9D: the output as asked for."""

    output: MultiFunctionOutput

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return bytes((self.output,))


@dataclass(frozen=True, slots=True)
class SecurityAnswer:
    """83 (2007): identifier and what `security` takes apart."""

    di: int
    data: bytes

    kind: ClassVar[AnswerKind] = AnswerKind.NORMAL

    def encode(self) -> bytes:
        return encode_di(self.di, Edition.Y2007) + self.data


@dataclass(frozen=True, slots=True)
class Refused:
    """C0H and the function: the meter understood and will not.

    It carries no identifier, so that it answers whatever of that function was asked last.
    """

    raw: bytes
    """One byte by the standard; two in C3 and DC; anything is kept."""
    word: ErrorWord | None
    """The bits; None where there are none to read."""

    kind: ClassVar[AnswerKind] = AnswerKind.ABNORMAL

    @classmethod
    def of(cls, word: ErrorWord) -> Refused:
        """The meter's side: one byte of ERR, two of SERR and of the relay's word."""
        length = 1 if isinstance(word, ErrorByte) else 2
        return cls(int(word).to_bytes(length, "little"), word)

    @classmethod
    def parse(cls, function: Function | None, raw: bytes) -> Refused:
        """Whatever stands in an abnormal answer.  Never raises."""
        if len(raw) == 1:
            return cls(raw, ErrorByte(raw[0]))
        if len(raw) == 2 and function is Function2007.SECURITY:
            return cls(raw, SecurityError(int.from_bytes(raw, "little")))
        if len(raw) == 2 and function is Function2007.RELAY_CONTROL:
            return cls(raw, RelayError(int.from_bytes(raw, "little")))
        return cls(raw, None)

    @property
    def names(self) -> list[str]:
        """The reasons in words."""
        if self.word is None:
            return [f"raw {self.raw.hex()}" if self.raw else "no reason given"]
        return error_names(self.word)

    def encode(self) -> bytes:
        return self.raw


Answer = (
    DataAnswer
    | AddressAnswer
    | Accepted
    | SpeedAnswer
    | PasswordAnswer
    | OutputAnswer
    | SecurityAnswer
    | Refused
)
