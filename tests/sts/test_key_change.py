from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sts.vectors import KEY_CHANGES, MISTY1_KEY, STA_KEY, name_of
from vending.sts import (
    DecoderKey,
    EncryptionAlgorithm,
    InvalidValueError,
    KeyChange,
    KeyChangeError,
    KeyExpiry,
    KeyRevision,
    KeySection,
    KeyType,
    Set1stSectionDecoderKey,
    SupplyGroupCode,
    TariffIndex,
    UnconfirmedError,
    assemble,
    cipher_for,
    decode,
    expected_sections,
    key_change_tokens,
)
from vending.sts.content import parse_content
from vending.sts.records import RecordEngine

OLD_STA = DecoderKey.from_hex(STA_KEY)
OLD_MISTY1 = DecoderKey.from_hex(MISTY1_KEY)


def tokens_of(change: KeyChange, old: DecoderKey, **flags: bool) -> tuple[str, ...]:
    algorithm = EncryptionAlgorithm.STA if old.bits == 64 else EncryptionAlgorithm.MISTY1
    return key_change_tokens(change, old, cipher_for(algorithm, old), **flags)


def sections_of(tokens: tuple[str, ...], old: DecoderKey) -> list[KeySection]:
    algorithm = EncryptionAlgorithm.STA if old.bits == 64 else EncryptionAlgorithm.MISTY1
    contents = [decode(token, cipher_for(algorithm, old)).content for token in tokens]
    assert all(isinstance(content, KeySection) for content in contents)
    return contents  # type: ignore[return-value]


@st.composite
def key_changes(draw: st.DrawFn) -> tuple[KeyChange, DecoderKey]:
    length = draw(st.sampled_from([8, 16]))
    new, old = draw(st.lists(st.binary(min_size=length, max_size=length), min_size=2, max_size=2,
                             unique=True))  # fmt: skip
    three = length == 8 and draw(st.booleans())
    sgc = draw(st.integers(0, 999_999))
    carries_sgc = three or length == 16
    change = KeyChange(
        new_key=DecoderKey(new),
        key_type=draw(st.sampled_from([KeyType.DEFAULT, KeyType.UNIQUE, KeyType.COMMON])),
        krn=KeyRevision(draw(st.integers(1, 9))),
        tariff_index=TariffIndex(f"{draw(st.integers(0, 99)):02d}"),
        ken=KeyExpiry(draw(st.integers(0, 255))),
        sgc=SupplyGroupCode(f"{sgc:06d}") if carries_sgc else None,
        rollover=draw(st.booleans()),
        three_tokens=three,
    )
    return change, DecoderKey(old)


@pytest.mark.parametrize("vector", KEY_CHANGES, ids=name_of)
def test_published_sets(vector: dict[str, Any]) -> None:
    assert RecordEngine().key_change(vector)["tokens"] == vector["tokens"]


@given(key_changes())
def test_a_set_puts_together_what_it_was_made_of_in_any_order(
    case: tuple[KeyChange, DecoderKey],
) -> None:
    change, old = case
    tokens = tokens_of(change, old, allow_unconfirmed_3kct=True)
    assert len(tokens) == (4 if old.bits == 128 else 3 if change.three_tokens else 2)
    for order in permutations(sections_of(tokens, old)):
        entered: dict[int, KeySection] = {}
        for section in order[:-1]:
            entered[section.subclass] = section
            assert assemble(entered, old.bits) is None
        entered[order[-1].subclass] = order[-1]
        assert assemble(entered, old.bits) == change


def change_to(key: str, **other: Any) -> KeyChange:
    fields: dict[str, Any] = {
        "new_key": DecoderKey.from_hex(key),
        "key_type": KeyType.UNIQUE,
        "krn": KeyRevision(2),
        "tariff_index": TariffIndex("01"),
        "ken": KeyExpiry(255),
    }
    return KeyChange(**fields | other)


def test_roll_over_with_the_same_key_is_refused() -> None:
    same = change_to(STA_KEY, rollover=True)
    with pytest.raises(KeyChangeError, match="every used token valid again"):
        tokens_of(same, OLD_STA)
    assert tokens_of(change_to(STA_KEY), OLD_STA)


def test_an_algorithm_cannot_be_changed_by_tokens() -> None:
    with pytest.raises(KeyChangeError, match="cannot change a meter's encryption algorithm"):
        tokens_of(change_to(MISTY1_KEY, sgc=SupplyGroupCode("123457")), OLD_STA)


@pytest.mark.parametrize(
    "wrong", [{"krn": 77}, {"tariff_index": "999"}, {"ken": 9999}, {"sgc": "xx"}]
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        change_to(STA_KEY, **wrong)


def test_no_way_leads_back_to_the_factory() -> None:
    with pytest.raises(KeyChangeError, match="initialisation key"):
        change_to(STA_KEY, key_type=KeyType.INITIALISATION)


def test_sets_that_carry_the_supply_group_code_need_it() -> None:
    with pytest.raises(KeyChangeError, match="give its SGC"):
        change_to(MISTY1_KEY)
    with pytest.raises(KeyChangeError, match="give its SGC"):
        change_to(STA_KEY, three_tokens=True)
    with pytest.raises(KeyChangeError, match="four tokens"):
        change_to(MISTY1_KEY, three_tokens=True, sgc=SupplyGroupCode("123457"))


def test_three_tokens_have_to_be_asked_for_by_name() -> None:
    change = change_to("00" * 8, three_tokens=True, sgc=SupplyGroupCode("123457"))
    with pytest.raises(UnconfirmedError, match="3KCT"):
        tokens_of(change, OLD_STA)
    assert len(tokens_of(change, OLD_STA, allow_unconfirmed_3kct=True)) == 3


def test_what_a_meter_waits_for() -> None:
    two = Set1stSectionDecoderKey(15, 1, False, False, KeyType.UNIQUE, 0)
    three = Set1stSectionDecoderKey(15, 1, False, True, KeyType.UNIQUE, 0)
    assert expected_sections(two, 64) == (3, 4)
    assert expected_sections(three, 64) == (3, 4, 8)
    assert expected_sections(two, 128) == expected_sections(None, 128) == (3, 4, 8, 9)


def test_sections_of_a_key_do_not_print() -> None:
    section = sections_of(tokens_of(change_to("0123456789abcdef"), OLD_STA), OLD_STA)[0]
    assert "19088743" not in repr(section)  # 0x01234567
    assert "key_section" not in repr(section)


@pytest.mark.parametrize(
    ("subclass", "content", "message"),
    [(3, 0, "Key revision number 0"), (3, 10 << 36, "Key revision number 10"),
     (4, 100 << 32, "Tariff index 100")],
)  # fmt: skip
def test_impossible_sections_are_refused(subclass: int, content: int, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_content(2, subclass, content)


def test_an_impossible_supply_group_code_is_refused() -> None:
    tokens = tokens_of(change_to(MISTY1_KEY, sgc=SupplyGroupCode("999999")), OLD_MISTY1)
    sections = {section.subclass: section for section in sections_of(tokens, OLD_MISTY1)}
    sections[9] = parse_content(2, 9, 0xFFF << 32)  # type: ignore[assignment]
    with pytest.raises(KeyChangeError, match="not a 6-digit number"):
        assemble(sections, 128)
