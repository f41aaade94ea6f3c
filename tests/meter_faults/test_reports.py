"""What customers report of their meters: taken down once, never changed, closed by a person."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine
from tests.shop.conftest import Clock
from vending import FaultReportRequest, Meter, MeterFault, NewMeter, Outcome, Shop, VendRequest
from vending.meter_faults.faults import FaultReportClosedError, UnknownFaultReportError
from vending.meter_faults.reports import ReportState
from vending.people.credentials import ApiKey, Password
from vending.people.faults import PersonNeededError
from vending.shop.faults import (
    MessageConflictError,
    NotASaleError,
    PermissionDeniedError,
    ReasonMissingError,
    RequestFormatError,
)

CHIEF = Password("chief", "the chief's password")
ANNA = Password("anna", "anna's own password")


def dark(meter: Meter, message_id: str = "f1") -> FaultReportRequest:
    return FaultReportRequest(
        "kiosk",
        message_id,
        meter.number,
        MeterFault.DISPLAY,
        "dark since Monday",
        "072 555 0101",
        operator="ben",
        terminal="T1",
    )


def test_a_report_says_who_when_where_and_what(shop: Shop, meter: Meter, clock: Clock) -> None:
    number = shop.meter_faults.report(dark(meter)).require_done()
    (found,) = shop.meter_faults.list()
    assert found.report_no == number
    assert (found.meter, found.kind, found.words) == (
        meter.number,
        MeterFault.DISPLAY,
        "dark since Monday",
    )
    assert (found.contact, found.operator, found.terminal) == ("072 555 0101", "ben", "T1")
    assert (found.reported_at, found.state) == (clock.now, ReportState.OPEN)
    line = list(shop.audit.lines())[-1]
    assert (line.action, line.subject) == ("meter_fault.reported", meter.number)
    assert "072" not in line.detail


def test_the_same_report_again_is_the_same_bytes_and_one_row(
    shop: Shop, meter: Meter, clock: Clock
) -> None:
    first = shop.meter_faults.report(dark(meter))
    clock.advance(minutes=5)
    again = shop.meter_faults.report(replace(dark(meter), operator="carla", terminal="T2"))
    assert again.response == first.response
    assert again.replayed
    assert not first.replayed
    assert again.report_no == first.report_no
    assert len(shop.meter_faults.list(None)) == 1


def test_one_id_is_one_request_whatever_it_asks_for(shop: Shop, meter: Meter) -> None:
    shop.meter_faults.report(dark(meter)).require_done()
    with pytest.raises(MessageConflictError):
        shop.meter_faults.report(replace(dark(meter), words="dark since Tuesday"))
    with pytest.raises(MessageConflictError):
        shop.vend(VendRequest("kiosk", "f1", meter.number, 10_000))
    shop.vend(VendRequest("kiosk", "sold", meter.number, 10_000)).require_done()
    with pytest.raises(MessageConflictError):
        shop.meter_faults.report(dark(meter, "sold"))


def test_many_at_once_are_one_report(shop: Shop, meter: Meter) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.meter_faults.report(dark(meter)), range(8)))
    assert len({each.response for each in answers}) == 1
    assert sum(not each.replayed for each in answers) == 1
    assert len(shop.meter_faults.list()) == 1


def test_a_meter_that_is_not_there_is_refused_and_the_refusal_is_the_answer(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    asked = replace(dark(meter), meter=new_number())
    refused = shop.meter_faults.report(asked)
    assert refused.outcome is Outcome.FAILED
    assert refused.fault is not None
    assert refused.fault.code == "unknown_meter"
    assert shop.meter_faults.report(asked).response == refused.response
    with pytest.raises(type(refused.fault)):
        refused.require_done()


def test_a_blocked_meter_has_faults_too(shop: Shop, meter: Meter) -> None:
    shop.block_meter(meter.number, "unpaid")
    assert shop.meter_faults.report(dark(meter)).outcome is Outcome.DONE


def test_the_last_response_tells_a_report_and_is_no_sale(shop: Shop, meter: Meter) -> None:
    reported = shop.meter_faults.report(dark(meter))
    answered = shop.last_response("kiosk", "f1")
    assert answered.response == reported.response
    assert answered.outcome is Outcome.DONE
    with pytest.raises(NotASaleError):
        answered.require_done()
    with pytest.raises(NotASaleError):
        shop.advice.confirm("kiosk", "f1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "display"},
        {"kind": MeterFault.OTHER, "words": " "},
        {"words": "x" * 501},
        {"words": "two\nlines"},
        {"contact": "x" * 129},
        {"message_id": ""},
    ],
)
def test_a_report_of_the_wrong_form_cannot_be_made(meter: Meter, wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestFormatError):
        replace(dark(meter), **wrong)


def test_a_report_is_closed_once_with_words(shop: Shop, meter: Meter, clock: Clock) -> None:
    number = shop.meter_faults.report(dark(meter)).require_done()
    other = shop.meter_faults.report(dark(meter, "f2")).require_done()
    with pytest.raises(ReasonMissingError):
        shop.meter_faults.close(number, " ")
    clock.advance(days=1)
    closed = shop.meter_faults.close(number, "display exchanged", operator="eve")
    assert (closed.state, closed.closed_by) == (ReportState.CLOSED, "eve")
    assert (closed.closed_at, closed.closing_words) == (clock.now, "display exchanged")
    assert list(shop.audit.lines())[-1].action == "meter_fault.closed"
    assert shop.meter_faults.close(number, "display exchanged", operator="eve") == closed
    with pytest.raises(FaultReportClosedError, match="display exchanged"):
        shop.meter_faults.close(number, "nothing was wrong", operator="eve")
    assert [each.report_no for each in shop.meter_faults.list()] == [other]
    assert [each.report_no for each in shop.meter_faults.list(ReportState.CLOSED)] == [number]
    assert [each.report_no for each in shop.meter_faults.list(None)] == [number, other]


def test_a_list_goes_on_behind_a_number_and_is_of_one_meter(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    another = shop.add_meter(NewMeter(new_number()))
    numbers = [
        shop.meter_faults.report(dark(which, f"f{place}")).require_done()
        for place, which in enumerate([meter, another, meter])
    ]
    assert [each.report_no for each in shop.meter_faults.list(after=numbers[0], limit=1)] == [
        numbers[1]
    ]
    of_one = shop.meter_faults.list(meter=meter.number)
    assert [each.report_no for each in of_one] == [numbers[0], numbers[2]]
    with pytest.raises(RequestFormatError):
        shop.meter_faults.list(limit=0)


def test_a_report_that_is_not_there_is_not_closed(shop: Shop) -> None:
    with pytest.raises(UnknownFaultReportError):
        shop.meter_faults.close(4711, "nothing")


def test_a_clerk_reports_and_an_engineer_closes_and_a_program_does_not(
    shop: Shop, meter: Meter, database_url: str, clock: Clock
) -> None:
    shop.people.add_operator(CHIEF.name, CHIEF.password, ["administrator"])
    with Shop.open(database_url, now=clock, credentials=CHIEF) as chief:
        chief.people.add_operator(ANNA.name, ANNA.password, ["clerk"])
        robot = chief.people.add_api_key("robot", ["engineer"])
    with Shop.open(database_url, now=clock, credentials=ANNA) as till:
        number = till.meter_faults.report(dark(meter)).require_done()
        with pytest.raises(PermissionDeniedError):
            till.meter_faults.list()
        with pytest.raises(PermissionDeniedError):
            till.meter_faults.close(number, "seen")
    with (
        Shop.open(database_url, now=clock, credentials=ApiKey(robot.text)) as program,
        pytest.raises(PersonNeededError),
    ):
        program.meter_faults.close(number, "seen")
    with Shop.open(database_url, now=clock, credentials=CHIEF) as chief:
        (found,) = chief.meter_faults.list()
        assert found.operator == "anna"  # who signed in, whatever the request says
        assert chief.meter_faults.close(number, "seen").closed_by == "chief"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meter_fault_reports SET words = words",
        "DELETE FROM meter_fault_reports",
        "UPDATE meter_fault_closures SET words = words",
        "DELETE FROM meter_fault_closures",
    ],
)
def test_the_database_never_changes_a_report(
    shop: Shop, meter: Meter, database_url: str, statement: str
) -> None:
    number = shop.meter_faults.report(dark(meter)).require_done()
    shop.meter_faults.close(number, "display exchanged")
    _refused(database_url, statement, "never")


def test_the_database_holds_report_and_answer_together(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    shop.meter_faults.report(dark(meter)).require_done()
    _refused(
        database_url,
        "INSERT INTO meter_fault_reports (client, message_id, meter_id, kind, words, contact, "
        "reported_at, operator, terminal) SELECT client, 'f2', meter_id, kind, words, contact, "
        "reported_at, operator, terminal FROM meter_fault_reports",
        "made with its answer",
    )
    sha = "zeroblob(32)" if database_url.startswith("sqlite") else "decode(repeat('00', 32), 'hex')"
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO requests (client, message_id, operation, request_sha256, received_at, "
                f"operator, terminal) SELECT client, 'f3', operation, {sha}, received_at, '', '' "
                "FROM requests"
            )
        )
    engine.dispose()
    answered = "UPDATE requests SET outcome = 'done', response = {0} WHERE message_id = 'f3'"
    _refused(database_url, answered.format(sha), "done means a receipt or a report")


def _refused(url: str, statement: str, words: str) -> None:
    engine = open_engine(url)
    with pytest.raises(DBAPIError, match=words), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
