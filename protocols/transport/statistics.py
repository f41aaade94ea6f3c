"""What happened on a link, counted per meter and for the link as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_US: float = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatistics:
    """Counts of one meter, or of all meters of a link together."""

    requests: int = 0
    """Frames sent, retries included."""
    answers: int = 0
    timeouts: int = 0
    """Attempts that ended without an answer."""
    retries: int = 0
    bad_frames: int = 0
    """Attempts that ended with bytes which were no answer, or a broken one."""
    bytes_sent: int = 0
    bytes_received: int = 0
    """Received while an answer was awaited; own echo included."""
    echo_bytes: int = 0
    """Of these, the own request heard again."""
    delay_us_min: int | None = None
    """From the end of a request to the beginning of its answer; None: no answer yet."""
    delay_us_avg: int | None = None
    delay_us_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatistics:
    """Counts of a link since it was made."""

    total: MeterStatistics
    meters: Mapping[str, MeterStatistics]
    """The meters that the link remembers, a bounded number; `total` knows all."""
    stale_bytes: int
    """Received while nobody waited: late answers, noise, another master."""
    stale_chunks: int
    connects: int
    connect_failures: int
    disconnects: int
    """Broken lines; not counting our own closing."""
    waiting: int
    """Callers that wait for their turn now."""


class Tally:
    """Counts while they grow; `snapshot` gives the plain figures."""

    __slots__ = (
        "answers",
        "bad_frames",
        "bytes_received",
        "bytes_sent",
        "delay_s_max",
        "delay_s_min",
        "delay_s_sum",
        "echo_bytes",
        "requests",
        "retries",
        "timeouts",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.answers = 0
        self.timeouts = 0
        self.retries = 0
        self.bad_frames = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.echo_bytes = 0
        self.delay_s_sum = 0.0
        self.delay_s_min = float("inf")
        self.delay_s_max = 0.0

    def answered(self, delay_s: float) -> None:
        """One answer, that began so many seconds after its request."""
        self.answers += 1
        self.delay_s_sum += delay_s
        if delay_s < self.delay_s_min:
            self.delay_s_min = delay_s
        if delay_s > self.delay_s_max:
            self.delay_s_max = delay_s

    def add(self, other: Tally) -> None:
        """Take over what another tally counted."""
        self.requests += other.requests
        self.answers += other.answers
        self.timeouts += other.timeouts
        self.retries += other.retries
        self.bad_frames += other.bad_frames
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received
        self.echo_bytes += other.echo_bytes
        self.delay_s_sum += other.delay_s_sum
        self.delay_s_min = min(self.delay_s_min, other.delay_s_min)
        self.delay_s_max = max(self.delay_s_max, other.delay_s_max)

    def snapshot(self) -> MeterStatistics:
        """The figures as they stand."""
        answered = self.answers > 0
        return MeterStatistics(
            requests=self.requests,
            answers=self.answers,
            timeouts=self.timeouts,
            retries=self.retries,
            bad_frames=self.bad_frames,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            echo_bytes=self.echo_bytes,
            delay_us_min=round(self.delay_s_min * _US) if answered else None,
            delay_us_avg=round(self.delay_s_sum / self.answers * _US) if answered else None,
            delay_us_max=round(self.delay_s_max * _US) if answered else None,
        )
