"""What every desk of the head-end shares: the database, the zone, the clock, who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from sqlalchemy import Connection, Engine

from headend.faults import EntryError, NotAllowedError, storage_faults
from headend.person import NOBODY, Person, Right
from storage.engine import reading, writing


@dataclass(frozen=True, slots=True)
class Station:
    """A head-end as its desks see it.

    A desk (`registry`, `collection`, ...) is one subject's operations; it is made with the
    station and keeps nothing of its own.
    """

    engine: Engine
    zone: tzinfo
    """The utility's; reading days, months and windows are in it, everything stored is UTC."""
    clock: Callable[[], datetime]
    """Gives an aware time."""
    person: Person = NOBODY

    def now(self) -> datetime:
        """The time, in UTC.

        Raises:
            EntryError: the clock gives no time with a zone.
        """
        moment = self.clock()
        if moment.tzinfo is None:
            raise EntryError("The head-end's clock gives a time without a zone.")
        return moment.astimezone(UTC)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; faults of the storage room come as faults of the head-end."""
        with storage_faults(), writing(self.engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction; faults of the storage room come as faults of the head-end."""
        with storage_faults(), reading(self.engine) as connection:
            yield connection

    def require(self, right: Right) -> None:
        """Refuse what the person may not do.

        Raises:
            NotAllowedError: says which right is missing.
        """
        if not self.person.may(right):
            raise NotAllowedError(
                f"{self.person.name or 'Nobody'} may not do this: it needs the right "
                f"'{right.value}'. Ask somebody who has it."
            )
