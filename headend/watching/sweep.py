"""All of watching, again and again: what the service calls on a schedule, one worker at a time.

Each part goes on where it stopped, in transactions of a batch; a sweep that is cut off leaves
whole batches behind and the next one does the rest.  What is asked of the database is in the
order of: what changed by the minute first, what changes by the day last.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from headend.station import Station
from headend.watching.calendar import day_of
from headend.watching.checking import check_values
from headend.watching.days import compute_days, forget_old_days
from headend.watching.escalation import escalate
from headend.watching.health import watch_health
from headend.watching.limits import limits_in_force
from headend.watching.loss_watch import watch_losses
from headend.watching.losses import compute_losses, forget_old_losses
from headend.watching.marks import mark, set_mark
from headend.watching.outage_watch import watch_outages

EVERY_MIN: Final = 5
"""How often the service should call `sweep`."""
_HOURLY: Final = "hourly"
_DAILY: Final = "daily"


def sweep(station: Station) -> int:
    """Do all that is due; how much was: dark places, changed alarms, days, findings, notices."""
    done = watch_outages(station)
    done += _hourly(station)
    return done + escalate(station)


def _hourly(station: Station) -> int:
    """What depends on readings of days: once an hour is enough."""
    now = station.now()
    with station.reading() as connection:
        last = mark(connection, _HOURLY)
    hour = now.replace(minute=0, second=0, microsecond=0)
    if last is not None and last >= hour:
        return 0
    done = watch_health(station)
    done += compute_days(station)
    done += len(compute_losses(station))
    done += watch_losses(station)
    done += check_values(station)
    _daily(station)
    set_mark(station, _HOURLY, now)
    return done


def _daily(station: Station) -> None:
    now = station.now()
    with station.reading() as connection:
        last = mark(connection, _DAILY)
        keep = limits_in_force(connection)["keep_days"]
    if last is not None and last > now - timedelta(days=1):
        return
    forget_old_days(station)
    with station.writing() as connection:
        forget_old_losses(connection, day_of(station.zone, now) - keep)
    set_mark(station, _DAILY, now)
