"""Whether a channel works: its last success, its last failure, how long nothing has come.

A payment that was taken is a success; so nothing is written for it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from billing.office import Office
from billing.payments.channels import KNOWN, Channel, channel_of, find_channel, store_channel
from billing.payments.tables import channel_events, payment_channels, payments

_WORDS_LENGTH_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel stands."""

    channel: Channel
    last_payment_at: datetime | None
    payments_today: int
    last_test_at: datetime | None
    """Of a test that went well."""
    last_failure_at: datetime | None
    last_failure: str
    """Code and words."""
    is_stale: bool
    """Nothing has come for longer than the channel's alarm allows."""

    @property
    def last_success_at(self) -> datetime | None:
        """A payment, or a test that went well."""
        known = [each for each in (self.last_payment_at, self.last_test_at) if each is not None]
        return max(known, default=None)

    @property
    def state(self) -> str:
        """``up``, ``down`` (the last thing was a failure), ``stale``, ``closed``, ``unused``."""
        if not self.channel.is_open:
            return "closed"
        success, failure = self.last_success_at, self.last_failure_at
        if failure is not None and (success is None or failure > success):
            return "down"
        if self.is_stale:
            return "stale"
        return "unused" if success is None else "up"


def keep_failure(
    connection: Connection, office: Office, channel: str, code: str, words: str
) -> None:
    """Write a failure down."""
    _keep(connection, office, channel, "failed", code, words)


def keep_test(connection: Connection, office: Office, channel: str, words: str) -> None:
    """Write down a test that went well."""
    _keep(connection, office, channel, "tested", "", words)


def health_of_all(connection: Connection, office: Office) -> list[Health]:
    """All channels, those too that nobody has used yet."""
    rows = connection.execute(select(payment_channels).order_by(payment_channels.c.channel))
    found = {row.channel: (channel_of(row), row.added_at) for row in rows}
    for name, channel in KNOWN.items():
        found.setdefault(name, (channel, None))
    return [_health(connection, office, *each) for _, each in sorted(found.items())]


def _health(
    connection: Connection, office: Office, channel: Channel, added_at: datetime | None
) -> Health:
    ours = payments.c.channel == channel.name
    last = connection.scalar(select(func.max(payments.c.taken_at)).where(ours))
    today = connection.scalar(
        select(func.count()).where(ours, payments.c.taken_at >= office.day_start(office.today()))
    )
    tested = _last_event(connection, channel.name, "tested")
    failed = _last_event(connection, channel.name, "failed")
    began = max((each for each in (last, added_at) if each is not None), default=None)
    is_stale = (
        channel.stale_h is not None
        and began is not None
        and office.now() - began > timedelta(hours=channel.stale_h)
    )
    return Health(
        channel=channel,
        last_payment_at=last,
        payments_today=today or 0,
        last_test_at=tested.at if tested else None,
        last_failure_at=failed.at if failed else None,
        last_failure=f"{failed.code}: {failed.words}" if failed else "",
        is_stale=is_stale,
    )


def _last_event(connection: Connection, channel: str, kind: str) -> Any:
    return connection.execute(
        select(channel_events.c.at, channel_events.c.code, channel_events.c.words)
        .where(channel_events.c.channel == channel, channel_events.c.kind == kind)
        .order_by(channel_events.c.event_id.desc())
        .limit(1)
    ).one_or_none()


def _keep(
    connection: Connection, office: Office, channel: str, kind: str, code: str, words: str
) -> None:
    store_channel(connection, office, find_channel(connection, channel))
    row = {
        "channel": channel,
        "at": office.now(),
        "kind": kind,
        "code": code,
        "words": words[:_WORDS_LENGTH_MAX],
    }
    connection.execute(insert(channel_events), row)
