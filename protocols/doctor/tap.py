"""A line opened with one setting: bytes go out, and everything that comes is heard.

No `Link` here: a link waits for the one answer that fits and drops the rest, and the rest is
what a doctor wants to hear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from protocols.doctor.hearing import Heard, Question, is_echo_so_far, understand
from protocols.doctor.plan import Patience
from protocols.transport.address import LineSettings
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.errors import LinkDown
from protocols.transport.trace import Trace

Opener = Callable[[LineSettings | None, Received, Lost], Awaitable[Channel]]
"""Opens the line with a setting; None: whatever the far end has."""

_ANSWER_BYTES_MAX: Final = 64
"""Addresses and energy registers are shorter."""
_STRETCH_S: Final = 2.0
"""How much longer bytes that keep coming are listened to."""
_CLEAR_S_MAX: Final = 1.0
"""How long we wait for others to finish before we ask."""
_CLEAR_S: Final = 0.05
_HELD_BYTES_MAX: Final = 65_536


class Tap:
    """One connection."""

    def __init__(self, settings: LineSettings | None, trace: Trace | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._character_s = settings.duration_s(1) if settings else 0.0
        self._trace = trace
        self._channel: Channel | None = None
        self._lost: str | None = None
        self._data = bytearray()
        self._first_at: float | None = None
        self._last_at = 0.0
        self._asked = b""
        self._asking = False
        self._wake = asyncio.Event()

    @classmethod
    async def open(cls, opener: Opener, settings: LineSettings | None, trace: Trace | None) -> Tap:
        """Open the line.

        Raises:
            LinkDown: it cannot be opened.
        """
        tap = cls(settings, trace)
        tap._channel = await opener(settings, tap._receive, tap._lose)
        return tap

    async def aclose(self) -> None:
        """Close it, and wait until it is free."""
        if self._channel is not None:
            self._channel.abort()
            await self._channel.wait_closed()

    async def listen(self, seconds: float) -> Heard:
        """Say nothing, and hear what passes.

        Raises:
            LinkDown: the line broke.
        """
        await self._until(self._loop.time() + seconds)
        return self._take(None, None)

    async def ask(self, question: Question, patience: Patience) -> tuple[Heard, Heard]:
        """What came before the question, and what came after.

        The whole time that a meter may think is waited for, also when one has answered: others
        may answer too.

        Raises:
            LinkDown: the line broke.
        """
        before = await self._clear()
        wire = question.wire
        self._asked, self._asking = wire, True
        assert self._channel is not None
        if self._trace is not None:
            self._trace.sent(wire)
        self._channel.write(wire)
        sent_at = self._loop.time() + len(wire) * self._character_s
        ends_at = sent_at + patience.answer_s + patience.way_s
        stretch_s = _ANSWER_BYTES_MAX * self._character_s + _STRETCH_S
        await self._until(ends_at)
        while self._data and self._last_at + patience.quiet_s > self._loop.time():
            if self._loop.time() > ends_at + stretch_s:
                break
            await self._until(self._last_at + patience.quiet_s)
        self._asking = False
        if self._trace is not None:
            self._trace.settled()
        delay_s = None if self._first_at is None else max(0.0, self._first_at - sent_at)
        return before, self._take(question, delay_s)

    async def _clear(self) -> Heard:
        """Let others finish, for a bounded time; gives what they said."""
        until = self._loop.time() + _CLEAR_S_MAX
        while self._last_at + _CLEAR_S > self._loop.time() and self._loop.time() < until:
            await self._until(self._last_at + _CLEAR_S)
        return self._take(None, None)

    def _take(self, question: Question | None, delay_s: float | None) -> Heard:
        data = bytes(self._data)
        self._data.clear()
        self._first_at = None
        return understand(data, question, delay_s)

    async def _until(self, when: float) -> None:
        if self._lost is None:
            try:
                async with asyncio.timeout_at(when):
                    await self._wake.wait()
            except TimeoutError:
                return
        raise LinkDown(f"The line broke while it was examined: {self._lost}.")

    def _receive(self, data: bytes) -> None:
        self._last_at = self._loop.time()
        if len(self._data) < _HELD_BYTES_MAX:
            self._data += data
        if self._trace is not None:
            (self._trace.received if self._asking else self._trace.stray)(data)
        if not self._asking or self._first_at is not None:
            return
        if not is_echo_so_far(bytes(self._data), self._asked):
            self._first_at = self._last_at

    def _lose(self, _channel: Channel, reason: str) -> None:
        self._lost = reason
        self._wake.set()
