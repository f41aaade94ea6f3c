"""Faults of durable work."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class JobRefusedError(HeadEndError):
    """A job cannot be queued as it is given; nothing was queued."""

    code: ClassVar[str] = "job_refused"


class LineAwayError(HeadEndError):
    """The modem of this line is not connected.

    A handler that raises this before it has sent anything puts its job back: it waits until
    the modem calls.
    """

    code: ClassVar[str] = "line_away"
