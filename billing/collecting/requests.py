"""What is agreed on with a debtor, as a request: one person asks, a second one decides.

Instalment plans, later due dates and write-offs have tables of their own, of which the database
holds the rules: who asked has not approved, and what was decided stays.  Here is what they share.
Who decides locks the account first, so that of two who decide the second finds it decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Row, Table, insert, select, update

from billing.collecting.faults import (
    NothingOwedError,
    OtherPersonError,
    PlanStateError,
    UnknownPlanError,
)
from billing.collecting.standings import overdue_of
from billing.faults import BadEntryError
from billing.ledger.posting import balances, lock
from billing.office import Office
from billing.person import Right
from storage import audit

ASKED: Final = "asked"
"""It waits for a second person; nothing was moved."""


class Request(Protocol):
    """What each of them has."""

    @property
    def number(self) -> int:
        """Its own."""

    @property
    def account_id(self) -> int:
        """Whose debt."""

    @property
    def state(self) -> str:
        """``asked`` at first."""

    @property
    def amount_minor(self) -> int:
        """Of what is owed."""

    @property
    def reason(self) -> str:
        """Why it was asked for."""

    @property
    def two_because(self) -> str | None:
        """Which limit it is above; None: none, or it always takes two."""

    @property
    def asked_by(self) -> str:
        """Who cannot approve it."""

    @property
    def detail(self) -> str:
        """What the audit trail says of it."""


R = TypeVar("R", bound=Request)


@dataclass(frozen=True, slots=True)
class Requests(Generic[R]):
    """One kind of them."""

    name: str
    """As messages say it: ``write-off``."""
    action: str
    """As the audit trail does: ``write_off``."""
    done: str
    """What becomes of the debt: ``given up``."""
    table: Table
    read: Callable[[Connection, Sequence[Row[Any]]], list[R]]
    """Rows as what they are."""

    def find(self, connection: Connection, number: int) -> R:
        """One by its number.

        Raises:
            UnknownPlanError: there is none.
        """
        rows = connection.execute(select(self.table).where(self._key == number)).all()
        if not rows:
            raise UnknownPlanError(
                f"There is no {self.name} {number}: look for it in the list of them."
            )
        return self.read(connection, rows)[0]

    def listed(self, office: Office, state: str | None, limit: int) -> list[R]:
        """The newest first.

        Raises:
            RightMissingError: the person may not look.
        """
        office.require(Right.LOOK)
        query = select(self.table).order_by(self._key.desc()).limit(limit)
        if state is not None:
            query = query.where(self.table.c.state == state)
        with office.reading() as connection:
            return self.read(connection, connection.execute(query).all())

    def add(
        self,
        connection: Connection,
        office: Office,
        account_id: int,
        amount_minor: int,
        reason: str,
        **values: object,
    ) -> int:
        """Store what was asked; gives its number."""
        number: int = connection.execute(
            insert(self.table)
            .values(
                account_id=account_id,
                state=ASKED,
                amount_minor=amount_minor,
                reason=reason.strip(),
                asked_by=office.person.name,
                asked_at=office.now(),
                **values,
            )
            .returning(self._key)
        ).scalar_one()
        return number

    def change(self, connection: Connection, number: int, values: Mapping[str, object]) -> None:
        """Change its row."""
        connection.execute(update(self.table).where(self._key == number).values(**values))

    def approve(
        self,
        office: Office,
        number: int,
        act: Callable[[Connection, Office, R, str], object],
    ) -> R:
        """Be the second person, and do it.

        Args:
            office: the office; its person approves.
            number: which.
            act: does it, and names who approved it.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            OtherPersonError: who asked approves.
            NothingOwedError: so much is not owed any more.
            RightMissingError: the person may not approve.
        """
        office.require(Right.APPROVE)
        with office.writing() as connection:
            found = self._waiting(connection, number)
            who = office.person.name
            if not who or who == found.asked_by:
                because = f" ({found.two_because})" if found.two_because else ""
                raise OtherPersonError(
                    f"{self.name.capitalize()} {number} takes a second person{because}: "
                    f"{found.asked_by or 'nobody'} asked for it and cannot approve it too."
                )
            self.amount(connection, office, found.account_id, found.amount_minor)
            act(connection, office, found, who)
            found = self.find(connection, number)
            self.record(connection, office, "approve", found, found.two_because or found.reason)
            return found

    def refuse(self, office: Office, number: int, why: str, **values: object) -> R:
        """Refuse what waits; nothing was moved.

        Raises:
            UnknownPlanError, PlanStateError: there is none, or it waits for nobody.
            RightMissingError: the person may not collect.
        """
        office.require(Right.COLLECT)
        with office.writing() as connection:
            found = self._waiting(connection, number)
            self.change(connection, number, {"state": "refused", **values})
            self.record(connection, office, "refuse", found, why)
            return self.find(connection, number)

    def amount(
        self, connection: Connection, office: Office, account_id: int, amount_minor: int | None
    ) -> int:
        """What it is about; None: all that is overdue, or else all that is owed.

        Raises:
            NothingOwedError: so much is not owed.
        """
        owed = -balances(connection, [account_id])[account_id]
        overdue = overdue_of(connection, [account_id], office.now())[account_id].minor
        amount = (overdue or owed) if amount_minor is None else amount_minor
        if amount <= 0 or amount > owed:
            raise NothingOwedError(
                f"The account owes {office.currency.text(max(owed, 0))}: no more than that can be "
                f"{self.done}."
            )
        return amount

    def record(
        self, connection: Connection, office: Office, act: str, found: R, reason: str
    ) -> None:
        """Leave a line in the audit trail."""
        audit.record(
            connection,
            office.now(),
            actor=office.person.name,
            action=f"{self.action}.{act}",
            subject=str(found.number),
            detail=f"account {found.account_id}, {found.detail}",
            reason=reason,
        )

    def _waiting(self, connection: Connection, number: int) -> R:
        """What waits for a second person, its account locked."""
        lock(connection, [self.find(connection, number).account_id])
        found = self.find(connection, number)
        if found.state != ASKED:
            raise PlanStateError(
                f"{self.name.capitalize()} {number} is {found.state}: it waits for nobody."
            )
        return found

    @property
    def _key(self) -> Any:
        (key,) = self.table.primary_key.columns
        return key


def require_reason(reason: str, what: str) -> None:
    """Refuse to ask without saying why.

    Raises:
        BadEntryError: says what is asked for.
    """
    if not reason.strip():
        raise BadEntryError(f"Say why {what}: an auditor will ask.")
