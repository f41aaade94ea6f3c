"""The last settlement of a supply: to a moment, whatever its cycle."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from billing.ledger.posting import lock
from billing.office import Office
from billing.settlement.batch import settle
from billing.settlement.due import Due, load, of_supplies
from billing.settlement.faults import NotSettledError
from billing.settlement.looking import Settlement, effective, settled_until


def final_settlement(
    connection: Connection, office: Office, supply_id: int, at: datetime
) -> list[Settlement]:
    """Settle all that a supply has used up to a moment, and post it.

    The final reading has to be there: of the moment itself, or so close to it as the head-end
    takes for its own.  Asked for again with the same moment it does nothing.

    Args:
        connection: in a write transaction; the account is locked.
        office: who settles.
        supply_id: whose.
        at: when the supply ends.

    Returns:
        What was settled now.

    Raises:
        NotSettledError: says what it waits for and what to do; nothing was written.
    """
    begun = settled_until(connection, [supply_id]).get(supply_id)
    if begun is not None and begun > at:
        raise NotSettledError(
            f"Supply {supply_id} is settled until {begun:%Y-%m-%d %H:%M} UTC already: it cannot "
            f"end at {at:%Y-%m-%d %H:%M} UTC. End it then or later."
        )
    while (due := _due(connection, supply_id, at)) is not None:
        lock(connection, [due.account_id])
        _, waits = settle(connection, office, [due], at, at_latest=at)
        if waits:
            span, lacking = waits[0].span, waits[0].lacking
            raise NotSettledError(
                f"Supply {supply_id} cannot be settled to its end ({span.since:%Y-%m-%d %H:%M} to "
                f"{span.until:%Y-%m-%d %H:%M} UTC): {lacking.words}"
            )
    since = begun
    found = effective(connection, supply_id, since or datetime.min.replace(tzinfo=at.tzinfo), at)
    return [each for each in found if since is None or each.since >= since]


def _due(connection: Connection, supply_id: int, at: datetime) -> Due | None:
    found = load(connection, of_supplies([supply_id]), at, closed_too=True)
    return found[0] if found else None
