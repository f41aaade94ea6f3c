"""Pauses between attempts to open a broken line: doubling, bounded, spread at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_DOUBLINGS_MAX: Final = 32


class BackOff:
    """When a line may be opened again.  Times in seconds on the event loop's clock."""

    __slots__ = ("_doublings", "_first_s", "_jitter", "_max_s", "_until")

    def __init__(self, *, first_s: float, max_s: float, jitter: Callable[[], float]) -> None:
        """A pause lasts 50-100 % (by ``jitter``, 0 .. 1) of ``first_s``, doubled per failure."""
        self._first_s = first_s
        self._max_s = max_s
        self._jitter = jitter
        self._doublings = 0
        self._until = 0.0

    def pause_s(self, now: float) -> float:
        """How long to leave the line alone; 0 or less: try now."""
        return self._until - now

    def failed(self, now: float) -> None:
        """It could not be opened, or broke before it was of any use."""
        pause_s = min(self._first_s * 2.0**self._doublings, self._max_s)
        self._doublings = min(self._doublings + 1, _DOUBLINGS_MAX)
        self._until = now + pause_s * (0.5 + 0.5 * self._jitter())

    def forget(self) -> None:
        """It worked: the next failure counts as the first."""
        self._doublings = 0
        self._until = 0.0
