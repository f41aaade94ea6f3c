"""How long a meter thinks before it answers: learned, so that a dead one costs little.

The standard's response delay Td is 20-500 ms (DL/T 645-2007, spec section 1); networks add
theirs.  What a meter really takes is smoothed as TCP smooths round trips (RFC 6298: mean + 4 x
deviation, weights 1/8 and 1/4).  Answers to a repeated request teach nothing exact, since
nobody knows which request they belong to (Karn's rule), but they bound the delay from above.

When no answer comes, the allowance doubles: up to ``first_s`` if there was silence, which may
last as long as the meter is dead; up to ``max_s`` if bytes came, for they may have been the
answer to the request before, as behind a slow gateway.
"""

from __future__ import annotations

from typing import Final

_MEAN_WEIGHT: Final = 1 / 8
_DEVIATION_WEIGHT: Final = 1 / 4
_DEVIATIONS: Final = 4
_DEVIATION_MIN_S: Final = 0.002
_CALM_S: Final = 0.0025
_LATE_RESERVE: Final = 1.25


class LearnedDelay:
    """One meter's allowance."""

    __slots__ = ("_deviation_s", "_max_s", "_mean_s", "_min_s", "allowance_s", "calm_s", "first_s")

    def __init__(self, *, first_s: float, min_s: float, max_s: float) -> None:
        """Times in seconds, ``min_s <= first_s <= max_s``."""
        self.first_s = first_s
        """Allowed to a meter of which nothing is known."""
        self._min_s = min_s
        self._max_s = max_s
        self._mean_s: float | None = None
        self._deviation_s = 0.0
        self.allowance_s = first_s
        """Seconds that the next answer may take to begin, within ``min_s .. max_s``."""
        self.calm_s = -1.0
        """An answer that begins sooner changes nothing and need not be learned."""

    def learn(self, delay_s: float) -> None:
        """An answer began this long after its only request had ended."""
        mean_s = self._mean_s
        if mean_s is None:
            self._mean_s = mean_s = delay_s
            self._deviation_s = delay_s / 2
        else:
            error_s = delay_s - mean_s
            self._mean_s = mean_s = mean_s + error_s * _MEAN_WEIGHT
            if error_s < 0:
                error_s = -error_s
            self._deviation_s += (error_s - self._deviation_s) * _DEVIATION_WEIGHT
        # Comparisons instead of min() and max(): this is done for every answer.
        deviation_s = self._deviation_s
        if deviation_s < _DEVIATION_MIN_S:
            deviation_s = _DEVIATION_MIN_S
        allowance_s = mean_s + _DEVIATIONS * deviation_s
        if allowance_s < self._min_s:
            allowance_s = self._min_s
        elif allowance_s > self._max_s:
            allowance_s = self._max_s
        self.allowance_s = allowance_s
        calm = max(mean_s, deviation_s) < min(_CALM_S, self._min_s / 8)
        self.calm_s = _CALM_S if calm else -1.0

    def late(self, delay_s: float) -> None:
        """An answer came too late, or to a repeated request, at most this long after the first."""
        self.allowance_s = min(max(self.allowance_s, delay_s * _LATE_RESERVE), self._max_s)

    def missed(self, *, heard: bool) -> None:
        """No answer in time; ``heard`` tells whether other bytes came."""
        limit_s = self._max_s if heard else self.first_s
        if self.allowance_s < limit_s:
            self.allowance_s = min(self.allowance_s * 2, limit_s)
