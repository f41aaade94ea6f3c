"""What went over the lines, in a file that Wireshark opens.

The file is pcapng (draft-ietf-opsawg-pcapng): one section for each time it was opened for
writing, one interface per link (its name is the link's URL), one enhanced packet block per
frame.  The link type is LINKTYPE_USER0 (147): what the bytes mean is for the reader to know.

=====================  ====================================================================
``epb_flags`` bit 0-1  direction: 1 received, 2 sent
``opt_comment``        ``stray`` when nobody waited for the bytes: late answers, noise, or
                       another master
timestamp              nanoseconds since 1970 (``if_tsresol`` 9), of the first byte seen
=====================  ====================================================================

Pieces that arrive while one answer is awaited are written as one block (up to
`PIECES_BYTES_MAX`), so a block is a frame in most cases; `frame watch` and its like must not
rely on that.  The file is only ever appended to, each block in one write; a block that a crash
has cut off ends the reading without complaint.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from protocols.transport.errors import TraceFileError

LINKTYPE_USER0: Final = 147
PIECES_BYTES_MAX: Final = 4096
STRAY: Final = "stray"

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_OPT_COMMENT: Final = 1
_IF_NAME: Final = 2
_IF_TSRESOL: Final = 9
_EPB_FLAGS: Final = 2
_NS_RESOLUTION: Final = 9
_BLOCK_BYTES_MIN: Final = 12
_BLOCK_BYTES_MAX: Final = 1 << 20
_INTERFACES_MAX: Final = 65_536
_NS_PER_S: Final = 1_000_000_000


class Direction(Enum):
    """Seen from us."""

    RECEIVED = 1
    SENT = 2


class Trace(Protocol):
    """What a link tells about its bytes, while it works; must not fail and must be quick."""

    def sent(self, data: bytes) -> None:
        """A request went out."""

    def received(self, data: bytes) -> None:
        """A piece arrived while an answer was awaited."""

    def settled(self) -> None:
        """The exchange has ended: what arrived belongs together."""

    def stray(self, data: bytes) -> None:
        """A piece arrived while nobody waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRecord:
    """One block of a trace."""

    link: str
    """The link's name (URL)."""
    at_ns: int
    """Nanoseconds since 1970, UTC."""
    direction: Direction
    data: bytes
    stray: bool = False
    """Nobody waited for it."""


class TraceWriter:
    """Appends to one file, for any number of links.

    Tracing must not break a line: when the disk fails, writing stops and `error` says why.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        bytes_max: int | None = None,
        files_max: int = 2,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the file, or go on with it.

        Args:
            path: the trace; made if it is missing.
            bytes_max: size at which it is put aside as ``<path>.1`` (and that as ``.2`` ...);
                None: it grows without limit.
            files_max: how many files are kept, with the one being written; at least 1.
            clock_ns: the time of day in nanoseconds since 1970.

        Raises:
            TraceFileError: the file cannot be opened, or is something else than a trace.
        """
        self.path = Path(path)
        self.error: str | None = None
        self._bytes_max = bytes_max
        self._files_max = max(1, files_max)
        self.clock_ns = clock_ns
        self._links: list[str] = []
        self._file = self._open()

    def link(self, name: str) -> LinkTrace:
        """The trace of one link; the same name again continues the same interface.

        Raises:
            TraceFileError: more links than a trace can have.
        """
        if name not in self._links:
            if len(self._links) >= _INTERFACES_MAX:
                raise TraceFileError(f"A trace has room for {_INTERFACES_MAX} links.")
            self._links.append(name)
            self._put(_interface_block(name))
        return LinkTrace(self, self._links.index(name))

    def write(
        self, interface: int, at_ns: int, direction: Direction, data: bytes, note: str
    ) -> None:
        """Append one block."""
        if self.error is not None:
            return
        block = _packet_block(interface, at_ns, direction, data, note)
        if self._bytes_max is not None and self._bytes + len(block) > self._bytes_max:
            self._rotate()
        self._put(block)

    def close(self) -> None:
        """Close the file; later records are dropped."""
        if self.error is None:
            self.error = "closed"
        self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> FileIO:
        try:
            file = FileIO(self.path, "a+")
            if file.seek(0, 2) and not _is_trace(file):
                file.close()
                raise TraceFileError(f"{self.path} exists and is no trace; choose another name.")
        except OSError as error:
            raise TraceFileError(f"{self.path} cannot be written: {error}.") from error
        self._file = file
        self._bytes = file.seek(0, 2)
        self._put(_section_block() + b"".join(map(_interface_block, self._links)))
        return file

    def _put(self, block: bytes) -> None:
        if self.error is not None:
            return
        try:
            written = self._file.write(block)
        except OSError as error:
            self.error = str(error)
            return
        if written != len(block):
            self.error = "the disk took only a part of a block"
        self._bytes += len(block)

    def _rotate(self) -> None:
        self._file.close()
        try:
            for number in range(self._files_max - 1, 0, -1):
                older = self.path if number == 1 else self._aside(number - 1)
                if older.exists():
                    older.replace(self._aside(number))
            if self._files_max == 1:
                self.path.unlink()
            self._file = self._open()
        except (OSError, TraceFileError) as error:
            self.error = str(error)

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


class LinkTrace:
    """One link's part of a trace; give it to `LinkOptions`."""

    __slots__ = ("_at_ns", "_interface", "_pieces", "_writer")

    def __init__(self, writer: TraceWriter, interface: int) -> None:
        self._writer = writer
        self._interface = interface
        self._pieces = bytearray()
        self._at_ns = 0

    def sent(self, data: bytes) -> None:
        """A request went out."""
        self.settled()
        writer = self._writer
        writer.write(self._interface, writer.clock_ns(), Direction.SENT, data, "")

    def received(self, data: bytes) -> None:
        """A piece arrived while an answer was awaited."""
        if not self._pieces:
            self._at_ns = self._writer.clock_ns()
        self._pieces += data
        if len(self._pieces) >= PIECES_BYTES_MAX:
            self.settled()

    def settled(self) -> None:
        """The exchange has ended: what arrived belongs together."""
        if self._pieces:
            data = bytes(self._pieces)
            self._pieces.clear()
            self._writer.write(self._interface, self._at_ns, Direction.RECEIVED, data, "")

    def stray(self, data: bytes) -> None:
        """A piece arrived while nobody waited."""
        writer = self._writer
        writer.write(self._interface, writer.clock_ns(), Direction.RECEIVED, data, STRAY)


def read_trace(path: Path | str) -> Iterator[TraceRecord]:
    """The records of a trace in the order in which they were written.

    Reads any pcapng file, of either byte order; blocks of other kinds, and other link types
    than ours, are passed over.

    Raises:
        TraceFileError: the file cannot be read, or is no pcapng file.
    """
    try:
        with Path(path).open("rb") as file:
            if not _is_trace(file):
                raise TraceFileError(f"{path} is no pcapng trace.")
            yield from _records(file)
    except OSError as error:
        raise TraceFileError(f"{path} cannot be read: {error}.") from error


# Writing blocks.


def _block(kind: int, body: bytes) -> bytes:
    length = _BLOCK_BYTES_MIN + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _section_block() -> bytes:
    return _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1))


def _interface_block(name: str) -> bytes:
    options = _option(_IF_NAME, name.encode("utf-8", "replace")[:1024])
    options += _option(_IF_TSRESOL, bytes((_NS_RESOLUTION,)))
    return _block(_INTERFACE, struct.pack("<HHI", LINKTYPE_USER0, 0, 0) + options + bytes(4))


def _packet_block(
    interface: int, at_ns: int, direction: Direction, data: bytes, note: str
) -> bytes:
    options = _option(_EPB_FLAGS, struct.pack("<I", direction.value))
    if note:
        options += _option(_OPT_COMMENT, note.encode())
    head = struct.pack(
        "<IIIII", interface, at_ns >> 32 & 0xFFFFFFFF, at_ns & 0xFFFFFFFF, len(data), len(data)
    )
    return _block(_PACKET, head + _padded(data) + options + bytes(4))


# Reading blocks.


@dataclass(frozen=True, slots=True)
class _Interface:
    name: str
    link_type: int
    ticks_per_s: int


def _is_trace(file: BinaryIO | FileIO) -> bool:
    file.seek(0)
    head = file.read(12) or b""
    file.seek(0)
    magic = struct.pack("<I", _BYTE_ORDER_MAGIC)
    return head[:4] == struct.pack("<I", _SECTION) and head[8:] in (magic, magic[::-1])


def _records(file: BinaryIO) -> Iterator[TraceRecord]:
    order = "<"
    interfaces: list[_Interface] = []
    while len(head := file.read(12)) == 12:  # every block has at least 12 bytes
        if head[:4] == struct.pack("<I", _SECTION):
            order = "<" if head[8:] == struct.pack("<I", _BYTE_ORDER_MAGIC) else ">"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", head)
        if not _BLOCK_BYTES_MIN <= length <= _BLOCK_BYTES_MAX or length % 4:
            return
        rest = file.read(length - 12)
        if len(rest) < length - 12:
            return
        body = (head + rest)[8:-4]
        if kind == _INTERFACE and len(interfaces) < _INTERFACES_MAX:
            interfaces.append(_parse_interface(order, body))
        elif kind == _PACKET and (record := _parse_packet(order, body, interfaces)):
            yield record


def _parse_interface(order: str, body: bytes) -> _Interface:
    if len(body) < 8:
        return _Interface("", -1, _NS_PER_S)
    (link_type,) = struct.unpack_from(order + "H", body)
    options = dict(_options(order, body[8:]))
    resolution = (options.get(_IF_TSRESOL) or b"\x06")[0]
    ticks_per_s = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    return _Interface(options.get(_IF_NAME, b"").decode("utf-8", "replace"), link_type, ticks_per_s)


def _parse_packet(order: str, body: bytes, interfaces: list[_Interface]) -> TraceRecord | None:
    if len(body) < 20:
        return None
    number, high, low, length, _ = struct.unpack_from(order + "IIIII", body)
    if number >= len(interfaces) or length > len(body) - 20:
        return None
    interface = interfaces[number]
    if interface.link_type != LINKTYPE_USER0:
        return None
    options = dict(_options(order, body[20 + length + -length % 4 :]))
    flags_bytes = options.get(_EPB_FLAGS, bytes(4))
    (flags,) = struct.unpack(order + "I", flags_bytes) if len(flags_bytes) == 4 else (0,)
    return TraceRecord(
        link=interface.name,
        at_ns=(high << 32 | low) * _NS_PER_S // interface.ticks_per_s,
        direction=Direction.SENT if flags & 3 == Direction.SENT.value else Direction.RECEIVED,
        data=body[20 : 20 + length],
        stray=options.get(_OPT_COMMENT) == STRAY.encode(),
    )


def _options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0 or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
