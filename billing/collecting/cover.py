"""Whom nobody disconnects now: accounts under a keep-power order, and under an emergency stop.

For many accounts at once.  The head-end looks again before it opens a contact, at everything that
hangs on it; here whoever is covered is not even told that a disconnect would come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from billing.accounts.tables import supplies
from headend.orders.tables import emergency_stops, keep_powers
from headend.registry.places import places_below
from headend.registry.tables import service_points


@dataclass(frozen=True, slots=True)
class Cover:
    """What covers accounts, in words by account."""

    suspended: dict[int, str]
    protected: dict[int, str]
    supplied: frozenset[int]
    """Accounts with a supply at all."""


def cover_of(connection: Connection, account_ids: Sequence[int], at: datetime) -> Cover:
    """What covers some accounts.

    Args:
        connection: in any transaction.
        account_ids: some hundreds at most.
        at: the moment.
    """
    points = _points(connection, account_ids)
    suspended: dict[int, str] = {}
    for place_id, words in _stops(connection):
        if place_id is None:
            suspended |= dict.fromkeys(account_ids, words)
            continue
        within = set(places_below(connection, place_id))
        suspended |= {account_id: words for account_id, _, place in points if place in within}
    protected = _protected(connection, points, at)
    return Cover(suspended, protected, frozenset(account_id for account_id, *_ in points))


def _points(
    connection: Connection, account_ids: Sequence[int]
) -> list[tuple[int, int, int | None]]:
    """Account, point and place of the supplies that are there."""
    rows = connection.execute(
        select(supplies.c.account_id, service_points.c.point_id, service_points.c.place_id)
        .join(service_points, service_points.c.point_id == supplies.c.point_id)
        .where(supplies.c.account_id.in_(account_ids), supplies.c.until.is_(None))
    )
    return [(row.account_id, row.point_id, row.place_id) for row in rows]


def _stops(connection: Connection) -> list[tuple[int | None, str]]:
    rows = connection.execute(
        select(emergency_stops.c.place_id, emergency_stops.c.reason)
        .where(emergency_stops.c.resumed_at.is_(None))
        .order_by(emergency_stops.c.stop_id)
    )
    return [(row.place_id, f"Emergency: {row.reason}") for row in rows]


def _protected(
    connection: Connection, points: Iterable[tuple[int, int, int | None]], at: datetime
) -> dict[int, str]:
    rows = connection.execute(
        select(keep_powers.c.point_id, keep_powers.c.place_id, keep_powers.c.owner)
        .where(
            keep_powers.c.lifted_at.is_(None), keep_powers.c.since <= at, keep_powers.c.until > at
        )
        .order_by(keep_powers.c.keep_power_id)
    ).all()
    own = {row.point_id: row.owner for row in rows if row.point_id is not None}
    of_place: dict[int, str] = {}
    for row in rows:
        if row.place_id is not None:
            of_place |= dict.fromkeys(places_below(connection, row.place_id), row.owner)
    protected: dict[int, str] = {}
    for account_id, point_id, place_id in points:
        owner = own.get(point_id) or (None if place_id is None else of_place.get(place_id))
        if owner is not None:
            protected[account_id] = f"A keep-power order of {owner} protects it."
    return protected
