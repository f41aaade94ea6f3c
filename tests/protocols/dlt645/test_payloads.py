from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import catalogue
from protocols.dlt645.errors import LayoutError, ValueFormatError
from protocols.dlt645.payloads import (
    LOAD_CLASSES,
    PAYLOADS,
    build_load_record,
    parse_freeze_block,
    parse_load_records,
)
from protocols.dlt645.status_words import (
    MeterKind,
    StatusWord3,
    Supply,
    build_status_word_3,
    flag_names,
    parse_status_word_3,
)
from protocols.dlt645.times import MeterTime
from protocols.dlt645.values import Value

TIME = MeterTime(year=2026, month=11, day=21, hour=9, minute=30)
ONES = {
    number: [Decimal(1).scaleb(-1) if e.unit == "V" else Decimal(1) for e in elements]
    for number, elements in LOAD_CLASSES.items()
}


def values_of(number: int) -> list[Value | None]:
    return list(ONES[number])


def test_a_full_load_record_is_103_bytes() -> None:
    record = build_load_record(TIME, {number: values_of(number) for number in LOAD_CLASSES})
    assert len(record) == 103
    assert record[2] == 0x62
    assert record[-2] == sum(record[:-2]) & 0xFF
    (parsed,) = parse_load_records(record)
    assert parsed.time == TIME
    assert {number: len(readings) for number, readings in parsed.classes.items()} == {
        1: 7, 2: 8, 3: 4, 4: 4, 5: 4, 6: 2,
    }  # fmt: skip


@given(st.lists(st.sets(st.sampled_from(sorted(LOAD_CLASSES))), min_size=1, max_size=5))
def test_load_records_read_back(recorded: list[set[int]]) -> None:
    data = b"".join(
        build_load_record(TIME, {number: values_of(number) for number in classes})
        for classes in recorded
    )
    records = parse_load_records(data)
    assert [set(record.classes) for record in records] == recorded
    for record in records:
        for number, readings in record.classes.items():
            assert [reading.value for reading in readings] == ONES[number]


@given(st.integers(1, 102), st.integers(0, 102), st.integers(1, 255))
def test_a_cut_or_damaged_load_record_is_refused(length: int, place: int, flip: int) -> None:
    record = build_load_record(TIME, {number: values_of(number) for number in LOAD_CLASSES})
    if length > 8:
        with pytest.raises(LayoutError):
            parse_load_records(record[:length])
    damaged = bytearray(record)
    damaged[place] ^= flip
    if damaged[:2] != b"\xe0\xe0":
        with pytest.raises(LayoutError):
            parse_load_records(bytes(damaged))


def test_no_record_for_the_time() -> None:
    assert parse_load_records(bytes(8)) == ()
    decoded = catalogue.decode(0x06000001, b"")
    assert (decoded.readings, decoded.notes) == ((), ("no record for this time",))


def test_a_record_that_the_meter_marks_as_bad_has_no_values() -> None:
    record = bytearray(build_load_record(TIME, {1: values_of(1)}))
    record[:2] = b"\xe0\xe0"
    record[-2] = sum(record[:-2]) & 0xFF
    (parsed,) = parse_load_records(bytes(record))
    assert parsed.bad
    assert parsed.classes == {}
    assert parsed.time == TIME


def test_one_class_may_come_without_the_others_separators() -> None:
    full = build_load_record(TIME, {3: values_of(3)})
    assert full.count(b"\xaa") == 6
    body = full[3:8] + full[10:18] + b"\xaa"
    head = b"\xa0\xa0" + bytes((len(body),)) + body
    alone = head + bytes((sum(head) & 0xFF,)) + b"\xe5"
    (parsed,) = parse_load_records(alone, 3)
    assert set(parsed.classes) == {3}
    with pytest.raises(LayoutError):
        parse_load_records(alone)


def test_load_classes_must_exist_and_be_whole() -> None:
    with pytest.raises(ValueFormatError):
        build_load_record(TIME, {7: []})
    with pytest.raises(ValueFormatError):
        build_load_record(TIME, {1: [Decimal(1)]})


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_records_of_unset_bytes_have_no_values(name: str) -> None:
    payload = PAYLOADS[name]
    readings = payload.parse(b"\xff" * payload.length)
    assert len(readings) == len(payload.elements)
    assert all(reading.label for reading in readings)
    with pytest.raises(ValueFormatError):
        payload.build([])


@pytest.mark.parametrize("separator", [b"", b"\xaa"])
def test_freeze_blocks_tell_their_tariffs_by_their_length(separator: bytes) -> None:
    tariffs = 5
    parts = [bytes.fromhex("0000091015")]
    parts += [bytes(4) * tariffs] * 8
    parts += [bytes.fromhex("1234000000091015") * tariffs] * 2
    parts += [bytes(24)]
    data = b"".join(part + separator for part in parts)
    readings = parse_freeze_block(data)
    assert readings is not None
    assert len(readings) == 1 + 8 * tariffs + 2 * 2 * tariffs + 8
    assert readings[0].text == "2015-10-09 00:00"
    assert readings[41].text == "0.3412"
    assert parse_freeze_block(data[:-1] + b"\x00\x00") is None


def test_an_hourly_freeze_has_two_energies() -> None:
    readings = parse_freeze_block(bytes.fromhex("00000910157856341201000000"))
    assert readings is not None
    assert [reading.text for reading in readings] == ["2015-10-09 00:00", "123456.78", "0.01"]


WORDS = st.builds(
    StatusWord3,
    second_slot_table=st.booleans(),
    supply=st.sampled_from(Supply),
    programming_permitted=st.booleans(),
    relay_off=st.booleans(),
    second_zone_table=st.booleans(),
    relay_command_off=st.booleans(),
    pre_trip_alarm=st.booleans(),
    meter_kind=st.sampled_from(MeterKind),
    second_price_set=st.booleans(),
    second_step_set=st.booleans(),
)


@given(WORDS)
def test_the_relays_word_reads_back(word: StatusWord3) -> None:
    assert parse_status_word_3(build_status_word_3(word)) == word


def test_bits_of_the_relays_word() -> None:
    word = parse_status_word_3(bytes.fromhex("5002"))
    assert word.relay_off
    assert word.relay_command_off
    assert word.meter_kind is MeterKind.MONEY_PREPAID
    assert build_status_word_3(StatusWord3(relay_off=True)) == b"\x10\x00"
    assert build_status_word_3(StatusWord3(relay_command_off=True)) == b"\x40\x00"
    for raw in (b"", b"\xff\xff", b"\x00"):
        with pytest.raises(LayoutError):
            parse_status_word_3(raw)


def test_flags_in_words() -> None:
    assert flag_names(0x04000503, 0x0010) == ["supply main", "not prepaid", "relay off"]
    assert flag_names(0x04000504, 0x0081) == ["loss of voltage", "phase break"]
    assert flag_names(0x02010100, 1) == []
