"""Hourly settlement lives on readings of each hour: whether a plan of the head-end brings them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Select, select

from billing.accounts.tables import supplies
from billing.office import Office
from headend.collection.plan import Plan, read_document
from headend.collection.tables import plans
from headend.collection.whom import meters_of
from headend.registry.tables import end_devices, installations
from headend.watching.registers import IMPORT

HOUR_MIN: Final = 60
PLAN: Final = f"meterhouse plan add hours --hourly {IMPORT} --every 60 --at 00:05"
"""What brings the freezes of each hour; of meters that have none: ``--quantity``."""


def unread_hours(connection: Connection, office: Office, account_id: int) -> str | None:
    """What is lacking for an account's hourly settlement, in words; None: nothing.

    Args:
        connection: in any transaction.
        office: gives the day.
        account_id: whose; while it has no meter, any plan by the hour will do.
    """
    meters = {row.device_id: row.number for row in connection.execute(_meters(account_id))}
    hourly = [each for each in _plans(connection) if _is_hourly(each)]
    if meters:
        for plan in hourly:
            read = meters_of(connection, plan, office.today())
            read = read.where(end_devices.c.device_id.in_(list(meters)))
            for device_id, _ in connection.execute(read):
                meters.pop(device_id)
        if not meters:
            return None
        which = "meter " + ", ".join(sorted(meters.values())[:3])
        which += f" and {len(meters) - 3} more" if len(meters) > 3 else ""
    elif hourly:
        return None
    else:
        which = "any meter"
    return (
        f"No reading plan reads {which} by the hour: until one does, its hours wait, or are "
        f"estimated between two days. Make one: {PLAN}"
    )


def _meters(account_id: int) -> Select[tuple[int, str]]:
    return (
        select(end_devices.c.device_id, end_devices.c.number)
        .join(installations, installations.c.device_id == end_devices.c.device_id)
        .join(supplies, supplies.c.point_id == installations.c.point_id)
        .where(
            supplies.c.account_id == account_id,
            supplies.c.until.is_(None),
            installations.c.until.is_(None),
        )
    )


def _plans(connection: Connection) -> list[Plan]:
    documents = connection.scalars(
        select(plans.c.document).where(plans.c.ended_at.is_(None)).order_by(plans.c.plan_id)
    )
    return [read_document(each) for each in documents]


def _is_hourly(plan: Plan) -> bool:
    """Whether it brings a register of each hour: frozen, or read then."""
    every = plan.when.every_min
    return IMPORT in plan.what.hourly or (
        IMPORT in plan.what.quantities and every is not None and every <= HOUR_MIN
    )
