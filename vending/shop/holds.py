"""What belongs to a request whose token is being made, until it is settled.

When a token has been ordered from a module outside of this process, the request will be stored as
it was agreed, however long that takes.  So what it needs then is held for it:

===================  =====================================================================
held                 nobody else, while it is held,
===================  =====================================================================
``meter 7``          stores a receipt for the meter (so no token, no payment or reversal, no
                     other key), or writes off a debt of it
``point P``          stores a receipt for a meter of the service point (free units of the month,
                     carried change)
``voucher 7``        pays with the voucher, or blocks it
``exchange 7``       carries over the units of this old meter
===================  =====================================================================

Whoever meets a hold is told to wait (`meter_busy`).  The holds of meters and points are kept by
triggers, whoever writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from storage.prepared import InsertIfNew, Prepared
from vending.shop.faults import MeterBusyError
from vending.shop.making import in_the_making
from vending.shop.tables import intent_holds

_HOLDER: Final = Prepared(
    select(intent_holds.c.client, intent_holds.c.message_id).where(
        intent_holds.c.what == bindparam("held")
    )
)
_NEW: Final = InsertIfNew(intent_holds, ["what", "client", "message_id"])


def hold(connection: Connection, what: str) -> None:
    """Keep something for the request at hand until it is settled.

    Whatever was not ordered outside of this process is settled in this transaction.

    Args:
        connection: in the request's write transaction, which has locked what is held.
        what: see the module.

    Raises:
        MeterBusyError: it is another's.
    """
    making = in_the_making()
    if making is not None and making.is_ordered:
        return
    require_free(connection, what)
    if making is not None:
        making.holds.append(what)


def require_free(connection: Connection, what: str) -> None:
    """Refuse to touch what is held.

    Raises:
        MeterBusyError: it is.
    """
    holder = _HOLDER.first(connection, {"held": what})
    if holder is not None:
        raise _busy(holder.client, holder.message_id)


def require_none_of(connection: Connection, prefix: str) -> None:
    """Refuse to touch what is held, of all whose names begin so.

    Raises:
        MeterBusyError: one is.
    """
    found = connection.execute(
        select(intent_holds.c.client, intent_holds.c.message_id)
        .where(intent_holds.c.what.startswith(prefix, autoescape=True))
        .limit(1)
    ).first()
    if found is not None:
        raise _busy(found.client, found.message_id)


def take_holds(connection: Connection, client: str, message_id: str, holds: Iterable[str]) -> None:
    """Write down what is held for an intent.

    Raises:
        MeterBusyError: something of it is another's.
    """
    for what in holds:
        require_free(connection, what)
        row = {"what": what, "client": client, "message_id": message_id}
        if not _NEW.run(connection, row):
            require_free(connection, what)
            raise _busy(client, message_id)


def let_go(connection: Connection, client: str, message_id: str) -> None:
    """An intent is settled."""
    connection.execute(
        delete(intent_holds).where(
            intent_holds.c.client == client, intent_holds.c.message_id == message_id
        )
    )


def _busy(client: str, message_id: str) -> MeterBusyError:
    return MeterBusyError(
        f"Request {message_id} of {client}, for this meter or for what it pays with, is not "
        "settled: ask again about it (meterhouse vend recover), then ask again for this one."
    )
