"""What is due of bills: late fees of the days that have ended, then the bills of the day.

May be killed, repeated, and run by several at once; it takes a hundred accounts at a time.
"""

from __future__ import annotations

from billing.bills import late_fees, run
from billing.office import Office


def sweep(office: Office) -> int:
    """Do all that is due; gives how many late fees and bills there were.

    Late fees come first, so that they are on the bills.
    """
    return late_fees.sweep(office) + run.sweep(office)
