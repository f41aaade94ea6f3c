"""Units that nobody pays for: type codes, limits, once a month, once for an old meter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.operations.asking import audit_actions, code_of, sell
from tests.shop.conftest import Clock
from tests.shop.databases import START
from vending import (
    CounterRules,
    FreeBasicRequest,
    FreeIssueRequest,
    Meter,
    NewMeter,
    Outcome,
    PublicTestKeys,
    ReplacementRequest,
    Shop,
    VendResult,
)
from vending.receipts.receipt import ReceiptKind
from vending.shop.faults import MessageConflictError, RequestFormatError
from vending.sts import Service, TransferCredit

KEYS = PublicTestKeys()


def give(
    number: str, message_id: str = "g1", units: int = 500, reason: str = "promise"
) -> FreeIssueRequest:
    return FreeIssueRequest("till", message_id, number, units, reason)


def test_a_free_issue_is_a_token_of_type_005_and_no_money(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    result = shop.giving.free_issue(give(meter.number))
    receipt = result.require_done()
    assert (receipt.kind, receipt.type_code) == (ReceiptKind.FREE_ISSUE, "005")
    assert (receipt.units, receipt.payment) == (500, None)
    content = KEYS.read_token(receipt.token, meter.attributes()).content
    assert isinstance(content, TransferCredit)
    assert (content.service, content.amount) == (Service.ELECTRICITY, 500)
    again = shop.giving.free_issue(give(meter.number))
    assert (again.response, again.replayed) == (result.response, True)
    with pytest.raises(MessageConflictError):
        shop.giving.free_issue(give(meter.number, units=501))
    statement = shop.statement()
    assert statement.agrees
    assert (statement.free_units, statement.units, statement.taken_minor) == (500, 0, 0)
    assert "free_issue.given" in audit_actions(database_url)


def test_what_is_refused_is_an_answer(
    shop: Shop, new_number: Callable[[], str], meter: Meter
) -> None:
    assert code_of(shop.giving.free_issue(give(meter.number, "1", reason=" "))) == "reason_missing"
    unknown = new_number()
    assert code_of(shop.giving.free_issue(give(unknown, "2"))) == "unknown_meter"
    shop.block_meter(meter.number, "tampering")
    assert code_of(shop.giving.free_issue(give(meter.number, "3"))) == "meter_blocked"
    default = shop.add_meter(NewMeter(new_number(), key_type=1))
    assert code_of(shop.giving.free_issue(give(default.number, "4"))) == "key_type"
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    assert code_of(shop.giving.free_issue(give(old.number, "5"))) == "key_change_required"
    for units in (0, -1, 18_201_625):
        with pytest.raises(RequestFormatError):
            give(meter.number, units=units)
    assert shop.statement().free_units == 0


def test_free_basic_units_are_given_once_a_month_and_lapse(
    shop: Shop, new_number: Callable[[], str], clock: Clock
) -> None:
    shop.rules.set(CounterRules(free_basic_units=500))
    first, second = (
        shop.add_meter(NewMeter(new_number(), service_point="stand 4")) for _ in range(2)
    )

    def ask(meter: Meter, message_id: str) -> VendResult:
        return shop.giving.free_basic(FreeBasicRequest("till", message_id, meter.number))

    assert shop.lookup.confirm_meter(first.number).free_basic_due == 500
    receipt = shop.giving.free_basic(FreeBasicRequest("till", "1", first.number)).require_done()
    assert (receipt.type_code, receipt.units) == ("010", 500)
    assert shop.lookup.confirm_meter(second.number).free_basic_due == 0
    refused = shop.giving.free_basic(FreeBasicRequest("till", "2", second.number))
    assert code_of(refused) == "no_free_basic_due"
    # a new month in Johannesburg begins two hours before it does in UTC; December's lapses
    clock.now = datetime(2026, 11, 30, 21, 59, tzinfo=UTC)
    late = shop.giving.free_basic(FreeBasicRequest("till", "3", second.number))
    assert code_of(late) == "no_free_basic_due"
    clock.now = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    assert (
        shop.giving.free_basic(FreeBasicRequest("till", "4", second.number)).require_done().units
        == 500
    )
    clock.now = datetime(2027, 2, 1, tzinfo=UTC)
    assert shop.lookup.confirm_meter(second.number).free_basic_due == 500
    assert ask(first, "1") is not None
    assert shop.statement().agrees


def test_without_an_allowance_no_free_units_are_due(shop: Shop, meter: Meter) -> None:
    refused = shop.giving.free_basic(FreeBasicRequest("till", "1", meter.number))
    assert code_of(refused) == "no_free_basic_due"


def test_units_of_an_exchanged_meter_are_carried_over_once(
    shop: Shop, new_number: Callable[[], str], meter: Meter
) -> None:
    old = shop.add_meter(NewMeter(new_number()))

    def ask(message_id: str, *, old_meter: str = old.number) -> VendResult:
        return shop.giving.replacement(
            ReplacementRequest("till", message_id, meter.number, old_meter, 700, "burnt")
        )

    receipt = ask("1").require_done()
    assert (receipt.kind, receipt.type_code) == (ReceiptKind.REPLACEMENT, "003")
    assert receipt.units == 700
    assert code_of(ask("2")) == "replaced_before"
    same = ask("3", old_meter=meter.number)
    assert code_of(same) == "not_exchanged"
    water = shop.add_meter(NewMeter(new_number(), resource="water"))
    assert code_of(ask("4", old_meter=water.number)) == "not_exchanged"
    assert shop.statement().agrees


def test_the_claim_report_counts_by_fund_month_and_meter(
    shop: Shop, new_number: Callable[[], str], meter: Meter, clock: Clock
) -> None:
    other = shop.add_meter(NewMeter(new_number()))
    for number, message_id in ((meter.number, "1"), (meter.number, "2"), (other.number, "3")):
        shop.giving.free_issue(give(number, message_id, units=10)).require_done()
    clock.advance(days=20)
    shop.giving.free_issue(give(meter.number, "4", units=10)).require_done()
    shop.giving.replacement(
        ReplacementRequest("till", "5", meter.number, other.number, 70, "burnt")
    ).require_done()
    sell(shop, meter.number, "6")
    lines = shop.giving.claims(START, START + timedelta(days=40))
    assert [(line.fund, line.month, line.meter, line.times, line.units) for line in lines] == [
        ("fund.free_issue", "2026-11", meter.number, 2, 20),
        ("fund.free_issue", "2026-11", other.number, 1, 10),
        ("fund.free_issue", "2026-12", meter.number, 1, 10),
        ("fund.replacement", "2026-12", meter.number, 1, 70),
    ]
    assert shop.giving.claims(START + timedelta(days=40), START + timedelta(days=50)) == ()


def test_identifiers_of_gifts_and_sales_grow_together(shop: Shop, meter: Meter) -> None:
    tids = []
    for number in range(3):
        tids.append(sell(shop, meter.number, f"s{number}").tokens[0].tid)
        given = shop.giving.free_issue(give(meter.number, f"g{number}")).require_done()
        tids.append(given.tokens[0].tid)
    assert len(set(tids)) == len(tids)
    assert tids == sorted(tids, key=lambda tid: tid or 0)
    assert shop.giving.free_issue(give(meter.number, "g0")).outcome is Outcome.DONE
