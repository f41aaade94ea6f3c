"""Look-ups: who it is, whether it can be sold to, what is due."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.operations.asking import sell
from tests.shop.databases import START
from vending import Meter, NewMeter, Shop
from vending.shop.faults import RequestFormatError, UnknownMeterError
from vending.sts import CheckDigitError


def test_a_meter_is_found_by_everything_that_names_it(
    shop: Shop, new_number: Callable[[], str]
) -> None:
    first = shop.add_meter(
        NewMeter(
            new_number(),
            customer="Thandi 100% Mokoena",
            location="Plot 7, Acacia_Road",
            account="AC-77",
            id_number="8001015009087",
        )
    )
    second = shop.add_meter(NewMeter(new_number(), customer="Piet Mokoena", account="AC-78"))
    shop.block_meter(second.number, "debt")

    def numbers(text: str) -> list[str]:
        return [found.number for found in shop.lookup.find(text)]

    dashed = f"{first.number[:4]}-{first.number[4:]}"
    for text in (first.number, dashed, "AC-77", "8001015009087", "thandi", "acacia_", "100%"):
        assert numbers(text) == [first.number], text
    assert numbers("mokoena") == sorted([first.number, second.number])
    assert len(shop.lookup.find("mokoena", limit=1)) == 1
    for text in ("a_c", "%%", "nobody", "8001"):
        assert numbers(text) == []
    (found,) = shop.lookup.find("AC-78")
    assert (found.customer, found.is_blocked) == ("Piet Mokoena", True)
    assert "8001015009087" not in repr(shop.meter(first.number))
    for wrong in ("", "x", " x "):
        with pytest.raises(RequestFormatError):
            shop.lookup.find(wrong)
    for limit in (0, 101):
        with pytest.raises(RequestFormatError):
            shop.lookup.find("mokoena", limit=limit)


def test_a_standing_says_whether_a_sale_would_be_refused(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    standing = shop.lookup.confirm_meter(meter.number)
    assert (standing.can_vend, standing.why_not, standing.last_purchase) == (True, None, None)
    assert (standing.minimum_minor, standing.maximum_minor) == (500, 10_000_00)
    assert standing.debts == ()
    receipt = sell(shop, meter.number, "1")
    last = shop.lookup.confirm_meter(meter.number).last_purchase
    assert last is not None
    assert (last.receipt_no, last.at, last.tendered_minor) == (receipt.receipt_no, START, 10_000)
    shop.block_meter(meter.number, "debt")
    blocked = shop.lookup.confirm_meter(meter.number)
    assert blocked.why_not is not None
    assert (blocked.can_vend, blocked.why_not.code) == (False, "meter_blocked")
    old = shop.lookup.confirm_meter(shop.add_meter(NewMeter(new_number(), base_year=1993)).number)
    assert old.why_not is not None
    assert old.why_not.code == "key_change_required"
    assert old.key.base_date_ended
    with pytest.raises(UnknownMeterError):
        shop.lookup.confirm_meter(new_number())
    wrong = meter.number[:-1] + str((int(meter.number[-1]) + 1) % 10)
    with pytest.raises(CheckDigitError):
        shop.lookup.confirm_meter(wrong)
