"""What supplies have contracted, for tariffs that charge capacity or demand."""

from __future__ import annotations

from datetime import date

from sqlalchemy import insert, select

from billing.accounts.tables import supplies
from billing.faults import BadEntryError
from billing.office import Office
from billing.person import Right
from billing.settlement.looking import settled_until
from billing.settlement.spans import midnight
from billing.settlement.tables import supply_capacities
from storage.audit import record


def set_capacity(office: Office, supply_id: int, capacity: int, since: date) -> None:
    """Note what a supply has contracted, from the start of a day on.

    Args:
        office: who notes it.
        supply_id: whose.
        capacity: W; VA where the tariff counts kVA.
        since: the day; not before what is settled.

    Raises:
        BadEntryError: there is no such supply, the capacity cannot be, the day is settled or has
            a capacity already.
        RightMissingError: the person may not.
    """
    office.require(Right.SETTLE)
    at = midnight(since, office.zone)
    if capacity < 0:
        raise BadEntryError("What is contracted is 0 W or more.")
    with office.writing() as connection:
        if connection.scalar(select(supplies.c.supply_id).where(supplies.c.supply_id == supply_id)
                             ) is None:  # fmt: skip
            raise BadEntryError(f"There is no supply {supply_id}.")
        settled = settled_until(connection, [supply_id]).get(supply_id)
        if settled is not None and settled > at:
            raise BadEntryError(
                f"Supply {supply_id} is settled beyond {since}: take a day that is not settled yet."
            )
        known = connection.scalar(
            select(supply_capacities.c.capacity).where(
                supply_capacities.c.supply_id == supply_id, supply_capacities.c.since == at
            )
        )
        if known is not None:
            raise BadEntryError(f"From {since} on {known} is contracted already: take another day.")
        connection.execute(
            insert(supply_capacities).values(
                supply_id=supply_id, since=at, capacity=capacity, set_by=office.person.name
            )
        )
        record(
            connection,
            office.now(),
            actor=office.person.name,
            action="supply.capacity",
            subject=str(supply_id),
            detail=f"{capacity} from {since}",
        )
