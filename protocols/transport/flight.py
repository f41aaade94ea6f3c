"""A request on its way: when its time is over, and what of the bytes is its own echo."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from protocols.transport.exchange import Exchange
from protocols.transport.meters import Meter

NEVER: Final = float("inf")


class Flight:
    """The one request that a line carries.  Times are seconds on the event loop's clock."""

    # Defaults stand in the class: one is made for each request, and most are never changed.
    sent_at = 0.0
    """When its last byte is on the line."""
    first_sent_at = 0.0
    """The same of the exchange's first attempt; only that one's answer has a sure delay."""
    deadline = NEVER
    deadline_max: float | None = None
    """How far bytes that keep coming may move the deadline; None: none have come."""
    silence_at = NEVER
    """When the pause after the last byte is longer than a frame may have."""
    bytes_received = 0
    answer_bytes_max = 0
    echo_bytes = 0
    """The request's length, once it has been heard again."""
    _echo_at = 0
    retries_left = 0
    """How often the request may be sent again."""
    abandoned = False
    """The caller has gone; whoever ends this flight hands the line on."""

    def __init__(
        self,
        exchange: Exchange[Any],
        request: bytes,
        meter: Meter,
        future: asyncio.Future[Any],
    ) -> None:
        self.exchange = exchange
        self.request = request
        self.meter = meter
        self.future = future

    def heard(self, data: bytes) -> None:
        """Count bytes, and follow the own request if it is heard again, piece by piece."""
        self.bytes_received += len(data)
        if self._echo_at < 0:
            return
        rest = self.request[self._echo_at :] if self._echo_at else self.request
        if data.startswith(rest):
            self.echo_bytes = len(self.request)
            self._echo_at = -1
        elif rest.startswith(data):
            self._echo_at += len(data)
        else:
            self._echo_at = -1

    def heard_in_words(self) -> str:
        """What came instead of an answer, for a message."""
        if not self.bytes_received:
            return "nothing came"
        if self.bytes_received == self.echo_bytes:
            return "only our own request was heard again"
        return f"{self.bytes_received} bytes came, but no answer in them"

    def fail(self, error: Exception) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_exception(error)
