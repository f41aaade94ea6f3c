from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645.errors import ValueFormatError
from protocols.dlt645.times import EVERY, MeterTime, time_layout
from protocols.dlt645.values import (
    NOT_A_TIME,
    NOT_ASCII,
    NOT_BCD,
    Element,
    NumberFormat,
    parse_element,
)

TIME_PATTERNS = ["YYMMDDWW", "hhmmss", "YYMMDDhhmm", "YYMMDDhhmmss", "MMDDhhmm", "DDhh", "MMDDNN",
                 "hhmmNN", "YYMMDDNN", "YYMMDDWWhhmmss", "hhmm"]  # fmt: skip


def element(spec: str) -> Element:
    """The one element of a specification."""
    (only,) = parse_element(spec)
    return only


@st.composite
def numbers(draw: st.DrawFn) -> tuple[NumberFormat, Decimal]:
    """A format and a number that fits it."""
    digits = 2 * draw(st.integers(1, 5))
    decimals = draw(st.integers(0, digits - 1))
    signed = draw(st.booleans())
    top = (8 if signed else 10) * 10 ** (digits - 1) - 1
    scaled = draw(st.integers(-top if signed else 0, top))
    return NumberFormat(digits, decimals, signed), Decimal(scaled).scaleb(-decimals)


@given(numbers())
def test_numbers_read_back(case: tuple[NumberFormat, Decimal]) -> None:
    form, number = case
    raw = form.encode(number)
    assert len(raw) == form.length
    assert form.decode(raw) == number
    assert form.parse(form.text(form.decode(raw))) == number


@pytest.mark.parametrize("wire", ["78563412", "78563492", "00000080"])
def test_a_programs_decimal_context_takes_no_digit_away(wire: str) -> None:
    form = NumberFormat(8, 2, signed=True)
    everywhere = form.decode(bytes.fromhex(wire))
    with localcontext() as context:
        context.prec = 3
        assert str(form.decode(bytes.fromhex(wire))) == str(everywhere)


@pytest.mark.parametrize(
    ("number", "text"),
    [("0E-7", "0.0000000"), ("1E+3", "1000"), ("0.0000012", "0.0000012"), ("-0.0012", "-0.0012")],
)
def test_a_number_is_written_out_whatever_its_exponent(number: str, text: str) -> None:
    assert NumberFormat(8, 2, signed=True).text(Decimal(number)) == text


@pytest.mark.parametrize(
    ("spec", "wire", "text"),
    [
        ("XXXXXX.XX kWh", "78563412", "123456.78"),
        ("±XXXXXX.XX kWh", "78563492", "-123456.78"),
        ("±XX.XXXX kW", "120025", "25.0012"),
        ("±XX.XXXX kW", "120080", "-0.0012"),
        ("±X.XXX", "0080", "0.000"),
        ("XXX.X V", "0123", "230.1"),
        ("XXXX V", "0000", "0"),
        ("XXXXXX.XX kWh", "ffffffff", None),
        ("XXXXXX.XX kWh", "32dc6c38", "not BCD 32dc6c38"),
        ("XXX.X V", "ff22", "not BCD ff22"),
        ("±XXX.XXX A", "0000f0", "-700.000"),
        ("±XXX.XXX A", "000a80", "not BCD 000a80"),
        ("NNNNNNNNNNNN", "129078563412", "123456789012"),
        ("ascii:6", "56302e303232", "'220.0V'"),
        ("ascii:6", "0000302e3100", "'1.0'"),
        ("ascii:4", "ffffffff", None),
        ("ascii:4", "00ff0041", "not ASCII 00ff0041"),
        ("bits:2", "5002", "0250"),
        ("bits:2", "ffff", "FFFF"),
        ("bin:4", "a0860100", "100000"),
        ("raw:2", "0102", "raw 0102"),
        ("YYMMDDWW", "01110116", "2016-01-11 w1"),
        ("hhmmss", "555321", "21:53:55"),
        ("YYMMDDhhmm", "0000091015", "2015-10-09 00:00"),
        ("YYMMDDhhmmss", "512210050617", "2017-06-05 10:22:51"),
        ("YYMMDDhhmmss", "170605102251", "not a time 170605102251"),
        ("YYMMDDhhmm", "0000000000", None),
        ("YYMMDDhhmm", "0000300220", "not a time 0000300220"),
        ("DDhh", "0001", "01 00h"),
        ("DDhh", "9999", "99 99h"),
        ("MMDDNN", "010103", "03-01 n1"),
    ],
)
def test_elements_as_they_are_read(spec: str, wire: str, text: str | None) -> None:
    reading = element(spec).decode(bytes.fromhex(wire))
    assert reading.text == text
    assert (reading.value is None) == (text is None or reading.fault is not None)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("XXX.X V", Decimal("1000.0")),
        ("XXX.X V", Decimal("230.15")),
        ("XXX.X V", Decimal("-1.0")),
        ("XXX.X V", Decimal("NaN")),
        ("XXX.X V", Decimal("Infinity")),
        ("XXX.X V", "230.1"),
        ("XXX.X V", True),
        ("±XX.XXXX kW", Decimal("80.0000")),
        ("±XX.XXXX kW", Decimal("-80.0000")),
        ("NNNN", "12345"),
        ("NNNN", "12A4"),
        ("ascii:4", "12345"),
        ("ascii:4", "é"),
        ("bits:1", 256),
        ("bin:1", -1),
        ("raw:2", b"123"),
        ("hhmmss", MeterTime(hour=24, minute=0, second=0)),
        ("YYMMDDhhmm", MeterTime(year=2026, month=2, day=30, hour=0, minute=0)),
        ("YYMMDDhhmm", MeterTime(year=1999, month=2, day=3, hour=0, minute=0)),
        ("YYMMDDhhmm", MeterTime(hour=0, minute=0)),
    ],
)
def test_what_does_not_fit_is_not_written(
    spec: str, value: Decimal | str | int | MeterTime
) -> None:
    with pytest.raises(ValueFormatError):
        element(spec).encode(value)


def test_no_value_is_written_as_ff() -> None:
    assert element("XXX.X V").encode(None) == b"\xff\xff"


@given(st.sampled_from(TIME_PATTERNS), st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001
def test_times_read_back(pattern: str, moment: datetime) -> None:
    layout = time_layout(pattern)
    time = layout.only(MeterTime.of(moment))
    if "number" in layout.names:
        time = MeterTime(
            **{name: getattr(time, name) for name in layout.names if name != "number"}, number=7
        )
    assert layout.decode(layout.encode(time)) == time
    assert layout.parse(str(time)) == time


def test_a_meters_time_gets_its_zone_at_the_edge() -> None:
    moment = datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)
    time = MeterTime.of(moment)
    assert time.weekday == 6
    assert time.at(UTC) == moment
    with pytest.raises(ValueFormatError, match="no full date"):
        MeterTime(hour=9, minute=30).at(UTC)


def test_every_stands_only_in_times_without_a_year() -> None:
    layout = time_layout("MMDDhhmm")
    time = MeterTime(month=EVERY, day=EVERY, hour=0, minute=30)
    assert layout.encode(time).hex() == "30009999"
    assert layout.decode(bytes.fromhex("30009999")) == time
    with pytest.raises(ValueFormatError):
        time_layout("YYMMDDhhmm").encode(MeterTime(year=2026, month=99, day=1, hour=0, minute=0))


@given(st.sampled_from(["XXX.X V", "±XX.XXXX kW", "ascii:6", "NNNN", *TIME_PATTERNS]), st.data())
def test_any_bytes_give_a_reading(spec: str, data: st.DataObject) -> None:
    form = element(spec)
    raw = data.draw(st.binary(min_size=form.length, max_size=form.length))
    reading = form.decode(raw)
    if reading.fault:
        assert reading.value is None
        assert reading.fault in (NOT_BCD, NOT_A_TIME, NOT_ASCII)
    elif reading.value is not None and not spec.startswith(("±", "ascii")):
        assert form.encode(reading.value) == raw


@pytest.mark.parametrize(
    "spec", ["", "XXX.X", "XXX V", "±YYMMDD", "ascii", "YYM", "WWWW", "±ascii:3"]
)
def test_a_wrong_specification_is_noticed(spec: str) -> None:
    if spec == "XXX.X":
        assert element(spec).length == 2
        return
    with pytest.raises(ValueError, match=r".*"):
        parse_element(spec)
