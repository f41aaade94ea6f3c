"""What meters say has happened to them: each event once.

An event that had not ended gets its end later.  The same event with other details, or another
end, is kept beside the first as another variant of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from headend.faults import EntryError
from headend.store.archived import archived_events
from headend.store.kept import Kept, require_devices
from headend.store.months import Kind, Month, hold_months, require_months
from headend.store.tables import meter_events
from headend.values import MeterEvent
from storage.prepared import Prepared

_IS_EVENT: Final = (
    meter_events.c.device_id == bindparam("is_device"),
    meter_events.c.kind == bindparam("is_kind"),
    meter_events.c.began_at == bindparam("is_began_at"),
)
_VARIANTS: Final = Prepared(
    select(meter_events.c.variant, meter_events.c.ended_at, meter_events.c.details)
    .where(*_IS_EVENT)
    .order_by(meter_events.c.variant)
)
_INSERT: Final = Prepared(insert(meter_events), [column.name for column in meter_events.c])
_END: Final = Prepared(
    update(meter_events)
    .where(*_IS_EVENT, meter_events.c.variant == bindparam("is_variant"))
    .values(ended_at=bindparam("ended_at"))
)


def add_events(connection: Connection, given: Sequence[MeterEvent]) -> Kept:
    """Keep events, in the caller's write transaction.

    Raises:
        EntryError: a time without a zone, an end before the beginning.
        NotRegisteredError: a device is not registered.
    """
    for event in given:
        _require_sound(event)
    if not given:
        return Kept()
    require_devices(connection, (event.device_id for event in given))
    months = {Month.of(event.began_at) for event in given}
    hold_months(connection, Kind.EVENTS, months)
    require_months(connection, Kind.EVENTS, months)
    now = datetime.now(UTC)
    return sum((_add(connection, event, now) for event in given), Kept())


def find_events(
    connection: Connection, device_id: int, since: datetime, until: datetime
) -> list[MeterEvent]:
    """A device's events that began in a span of time, in their order."""
    rows = connection.execute(
        select(meter_events).where(
            meter_events.c.device_id == device_id,
            meter_events.c.began_at >= since,
            meter_events.c.began_at < until,
        )
    ).all()
    found = [*archived_events(connection, device_id, since, until)]
    found += [
        MeterEvent(device_id, row.kind, row.began_at, row.ended_at, row.details) for row in rows
    ]
    return sorted(set(found), key=lambda event: (event.began_at, event.kind, event.details))


def _require_sound(event: MeterEvent) -> None:
    ends = [] if event.ended_at is None else [event.ended_at]
    if any(moment.tzinfo is None for moment in (event.began_at, *ends)):
        raise EntryError(f"A time of the event {event.kind} has no zone; nothing was kept.")
    if any(moment < event.began_at for moment in ends):
        raise EntryError(f"The event {event.kind} ends before it begins; nothing was kept.")
    if not event.kind:
        raise EntryError("An event has no kind; nothing was kept.")


def _add(connection: Connection, event: MeterEvent, now: datetime) -> Kept:
    key = {
        "is_device": event.device_id,
        "is_kind": event.kind,
        "is_began_at": event.began_at,
    }
    variants = _VARIANTS.rows(connection, key)
    for row in variants:
        if row.details != event.details:
            continue
        if event.ended_at in (None, row.ended_at):
            return Kept(same=1)
        if row.ended_at is None:
            end = {**key, "is_variant": row.variant, "ended_at": event.ended_at}
            _END.run(connection, end)
            return Kept(new=1)
    _INSERT.run(
        connection,
        {
            "device_id": event.device_id,
            "kind": event.kind,
            "began_at": event.began_at,
            "variant": len(variants),
            "ended_at": event.ended_at,
            "details": event.details,
            "seen_at": now,
        },
    )
    return Kept(differing=1) if variants else Kept(new=1)
