"""How fast rounds go on, from looks of the last minutes: what is left of their time."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headend.service.overview import RoundLine

_WINDOW: Final = timedelta(minutes=1)
_LEAST: Final = timedelta(seconds=3)
_A_SECOND: Final = timedelta(seconds=1)


class Pace:
    """Remembers how many meters of each open round were settled when."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[datetime, int]]] = {}

    def note(self, at: datetime, rounds: Sequence[RoundLine]) -> None:
        """Another look."""
        self._seen = {each.round_id: self._seen.get(each.round_id, deque()) for each in rounds}
        for each in rounds:
            seen = self._seen[each.round_id]
            seen.append((at, each.settled))
            while at - seen[0][0] > _WINDOW:
                seen.popleft()

    def left(self, each: RoundLine, now: datetime) -> timedelta | None:
        """The time that the rest of a round takes as things go; None: it stands, and waits.

        By the last minute, where there were looks; else by the time since the round began, unless
        that leaves less than a second: what is left then is what did not answer.
        """
        if not each.waiting:
            return timedelta()
        seen = self._seen.get(each.round_id)
        if seen and seen[-1][0] - seen[0][0] >= _LEAST:
            (since, before), (until, settled) = seen[0], seen[-1]
            took, done = until - since, settled - before
        else:
            took, done = now - each.began_at, each.settled
        if done <= 0 or took * each.waiting < done * _A_SECOND:
            return None
        return min(took * each.waiting / done, max(each.closes_at - now, timedelta()))
