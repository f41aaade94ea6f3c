"""What visits have brought is kept together with the meters' standing, in one transaction.

A standing is moved on only from what the job has found it to be.  So a job that is begun again
after its worker died, or while the other one still lives, keeps nothing a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, update

from headend.collection.contacts import count_contact, count_link
from headend.collection.plan import Plan
from headend.collection.retries import next_try
from headend.collection.tables import clock_offsets, event_counts, round_devices, round_links
from headend.collection.visit import Visit
from headend.faults import EntryError, HeadEndError
from headend.station import Station
from headend.store import readings as store
from storage.engine import attempt, insert_if_new
from storage.prepared import Prepared, together

_MOVE_ON: Final = Prepared(
    update(round_devices)
    .where(
        round_devices.c.round_id == bindparam("its_round"),
        round_devices.c.device_id == bindparam("its_device"),
        round_devices.c.attempts == bindparam("its_attempts"),
        round_devices.c.state == "waiting",
    )
    .returning(round_devices.c.device_id),
    ["state", "attempts", "due_at", "remaining", "why", "words"],
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A meter that waits in a round."""

    device_id: int
    attempts: int
    remaining: tuple[str, ...] | None
    """None: everything."""


@dataclass(frozen=True, slots=True)
class Visited:
    """A visit, and how the meter stood before."""

    before: Standing
    visit: Visit


@dataclass(frozen=True, slots=True)
class RoundShare:
    """A link's share of a round, as its job knows it."""

    round_id: int
    link_id: int
    plan: Plan
    closes_at: datetime
    urgency_attempt: int


def keep(station: Station, share: RoundShare, visited: Sequence[Visited]) -> list[Visit]:
    """Keep what some visits brought; gives those that counted, once they are committed."""
    if not visited:
        return []
    now = station.now()
    with station.writing() as connection:
        ours = _move_on(connection, share, visited, now)
        if ours:
            _store(connection, share, ours, now)
        _count(connection, share, [each.visit for each in ours], now)
    return [each.visit for each in ours]


def _move_on(
    connection: Connection, share: RoundShare, visited: Sequence[Visited], now: datetime
) -> list[Visited]:
    """Move standings on, in one round trip; those that nobody else had moved before."""
    steps = [(_MOVE_ON, _standing(share, each, now)) for each in visited]
    moved = together(connection, steps)
    return [each for each, rows in zip(visited, moved, strict=True) if rows]


def _standing(share: RoundShare, each: Visited, now: datetime) -> dict[str, object]:
    """What `_MOVE_ON` takes."""
    visit, before = each.visit, each.before
    attempts = before.attempts + 1
    values: dict[str, object] = {
        "attempts": attempts,
        "due_at": now,
        "why": None,
        "words": None,
        "remaining": None if before.remaining is None else ",".join(before.remaining),
    }
    parts = before.remaining or share.plan.what.parts
    if visit.offers_nothing:
        values |= {
            "state": "failed",
            "why": "not_offered",
            "words": "The meter has nothing of what the plan reads.",
        }
    elif not visit.remaining:
        values |= {"state": "read", "remaining": None}
    else:
        fault = visit.fault
        values |= {
            "why": getattr(fault, "code", "unknown"),
            "words": str(fault or "It could not be read."),
        }
        if set(visit.remaining) != set(parts) or before.remaining is not None:
            values["remaining"] = ",".join(visit.remaining)
        plan = share.plan
        due_at = next_try(now, attempts, plan.retry_min, plan.retry_max_min)
        if visit.found_line_broken and not visit.answered:
            values["attempts"] = before.attempts  # the line's fault, not the meter's
        if due_at < share.closes_at:
            values |= {"state": "waiting", "due_at": due_at}
        else:
            values["state"] = "failed" if values["remaining"] is None else "partial"
    values |= {
        "its_round": share.round_id,
        "its_device": before.device_id,
        "its_attempts": before.attempts,
    }
    return values


def _store(
    connection: Connection, share: RoundShare, ours: Sequence[Visited], now: datetime
) -> None:
    """Keep the values; one that cannot be kept costs its own meter, not the others."""
    try:
        _store_values(connection, ours)
    except EntryError as fault:
        if len(ours) == 1:
            _refuse(connection, share, ours[0], fault, now)
            return
        for each in ours:
            _store(connection, share, [each], now)
        return
    for each in ours:
        _keep_events_known(connection, each.visit)
        _keep_offset(connection, each.visit)


def _store_values(connection: Connection, ours: Sequence[Visited]) -> None:
    told = [each.visit.told for each in ours]
    with attempt(connection):
        store.add_readings(connection, [value for out in told for value in out.values])
        store.add_intervals(connection, [value for out in told for value in out.intervals])
        store.add_events(connection, [event for out in told for event in out.events])


def _refuse(
    connection: Connection, share: RoundShare, each: Visited, fault: HeadEndError, now: datetime
) -> None:
    connection.execute(
        update(round_devices)
        .where(
            round_devices.c.round_id == share.round_id,
            round_devices.c.device_id == each.before.device_id,
        )
        .values(state="failed", why=fault.code, words=str(fault), due_at=now)
    )


def _keep_events_known(connection: Connection, visit: Visit) -> None:
    for source, known in visit.known_events.items():
        key = {"device_id": visit.device.device_id, "source": source}
        values = {"count": known.count, "is_open": int(known.is_open)}
        if not insert_if_new(connection, event_counts, {**key, **values}):
            connection.execute(
                update(event_counts)
                .where(*(event_counts.c[name] == value for name, value in key.items()))
                .values(**values)
            )


def _keep_offset(connection: Connection, visit: Visit) -> None:
    if visit.clock_at is not None:
        row = {
            "device_id": visit.device.device_id,
            "at": visit.clock_at,
            "offset_s": visit.clock_offset_s,
        }
        insert_if_new(connection, clock_offsets, row)


def _count(
    connection: Connection, share: RoundShare, visits: Sequence[Visit], now: datetime
) -> None:
    if not visits:
        return
    for visit in visits:
        if visit.told.asked:
            count_contact(connection, visit.device.device_id, now, answered=visit.answered)
    spent_ms = sum(visit.spent_ms for visit in visits)
    count_link(
        connection,
        share.link_id,
        now,
        asked=len(visits),
        answered=sum(visit.answered for visit in visits),
        broken=sum(visit.found_line_broken and not visit.answered for visit in visits),
        busy_ms=spent_ms,
    )
    connection.execute(
        update(round_links)
        .where(round_links.c.round_id == share.round_id, round_links.c.link_id == share.link_id)
        .values(
            asked=round_links.c.asked + sum(visit.told.asked for visit in visits),
            spent_ms=round_links.c.spent_ms + spent_ms,
        )
    )
