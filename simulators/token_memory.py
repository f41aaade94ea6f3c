"""The 50 places in which a meter remembers the tokens it took (IEC 62055-41, clause 8.2).

A token identifier (TID) that is remembered was used; one that is older than the oldest
remembered, while no place is free, may have been used and is refused as old.  A newer one takes
a free place, or the place of the oldest.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from simulators.errors import SimulatorValueError
from simulators.results import Outcome
from vending.sts import TID_MAX

PLACES: Final = 50


@dataclass(frozen=True, slots=True)
class TokenMemory:
    """Remembered TIDs, ascending, at most `PLACES`."""

    tids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        tids = self.tids
        ascending = all(tids[i] < tids[i + 1] for i in range(len(tids) - 1))
        if (
            len(tids) > PLACES
            or not ascending
            or (tids and not 0 <= tids[0] <= tids[-1] <= TID_MAX)
        ):
            raise SimulatorValueError(
                f"A token memory holds up to {PLACES} ascending token identifiers of 24 bits."
            )

    def objection_to(self, tid: int) -> Outcome | None:
        """Why a token with this TID is refused: `Outcome.USED_ERROR`, `Outcome.OLD_ERROR`."""
        place = bisect_left(self.tids, tid)
        if place < len(self.tids) and self.tids[place] == tid:
            return Outcome.USED_ERROR
        if place == 0 and len(self.tids) == PLACES:
            return Outcome.OLD_ERROR
        return None

    def with_used(self, tid: int) -> TokenMemory:
        """The memory after a token without objection was taken."""
        place = bisect_left(self.tids, tid)
        kept = (*self.tids[:place], tid, *self.tids[place:])
        return TokenMemory(kept[-PLACES:])
