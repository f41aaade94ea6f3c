"""Keys of jobs: text that sorts as time does."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from typing import Final

_MS_DIGITS: Final = 12
_COUNT_DIGITS: Final = 4
_RANDOM_BYTES: Final = 4
_COUNT_MAX: Final = 16**_COUNT_DIGITS


class _Counter:
    """Millisecond and count within it; never goes back, though a clock may."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._ms = 0
        self._count = 0

    def next(self, ms: int) -> tuple[int, int]:
        with self._lock:
            if ms > self._ms:
                self._ms, self._count = ms, 0
            else:
                self._count += 1
                if self._count == _COUNT_MAX:
                    self._ms, self._count = self._ms + 1, 0
            return self._ms, self._count


_counter: Final = _Counter()


def new_key(now: datetime) -> str:
    """A key that is greater than every earlier one of this process, 24 hexadecimal digits.

    Of different processes the one of the later millisecond is greater.

    Raises:
        ValueError: the time has no zone.
    """
    if now.tzinfo is None:
        raise ValueError("A key needs a time with a zone.")
    since_epoch = now - datetime(1970, 1, 1, tzinfo=UTC)
    ms, count = _counter.next(int(since_epoch.total_seconds() * 1000))
    return f"{ms:0{_MS_DIGITS}x}{count:0{_COUNT_DIGITS}x}{secrets.token_hex(_RANDOM_BYTES)}"
