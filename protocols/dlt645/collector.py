"""A frame inside a frame: the collectors' extension (spec section 4.5, grade C).

A read (11) or its answer (91) of the item E5E50000 carries another frame unchanged: only the
identifier is shifted by 33H on the wire, the inner frame's bytes are not shifted once more.
"""

from __future__ import annotations

from typing import Final

from protocols.dlt645.codec import Frame, decode, encode
from protocols.dlt645.controls import AnswerKind, Function2007
from protocols.dlt645.errors import LayoutError, TooLongError

CARRIED: Final = 0xE5E5_0000
_DI: Final = CARRIED.to_bytes(4, "little")
_INNER_BYTES_MAX: Final = 255 - len(_DI)
_UNSHIFT: Final = bytes((byte - 0x33) & 0xFF for byte in range(256))
_SHIFT: Final = bytes((byte + 0x33) & 0xFF for byte in range(256))


def wrap(inner: Frame, collector: str, *, answer: bool = False) -> Frame:
    """The frame that carries ``inner`` to a collector, or back from it.

    Raises:
        TooLongError: it does not fit.
    """
    wire = encode(inner, preamble=0)
    if len(wire) > _INNER_BYTES_MAX:
        raise TooLongError(f"A frame of {len(wire)} bytes does not fit into another one.")
    control = Function2007.READ_DATA | (AnswerKind.NORMAL if answer else 0)
    return Frame(collector, control, _DI + wire.translate(_UNSHIFT))


def unwrap(outer: Frame) -> Frame | None:
    """The frame that is carried, or None where none is.

    Raises:
        LayoutError: not a read of E5E50000.
        RemoteProtocolError: what it carries is no good frame.
    """
    if outer.function != Function2007.READ_DATA or not outer.data.startswith(_DI):
        raise LayoutError(f"The frame is no read of {CARRIED:08X}.")
    wire = outer.data[len(_DI) :].translate(_SHIFT)
    return decode(wire) if wire else None
