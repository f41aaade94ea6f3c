"""A drawer's day: float, sales, blind count, close; batches and deposit slips above it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.cash.books import ledger
from tests.cash.conftest import Sell
from vending import Shop, Tender
from vending.cash.batch_text import batch_text
from vending.cash.batches import Batch, BatchKind, BatchState
from vending.cash.faults import (
    BatchCannotCloseError,
    BatchKindError,
    BatchStateError,
    CountError,
    DepositSlipConflictError,
    DifferenceReasonError,
    NoShiftError,
    ShiftOpenError,
    UnknownBatchError,
)
from vending.cash.reckoning import Count
from vending.shop.faults import RequestFormatError
from vending.shop.requests import canonical_json

AT = "'2026-01-01T00:00:00.000000Z'"


def opened(shop: Shop, operator: str = "ann", terminal: str = "1", float_minor: int = 0) -> Batch:
    """A shift that has begun."""
    return shop.shifts.open(operator=operator, terminal=terminal, float_minor=float_minor)


def closed_shift(shop: Shop, sell: Sell, *amounts: int, operator: str = "ann") -> int:
    """A shift with these sales, counted as expected."""
    shift = shop.shifts.open(operator=operator, terminal="1")
    taken = 0
    for amount in amounts:
        payment = sell(amount, operator=operator).payment
        assert payment is not None
        taken += amount - payment.change_minor
    shop.shifts.count(shift.batch_id, Count({"cash": taken}), operator=operator)
    shop.shifts.close(shift.batch_id, operator=operator)
    return shift.batch_id


def test_a_shift_from_float_to_close(shop: Shop, sell: Sell, database_url: str) -> None:
    shift = opened(shop, float_minor=5_000)
    cash = sell(10_000)
    sell(20_000, Tender.CARD)
    assert cash.payment is not None
    taken = 10_000 - cash.payment.change_minor
    reckoned = shop.shifts.count(
        shift.batch_id, Count({"cash": taken + 5_000 - 250, "card": 20_000}), operator="ann"
    )
    of = {each.tender: each for each in reckoned}
    assert of["card"].difference_minor == 0
    with pytest.raises(DifferenceReasonError, match=r"cash .* short"):
        shop.shifts.close(shift.batch_id, operator="ann")
    closed = shop.shifts.close(shift.batch_id, {"cash": "a note blew away"}, operator="ann")
    report = closed.data()
    cash_line = report["tenders"][0]
    assert cash_line["difference_minor"] == of["cash"].difference_minor
    assert cash_line["reason"] == "a note blew away"
    assert report["receipts"]["number"] == 2
    books = ledger(database_url)
    assert books["cash.float"] == 0
    assert books["cash.over_short"] == cash_line["difference_minor"]
    assert books["tender.cash"] == cash_line["counted_minor"] - 5_000
    assert books["tender.card"] == 20_000


def test_a_closed_report_is_the_same_bytes_for_ever(shop: Shop, sell: Sell) -> None:
    shift_id = closed_shift(shop, sell, 10_000)
    original = shop.shifts.report(shift_id)
    assert canonical_json(json.loads(original.document)) == original.document
    copies = [shop.shifts.reprint(shift_id, operator="bob") for _ in range(2)]
    assert [copy.copy_no for copy in copies] == [1, 2]
    assert {copy.document for copy in copies} == {original.document}
    paper = batch_text(copies[1].data(), copies[1].copy_no)
    assert "COPY 2" in paper
    assert all(len(line) <= 48 for line in paper.splitlines())
    assert "COPY" not in batch_text(original.data())
    assert shop.shifts.close(shift_id, operator="ann").document == original.document


def test_nothing_is_expected_aloud_before_the_count(shop: Shop, sell: Sell) -> None:
    shift = opened(shop)
    sell()
    with pytest.raises(BatchStateError, match="is open"):
        shop.shifts.close(shift.batch_id, operator="ann")
    with pytest.raises(BatchStateError):
        shop.shifts.reprint(shift.batch_id)


def test_after_the_count_sales_are_outside_of_the_shift(shop: Shop, sell: Sell) -> None:
    shift = opened(shop)
    shop.shifts.count(shift.batch_id, Count({"cash": 0}), operator="ann")
    sell()
    assert shop.shifts.expected(shift.batch_id)[0].expected_minor == 0


def test_the_same_count_again_is_no_second_count(shop: Shop, sell: Sell) -> None:
    shift = opened(shop)
    sell()
    first = shop.shifts.count(shift.batch_id, Count({"cash": 1}), operator="ann")
    assert shop.shifts.count(shift.batch_id, Count({"cash": 1}), operator="ann") == first
    shop.shifts.count(shift.batch_id, Count({"cash": 2}), operator="boss")
    report = shop.shifts.close(shift.batch_id, {"cash": "counted twice"}, operator="boss").data()
    assert [count["amounts"] for count in report["counts"]] == [{"cash": 1}, {"cash": 2}]
    assert report["tenders"][0]["counted_minor"] == 2


def test_one_open_shift_for_an_operator_at_a_terminal(shop: Shop) -> None:
    shift = opened(shop)
    with pytest.raises(ShiftOpenError, match=str(shift.batch_id)):
        opened(shop)
    shop.shifts.open(operator="bob", terminal="1")
    shop.shifts.open(operator="ann", terminal="2")
    assert shop.shifts.current(operator="ann", terminal="1") == shift
    with pytest.raises(NoShiftError):
        shop.shifts.current(operator="cid", terminal="1")
    assert len(shop.shifts.recent(state=BatchState.OPEN)) == 3


def test_cash_needs_a_shift_where_the_house_wants_one(shop: Shop, sell: Sell) -> None:
    shop.shifts.require_shifts(True, operator="boss")
    assert shop.shifts.required()
    with pytest.raises(NoShiftError, match="shift open"):
        sell()
    sell(tender=Tender.CARD)
    opened(shop)
    sell()
    shop.shifts.require_shifts(False)
    sell(operator="bob")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Count({}),
        lambda: Count({"card": 5}),
        lambda: Count({"cash": -1}),
        lambda: Count({"cash": 0, "shells": 4}),
        lambda: Count({"cash": 300}, {100: 2}),
        lambda: Count({"cash": 0}, {100: 0}),
        lambda: Count.of_pieces({0: 3}),
        lambda: Count({"cash": 10**16}),
        lambda: Count({"cash": True}),
    ],
)
def test_a_count_that_cannot_be_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(CountError):
        make()


def test_notes_and_coins_are_kept(shop: Shop) -> None:
    shift = opened(shop)
    count = Count.of_pieces({20_000: 1, 50: 3}, {"card": 0})
    assert count.amounts["cash"] == 20_150
    shop.shifts.count(shift.batch_id, count, operator="ann")
    closed = shop.shifts.close(shift.batch_id, {"cash": "gift"}, operator="ann")
    assert closed.data()["counts"][0]["pieces"] == [
        {"face_minor": 20_000, "pieces": 1},
        {"face_minor": 50, "pieces": 3},
    ]
    assert "3 x 0.50" in batch_text(closed.data())


def test_wrong_values_are_refused(shop: Shop) -> None:
    with pytest.raises(RequestFormatError):
        shop.shifts.open(operator="", terminal="1")
    with pytest.raises(RequestFormatError):
        opened(shop, float_minor=-1)
    with pytest.raises(UnknownBatchError):
        shop.shifts.shift(99)
    with pytest.raises(BatchKindError):
        shop.batches.open(BatchKind.SHIFT)


def test_money_walks_from_the_drawer_to_the_bank(shop: Shop, sell: Sell, database_url: str) -> None:
    shifts = [closed_shift(shop, sell, 10_000, 7_000), closed_shift(shop, sell, 5_000)]
    sales = shop.batches.open(BatchKind.SALES, site="Main Road", operator="boss")
    for shift_id in shifts:
        shop.batches.collect(sales.batch_id, shift_id, operator="boss")
    bank = shop.batches.open(BatchKind.BANK, operator="boss")
    shop.batches.collect(bank.batch_id, sales.batch_id, operator="boss")
    with pytest.raises(BatchCannotCloseError, match=f"{sales.batch_id} in it"):
        shop.batches.close(bank.batch_id, operator="boss")
    totals = shop.batches.close(sales.batch_id, operator="boss").data()
    taken = totals["taken"]["cash"]
    assert taken == ledger(database_url)["tender.cash"]
    slip = {
        "number": "S-1",
        "bank_account": "ZA-1",
        "amount_minor": taken - 100,
        "operator": "boss",
    }
    written = shop.batches.deposit(bank.batch_id, **slip)
    assert shop.batches.deposit(bank.batch_id, **slip) == written
    with pytest.raises(DepositSlipConflictError):
        shop.batches.deposit(bank.batch_id, **{**slip, "amount_minor": 5})
    with pytest.raises(DifferenceReasonError, match=r"cash 1\.00"):
        shop.batches.close(bank.batch_id, operator="boss")
    closed = shop.batches.close(bank.batch_id, {"cash": "kept as float"}, operator="boss")
    assert closed.data()["deposits"] == [
        {
            "tender": "cash",
            "there_minor": taken,
            "deposited_minor": taken - 100,
            "left_minor": 100,
            "reason": "kept as float",
        }
    ]
    assert all(len(line) <= 48 for line in batch_text(closed.data()).splitlines())
    books = ledger(database_url)
    assert (books["tender.cash"], books["bank.in_transit"]) == (100, taken - 100)
    assert shop.statement().agrees
    with pytest.raises(BatchStateError):
        shop.batches.deposit(bank.batch_id, **{**slip, "number": "S-2"})


def test_a_batch_does_not_close_before_its_shifts(shop: Shop) -> None:
    shift = opened(shop)
    sales = shop.batches.open(BatchKind.SALES)
    with pytest.raises(BatchCannotCloseError, match="nothing"):
        shop.batches.close(sales.batch_id)
    shop.batches.collect(sales.batch_id, shift.batch_id)
    with pytest.raises(BatchCannotCloseError):
        shop.batches.close(sales.batch_id)
    other = shop.batches.open(BatchKind.SALES)
    with pytest.raises(BatchKindError, match=f"in batch {sales.batch_id}"):
        shop.batches.collect(other.batch_id, shift.batch_id)
    bank = shop.batches.open(BatchKind.BANK)
    with pytest.raises(BatchKindError, match="shifts go into"):
        shop.batches.collect(bank.batch_id, shift.batch_id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE batches SET state = 'open'",
        "UPDATE batches SET closed_by = 'eve'",
        "UPDATE batches SET float_minor = 1",
        "DELETE FROM batches",
        "UPDATE batch_counts SET counted_minor = 1",
        "DELETE FROM batch_differences",
        "UPDATE batch_differences SET reason = 'x'",
        f"INSERT INTO batch_counts VALUES (1, 9, 'cash', 1, {AT}, 'eve')",
        f"INSERT INTO batch_members VALUES (1, 'shift', 1, 'bank', {AT}, '')",
        "DELETE FROM cash_settings",
        (
            "INSERT INTO batches (kind, site, terminal, operator, opened_at, float_minor, state, "
            f"closed_at, closed_by, report) VALUES ('bank', '', '', '', {AT}, 0, 'closed', {AT}, "
            "'eve', '')"
        ),
    ],
)
def test_the_database_holds_what_is_closed(
    shop: Shop, sell: Sell, database_url: str, statement: str
) -> None:
    assert closed_shift(shop, sell, 10_000) == 1
    engine = open_engine(database_url)
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE batches SET state = 'counted', counted_at = '2026-01-01T00:00:00.000000Z'",
        (
            "INSERT INTO batches (kind, site, terminal, operator, opened_at, float_minor, state) "
            f"VALUES ('shift', '', '1', 'ann', {AT}, 0, 'open')"
        ),
        "INSERT INTO batch_differences VALUES (1, 'cash', 0, 0, 0, '')",
        "INSERT INTO batch_copies VALUES (1, 1, '2026-01-01T00:00:00.000000Z', 'eve')",
    ],
)
def test_the_database_wants_the_count_first(shop: Shop, database_url: str, statement: str) -> None:
    assert opened(shop).batch_id == 1
    engine = open_engine(database_url)
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(text(statement))
    engine.dispose()
