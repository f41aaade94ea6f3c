"""One connection's life: bytes in, bytes out, and its end.

A `Link` outlives its connections; a `Channel` is one of them and serves one link.  It belongs to
the event loop that made it.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

_CLOSE_S_MAX: Final = 2.0

Received = Callable[[bytes], None]
Lost = Callable[["Channel", str], None]


class Channel(asyncio.Protocol):
    """What a socket or a port calls back, handed on to the link that uses it."""

    def __init__(self, received: Received, lost: Lost) -> None:
        """Make a channel that is not connected yet.

        Args:
            received: takes what arrives, never empty.
            lost: takes the channel and the reason, once, unless `abort` came first.
        """
        self._received = received
        self._lost: Lost | None = lost
        self._transport: asyncio.WriteTransport | None = None
        self.poll: Callable[[int], list[tuple[int, int]]] = _nothing
        """``poll(0)`` is not empty when bytes, or the end, have arrived that the event loop has
        not read yet."""
        self._closed = asyncio.Event()
        self.lost_reason: str | None = None
        """Why the connection ended; None: it stands."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport that this channel writes to, if it can be written to."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport
        self._watch(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """Hand on what arrived, unless the channel was given up."""
        if self._lost is not None:
            self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say once that the connection is gone."""
        self._closed.set()
        self._report(str(exc) if exc else "closed by the other side")

    def write(self, data: bytes) -> None:
        """Send; what cannot leave at once is kept by the transport."""
        assert self._transport is not None
        self._transport.write(data)

    def abort(self) -> None:
        """Give the connection up now; `lost` is not called any more."""
        self._lost = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the socket or port is really closed, for a bounded time."""
        try:
            async with asyncio.timeout(_CLOSE_S_MAX):
                await self._closed.wait()
        except TimeoutError:
            return

    def _watch(self, descriptor: int) -> None:
        watcher = select.poll()
        watcher.register(descriptor, select.POLLIN)
        self.poll = watcher.poll

    def _report(self, reason: str) -> None:
        if self.lost_reason is None:
            self.lost_reason = reason
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self, reason)


def _nothing(_timeout_ms: int) -> list[tuple[int, int]]:
    """Before there is a connection."""
    return []
