"""The office for the length of a command: the shop's database, and who stands there.

Whoever may do something in the vending house may do what goes with it here; `_RIGHTS` says what
that is.  Customers are served by who has a drawer: a kiosk sells, too, and is a machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from billing.person import Person, Right
from commands.counter import login_name, open_shop
from commands.office_work import watchers
from commands.station import person_of as person_at_station
from vending.people.actor import Permission

if TYPE_CHECKING:
    from billing.office import Office
    from billing.privacy.seal import Seal
    from vending.people.actor import Actor

_RIGHTS: Final = {
    Permission.LOOK: {Right.LOOK},
    Permission.CASH: {Right.SERVE, Right.PERSONAL},
    Permission.SUPERVISE: {Right.SERVE, Right.SETTLE, Right.BILL},
    Permission.TARIFFS: {Right.TARIFFS, Right.SETTLE, Right.BILL},
    Permission.PROTECT: {Right.EMERGENCY, Right.COLLECT},
    Permission.REPORTS: {Right.REPORT},
    Permission.PEOPLE: {Right.CONFIGURE},
}


@contextmanager
def open_office(database: str, operator: str = "") -> Iterator[Office]:
    """The office on a shop's database, for whoever is signed in there.

    Args:
        database: its URL.
        operator: who acts where nobody signs in; empty: by the login name.

    Raises:
        VendingError: the database cannot be opened, or nobody is signed in.
        SealKeyError: the key for personal fields is missing.
    """
    import billing.tables_all
    from billing.ledger.books import are_open, open_books
    from billing.office import Office
    from headend.station import Station
    from storage.engine import open_engine

    assert billing.tables_all.__doc__
    with open_shop(database) as shop:
        utility, actor = shop.utility, shop.people.actor
    zone = ZoneInfo(utility.zone)
    engine = open_engine(database)
    try:
        station = Station(engine, zone, _now, person_at_station(actor))
        office = Office(
            engine=engine,
            zone=zone,
            currency=utility.currency,
            clock=_now,
            seal=seal_of(database),
            person=person_of(actor, operator),
            name=utility.name,
            language=utility.language,
            station=station,
            watchers=watchers(),
        )
        with office.reading() as connection:
            missing = not are_open(connection, utility.currency.code)
        if missing:
            with office.writing() as connection:
                open_books(connection, utility.currency.code)
        yield office
    finally:
        engine.dispose()


def person_of(actor: Actor, operator: str = "") -> Person:
    """Who acts, as the office sees them; in an open house whoever uses the machine.

    Accounts are the utility's: who works for a vendor, or is bound to a till, has no rights.
    """
    rights: set[Right] = set()
    if actor.vendor_id is None and actor.terminal is None:
        rights = {right for each in actor.permissions for right in _RIGHTS.get(each, set())}
        if actor.may(Permission.APPROVE) and actor.may(Permission.LOOK):
            rights.add(Right.APPROVE)
    return Person(actor.name or operator or login_name(), frozenset(rights))


def seal_of(database: str) -> Seal:
    """The seal for personal fields, by the keys of `key_path`.

    A file beside a SQLite database is made when it is missing and nothing was sealed yet.

    Raises:
        SealKeyError: there is none.
    """
    from billing.privacy.key_file import VARIABLE, make_key_file, open_seal

    path = key_path(database)
    if not os.environ.get(VARIABLE) and not path.exists() and not _holds_sealed(database):
        make_key_file(path)
    return open_seal(path)


def key_path(database: str) -> Path:
    """Where the keys for personal fields are: the file that is named, or beside a SQLite file.

    Raises:
        SealKeyError: no file is named, and the database is none of SQLite.
    """
    from billing.privacy.faults import SealKeyError
    from billing.privacy.key_file import VARIABLE

    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    head, mark, path = database.partition(":///")
    if head.startswith("sqlite") and mark and path:
        return Path(f"{path}.personal-key")
    raise SealKeyError(
        f"Personal fields need a key: name its file with {VARIABLE}. "
        "'meterhouse office key new FILE' makes one."
    )


def _holds_sealed(database: str) -> bool:
    """Whether personal fields are kept already: then a new key would open none of them."""
    import billing.tables_all
    from billing.privacy.fields import anything_sealed
    from storage.engine import open_engine, reading

    assert billing.tables_all.__doc__
    engine = open_engine(database)
    try:
        with reading(engine) as connection:
            return anything_sealed(connection)
    finally:
        engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)
