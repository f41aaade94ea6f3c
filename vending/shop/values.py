"""What a program hands over, looked at before anything is done with it.  Pure.

Money and counts are whole numbers, never floats; texts stand on one line; times have a zone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from vending.shop.faults import RequestFormatError, ShopError
from vending.sts import MeterPan

TEXT_LENGTH_MAX: Final = 128
_WHOLE_BITS: Final = 63
"""A whole number of the database has 64 bits, one of them for the sign."""


def require_whole(what: str, number: object, *, fault: type[ShopError] = RequestFormatError) -> int:
    """A whole number that the database can hold.

    Raises:
        ShopError: ``fault``: a float, a bool, text, or beyond 64 bits.
    """
    if isinstance(number, bool) or not isinstance(number, int):
        raise fault(f"{what} must be a whole number, not {type(number).__name__}.")
    if number.bit_length() > _WHOLE_BITS:
        raise fault(f"{what} must be a whole number of at most 64 bits.")
    return number


def require_text(
    what: str,
    text: object,
    *,
    length_max: int = TEXT_LENGTH_MAX,
    fault: type[ShopError] = RequestFormatError,
) -> str:
    """Text that can stand on one line of a receipt.

    Raises:
        ShopError: ``fault``: no text, too long, or with control characters.
    """
    if not isinstance(text, str):
        raise fault(f"{what} must be text, not {type(text).__name__}.")
    if len(text) > length_max or not (text.isprintable() or not text):
        raise fault(f"{what} must be one line of at most {length_max} printable characters.")
    return text


def require_moment(what: str, moment: object) -> datetime:
    """A time with a zone, in UTC.

    Raises:
        RequestFormatError: no zone, or beyond the calendar's first or last year in UTC.
    """
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise RequestFormatError(f"{what} must be a time with a zone.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise RequestFormatError(f"{what} lies beyond the calendar of UTC.") from None


@lru_cache(maxsize=4_096)
def pan_of(number: str) -> MeterPan:
    """The meter's number as the standard has it; a sale asks for it several times.

    Raises:
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """
    return MeterPan.from_drn(number)
