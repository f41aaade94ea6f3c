"""A report about a meter's fault: what is asked, what is stored, what is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select

from vending.errors import VendingError
from vending.meter_faults.faults import UnknownFaultReportError
from vending.meter_faults.tables import meter_fault_closures, meter_fault_reports
from vending.shop.faults import RequestFormatError
from vending.shop.meters import Meter
from vending.shop.requests import Outcome, VendResult, require_who
from vending.shop.tables import meters
from vending.shop.values import pan_of, require_text

WORDS_LENGTH_MAX: Final = 500


class MeterFault(StrEnum):
    """What is wrong with a meter, as a customer sees it."""

    DISPLAY = "display"
    """Dark, or parts of it are missing."""
    KEYPAD = "keypad"
    """Keys do nothing, or more than they should."""
    NO_SUPPLY = "no_supply"
    """There is credit and no supply."""
    TAMPER_SEEN = "tamper_seen"
    """A broken seal, an opened cover, a wire past the meter."""
    WRONG_DISPLAY = "wrong_display"
    """It shows what cannot be."""
    OTHER = "other"
    """The words say what."""


class ReportState(StrEnum):
    """Where a report stands."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class FaultReportRequest:
    """Report that something is wrong with a meter.

    Raises:
        RequestFormatError: a field has the wrong form, or ``other`` without words.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    message_id: str
    meter: str
    kind: MeterFault
    words: str = ""
    """What was seen, on one line of at most 500 characters."""
    contact: str = ""
    """How to reach who reports it; empty: nobody."""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        if not isinstance(self.kind, MeterFault):
            raise RequestFormatError("The kind of a fault must be a MeterFault.")
        require_text("words", self.words, length_max=WORDS_LENGTH_MAX)
        require_text("contact", self.contact)
        if self.kind is MeterFault.OTHER and not self.words.strip():
            raise RequestFormatError("Say in words what is wrong: this fault has no name here.")

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": pan_of(self.meter).drn,
            "kind": self.kind.value,
            "words": self.words,
            "contact": self.contact,
        }


@dataclass(frozen=True, slots=True)
class FaultReportResult:
    """The answer to a report; the same bytes whenever it is repeated."""

    outcome: Outcome
    client: str
    message_id: str
    response: bytes
    replayed: bool
    report_no: int | None
    """There when the outcome is done."""
    fault: VendingError | None

    @classmethod
    def of(cls, answered: VendResult) -> FaultReportResult:
        """A stored answer, read."""
        report = json.loads(answered.response).get("fault_report") if answered.response else None
        return cls(
            answered.outcome,
            answered.client,
            answered.message_id,
            answered.response,
            answered.replayed,
            None if report is None else report["report_no"],
            answered.fault,
        )

    def require_done(self) -> int:
        """The report's number, or the fault that stands in its place, raised."""
        if self.report_no is None:
            assert self.fault is not None
            raise self.fault
        return self.report_no


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A report as it is stored."""

    report_no: int
    meter: str
    kind: MeterFault
    words: str
    contact: str
    reported_at: datetime
    operator: str
    terminal: str
    client: str
    message_id: str
    closed_at: datetime | None
    closed_by: str | None
    closing_words: str | None

    @property
    def state(self) -> ReportState:
        """Open until somebody has closed it."""
        return ReportState.OPEN if self.closed_at is None else ReportState.CLOSED


_REPORTS: Final[Select[Any]] = (
    select(
        *(column for column in meter_fault_reports.c if column.name != "meter_id"),
        meters.c.number.label("meter"),
        meter_fault_closures.c.closed_at,
        meter_fault_closures.c.closed_by,
        meter_fault_closures.c.words.label("closing_words"),
    )
    .join(meters, meters.c.meter_id == meter_fault_reports.c.meter_id)
    .outerjoin(
        meter_fault_closures,
        meter_fault_closures.c.report_no == meter_fault_reports.c.report_no,
    )
)


def insert_report(
    connection: Connection, request: FaultReportRequest, meter: Meter, now: datetime
) -> int:
    """Write a report down; gives its number."""
    report_no: int = connection.execute(
        insert(meter_fault_reports).returning(meter_fault_reports.c.report_no),
        {
            "client": request.client,
            "message_id": request.message_id,
            "meter_id": meter.meter_id,
            "kind": request.kind.value,
            "words": request.words,
            "contact": request.contact,
            "reported_at": now,
            "operator": request.operator,
            "terminal": request.terminal,
        },
    ).scalar_one()
    return report_no


def find_report(connection: Connection, report_no: int, *, lock: bool = False) -> FaultReport:
    """A report by its number; ``lock`` keeps others from closing it until the transaction ends.

    Raises:
        UnknownFaultReportError: there is none.
    """
    wanted = meter_fault_reports.c.report_no == report_no
    if lock:
        connection.execute(select(meter_fault_reports).where(wanted).with_for_update())
    row = connection.execute(_REPORTS.where(wanted)).one_or_none()
    if row is None:
        raise UnknownFaultReportError(
            f"There is no fault report {report_no}; `meterhouse meter fault list` shows them."
        )
    return _report(row)


def list_reports(
    connection: Connection,
    state: ReportState | None,
    meter: Meter | None,
    after: int,
    limit: int,
) -> list[FaultReport]:
    """Reports by number, from behind ``after``."""
    wanted = _REPORTS.where(meter_fault_reports.c.report_no > after)
    if state is not None:
        closed = meter_fault_closures.c.report_no
        wanted = wanted.where(
            closed.is_(None) if state is ReportState.OPEN else closed.is_not(None)
        )
    if meter is not None:
        wanted = wanted.where(meter_fault_reports.c.meter_id == meter.meter_id)
    rows = connection.execute(wanted.order_by(meter_fault_reports.c.report_no).limit(limit))
    return [_report(row) for row in rows]


def insert_closure(
    connection: Connection, report_no: int, words: str, closed_by: str, now: datetime
) -> None:
    """Close a report."""
    connection.execute(
        insert(meter_fault_closures),
        {"report_no": report_no, "closed_at": now, "closed_by": closed_by, "words": words},
    )


def _report(row: Any) -> FaultReport:
    fields = dict(row._mapping)
    return FaultReport(**{**fields, "kind": MeterFault(fields["kind"])})
