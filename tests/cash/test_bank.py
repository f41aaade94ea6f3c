"""From a bank's file to tokens: each booking once, nothing before a review, killed or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.cash.books import ledger, scalar
from tests.cash.camt import ACCOUNT, Booking, Payment, statement
from vending import (
    Meter,
    NewMeter,
    RefundRequest,
    ReversalRequest,
    Shop,
    Tender,
    VendRequest,
)
from vending.cash.bank.rows import Entry
from vending.cash.batches import BatchKind
from vending.cash.faults import BankFileError, BankReviewError, UnknownBankEntryError
from vending.shop.faults import ReservedClientError, UnknownMeterError
from vending.sts import make_drn

ROOT = Path(__file__).parent.parent.parent


def imported(shop: Shop, *bookings: Booking) -> list[Entry]:
    """The bookings of a statement, stored."""
    shop.bank.import_file(statement(bookings), file_name="s.xml", operator="boss")
    return shop.bank.entries()


def test_the_same_file_twice_adds_nothing(shop: Shop, database_url: str) -> None:
    first = statement([Booking([Payment("100.00", "a")]), Booking([Payment("7.00")], sign="DBIT")])
    report = shop.bank.import_file(first)
    assert (report.added, report.known, report.again) == (2, 0, False)
    again = shop.bank.import_file(first)
    assert (again.added, again.again, again.import_id) == (0, True, report.import_id)
    longer = statement(
        [
            Booking([Payment("100.00", "a")]),
            Booking([Payment("7.00")], sign="DBIT"),
            Booking([Payment("100.00", "a")]),
        ]
    )
    overlapping = shop.bank.import_file(longer)
    assert (overlapping.added, overlapping.known) == (1, 2)
    books = ledger(database_url)
    assert books["bank"] == books["bank.unallocated"] == 20_000 - 700
    assert len(shop.bank.entries(state=None)) == 3
    assert len(shop.bank.entries()) == 2


def test_one_reference_with_two_contents_is_told(shop: Shop) -> None:
    imported(shop, Booking([Payment("100.00")], reference="R1"))
    report = shop.bank.import_file(statement([Booking([Payment("101.00")], reference="R1")]))
    assert (report.added, report.known) == (0, 0)
    assert "other contents" in report.bad[0].message


def test_a_broken_file_stores_nothing(shop: Shop) -> None:
    with pytest.raises(BankFileError):
        shop.bank.import_file(statement([Booking([Payment("1.00")])] * 3)[:-60])
    assert shop.bank.entries(state=None) == []


def test_what_a_booking_may_be_for(shop: Shop, meter: Meter) -> None:
    vendor = shop.vendors.add("Corner Shop")
    other = shop.add_meter(NewMeter(make_drn("07", "00000077"), customer="Kay Roe"))
    reference = shop.vendors.reference(vendor.vendor_id)
    entries = imported(
        shop,
        Booking([Payment("100.00", f"prepaid {meter.number[:5]} {meter.number[5:]}")]),
        Booking([Payment("100.00", f"{reference} top up")]),
        Booking([Payment("100.00", "thanks", name="Kay Roe")]),
        Booking([Payment("100.00", f"{meter.number} and {other.number}")]),
        Booking([Payment("100.00", "nothing to be known", name="X")]),
    )
    found = [[(each.kind, each.score) for each in entry.proposals] for entry in entries]
    assert found == [
        [("meter", 95)],
        [("vendor", 95)],
        [("meter", 40)],
        [("meter", 47), ("meter", 47)],
        [],
    ]
    assert entries[0].proposals[0].meter == meter.number


def test_nothing_is_vended_before_a_review(shop: Shop, meter: Meter, database_url: str) -> None:
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    assert list(shop.bank.settle(operator="boss")) == []
    with pytest.raises(ReservedClientError):
        shop.vend(VendRequest("bank", f"entry-{entry.entry_id}-1", meter.number, 10_000))
    assert scalar(database_url, "SELECT count(*) FROM receipts") == 0


def test_an_accepted_transfer_is_vended_once(shop: Shop, meter: Meter, database_url: str) -> None:
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    shop.bank.accept(entry.entry_id, operator="boss")
    assert shop.bank.waiting() == 1
    (settled,) = shop.bank.settle(operator="boss")
    assert (settled.outcome, settled.meter, settled.amount_minor) == ("done", meter.number, 10_000)
    assert len(settled.tokens[0]) == 20
    assert list(shop.bank.settle(operator="boss")) == []
    with pytest.raises(BankReviewError, match="settled already"):
        shop.bank.accept(entry.entry_id, operator="boss")
    books = ledger(database_url)
    assert books["bank"] == 10_000
    assert books["bank.unallocated"] == 0
    assert books["tender.bank"] == 0
    later = imported(shop, Booking([Payment("50.00", "again")], reference="R7"))
    assert [(each.kind, each.score) for each in later[0].proposals] == [("meter", 70)]


def test_what_was_settled_is_refunded_not_reversed(
    shop: Shop, meter: Meter, database_url: str
) -> None:
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    shop.bank.accept(entry.entry_id, operator="boss")
    (settled,) = shop.bank.settle(operator="boss")
    assert scalar(database_url, "SELECT count(*) FROM prints") == 1
    reversal = shop.advice.reverse(
        ReversalRequest("till", "r", f"entry-{entry.entry_id}-1", "bank")
    )
    assert reversal.fault is not None
    assert reversal.fault.code == "receipt_printed"
    assert settled.receipt_no is not None
    shop.advice.refund(RefundRequest("till", "f", settled.receipt_no, "x")).require_done()


def test_a_review_is_a_persons_and_can_be_changed(shop: Shop, meter: Meter) -> None:
    other = shop.add_meter(NewMeter(make_drn("07", "00000077")))
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    with pytest.raises(BankReviewError, match="person"):
        shop.bank.accept(entry.entry_id)
    shop.bank.accept(entry.entry_id, operator="boss")
    with pytest.raises(BankReviewError, match="why"):
        shop.bank.reject(entry.entry_id, note=" ", operator="boss")
    shop.bank.reject(entry.entry_id, note="not ours", operator="boss")
    assert list(shop.bank.settle()) == []
    with pytest.raises(UnknownMeterError):
        shop.bank.accept(entry.entry_id, meter=make_drn("07", "00000555"), operator="boss")
    changed = shop.bank.accept(entry.entry_id, meter=other.number, note="phoned", operator="boss")
    assert changed.attempt == 3
    (settled,) = shop.bank.settle(operator="boss")
    assert settled.meter == other.number
    with pytest.raises(UnknownBankEntryError):
        shop.bank.entry(99)


def test_what_failed_is_reviewed_again(shop: Shop, meter: Meter) -> None:
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    shop.block_meter(meter.number, "debt")
    shop.bank.accept(entry.entry_id, operator="boss")
    (failed,) = shop.bank.settle(operator="boss")
    assert (failed.outcome, failed.fault) == ("failed", "meter_blocked")
    assert [each.entry_id for each in shop.bank.entries(state="failed")] == [entry.entry_id]
    shop.unblock_meter(meter.number)
    assert shop.bank.accept(entry.entry_id, operator="boss").message_id == "entry-1-2"
    (settled,) = shop.bank.settle(operator="boss")
    assert settled.outcome == "done"


def test_a_booking_that_cannot_be_settled_does_not_stop_the_others(
    shop: Shop, meter: Meter
) -> None:
    """Its id was taken, as a version before this one let anybody do."""
    entries = imported(
        shop,
        Booking([Payment("100.00", meter.number)]),
        Booking([Payment("120.00", meter.number)]),
    )
    for entry in entries:
        shop.bank.accept(entry.entry_id, operator="boss")
    taken = VendRequest("bank", f"entry-{entries[0].entry_id}-1", meter.number, 1, Tender.BANK)
    assert shop._vend_for_bank(taken).fault is not None
    ended = [(each.outcome, each.fault) for each in shop.bank.settle(operator="boss")]
    assert ended == [("failed", "message_conflict"), ("done", "")]
    shop.bank.accept(entries[0].entry_id, operator="boss")
    assert [each.outcome for each in shop.bank.settle(operator="boss")] == ["done"]
    assert shop.statement().agrees


def test_a_vendors_transfer_is_credit(shop: Shop, database_url: str) -> None:
    vendor = shop.vendors.add("Corner Shop")
    reference = shop.vendors.reference(vendor.vendor_id)
    (entry,) = imported(shop, Booking([Payment("500.00", reference)]))
    shop.bank.accept(entry.entry_id, operator="boss")
    (settled,) = shop.bank.settle(operator="boss")
    assert settled.outcome == "done"
    assert shop.vendors.credit(vendor.vendor_id).available_minor == 50_000
    books = ledger(database_url)
    assert (books[f"vendor.{vendor.vendor_id}"], books["bank.unallocated"]) == (50_000, 0)
    made = shop.vendors.statement(vendor.vendor_id)
    assert (made.total("top_ups_minor"), made.agrees) == (50_000, True)


def test_a_deposit_arrives_once(shop: Shop, database_url: str) -> None:
    batch = shop.batches.open(BatchKind.BANK, operator="boss")
    slips = [
        shop.batches.deposit(
            batch.batch_id,
            number=number,
            bank_account=ACCOUNT,
            amount_minor=30_000,
            tender=Tender.CASH,
            operator="boss",
        )
        for number in ("S-1001", "S-1002")
    ]
    entries = imported(
        shop,
        Booking([Payment("300.00", "CASH DEP S-1002")]),
        Booking([Payment("300.00", "CASH DEP")], day="2026-11-21"),
        Booking([Payment("301.00", "CASH DEP")]),
    )
    assert [(each.score, each.slip_id) for each in entries[0].proposals] == [
        (100, slips[1].slip_id),
        (60, slips[0].slip_id),
    ]
    shop.bank.accept(entries[0].entry_id, operator="boss")
    with pytest.raises(BankReviewError, match="arrived already"):
        shop.bank.accept(entries[1].entry_id, slip_id=slips[1].slip_id, operator="boss")
    with pytest.raises(BankReviewError, match="another amount"):
        shop.bank.accept(entries[2].entry_id, slip_id=slips[0].slip_id, operator="boss")
    assert [each.outcome for each in shop.bank.settle(operator="boss")] == ["done"]
    books = ledger(database_url)
    assert books["bank.in_transit"] == 30_000
    assert books["bank.unallocated"] == 60_100


def test_a_bulk_vend_that_is_killed_goes_on(database_url: str) -> None:
    with Shop.open(database_url) as shop:
        numbers = [make_drn("07", f"{serial:08d}") for serial in range(1, 41)]
        for number in numbers:
            shop.add_meter(NewMeter(number))
        entries = imported(shop, *(Booking([Payment("100.00", number)]) for number in numbers))
        for entry in entries:
            shop.bank.accept(entry.entry_id, operator="boss")
    done = 0
    for lines_before_the_kill in (3, 7, 11):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cash.settle", database_url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(lines_before_the_kill):
            assert process.stdout.readline().endswith(b"done\n")
        process.kill()
        process.communicate()
        done += lines_before_the_kill
    with Shop.open(database_url) as shop:
        rest = list(shop.bank.settle(operator="boss"))
        assert {each.outcome for each in rest} == {"done"}
        assert len(rest) <= len(numbers) - done
        assert shop.bank.waiting() == 0
        assert shop.statement().sales == len(numbers)
        assert shop.statement().agrees
    assert scalar(database_url, "SELECT count(DISTINCT meter_id) FROM receipts") == len(numbers)
    books = ledger(database_url)
    assert (books["bank.unallocated"], books["tender.bank"]) == (0, 0)


@pytest.mark.parametrize(
    "statement_",
    [
        "UPDATE bank_entries SET amount_minor = 1",
        "DELETE FROM bank_entries",
        (
            "UPDATE bank_reviews SET state = 'done', transaction_id = 1, receipt_no = 1, "
            "settled_at = reviewed_at"
        ),
        "UPDATE bank_reviews SET state = 'failed', fault = 'x', settled_at = reviewed_at",
        "UPDATE bank_reviews SET reviewed_by = 'eve'",
        "DELETE FROM bank_reviews",
        (
            "INSERT INTO bank_reviews (entry_id, attempt, kind, meter, message_id, note, "
            "reviewed_by, reviewed_at, state) SELECT entry_id, 2, kind, meter, 'entry-1-2', note, "
            "reviewed_by, reviewed_at, 'waiting' FROM bank_reviews"
        ),
    ],
)
def test_the_database_holds_the_reviews(
    shop: Shop, meter: Meter, database_url: str, statement_: str
) -> None:
    (entry,) = imported(shop, Booking([Payment("100.00", meter.number)]))
    shop.bank.accept(entry.entry_id, operator="boss")
    engine = open_engine(database_url)
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(text(statement_))
    engine.dispose()
