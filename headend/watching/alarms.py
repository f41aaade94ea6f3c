"""Alarms: raised once for each kind and subject, acknowledged, closed, never forgotten.

An alarm is about a device, a link or a place, or about the station itself.  While one is open
(`closed_at` is empty) another of the same kind and subject only counts it up: a unique index
sees to it.  Its history is append-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from headend.faults import EntryError
from headend.person import SERVICE, Right
from headend.registry.tables import end_devices, links, places
from headend.station import Station
from headend.watching.escalation import first_due, steps_of
from headend.watching.faults import AlarmClosedError, NoSuchAlarmError
from headend.watching.tables import alarm_history, alarms
from storage.audit import record

_WORDS_MAX: Final = 1_000


class Severity(StrEnum):
    """How bad it is; each is worse than the one before."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as people see it."""

    alarm_id: int
    kind: str
    about: str
    """``meter 0001``, ``link north``, ``area A7``, ``station``."""
    severity: Severity
    words: str
    first_at: datetime
    last_at: datetime
    count: int
    acknowledged_by: str | None
    closed_by: str | None
    closed_at: datetime | None

    @property
    def state(self) -> str:
        """``open``, ``acknowledged`` or ``closed``."""
        if self.closed_at is not None:
            return "closed"
        return "open" if self.acknowledged_by is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """One line of an alarm's history."""

    at: datetime
    act: str
    actor: str
    severity: Severity
    words: str


def subject_of(
    device_id: int | None = None, link_id: int | None = None, place_id: int | None = None
) -> str:
    """What an alarm is about, in one word for the unique index."""
    given = [
        f"{name} {number}"
        for name, number in (("device", device_id), ("link", link_id), ("place", place_id))
        if number is not None
    ]
    if len(given) > 1:
        raise EntryError("An alarm is about one thing: a device, a link or a place.")
    return given[0] if given else "station"


def raise_alarm(
    connection: Connection,
    kind: str,
    *,
    device_id: int | None = None,
    link_id: int | None = None,
    place_id: int | None = None,
    severity: Severity,
    words: str,
    at: datetime,
) -> int:
    """Raise an alarm, or count up the one that is open; its number.

    Args:
        connection: in a write transaction.
        kind: what is wrong, as ``outage``; escalation goes by it.
        device_id: the meter that it is about; of the three at most one is given.
        link_id: the line that it is about.
        place_id: the substation, feeder or area that it is about.
        severity: an open alarm becomes worse by it, never better.
        words: what is wrong and what to do.
        at: when it was so.
    """
    subject = {"device_id": device_id, "link_id": link_id, "place_id": place_id}
    key = subject_of(device_id, link_id, place_id)
    counted = _count_up(connection, kind, key, severity, words, at)
    if counted is not None:
        return counted
    row = {
        "kind": kind,
        "subject": key,
        **subject,
        "severity": severity,
        "words": words[:_WORDS_MAX],
        "first_at": at,
        "last_at": at,
        "count": 1,
        "step": 0,
        "next_at": first_due(steps_of(connection, kind), at),
    }
    # on PostgreSQL another worker may raise the same alarm at this moment: one of them counts up
    into = insert(alarms) if connection.dialect.name == "sqlite" else _giving_way()
    made = connection.execute(into.values(**row).returning(alarms.c.alarm_id)).scalar()
    if made is None:
        counted = _count_up(connection, kind, key, severity, words, at)
        assert counted is not None
        return counted
    write_history(connection, made, at, "raised", SERVICE.name, severity, words)
    return int(made)


def close_if_open(
    connection: Connection,
    kind: str,
    *,
    device_id: int | None = None,
    link_id: int | None = None,
    place_id: int | None = None,
    words: str,
    at: datetime,
) -> bool:
    """Close an alarm because its cause is gone; tells whether one was open."""
    row = connection.execute(
        select(alarms.c.alarm_id).where(
            alarms.c.kind == kind,
            alarms.c.subject == subject_of(device_id, link_id, place_id),
            alarms.c.closed_at.is_(None),
        )
    ).first()
    return row is not None and _close(connection, row.alarm_id, at, SERVICE.name, words)


def open_subjects(connection: Connection, kind: str) -> set[str]:
    """The subjects of the open alarms of a kind, as `subject_of` writes them."""
    rows = connection.execute(
        select(alarms.c.subject).where(alarms.c.kind == kind, alarms.c.closed_at.is_(None))
    )
    return {row.subject for row in rows}


def open_alarm_counts(connection: Connection) -> tuple[dict[Severity, int], int]:
    """How many alarms are open, by severity, and how many of all nobody has acknowledged."""
    rows = connection.execute(
        select(alarms.c.severity, func.count(), func.count(alarms.c.acknowledged_at))
        .where(alarms.c.closed_at.is_(None))
        .group_by(alarms.c.severity)
    ).all()
    found = {Severity(severity): count for severity, count, _ in rows}
    unacknowledged = sum(count - taken for _, count, taken in rows)
    return {severity: found.get(severity, 0) for severity in Severity}, unacknowledged


def worst_open_alarms(connection: Connection, limit: int) -> list[Alarm]:
    """Open alarms, the worst and newest first."""
    rank = case(*((alarms.c.severity == each.value, at) for each, at in _RANK.items()))
    rows = connection.execute(
        _shown()
        .where(alarms.c.closed_at.is_(None))
        .order_by(rank.desc(), alarms.c.last_at.desc())
        .limit(limit)
    )
    return [_alarm(row) for row in rows]


def write_history(
    connection: Connection,
    alarm_id: int,
    at: datetime,
    act: str,
    actor: str,
    severity: str,
    words: str,
) -> None:
    """Add a line to an alarm's history."""
    line = {"alarm_id": alarm_id, "at": at, "act": act, "actor": actor}
    connection.execute(
        insert(alarm_history), {**line, "severity": severity, "words": words[:_WORDS_MAX]}
    )


class AlarmDesk:
    """What people do with alarms.

    Args:
        station: the head-end.
    """

    def __init__(self, station: Station) -> None:
        self._station: Final = station

    def list(
        self,
        *,
        kind: str | None = None,
        closed: bool = False,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Alarm]:
        """Alarms, the worst and newest first.

        Args:
            kind: only these.
            closed: those that are closed, too.
            since: only those that were seen at or after this time.
            limit: so many at most.
        """
        self._station.require(Right.LOOK)
        chosen = _shown()
        if kind is not None:
            chosen = chosen.where(alarms.c.kind == kind)
        if not closed:
            chosen = chosen.where(alarms.c.closed_at.is_(None))
        if since is not None:
            chosen = chosen.where(alarms.c.last_at >= since)
        with self._station.reading() as connection:
            rows = connection.execute(chosen.order_by(alarms.c.last_at.desc()).limit(limit))
            found = [_alarm(row) for row in rows]
        return sorted(found, key=lambda each: -_RANK[each.severity])

    def show(self, alarm_id: int) -> tuple[Alarm, Sequence[AlarmEntry]]:
        """An alarm and its history.

        Raises:
            NoSuchAlarmError: there is none of this number.
        """
        self._station.require(Right.LOOK)
        with self._station.reading() as connection:
            row = connection.execute(_shown().where(alarms.c.alarm_id == alarm_id)).first()
            if row is None:
                raise _missing(alarm_id)
            entries = connection.execute(
                select(alarm_history)
                .where(alarm_history.c.alarm_id == alarm_id)
                .order_by(alarm_history.c.entry_id)
            )
            return _alarm(row), [
                AlarmEntry(each.at, each.act, each.actor, Severity(each.severity), each.words)
                for each in entries
            ]

    def acknowledge(self, alarm_id: int, words: str) -> None:
        """Take an alarm into one's hands: it escalates no further.

        Raises:
            EntryError: no words: the next shift wants to know.
            NoSuchAlarmError: there is none of this number.
            AlarmClosedError: it is closed, or acknowledged already.
            NotAllowedError: the person may not.
        """
        self._station.require(Right.ALARMS)
        _require_words(words)
        at, who = self._station.now(), self._station.person.name
        with self._station.writing() as connection:
            row = connection.execute(
                update(alarms)
                .where(
                    alarms.c.alarm_id == alarm_id,
                    alarms.c.acknowledged_at.is_(None),
                    alarms.c.closed_at.is_(None),
                )
                .values(acknowledged_at=at, acknowledged_by=who, next_at=None)
                .returning(alarms.c.severity)
            ).first()
            if row is None:
                self._refuse(connection, alarm_id)
            else:
                write_history(connection, alarm_id, at, "acknowledged", who, row.severity, words)

    def close(self, alarm_id: int, words: str) -> None:
        """Close an alarm; when its cause is still there, another one will be raised.

        Raises:
            EntryError: no words.
            NoSuchAlarmError: there is none of this number.
            AlarmClosedError: it is closed already.
            NotAllowedError: the person may not.
        """
        self._station.require(Right.ALARMS)
        _require_words(words)
        at, who = self._station.now(), self._station.person.name
        with self._station.writing() as connection:
            if not _close(connection, alarm_id, at, who, words):
                self._refuse(connection, alarm_id)
            record(
                connection,
                at,
                actor=who,
                action="alarm.close",
                subject=str(alarm_id),
                reason=words,
            )

    def _refuse(self, connection: Connection, alarm_id: int) -> None:
        row = connection.execute(_shown().where(alarms.c.alarm_id == alarm_id)).first()
        if row is None:
            raise _missing(alarm_id)
        alarm = _alarm(row)
        who = alarm.closed_by or alarm.acknowledged_by
        raise AlarmClosedError(f"Alarm {alarm_id} is {alarm.state} already, by {who}.")


def _count_up(
    connection: Connection, kind: str, key: str, severity: Severity, words: str, at: datetime
) -> int | None:
    row = connection.execute(
        select(alarms.c.alarm_id, alarms.c.severity, alarms.c.last_at)
        .where(alarms.c.kind == kind, alarms.c.subject == key, alarms.c.closed_at.is_(None))
        .with_for_update()
    ).first()
    if row is None:
        return None
    worst = max(Severity(row.severity), severity, key=_RANK.__getitem__)
    connection.execute(
        update(alarms)
        .where(alarms.c.alarm_id == row.alarm_id)
        .values(
            count=alarms.c.count + 1,
            last_at=max(row.last_at, at),
            severity=worst,
            words=words[:_WORDS_MAX],
        )
    )
    return int(row.alarm_id)


def _close(connection: Connection, alarm_id: int, at: datetime, who: str, words: str) -> bool:
    row = connection.execute(
        update(alarms)
        .where(alarms.c.alarm_id == alarm_id, alarms.c.closed_at.is_(None))
        .values(closed_at=at, closed_by=who, next_at=None)
        .returning(alarms.c.severity)
    ).first()
    if row is None:
        return False
    write_history(connection, alarm_id, at, "closed", who, row.severity, words)
    return True


def _giving_way() -> Any:
    return postgresql_insert(alarms).on_conflict_do_nothing(
        index_elements=["kind", "subject"], index_where=alarms.c.closed_at.is_(None)
    )


def _shown() -> Select[Any]:
    return (
        select(
            alarms,
            end_devices.c.number.label("meter"),
            links.c.name.label("link"),
            places.c.name.label("place"),
            places.c.kind.label("place_kind"),
        )
        .outerjoin(end_devices, end_devices.c.device_id == alarms.c.device_id)
        .outerjoin(links, links.c.link_id == alarms.c.link_id)
        .outerjoin(places, places.c.place_id == alarms.c.place_id)
    )


def _alarm(row: Any) -> Alarm:
    if row.meter is not None:
        about = f"meter {row.meter}"
    elif row.link is not None:
        about = f"link {row.link}"
    else:
        about = "station" if row.place is None else f"{row.place_kind} {row.place}"
    return Alarm(
        row.alarm_id,
        row.kind,
        about,
        Severity(row.severity),
        row.words,
        row.first_at,
        row.last_at,
        row.count,
        row.acknowledged_by,
        row.closed_by,
        row.closed_at,
    )


def _missing(alarm_id: int) -> NoSuchAlarmError:
    return NoSuchAlarmError(f"There is no alarm {alarm_id}. `meterhouse alarm list` shows them.")


def _require_words(words: str) -> None:
    if not words.strip():
        raise EntryError("Say in some words what was found: whoever comes next wants to know.")
