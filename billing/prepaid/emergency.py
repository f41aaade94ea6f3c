"""Desk: credit in an emergency (specs/utility.md 26): asked, approved by a second person, given to
everybody in a place, and taken back from payments afterwards.

To suspend disconnects is the head-end's (`headend.orders.emergency`); `EmergencyDesk` there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update

from billing.office import Office
from billing.person import Right
from billing.prepaid.faults import EmergencyCreditError, EmergencyCreditLimitError
from billing.prepaid.giving import give, how_many
from billing.prepaid.policy import load_policy
from billing.prepaid.recovering import WHOLE_BP
from billing.prepaid.tables import emergency_credits, emergency_credits_given
from headend.registry.places import place_row
from headend.registry.tables import places
from storage import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyCredit:
    """Credit for everybody in a place."""

    emergency_id: int
    place: str | None
    """None: everybody."""
    each_minor: int
    share_bp: int
    """Of each payment, to pay it back; hundredths of a percent."""
    reason: str
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    given_at: datetime | None
    """When everybody had it."""
    recovered_from: datetime | None
    accounts: int
    """To whom it was given so far."""
    given_minor: int
    recovered_minor: int

    @property
    def state(self) -> str:
        """``asked``, ``giving``, ``given``, ``recovering`` or ``over``."""
        if self.approved_by is None:
            return "asked"
        if self.given_at is None:
            return "giving"
        if self.recovered_from is None:
            return "given"
        return "over" if self.recovered_minor == self.given_minor else "recovering"


@dataclass(frozen=True, slots=True)
class EmergencyCreditDesk:
    """Ask, approve, give, take back, look."""

    office: Office

    def ask(
        self, *, place: str | None, each_minor: int, share_bp: int, reason: str
    ) -> EmergencyCredit:
        """Ask for credit for every prepaid account with a service point in a place.

        Args:
            place: with all that is below it; None: everybody.
            each_minor: for each account, once.
            share_bp: of each payment, to pay it back later; hundredths of a percent.
            reason: as customers and auditors read it.

        Raises:
            EmergencyCreditError: no amount, no share, no reason.
            EmergencyCreditLimitError: more than the policy allows.
            NotRegisteredError: no such place.
            RightMissingError: the person may not act in emergencies.
        """
        self.office.require(Right.EMERGENCY)
        reason = reason.strip()
        if each_minor <= 0 or not 0 < share_bp <= WHOLE_BP or not reason:
            raise EmergencyCreditError(
                "Emergency credit has an amount above zero, a share of 0.01 to 100 % of later "
                "payments, and a reason."
            )
        with self.office.writing() as connection:
            limit = load_policy(connection).emergency_each_max_minor
            if each_minor > limit:
                money = self.office.currency
                raise EmergencyCreditLimitError(
                    f"One account gets {money.text(limit)} {money.code} in one emergency at most. "
                    "meterhouse prepaid policy changes the limit."
                )
            place_id = None if place is None else place_row(connection, place).place_id
            number = connection.execute(
                insert(emergency_credits)
                .values(
                    place_id=place_id,
                    each_minor=each_minor,
                    share_bp=share_bp,
                    reason=reason,
                    asked_by=self.office.person.name,
                    asked_at=self.office.now(),
                    after_account_id=0,
                )
                .returning(emergency_credits.c.emergency_id)
            ).scalar_one()
            count = how_many(connection, place_id)
            self._record(connection, "ask", number, f"{each_minor} for {count} accounts", reason)
            return _find(connection, number)

    def approve(self, emergency_id: int) -> EmergencyCredit:
        """Be the second person: from now on it is given.

        Raises:
            EmergencyCreditError: there is none of this number, it is approved already, or who
                asked approves.
            RightMissingError: the person may not approve.
        """
        self.office.require(Right.APPROVE)
        who = self.office.person.name
        with self.office.writing() as connection:
            row = _locked(connection, emergency_id)
            if row.approved_at is not None:
                raise EmergencyCreditError(f"Emergency credit {emergency_id} is approved already.")
            if who == row.asked_by or not who:
                raise EmergencyCreditError(
                    f"Emergency credit {emergency_id} takes a second person: "
                    f"{row.asked_by or 'Nobody'} asked for it and cannot approve it too."
                )
            self._set(connection, emergency_id, approved_by=who, approved_at=self.office.now())
            self._record(connection, "approve", emergency_id, "", row.reason)
            return _find(connection, emergency_id)

    def give(
        self, emergency_id: int, tell: Callable[[int], None] = lambda _count: None
    ) -> EmergencyCredit:
        """Give it to everybody who has none of it yet; may be interrupted and called again.

        Raises:
            EmergencyCreditError: there is none of this number, or nobody has approved it.
            RightMissingError: the person may not act in emergencies.
        """
        self.office.require(Right.EMERGENCY)
        with self.office.reading() as connection:
            if _find(connection, emergency_id).approved_by is None:
                raise EmergencyCreditError(
                    f"Emergency credit {emergency_id} waits for a second person: "
                    f"meterhouse prepaid emergency-credit approve {emergency_id}"
                )
        give(self.office, emergency_id, tell=tell)
        return self.find(emergency_id)

    def recover(self, emergency_id: int) -> EmergencyCredit:
        """From now on its share of each payment pays it back.

        Raises:
            EmergencyCreditError: there is none of this number, it was not given to everybody yet,
                or it is being paid back already.
            RightMissingError: the person may not act in emergencies.
        """
        self.office.require(Right.EMERGENCY)
        with self.office.writing() as connection:
            row = _locked(connection, emergency_id)
            if row.given_at is None or row.recovered_from is not None:
                raise EmergencyCreditError(
                    f"Emergency credit {emergency_id} is "
                    f"{_find(connection, emergency_id).state}: it is paid back from when it was "
                    "given to everybody, once."
                )
            self._set(
                connection,
                emergency_id,
                recovered_from=self.office.now(),
                recovered_by=self.office.person.name,
            )
            self._record(connection, "recover", emergency_id, "", row.reason)
            return _find(connection, emergency_id)

    def how_many(self, emergency_id: int) -> int:
        """How many accounts it is for, as things are; for whoever waits for `give`.

        Raises:
            EmergencyCreditError: there is none of this number.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            found = _find(connection, emergency_id)
            place_id = None if found.place is None else place_row(connection, found.place).place_id
            return how_many(connection, place_id)

    def find(self, emergency_id: int) -> EmergencyCredit:
        """One of them.

        Raises:
            EmergencyCreditError: there is none of this number.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return _find(connection, emergency_id)

    def list(self) -> list[EmergencyCredit]:
        """All of them, the latest first."""
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            rows = connection.execute(_all().order_by(emergency_credits.c.emergency_id.desc()))
            return [_credit(row) for row in rows]

    def _set(self, connection: Connection, emergency_id: int, **values: Any) -> None:
        connection.execute(
            update(emergency_credits)
            .where(emergency_credits.c.emergency_id == emergency_id)
            .values(values)
        )

    def _record(
        self, connection: Connection, act: str, emergency_id: int, detail: str, reason: str
    ) -> None:
        audit.record(
            connection,
            self.office.now(),
            actor=self.office.person.name,
            action=f"emergency_credit.{act}",
            subject=str(emergency_id),
            detail=detail,
            reason=reason,
        )


_SHOWN: Final = (
    "emergency_id each_minor share_bp reason asked_by asked_at approved_by given_at recovered_from"
).split()


def _all() -> Select[Any]:
    given = emergency_credits_given.c
    sums = (
        select(
            given.emergency_id,
            func.count().label("accounts"),
            func.sum(given.amount_minor).label("given_minor"),
            func.sum(given.recovered_minor).label("recovered_minor"),
        )
        .group_by(given.emergency_id)
        .subquery()
    )
    return (
        select(
            *(emergency_credits.c[name] for name in _SHOWN),
            places.c.name.label("place"),
            *(
                func.coalesce(sums.c[name], 0).label(name)
                for name in ("accounts", "given_minor", "recovered_minor")
            ),
        )
        .outerjoin(places, places.c.place_id == emergency_credits.c.place_id)
        .outerjoin(sums, sums.c.emergency_id == emergency_credits.c.emergency_id)
    )


def _find(connection: Connection, emergency_id: int) -> EmergencyCredit:
    row = connection.execute(_all().where(emergency_credits.c.emergency_id == emergency_id)).first()
    if row is None:
        raise _missing(emergency_id)
    return _credit(row)


def _locked(connection: Connection, emergency_id: int) -> Any:
    row = connection.execute(
        select(emergency_credits)
        .where(emergency_credits.c.emergency_id == emergency_id)
        .with_for_update()
    ).first()
    if row is None:
        raise _missing(emergency_id)
    return row


def _missing(emergency_id: int) -> EmergencyCreditError:
    return EmergencyCreditError(
        f"There is no emergency credit {emergency_id}. "
        "meterhouse prepaid emergency-credit list shows them."
    )


def _credit(row: Any) -> EmergencyCredit:
    values = dict(row._mapping)
    for name in ("given_minor", "recovered_minor"):  # PostgreSQL sums to a decimal
        values[name] = int(values[name])
    return EmergencyCredit(**values)
