"""What may be set on a link, with the values that suit DL/T 645 meters."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from protocols.transport.errors import LinkUrlError
from protocols.transport.trace import Trace


class Reach(Enum):
    """What lies between us and the meters' line: delays allowed at first and at most, in ms."""

    SERIAL = (500, 500)
    """A cable."""
    NETWORK = (1500, 5000)
    """A serial server or gateway."""
    MODEM = (3000, 10_000)
    """A radio network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Settings of a link; times in milliseconds unless the name says otherwise.

    An attempt may last: transmission of the request + the meter's learned delay + ``margin_ms``,
    behind a network also transmission of the longest answer (a gateway holds it back until it
    is whole).  Each byte that comes allows ``byte_gap_ms`` more, up to transmission of the
    longest answer + ``stretch_ms_max`` beyond that time.
    """

    gap_ms: float = 0
    """Silence before a request.  DL/T 645 needs none (its FE preamble covers the turn-round of
    the bus), Modbus RTU 3.5 characters."""
    delay_ms_first: int | None = None
    """Allowed to a meter that has not answered yet, and always to a request that must not be
    repeated; None: by `Reach` (500 ms, the standard's longest Td, on a serial port)."""
    delay_ms_min: int = 20
    """Allowed at least, however fast a meter was: the standard's shortest Td."""
    delay_ms_max: int | None = None
    """Allowed at most, once answers were seen to come late; None: by `Reach`."""
    margin_ms: int = 100
    """For adapters and for this machine, on top of all."""
    byte_gap_ms: int = 500
    """The longest pause inside a frame (Tb)."""
    stretch_ms_max: int = 5000
    """How far bytes that keep coming may stretch an attempt."""
    retries: int = 2
    """How often a repeatable request is sent again; a meter that was silent last time is asked
    once."""
    waiting_max: int = 1000
    """Callers that may wait for the line."""
    meters_max: int = 4096
    """Meters whose delay and counts are kept; the one met first is forgotten first."""
    silent_max: int = 8
    """Time-outs in a row, without a byte, after which a TCP connection is made anew."""
    connect_ms: int = 10_000
    backoff_ms_first: int = 500
    """Pause after a failed connect; doubles with each further one."""
    backoff_ms_max: int = 60_000
    keepalive_s: int = 30
    """Idle time before the first keepalive probe; after three silent ones the line is broken."""
    jitter: Callable[[], float] = random.random
    """0 .. 1, spreads reconnects: a pause is 50-100 % of its nominal length."""
    trace: Trace | None = None
    """Sees each frame; see `protocols.transport.trace`."""

    def __post_init__(self) -> None:
        for reach in Reach:
            if not 0 < self.delay_ms_min <= self.first_ms(reach) <= self.most_ms(reach):
                raise LinkUrlError(
                    "A link needs 0 < delay_ms_min <= delay_ms_first <= delay_ms_max."
                )
        if min(self.gap_ms, self.margin_ms, self.stretch_ms_max, self.backoff_ms_first) < 0:
            raise LinkUrlError("Times of a link must not be negative.")
        if not 0 <= self.retries <= 10:
            raise LinkUrlError("retries must be 0-10.")
        if min(self.waiting_max, self.meters_max, self.silent_max, self.byte_gap_ms) < 1:
            raise LinkUrlError("Limits of a link must be at least 1.")

    def first_ms(self, reach: Reach) -> int:
        """`delay_ms_first`, or what suits the way; never above a given `delay_ms_max`."""
        if self.delay_ms_first is not None:
            return self.delay_ms_first
        first_ms, _ = reach.value
        return first_ms if self.delay_ms_max is None else min(first_ms, self.delay_ms_max)

    def most_ms(self, reach: Reach) -> int:
        """`delay_ms_max`, or what suits the way; never below a given `delay_ms_first`."""
        if self.delay_ms_max is not None:
            return self.delay_ms_max
        _, most_ms = reach.value
        return most_ms if self.delay_ms_first is None else max(most_ms, self.delay_ms_first)
