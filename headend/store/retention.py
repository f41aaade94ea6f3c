"""What is archived when, and how long it is kept: data, one line for each kind.

Without a line nothing is archived by itself and nothing is ever given up.  Registers and interval
values are kept for at least three years, because a bill may be disputed for so long; the
database itself refuses a shorter time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from headend.faults import EntryError
from headend.person import Right
from headend.station import Station
from headend.store.archive import Archived, archive_month, let_go
from headend.store.archived import archive_folder
from headend.store.held import months_held
from headend.store.months import RECENT, Kind, Month, hold_month_alone
from headend.store.tables import archive_files, store_months, store_retention
from storage import audit

KEEP_AT_LEAST: Final = {Kind.READINGS: 36, Kind.INTERVALS: 36, Kind.EVENTS: 12}
"""Months."""
_ARCHIVE_AT_LEAST: Final = RECENT + 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to one kind of what is kept."""

    archive_after_months: int | None = None
    """None: it stays in the database."""
    keep_months: int | None = None
    """None: for ever."""


def policies(connection: Connection) -> dict[Kind, Policy]:
    """The policy of each kind."""
    rows = {row.kind: row for row in connection.execute(select(store_retention))}
    return {
        kind: Policy(rows[kind].archive_after_months, rows[kind].keep_months)
        if kind in rows
        else Policy()
        for kind in Kind
    }


def set_policy(station: Station, kind: Kind, policy: Policy) -> None:
    """Say what happens to one kind from now on.

    Raises:
        NotAllowedError: the person has not the right.
        EntryError: it would be archived too early, or not kept for long enough.
    """
    station.require(Right.PROTECT)
    least = KEEP_AT_LEAST[kind]
    if policy.keep_months is not None and policy.keep_months < least:
        raise EntryError(
            f"Of {kind} at least {least} months are kept: a bill may be disputed for so long."
            if kind is not Kind.EVENTS
            else f"Of {kind} at least {least} months are kept."
        )
    after = policy.archive_after_months
    if after is not None and after < _ARCHIVE_AT_LEAST:
        raise EntryError(
            f"A month is archived after {_ARCHIVE_AT_LEAST} months at the earliest: values of "
            "it may still come."
        )
    with station.writing() as connection:
        connection.execute(delete(store_retention).where(store_retention.c.kind == kind.value))
        connection.execute(
            insert(store_retention).values(
                kind=kind.value,
                archive_after_months=after,
                keep_months=policy.keep_months,
                set_by=station.person.name,
                set_at=station.now(),
            )
        )
        audit.record(
            connection,
            station.now(),
            actor=station.person.name,
            action="store.retention",
            subject=kind.value,
            detail=f"archive after {after or 'never'}, keep {policy.keep_months or 'for ever'}",
        )


@dataclass(frozen=True, slots=True)
class Due:
    """What the policies ask for now."""

    archive: tuple[tuple[Kind, Month], ...]
    give_up: tuple[tuple[Kind, Month], ...]


def due(station: Station) -> Due:
    """The months that are to be archived, and those that are to be given up; the oldest first."""
    this = Month.of(station.now())
    archive, give_up = [], []
    with station.reading() as connection:
        for kind, policy in policies(connection).items():
            held = months_held(connection, kind)
            if policy.keep_months is not None:
                gone = this.plus(-policy.keep_months)
                known = {*held, *_months_archived(connection, kind)}
                give_up += [(kind, month) for month in sorted(known) if month < gone]
                held = [month for month in held if month >= gone]
            if policy.archive_after_months is not None:
                old = this.plus(-policy.archive_after_months)
                archive += [(kind, month) for month in held if month < old]
    return Due(tuple(archive), tuple(give_up))


def carry_out(
    station: Station, *, told: Callable[[int, int], None] | None = None
) -> list[Archived]:
    """Archive what is due, and give up what is not to be kept any longer.

    Raises:
        See `archive_month`.
    """
    station.require(Right.PROTECT)
    now = due(station)
    done = []
    for place, (kind, month) in enumerate(now.archive):

        def count(part: int, of: int, place: int = place) -> None:
            if told is not None:
                told(place * of + part, len(now.archive) * of)

        done.append(archive_month(station, kind, month, told=count))
    for kind, month in now.give_up:
        give_up(station, kind, month)
    return done


def give_up(station: Station, kind: Kind, month: Month) -> None:
    """Delete a month, from the database and the archive, that the policy does not keep.

    Raises:
        NotAllowedError: the person has not the right.
        EntryError: the policy keeps it.
    """
    station.require(Right.PROTECT)
    now = station.now()
    of_month = (archive_files.c.kind == kind.value, archive_files.c.month == str(month))
    with station.writing() as connection:
        keep = policies(connection)[kind].keep_months
        if keep is None or month >= Month.of(now).plus(-max(keep, KEEP_AT_LEAST[kind])):
            raise EntryError(f"{month} of {kind} is kept: see `meterhouse store retention`.")
        hold_month_alone(connection, kind, month)
        names = connection.execute(
            select(archive_files.c.name).where(*of_month, archive_files.c.state != "deleted")
        ).scalars()
        paths = [archive_folder(connection) / name for name in names]
        connection.execute(update(archive_files).where(*of_month).values(state="deleted"))
        _note_deleted(connection, station, kind, month)
        let_go(connection, kind, month)
        audit.record(
            connection,
            now,
            actor=station.person.name,
            action="store.give_up",
            subject=f"{kind} {month}",
            detail=f"kept for {keep} months; {len(paths)} files",
        )
    for path in paths:
        path.unlink(missing_ok=True)


def _months_archived(connection: Connection, kind: Kind) -> list[Month]:
    rows = connection.execute(
        select(store_months.c.month).where(
            store_months.c.kind == kind.value, store_months.c.state != "deleted"
        )
    )
    return [Month.named(month) for month in rows.scalars()]


def _note_deleted(connection: Connection, station: Station, kind: Kind, month: Month) -> None:
    key = {"kind": kind.value, "month": str(month)}
    connection.execute(
        delete(store_months).where(*(store_months.c[name] == value for name, value in key.items()))
    )
    connection.execute(
        insert(store_months).values(
            **key, state="deleted", rows=0, high_sum=0, low_sum=0, changed_at=station.now()
        )
    )
