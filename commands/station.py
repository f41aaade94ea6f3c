"""The head-end for the length of a command: the shop's database, and who stands there.

Whoever may do something in the vending house may do what goes with it here; `_RIGHTS` says what
that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from commands.counter import login_name, open_shop
from headend.person import Person, Right
from headend.station import Station
from vending.people.actor import Permission

if TYPE_CHECKING:
    from vending.people.actor import Actor

_RIGHTS: Final = {
    Permission.LOOK: {Right.LOOK},
    Permission.METERS: {Right.REGISTER},
    Permission.ENGINEER: {Right.READ, Right.COMMAND, Right.ALARMS},
    Permission.PROTECT: {Right.READ, Right.PROTECT, Right.ALARMS},
}


@contextmanager
def open_station(database: str) -> Iterator[Station]:
    """The head-end on a shop's database, for whoever is signed in there.

    Raises:
        VendingError: the database cannot be opened, or nobody is signed in.
    """
    import headend.tables_all
    from storage.engine import open_engine

    assert headend.tables_all.__doc__
    with open_shop(database) as shop:
        zone = ZoneInfo(shop.utility.zone)
        person = person_of(shop.people.actor)
    engine = open_engine(database)
    try:
        yield Station(engine, zone, lambda: datetime.now(UTC), person)
    finally:
        engine.dispose()


def person_of(actor: Actor) -> Person:
    """Who acts, as the head-end sees them; in an open house whoever uses the machine.

    The lines are the utility's: who works for a vendor, or is bound to a till, has no rights.
    """
    rights: set[Right] = set()
    if actor.vendor_id is None and actor.terminal is None:
        rights = {right for each in actor.permissions for right in _RIGHTS.get(each, set())}
        if actor.may(Permission.APPROVE) and actor.may(Permission.LOOK):
            rights.add(Right.APPROVE)
    return Person(actor.name or login_name(), frozenset(rights))
