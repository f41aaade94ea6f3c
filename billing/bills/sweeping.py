"""What is due of bills: late fees of the days that have ended, then the bills of the day.

May be killed, repeated, and run by several at once; it takes some accounts at a time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, insert, select

from billing.bills import late_fees, run
from billing.bills.tables import bill_sweeps
from billing.office import Office

EVERY: Final = timedelta(hours=1)
"""Who waits for settlements, or has nothing to bill, is looked at again after that."""
_RUN: Final = "run"


def sweep(office: Office) -> int:
    """Do all that is due; gives how many late fees and bills there were.

    Late fees come first, so that they are on the bills.  Bills are made when the last run that went
    through is an hour ago, or was on another day.
    """
    done = late_fees.sweep(office)
    if _is_due(office):
        done += run.sweep(office)
        _keep(office)
    return done


def _is_due(office: Office) -> bool:
    with office.reading() as connection:
        last = connection.scalar(select(bill_sweeps.c.done_at).where(bill_sweeps.c.name == _RUN))
    if last is None or last.astimezone(office.zone).date() != office.today():
        return True
    again: bool = office.now() >= last + EVERY
    return again


def _keep(office: Office) -> None:
    with office.writing() as connection:
        connection.execute(delete(bill_sweeps).where(bill_sweeps.c.name == _RUN))
        connection.execute(insert(bill_sweeps), {"name": _RUN, "done_at": office.now()})
