"""One at a time for each meter, in the order of coming; nearly free while nobody waits."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Turns:
    """Whose turn it is at each meter.

    ::

        if not turns.take(meter):
            await turns.wait(meter)
        try:
            ...
        finally:
            turns.give(meter)
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]] | None] = {}
        """By meters that somebody has; None: nobody waits there."""

    def take(self, meter: str) -> bool:
        """Take the meter if nobody has it."""
        if meter in self._waiting:
            return False
        self._waiting[meter] = None
        return True

    async def wait(self, meter: str) -> None:
        """Wait until the meter is handed over."""
        lane = self._waiting[meter]
        if lane is None:
            lane = self._waiting[meter] = deque()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(meter)  # cancelled in the moment in which it was handed over
            raise

    def give(self, meter: str) -> None:
        """Hand the meter to the next one, or leave it free."""
        lane = self._waiting[meter]
        while lane:
            turn = lane.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[meter]

    def turn(self, meter: str) -> Turn:
        """The same as an asynchronous context."""
        return Turn(self, meter)


class Turn:
    """``async with turns.turn(meter): …``"""

    __slots__ = ("_meter", "_turns")

    def __init__(self, turns: Turns, meter: str) -> None:
        self._turns = turns
        self._meter = meter

    async def __aenter__(self) -> None:
        """Take the meter, or wait for it."""
        if not self._turns.take(self._meter):
            await self._turns.wait(self._meter)

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Hand it on."""
        self._turns.give(self._meter)
