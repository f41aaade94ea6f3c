"""When a round gives way: more urgent work waits for its line, or the service is about to stop.

Hundreds of rounds of one process ask between all their meters; the database is asked once for all
of them, and again when that is a fifth of a second old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from headend.station import Station
from headend.work.port import Urgency, Work

LOOK_S: Final = 0.2
"""How old what is known may be."""


class GivingWay:
    """What waits for the lines of one process; on one event loop."""

    def __init__(self, station: Station, work: Work) -> None:
        self._station = station
        self._work = work
        self._known: Mapping[int, Urgency] = {}
        self._known_at = -LOOK_S
        self._looking: asyncio.Task[None] | None = None

    async def must(self, line: int, urgency: Urgency, begun_at: float) -> bool:
        """Whether a round gives way on this line.

        Args:
            line: its link.
            urgency: its own.
            begun_at: when its job began, on `time.monotonic`: it was the most urgent then, and
                what is known from before is about others.

        Raises:
            StoreUnavailableError: the database gives no answer.
        """
        if time.monotonic() - self._known_at >= LOOK_S:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            # whoever asks may be broken off; the others still want to know
            await asyncio.shield(self._looking)
        if self._work.is_stopping:
            return True
        most = self._known.get(line) if self._known_at >= begun_at else None
        return most is not None and most < urgency

    async def _look(self) -> None:
        asked_at = time.monotonic()
        self._known = await asyncio.to_thread(self._waiting)
        self._known_at = asked_at

    def _waiting(self) -> Mapping[int, Urgency]:
        with self._station.reading() as connection:
            return self._work.most_urgent(connection)
