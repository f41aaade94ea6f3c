"""Who was asked and who answered, hour by hour: watching's one look at collection's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from headend.collection.tables import clock_offsets, contact_hours, link_hours


@dataclass(frozen=True, slots=True)
class Contact:
    """The last hour in which a meter was asked, and whether it answered then."""

    device_id: int
    hour: datetime
    asked: int
    answered: int


@dataclass(frozen=True, slots=True)
class LineContact:
    """What happened on a line in some hours."""

    link_id: int
    asked: int
    answered: int
    broken: int


def last_contacts(connection: Connection, since: datetime, until: datetime) -> list[Contact]:
    """For each meter that was asked in a span, the last hour in which it was.

    Args:
        connection: in any transaction.
        since: the first hour.
        until: the hour before which they lie.
    """
    ranked = (
        select(
            contact_hours,
            func.row_number()
            .over(partition_by=contact_hours.c.device_id, order_by=contact_hours.c.hour.desc())
            .label("place"),
        )
        .where(
            contact_hours.c.hour >= since,
            contact_hours.c.hour < until,
            contact_hours.c.asked > 0,
        )
        .subquery()
    )
    rows = connection.execute(
        select(ranked.c.device_id, ranked.c.hour, ranked.c.asked, ranked.c.answered).where(
            ranked.c.place == 1
        )
    )
    return [Contact(*row) for row in rows]


def answered_before(
    connection: Connection, device_ids: Sequence[int], since: datetime, until: datetime
) -> set[int]:
    """Which of some meters answered at least once in a span."""
    found: set[int] = set()
    for start in range(0, len(device_ids), 1_000):
        rows = connection.execute(
            select(contact_hours.c.device_id)
            .where(
                contact_hours.c.device_id.in_(device_ids[start : start + 1_000]),
                contact_hours.c.hour >= since,
                contact_hours.c.hour < until,
                contact_hours.c.answered > 0,
            )
            .distinct()
        )
        found.update(row.device_id for row in rows)
    return found


def lines_between(connection: Connection, since: datetime, until: datetime) -> list[LineContact]:
    """What happened on each line in a span."""
    rows = connection.execute(
        select(
            link_hours.c.link_id,
            func.sum(link_hours.c.asked),
            func.sum(link_hours.c.answered),
            func.sum(link_hours.c.broken),
        )
        .where(link_hours.c.hour >= since, link_hours.c.hour < until)
        .group_by(link_hours.c.link_id)
    )
    return [
        LineContact(link, int(asked), int(answered), int(broken))
        for link, asked, answered, broken in rows
    ]


def clock_offsets_between(
    connection: Connection, since: datetime, until: datetime, least_s: int
) -> list[tuple[int, datetime, int]]:
    """(device, when, seconds ahead) of clocks that were off by more than so many seconds."""
    rows = connection.execute(
        select(clock_offsets.c.device_id, clock_offsets.c.at, clock_offsets.c.offset_s)
        .where(
            clock_offsets.c.at >= since,
            clock_offsets.c.at < until,
            func.abs(clock_offsets.c.offset_s) > least_s,
        )
        .order_by(clock_offsets.c.device_id, clock_offsets.c.at)
    )
    return [(row.device_id, row.at, row.offset_s) for row in rows]
