"""What keeps a service point from being cut now, for those who change the network."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from headend.orders.emergency import stops_over
from headend.orders.protection import protections_over
from headend.orders.reach import reach_of_point


def cover_of(connection: Connection, point_id: int, at: datetime) -> str | None:
    """The keep-power order or emergency stop that covers a point, in words; None: none does."""
    reach = reach_of_point(connection, point_id)
    for protection in protections_over(connection, reach, at):
        return f"The keep-power order of {protection.owner} ({protection.reason})"
    for stop in stops_over(connection, reach):
        if stop.place is not None:
            return f"The emergency stop {stop.where} ({stop.reason})"
    return None
