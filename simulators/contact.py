"""What is ordered of the contact from outside, and what the contact itself has done.

An order by wire (DL/T 645-2007, control code 1CH) holds the contact open or lets it go; whether it
closes also depends on credit, covers and limits (`supply`).

===============  ====================================================================
order            the contact
===============  ====================================================================
closed           not held by any order
open             held open
close allowed    still held open, until the customer presses the meter's button
===============  ====================================================================

Power protection keeps the contact closed against orders to open and against want of credit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

RECORDS_MAX: Final = 10


class Order(Enum):
    """What was last ordered; the words that profiles use."""

    CLOSED = "closed"
    OPEN = "open"
    CLOSE_ALLOWED = "close_allowed"


@dataclass(frozen=True, slots=True)
class RemoteControl:
    """Orders that are in force.  Seconds as in `moments`."""

    order: Order = Order.CLOSED
    is_protected: bool = False
    """Power protection."""
    is_alarm_on: bool = False
    """The meter warns; nothing else happens."""
    trip_at: int | None = None
    """An announced trip: the second at which the contact opens."""
    after_top_up: Order | None = None
    """After an announced trip: what the next accepted payment makes of the order."""

    @property
    def holds_open(self) -> bool:
        """Whether an order holds the contact open."""
        return self.order is not Order.CLOSED

    def tripped(self) -> RemoteControl:
        """Once an announced trip is due: it is ignored under power protection."""
        order = self.order if self.is_protected else Order.OPEN
        return replace(self, order=order, trip_at=None)

    def topped_up(self) -> RemoteControl:
        """After a payment was accepted: what an announced trip left open, or would have."""
        if self.after_top_up is None:
            return self
        order = self.after_top_up if self.order is Order.OPEN else self.order
        return replace(self, order=order, trip_at=None, after_top_up=None)

    def button_pressed(self) -> RemoteControl:
        """After the customer pressed the button that closes."""
        if self.order is not Order.CLOSE_ALLOWED:
            return self
        return replace(self, order=Order.CLOSED)


NO_ORDERS: Final = RemoteControl()


@dataclass(frozen=True, slots=True)
class ContactLog:
    """When the contact last moved, for whatever reason."""

    is_closed: bool | None = None
    """None: never looked at yet."""
    openings: int = 0
    closings: int = 0
    opened_at: tuple[int, ...] = ()
    """Seconds of the last 10 openings, the latest last."""
    closed_at: tuple[int, ...] = ()

    def seen(self, *, closed: bool, second: int) -> ContactLog:
        """The log after the contact was found closed or open at a second."""
        if self.is_closed is closed:
            return self
        if self.is_closed is None:
            return _FIRST_SEEN[closed]
        if closed:
            closed_at = (*self.closed_at, second)[-RECORDS_MAX:]
            return ContactLog(True, self.openings, self.closings + 1, self.opened_at, closed_at)
        opened_at = (*self.opened_at, second)[-RECORDS_MAX:]
        return ContactLog(False, self.openings + 1, self.closings, opened_at, self.closed_at)


NO_LOG: Final = ContactLog()
_FIRST_SEEN: Final = (ContactLog(False), ContactLog(True))
