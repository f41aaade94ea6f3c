"""Alarms of the head-end to those of the utility who are on duty, by role.

A storm of alarms is one message: the first goes at once; what follows waits until the role was last
told some minutes ago (the worse, the sooner), and goes together.  While nobody is named for any
role, alarms stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from billing.faults import BadEntryError
from billing.notices.channels.port import CHANNELS
from billing.notices.faults import UnknownMessageError
from billing.notices.messages import Addressee, queue_messages
from billing.notices.outbox import canonical, keep_until_of
from billing.notices.rules import STAFF_ALARMS, rule_of
from billing.notices.tables import notice_staff, notices, staff_alarms
from billing.office import Office
from billing.person import SERVICE, Right
from headend.watching.escalation import take_notices
from storage.audit import record

_GAP_MIN: Final = {"critical": 5, "warning": 30, "notice": 120}
"""Minutes between two messages to a role, by the worst that waits."""
_TAKEN_MAX: Final = 1_000
_LINES_MAX: Final = 40
_WORDS_MAX: Final = 200
_SEVERITIES: Final = ("notice", "warning", "critical")


@dataclass(frozen=True, slots=True)
class StaffAddress:
    """Where one of the utility's own is told."""

    staff_id: int
    role: str
    channel: str
    address: str
    language: str | None


def take_alarms(office: Office) -> int:
    """Take the head-end's notices of alarms; how many were taken."""
    taken = 0
    while True:
        with office.writing() as connection:
            anybody = connection.execute(
                select(notice_staff.c.staff_id).where(notice_staff.c.until.is_(None)).limit(1)
            ).first()
            if anybody is None:
                return taken
            found = take_notices(connection, office.now(), _TAKEN_MAX)
            if found:
                connection.execute(
                    insert(staff_alarms),
                    [
                        {
                            "alarm_notice_id": each.notice_id,
                            "alarm_id": each.alarm_id,
                            "role": each.recipients,
                            "severity": each.severity,
                            "words": each.words,
                            "due_at": each.due_at,
                        }
                        for each in found
                    ],
                )
        taken += len(found)
        if len(found) < _TAKEN_MAX:
            return taken


def tell_staff(office: Office) -> int:
    """Put what waits into the outbox, one message for each role that may be told now."""
    told = 0
    with office.reading() as connection:
        roles = list(
            connection.scalars(
                select(staff_alarms.c.role).where(staff_alarms.c.notice_id.is_(None)).distinct()
            )
        )
    for role in sorted(roles):
        with office.writing() as connection:
            told += _tell_role(connection, office, role)
    return told


class StaffDesk:
    """Who of the utility is told of alarms.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def list(self) -> list[StaffAddress]:
        """The addresses in force; in full: they are the utility's own."""
        self._office.require(Right.CONFIGURE)
        with self._office.reading() as connection:
            rows = connection.execute(
                select(notice_staff)
                .where(notice_staff.c.until.is_(None))
                .order_by(notice_staff.c.role, notice_staff.c.staff_id)
            ).all()
        return [
            StaffAddress(
                row.staff_id,
                row.role,
                row.channel,
                self._office.seal.open("staff.address", bytes(row.address_sealed)),
                row.language,
            )
            for row in rows
        ]

    def add(self, role: str, channel: str, address: str, language: str | None = None) -> int:
        """Tell somebody of alarms; gives the number of the address.

        Raises:
            BadEntryError: no such channel, or something is empty.
        """
        self._office.require(Right.CONFIGURE)
        if channel not in CHANNELS or not role.strip() or not address.strip():
            raise BadEntryError(
                f"Name a role of the alarm rules (duty), a channel ({', '.join(CHANNELS)}) and an "
                "address."
            )
        at = self._office.now()
        with self._office.writing() as connection:
            number: int = connection.execute(
                insert(notice_staff)
                .values(
                    role=role.strip(),
                    channel=channel,
                    address_sealed=self._office.seal.seal("staff.address", address.strip()),
                    language=language,
                    added_at=at,
                )
                .returning(notice_staff.c.staff_id)
            ).scalar_one()
            self._record(connection, at, "staff.add", number, f"{role} by {channel}")
        return number

    def remove(self, staff_id: int) -> None:
        """Tell them no more.

        Raises:
            UnknownMessageError: there is no such address.
        """
        self._office.require(Right.CONFIGURE)
        at = self._office.now()
        with self._office.writing() as connection:
            changed = connection.execute(
                update(notice_staff)
                .where(notice_staff.c.staff_id == staff_id, notice_staff.c.until.is_(None))
                .values(until=at)
            )
            if changed.rowcount != 1:
                raise UnknownMessageError(f"There is no staff address {staff_id}.")
            self._record(connection, at, "staff.remove", staff_id, "")

    def _record(
        self, connection: Connection, at: datetime, act: str, number: int, detail: str
    ) -> None:
        record(
            connection,
            at,
            actor=self._office.person.name,
            action=f"notice.{act}",
            subject=str(number),
            detail=detail,
        )


def _tell_role(connection: Connection, office: Office, role: str) -> int:
    now = office.now()
    waiting = connection.execute(
        select(staff_alarms)
        .where(staff_alarms.c.notice_id.is_(None), staff_alarms.c.role == role)
        .order_by(staff_alarms.c.alarm_notice_id)
        .limit(_TAKEN_MAX)
        .with_for_update(skip_locked=True)
    ).all()
    whom = [
        Addressee(row.channel, row.language or office.language, staff_id=row.staff_id)
        for row in connection.execute(
            select(notice_staff)
            .where(notice_staff.c.role == role, notice_staff.c.until.is_(None))
            .order_by(notice_staff.c.staff_id)
        )
    ]
    if not waiting or not whom:
        return 0
    worst = max((row.severity for row in waiting), key=_SEVERITIES.index)
    last = connection.scalar(
        select(func.max(notices.c.asked_at))
        .select_from(staff_alarms)
        .join(notices, notices.c.notice_id == staff_alarms.c.notice_id)
        .where(staff_alarms.c.role == role)
    )
    if last is not None and now < last + timedelta(minutes=_GAP_MIN[worst]):
        return 0
    about = _about(role, worst, waiting)
    notice_id: int = connection.execute(
        insert(notices)
        .values(
            once=f"alarms {role} {waiting[0].alarm_notice_id}",
            event=STAFF_ALARMS,
            about=canonical(about),
            asked_at=now,
            asked_by=SERVICE.name,
        )
        .returning(notices.c.notice_id)
    ).scalar_one()
    connection.execute(
        update(staff_alarms)
        .where(staff_alarms.c.alarm_notice_id.in_([row.alarm_notice_id for row in waiting]))
        .values(notice_id=notice_id)
    )
    rule = rule_of(STAFF_ALARMS)
    queue_messages(
        connection, office, [(notice_id, rule, keep_until_of(about, rule, now), whom)], now
    )
    return 1


def _about(role: str, worst: str, waiting: Any) -> dict[str, str | int]:
    """The worst first; what does not fit is counted."""
    ranked = sorted(waiting, key=lambda row: -_SEVERITIES.index(row.severity))
    lines = [f"{row.alarm_id}  {row.severity}  {row.words[:_WORDS_MAX]}" for row in ranked]
    more = len(lines) - _LINES_MAX
    shown = lines[:_LINES_MAX] + ([f"... +{more}"] if more > 0 else [])
    return {
        "role": role,
        "count": len(lines),
        "worst": worst,
        "list": "\n".join(shown),
        "first": ranked[0].words[:60],
    }
