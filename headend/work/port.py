"""What the head-end asks of durable work; `headend.work` carries it on DBOS.

A job is an order to one device, or one link's share of a round of readings.  It names its line:
jobs of one line are carried out one at a time, the more urgent first, those of equal urgency
in the order of their keys.  A job may be begun again after its worker died: whoever carries it
out looks into the database first, and what moves money or a contact is not sent a second time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from sqlalchemy import Connection


class Urgency(IntEnum):
    """Lower goes first."""

    ORDER = 1
    """A person, or a customer's light, waits for it."""
    ON_DEMAND = 2
    """A person waits for a reading."""
    RETRY_SOON = 4
    ROUTINE = 5
    RETRY_LATE = 7
    BACKGROUND = 9
    """Gaps of load profiles."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of durable work."""

    key: str
    """Grows with time (`new_key`); the same key is queued once, whatever happens."""
    kind: str
    """Which handler carries it out: ``order``, ``round``, ..."""
    line: int
    """The link; jobs of one line go one at a time."""
    urgency: Urgency
    payload: Mapping[str, int | str] = field(default_factory=dict)
    """Identifiers only: what is to be done stands in the database."""


Handler = Callable[[Job], Awaitable[None]]
"""Carries a job out, on the service's event loop.  What it raises is logged; the job is over."""


class Work(Protocol):
    """The queue, as those see it who give it jobs."""

    @property
    def is_stopping(self) -> bool:
        """Whether the service is about to stop: rounds then give way as well."""

    def enqueue(self, connection: Connection, job: Job) -> None:
        """Queue a job in the caller's write transaction: with its commit, or not at all."""

    def cancel(self, connection: Connection, key: str) -> None:
        """Take a job that has not begun out of the queue, in the caller's transaction."""

    def most_urgent(self, connection: Connection) -> Mapping[int, Urgency]:
        """How urgent the first job is that waits, by line: a round gives way between meters."""
