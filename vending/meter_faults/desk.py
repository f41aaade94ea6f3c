"""The desk of meters' faults: report, list, close (`Shop.meter_faults`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from storage import audit
from storage.engine import writing
from vending.errors import FaultFamily, VendingError
from vending.meter_faults.faults import FaultReportClosedError
from vending.meter_faults.reports import (
    WORDS_LENGTH_MAX,
    FaultReport,
    FaultReportRequest,
    FaultReportResult,
    ReportState,
    find_report,
    insert_closure,
    insert_report,
    list_reports,
)
from vending.people.actor import Permission
from vending.shop.faults import OutcomeUnknownError, RequestFormatError, storage_faults
from vending.shop.giveout import require_reason
from vending.shop.house import House
from vending.shop.meters import find_meter
from vending.shop.once import Question, begin, question_of, refuse_once, repeated, store
from vending.shop.requests import Outcome, VendResult, canonical_json
from vending.shop.values import require_text, require_whole

OPERATION: Final = "fault_report"
_LIST_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class MeterFaultDesk:
    """What customers report of their meters."""

    house: House

    def report(self, request: FaultReportRequest) -> FaultReportResult:
        """Take a report down, once; repeatable as a sale is.

        Who may look a meter up may report its fault: a kiosk, a clerk, an engineer.

        Raises:
            PermissionDeniedError: the actor may not look.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.LOOK)
        request = self.house.signed(request)
        question, now = question_of(OPERATION, request), self.house.now()
        try:
            with storage_faults():
                return FaultReportResult.of(self._answered(request, question, now))
        except OutcomeUnknownError as fault:
            unknown = VendResult.unknown(request.client, request.message_id, fault)
            return FaultReportResult.of(unknown)

    def list(
        self,
        state: ReportState | None = ReportState.OPEN,
        *,
        meter: str | None = None,
        after: int = 0,
        limit: int = _LIST_MAX,
    ) -> list[FaultReport]:
        """Reports by number, beginning behind the number ``after``.

        Args:
            state: open ones, closed ones, or all of them (None).
            meter: of this meter alone.
            after: the last number that was seen.
            limit: at most so many.

        Raises:
            PermissionDeniedError: needs ``meters``: they hold how customers are reached.
            UnknownMeterError, CheckDigitError, InvalidValueError: no such meter.
            RequestFormatError: no whole numbers, or a limit below one.
        """
        self.house.require(Permission.METERS)
        require_whole("The number to begin behind", after)
        if require_whole("The limit of a list", limit) < 1:
            raise RequestFormatError("The limit of a list must be above zero.")
        with self.house.reading() as connection:
            found = None if meter is None else find_meter(connection, meter)
            return list_reports(connection, state, found, after, limit)

    def close(self, report_no: int, words: str, *, operator: str = "") -> FaultReport:
        """Close a report: say what was found and done.

        The same person closing it again with the same words changes nothing.

        Raises:
            PermissionDeniedError: needs ``meters``.
            PersonNeededError: a program's API key closes nothing.
            UnknownFaultReportError: no such report.
            FaultReportClosedError: it was closed before, otherwise.
            ReasonMissingError, RequestFormatError: no words, or not one line of 500 characters.
        """
        self.house.require(Permission.METERS)
        self.house.require_person()
        require_whole("A report's number", report_no)
        require_reason(require_text("words", words, length_max=WORDS_LENGTH_MAX))
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            found = find_report(connection, report_no, lock=True)
            if found.state is ReportState.CLOSED:
                return _closed_alike(found, words, who)
            insert_closure(connection, report_no, words, who, now)
            audit.record(
                connection,
                now,
                actor=who,
                action="meter_fault.closed",
                subject=found.meter,
                detail=f"report {report_no}",
            )
            return find_report(connection, report_no)

    def _answered(
        self, request: FaultReportRequest, question: Question, now: datetime
    ) -> VendResult:
        try:
            with writing(self.house.engine) as connection:
                if not begin(connection, question, now):
                    return repeated(connection, question)
                meter = find_meter(connection, request.meter)
                report_no = insert_report(connection, request, meter, now)
                response = _done(question, report_no)
                store(connection, question, Outcome.DONE, response)
                audit.record(
                    connection,
                    now,
                    actor=request.operator,
                    action="meter_fault.reported",
                    subject=meter.number,
                    detail=f"report {report_no}: {request.kind.value}",
                )
        except VendingError as fault:
            if fault.family is not FaultFamily.BUSINESS:
                raise
            return refuse_once(self.house.engine, question, now, fault)
        return VendResult.stored(question.client, question.message_id, response, replayed=False)


def _closed_alike(found: FaultReport, words: str, who: str) -> FaultReport:
    if (found.closed_by, found.closing_words) == (who, words):
        return found
    raise FaultReportClosedError(
        f"Report {found.report_no} was closed by {found.closed_by or 'somebody'} before, with the "
        f'words "{found.closing_words}". What came later is a report of its own.'
    )


def _done(question: Question, report_no: int) -> bytes:
    return canonical_json(
        {
            "outcome": Outcome.DONE.value,
            "client": question.client,
            "message_id": question.message_id,
            OPERATION: {"report_no": report_no},
        }
    )
