"""What is asked of a server, and how its answer is recognised and read.

Requests are pymodbus's own messages (`pymodbus.pdu`).  Answers are matched and read here: what
pymodbus's client takes for granted (the function, the byte count of a read, the echo of a write)
is what tells a late answer from the right one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from protocols.modbus.errors import ModbusRefusal, ModbusValueError, refusal
from protocols.modbus.items import Table
from protocols.modbus.registers import WORD_MAX

BROADCAST: Final = 0
UNIT_MAX: Final = 255
"""247 on a serial line; gateways and Modbus TCP devices use up to 255."""
REFUSED: Final = 0x80
"""Set in the function code of an answer that refuses."""
_READ_MAX: Final = {Table.COIL: 2000, Table.DISCRETE: 2000, Table.INPUT: 125, Table.HOLDING: 125}
_WRITE_MAX: Final = 123
_READS: Final[dict[Table, type[ModbusPDU]]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}
_BIT_READS: Final = frozenset((1, 2))
_NOUNS: Final = {
    Table.COIL: "coils",
    Table.DISCRETE: "discrete inputs",
    Table.HOLDING: "holding registers",
    Table.INPUT: "input registers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to one unit.  Make it with the functions below."""

    unit: int
    """1-247 (255 over TCP); 0 is a broadcast, which nobody answers."""
    message: ModbusPDU
    answer_length: int
    """Bytes of the answer from its function code on."""
    answer_head: bytes
    """What those bytes begin with: function and byte count, or function and echo."""
    count: int
    """Registers or bits that a read asks for; 0 for a write."""
    asked: str
    """For messages: ``read 2 holding registers at 0x0000``."""

    @property
    def function(self) -> int:
        """The function code."""
        return self.answer_head[0]

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.count == 0

    def fits(self, body: bytes) -> bool:
        """Whether bytes from the function code on can be the answer."""
        if len(body) == 2:
            return body[0] == self.function | REFUSED
        return len(body) == self.answer_length and body.startswith(self.answer_head)

    def answer(self, body: bytes) -> Answer:
        """Read an answer that `fits`."""
        if body[0] & REFUSED:
            return Answer((), refusal(body[1], self.unit, self.asked))
        data = body[2:]
        if self.function in _BIT_READS:
            bits = (data[at // 8] >> at % 8 & 1 for at in range(self.count))
            return Answer(tuple(bits))
        return Answer(struct.unpack(f">{self.count}H", data) if self.count else ())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    words: tuple[int, ...]
    """Registers, or bits as 0 and 1; empty after a write."""
    refusal: ModbusRefusal | None = None


def read_request(unit: int, table: Table, register: int, count: int) -> Request:
    """Read registers or bits (functions 1-4).

    Raises:
        ModbusValueError: no such unit, or more than one request may ask for.
    """
    asked = f"read {count} {_NOUNS[table]} at 0x{register:04X}"
    _check(unit, register, count, _READ_MAX[table], asked)
    if unit == BROADCAST:
        raise ModbusValueError("A broadcast cannot read: nobody answers it.")
    message = _READS[table](address=register, count=count, dev_id=unit)
    octets = -(-count // 8) if table.is_bits else 2 * count
    return Request(
        unit=unit,
        message=message,
        answer_length=2 + octets,
        answer_head=bytes((message.function_code, octets)),
        count=count,
        asked=asked,
    )


def write_request(unit: int, register: int, words: Sequence[int], function: int = 16) -> Request:
    """Write holding registers: any number with function 16, one with function 6.

    Raises:
        ModbusValueError: no such unit or register, too many words, or words that are not
            0-0xFFFF; or function 6 with several.
    """
    asked = f"write {len(words)} holding registers at 0x{register:04X}"
    _check(unit, register, len(words), _WRITE_MAX, asked)
    if not all(0 <= word <= WORD_MAX for word in words):
        raise ModbusValueError(f"Cannot {asked}: a register holds 0-65535.")
    if function == WriteMultipleRegistersRequest.function_code:
        message: ModbusPDU = WriteMultipleRegistersRequest(
            address=register, registers=list(words), dev_id=unit
        )
        return _write(unit, message, register, len(words), asked)
    if function != WriteSingleRegisterRequest.function_code or len(words) != 1:
        raise ModbusValueError(f"Cannot {asked} with function {function}; use 16.")
    message = WriteSingleRegisterRequest(address=register, registers=list(words), dev_id=unit)
    return _write(unit, message, register, words[0], asked)


def coil_request(unit: int, coil: int, value: int) -> Request:
    """Write one coil (function 5).

    Raises:
        ModbusValueError: no such unit or coil, or a value other than 0 and 1.
    """
    asked = f"write coil 0x{coil:04X}"
    _check(unit, coil, 1, 1, asked)
    if value not in (0, 1):
        raise ModbusValueError(f"Cannot {asked}: a coil is 0 or 1, not {value}.")
    message = WriteSingleCoilRequest(address=coil, bits=[bool(value)], dev_id=unit)
    return _write(unit, message, coil, 0xFF00 if value else 0, asked)


def _write(unit: int, message: ModbusPDU, register: int, echo: int, asked: str) -> Request:
    head = bytes((message.function_code,)) + register.to_bytes(2, "big") + echo.to_bytes(2, "big")
    return Request(
        unit=unit, message=message, answer_length=5, answer_head=head, count=0, asked=asked
    )


def _check(unit: int, register: int, count: int, count_max: int, asked: str) -> None:
    if not 0 <= unit <= UNIT_MAX:
        raise ModbusValueError(f"A Modbus unit is 1-247 (0: all), not {unit}.")
    if not 1 <= count <= count_max:
        raise ModbusValueError(f"Cannot {asked}: one request takes 1-{count_max}.")
    if register < 0 or register + count > WORD_MAX + 1:
        raise ModbusValueError(f"Cannot {asked}: registers are 0x0000-0xFFFF.")
