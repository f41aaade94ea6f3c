"""By which channels customers pay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select

from billing.figures.area import accounts_of, place_named, places_below
from billing.office import Office
from billing.payments.tables import payment_channels, payments
from billing.person import Right


@dataclass(frozen=True, slots=True)
class ChannelShare:
    """What came in by one channel."""

    channel: str
    title: str
    payments: int
    amount_minor: int
    share_bp: int
    """Of all that came in, in hundredths of a percent."""
    undone: int
    """Payments that bounced or were another's."""


def channel_mix(
    office: Office, first: date, last: date, *, area: str | None = None
) -> list[ChannelShare]:
    """What came in from one day to another, both included, the largest channel first.

    Raises:
        RightMissingError: the person may not see figures.
        BadEntryError: no such place.
    """
    office.require(Right.REPORT)
    stands = payments.c.state == "posted"
    amount = func.coalesce(func.sum(payments.c.amount_minor).filter(stands), 0)
    query = (
        select(
            payments.c.channel,
            payment_channels.c.title,
            func.count().filter(stands).label("number"),
            amount.label("amount_minor"),
            func.count().filter(payments.c.state == "undone").label("undone"),
        )
        .join(payment_channels, payment_channels.c.channel == payments.c.channel)
        .where(
            payments.c.paid_at >= office.day_start(first),
            payments.c.paid_at < office.day_start(last + timedelta(days=1)),
        )
        .group_by(payments.c.channel, payment_channels.c.title)
        .order_by(amount.desc(), payments.c.channel)
    )
    with office.reading() as connection:
        if area is not None:
            meant = places_below(connection, place_named(connection, area))
            query = query.where(payments.c.account_id.in_(accounts_of(meant, None)))
        rows = connection.execute(query).all()
    whole = sum(int(row.amount_minor) for row in rows)
    return [
        ChannelShare(
            row.channel,
            row.title,
            int(row.number),
            int(row.amount_minor),
            10_000 * int(row.amount_minor) // whole if whole else 0,
            int(row.undone),
        )
        for row in rows
    ]
