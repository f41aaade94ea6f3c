"""Sales by units, of four resources, within each meter's own limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.operations.asking import code_of, sell
from vending import Meter, NewMeter, PublicTestKeys, Shop, VendRequest
from vending.shop.faults import InvalidSettingError, RequestFormatError
from vending.sts import Service, TransferCredit

KEYS = PublicTestKeys()


def test_so_many_units_cost_what_is_due(shop: Shop, meter: Meter) -> None:
    offered = shop.trial_request(VendRequest("t", "t", meter.number, units=347))
    receipt = sell(shop, meter.number, "1", None, units=347)
    assert receipt.payment is not None
    assert receipt.units == 347
    assert receipt.payment.tendered_minor == offered.quote.tendered_minor == 9_977
    assert receipt.payment.change_minor == 0


def test_more_than_is_due_is_change_and_less_is_refused(shop: Shop, meter: Meter) -> None:
    receipt = sell(shop, meter.number, "1", 10_000, units=347)
    assert receipt.payment is not None
    assert (receipt.units, receipt.payment.change_minor) == (347, 23)
    assert sum(line.amount_minor for line in receipt.payment.lines) == 10_000
    less = shop.vend(VendRequest("kiosk", "2", meter.number, 9_976, units=347))
    assert code_of(less) == "below_minimum"
    assert shop.statement().agrees


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(units=st.integers(18, 3_000))  # 17 units cost less than the shop's smallest sale
def test_what_is_due_for_units_buys_them_and_a_minor_unit_less_does_not(
    shop: Shop, meter: Meter, units: int
) -> None:
    quote = shop.trial_request(VendRequest("t", "t", meter.number, units=units)).quote
    assert quote.units >= units
    assert shop.trial_vend(meter.number, quote.tendered_minor).quote.units == quote.units
    if quote.tendered_minor > 500:
        assert shop.trial_vend(meter.number, quote.tendered_minor - 1).quote.units < units


def test_a_sale_without_amount_and_units_is_no_request(meter: Meter) -> None:
    with pytest.raises(RequestFormatError):
        VendRequest("kiosk", "1", meter.number)
    for units in (0, -1, True, "1", 18_201_625):
        with pytest.raises(RequestFormatError):
            VendRequest("kiosk", "1", meter.number, units=units)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("resource", "service"),
    [
        ("electricity", Service.ELECTRICITY),
        ("water", Service.WATER),
        ("gas", Service.GAS),
        ("time", Service.TIME),
    ],
)
def test_each_resource_has_its_own_token(
    shop: Shop, new_number: Callable[[], str], resource: str, service: Service
) -> None:
    meter = shop.add_meter(NewMeter(new_number(), resource=resource))
    receipt = sell(shop, meter.number, "1")
    content = KEYS.read_token(receipt.token, meter.attributes()).content
    assert isinstance(content, TransferCredit)
    assert (content.service, content.amount) == (service, receipt.units)
    assert receipt.meter.resource == resource
    statement = shop.statement()
    assert statement.agrees
    assert statement.energy_wh == (receipt.units * 100 if resource == "electricity" else 0)


def test_a_meter_may_have_limits_of_its_own(shop: Shop, new_number: Callable[[], str]) -> None:
    meter = shop.add_meter(NewMeter(new_number(), minimum_minor=2_000, maximum_minor=3_000))
    low = shop.vend(VendRequest("kiosk", "1", meter.number, 1_999))
    high = shop.vend(VendRequest("kiosk", "2", meter.number, 3_001))
    assert (code_of(low), code_of(high)) == ("below_minimum", "above_maximum")
    sell(shop, meter.number, "3", 2_500)
    standing = shop.lookup.confirm_meter(meter.number)
    assert (standing.minimum_minor, standing.maximum_minor) == (2_000, 3_000)
    shop.set_meter_limits(meter.number, None, 2_400)
    again = shop.lookup.confirm_meter(meter.number)
    assert (again.minimum_minor, again.maximum_minor) == (500, 2_400)
    assert code_of(shop.vend(VendRequest("kiosk", "4", meter.number, 2_500))) == "above_maximum"
    for least, most in ((0, None), (2, 1)):
        with pytest.raises(InvalidSettingError):
            shop.add_meter(NewMeter(new_number(), minimum_minor=least, maximum_minor=most))
    with pytest.raises(InvalidSettingError, match="electricity, water, gas, time"):
        shop.add_meter(NewMeter(new_number(), resource="steam"))
