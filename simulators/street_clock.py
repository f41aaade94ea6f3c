"""The one clock of a street: real time, a multiple of it, or one that a test moves."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Protocol

from simulators.errors import SimulatorValueError
from simulators.moments import utc


class StreetClock(Protocol):
    """What time it is for all meters; never goes back."""

    def now(self) -> datetime:
        """The meters' true time, UTC."""


class RunningClock:
    """Real time from a start, or so many times as fast.

    Raises:
        SimulatorValueError: a speed below 1.
    """

    __slots__ = ("_from", "_since_ns", "_speed")

    def __init__(self, start: datetime, speed: int = 1) -> None:
        if speed < 1:
            raise SimulatorValueError("A clock runs at 1 or more times the real speed.")
        self._from = utc(start)
        self._since_ns = time.monotonic_ns()
        self._speed = speed

    def now(self) -> datetime:
        """See `StreetClock`."""
        passed_us = (time.monotonic_ns() - self._since_ns) * self._speed // 1_000
        return self._from + timedelta(microseconds=passed_us)


class HeldClock:
    """Stands still until somebody moves it."""

    __slots__ = ("_now",)

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        """See `StreetClock`."""
        return self._now

    def wait(self, seconds: int = 0, **more: int) -> None:
        """Let time pass; ``more`` as in `timedelta`."""
        self._now += timedelta(seconds=seconds, **more)
