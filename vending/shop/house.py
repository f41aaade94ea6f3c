"""What every desk of a shop shares: the database, the clock, who sells and who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from storage.engine import reading, writing
from vending.cash.at_terminal import require_terminal_of
from vending.people.actor import ANYBODY, Actor, Permission
from vending.people.door import Door
from vending.people.faults import ClientMismatchError, PersonNeededError
from vending.security.port import SecurityModule
from vending.shop.clock import ClockWatch
from vending.shop.faults import PermissionDeniedError, ReservedClientError, storage_faults
from vending.shop.settings import Utility
from vending.shop.values import require_moment, require_text

BANK_CLIENT: Final = "bank"
CAMPAIGN_CLIENTS: Final = "campaign-"
"""Clients of the shop's own requests."""
_Request = TypeVar("_Request", bound=Any)
"""A frozen request with the fields client, operator and terminal."""


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
    """Who came in; what they may do at this moment is `current_actor`'s to say."""
    door: Door | None = None
    """Looks again, now and then, whether the actor may still be here."""
    watch: ClockWatch = field(default_factory=ClockWatch)
    """Whether the clock is far ahead of what the shop has seen."""

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
            SignInRequiredError: the actor may not be here any more, or nobody has signed in.
        """
        if not self.current_actor().may(permission):
            raise PermissionDeniedError(
                f"{self.actor.name} may not do this: it needs the permission "
                f"'{permission.value}'. Ask somebody who has it, or the administrator for a role "
                "that holds it."
            )

    def require_person(self) -> None:
        """Refuse a program's API key where a person's word is wanted; an open house has none.

        Raises:
            PersonNeededError: nobody has signed in with a password.
        """
        actor = self.current_actor()
        if not actor.is_anybody and actor.operator_id is None:
            raise PersonNeededError(
                "This is a person's word: an operator who has signed in gives it, not a program."
            )

    def current_actor(self) -> Actor:
        """Who acts, with the roles of this moment.

        Raises:
            SignInRequiredError: the actor may not be here any more, or nobody has signed in.
        """
        if self.door is None:
            return self.actor
        with storage_faults():
            return self.door.actor()

    def look_again(self) -> None:
        """Believe nothing that was seen of the actor's rights before."""
        if self.door is not None:
            self.door.look_again()

    def require_client(self, client: str) -> None:
        """Refuse a client that is another than the one that the actor's API key was made for.

        Raises:
            ClientMismatchError: says which client the key is for.
        """
        if self.actor.client is not None and client != self.actor.client:
            raise ClientMismatchError(
                f"This API key is for the client {self.actor.client}: requests must name it."
            )

    def signed(self, request: _Request, *, own: bool = False) -> _Request:
        """A request as whoever signed in makes it, at the terminal where they stand.

        Args:
            request: what is asked.
            own: the shop asks by itself: for a bank booking, for a meter of a campaign.

        Raises:
            ReservedClientError: somebody else names a client that the shop keeps for that.
            ClientMismatchError: the actor's API key was made for another client.
            VendorTerminalError: the actor works for a vendor, and the terminal is not its.
        """
        self.require_client(request.client)
        if not own:
            require_open_client(request.client)
        if self.actor.is_anybody:
            return request
        signed = replace(
            request, operator=self.who(request.operator), terminal=self.where(request.terminal)
        )
        if self.actor.vendor_id is not None:
            with self.reading() as connection:
                require_terminal_of(connection, self.actor.vendor_id, signed.terminal)
        return signed

    def where(self, named: str = "") -> str:
        """The terminal that receipts name: the actor's own, or else the one that is named.

        Raises:
            RequestFormatError: the name cannot stand on a line.
        """
        require_text("The terminal", named)
        return self.actor.terminal or named

    def who(self, named: str = "") -> str:
        """Whom receipts and audit lines name: who signed in, or else who is named.

        Raises:
            RequestFormatError: the name cannot stand on a line.
        """
        require_text("The operator", named)
        return self.actor.name or named


def require_open_client(client: str) -> None:
    """Refuse client names under which the shop itself asks: their message ids can be foretold.

    Raises:
        ReservedClientError: it is such a name.
    """
    if client == BANK_CLIENT or client.startswith(CAMPAIGN_CLIENTS):
        raise ReservedClientError(
            f"The client name {client} is kept for requests of the shop itself: choose another."
        )


def read_clock(clock: Callable[[], datetime]) -> datetime:
    """What a clock says, in UTC.

    Raises:
        RequestFormatError: no zone.
    """
    return require_moment("What the shop's clock gives", clock())
