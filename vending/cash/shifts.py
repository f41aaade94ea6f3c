"""The shift desk: a drawer from its float to its counted close.

The close is a blind count (specs/vending.md, "Cash"): first the clerk says what is in the
drawer, then the shop says what should be.  From the count on the shift takes no receipts.  What
differs needs a reason and becomes an entry of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from storage import audit
from vending.cash import accounts
from vending.cash.accounts import moved
from vending.cash.batch_report import shift_report
from vending.cash.batches import (
    Batch,
    BatchKind,
    BatchState,
    add_batch,
    add_copy,
    find_batch,
    list_batches,
    mark_closed,
    mark_counted,
    require_state,
    stored_report,
)
from vending.cash.cash_tables import batch_counts, batch_differences, batches, cash_settings
from vending.cash.drawer import open_shift_id
from vending.cash.faults import (
    BatchCannotCloseError,
    BatchStateError,
    DifferenceReasonError,
    NoShiftError,
    ShiftOfAnotherError,
    ShiftOpenError,
)
from vending.cash.reckoning import (
    Count,
    Reckoned,
    reckon,
    store_count,
    takings,
    unreasoned,
)
from vending.cash.tables import terminals
from vending.people.actor import Permission
from vending.people.audit_desk import AuditDesk
from vending.receipts.receipt import ReceiptKind
from vending.shop.books import Tender
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.requests import canonical_json
from vending.shop.tables import intents, receipts, requests
from vending.shop.values import require_text, require_whole

_FLOAT_MAX: Final = 10**15


@dataclass(frozen=True, slots=True)
class ClosedReport:
    """The stored report of a closed shift or batch."""

    batch_id: int
    document: bytes
    """Canonical JSON: the same bytes whenever it is asked for."""
    copy_no: int = 0
    """0 is the original; a reprint is COPY 1, 2, ..."""

    def data(self) -> dict[str, Any]:
        """The document as plain values."""
        report: dict[str, Any] = json.loads(self.document)
        return report


@dataclass(frozen=True, slots=True)
class ShiftDesk:
    """Shifts: open, count, close, show, reprint (`Shop.shifts`)."""

    house: House

    # --- settings -------------------------------------------------------------------------

    def required(self) -> bool:
        """Whether cash is taken in a shift only."""
        with self.house.reading() as connection:
            return bool(connection.scalar(select(cash_settings.c.shifts_required)))

    def require_shifts(self, required: bool, *, operator: str = "") -> None:
        """From now on cash is taken in a shift only, or outside of one, too.

        Raises:
            PermissionDeniedError: needs ``supervise``.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            connection.execute(update(cash_settings).values(shifts_required=int(bool(required))))
            audit.record(
                connection,
                now,
                actor=who,
                action="shifts.required" if required else "shifts.optional",
                subject="cash",
            )

    # --- a day at the till ----------------------------------------------------------------

    def open(
        self, *, operator: str = "", terminal: str = "", float_minor: int = 0, site: str = ""
    ) -> Batch:
        """Open the shift of an operator at a terminal.

        Args:
            operator: whose it is; who signed in, if somebody did.
            terminal: at which till; its vendor is the shift's.
            float_minor: the change in the drawer at the start, in minor units.
            site: where, for the report.

        Raises:
            PermissionDeniedError: needs ``cash``.
            ShiftOpenError: there is one open.
            RequestFormatError: no operator, or a value of the wrong form.
        """
        self.house.require(Permission.CASH)
        who, now = self._person(operator), self.house.now()
        terminal = self.house.where(terminal)
        require_text("The site", site)
        if not 0 <= require_whole("The float", float_minor) <= _FLOAT_MAX:
            raise RequestFormatError("The float must lie between 0 and 10**15 minor units.")
        with self.house.writing() as connection:
            self._refuse_second(connection, who, terminal)
            transaction_id = None
            vendor_id = self._vendor_at(connection, terminal)
            if float_minor and vendor_id is None:
                give = moved(
                    Tender.CASH.account, accounts.FLOAT, float_minor, "float given to a drawer"
                )
                transaction_id = self._post(connection, "shift.float", now, [give])
            shift_id = add_batch(
                connection,
                {
                    "kind": BatchKind.SHIFT.value,
                    "vendor_id": vendor_id,
                    "site": site,
                    "terminal": terminal,
                    "operator": who,
                    "opened_at": now,
                    "float_minor": float_minor,
                    "float_transaction_id": transaction_id,
                },
            )
            audit.record(
                connection,
                now,
                actor=who,
                action="shift.opened",
                subject=str(shift_id),
                detail=f"terminal={terminal} float_minor={float_minor}",
            )
            return find_batch(connection, shift_id)

    def current(self, *, operator: str = "", terminal: str = "") -> Batch:
        """The open shift of an operator at a terminal, else the one that waits for its close.

        Raises:
            PermissionDeniedError: needs ``cash``.
            NoShiftError: there is none.
        """
        self.house.require(Permission.CASH)
        who, terminal = self.house.who(operator), self.house.where(terminal)
        with self.house.reading() as connection:
            shift_id = connection.scalar(
                select(batches.c.batch_id)
                .where(
                    batches.c.kind == BatchKind.SHIFT.value,
                    batches.c.operator == who,
                    batches.c.terminal == terminal,
                    batches.c.state != BatchState.CLOSED.value,
                )
                .order_by((batches.c.state == "open").desc(), batches.c.batch_id)
                .limit(1)
            )
            if shift_id is None:
                raise NoShiftError(
                    f"No shift of {who or 'this operator'} is open at terminal "
                    f"{terminal or '(none)'}. Open one with `meterhouse shift open`."
                )
            return find_batch(connection, shift_id)

    def count(self, shift_id: int, count: Count, *, operator: str = "") -> tuple[Reckoned, ...]:
        """Say what is in the drawer; gives what should be.

        From now on the shift takes no receipts.  The first count is the blind one; the same
        count again gives the same answer; another count is for a supervisor.

        Raises:
            PermissionDeniedError: needs ``cash``, or ``supervise`` to count again.
            ShiftOfAnotherError: not one's own, and no supervisor.
            BatchCannotCloseError: the outcome of a request in the shift is unknown.
            BatchStateError: it is closed.
            UnknownBatchError: no such shift.
        """
        self.house.require(Permission.CASH)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            shift = self._shift(connection, shift_id, who)
            require_state(shift, BatchKind.SHIFT, (BatchState.OPEN, BatchState.COUNTED), "shift")
            count_no, counted = _last_count(connection, shift_id)
            if shift.state is BatchState.COUNTED and counted == dict(count.amounts):
                return self._reckoned(connection, shift)
            if shift.state is BatchState.COUNTED:
                self.house.require(Permission.SUPERVISE)
            self._refuse_unknown(connection, shift)
            store_count(connection, shift_id, count_no + 1, count, now, who)
            if shift.state is BatchState.OPEN:
                mark_counted(connection, shift_id, now)
            audit.record(
                connection,
                now,
                actor=who,
                action="shift.counted",
                subject=str(shift_id),
                detail=f"count {count_no + 1}",
            )
            return self._reckoned(connection, shift)

    def close(
        self, shift_id: int, reasons: Mapping[str, str] | None = None, *, operator: str = ""
    ) -> ClosedReport:
        """Close a counted shift; a closed one gives its report again, and changes nothing.

        Args:
            shift_id: which.
            reasons: for each tender that differs, why.
            operator: who closes.

        Raises:
            PermissionDeniedError, ShiftOfAnotherError, UnknownBatchError: as for `count`.
            BatchStateError: it is not counted yet.
            DifferenceReasonError: a difference without a reason.
            BatchCannotCloseError: the outcome of a request in the shift is unknown.
        """
        self.house.require(Permission.CASH)
        who, now = self.house.who(operator), self.house.now()
        reasons = dict(reasons or {})
        for tender, reason in reasons.items():
            require_text(f"The reason for {tender}", reason, length_max=200)
        with self.house.writing() as connection:
            shift = self._shift(connection, shift_id, who)
            if shift.state is BatchState.CLOSED:
                report = stored_report(connection, shift_id)
                assert report is not None
                return ClosedReport(shift_id, report)
            require_state(shift, BatchKind.SHIFT, (BatchState.COUNTED,), "shift")
            self._refuse_unknown(connection, shift)
            reckoned = self._reckoned(connection, shift)
            self._require_reasons(reckoned, reasons)
            document = canonical_json(
                shift_report(
                    connection,
                    self.house.utility,
                    shift,
                    reckoned,
                    reasons,
                    closed_at=now,
                    closed_by=who,
                )
            )
            _store_differences(connection, shift_id, reckoned, reasons)
            mark_closed(
                connection,
                shift_id,
                closed_at=now,
                closed_by=who,
                transaction_id=self._post_close(connection, shift, reckoned, now),
                report=document,
            )
            audit.record(
                connection,
                now,
                actor=who,
                action="shift.closed",
                subject=str(shift_id),
                detail=" ".join(
                    f"{each.tender}_difference_minor={each.difference_minor}" for each in reckoned
                ),
            )
        AuditDesk(self.house).seal_soon()
        return ClosedReport(shift_id, document)

    # --- looking --------------------------------------------------------------------------

    def shift(self, shift_id: int) -> Batch:
        """A shift by its number.

        Raises:
            PermissionDeniedError: needs ``cash``.
            UnknownBatchError: no such shift.
        """
        self.house.require(Permission.CASH)
        with self.house.reading() as connection:
            shift = find_batch(connection, shift_id)
            require_state(shift, BatchKind.SHIFT, tuple(BatchState), "shift")
            return shift

    def recent(self, *, state: BatchState | None = None, limit: int = 100) -> list[Batch]:
        """The newest shifts first.

        Raises:
            PermissionDeniedError: needs ``cash``.
        """
        self.house.require(Permission.CASH)
        with self.house.reading() as connection:
            return list_batches(connection, kind=BatchKind.SHIFT, state=state, limit=limit)

    def sales_count(self, shift_id: int) -> int:
        """How many sales a shift has; it tells nothing of the money in the drawer.

        Raises:
            PermissionDeniedError: needs ``cash``.
        """
        self.house.require(Permission.CASH)
        require_whole("A shift's number", shift_id)
        with self.house.reading() as connection:
            counted = connection.scalar(
                select(func.count())
                .select_from(receipts)
                .where(
                    receipts.c.shift_id == shift_id,
                    receipts.c.kind == ReceiptKind.CREDIT.value,
                )
            )
        return counted or 0

    def expected(self, shift_id: int, *, operator: str = "") -> tuple[Reckoned, ...]:
        """What the drawer should hold; while it is not counted for supervisors only.

        Raises:
            PermissionDeniedError: needs ``supervise`` before the count, else ``cash``.
            UnknownBatchError: no such shift.
        """
        self.house.require(Permission.CASH)
        self.house.who(operator)
        with self.house.reading() as connection:
            shift = find_batch(connection, shift_id)
            require_state(shift, BatchKind.SHIFT, tuple(BatchState), "shift")
            if shift.state is BatchState.OPEN:
                self.house.require(Permission.SUPERVISE)
            return self._reckoned(connection, shift)

    def report(self, shift_id: int) -> ClosedReport:
        """The report of a closed shift.

        Raises:
            PermissionDeniedError: needs ``cash``.
            BatchStateError: it is not closed.
        """
        self.house.require(Permission.CASH)
        with self.house.reading() as connection:
            shift = find_batch(connection, shift_id)
            document = stored_report(connection, shift_id)
        if document is None:
            raise BatchStateError(f"Shift {shift.batch_id} is {shift.state.value}: close it first.")
        return ClosedReport(shift_id, document)

    def reprint(self, shift_id: int, *, operator: str = "") -> ClosedReport:
        """The stored report as COPY 1, 2, ...; each copy is counted and leaves an audit line.

        Raises:
            PermissionDeniedError: needs ``cash``.
            BatchStateError: it is not closed.
            UnknownBatchError: no such shift.
        """
        self.house.require(Permission.CASH)
        who, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            shift = self._shift(connection, shift_id, who)
            require_state(shift, BatchKind.SHIFT, tuple(BatchState), "shift")
            copy_no, document = add_copy(connection, shift, who, now)
        return ClosedReport(shift_id, document, copy_no)

    # --- inside ---------------------------------------------------------------------------

    def _person(self, operator: str) -> str:
        who = self.house.who(operator)
        if not who.strip():
            raise RequestFormatError("A shift needs the operator whose drawer it is.")
        return who

    def _refuse_second(self, connection: Connection, who: str, terminal: str) -> None:
        there = open_shift_id(connection, who, terminal)
        if there is not None:
            raise ShiftOpenError(
                f"Shift {there} of {who} is open at terminal {terminal or '(none)'} already: "
                "close it first, or go on with it."
            )

    def _vendor_at(self, connection: Connection, terminal: str) -> int | None:
        vendor_id: int | None = connection.scalar(
            select(terminals.c.vendor_id).where(terminals.c.name == terminal)
        )
        return self.house.actor.vendor_id if vendor_id is None else vendor_id

    def _shift(self, connection: Connection, shift_id: int, who: str) -> Batch:
        """The locked shift; one's own, unless a supervisor acts."""
        shift = find_batch(connection, shift_id, lock=True)
        own = shift.operator == who
        if not own and not self.house.current_actor().may(Permission.SUPERVISE):
            raise ShiftOfAnotherError(
                f"Shift {shift_id} is {shift.operator}'s: that operator or a supervisor acts on it."
            )
        return shift

    def _reckoned(self, connection: Connection, shift: Batch) -> tuple[Reckoned, ...]:
        _, counted = _last_count(connection, shift.batch_id)
        return reckon(shift.float_minor, takings(connection, shift.batch_id), counted)

    def _refuse_unknown(self, connection: Connection, shift: Batch) -> None:
        unknown = connection.scalar(
            select(func.count())
            .select_from(intents.join(requests))
            .where(
                intents.c.state == "open",
                requests.c.operator == shift.operator,
                requests.c.terminal == shift.terminal,
            )
        )
        if unknown:
            raise BatchCannotCloseError(
                f"Shift {shift.batch_id} cannot close: the outcome of {unknown} request(s) in it "
                "is unknown. Ask again about each of them (meterhouse report unknown), then "
                "count again."
            )

    def _require_reasons(self, reckoned: tuple[Reckoned, ...], reasons: Mapping[str, str]) -> None:
        missing = unreasoned(reckoned, reasons)
        if missing:
            money = self.house.utility.currency
            said = ", ".join(f"{each.tender} {each.words(money)}" for each in missing)
            raise DifferenceReasonError(f"The drawer is not as expected ({said}): give a reason.")

    def _post_close(
        self, connection: Connection, shift: Batch, reckoned: tuple[Reckoned, ...], now: datetime
    ) -> int | None:
        """Over and short of each tender, then the float goes back.

        A vendor's drawer holds the vendor's money: the report says what differs, the house's
        ledger has nothing of it.
        """
        if shift.vendor_id is not None:
            return None
        moves = [
            moved(
                accounts.tender_account(each.tender),
                accounts.OVER_SHORT,
                each.difference_minor,
                f"{each.tender} over or short",
            )
            for each in reckoned
            if each.difference_minor
        ]
        if shift.float_minor:
            moves.append(
                moved(accounts.FLOAT, Tender.CASH.account, shift.float_minor, "float given back")
            )
        return self._post(connection, "shift.close", now, moves) if moves else None

    def _post(self, connection: Connection, kind: str, now: datetime, moves: list[Any]) -> int:
        return accounts.post(connection, kind, now, self.house.utility.currency.code, moves)


def _last_count(connection: Connection, shift_id: int) -> tuple[int, dict[str, int]]:
    """The number and the amounts of the last count; 0 when nothing was counted."""
    last = (
        connection.scalar(
            select(func.max(batch_counts.c.count_no)).where(batch_counts.c.batch_id == shift_id)
        )
        or 0
    )
    rows = connection.execute(
        select(batch_counts.c.tender, batch_counts.c.counted_minor).where(
            batch_counts.c.batch_id == shift_id, batch_counts.c.count_no == last
        )
    )
    return last, {row.tender: row.counted_minor for row in rows}


def _store_differences(
    connection: Connection,
    shift_id: int,
    reckoned: tuple[Reckoned, ...],
    reasons: Mapping[str, str],
) -> None:
    connection.execute(
        insert(batch_differences),
        [
            {
                "batch_id": shift_id,
                "tender": each.tender,
                "expected_minor": each.expected_minor,
                "counted_minor": each.counted_minor,
                "difference_minor": each.difference_minor,
                "reason": reasons.get(each.tender, "") if each.difference_minor else "",
            }
            for each in reckoned
        ],
    )
