"""The batch desk: what supervisors collect from shifts, and what goes to the bank.

A sales batch collects shifts of one vendor (or of the utility), a bank batch collects sales
batches.  Deposit slips of a bank batch carry its money to the bank.  A batch closes when all of
its members are closed; its report is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from storage import audit
from vending.cash import accounts
from vending.cash.accounts import moved
from vending.cash.batch_report import (
    bank_members,
    bank_report,
    deposits,
    sales_members,
    sales_report,
    slips_of,
)
from vending.cash.batches import (
    Batch,
    BatchKind,
    BatchState,
    add_batch,
    add_copy,
    find_batch,
    list_batches,
    mark_closed,
    require_state,
    stored_report,
)
from vending.cash.cash_tables import batch_members, deposit_slips
from vending.cash.faults import (
    BatchCannotCloseError,
    BatchKindError,
    BatchStateError,
    DepositSlipConflictError,
    DifferenceReasonError,
)
from vending.cash.shifts import ClosedReport
from vending.cash.vendor_rows import require_vendor
from vending.people.actor import Permission
from vending.shop.books import Tender
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.requests import canonical_json
from vending.shop.values import require_text, require_whole

_PARENT_OF: Final = {BatchKind.SHIFT: BatchKind.SALES, BatchKind.SALES: BatchKind.BANK}
_AMOUNT_MAX: Final = 10**15


@dataclass(frozen=True, slots=True)
class DepositSlip:
    """Money on its way to the bank."""

    slip_id: int
    batch_id: int
    bank_account: str
    number: str
    """As it is printed on the slip; with the account it is there once."""
    tender: str
    amount_minor: int
    written_at: datetime
    operator: str


@dataclass(frozen=True, slots=True)
class BatchDesk:
    """Sales batches, bank batches and deposit slips (`Shop.batches`)."""

    house: House

    def open(
        self,
        kind: BatchKind,
        *,
        vendor_id: int | None = None,
        site: str = "",
        operator: str = "",
    ) -> Batch:
        """Open a sales or a bank batch.

        Args:
            kind: `BatchKind.SALES` or `BatchKind.BANK`.
            vendor_id: whose shifts it collects; None for the utility's own.
            site: where, for the report.
            operator: who opens it.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BatchKindError: a shift is opened at the shift desk.
            UnknownVendorError: no such vendor.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        require_text("The site", site)
        if kind is BatchKind.SHIFT:
            raise BatchKindError("A shift is opened by its operator: `meterhouse shift open`.")
        if kind is BatchKind.BANK and vendor_id is not None:
            raise BatchKindError(
                "A vendor's money is the vendor's own: it is paid in as a top-up, not as a deposit."
            )
        with self.house.writing() as connection:
            if vendor_id is not None:
                require_vendor(connection, vendor_id)
            row = {
                "kind": BatchKind(kind).value,
                "vendor_id": vendor_id,
                "site": site,
                "operator": who,
                "opened_at": now,
            }
            batch_id = add_batch(connection, row)
            self._record(connection, now, who, "batch.opened", batch_id, BatchKind(kind).value)
            return find_batch(connection, batch_id)

    def collect(self, batch_id: int, member_id: int, *, operator: str = "") -> Batch:
        """Put a shift into a sales batch, or a sales batch into a bank batch.

        The member may still be open; the batch does not close before it.  Putting it in again
        changes nothing.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            UnknownBatchError: no such batch.
            BatchKindError: the wrong kind, another vendor, or in another batch already.
            BatchStateError: the batch is closed.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            batch = find_batch(connection, batch_id, lock=True)
            member = find_batch(connection, member_id, lock=True)
            if member.parent_id == batch_id:
                return batch
            _require_fits(batch, member)
            connection.execute(
                insert(batch_members),
                {
                    "child_id": member_id,
                    "child_kind": member.kind.value,
                    "parent_id": batch_id,
                    "parent_kind": batch.kind.value,
                    "joined_at": now,
                    "joined_by": who,
                },
            )
            self._record(connection, now, who, "batch.collected", batch_id, f"member {member_id}")
            return batch

    def deposit(
        self,
        batch_id: int,
        *,
        number: str,
        bank_account: str,
        amount_minor: int,
        tender: Tender = Tender.CASH,
        operator: str = "",
    ) -> DepositSlip:
        """Write a deposit slip: money leaves the drawers for the bank.

        The same slip again is the same slip, and moves nothing more.

        Args:
            batch_id: the open bank batch.
            number: of the slip.
            bank_account: into which account it is paid.
            amount_minor: how much, in minor units.
            tender: what is paid in.
            operator: who carries it.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            DepositSlipConflictError: the number was used for another slip.
            BatchStateError, UnknownBatchError: no open bank batch.
            RequestFormatError: a value of the wrong form.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        for what, text in (("A slip's number", number), ("A bank account", bank_account)):
            if not require_text(what, text).strip():
                raise RequestFormatError(f"{what} must not be empty.")
        if not 0 < require_whole("The amount of a slip", amount_minor) <= _AMOUNT_MAX:
            raise RequestFormatError("The amount of a slip must be above zero.")
        with self.house.writing() as connection:
            batch = find_batch(connection, batch_id, lock=True)
            there = _find_slip(connection, bank_account, number)
            if there is not None:
                _require_same(there, batch_id, Tender(tender), amount_minor)
                return there
            require_state(batch, BatchKind.BANK, (BatchState.OPEN,), "bank batch")
            move = moved(
                accounts.IN_TRANSIT, Tender(tender).account, amount_minor, f"deposit slip {number}"
            )
            connection.execute(
                insert(deposit_slips),
                {
                    "batch_id": batch_id,
                    "batch_kind": BatchKind.BANK.value,
                    "bank_account": bank_account,
                    "number": number,
                    "tender": Tender(tender).value,
                    "amount_minor": amount_minor,
                    "written_at": now,
                    "operator": who,
                    "transaction_id": accounts.post(
                        connection, "deposit", now, self.house.utility.currency.code, [move]
                    ),
                },
            )
            self._record(
                connection, now, who, "deposit.written", batch_id, f"amount_minor={amount_minor}"
            )
            slip = _find_slip(connection, bank_account, number)
            assert slip is not None
            return slip

    def close(
        self, batch_id: int, reasons: Mapping[str, str] | None = None, *, operator: str = ""
    ) -> ClosedReport:
        """Close a batch; a closed one gives its report again, and changes nothing.

        Args:
            batch_id: which.
            reasons: of a bank batch, for each tender whose slips do not come to what was
                counted: why.
            operator: who closes.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BatchCannotCloseError: a member is open, or there is none.
            DifferenceReasonError: money is left over or missing, and no reason is given.
            UnknownBatchError: no such batch, or a shift.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        reasons = dict(reasons or {})
        for tender, reason in reasons.items():
            require_text(f"The reason for {tender}", reason, length_max=200)
        with self.house.writing() as connection:
            batch = find_batch(connection, batch_id, lock=True)
            if batch.kind is BatchKind.SHIFT:
                raise BatchKindError("A shift is closed by its count: `meterhouse shift close`.")
            if batch.state is BatchState.CLOSED:
                document = stored_report(connection, batch_id)
                assert document is not None
                return ClosedReport(batch_id, document)
            _require_closed_members(connection, batch)
            report = self._report(connection, batch, reasons, now, who)
            document = canonical_json(report)
            mark_closed(
                connection,
                batch_id,
                closed_at=now,
                closed_by=who,
                transaction_id=None,
                report=document,
            )
            self._record(connection, now, who, "batch.closed", batch_id, batch.kind.value)
            return ClosedReport(batch_id, document)

    # --- looking --------------------------------------------------------------------------

    def batch(self, batch_id: int) -> Batch:
        """A batch by its number.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            UnknownBatchError: no such batch.
        """
        self.house.require(Permission.SUPERVISE)
        with self.house.reading() as connection:
            return find_batch(connection, batch_id)

    def totals(self, batch_id: int) -> dict[str, Any]:
        """What is in a batch at this moment: members, takings, slips, what is left to deposit.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            UnknownBatchError: no such batch.
        """
        self.house.require(Permission.SUPERVISE)
        now = self.house.now()
        with self.house.reading() as connection:
            batch = find_batch(connection, batch_id)
            if batch.kind is BatchKind.SHIFT:
                raise BatchKindError("Look a shift up with `meterhouse shift show`.")
            if batch.kind is BatchKind.SALES:
                return sales_report(
                    connection, self.house.utility, batch, closed_at=now, closed_by=""
                )
            return bank_report(
                connection, self.house.utility, batch, {}, closed_at=now, closed_by=""
            )

    def recent(
        self,
        *,
        kind: BatchKind | None = None,
        state: BatchState | None = None,
        limit: int = 100,
    ) -> list[Batch]:
        """The newest batches first.

        Raises:
            PermissionDeniedError: needs ``supervise``.
        """
        self.house.require(Permission.SUPERVISE)
        with self.house.reading() as connection:
            return list_batches(connection, kind=kind, state=state, limit=limit)

    def reprint(self, batch_id: int, *, operator: str = "") -> ClosedReport:
        """The stored report as COPY 1, 2, ...; each copy is counted and leaves an audit line.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BatchStateError: it is not closed.
            UnknownBatchError: no such batch.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            batch = find_batch(connection, batch_id, lock=True)
            copy_no, document = add_copy(connection, batch, who, now)
        return ClosedReport(batch_id, document, copy_no)

    # --- inside ---------------------------------------------------------------------------

    def _report(
        self,
        connection: Connection,
        batch: Batch,
        reasons: Mapping[str, str],
        now: datetime,
        who: str,
    ) -> dict[str, Any]:
        make: Callable[..., dict[str, Any]] = sales_report
        more: tuple[Mapping[str, str], ...] = ()
        if batch.kind is BatchKind.BANK:
            self._require_reasons(connection, batch, reasons)
            make, more = bank_report, (reasons,)
        return make(connection, self.house.utility, batch, *more, closed_at=now, closed_by=who)

    def _require_reasons(
        self, connection: Connection, batch: Batch, reasons: Mapping[str, str]
    ) -> None:
        members = bank_members(connection, batch.batch_id)
        money = self.house.utility.currency
        missing = [
            f"{each['tender']} {money.text(each['left_minor'])}"
            for each in deposits(members, slips_of(connection, batch.batch_id))
            if each["left_minor"] and not reasons.get(each["tender"], "").strip()
        ]
        if missing:
            raise DifferenceReasonError(
                f"The slips do not come to what was counted (left: {', '.join(missing)}): write "
                "the slip that is missing, or give a reason."
            )

    def _record(
        self, connection: Connection, now: datetime, who: str, act: str, batch_id: int, detail: str
    ) -> None:
        audit.record(connection, now, actor=who, action=act, subject=str(batch_id), detail=detail)


def _require_fits(batch: Batch, member: Batch) -> None:
    if _PARENT_OF.get(member.kind) is not batch.kind:
        raise BatchKindError(
            f"A {member.kind.value} batch does not go into a {batch.kind.value} batch: shifts go "
            "into sales batches, sales batches into bank batches."
        )
    if member.parent_id is not None:
        raise BatchKindError(
            f"Number {member.batch_id} is in batch {member.parent_id} already, and stays there."
        )
    if member.vendor_id != batch.vendor_id:
        raise BatchKindError("A batch collects one vendor's; this one is another's.")
    if batch.state is not BatchState.OPEN:
        raise BatchStateError(f"Batch {batch.batch_id} is closed: open another one.")


def _require_closed_members(connection: Connection, batch: Batch) -> None:
    find = sales_members if batch.kind is BatchKind.SALES else bank_members
    members = find(connection, batch.batch_id)
    open_ones = [
        str(member["batch_id"]) for member in members if member["state"] != BatchState.CLOSED.value
    ]
    if open_ones:
        raise BatchCannotCloseError(
            f"Batch {batch.batch_id} cannot close: {', '.join(open_ones)} in it must be closed "
            "first."
        )
    if not members:
        raise BatchCannotCloseError(f"Batch {batch.batch_id} cannot close: nothing is in it.")


def _find_slip(connection: Connection, bank_account: str, number: str) -> DepositSlip | None:
    columns = [deposit_slips.c[name] for name in DepositSlip.__slots__]
    row = connection.execute(
        select(*columns).where(
            deposit_slips.c.bank_account == bank_account, deposit_slips.c.number == number
        )
    ).one_or_none()
    return None if row is None else DepositSlip(**row._mapping)


def _require_same(there: DepositSlip, batch_id: int, tender: Tender, amount_minor: int) -> None:
    same = (there.batch_id, there.tender, there.amount_minor)
    if same != (batch_id, tender.value, amount_minor):
        raise DepositSlipConflictError(
            f"Slip {there.number} of account {there.bank_account} was written before, in batch "
            f"{there.batch_id}, over another amount; nothing was done now."
        )
