"""Faults of watching."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class NoSuchAlarmError(HeadEndError):
    """No alarm has this number."""

    code: ClassVar[str] = "no_such_alarm"


class AlarmClosedError(HeadEndError):
    """The alarm is closed already, or somebody has acknowledged it before."""

    code: ClassVar[str] = "alarm_closed"


class NoSuchFindingError(HeadEndError):
    """No finding has this number."""

    code: ClassVar[str] = "no_such_finding"


class FindingDecidedError(HeadEndError):
    """A person has decided about it already."""

    code: ClassVar[str] = "finding_decided"


class NoSuchLimitError(HeadEndError):
    """No limit has this name."""

    code: ClassVar[str] = "no_such_limit"
