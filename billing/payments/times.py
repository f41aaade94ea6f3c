"""When payments were paid, as their channels say: not when we were told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from billing.payments.tables import payments

_AT_ONCE: Final = 500


def paid_at_of(connection: Connection, sources: Collection[str]) -> dict[str, datetime]:
    """When payments were paid, by the source that their entries name (``payment NUMBER``)."""
    numbers = (source.removeprefix("payment ") for source in sources)
    ids = sorted(int(number) for number in numbers if number.isdecimal())
    found = {}
    for place in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            select(payments.c.payment_id, payments.c.paid_at).where(
                payments.c.payment_id.in_(ids[place : place + _AT_ONCE])
            )
        )
        found.update({f"payment {row.payment_id}": row.paid_at for row in rows})
    return found
