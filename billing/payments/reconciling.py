"""A provider's statement held against the payments that were taken (specs/utility.md 5).

Bookings and payments are matched by the channel's reference.  What differs is kept until a person
has decided about each difference:

``missing_here``   the provider has it, we have not: taken after review, or settled otherwise
``missing_there``  we have it, the provider has not: undone (`desk`), or explained
``different``      another amount, or a payment that was undone meanwhile
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from billing.office import Office
from billing.payments.bank_file import payment_of_line
from billing.payments.channels import Channel, channel_for_money, find_channel
from billing.payments.door import take
from billing.payments.faults import (
    PaymentConflictError,
    ReconciliationStateError,
    StatementError,
    UnknownReconciliationError,
)
from billing.payments.payment import Payment, PaymentState
from billing.payments.providers import provider_of
from billing.payments.refund import require_reason
from billing.payments.statements import reference_of
from billing.payments.tables import payments, reconciled_differences, reconciliations
from billing.person import Right
from storage.audit import record
from vending.cash.bank.line import BadLine, Line

_AT_ONCE: Final = 500
_LIST_MAX: Final = 1_000
_DAYS_MAX: Final = 366


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A statement that was held against payments."""

    reconciliation_id: int
    channel: str
    first_day: date
    last_day: date
    file_name: str
    made_at: datetime
    made_by: str
    lines: int
    """Bookings of money that came in."""
    bad_lines: int
    matched: int
    matched_minor: int
    differences: int
    open_differences: int
    state: str
    """``open`` or ``reviewed``."""
    reviewed_by: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that one side has otherwise, or not at all."""

    position: int
    kind: str
    reference: str
    day: date
    theirs_minor: int | None
    ours_minor: int | None
    given: str
    """The number of the account that the statement names."""
    payment_id: int | None
    state: str
    """``open``, ``taken`` (now we have it), ``settled`` (in the words given)."""
    decided_by: str | None
    words: str


@dataclass(frozen=True, slots=True)
class ReconciliationDesk:
    """Reconciliation of channels."""

    office: Office

    def reconcile(self, channel: str, content: bytes, *, file_name: str = "") -> Reconciliation:
        """Hold a statement against the payments of its days.

        The same file again gives what came of it the first time.

        Raises:
            RightMissingError: needs ``serve``.
            StatementError: it cannot be read, or names no day.
            UnknownChannelError: there is no such channel.
        """
        self.office.require(Right.SERVE)
        sha256 = hashlib.sha256(content).digest()
        with self.office.reading() as connection:
            known = _by_file(connection, channel, sha256)
            found = find_channel(connection, channel)
        if known is not None:
            return self.show(known)[0]
        lines = list(provider_of(found).statement(self.office, content))
        with self.office.writing() as connection:
            channel_for_money(connection, self.office, channel)
            known = _by_file(connection, channel, sha256)
            if known is None:
                known = self._keep(connection, found, lines, file_name, sha256)
        return self.show(known)[0]

    def take(self, reconciliation_id: int, position: int, words: str, *, number: str = "") -> int:
        """Take a payment that was missing here, after review; gives its number.

        Args:
            reconciliation_id: which reconciliation.
            position: which difference of it.
            words: what the review has found.
            number: of the account or meter, when the statement names none or another.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownReconciliationError, ReconciliationStateError, BadEntryError: as they say.
            PaymentConflictError: it has come in meanwhile, otherwise, or it is the second booking
                of one reference: settle this one.
        """
        self.office.require(Right.SERVE)
        reason = require_reason(words)
        with self.office.writing() as connection:
            channel, found = self._locked(connection, reconciliation_id, position)
            if found.kind != "missing_here":
                raise ReconciliationStateError("Only what is missing here can be taken.")
            assert found.theirs_minor is not None, "a CHECK holds it"
            payment = Payment(
                channel=channel,
                reference=found.reference,
                amount_minor=found.theirs_minor,
                number=number or found.given,
                paid_at=self.office.day_start(found.day),
                where=f"reconciliation {reconciliation_id}",
            )
            known = _payments_of(connection, channel, [found.reference]).get(found.reference)
            if known is not None and known.amount_minor == found.theirs_minor:
                _require_free(connection, reconciliation_id, known)
                payment_id = int(known.payment_id)  # the provider has told us of it at last
            else:
                payment_id = take(connection, self.office, payment).payment_id
            self._decide(connection, reconciliation_id, position, "taken", reason, payment_id)
            return payment_id

    def settle(self, reconciliation_id: int, position: int, words: str) -> None:
        """Say what was done about a difference.

        Raises:
            RightMissingError: needs ``serve``.
            UnknownReconciliationError, ReconciliationStateError, BadEntryError: as they say.
        """
        self.office.require(Right.SERVE)
        reason = require_reason(words)
        with self.office.writing() as connection:
            self._locked(connection, reconciliation_id, position)
            self._decide(connection, reconciliation_id, position, "settled", reason, None)

    def review(self, reconciliation_id: int) -> Reconciliation:
        """Close a reconciliation: every difference is decided.

        Raises:
            RightMissingError: needs ``approve``.
            UnknownReconciliationError: there is none of this number.
            ReconciliationStateError: it is closed, or a difference is open.
        """
        self.office.require(Right.APPROVE)
        with self.office.writing() as connection:
            row = _lock(connection, reconciliation_id)
            left = connection.scalar(
                select(func.count()).where(
                    reconciled_differences.c.reconciliation_id == reconciliation_id,
                    reconciled_differences.c.state == "open",
                )
            )
            if row.state != "open" or left:
                raise ReconciliationStateError(
                    f"Reconciliation {reconciliation_id} is {row.state}, and {left} of its "
                    "differences are open: decide about each, then review it."
                )
            connection.execute(
                update(reconciliations)
                .where(reconciliations.c.reconciliation_id == reconciliation_id)
                .values(
                    state="reviewed",
                    reviewed_at=self.office.now(),
                    reviewed_by=self.office.person.name,
                )
            )
            self._record(connection, "reconciliation.reviewed", str(reconciliation_id), "")
        return self.show(reconciliation_id)[0]

    def show(self, reconciliation_id: int) -> tuple[Reconciliation, Sequence[Difference]]:
        """A reconciliation, and what differs.

        Raises:
            RightMissingError: needs ``look``.
            UnknownReconciliationError: there is none of this number.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            row = connection.execute(
                _shown().where(reconciliations.c.reconciliation_id == reconciliation_id)
            ).one_or_none()
            if row is None:
                raise _missing(reconciliation_id)
            rows = connection.execute(
                select(reconciled_differences)
                .where(reconciled_differences.c.reconciliation_id == reconciliation_id)
                .order_by(reconciled_differences.c.position)
            )
            return _reconciliation(row), [_difference(each) for each in rows]

    def list(self, *, channel: str | None = None, limit: int = 100) -> list[Reconciliation]:
        """Reconciliations, the newest first."""
        self.office.require(Right.LOOK)
        query = _shown().order_by(reconciliations.c.reconciliation_id.desc())
        if channel is not None:
            query = query.where(reconciliations.c.channel == channel)
        with self.office.reading() as connection:
            rows = connection.execute(query.limit(min(limit, _LIST_MAX)))
            return [_reconciliation(row) for row in rows]

    # --- inside ---------------------------------------------------------------------------

    def _keep(
        self,
        connection: Connection,
        channel: Channel,
        lines: Sequence[Line | BadLine],
        file_name: str,
        sha256: bytes,
    ) -> int:
        theirs = [each for each in lines if isinstance(each, Line) and each.amount_minor > 0]
        if not theirs:
            raise StatementError("The statement names no money that came in: nothing to compare.")
        days = sorted(each.booked_on for each in theirs)
        if (days[-1] - days[0]).days > _DAYS_MAX:
            raise StatementError("The statement is over more than a year: cut it.")
        found = list(self._differences(connection, channel, theirs, days[0], days[-1]))
        matched = len(theirs) - sum(each["theirs_minor"] is not None for each in found)
        differing = sum(line.amount_minor for line in theirs) - sum(
            each["theirs_minor"] or 0 for each in found
        )
        reconciliation_id: int = connection.execute(
            insert(reconciliations).returning(reconciliations.c.reconciliation_id),
            {
                "channel": channel.name,
                "first_day": days[0].isoformat(),
                "last_day": days[-1].isoformat(),
                "file_name": file_name[:255],
                "file_sha256": sha256,
                "made_at": self.office.now(),
                "made_by": self.office.person.name,
                "lines": len(theirs),
                "bad_lines": sum(isinstance(each, BadLine) for each in lines),
                "matched": matched,
                "matched_minor": differing,
                "state": "open",
            },
        ).scalar_one()
        if found:
            connection.execute(
                insert(reconciled_differences),
                [
                    {**each, "reconciliation_id": reconciliation_id, "position": position}
                    for position, each in enumerate(found, 1)
                ],
            )
        self._record(connection, "reconciliation.made", str(reconciliation_id), channel.name)
        return reconciliation_id

    def _differences(
        self,
        connection: Connection,
        channel: Channel,
        theirs: Sequence[Line],
        first: date,
        last: date,
    ) -> Iterator[dict[str, Any]]:
        wanted = [(reference_of(channel, line), line) for line in theirs]
        ours = _payments_of(connection, channel.name, [reference for reference, _ in wanted])
        seen: set[str] = set()
        for reference, line in wanted:
            row = None if reference in seen else ours.get(reference)
            seen.add(reference)
            if row is None:
                given = payment_of_line(self.office, channel, line).number
                yield _row(
                    "missing_here", reference, line.booked_on, line.amount_minor, given=given
                )
                continue
            amount = 0 if row.state == PaymentState.UNDONE.value else row.amount_minor
            if amount != line.amount_minor:
                yield _row(
                    "different",
                    reference,
                    line.booked_on,
                    line.amount_minor,
                    ours_minor=amount,
                    given=row.given,
                    payment_id=row.payment_id,
                )
        rows = connection.execute(
            select(payments)
            .where(
                payments.c.channel == channel.name,
                payments.c.paid_at >= self.office.day_start(first),
                payments.c.paid_at < self.office.day_start(last + timedelta(days=1)),
                payments.c.state != PaymentState.UNDONE.value,
            )
            .order_by(payments.c.payment_id)
        )
        for row in rows:
            if row.reference not in seen:
                yield _row(
                    "missing_there",
                    row.reference,
                    row.paid_at.astimezone(self.office.zone).date(),
                    None,
                    ours_minor=row.amount_minor,
                    given=row.given,
                    payment_id=row.payment_id,
                )

    def _locked(
        self, connection: Connection, reconciliation_id: int, position: int
    ) -> tuple[str, Difference]:
        row = _lock(connection, reconciliation_id)
        found = connection.execute(
            select(reconciled_differences).where(
                reconciled_differences.c.reconciliation_id == reconciliation_id,
                reconciled_differences.c.position == position,
            )
        ).one_or_none()
        if found is None:
            raise UnknownReconciliationError(
                f"Reconciliation {reconciliation_id} has no difference {position}."
            )
        if found.state != "open":
            raise ReconciliationStateError(
                f"Difference {position} was {found.state} by {found.decided_by or 'somebody'}."
            )
        return row.channel, _difference(found)

    def _decide(
        self,
        connection: Connection,
        reconciliation_id: int,
        position: int,
        state: str,
        words: str,
        payment_id: int | None,
    ) -> None:
        values: dict[str, Any] = {
            "state": state,
            "decided_at": self.office.now(),
            "decided_by": self.office.person.name,
            "words": words,
        }
        if payment_id is not None:
            values["payment_id"] = payment_id
        connection.execute(
            update(reconciled_differences)
            .where(
                reconciled_differences.c.reconciliation_id == reconciliation_id,
                reconciled_differences.c.position == position,
            )
            .values(**values)
        )
        subject = f"{reconciliation_id}/{position}"
        self._record(connection, f"reconciliation.{state}", subject, words)

    def _record(self, connection: Connection, action: str, subject: str, words: str) -> None:
        record(
            connection,
            self.office.now(),
            actor=self.office.person.name,
            action=action,
            subject=subject,
            reason=words,
        )


def _row(
    kind: str,
    reference: str,
    day: date,
    theirs_minor: int | None,
    *,
    ours_minor: int | None = None,
    given: str = "",
    payment_id: int | None = None,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "reference": reference,
        "day": day.isoformat(),
        "theirs_minor": theirs_minor,
        "ours_minor": ours_minor,
        "given": given,
        "payment_id": payment_id,
        "state": "open",
        "words": "",
    }


def _payments_of(
    connection: Connection, channel: str, references: Sequence[str]
) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for place in range(0, len(references), _AT_ONCE):
        rows = connection.execute(
            select(payments).where(
                payments.c.channel == channel,
                payments.c.reference.in_(references[place : place + _AT_ONCE]),
            )
        )
        found.update((row.reference, row) for row in rows)
    return found


def _require_free(connection: Connection, reconciliation_id: int, known: Any) -> None:
    """Refuse a payment that stands for another booking of the statement, or for no money."""
    made_at, others = connection.execute(
        select(
            reconciliations.c.made_at,
            select(func.count())
            .where(
                reconciled_differences.c.reconciliation_id == reconciliation_id,
                reconciled_differences.c.payment_id == known.payment_id,
            )
            .scalar_subquery(),
        ).where(reconciliations.c.reconciliation_id == reconciliation_id)
    ).one()
    if known.taken_at <= made_at or others:
        raise PaymentConflictError(
            f"The statement has the reference {known.reference} twice, and one payment "
            f"({known.payment_id}) has it here. Ask the provider what the second booking is: its "
            "money is on no account. Put the account right (`meterhouse refund correct`), then "
            "settle this."
        )
    if known.state == PaymentState.UNDONE.value:
        raise PaymentConflictError(
            f"Payment {known.payment_id} was undone, and the statement has its money. Put the "
            "account right (`meterhouse refund correct`), then settle this."
        )


def _by_file(connection: Connection, channel: str, sha256: bytes) -> int | None:
    found: int | None = connection.scalar(
        select(reconciliations.c.reconciliation_id).where(
            reconciliations.c.channel == channel, reconciliations.c.file_sha256 == sha256
        )
    )
    return found


def _lock(connection: Connection, reconciliation_id: int) -> Any:
    row = connection.execute(
        select(reconciliations)
        .where(reconciliations.c.reconciliation_id == reconciliation_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise _missing(reconciliation_id)
    return row


def _shown() -> Any:
    differences = (
        select(func.count())
        .where(reconciled_differences.c.reconciliation_id == reconciliations.c.reconciliation_id)
        .correlate(reconciliations)
    )
    return select(
        reconciliations,
        differences.scalar_subquery().label("differences"),
        differences.where(reconciled_differences.c.state == "open")
        .scalar_subquery()
        .label("open_differences"),
    )


def _reconciliation(row: Any) -> Reconciliation:
    return Reconciliation(
        reconciliation_id=row.reconciliation_id,
        channel=row.channel,
        first_day=date.fromisoformat(row.first_day),
        last_day=date.fromisoformat(row.last_day),
        file_name=row.file_name,
        made_at=row.made_at,
        made_by=row.made_by,
        lines=row.lines,
        bad_lines=row.bad_lines,
        matched=row.matched,
        matched_minor=row.matched_minor,
        differences=row.differences,
        open_differences=row.open_differences,
        state=row.state,
        reviewed_by=row.reviewed_by,
    )


def _difference(row: Any) -> Difference:
    return Difference(
        position=row.position,
        kind=row.kind,
        reference=row.reference,
        day=date.fromisoformat(row.day),
        theirs_minor=row.theirs_minor,
        ours_minor=row.ours_minor,
        given=row.given,
        payment_id=row.payment_id,
        state=row.state,
        decided_by=row.decided_by,
        words=row.words,
    )


def _missing(reconciliation_id: int) -> UnknownReconciliationError:
    return UnknownReconciliationError(
        f"There is no reconciliation {reconciliation_id}; `meterhouse channel reconciled` shows "
        "them."
    )
