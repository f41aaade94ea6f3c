"""How a modem that calls in says who it is, and how it says that it is still there.

Both come in the modem's data stream, configured in the modem.  Usual in the field: 15 digits of
the IMEI, a configured text with a line end, or a few binary bytes that hold a BCD number.
There is no I/O here.

Heart-beats share the stream with frames, and nothing marks them.  The rules:

* While no answer is awaited, a heart-beat is found anywhere in what arrives, also in pieces.
* While an answer is awaited, a piece is a heart-beat only if it is nothing but heart-beats, or
  begins or ends with one of at least `SURE_BYTES` bytes.  Modems put a heart-beat between two
  packets, not inside one, so this is enough to keep it out of a frame that comes in two pieces.
* A heart-beat that is missed costs what noise costs: the frame's checksum fails, or the codec
  skips it.  A piece of a frame that looks like a heart-beat costs the same.  Neither can make a
  wrong value; choose heart-beats of four bytes or more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocols.transport.errors import LinkUrlError

SURE_BYTES: Final = 4
_ID_CHARACTERS_MAX: Final = 64
_BYTES_MAX: Final = 512
_TAIL_BYTES_MAX: Final = 64


class IdForm(Enum):
    """How the pattern's group ``id`` becomes a name."""

    TEXT = "text"
    """Printable ASCII as it stands."""
    HEX = "hex"
    """Two hexadecimal digits per byte; BCD numbers read as themselves."""


class RemoteIdentity(Enum):
    """The modem sends no registration: where it calls from is its name."""

    ADDRESS = "address"
    """``10.0.0.7``: each modem has an address of its own, as in a private APN."""
    ADDRESS_AND_PORT = "address_and_port"
    """``10.0.0.7:49152``: another name at each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The packet that a modem sends first.

    Give either ``length`` or ``delimiter``: without one nobody can tell where a packet ends
    that arrives in pieces.
    """

    pattern: re.Pattern[bytes]
    """Matches the whole packet (without its delimiter); its group ``id`` is the name."""
    length: int | None = None
    """The packet's length in bytes."""
    delimiter: bytes | None = None
    """What stands behind the packet."""
    id_form: IdForm = IdForm.TEXT
    answer: bytes = b""
    """Sent back when the registration is accepted; empty: nothing."""
    bytes_max: int = 256
    """A packet with a delimiter is refused when it is longer."""

    def __post_init__(self) -> None:
        if "id" not in self.pattern.groupindex:
            raise LinkUrlError("A registration pattern needs a group named id: (?P<id>...).")
        if (self.length is None) == (not self.delimiter):
            raise LinkUrlError("A registration has either a fixed length or a delimiter.")
        if not 1 <= (self.length or 1) <= _BYTES_MAX or not 1 <= self.bytes_max <= _BYTES_MAX:
            raise LinkUrlError(f"A registration packet has 1-{_BYTES_MAX} bytes.")

    def take(self, data: bytes) -> tuple[str, bytes] | None:
        """The name and the bytes behind the packet; None: it is not complete yet.

        Raises:
            ValueError: this is no registration; says why, in a few words.
        """
        if self.length is not None:
            if len(data) < self.length:
                return None
            packet, rest = data[: self.length], data[self.length :]
        else:
            assert self.delimiter is not None
            packet, delimiter, rest = data.partition(self.delimiter)
            if len(packet) > self.bytes_max:
                raise ValueError(f"no end in {self.bytes_max} bytes")
            if not delimiter:
                return None
        match = self.pattern.fullmatch(packet)
        if match is None or not match["id"]:
            raise ValueError("not a registration packet")
        return self._name(match["id"]), rest

    def _name(self, value: bytes) -> str:
        if self.id_form is IdForm.HEX:
            name = value.hex()
        elif value.isascii() and (name := value.decode("ascii")).isprintable():
            name = name.strip()
        else:
            raise ValueError("the name is not printable")
        if not 1 <= len(name) <= _ID_CHARACTERS_MAX:
            raise ValueError(f"the name does not have 1-{_ID_CHARACTERS_MAX} characters")
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartBeat:
    """What a modem sends to show that it is there."""

    pattern: re.Pattern[bytes]
    """Matches one heart-beat."""
    answer: bytes = b""
    """Sent back, never while an answer is awaited; empty: nothing."""

    def __post_init__(self) -> None:
        if self.pattern.match(b""):
            raise LinkUrlError("A heart-beat pattern must not match nothing at all.")


class HeartBeatFilter:
    """Takes heart-beats out of one modem's stream."""

    __slots__ = ("_at_end", "_pattern", "_tail")

    def __init__(self, beat: HeartBeat) -> None:
        self._pattern = beat.pattern
        self._at_end = re.compile(b"(?:" + beat.pattern.pattern + rb")\Z", beat.pattern.flags)
        self._tail = b""

    def while_waiting(self, data: bytes) -> tuple[bytes, int]:
        """A piece that came while an answer is awaited: what is left of it, and beats found."""
        self._tail = b""
        beats, sure_beats, sure_end, at = 0, 0, 0, 0
        sure = True
        while at < len(data) and (match := self._pattern.match(data, at)):
            beats, at = beats + 1, match.end()
            sure = sure and len(match[0]) >= SURE_BYTES
            if sure:
                sure_beats, sure_end = beats, at
        if at == len(data):
            return b"", beats
        if sure_end:
            return data[sure_end:], sure_beats
        last = self._at_end.search(data, max(0, len(data) - _TAIL_BYTES_MAX))
        if last is not None and len(last[0]) >= SURE_BYTES:
            return data[: last.start()], 1
        return data, 0

    def while_idle(self, data: bytes) -> tuple[bytes, int]:
        """A piece that came while nobody waits: the stray bytes in it, and beats found.

        The first piece of a heart-beat in two pieces is given out as stray, and remembered.
        """
        seen = len(self._tail)
        pending = self._tail + data
        stray = bytearray()
        beats, at = 0, 0
        for match in self._pattern.finditer(pending):
            stray += pending[max(at, seen) : match.start()]
            beats, at = beats + 1, match.end()
        stray += pending[max(at, seen) :]
        self._tail = pending[at:][-_TAIL_BYTES_MAX:]
        return bytes(stray), beats
