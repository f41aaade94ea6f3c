"""Whose turn it is on a line: first come, first served, with a lane for people who wait.

A caller on demand goes before routine ones, but after `ON_DEMAND_IN_A_ROW` of them one routine
caller has its turn, so that a round of readings always gets on.  A turn is handed over, never
put up: whoever comes later cannot slip in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from protocols.transport.errors import LinkBusy
from protocols.transport.exchange import Priority

ON_DEMAND_IN_A_ROW: Final = 8


class Turns:
    """One holder at a time; the others wait in two queues with one limit together."""

    __slots__ = ("_in_a_row", "_on_demand", "_routine", "_waiting_max", "taken")

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._on_demand: deque[asyncio.Future[None]] = deque()
        self._routine: deque[asyncio.Future[None]] = deque()
        self._in_a_row = 0
        self.taken = False
        """Whether somebody holds the line; a caller that finds False may set it."""

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._on_demand) + len(self._routine)

    async def wait(self, priority: Priority) -> None:
        """Wait until the line is handed over.

        Raises:
            LinkBusy: too many wait already.
            LinkError: whatever `fail_all` was given.
        """
        if self.waiting >= self._waiting_max:
            raise LinkBusy(
                f"{self._waiting_max} requests already wait for this line; ask again later."
            )
        lane = self._on_demand if priority is Priority.ON_DEMAND else self._routine
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give()  # cancelled in the moment in which the line was handed over
            elif turn in lane:
                lane.remove(turn)
            raise

    def give(self) -> None:
        """Hand the line to the next caller, or leave it free."""
        if not self._routine and not self._on_demand:
            self.taken = False
            return
        while turn := self._next():
            if not turn.done():
                turn.set_result(None)
                return
        self.taken = False

    def fail_all(self, error: Exception) -> None:
        """Send every waiting caller away with this error."""
        for lane in (self._on_demand, self._routine):
            while lane:
                turn = lane.popleft()
                if not turn.done():
                    turn.set_exception(error)

    def _next(self) -> asyncio.Future[None] | None:
        if self._on_demand and not (self._routine and self._in_a_row >= ON_DEMAND_IN_A_ROW):
            self._in_a_row += 1
            return self._on_demand.popleft()
        self._in_a_row = 0
        return self._routine.popleft() if self._routine else None
