"""What every desk of a shop shares: the database, the clock, who sells and who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from storage.engine import reading, writing
from vending.people.actor import ANYBODY, Actor, Permission
from vending.security.port import SecurityModule
from vending.shop.faults import PermissionDeniedError, storage_faults
from vending.shop.settings import Utility
from vending.shop.values import require_moment, require_text


@dataclass(frozen=True, slots=True)
class House:
    """A shop as its desks see it.

    A desk (`Shop.keys`, `Shop.cash`, ...) is one subject's operations; it is made with the house
    and keeps nothing of its own.
    """

    engine: Engine
    utility: Utility
    security: SecurityModule
    clock: Callable[[], datetime]
    """Gives an aware time."""
    rnd: Callable[[], int]
    """Gives 4 random bits (0-15)."""
    actor: Actor = ANYBODY

    def now(self) -> datetime:
        """The time, in UTC.

        Raises:
            RequestFormatError: the clock gives no time with a zone.
        """
        return read_clock(self.clock)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; faults of the storage room come as faults of the shop."""
        with storage_faults(), writing(self.engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction; faults of the storage room come as faults of the shop."""
        with storage_faults(), reading(self.engine) as connection:
            yield connection

    def require(self, permission: Permission) -> None:
        """Refuse what the actor may not do.

        Raises:
            PermissionDeniedError: says which permission is missing.
        """
        if not self.actor.may(permission):
            raise PermissionDeniedError(
                f"{self.actor.name} may not do this: it needs the permission "
                f"'{permission.value}'. Ask somebody who has it, or the administrator for a role "
                "that holds it."
            )

    def who(self, named: str = "") -> str:
        """Whom receipts and audit lines name: who signed in, or else who is named.

        Raises:
            RequestFormatError: the name cannot stand on a line.
        """
        require_text("The operator", named)
        return self.actor.name or named


def read_clock(clock: Callable[[], datetime]) -> datetime:
    """What a clock says, in UTC.

    Raises:
        RequestFormatError: no zone.
    """
    return require_moment("What the shop's clock gives", clock())
