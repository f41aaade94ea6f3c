"""Frames: RTU (unit, body, CRC) and TCP (header with transaction number, unit, body).

pymodbus builds a frame and computes its CRC; cutting frames out of a stream is done here, because
pymodbus's own way (3.16) throws away all that was received once it has found any frame.  The
right answer is lost when a late one comes with it in the same read.

An RTU stream has no marks, and no times either once it came through a network.  So a frame is
what has the length that its function code demands and the right CRC; whatever lies before it
is noise, and one byte is dropped at a time.  Complete frames of other units are jumped over as
a whole, lest something in them be mistaken for ours.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU

from protocols.modbus.requests import REFUSED, Request

RTU_OVERHEAD: Final = 3
"""Unit and CRC."""
TCP_OVERHEAD: Final = 7
"""Transaction, protocol, length, unit."""
BODY_BYTES_MAX: Final = 253
"""From the function code on, by the standard."""
BUFFER_BYTES_MAX: Final = 4 * (BODY_BYTES_MAX + TCP_OVERHEAD)
"""Kept while a frame is looked for; more than any answer with all that may come before it."""

_SHORTEST_RTU: Final = 5
_TCP_PROTOCOL: Final = 0


class Framing(Enum):
    """How bodies are put into frames."""

    RTU = "rtu"
    """On serial lines, and through gateways that hand bytes on as they come."""
    TCP = "tcp"
    """Modbus TCP, and gateways that translate."""

    @property
    def overhead(self) -> int:
        """Bytes of a frame that are not its body."""
        return RTU_OVERHEAD if self is Framing.RTU else TCP_OVERHEAD


_FRAMERS: Final[dict[Framing, FramerBase]] = {
    Framing.RTU: FramerRTU(DecodePDU(False)),
    Framing.TCP: FramerSocket(DecodePDU(False)),
}


def build(framing: Framing, message: ModbusPDU, transaction: int) -> bytes:
    """The frame that carries a message."""
    message.transaction_id = transaction
    return _FRAMERS[framing].buildFrame(message)


class AnswerReader:
    """Finds the answer to one request in whatever arrives."""

    __slots__ = ("_buffer", "_framing", "_request", "_transaction")

    def __init__(self, framing: Framing, request: Request, transaction: int) -> None:
        self._framing = framing
        self._request = request
        self._transaction = transaction
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; the answer from its function code on, once it is there.

        Empty bytes say that the line has been silent: what has begun will not be finished.
        """
        self._buffer += data
        del self._buffer[:-BUFFER_BYTES_MAX]
        find = self._in_rtu if self._framing is Framing.RTU else self._in_tcp
        body = find(bytes(self._buffer))
        if not data:
            self._buffer.clear()
        return body

    def _in_rtu(self, buffer: bytes) -> bytes | None:
        request = self._request
        at = 0
        while len(buffer) - at >= _SHORTEST_RTU:
            if buffer[at] == request.unit:
                length = RTU_OVERHEAD + (2 if buffer[at + 1] & REFUSED else request.answer_length)
                frame = buffer[at : at + length]
                if len(frame) == length and request.fits(frame[1:-2]) and is_sound(frame):
                    return frame[1:-2]
            at += foreign_length(buffer, at) or 1
        return None

    def _in_tcp(self, buffer: bytes) -> bytes | None:
        at = 0
        while len(buffer) - at > TCP_OVERHEAD + 1:
            length = tcp_length(buffer, at)
            if length is None:
                at += 1
                continue
            frame = buffer[at : at + length]
            if self._is_ours(frame):
                if len(frame) < length:
                    return None
                if self._request.fits(frame[TCP_OVERHEAD:]):
                    return frame[TCP_OVERHEAD:]
            at += length if len(frame) == length else 1
        return None

    def _is_ours(self, frame: bytes) -> bool:
        transaction = int.from_bytes(frame[:2], "big")
        return transaction == self._transaction and frame[6] == self._request.unit


def is_sound(frame: bytes) -> bool:
    """Whether an RTU frame's CRC is right."""
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def tcp_length(buffer: bytes, at: int) -> int | None:
    """The length of the TCP frame that begins here; None when none can."""
    protocol = int.from_bytes(buffer[at + 2 : at + 4], "big")
    length = int.from_bytes(buffer[at + 4 : at + 6], "big")
    if protocol != _TCP_PROTOCOL or not 2 <= length <= BODY_BYTES_MAX + 1:
        return None
    return length + TCP_OVERHEAD - 1


def foreign_length(buffer: bytes, at: int) -> int | None:
    """The length of a complete and sound RTU frame, request or answer, that begins here."""
    for length in (answer_length(buffer, at), request_length(buffer, at)):
        if length and at + length <= len(buffer) and is_sound(buffer[at : at + length]):
            return length
    return None


def answer_length(buffer: bytes, at: int) -> int | None:
    """How long the RTU frame that begins here is if it is an answer; None: cannot be told."""
    function = buffer[at + 1]
    if function & REFUSED:
        return 5
    if function in _COUNTED_ANSWERS:
        return buffer[at + 2] + 5
    return _FIXED_ANSWERS.get(function)


def request_length(buffer: bytes, at: int) -> int | None:
    """How long the RTU frame that begins here is if it is a request; None: cannot be told."""
    function = buffer[at + 1]
    place = _COUNTED_REQUESTS.get(function)
    if place is None:
        return _FIXED_REQUESTS.get(function)
    return buffer[at + place] + place + 3 if at + place < len(buffer) else None


_COUNTED_ANSWERS: Final = frozenset((1, 2, 3, 4, 0x0C, 0x11, 0x14, 0x15, 0x17))
_FIXED_ANSWERS: Final = {5: 8, 6: 8, 7: 5, 8: 8, 0x0B: 8, 0x0F: 8, 0x10: 8, 0x16: 10}
_COUNTED_REQUESTS: Final = {0x0F: 6, 0x10: 6, 0x14: 2, 0x15: 2, 0x17: 10}
_FIXED_REQUESTS: Final = {
    1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 0x0B: 4, 0x0C: 4, 0x11: 4, 0x16: 10,
}  # fmt: skip
