"""The root of every fault that the vending room raises.

One class and one stable ``code`` per fault; the message says what to do.  Codes are part of
the interface: they are printed by ``--json`` commands and may be matched on by programs.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class FaultFamily(Enum):
    """What kind of fault it is, and so who has to act."""

    BUSINESS = "business"
    """A rule of the counter or a wrong value: the clerk can put it right."""
    PROTOCOL = "protocol"
    """The request's form is wrong: the calling program has to be put right."""
    SYSTEM = "system"
    """The installation is at fault: the operator has to act."""


class VendingError(Exception):
    """Any fault of the vending room.  ``code`` is stable, the message is for people."""

    code: ClassVar[str] = "vending_error"
    family: ClassVar[FaultFamily] = FaultFamily.BUSINESS
