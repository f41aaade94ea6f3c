"""Frames of DL/T 645, both editions: bytes in, frames out, and back (spec section 1, grade A).

::

    FE*k | 68 | A0..A5 | 68 | C | L | DATA (L bytes, each +33H) | CS | 16

* CS is the sum, modulo 256, of all bytes from the first 68 to the last DATA byte.
* 68, 16 and FE also occur inside address, DATA and CS, so only L tells where a frame ends.
* Whatever fails costs **one** byte: a 68 in noise never swallows the good frame behind it.

Both directions know nothing of meaning: control codes are in `controls`, addresses in
`addresses`, DATA in `messages`.  There is no clock here: a caller that has heard nothing for
longer than a frame may pause calls `FrameDecoder.gap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from protocols.dlt645.errors import (
    AddressError,
    FieldRangeError,
    FrameChecksumError,
    FrameCutError,
    FrameEndError,
    FrameNotFoundError,
    TooLongError,
)
from protocols.errors import RemoteProtocolError

FRAME_OVERHEAD_BYTES: Final = 12
"""68, six of address, 68, C, L, CS, 16."""
DATA_BYTES_MAX: Final = 255
"""L is one byte.  The standard's own limits (200 read, 50 written) are for senders."""
FRAME_BYTES_MAX: Final = FRAME_OVERHEAD_BYTES + DATA_BYTES_MAX
PREAMBLE_BYTES: Final = 4
"""FE bytes that a master sends first; any number is accepted."""

_START: Final = 0x68
_PREAMBLE: Final = b"\xfe" * PREAMBLE_BYTES
_END: Final = 0x16
_SHIFT: Final = bytes((byte + 0x33) & 0xFF for byte in range(256))
_UNSHIFT: Final = bytes((byte - 0x33) & 0xFF for byte in range(256))
_TAILS: Final = tuple(bytes((checksum, _END)) for checksum in range(256))
_CONTROL_AND_LENGTH: Final = tuple(
    tuple(bytes((_START, control, length)) for length in range(256)) for control in range(256)
)
_ADDRESS_BYTES: Final = 6
_NOISE_KEPT_BYTES: Final = 256
_NOISE_RUNS_KEPT: Final = 16
_HEAD_BYTES: Final = 10


# A named tuple, not a frozen dataclass: it is made for each frame, at a third of the cost.
class Frame(NamedTuple):
    """One frame, without what the line adds."""

    address: str
    """12 characters, most significant first: digits, ``AA`` and ``99`` (see `addresses`)."""
    control: int
    """C, 0-255; its bits are read by `controls`."""
    data: bytes
    """DATA in wire order, the +33H shift removed."""

    @property
    def from_meter(self) -> bool:
        """D7.  A frame that we sent ourselves and hear again (echo) has it clear."""
        return self.control >= 0x80

    @property
    def abnormal(self) -> bool:
        """D6: the meter refuses."""
        return self.control & 0x40 != 0

    @property
    def follow_up(self) -> bool:
        """D5: more data are to be fetched."""
        return self.control & 0x20 != 0

    @property
    def function(self) -> int:
        """D4-D0."""
        return self.control & 0x1F


_new_frame: Final = tuple.__new__


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that belong to no frame (FE at their ends left out)."""

    data: bytes
    """At most the last 256 of them."""
    length: int
    """How many there were."""


def encode(frame: Frame, preamble: int = PREAMBLE_BYTES) -> bytes:
    """The bytes of a frame, with ``preamble`` FE bytes before it.

    Raises:
        AddressError: the address is not 12 hexadecimal characters.
        TooLongError: more than 255 bytes of DATA.
        FieldRangeError: the control code is not a byte.
    """
    address, control, data = frame
    try:
        wire_address = bytes.fromhex(address)[::-1]
        control_and_length = _CONTROL_AND_LENGTH[control][len(data)]
    except (ValueError, IndexError):
        raise _misuse(frame) from None
    body = b"\x68" + wire_address + control_and_length + data.translate(_SHIFT)
    if len(wire_address) != _ADDRESS_BYTES or len(address) != 2 * _ADDRESS_BYTES or control < 0:
        raise _misuse(frame)
    return b"\xfe" * preamble + body + _TAILS[sum(body) & 0xFF]


def _misuse(frame: Frame) -> AddressError | FieldRangeError | TooLongError:
    if not 0 <= frame.control <= 0xFF:
        return FieldRangeError(f"Control code {frame.control} is not a byte.")
    if len(frame.data) > DATA_BYTES_MAX:
        return TooLongError(
            f"{len(frame.data)} bytes of data do not fit a frame (at most {DATA_BYTES_MAX})."
        )
    return AddressError(f"Address {frame.address!r} is not 12 digits.")


def answer_head(address: str, control: int) -> bytes:
    """How the frames of one meter with one control code begin, for `data_of_frame`."""
    return b"\x68" + bytes.fromhex(address)[::-1] + bytes((_START, control))


def data_of_frame(wire: bytes, head: bytes) -> bytes | None:
    """DATA of the one frame that fills the bytes, if it begins with this `answer_head`.

    For who knows what answer to expect: nothing is taken apart that need only be compared.  None
    says nothing yet: `FrameDecoder` finds what else the bytes may hold.
    """
    start = PREAMBLE_BYTES if wire.startswith(_PREAMBLE) else 0
    if (
        not wire.startswith(head, start)
        or len(wire) < start + FRAME_OVERHEAD_BYTES
        or wire[start + 9] + FRAME_OVERHEAD_BYTES + start != len(wire)
        or wire[-1] != _END
        or sum(wire[start:-2]) & 0xFF != wire[-2]
    ):
        return None
    return wire[start + _HEAD_BYTES : -2].translate(_UNSHIFT)


class FrameDecoder:
    """Finds frames in whatever a line delivers, in pieces of any size.

    The same bytes give the same frames, however they are cut.  Between calls at most one
    unfinished frame is held, so memory is bounded by ``cap``; a claimed length beyond the cap is
    noise like any other.

    Args:
        cap: longest frame that is waited for, in bytes from 68 to 16.  The default, 267, is the
            longest that L can announce: nothing that the format allows is lost, and a false
            start cannot hold more than that.
    """

    __slots__ = ("_cap", "_noise", "_rest", "noise_bytes", "preamble_bytes", "rejected")

    def __init__(self, cap: int = FRAME_BYTES_MAX) -> None:
        if not FRAME_OVERHEAD_BYTES <= cap <= FRAME_BYTES_MAX:
            raise FieldRangeError(
                f"The cap must be {FRAME_OVERHEAD_BYTES}-{FRAME_BYTES_MAX} bytes, not {cap}."
            )
        self._cap = cap
        self._rest = b""
        self._noise: list[Noise] = []
        self.preamble_bytes = 0
        """FE bytes outside of frames so far."""
        self.noise_bytes = 0
        """Other bytes outside of frames so far."""
        self.rejected = 0
        """Whole frames by shape whose end byte or checksum was wrong."""

    @property
    def held_bytes(self) -> int:
        """Bytes of a frame that is not complete yet, less than the cap."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete, in order."""
        if not self._rest and (frame := self._whole(data)) is not None:
            return [frame]
        buffer = self._rest + data if self._rest else data
        length = len(buffer)
        found: list[Frame] = []
        done = start = 0
        while True:
            start = buffer.find(b"\x68", start)
            if start < 0:
                start = length
                break
            if length - start < _HEAD_BYTES:
                if length - start > 7 and buffer[start + 7] != _START:
                    start += 1
                    continue
                break
            if buffer[start + 7] != _START:
                start += 1
                continue
            end = start + 11 + buffer[start + 9]
            if end - start >= self._cap:
                start += 1
                continue
            if end >= length:
                break
            if buffer[end] != _END or sum(buffer[start : end - 1]) & 0xFF != buffer[end - 1]:
                self.rejected += 1
                start += 1
                continue
            if start > done:
                self._drop(buffer[done:start])
            found.append(
                _new_frame(
                    Frame,
                    (
                        buffer[start + 6 : start : -1].hex().upper(),
                        buffer[start + 8],
                        buffer[start + _HEAD_BYTES : end - 1].translate(_UNSHIFT),
                    ),
                )
            )
            done = start = end + 1
            if done == length:
                self._rest = b""
                return found
        if start > done:
            self._drop(buffer[done:start])
        self._rest = bytes(buffer[start:])
        return found

    def _whole(self, data: bytes) -> Frame | None:
        """The one frame that fills the bytes: the usual case, made quick."""
        start = PREAMBLE_BYTES if data.startswith(_PREAMBLE) else 0
        body = data[start:-2]
        length = len(body)
        if (
            length < _HEAD_BYTES
            or body[0] != _START
            or body[7] != _START
            or body[9] + _HEAD_BYTES != length
            or length + 2 > self._cap
            or data[-1] != _END
            or sum(body) & 0xFF != data[-2]
        ):
            return None
        self.preamble_bytes += start
        fields = (body[6:0:-1].hex().upper(), body[8], body[_HEAD_BYTES:].translate(_UNSHIFT))
        return _new_frame(Frame, fields)

    def gap(self) -> list[Frame]:
        """Tell that the line went silent for longer than any pause inside a frame.

        What is held will never be completed: its first byte is noise, and what follows is looked
        at again.  Afterwards nothing is held.
        """
        found: list[Frame] = []
        while self._rest:
            held, self._rest = self._rest, b""
            self._drop(held[:1])
            found += self.feed(held[1:])
        return found

    def take_noise(self) -> list[Noise]:
        """What was dropped since the last call: the latest runs of it, 16 at most."""
        noise, self._noise = self._noise, []
        return noise

    def _drop(self, dropped: bytes) -> None:
        preamble = dropped.count(b"\xfe")
        self.preamble_bytes += preamble
        if preamble < len(dropped):
            self.noise_bytes += len(dropped) - preamble
            noise = dropped.strip(b"\xfe")
            self._noise.append(Noise(noise[-_NOISE_KEPT_BYTES:], len(noise)))
            del self._noise[:-_NOISE_RUNS_KEPT]


def decode(wire: bytes) -> Frame:
    """The one frame in these bytes; FE and noise around it are skipped.

    Raises:
        FrameNotFoundError: no frame, or more than one.
        FrameCutError, FrameEndError, FrameChecksumError: the frame must be rejected, and why.
    """
    decoder = FrameDecoder()
    frames = decoder.feed(wire) + decoder.gap()
    if len(frames) == 1:
        return frames[0]
    if frames:
        raise FrameNotFoundError(f"There are {len(frames)} frames; give one at a time.")
    raise _why_rejected(wire)


def _why_rejected(wire: bytes) -> RemoteProtocolError:
    """What is wrong with the first thing that begins like a frame."""
    start = wire.find(_START)
    while start >= 0 and wire[start + 7 : start + 8] not in (b"\x68", b""):
        start = wire.find(_START, start + 1)
    if start < 0:
        return FrameNotFoundError("There is no frame: no 68 with another 68 seven bytes on.")
    length = wire[start + 9] + FRAME_OVERHEAD_BYTES if len(wire) > start + 9 else FRAME_BYTES_MAX
    frame = wire[start : start + length]
    if len(frame) < length:
        return FrameCutError(
            f"The frame is cut: {len(frame)} bytes"
            + (f" of {length}." if len(frame) > 9 else ", too few to say its length.")
        )
    if frame[-1] != _END:
        return FrameEndError(f"The frame ends with {frame[-1]:02X} where 16 should be.")
    right = sum(frame[:-2]) & 0xFF
    return FrameChecksumError(f"Checksum {frame[-2]:02X} is wrong; the bytes ask for {right:02X}.")
