"""Wrong tries are limited: for a meter, for a client, and for the whole house.

A try is written down, in a transaction of its own, before anybody looks whether it is right.
Somebody who guesses with many programs at once, or cuts them off, is counted all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, insert, select, true, update
from sqlalchemy import text as sql

from vending.vouchers.faults import TooManyVoucherTriesError
from vending.vouchers.tables import voucher_tries

TRY_WINDOW: Final = timedelta(hours=1)
METER_TRIES_MAX: Final = 5
"""Wrong tries for one meter within the window."""
CLIENT_TRIES_MAX: Final = 60
"""Wrong tries by one client (a web site, a telephone line) within the window."""
HOUSE_TRIES_MAX: Final = 300
"""Wrong tries by everybody together within the window."""
_TRY_LOCK: Final = 0x6D68_7674
"""The advisory lock of PostgreSQL under which tries are counted."""


def begin_try(connection: Connection, client: str, meter: str, now: datetime) -> int:
    """Count a try; gives its number.  The caller commits before it looks any further.

    Raises:
        TooManyVoucherTriesError: says how long to wait; this try is not counted.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sql("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _TRY_LOCK})
    since = now - TRY_WINDOW
    for whose, maximum in (
        (voucher_tries.c.meter == meter, METER_TRIES_MAX),
        (voucher_tries.c.client == client, CLIENT_TRIES_MAX),
        (true(), HOUSE_TRIES_MAX),
    ):
        if _wrong(connection, whose, since) >= maximum:
            raise TooManyVoucherTriesError(
                "Too many wrong voucher numbers were tried. Wait an hour, then compare the "
                "number with the voucher digit by digit; or bring the voucher to the office."
            )
    try_id: int = connection.execute(
        insert(voucher_tries).returning(voucher_tries.c.try_id),
        {"client": client, "meter": meter, "tried_at": now},
    ).scalar_one()
    return try_id


def end_try(connection: Connection, try_id: int, *, right: bool) -> None:
    """Say how it ended; a try that nobody ended counts as wrong."""
    connection.execute(
        update(voucher_tries)
        .where(voucher_tries.c.try_id == try_id)
        .values(result="right" if right else "wrong")
    )


def _wrong(connection: Connection, whose: ColumnElement[bool], since: datetime) -> int:
    counted = connection.scalar(
        select(func.count()).where(
            whose,
            voucher_tries.c.tried_at > since,
            voucher_tries.c.result.is_distinct_from("right"),
        )
    )
    return counted or 0
