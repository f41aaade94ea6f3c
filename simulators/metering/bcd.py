"""Whole numbers and clock faces as the wire writes them: BCD, low byte first.

Integers in their last decimal (``XXX.X V`` is tenths of a volt), so that no fraction is ever
rounded on the way; `protocols.dlt645.values` has the general codec, with decimals.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from protocols.dlt645 import MeterTime
from simulators.metering.meter_clock import face, local_of

_SIGN: Final = 0x80


def unsigned(value: int, length: int) -> bytes:
    """A register: what does not fit any more rolls over."""
    digits = 2 * length
    return bytes.fromhex(f"{value % 10**digits:0{digits}d}")[::-1]


def signed(value: int, length: int) -> bytes:
    """A number with its sign in the top bit; what does not fit stands at its limit."""
    digits = 2 * length
    size = min(abs(value), 8 * 10 ** (digits - 1) - 1)
    raw = bytes.fromhex(f"{size:0{digits}d}")[::-1]
    return raw[:-1] + bytes((raw[-1] | _SIGN,)) if value < 0 else raw


def limited(value: int, length: int) -> bytes:
    """A measured value: what does not fit stands at its limit, and nothing is below zero."""
    return unsigned(min(max(value, 0), 100**length - 1), length)


def number(raw: bytes) -> int | None:
    """The inverse of `unsigned`; None where the bytes are no BCD."""
    digits = raw[::-1].hex()
    return int(digits) if digits.isdecimal() else None


def clock_face(local: int, pattern: str) -> bytes:
    """What a clock shows, as ``ss mm hh DD MM YY`` or parts of it.

    Args:
        local: see `meter_clock`.
        pattern: high unit first, as the standard prints it: ``YYMMDDhhmmss``.
    """
    shown = face(local)
    pairs = {
        "YY": shown.year % 100,
        "MM": shown.month,
        "DD": shown.day,
        "WW": shown.isoweekday() % 7,
        "hh": shown.hour,
        "mm": shown.minute,
        "ss": shown.second,
    }
    digits = "".join(
        f"{pairs[pattern[place : place + 2]]:02d}" for place in range(0, len(pattern), 2)
    )
    return bytes.fromhex(digits)[::-1]


def minute_face(local: int | None) -> bytes:
    """``mm hh DD MM YY``, all 00 for None."""
    return bytes(5) if local is None else clock_face(local, "YYMMDDhhmm")


def second_face(local: int | None) -> bytes:
    """``ss mm hh DD MM YY``, all 00 for None."""
    return bytes(6) if local is None else clock_face(local, "YYMMDDhhmmss")


def local_of_time(time: MeterTime) -> int:
    """What the clock shows at a full date (hour, minute and second 0 where not given)."""
    return local_of(time.at(UTC))
