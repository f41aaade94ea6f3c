"""What every desk of the office shares: the database, zone and currency, the clock, who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, Engine

from billing.faults import BadEntryError, RightMissingError, storage_faults
from billing.person import NOBODY, Person, Right
from storage.engine import reading, writing
from vending.shop.money import Currency

if TYPE_CHECKING:
    from billing.ledger.entry import Posted
    from billing.privacy.seal import Seal
    from headend.station import Station
    from headend.work.port import Work


class BalanceWatcher(Protocol):
    """Somebody who acts when balances move: the prepaid loop, collections."""

    def moved(self, connection: Connection, office: Office, posted: Sequence[Posted]) -> None:
        """Entries were posted; called in their transaction, before it is committed.

        Args:
            connection: in the write transaction of the entries.
            office: the office.
            posted: of one call of `ledger.post`; many accounts where settlement posts.
        """


@dataclass(frozen=True, slots=True)
class Office:
    """An office as its desks see it.

    A desk is one subject's operations; it is made with the office and keeps nothing of its own.
    """

    engine: Engine
    zone: tzinfo
    """The utility's; billing days and months are in it, everything stored is UTC."""
    currency: Currency
    """All amounts are whole minor units of it."""
    clock: Callable[[], datetime]
    """Gives an aware time."""
    seal: Seal
    """Seals and opens personal fields."""
    person: Person = NOBODY
    name: str = ""
    """The utility's, as bills show it."""
    language: str = "en"
    """Of bills and notices where the customer has chosen none."""
    watchers: tuple[BalanceWatcher, ...] = ()
    station: Station | None = None
    """The head-end, for orders; None: an office without one."""
    work: Work | None = None
    """The head-end's queue; None: its sweep finds orders."""

    def now(self) -> datetime:
        """The time, in UTC.

        Raises:
            BadEntryError: the clock gives no time with a zone.
        """
        moment = self.clock()
        if moment.tzinfo is None:
            raise BadEntryError("The office's clock gives a time without a zone.")
        return moment.astimezone(UTC)

    def today(self) -> date:
        """The day, in the utility's zone."""
        return self.now().astimezone(self.zone).date()

    def day_start(self, day: date) -> datetime:
        """When a day of the utility's zone begins, in UTC."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    def acting(self, person: Person) -> Office:
        """The same office with somebody else acting."""
        return replace(self, person=person)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; faults of the storage room come as faults of the office."""
        with storage_faults(), writing(self.engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction; faults of the storage room come as faults of the office."""
        with storage_faults(), reading(self.engine) as connection:
            yield connection

    def require(self, right: Right) -> None:
        """Refuse what the person may not do.

        Raises:
            RightMissingError: says which right is missing.
        """
        if not self.person.may(right):
            raise RightMissingError(
                f"{self.person.name or 'Nobody'} may not do this: it needs the right "
                f"'{right.value}'. Ask somebody who has it."
            )
