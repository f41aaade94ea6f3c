"""Who is told of an alarm, and who next when nobody acknowledges it.

Steps are data: ``rules.toml``, and the utility's own in `alarm_steps`.  A step that is due makes
a notice for a group of recipients and makes the alarm at least as bad as the step says.  A channel
takes notices (`take_notices`) and sends them; here nothing is sent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from headend.faults import EntryError
from headend.person import SERVICE, Right
from headend.station import Station
from headend.watching.tables import alarm_history, alarm_notices, alarm_steps, alarms
from storage.audit import record

EVERY_KIND: Final = "*"
_BATCH: Final = 500
_SEVERITIES: Final = ("notice", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation."""

    after_min: int
    """After the alarm's first time."""
    severity: str
    recipients: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody is to be told of an alarm."""

    notice_id: int
    alarm_id: int
    severity: str
    recipients: str
    words: str
    due_at: datetime


@cache
def default_steps() -> Mapping[str, tuple[Step, ...]]:
    """Kind of alarm → its steps, as the file has them."""
    text = (resources.files(__package__) / "rules.toml").read_text("utf-8")
    return {
        kind: tuple(Step(**step) for step in entry["steps"])
        for kind, entry in tomllib.loads(text).items()
    }


def steps_of(connection: Connection, kind: str) -> tuple[Step, ...]:
    """The steps of a kind of alarm: the utility's for it, the file's for it, those of ``*``."""
    own = own_steps(connection, (kind, EVERY_KIND))
    return (
        own.get(kind)
        or default_steps().get(kind)
        or own.get(EVERY_KIND)
        or default_steps()[EVERY_KIND]
    )


def own_steps(
    connection: Connection, kinds: Sequence[str] | None = None
) -> dict[str, tuple[Step, ...]]:
    """What the utility has set."""
    chosen = select(alarm_steps).order_by(alarm_steps.c.kind, alarm_steps.c.step)
    if kinds is not None:
        chosen = chosen.where(alarm_steps.c.kind.in_(kinds))
    found: dict[str, tuple[Step, ...]] = {}
    for row in connection.execute(chosen):
        step = Step(row.after_min, row.severity, row.recipients)
        found[row.kind] = (*found.get(row.kind, ()), step)
    return found


def set_steps(station: Station, kind: str, steps: Sequence[Step]) -> None:
    """Give a kind of alarm its own steps; none: the defaults hold again.

    Raises:
        EntryError: the steps are not in the order of time, or one is malformed.
        NotAllowedError: the person may not.
    """
    station.require(Right.ALARMS)
    for before, after in pairwise(steps):
        if after.after_min <= before.after_min:
            raise EntryError("Each step comes later than the one before it.")
    for step in steps:
        if step.after_min < 0 or step.severity not in _SEVERITIES or not step.recipients:
            raise EntryError(
                "A step is MINUTES:SEVERITY:RECIPIENTS, the severity one of notice, warning, "
                "critical: 60:critical:shift-lead."
            )
    with station.writing() as connection:
        connection.execute(delete(alarm_steps).where(alarm_steps.c.kind == kind))
        for number, step in enumerate(steps, 1):
            connection.execute(
                insert(alarm_steps),
                {
                    "kind": kind,
                    "step": number,
                    "after_min": step.after_min,
                    "severity": step.severity,
                    "recipients": step.recipients,
                },
            )
        record(
            connection,
            station.now(),
            actor=station.person.name,
            action="alarm.rules",
            subject=kind,
            detail=" ".join(f"{each.after_min}:{each.severity}:{each.recipients}" for each in steps)
            or "default",
        )


def first_due(steps: Sequence[Step], first_at: datetime) -> datetime | None:
    """When the first step of an alarm is due."""
    return first_at + timedelta(minutes=steps[0].after_min) if steps else None


def escalate(station: Station) -> int:
    """Take every step that is due; the number of notices that were made."""
    made = 0
    while True:
        with station.writing() as connection:
            taken = _escalate_some(connection, station.now())
        made += taken
        if taken < _BATCH:
            return made


def take_notices(connection: Connection, at: datetime, limit: int = 100) -> list[Notice]:
    """Notices for a channel that sends them; each is given once.

    Args:
        connection: in a write transaction; what is given is taken with its commit.
        at: the time.
        limit: so many at most.
    """
    due = (
        select(alarm_notices)
        .where(alarm_notices.c.taken_at.is_(None), alarm_notices.c.due_at <= at)
        .order_by(alarm_notices.c.due_at, alarm_notices.c.notice_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(due).all()
    if rows:
        connection.execute(
            update(alarm_notices)
            .where(alarm_notices.c.notice_id.in_([row.notice_id for row in rows]))
            .values(taken_at=at)
        )
    return [
        Notice(row.notice_id, row.alarm_id, row.severity, row.recipients, row.words, row.due_at)
        for row in rows
    ]


def _escalate_some(connection: Connection, at: datetime) -> int:
    rows = connection.execute(
        select(alarms)
        .where(alarms.c.next_at <= at)
        .order_by(alarms.c.next_at, alarms.c.alarm_id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    steps: dict[str, tuple[Step, ...]] = {}
    for row in rows:
        if row.kind not in steps:
            steps[row.kind] = steps_of(connection, row.kind)
        _take_step(connection, row, steps[row.kind], at)
    return len(rows)


def _take_step(connection: Connection, row: Any, steps: Sequence[Step], at: datetime) -> None:
    if row.step >= len(steps):  # the utility has shortened its steps meanwhile
        connection.execute(_of(row.alarm_id).values(next_at=None))
        return
    step = steps[row.step]
    severity = max(row.severity, step.severity, key=_SEVERITIES.index)
    number = row.step + 1
    following = steps[number] if number < len(steps) else None
    next_at = following and row.first_at + timedelta(minutes=following.after_min)
    connection.execute(_of(row.alarm_id).values(step=number, severity=severity, next_at=next_at))
    connection.execute(
        insert(alarm_notices),
        {
            "alarm_id": row.alarm_id,
            "step": number,
            "severity": severity,
            "recipients": step.recipients,
            "words": row.words,
            "due_at": at,
        },
    )
    connection.execute(
        insert(alarm_history),
        {
            "alarm_id": row.alarm_id,
            "at": at,
            "act": "escalated",
            "actor": SERVICE.name,
            "severity": severity,
            "words": f"{step.recipients} to be told",
        },
    )


def _of(alarm_id: int) -> Any:
    return update(alarms).where(alarms.c.alarm_id == alarm_id)
