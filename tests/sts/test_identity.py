import pytest
from hypothesis import given
from hypothesis import strategies as st

from vending.sts import (
    CheckDigitError,
    InvalidValueError,
    MeterPan,
    make_drn,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)

DIGITS = "0123456789"
MANUFACTURERS = st.text(DIGITS, min_size=2, max_size=2) | st.text(DIGITS, min_size=4, max_size=4)
DRNS = st.builds(make_drn, MANUFACTURERS, st.text(DIGITS, min_size=8, max_size=8))


@pytest.mark.parametrize("text", ["600727000000000009", "000001000000000082"])
def test_published_meter_pans_are_read_and_written(text: str) -> None:
    pan = MeterPan.parse(text)
    assert str(pan) == text
    assert MeterPan.from_drn(pan.drn) == pan


def test_the_parts_of_both_forms() -> None:
    short = MeterPan.parse("600727000000000009")
    assert (short.iin, short.manufacturer, short.serial, short.drn) == (
        "600727",
        "00",
        "00000000",
        "00000000000",
    )
    long = MeterPan.parse("000001000000000082")
    assert (long.iin, long.manufacturer, long.serial) == ("0000", "0100", "00000000")
    assert len(long.drn) == 13


def test_spaces_and_dashes_are_ignored() -> None:
    assert MeterPan.parse("600727 0000-0000-0009") == MeterPan.parse("600727000000000009")


@given(DRNS)
def test_every_drn_makes_a_pan_that_reads_back(drn: str) -> None:
    assert MeterPan.parse(str(MeterPan.from_drn(drn))).drn == drn


@given(DRNS, st.data())
def test_one_wrong_digit_is_always_caught(drn: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(drn) - 1))
    other = data.draw(st.sampled_from([digit for digit in DIGITS if digit != drn[place]]))
    with pytest.raises(CheckDigitError, match="mistyped: its last digit"):
        MeterPan.from_drn(drn[:place] + other + drn[place + 1 :])


@given(DRNS, st.data())
def test_one_wrong_digit_of_a_pan_is_always_refused(drn: str, data: st.DataObject) -> None:
    pan = str(MeterPan.from_drn(drn))
    place = data.draw(st.integers(0, 17))
    other = data.draw(st.sampled_from([digit for digit in DIGITS if digit != pan[place]]))
    with pytest.raises((CheckDigitError, InvalidValueError)):
        MeterPan.parse(pan[:place] + other + pan[place + 1 :])


def test_errors_name_the_digit() -> None:
    with pytest.raises(CheckDigitError, match="last digit is 1, the other digits ask for 0"):
        MeterPan.from_drn("00000000001")
    with pytest.raises(InvalidValueError, match="position 3 is 'x'"):
        MeterPan.from_drn("00x00000000")
    with pytest.raises(InvalidValueError, match="has 10 digits; it needs 11 or 13"):
        MeterPan.from_drn("0000000000")
    with pytest.raises(InvalidValueError, match="has 17 digits; it needs 18"):
        MeterPan.parse("60072700000000000")
    with pytest.raises(InvalidValueError, match="starts with 600727 or 0000"):
        MeterPan.parse("123456000000000009")
    with pytest.raises(InvalidValueError, match="position 1 is '٣'"):
        MeterPan.from_drn("٣0000000000")


@pytest.mark.parametrize("good", ["000000", "123457", "999999"])
def test_supply_group_codes(good: str) -> None:
    assert parse_supply_group_code(good) == good


@pytest.mark.parametrize("bad", ["", "12345", "1234567", "12345a", " 12345"])
def test_wrong_supply_group_codes(bad: str) -> None:
    with pytest.raises(InvalidValueError, match="Supply group code"):
        parse_supply_group_code(bad)


@pytest.mark.parametrize(
    ("parse", "low", "high", "name"),
    [
        (parse_key_revision, 1, 9, "Key revision number"),
        (parse_key_expiry, 0, 255, "Key expiry number"),
        (parse_key_type, 0, 3, "Key type"),
    ],
)
def test_ranges_are_named(parse: object, low: int, high: int, name: str) -> None:
    assert callable(parse)
    assert parse(low) == low
    assert parse(high) == high
    for wrong in (low - 1, high + 1):
        with pytest.raises(InvalidValueError, match=rf"{name} {wrong} .* must be {low}-{high}"):
            parse(wrong)
    for wrong_type in ("1", 1.0, True, None):
        with pytest.raises(InvalidValueError, match="must be a whole number"):
            parse(wrong_type)


def test_a_tariff_index_is_two_digits() -> None:
    assert parse_tariff_index("07") == "07"
    for bad in ("7", "007", "a7"):
        with pytest.raises(InvalidValueError, match="Tariff index"):
            parse_tariff_index(bad)


def test_base_dates() -> None:
    assert [parse_base_date(year).code for year in (1993, 2014, 2035)] == ["93", "14", "35"]
    with pytest.raises(InvalidValueError, match="use 1993, 2014 or 2035"):
        parse_base_date(2000)
