"""Two who close one shift; sales that race its count: no receipt is lost or counted twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.cash.books import ledger, scalar
from vending import NewMeter, Outcome, Shop, VendRequest
from vending.cash.faults import BatchStateError
from vending.cash.reckoning import Count
from vending.sts import make_drn


def test_two_close_the_same_shift(database_url: str) -> None:
    with Shop.open(database_url) as one, Shop.open(database_url) as two:
        shift = one.shifts.open(operator="ann", terminal="1", float_minor=500)
        barrier = threading.Barrier(2)

        def close(shop: Shop, cash: int) -> bytes | str:
            barrier.wait()
            try:
                shop.shifts.count(shift.batch_id, Count({"cash": cash}), operator="ann")
                reasons = {"cash": "who knows"}
                return shop.shifts.close(shift.batch_id, reasons, operator="ann").document
            except BatchStateError as fault:
                return fault.code

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(close, (one, two), (500, 600)))
        documents = {answer for answer in answers if isinstance(answer, bytes)}
        assert len(documents) == 1
        assert one.shifts.report(shift.batch_id).document in documents
    assert scalar(database_url, "SELECT count(*) FROM batch_differences") == 1
    books = ledger(database_url)
    assert books["cash.float"] == 0
    assert books["tender.cash"] == books.get("cash.over_short", 0)


def test_a_sale_that_races_the_count_is_in_the_shift_or_in_none(database_url: str) -> None:
    numbers = [make_drn("07", f"{serial:08d}") for serial in range(1, 5)]
    with Shop.open(database_url) as shop:
        for number in numbers:
            shop.add_meter(NewMeter(number))
    sold: list[int] = []
    reports: list[int] = []

    def sell(number: str) -> None:
        with Shop.open(database_url) as till:
            for count in range(6):
                request = VendRequest(
                    number, str(count), number, 5_000 + count, operator="ann", terminal="1"
                )
                result = till.vend(request)
                assert result.outcome is Outcome.DONE
                sold.append(result.require_done().receipt_no)

    def count_and_close() -> None:
        with Shop.open(database_url) as desk:
            for _ in range(4):
                shift = desk.shifts.open(operator="ann", terminal="1")
                desk.shifts.count(shift.batch_id, Count({"cash": 0}), operator="ann")
                why = {"cash": "blind"}
                report = desk.shifts.close(shift.batch_id, why, operator="ann").data()
                reports.append(report["receipts"]["number"])
                taken = report["tenders"][0]["taken_minor"]
                paid = scalar(
                    database_url,
                    "SELECT coalesce(sum(tendered_minor - change_minor), 0) FROM receipts "
                    f"WHERE shift_id = {shift.batch_id}",
                )
                assert taken == paid

    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        jobs = [pool.submit(sell, number) for number in numbers]
        jobs.append(pool.submit(count_and_close))
        for job in jobs:
            job.result()
    inside = scalar(database_url, "SELECT count(*) FROM receipts WHERE shift_id IS NOT NULL")
    assert sum(reports) == inside
    assert len(set(sold)) == scalar(database_url, "SELECT count(*) FROM receipts") == 24
