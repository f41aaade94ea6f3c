"""The keypad: digits on their way to a token, and the lock against guessing.

Typing
    A dash stands after each four digits.  The twentieth digit enters the token; 20 s after the
    last key an unfinished entry is given up, which is not a rejection.
Lock
    The third rejected entry locks for 10 s, and each further one for twice as long as the one
    before, up to 1280 s.  An accepted token of class 0 or 2 ends the series.  A test token
    (class 1) works while locked, and because anybody can have one it neither ends the series
    nor lifts the lock.  The lock is part of the meter's saved state: a power cut must not lift
    it.  Entries refused because of the lock do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from simulators.errors import SimulatorValueError, UnknownKeyError
from simulators.moments import seconds_until
from vending.sts import grouped

BACKSPACE: Final = "backspace"
TOKEN_DIGITS: Final = 20
GIVE_UP_AFTER: Final = timedelta(seconds=20)

REJECTIONS_BEFORE_LOCK: Final = 3
FIRST_LOCK: Final = timedelta(seconds=10)
_DOUBLINGS_MAX: Final = 7
LONGEST_LOCK: Final = FIRST_LOCK * 2**_DOUBLINGS_MAX
"""1280 s."""


@dataclass(frozen=True, slots=True)
class Typing:
    """An unfinished entry."""

    digits: str = ""
    last_key_at: datetime | None = None

    def at(self, now: datetime) -> Typing:
        """The entry as it is now: empty once it was given up."""
        if self.last_key_at is None or now - self.last_key_at < GIVE_UP_AFTER:
            return self
        return Typing()

    def with_key(self, key: str, now: datetime) -> Typing:
        """The entry after one more key.

        Raises:
            UnknownKeyError: neither a digit 0-9 nor `BACKSPACE`.
        """
        typed = self.at(now).digits
        if key == BACKSPACE:
            return Typing(typed[:-1], now)
        if len(key) != 1 or key not in "0123456789":
            raise UnknownKeyError(f"The keypad has digits and backspace, no key {key!r}.")
        return Typing((typed + key)[:TOKEN_DIGITS], now)

    @property
    def is_complete(self) -> bool:
        """Whether the twentieth digit is there."""
        return len(self.digits) == TOKEN_DIGITS

    @property
    def shown(self) -> str:
        """As the display shows it: ``1234-5678-9``, with a dash after each full four."""
        if not self.digits:
            return ""
        dash = "-" if len(self.digits) % 4 == 0 and not self.is_complete else ""
        return grouped(self.digits).replace(" ", "-") + dash


@dataclass(frozen=True, slots=True)
class EntryLock:
    """Rejected entries in a row, and until when the keypad is locked for them."""

    rejections: int = 0
    locked_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.rejections < 0:
            raise SimulatorValueError("Rejected entries cannot be fewer than none.")

    def locked_for_s(self, now: datetime) -> int:
        """Whole seconds that the lock still lasts, rounded up; 0 when there is none."""
        return 0 if self.locked_until is None else seconds_until(self.locked_until, now)

    def after_rejection(self, now: datetime) -> EntryLock:
        """The lock after one more rejected entry."""
        rejections = self.rejections + 1
        if rejections < REJECTIONS_BEFORE_LOCK:
            return EntryLock(rejections)
        doublings = min(rejections - REJECTIONS_BEFORE_LOCK, _DOUBLINGS_MAX)
        return EntryLock(rejections, now + FIRST_LOCK * 2**doublings)
