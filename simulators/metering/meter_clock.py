"""The meter's own clock: it drifts, and it is set by wire.

Two kinds of seconds, both whole numbers:

* a *second* is true time, counted as in `simulators.moments`;
* a *local* is what the clock of this meter shows, counted from 1970-01-01 00:00 on its own face.

Drift is in millionths (ppm), so that a clock with 20 ppm gains 1.7 s a day.  Settings are kept, so
that a midnight of last week stays where it was when the clock is set today.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from simulators.moments import EPOCH

_MILLION: Final = 1_000_000
SETTINGS_KEPT: Final = 16
SECONDS_PER_DAY: Final = 86_400


class ClockSetting(NamedTuple):
    """From which second on the clock ran how far ahead."""

    since: int
    offset: int
    """Local minus true seconds at ``since``."""


class Span(NamedTuple):
    """From one setting of the clock to the next."""

    setting: ClockSetting
    since: int
    """Second of the setting."""
    start: int
    """What the clock then showed."""
    end: int
    """What it would have shown at the next setting (it never did)."""
    passed_over: int
    """When the clock was set forward: what it would have shown instead of ``start``."""


@dataclass(frozen=True, slots=True)
class MeterClock:
    """A clock with its drift and its settings, the latest last."""

    settings: tuple[ClockSetting, ...]
    drift_ppm: int = 0
    """Positive: it runs fast."""

    @classmethod
    def right(cls, second: int, utc_offset_min: int, drift_ppm: int = 0) -> MeterClock:
        """A clock that shows the right time of its zone now."""
        return cls((ClockSetting(second, utc_offset_min * 60),), drift_ppm)

    def local(self, second: int) -> int:
        """What the clock shows at a second, or would have shown before its first setting."""
        for setting in reversed(self.settings):
            if setting.since <= second:
                return self._shown(setting, second)
        return self._shown(self.settings[0], second)

    def spans(self, now: int) -> Iterator[Span]:
        """What the clock showed between its settings, the latest first."""
        end = self.local(now) + 1
        for place in range(len(self.settings) - 1, -1, -1):
            setting = self.settings[place]
            if setting.since > now:
                continue
            since, start = setting.since, setting.since + setting.offset
            if place:
                before = self._shown(self.settings[place - 1], since)
                yield Span(setting, since, start, end, min(before, start))
                end = before
            else:
                yield Span(setting, since, start, end, start)

    def reached(self, span: Span, local: int) -> int:
        """The second of a span at which the clock first showed this, or was set past it."""
        return max(span.since, self._reached(span.setting, local))

    def second_of(self, local: int, now: int) -> int | None:
        """The second up to now at which the clock last came to show this; None: it did not."""
        for span in self.spans(now):
            if span.start <= local < span.end:
                return self.reached(span, local)
        return None

    def next_at(self, local: int, after: int) -> int:
        """The second at which the clock will show this, if nobody sets it after a second."""
        for setting in reversed(self.settings):
            if setting.since <= after:
                return self._reached(setting, local)
        return self._reached(self.settings[0], local)

    def set_to(self, local: int, second: int) -> MeterClock:
        """The clock after it was set at a second.  Only the last 16 settings are kept."""
        setting = ClockSetting(second, local - second)
        earlier = tuple(s for s in self.settings if s.since < second)
        return MeterClock((*earlier, setting)[-SETTINGS_KEPT:], self.drift_ppm)

    def _reached(self, setting: ClockSetting, local: int) -> int:
        passed = local - setting.since - setting.offset
        second = setting.since + passed * _MILLION // (_MILLION + self.drift_ppm)
        while self._shown(setting, second) < local:
            second += 1
        while self._shown(setting, second - 1) >= local:
            second -= 1
        return second

    def _shown(self, setting: ClockSetting, second: int) -> int:
        passed = second - setting.since
        return second + setting.offset + passed * self.drift_ppm // _MILLION


def face(local: int) -> datetime:
    """What the clock shows, as a date and time of its own zone (the zone's name is lost)."""
    return EPOCH + timedelta(seconds=local)


def local_of(shown: datetime) -> int:
    """The inverse of `face`; parts of seconds are dropped."""
    return int((shown - EPOCH) // timedelta(seconds=1))


def minute_of_day(local: int) -> int:
    """0-1439."""
    return local % SECONDS_PER_DAY // 60


def midnight(local: int) -> int:
    """The beginning of the day."""
    return local - local % SECONDS_PER_DAY
