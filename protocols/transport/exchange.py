"""What a link carries: one request and the answer that belongs to it.

A protocol (``dlt645``, ``modbus``) makes the exchange, a `Link` carries it out.  The link knows
nothing of frames, the exchange knows nothing of time.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Exchange(Protocol[T_co]):
    """One request, and how its answer is recognised."""

    @property
    def request(self) -> bytes:
        """What goes out, the whole frame with its preamble; not empty."""

    @property
    def meter(self) -> str:
        """Key of this meter's learned delay and statistics on the link: its address."""

    @property
    def answer_bytes_max(self) -> int:
        """The longest answer that may come, in bytes; 0 for a broadcast."""

    @property
    def answer_expected(self) -> bool:
        """False for a broadcast: the link sends it, keeps the line until it is out, and goes on."""

    @property
    def repeatable(self) -> bool:
        """Whether asking twice does no harm; only then may the link send it again."""

    def receive(self, data: bytes) -> T_co | None:
        """Take what arrived; give the answer once it is there, None to go on waiting.

        Args:
            data: one or more bytes as they came: part of a frame, several frames, the own
                echo, noise, or an answer that belongs to an earlier request (skip it).  Empty
                bytes say that the line has been silent for longer than a frame may pause, or
                that the request is about to be sent again: a frame that has begun is lost,
                and one that it hid may be taken.

        Raises:
            RemoteProtocolError: what came is broken beyond doubt.  Ends the attempt; the link
                asks again if the exchange is repeatable.
            Exception: any other ends the exchange and reaches the caller as it is.
        """


class Priority(Enum):
    """Which of a link's two queues a caller waits in."""

    ON_DEMAND = "on_demand"
    """A person waits for it."""
    ROUTINE = "routine"
    """Part of a round."""
