"""A simulated meter while it runs under a real clock, with its file."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

from simulators import KeypadMeter
from simulators.results import TokenResult
from simulators.state_file import save_state


class MeterClock:
    """The wall clock, or one that runs a whole number of times as fast.  Never goes back."""

    __slots__ = ("_from", "_since_ns", "speed")

    def __init__(self, start: datetime, speed: int) -> None:
        self._from, self._since_ns, self.speed = start, time.monotonic_ns(), speed

    def now(self) -> datetime:
        """The meter's time, UTC."""
        passed_us = (time.monotonic_ns() - self._since_ns) * self.speed // 1_000
        return self._from + timedelta(microseconds=passed_us)

    def run_at(self, speed: int) -> None:
        """Go on from now, so many times as fast."""
        self._from, self._since_ns, self.speed = self.now(), time.monotonic_ns(), speed

    def skip(self, seconds: int) -> None:
        """Jump ahead."""
        self._from += timedelta(seconds=seconds)


class SavedMeter:
    """A meter and the file that must never know less than a person was shown."""

    __slots__ = ("_path", "meter")

    def __init__(self, meter: KeypadMeter, path: Path | None) -> None:
        self.meter, self._path = meter, path

    def save(self) -> None:
        """Put the meter on the disk; nothing without ``--state``."""
        if self._path is not None:
            save_state(self.meter.state, self._path)

    def enter_token(self, digits: str, now: datetime) -> TokenResult:
        """Enter a token and save what it did, then tell."""
        result = self.meter.enter_token(digits, now)
        self.save()
        return result

    def press(self, key: str, now: datetime) -> TokenResult | None:
        """Press a key; if it completed a token, save what that did, then tell."""
        result = self.meter.press(key, now)
        if result is not None:
            self.save()
        return result
