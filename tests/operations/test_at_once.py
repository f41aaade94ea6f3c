"""Several ask at once: one reversal, never both a print and a reversal, one month's units."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.operations.asking import sell
from vending import (
    CounterRules,
    FreeBasicRequest,
    Meter,
    NewMeter,
    Outcome,
    ReversalRequest,
    Shop,
    VendResult,
)
from vending.shop.faults import SaleReversedError

TILLS = 6


def at_once(jobs: list[Callable[[], VendResult | bool]]) -> list[VendResult | bool]:
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def test_of_many_reversals_of_a_sale_one_is_done(shop: Shop, meter: Meter) -> None:
    sell(shop, meter.number, "s")

    def reverse(number: int) -> VendResult:
        return shop.advice.reverse(ReversalRequest("kiosk", f"r{number}", "s"))

    results = at_once([lambda n=number: reverse(n) for number in range(TILLS)])  # type: ignore[misc]
    done = [result for result in results if getattr(result, "outcome", None) is Outcome.DONE]
    assert len(done) == 1
    assert shop.statement().agrees
    assert shop.statement().taken_minor == 0


def test_a_sale_is_never_both_printed_and_reversed(shop: Shop, meter: Meter) -> None:
    for number in range(TILLS):
        receipt = sell(shop, meter.number, f"s{number}")

        def show(receipt_no: int = receipt.receipt_no) -> bool:
            try:
                shop.printed(receipt_no)
            except SaleReversedError:
                return False
            return True

        def reverse(message_id: str = f"s{number}") -> VendResult:
            return shop.advice.reverse(ReversalRequest("kiosk", f"r-{message_id}", message_id))

        shown, reversal = at_once([show, reverse])
        assert isinstance(reversal, VendResult)
        assert shown != (reversal.outcome is Outcome.DONE)


def test_the_months_free_units_are_given_once_for_a_service_point(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    shop.rules.set(CounterRules(free_basic_units=500, double_sale_window_s=0))
    meters = [shop.add_meter(NewMeter(new_number(), service_point="stand 1")) for _ in range(3)]

    def ask(number: str, message_id: str) -> VendResult:
        return shop.giving.free_basic(FreeBasicRequest("till", message_id, number))

    results = at_once(
        [
            lambda n=meter.number, i=f"f{index}": ask(n, i)  # type: ignore[misc]
            for index, meter in enumerate(meters)
        ]
    )
    outcomes = [getattr(result, "outcome", None) for result in results]
    assert outcomes.count(Outcome.DONE) == 1
    assert shop.statement().free_units == 500
