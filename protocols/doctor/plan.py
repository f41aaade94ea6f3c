"""What the doctor tries, and how long it waits.

Speeds and characters in the order in which meters in the field have them (spec section 1):
RS-485 leaves the factory with 2400 8E1 (2007), newer meters with 9600 8E1, 1997 with 1200 8E1.
Even parity is the standard; no parity is the commonest mistake of whoever set the port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.transport.address import LineSettings, Parity

FIRST: Final = LineSettings(baud=2400, parity=Parity.EVEN)
"""What a 2007 meter leaves the factory with."""

_ORDER: Final = (
    (2400, Parity.EVEN),
    (9600, Parity.EVEN),
    (1200, Parity.EVEN),
    (4800, Parity.EVEN),
    (19200, Parity.EVEN),
    (9600, Parity.NONE),
    (2400, Parity.NONE),
    (1200, Parity.NONE),
    (4800, Parity.NONE),
    (600, Parity.EVEN),
    (19200, Parity.NONE),
    (9600, Parity.ODD),
    (2400, Parity.ODD),
    (1200, Parity.ODD),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things may last, in seconds."""

    listen_s: float = 3.0
    """Silence is listened to for so long; also a second time, at the settings that were found."""
    answer_s: float = 0.6
    """From the end of a question to the begin of the answer: the longest Td (0.5 s) and a
    margin for adapters."""
    way_s: float = 0.0
    """What a network adds."""
    quiet_s: float = 0.15
    """A pause after which nothing more belongs to an answer; a gateway may cut one in pieces."""
    open_s: float = 10.0
    """A connection may take so long."""
    total_s: float = 240.0
    """All steps together.  The last question that was asked is still waited for."""


SERIAL_PATIENCE: Final = Patience()
NETWORK_PATIENCE: Final = Patience(way_s=1.0, quiet_s=0.3)


def settings_to_try(own: LineSettings) -> list[LineSettings]:
    """The link's own setting first, then all others by likelihood."""
    others = (LineSettings(baud=baud, parity=parity) for baud, parity in _ORDER)
    return [own, *(setting for setting in others if setting != own)]
