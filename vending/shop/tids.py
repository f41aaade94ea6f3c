"""Token identifiers for a meter: never twice, never back (specs/vending.md, invariant 2).

The last one used is read and the next one written within the same write transaction, while
the meter's row is locked; the clock only says where to go on from when it is ahead.  A meter
keeps its memory of used TIDs through a key change, so TIDs go on across keys too, as long as
the base date is the same.  The database refuses any other order (trigger on ``tokens``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, union_all

from storage.prepared import Prepared, Values
from vending.shop.agreed import agreed
from vending.shop.faults import ClockBehindError
from vending.shop.making import in_the_making
from vending.shop.meters import Meter
from vending.shop.tables import intents, tokens
from vending.sts import BaseDate, Tid, next_tid, require_not_expired

_LAST_USED: Final = Prepared(
    union_all(
        *(
            select(func.max(used.c.tid).label("tid")).where(
                used.c.meter_id == bindparam("of_meter"),
                used.c.base_year == bindparam("of_base_year"),
            )
            for used in (tokens, intents)
        )
    )
)


def require_begun(base: BaseDate, now: datetime) -> None:
    """Refuse to issue a token before its base date begins.

    Raises:
        ClockBehindError: it has not begun; the clock may be wrong, so this is no answer to store.
    """
    if now < base.start:
        raise ClockBehindError(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, before base date {base.value} begins: put "
            "the clock right. If it is right, the meter needs an older base date."
        )


def asks_used_tids(meter: Meter) -> tuple[Prepared, Values]:
    """What `due_tid` asks."""
    return _LAST_USED, {"of_meter": meter.meter_id, "of_base_year": int(meter.key.base_date)}


@agreed
def due_tid(connection: Connection, meter: Meter, now: datetime) -> Tid:
    """The TID of the next token for a meter.  It is used when the token is stored, not before.

    Args:
        connection: for a sale in a write transaction that holds the meter's lock.
        meter: as found under that lock.
        now: the time of issue, within the base date.

    Raises:
        TidRangeError: the base date has no TID left.
        KeyExpiredError: the meter would refuse the token as past its key's expiry (KEN).
    """
    base = meter.key.base_date
    making = in_the_making()
    if making is not None and making.ordered_tid is not None:
        return Tid(making.ordered_tid)
    statement, values = asks_used_tids(meter)
    used = statement.rows(connection, values)
    tid = next_tid(now, base, max((row.tid for row in used if row.tid is not None), default=None))
    require_not_expired(tid, meter.key.ken)
    return tid
