"""Lines of alarms' histories that a broker has not taken yet; at least once, in their order.

Identifiers are given out before a transaction commits, so one may appear behind a larger one that
is published already.  So each line that was taken is written down for an hour, and what is not
written down is looked for from that long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, delete, exists, func, select

from headend.publishing.tables import published_alarms
from headend.registry.tables import end_devices, links, places
from headend.watching.tables import alarm_history, alarms
from storage.engine import insert_if_new

LATE: Final = timedelta(hours=1)
"""No transaction takes so long; a first start publishes what is as young as this."""
BATCH: Final = 100


def begin(connection: Connection, channel: str, now: datetime) -> None:
    """Note from where on lines are published: at the first start, from an hour ago."""
    ours = published_alarms.c.channel == channel
    if connection.execute(select(published_alarms.c.entry_id).where(ours).limit(1)).first():
        return
    before = connection.execute(
        select(func.max(alarm_history.c.entry_id)).where(alarm_history.c.at < now - LATE)
    ).scalar()
    row = {"channel": channel, "entry_id": before or 0, "published_at": now}
    insert_if_new(connection, published_alarms, row)


def unpublished(connection: Connection, channel: str) -> Sequence[Any]:
    """At most `BATCH` lines that wait, each with its alarm as it is now; `begin` comes first."""
    ours = published_alarms.c.channel == channel
    first = select(func.min(published_alarms.c.entry_id)).where(ours).scalar_subquery()
    taken = exists().where(ours, published_alarms.c.entry_id == alarm_history.c.entry_id)
    about = case(
        (end_devices.c.number.is_not(None), "meter " + end_devices.c.number),
        (links.c.name.is_not(None), "link " + links.c.name),
        (places.c.name.is_not(None), places.c.kind + " " + places.c.name),
        else_="station",
    )
    return connection.execute(
        select(
            alarm_history,
            alarms.c.kind,
            alarms.c.severity.label("severity_now"),
            alarms.c.words.label("words_now"),
            alarms.c.acknowledged_at,
            alarms.c.closed_at,
            alarms.c.first_at,
            alarms.c["count"].label("count"),
            about.label("about"),
        )
        .join(alarms, alarms.c.alarm_id == alarm_history.c.alarm_id)
        .outerjoin(end_devices, end_devices.c.device_id == alarms.c.device_id)
        .outerjoin(links, links.c.link_id == alarms.c.link_id)
        .outerjoin(places, places.c.place_id == alarms.c.place_id)
        .where(alarm_history.c.entry_id > first, ~taken)
        .order_by(alarm_history.c.entry_id)
        .limit(BATCH)
    ).all()


def note_published(
    connection: Connection, channel: str, entry_ids: Sequence[int], now: datetime
) -> None:
    """The broker has taken them; what was taken long ago is forgotten, all but the last."""
    for each in entry_ids:
        row = {"channel": channel, "entry_id": each, "published_at": now}
        insert_if_new(connection, published_alarms, row)
    old = (
        select(func.max(published_alarms.c.entry_id))
        .join(alarm_history, alarm_history.c.entry_id == published_alarms.c.entry_id)
        .where(published_alarms.c.channel == channel, published_alarms.c.published_at < now - LATE)
    ).scalar_subquery()
    connection.execute(
        delete(published_alarms).where(
            published_alarms.c.channel == channel, published_alarms.c.entry_id < old
        )
    )
