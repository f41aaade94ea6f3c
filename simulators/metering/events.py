"""What the meter noticed: counters, and the last ten records of each kind."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

RECORDS_MAX: Final = 10


class EventKind(Enum):
    """Kinds of events that this meter records."""

    POWER_DOWN = "power down"
    COVER_OPENED = "cover opened"
    TERMINAL_COVER_OPENED = "terminal cover opened"
    REVERSED_A = "reversed, phase A"
    REVERSED_B = "reversed, phase B"
    REVERSED_C = "reversed, phase C"
    PROGRAMMING = "programming"
    TIME_SET = "time set"
    METER_CLEAR = "meter clear"
    DEMAND_CLEAR = "demand clear"
    EVENT_CLEAR = "event clear"


REVERSED: Final = (EventKind.REVERSED_A, EventKind.REVERSED_B, EventKind.REVERSED_C)


class EventRecord(NamedTuple):
    """One event."""

    start_local: int
    """What the meter's clock showed."""
    start: int
    """True second."""
    end_local: int | None = None
    """None: it lasts, or has no duration."""
    end: int | None = None
    operator: str = "00000000"
    detail: int = 0
    """The item that was written or cleared; of a time set, what the clock then showed."""


class EventLog(NamedTuple):
    """All events of one kind."""

    times: int = 0
    seconds: int = 0
    """How long all that have ended lasted together."""
    records: tuple[EventRecord, ...] = ()
    """The latest last."""

    def begun(self, record: EventRecord) -> EventLog:
        """With one more event."""
        return EventLog(self.times + 1, self.seconds, (*self.records, record)[-RECORDS_MAX:])

    def ended(self, local: int, second: int) -> EventLog:
        """With the last event over."""
        if not self.records:
            return self
        last = self.records[-1]._replace(end_local=local, end=second)
        return EventLog(self.times, self.seconds + second - last.start, (*self.records[:-1], last))

    def nth(self, n: int) -> EventRecord | None:
        """The n-th last, counted from 1."""
        return self.records[-n] if 1 <= n <= len(self.records) else None


NO_EVENTS: Final = EventLog()
