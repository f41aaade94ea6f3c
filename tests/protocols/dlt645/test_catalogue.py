from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import catalogue
from protocols.dlt645.catalogue import Item
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import UnknownItemError, ValueFormatError
from protocols.dlt645.times import MeterTime
from protocols.dlt645.values import (
    AsciiFormat,
    BinaryFormat,
    DigitsFormat,
    Element,
    NumberFormat,
    RawFormat,
    TimeFormat,
    Value,
)

ALL_ITEMS = {edition: list(catalogue.items(edition)) for edition in Edition}


def some_items() -> Iterator[Item]:
    """Every tenth item, and every item whose table line is short."""
    for items in ALL_ITEMS.values():
        yield from items[::10]


def sample(element: Element, seed: int) -> Value:
    """A value that fits an element."""
    match element.format:
        case NumberFormat(digits=digits, decimals=decimals, signed=signed):
            size = seed % (10**digits * (8 if signed else 10) // 10)
            number = Decimal(-size if signed and seed % 2 else size)
            return number.scaleb(-int(decimals))
        case DigitsFormat(length=length):
            return f"{seed % 10 ** (2 * length):0{2 * length}d}"
        case AsciiFormat(length=length):
            return "A1.0V"[:length]
        case BinaryFormat(length=length):
            return int(seed % (256**length - 1))
        case RawFormat(length=length):
            return bytes(length)
        case TimeFormat(layout=layout):
            full = MeterTime(
                year=2026,
                month=11,
                day=21,
                weekday=6,
                hour=seed % 24,
                minute=30,
                second=5,
                number=3,
            )
            return layout.only(full)
    raise AssertionError(element)


@pytest.mark.parametrize("edition", Edition)
def test_no_two_lines_cover_one_identifier(edition: Edition) -> None:
    identifiers = [item.di for item in ALL_ITEMS[edition]]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("edition", Edition)
def test_every_item_has_its_names_and_grade(edition: Edition) -> None:
    for item in ALL_ITEMS[edition]:
        assert item.name_en, hex(item.di)
        assert item.name_en.isascii(), item.name_en
        assert any("\u4e00" <= character <= "\u9fff" for character in item.name_zh), item.name_en
        assert "{" not in item.name_en + item.name_zh
        assert item.grade in set("ABCD")
        assert item.access in ("r", "rw", "w")


@pytest.mark.parametrize("edition", Edition)
def test_every_item_is_found_again(edition: Edition) -> None:
    for item in ALL_ITEMS[edition][::7]:
        assert catalogue.find(item.di, edition) == item


@given(st.sampled_from(list(some_items())), st.integers(0, 10**12), st.integers(1, 4))
def test_every_item_encodes_and_decodes(item: Item, seed: int, times: int) -> None:
    elements = item.elements * (times if item.repeat else 1)
    values = [sample(element, seed + place) for place, element in enumerate(elements)]
    if not values:
        with pytest.raises(UnknownItemError):
            item.encode([])
        return
    raw = item.encode(values)
    decoded = item.decode(raw)
    assert [reading.value for reading in decoded.readings] == values
    assert decoded.notes == ()
    assert item.length is None or len(raw) == item.length
    texts = [reading.text for reading in decoded.readings]
    assert list(item.parse_values(texts)) == values


@given(
    st.sampled_from(list(some_items())) | st.builds(
        lambda di: catalogue.find(di), st.sampled_from([0x0001FF00, 0x000100FF, 0x0201FF00,
        0x0203FF00, 0x040005FF, 0x040001FF, 0x0301FF01, 0x0506FF01, 0x020A01FF])
    ),
    st.binary(max_size=160),
)  # fmt: skip
def test_any_answer_gives_readings_and_never_an_exception(item: Item, data: bytes) -> None:
    decoded = item.decode(data)
    told = sum(len(reading.raw) for reading in decoded.readings)
    assert told <= len(data)
    if item.length not in (None, len(data)) and not item.payload:
        assert decoded.notes


@pytest.mark.parametrize(
    ("di", "name", "chinese", "unit", "length"),
    [
        (0x00000000, "Combined active energy, total", "（当前）组合有功总电能", "kWh", 4),
        (0x00010001, "Forward active energy, total, settlement day 1 back",
         "（上1结算日）正向有功总电能", "kWh", 4),
        (0x0001040C, "Forward active energy, tariff 4, settlement day 12 back",
         "（上12结算日）正向有功费率4电能", "kWh", 4),
        (0x003D0000, "Forward active energy, phase C", "（当前）C相正向有功电能", "kWh", 4),
        (0x00A80000, "Associated total energy, phase B", "（当前）B相关联总电能", "kWh", 4),
        (0x00450000, "Forward apparent energy, phase C", "（当前）C相正向视在电能", "kVAh", 4),
        (0x02010300, "Voltage, phase C", "C相电压", "V", 2),
        (0x020B0315, "Current harmonic 21, phase C", "C相电流21次谐波含量", "%", 2),
        (0x04001001, "Alarm amount 1", "报警金额1限值", "yuan", 4),
        (0x04050204, "Tariff price 4, second set", "第二套费率电价4", "yuan/kWh", 4),
        (0x03330201, "Purchases so far by amount, 1 back", "（上1次）购电后总购电次数", "times", 2),
        (0x1D000001, "Count of trips", "跳闸总次数", "times", 3),
    ],
)  # fmt: skip
def test_names_units_lengths(di: int, name: str, chinese: str, unit: str, length: int) -> None:
    item = catalogue.find(di)
    assert item is not None
    assert (item.name_en, item.name_zh, item.elements[0].unit, item.length) == (
        name, chinese, unit, length,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("di", "length"),
    [
        (0x01010000, 8), (0x03010000, 18), (0x03010101, 131), (0x03090001, 78), (0x03110001, 12),
        (0x03300001, 50), (0x03300101, 106), (0x03300201, 202), (0x03300301, 14),
        (0x03300401, 16), (0x03300501, 682), (0x03300D01, 60), (0x04000401, 6), (0x04000403, 32),
        (0x04010000, 42), (0x04020008, 42), (0x040005FF, 14), (0x04000B01, 2), (0x05061001, 24),
        (0x0206FF00, 8), (0x020A01FF, None), (0x0001FF00, None), (0x06000001, None),
    ],
)  # fmt: skip
def test_lengths_of_the_specification(di: int, length: int | None) -> None:
    item = catalogue.find(di)
    assert item is not None
    assert item.length == length


def test_a_block_has_as_many_tariffs_as_the_meter() -> None:
    five = bytes.fromhex("2901000062000000600000000300000002000000")
    decoded = catalogue.decode(0x0001FF00, five)
    assert [str(reading.value) for reading in decoded.readings] == [
        "1.29", "0.62", "0.60", "0.03", "0.02",
    ]  # fmt: skip
    assert decoded.readings[4].label == "Forward active energy, tariff 4"
    assert decoded.notes == ()


@pytest.mark.parametrize("delimiter", ["AA", "DD"])
def test_a_delimiter_at_the_end_of_a_block_is_told(delimiter: str) -> None:
    decoded = catalogue.decode(0x0001FF00, bytes.fromhex("2901000062000000" + delimiter))
    assert [str(reading.value) for reading in decoded.readings] == ["1.29", "0.62"]
    assert decoded.notes == (f"delimiter {delimiter} at the end",)


def test_a_cut_block_has_no_values() -> None:
    decoded = catalogue.decode(0x0001FF00, bytes.fromhex("29010000620000"))
    assert [reading.text for reading in decoded.readings] == ["raw 29010000620000"]
    assert decoded.notes


def test_phases_that_are_not_fitted() -> None:
    decoded = catalogue.decode(0x0201FF00, bytes.fromhex("1922ffffffff"))
    assert [reading.text for reading in decoded.readings] == ["221.9", None, None]
    assert decoded.notes == ()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("002200", "220.0"),  # three bytes for a voltage, as a peer sent: the number is the same
        ("002201", "raw 002201"),  # further or finer?  Nobody can tell.
        ("22", "raw 22"),
        ("0022aa", "220.0"),
    ],
)
def test_a_length_that_differs_never_changes_a_number(data: str, text: str) -> None:
    decoded = catalogue.decode(0x02010100, bytes.fromhex(data))
    assert [reading.text for reading in decoded.readings] == [text]
    assert decoded.notes


def test_blocks_of_1997_have_delimiters_behind_each_part() -> None:
    part = bytes.fromhex("0100000002000000aa")
    decoded = catalogue.decode(0x901F, part, Edition.Y1997)
    assert [reading.label for reading in decoded.readings] == [
        "Forward active energy, total", "Forward active energy, tariff 1",
    ]  # fmt: skip
    decoded = catalogue.decode(0x90FF, part * 3, Edition.Y1997)
    assert [reading.text for reading in decoded.readings] == ["0.01", "0.02"] * 3
    assert all(reading.label == "" for reading in decoded.readings)
    assert catalogue.decode(0x90FF, part[:-2], Edition.Y1997).notes


def test_unknown_items_are_bytes() -> None:
    assert catalogue.find(0x04A20200) is None
    decoded = catalogue.decode(0x04A20200, b"\x01\x02")
    assert [reading.text for reading in decoded.readings] == ["raw 0102"]
    assert decoded.notes == ("the catalogue does not know this item",)
    with pytest.raises(UnknownItemError, match="04A20200"):
        catalogue.encode(0x04A20200, [Decimal(1)])


def test_the_number_of_values_must_fit() -> None:
    for values in ([], [Decimal(1), Decimal(2)]):
        with pytest.raises(ValueFormatError):
            catalogue.encode(0x02010100, values)
    with pytest.raises(ValueFormatError):
        catalogue.encode(0x05060901, [Decimal(1)])


def test_a_block_is_written_by_the_simulator() -> None:
    raw = catalogue.encode(0x0201FF00, [Decimal("220.0"), None, None])
    assert raw.hex() == "0022ffffffff"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (0x9010, 0x00010000), (0x9014, 0x00010400), (0x901F, 0x0001FF00), (0x9410, 0x00010001),
        (0x9810, 0x00010002), (0x9110, 0x00030000), (0x9130, 0x00050000), (0x9140, 0x00080000),
        (0x9150, 0x00060000), (0x9160, 0x00070000), (0xA010, 0x01010000), (0xB611, 0x02010100),
        (0xB61F, 0x0201FF00), (0xB630, 0x02030000), (0xB650, 0x02060000), (0xC010, 0x04000101),
        (0xC011, 0x04000102), (0xC030, 0x04000409), (0xC032, 0x04000402), (0xC117, 0x04000B01),
        (0xB680, None), (0xFFFF, None),
    ],
)  # fmt: skip
def test_1997_identifiers_in_2007(old: int, new: int | None) -> None:
    assert catalogue.in_2007(old) == new
    if new is not None and old & 0xF != 0xF:
        assert catalogue.in_1997(new) == old


def test_every_1997_item_that_moved_arrives_somewhere() -> None:
    for item in ALL_ITEMS[Edition.Y1997]:
        moved = catalogue.in_2007(item.di)
        assert moved is None or catalogue.find(moved) is not None, hex(item.di)
