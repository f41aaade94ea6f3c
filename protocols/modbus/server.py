"""The other end of the wire: units that answer, for simulated meters.

`ServerSession` does no I/O: bytes in, requests out, and for each request the bytes of its answer.
Whoever runs it decides when these are sent, or whether, so that faults (silence, late answers,
noise) are played between `feed` and `respond`.  `ServerProtocol` and `serve_tcp` run it on
asyncio without faults.

On RTU all units of a line hear everything: requests to others and their answers are jumped over.
A unit that does not exist is silent, on RTU as on TCP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from protocols.modbus.errors import (
    IllegalDataAddressError,
    IllegalDataValueError,
    IllegalFunctionError,
    ModbusFrameError,
    ModbusRefusal,
)
from protocols.modbus.framing import (
    BUFFER_BYTES_MAX,
    TCP_OVERHEAD,
    Framing,
    foreign_length,
    is_sound,
    request_length,
    tcp_length,
)
from protocols.modbus.items import DIRECT, Item, Table, Transformers, Value
from protocols.modbus.profile import Profile
from protocols.modbus.requests import BROADCAST

_SHORTEST_RTU: Final = 4
_READ_TABLES: Final = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
_WRITE_TABLES: Final = {5: Table.COIL, 15: Table.COIL, 6: Table.HOLDING, 16: Table.HOLDING}
_COIL_VALUES: Final = (b"\xff\x00", b"\x00\x00")
_WRITE_WORDS_MAX: Final = 123
_WRITE_COILS_MAX: Final = 1968
_DECODER: Final = DecodePDU(True)
_SERVER_FRAMERS: Final[dict[Framing, FramerBase]] = {
    Framing.RTU: FramerRTU(_DECODER),
    Framing.TCP: FramerSocket(_DECODER),
}


class Unit(Protocol):
    """What answers for one unit: a simulated meter's face."""

    def read(self, table: Table, register: int, count: int) -> Sequence[int]:
        """So many registers, or bits as 0 and 1.

        Raises:
            ModbusRefusal: to answer with its exception code.
        """

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        """Take registers, or bits as 0 and 1.

        Raises:
            ModbusRefusal: to answer with its exception code.
        """


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One request that came for one of our units, or for all."""

    unit: int
    """0: broadcast."""
    body: bytes
    """From the function code on."""
    transaction: int
    """0 on RTU."""

    @property
    def function(self) -> int:
        """The function code."""
        return self.body[0]


class ServerSession:
    """One connection, or one serial line, with any number of units behind it."""

    def __init__(self, units: Mapping[int, Unit], framing: Framing) -> None:
        """Answer for units.

        Args:
            units: by address; may change while the session lives.
            framing: what travels on the line.
        """
        self._units = units
        self._framing = framing
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[ServerRequest]:
        """Take what arrived; the complete requests for our units, and for all (unit 0, RTU).

        Raises:
            ModbusFrameError: on TCP, bytes that begin no frame: close the connection.
        """
        self._buffer += data
        frames = self._rtu_frames() if self._framing is Framing.RTU else self._tcp_frames()
        return [request for request in frames if self._is_ours(request)]

    def _is_ours(self, request: ServerRequest) -> bool:
        is_broadcast = request.unit == BROADCAST and self._framing is Framing.RTU
        return is_broadcast or request.unit in self._units

    def silence(self) -> None:
        """The line has been silent: what has begun will not be finished (RTU)."""
        self._buffer.clear()

    def respond(self, request: ServerRequest) -> bytes:
        """Carry a request out; the answer's frame, empty for a broadcast."""
        if request.unit == BROADCAST:
            for unit in self._units.values():
                _carry_out(unit, request)
            return b""
        message = _carry_out(self._units[request.unit], request)
        message.dev_id = request.unit
        message.transaction_id = request.transaction
        return _SERVER_FRAMERS[self._framing].buildFrame(message)

    def _rtu_frames(self) -> Iterable[ServerRequest]:
        buffer = bytes(self._buffer)
        found: list[ServerRequest] = []
        at = done = 0
        while len(buffer) - at >= _SHORTEST_RTU:
            length = request_length(buffer, at)
            frame = buffer[at : at + length] if length else b""
            if length and len(frame) == length and is_sound(frame):
                found.append(ServerRequest(frame[0], frame[1:-2], 0))
            else:
                length = foreign_length(buffer, at)
            at += length or 1
            if length:
                done = at
        del self._buffer[:done]
        del self._buffer[:-BUFFER_BYTES_MAX]
        return found

    def _tcp_frames(self) -> Iterable[ServerRequest]:
        found: list[ServerRequest] = []
        while len(self._buffer) > TCP_OVERHEAD:
            length = tcp_length(bytes(self._buffer[:TCP_OVERHEAD]), 0)
            if length is None:
                raise ModbusFrameError("What came begins no Modbus TCP frame.")
            if len(self._buffer) < length:
                break
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            found.append(
                ServerRequest(frame[6], frame[TCP_OVERHEAD:], int.from_bytes(frame[:2], "big"))
            )
        return found


def _carry_out(unit: Unit, request: ServerRequest) -> ModbusPDU:
    try:
        return _answered(unit, request)
    except ModbusRefusal as refusal:
        return ExceptionResponse(request.function, refusal.exception_code)


def _answered(unit: Unit, request: ServerRequest) -> ModbusPDU:
    function = request.function
    if function not in _READ_TABLES and function not in _WRITE_TABLES:
        raise IllegalFunctionError("not simulated")
    message = _DECODER.decode(request.body)
    if message is None or message.function_code != function:
        raise IllegalDataValueError("not a request of this function")
    if message.address + max(message.count, 1) > 0x10000:
        raise IllegalDataAddressError("past the last register")
    if function in _READ_TABLES:
        return _read(unit, _READ_TABLES[function], message)
    return _write(unit, _WRITE_TABLES[function], message, request.body)


def _read(unit: Unit, table: Table, message: ModbusPDU) -> ModbusPDU:
    words = list(unit.read(table, message.address, message.count))
    if table is Table.HOLDING:
        return ReadHoldingRegistersResponse(registers=words)
    if table is Table.INPUT:
        return ReadInputRegistersResponse(registers=words)
    bits = [bool(word) for word in words]
    if table is Table.COIL:
        return ReadCoilsResponse(bits=bits)
    return ReadDiscreteInputsResponse(bits=bits)


def _write(unit: Unit, table: Table, message: ModbusPDU, body: bytes) -> ModbusPDU:
    register, function = message.address, message.function_code
    if function == 5:
        if body[3:5] not in _COIL_VALUES:
            raise IllegalDataValueError("a coil is FF00 or 0000")
        unit.write(table, register, (int(message.bits[0]),))
        return WriteSingleCoilResponse(address=register, bits=message.bits)
    if function == 6:
        unit.write(table, register, tuple(message.registers))
        return WriteSingleRegisterResponse(address=register, registers=message.registers)
    count = message.count
    octets = 2 * count if function == 16 else -(-count // 8)
    count_max = _WRITE_WORDS_MAX if function == 16 else _WRITE_COILS_MAX
    if not 1 <= count <= count_max or len(body) != 6 + octets or body[5] != octets:
        raise IllegalDataValueError("lengths that do not agree")
    if function == 16:
        unit.write(table, register, tuple(message.registers))
        return WriteMultipleRegistersResponse(address=register, count=count)
    unit.write(table, register, tuple(int(bit) for bit in message.bits[:count]))
    return WriteMultipleCoilsResponse(address=register, count=count)


# --- on asyncio -----------------------------------------------------------------------------


class ServerProtocol(asyncio.Protocol):
    """Runs a session on a socket, or on anything with asyncio's streams."""

    def __init__(self, session: ServerSession) -> None:
        self._session = session
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport to answer on."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer whatever is complete; close on nonsense."""
        assert self._transport is not None
        try:
            requests = self._session.feed(data)
        except ModbusFrameError:
            self._transport.close()
            return
        for request in requests:
            self._transport.write(self._session.respond(request))


async def serve_tcp(
    units: Mapping[int, Unit], framing: Framing, host: str = "127.0.0.1", port: int = 0
) -> asyncio.Server:
    """Answer on a TCP port, any number of clients; 0 takes a free port."""
    make: Callable[[], ServerProtocol] = lambda: ServerProtocol(ServerSession(units, framing))  # noqa: E731
    return await asyncio.get_running_loop().create_server(make, host, port)


# --- registers as a profile lays them out ---------------------------------------------------


class RegisterImage:
    """A unit whose registers are what a profile makes of readings; writes change them."""

    def __init__(
        self, profile: Profile, values: Mapping[str, Value], transformers: Transformers = DIRECT
    ) -> None:
        """Lay readings out.

        Raises:
            ModbusValueError: a reading that the profile does not have, or cannot hold.
        """
        self.words: dict[tuple[Table, int], int] = {}
        self._writable = {
            (item.table, register)
            for item in profile.items.values()
            if item.writable
            for register in range(item.register, item.end)
        }
        for name, value in values.items():
            item = profile.item(name)
            self.put(item, item.encode(value, transformers))

    def put(self, item: Item, words: Sequence[int]) -> None:
        """Set one item's registers."""
        for place, word in enumerate(words):
            self.words[item.table, item.register + place] = word

    def read(self, table: Table, register: int, count: int) -> list[int]:
        """See `Unit`."""
        try:
            return [self.words[table, place] for place in range(register, register + count)]
        except KeyError:
            raise IllegalDataAddressError("no such register") from None

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        """See `Unit`."""
        places = [(table, register + place) for place in range(len(words))]
        if not self._writable.issuperset(places):
            raise IllegalDataAddressError("no such register, or not to be written")
        self.words.update(zip(places, words, strict=True))
