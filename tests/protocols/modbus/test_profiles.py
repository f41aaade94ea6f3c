"""Each profile against registers whose meaning is known (``readings.toml``)."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from protocols.modbus import (
    Confidence,
    Transformers,
    Value,
    load_profile,
    plan,
    profile_names,
)
from protocols.modbus.vocabulary import Kind
from protocols.token_block import TokenResult

CASES = tomllib.loads(Path(__file__).with_name("readings.toml").read_text("utf-8"))["case"]


def expected(value: Any, kind: Kind) -> Value:
    if value == "none":
        return None
    if isinstance(value, list):
        return tuple(value)
    return Decimal(value) if kind is Kind.DECIMAL else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['profile']}: {case['from'][:30]}")
def test_known_registers_give_their_readings(case: dict[str, Any]) -> None:
    profile = load_profile(case["profile"])
    words: dict[int, int] = {}
    for at, text in case["registers"].items():
        words |= {int(at, 0) + n: int(word, 16) for n, word in enumerate(text.split())}
    transformers = Transformers(ct=Decimal(case.get("ct", 1)))
    for name, value in case["readings"].items():
        item = profile.item(name)
        registers = [words[register] for register in range(item.register, item.end)]
        reading = item.decode(registers, transformers)
        assert reading == expected(value, item.quantity.kind), name
        if isinstance(reading, Decimal):
            assert str(reading) == value  # with the digits that the profile states


def test_ten_meters_and_more_have_a_profile_and_each_has_a_case() -> None:
    assert len(profile_names()) >= 11
    assert {case["profile"] for case in CASES} == set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_is_whole(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.sources
    assert profile.confidence in Confidence
    assert "energy_import_total" in profile.items
    covered = [item.name for span in plan(profile) for item in span.items]
    assert sorted(covered) == sorted(profile.items)
    assert all(span.count <= profile.registers_max for span in plan(profile))


@pytest.mark.parametrize("name", profile_names())
def test_what_a_profile_decodes_it_encodes_back(name: str) -> None:
    for item in load_profile(name).items.values():
        for word in (0, 1, 0x3031):
            words = (word,) * item.layout.registers
            reading = item.decode(words)
            if reading is not None and not str(reading).startswith("unknown:"):
                assert item.decode(item.encode(reading)) == reading


def test_the_reference_profile_speaks_of_every_result() -> None:
    results = load_profile("meterhouse-keypad").item("token_result").values
    assert dict(results) == {result.value: result.word for result in TokenResult}
