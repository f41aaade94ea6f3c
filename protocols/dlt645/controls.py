"""Control codes of both editions (spec sections 2 and 5).

::

    D7 0 from the master, 1 from the meter · D6 1 abnormal answer · D5 1 more data follows
    D4-D0 function

So a normal answer is the request's code | 80H, one with more to fetch | A0H, a refusal | C0H.
The two editions share bits and framing but not the functions' numbers.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

from protocols.dlt645.codec import Frame


class Edition(StrEnum):
    """Which edition of DL/T 645 a meter speaks."""

    Y1997 = "1997"
    Y2007 = "2007"


class Function2007(IntEnum):
    """D4-D0 in DL/T 645-2007 (spec section 2; grades there)."""

    SECURITY = 0x03
    BROADCAST_TIME = 0x08
    READ_DATA = 0x11
    READ_FOLLOWING = 0x12
    READ_ADDRESS = 0x13
    WRITE_DATA = 0x14
    WRITE_ADDRESS = 0x15
    FREEZE = 0x16
    CHANGE_BAUD = 0x17
    CHANGE_PASSWORD = 0x18
    CLEAR_DEMAND = 0x19
    CLEAR_METER = 0x1A
    CLEAR_EVENTS = 0x1B
    RELAY_CONTROL = 0x1C
    MULTI_FUNCTION_OUTPUT = 0x1D


class Function1997(IntEnum):
    """D4-D0 in DL/T 645-1997 (spec section 5).

    The vendor codes are those of one real meter's firmware (FW97).
    """

    READ_DATA = 0x01
    READ_FOLLOWING = 0x02
    REREAD_DATA = 0x03
    WRITE_DATA = 0x04
    VENDOR_05 = 0x05
    BROADCAST_TIME = 0x08
    VENDOR_09 = 0x09
    WRITE_ADDRESS = 0x0A
    VENDOR_0B = 0x0B
    CHANGE_BAUD = 0x0C
    VENDOR_0D = 0x0D
    CHANGE_PASSWORD = 0x0F
    CLEAR_DEMAND = 0x10


Function = Function2007 | Function1997


class AnswerKind(IntEnum):
    """D7-D5 of an answer."""

    NORMAL = 0x80
    FOLLOW_UP = 0xA0
    ABNORMAL = 0xC0


FUNCTION_MASK: Final = 0x1F


def answer_control(function: int, kind: AnswerKind = AnswerKind.NORMAL) -> int:
    """The control code of an answer to this function."""
    return function | kind


def function_of(control: int, edition: Edition) -> Function | None:
    """The function of a control code, or None where the edition knows none of that number."""
    number = control & FUNCTION_MASK
    try:
        return Function2007(number) if edition is Edition.Y2007 else Function1997(number)
    except ValueError:
        return None


def function_name(function: Function | None) -> str | None:
    """The function in words, such as ``read data``."""
    return None if function is None else function.name.lower().replace("_", " ")


_ONLY_1997: Final = frozenset(Function1997) - frozenset(Function2007)
_REREAD_REQUEST_BYTES: Final = 2


def guess_edition(frame: Frame) -> Edition:
    """The edition that a frame most likely belongs to, by its function (and 03H by its length).

    08H is the same in both and 2007 is the answer for it; so is everything that neither knows.
    """
    if frame.function in _ONLY_1997:
        return Edition.Y1997
    reread = frame.function == Function1997.REREAD_DATA and not frame.from_meter
    if reread and len(frame.data) == _REREAD_REQUEST_BYTES:
        return Edition.Y1997
    return Edition.Y2007
