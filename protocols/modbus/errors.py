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
    says: ClassVar[str] = ""
    """What the unit says with it, for a message that begins with the unit."""
    leaves_doubt: ClassVar[bool] = False
    """Whether a write that was answered so may have been carried out all the same."""

    def __init_subclass__(
        cls, *, exception_code: int = 0, says: str = "", leaves_doubt: bool = False
    ) -> None:
        cls.exception_code, cls.says, cls.leaves_doubt = exception_code, says, leaves_doubt


class IllegalFunctionError(ModbusRefusal, exception_code=0x01, says="does not know this function"):
    """The meter does not know the function."""

    code: ClassVar[str] = "modbus_illegal_function"


class IllegalDataAddressError(
    ModbusRefusal,
    exception_code=0x02,
    says="has no such register, or not so many in one request",
):
    """No such register, or the range runs past the last one."""

    code: ClassVar[str] = "modbus_illegal_data_address"


class IllegalDataValueError(
    ModbusRefusal, exception_code=0x03, says="does not allow this value or length"
):
    """The value or the length of the request is not allowed."""

    code: ClassVar[str] = "modbus_illegal_data_value"


class ServerDeviceFailureError(
    ModbusRefusal, exception_code=0x04, says="failed while doing it", leaves_doubt=True
):
    """An unrecoverable fault while the meter was doing it."""

    code: ClassVar[str] = "modbus_server_device_failure"


class AcknowledgeError(
    ModbusRefusal, exception_code=0x05, says="has begun and needs longer", leaves_doubt=True
):
    """Begun, and it takes longer than an answer may."""

    code: ClassVar[str] = "modbus_acknowledge"


class ServerDeviceBusyError(ModbusRefusal, exception_code=0x06, says="is busy, ask again later"):
    """Busy with another command; ask again later."""

    code: ClassVar[str] = "modbus_server_device_busy"


class NegativeAcknowledgeError(ModbusRefusal, exception_code=0x07, says="cannot do it"):
    """The meter cannot do it."""

    code: ClassVar[str] = "modbus_negative_acknowledge"


class MemoryParityError(
    ModbusRefusal, exception_code=0x08, says="found its memory damaged", leaves_doubt=True
):
    """The meter found its extended memory damaged."""

    code: ClassVar[str] = "modbus_memory_parity"


class GatewayPathUnavailableError(
    ModbusRefusal, exception_code=0x0A, says="cannot be reached by the gateway"
):
    """The gateway has no path to the line, or is overloaded."""

    code: ClassVar[str] = "modbus_gateway_path_unavailable"


class GatewayTargetFailedError(
    ModbusRefusal, exception_code=0x0B, says="did not answer the gateway", leaves_doubt=True
):
    """The meter behind the gateway did not answer."""

    code: ClassVar[str] = "modbus_gateway_target_failed"


class UnknownRefusal(ModbusRefusal, leaves_doubt=True):
    """An exception code that the standard does not have; see the message."""

    code: ClassVar[str] = "modbus_unknown_refusal"


_BY_CODE: Final = {each.exception_code: each for each in ModbusRefusal.__subclasses__()}
"""Where 0 is `UnknownRefusal`: no server answers with exception 00."""


def refusal(exception_code: int, unit: int, asked: str) -> ModbusRefusal:
    """The named error for an exception code.

    Args:
        exception_code: as it came, 0-255.
        unit: who answered.
        asked: what was asked, for the message: ``"read 2 holding registers at 0x0000"``.
    """
    found = _BY_CODE.get(exception_code, UnknownRefusal)
    if found is UnknownRefusal:
        return found(
            f"Unit {unit} refused to {asked}: exception {exception_code:02X}, which the standard "
            "does not have; see the maker's manual."
        )
    return found(f"Unit {unit} {found.says} (exception {exception_code:02X}): {asked}.")
