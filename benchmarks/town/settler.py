"""The process that settles: ``python -m benchmarks.town.settler URL daily|monthly DAY NOW``.

It may be killed at any moment; whoever comes after goes on.
"""

from __future__ import annotations

import sys
from datetime import date, datetime

from benchmarks.town.founding import TownClock, open_town
from billing.office import Office
from billing.settlement.run import settle_day, settle_month


def settle(office: Office, cycle: str, day: date, accounts: int) -> None:
    """Settle a day, or the month that ends with it."""
    if cycle == "daily":
        settle_day(office, day, accounts=accounts)
    else:
        settle_month(office, day)


def main(url: str, cycle: str, day: str, now: str) -> None:
    """Settle in this process, in small transactions: there is more to be killed in."""
    office = open_town(url, TownClock(datetime.fromisoformat(now)))
    print("settling", flush=True)
    settle(office, cycle, date.fromisoformat(day), 50)


if __name__ == "__main__":
    main(*sys.argv[1:])
