"""A table of meters is registered wholly, or every bad line is told of."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vending import Meter, NewMeter, Shop
from vending.shop.faults import MeterTableError
from vending.shop.meter_import import COLUMNS
from vending.sts import make_drn

HEAD = "number,customer,location,ea,sgc,krn,kt,ti,base_year,ken,minimum,maximum\n"


def number(serial: int) -> str:
    return make_drn("07", f"{serial:08d}")


def table(*lines: str, head: str = HEAD) -> StringIO:
    return StringIO(head + "".join(f"{line}\n" for line in lines), newline="")


def test_every_column_is_kept(shop: Shop) -> None:
    head = ",".join(COLUMNS) + "\n"
    cells = {
        "number": number(1),
        "customer": '"Müller, Anna"',
        "location": "Block 4",
        "account": "A-1",
        "id_number": "8001015009087",
        "service_point": "SP 7",
        "resource": "water",
        "sgc": "123457",
        "ti": "05",
        "ea": "7",
        "krn": "2",
        "kt": "2",
        "base_year": "2014",
        "ken": "200",
        "minimum": "10",
        "maximum": "500.50",
    }
    report = shop.import_meters(table(",".join(cells[name] for name in COLUMNS), head=head))
    assert (report.lines, report.added, report.there, report.bad) == (1, 1, 0, ())
    assert report.done
    meter = shop.meter(number(1))
    assert meter.customer == "Müller, Anna"
    assert (meter.account, meter.service_point, meter.resource) == ("A-1", "SP 7", "water")
    assert (int(meter.algorithm), meter.key.krn, meter.key.tariff_index) == (7, 2, "05")
    assert (meter.minimum_minor, meter.maximum_minor, meter.key.ken) == (1_000, 50_050, 200)


def test_an_import_that_is_run_again_leaves_alone_what_is_there(shop: Shop) -> None:
    lines = [f"{number(n)},Customer {n},,,,,,,,,," for n in range(1, 8)]
    assert shop.import_meters(table(*lines[:3])).added == 3
    again = shop.import_meters(table(*lines))
    assert (again.added, again.there, again.bad) == (4, 3, ())
    assert len(shop.meters()) == 7


def test_every_bad_line_is_told_of_and_nothing_is_registered(shop: Shop, meter: Meter) -> None:
    good = number(50)
    typo = good[:-1] + str((int(good[-1]) + 1) % 10)
    report = shop.import_meters(
        table(
            f"{good},Good,,,,,,,,,,",  # line 2
            f"{typo},Typo,,,,,,,,,,",
            f"{good},Twice,,,,,,,,,,",
            f"{number(51)},SGC,,,12345x,,,,,,,",
            f"{number(52)},No key,,,999999,,,,,,,",
            f"{number(53)},KRN,,,,0,,,,,,",
            f"{number(54)},Word,,eleven,,,,,,,,",
            f"{number(55)},Fields",
            f"{meter.number},Other name,,,,,,,,,,",
            f"{number(56)},Money,,,,,,,,,1.005,",
            f"{number(57)},Limits,,,,,,,,,10,5",
            ",No number,,,,,,,,,,",
        )
    )
    assert report.added == 0
    assert not report.done
    assert [(each.line, each.code) for each in report.bad] == [
        (3, "check_digit"),
        (4, "meter_table"),
        (5, "invalid_value"),
        (6, "supply_group_not_authorised"),
        (7, "invalid_value"),
        (8, "meter_table"),
        (9, "meter_table"),
        (10, "meter_exists"),
        (11, "amount_format"),
        (12, "invalid_setting"),
        (13, "invalid_value"),
    ]
    assert len(shop.meters()) == 1


def test_good_lines_are_registered_when_bad_ones_may_be_left_out(shop: Shop) -> None:
    lines = [f"{number(1)},A,,,,,,,,,,", "123,B,,,,,,,,,,", "", f"{number(2)},C,,,,,,,,,,"]
    dry = shop.import_meters(table(*lines), skip_bad=True, dry_run=True)
    assert (dry.added, len(dry.bad), dry.done) == (0, 1, False)
    assert shop.meters() == []
    report = shop.import_meters(table(*lines), skip_bad=True)
    assert (report.lines, report.added, len(report.bad)) == (3, 2, 1)


@pytest.mark.parametrize(
    "text",
    ["", "customer\nx\n", "number,number\n", "number,colour\n1,red\n", 'number\n"open\n'],
)
def test_what_is_no_table_of_meters_is_refused(shop: Shop, text: str) -> None:
    with pytest.raises(MeterTableError):
        shop.import_meters(StringIO(text, newline=""))


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_heading(shop: Shop) -> None:
    assert shop.import_meters(StringIO(f"\ufeffNumber\r\n{number(1)}\r\n", newline="")).added == 1


def test_many_chunks_are_one_import(shop: Shop) -> None:
    told: list[int] = []
    lines = [f"{number(n)},,,,,,,,,,," for n in range(1_200)]
    report = shop.import_meters(table(*lines), progress=told.append)
    assert report.added == 1_200
    assert told == sorted(told)
    assert told[-1] == 2_400


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_garbage_never_gets_past_the_report(
    shop: Shop, new_number: Callable[[], str], lines: list[str]
) -> None:
    before = len(shop.meters())
    good = NewMeter(new_number()).number
    try:
        report = shop.import_meters(StringIO("number\n" + "\n".join([good, *lines]), newline=""))
    except MeterTableError:
        added = 0
    else:
        added = report.added
        assert report.bad or report.lines == added + report.there
    assert len(shop.meters()) == before + added
