"""Faults of Modbus: one class and one stable code each.

A server that cannot do what it was asked answers with an exception code; each code of the
standard (Modbus Application Protocol V1.1b3, clause 7) has its own class below, all of them
`ModbusRefusal`.  A refusal is an answer: the server is there and has understood.

====  ==============================  ====================================================
code  class                           what it says
====  ==============================  ====================================================
01    `IllegalFunctionError`          the meter does not know this function
02    `IllegalDataAddressError`       it has no such register, or not so many in one go
03    `IllegalDataValueError`         the value, or the length, is not allowed
04    `ServerDeviceFailureError`      it failed while doing it: nobody knows how far it got
05    `AcknowledgeError`              it has begun and needs longer
06    `ServerDeviceBusyError`         it is busy with another command; nothing was done
07    `NegativeAcknowledgeError`      it cannot do it (old devices)
08    `MemoryParityError`             its memory is damaged
0A    `GatewayPathUnavailableError`   the gateway has no way to the line
0B    `GatewayTargetFailedError`      the gateway got no answer from the meter
====  ==============================  ====================================================
"""

from __future__ import annotations

from typing import ClassVar, Final

from protocols.errors import LocalProtocolError, RemoteProtocolError


class ModbusValueError(LocalProtocolError):
    """A value, unit, register or item that cannot be asked for; nothing was sent."""

    code: ClassVar[str] = "modbus_value"


class ProfileError(LocalProtocolError):
    """A meter profile is missing or has a mistake; the message names the file and the place."""

    code: ClassVar[str] = "modbus_profile"


class ModbusFrameError(RemoteProtocolError):
    """What arrived cannot be a Modbus answer; the connection may be out of step."""

    code: ClassVar[str] = "modbus_frame"


class RegisterContentError(RemoteProtocolError):
    """Registers hold what their type does not allow, for example no decimal digits in BCD."""

    code: ClassVar[str] = "modbus_register_content"


class ModbusRefusal(RemoteProtocolError):  # noqa: N818  (an answer more than an error)
    """The server answered with an exception code."""

    code: ClassVar[str] = "modbus_refusal"
    exception_code: ClassVar[int] = 0
    """The standard's number; 0 here, where the class stands for any."""
    leaves_doubt: ClassVar[bool] = False
    """Whether a write that was answered so may have been carried out all the same."""


class IllegalFunctionError(ModbusRefusal):
    """01: the meter does not know the function."""

    code: ClassVar[str] = "modbus_illegal_function"
    exception_code: ClassVar[int] = 1


class IllegalDataAddressError(ModbusRefusal):
    """02: no such register, or the range runs past the last one."""

    code: ClassVar[str] = "modbus_illegal_data_address"
    exception_code: ClassVar[int] = 2


class IllegalDataValueError(ModbusRefusal):
    """03: the value or the length of the request is not allowed."""

    code: ClassVar[str] = "modbus_illegal_data_value"
    exception_code: ClassVar[int] = 3


class ServerDeviceFailureError(ModbusRefusal):
    """04: an unrecoverable fault while the meter was doing it."""

    code: ClassVar[str] = "modbus_server_device_failure"
    exception_code: ClassVar[int] = 4
    leaves_doubt: ClassVar[bool] = True


class AcknowledgeError(ModbusRefusal):
    """05: begun, and it takes longer than an answer may."""

    code: ClassVar[str] = "modbus_acknowledge"
    exception_code: ClassVar[int] = 5
    leaves_doubt: ClassVar[bool] = True


class ServerDeviceBusyError(ModbusRefusal):
    """06: busy with another command; ask again later."""

    code: ClassVar[str] = "modbus_server_device_busy"
    exception_code: ClassVar[int] = 6


class NegativeAcknowledgeError(ModbusRefusal):
    """07: the meter cannot do it."""

    code: ClassVar[str] = "modbus_negative_acknowledge"
    exception_code: ClassVar[int] = 7


class MemoryParityError(ModbusRefusal):
    """08: the meter found its extended memory damaged."""

    code: ClassVar[str] = "modbus_memory_parity"
    exception_code: ClassVar[int] = 8
    leaves_doubt: ClassVar[bool] = True


class GatewayPathUnavailableError(ModbusRefusal):
    """0A: the gateway has no path to the line, or is overloaded."""

    code: ClassVar[str] = "modbus_gateway_path_unavailable"
    exception_code: ClassVar[int] = 0x0A


class GatewayTargetFailedError(ModbusRefusal):
    """0B: the meter behind the gateway did not answer."""

    code: ClassVar[str] = "modbus_gateway_target_failed"
    exception_code: ClassVar[int] = 0x0B
    leaves_doubt: ClassVar[bool] = True


class UnknownRefusal(ModbusRefusal):
    """An exception code that the standard does not have; see the message."""

    code: ClassVar[str] = "modbus_unknown_refusal"
    leaves_doubt: ClassVar[bool] = True


_TEXTS: Final[dict[type[ModbusRefusal], str]] = {
    IllegalFunctionError: "does not know this function (exception 01)",
    IllegalDataAddressError: "has no such register, or not so many in one request (exception 02)",
    IllegalDataValueError: "does not allow this value or length (exception 03)",
    ServerDeviceFailureError: "failed while doing it (exception 04)",
    AcknowledgeError: "has begun and needs longer (exception 05)",
    ServerDeviceBusyError: "is busy, ask again later (exception 06)",
    NegativeAcknowledgeError: "cannot do it (exception 07)",
    MemoryParityError: "found its memory damaged (exception 08)",
    GatewayPathUnavailableError: "cannot be reached by the gateway (exception 0A)",
    GatewayTargetFailedError: "did not answer the gateway (exception 0B)",
}
_BY_CODE: Final = {refusal.exception_code: refusal for refusal in _TEXTS}


def refusal(exception_code: int, unit: int, asked: str) -> ModbusRefusal:
    """The named error for an exception code.

    Args:
        exception_code: as it came, 0-255.
        unit: who answered.
        asked: what was asked, for the message: ``"read 2 holding registers at 0x0000"``.
    """
    found = _BY_CODE.get(exception_code)
    if found is None:
        return UnknownRefusal(
            f"Unit {unit} refused to {asked}: exception {exception_code:02X}, which the standard "
            "does not have; see the maker's manual."
        )
    return found(f"Unit {unit} {_TEXTS[found]}: {asked}.")
