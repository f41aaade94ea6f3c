"""A mistake in a profile is found when the file is loaded, and its place is named."""

from pathlib import Path

import pytest

from protocols.modbus import ProfileError, load_profile, parse_profile, read_profile

GOOD = """
model = "M"
maker = "M & Co"
confidence = "documented"
sources = ["a manual"]
[serial]
baud = 9600
parity = "E"
[requests]
registers_max = 40
[defaults]
table = "holding"
[items]
voltage_l1 = { register = 0x0010, type = "f32", unit = "V", digits = 1 }
energy_import_total = { register = 2, type = "u32", unit = "kWh", scale = 0.01 }
contact_state = { table = "coil", register = 0, values = { 0 = "open", 1 = "closed" } }
[relay]
table = "coil"
register = 0
open = 0
close = 1
"""
VOLTAGE = '{ register = 0x0010, type = "f32", unit = "V", digits = 1 }'
ENERGY = '{ register = 2, type = "u32", unit = "kWh", scale = 0.01 }'


def parse(text: str) -> None:
    parse_profile(text, name="m", where="m.toml")


def test_a_good_one_passes() -> None:
    profile = parse_profile(GOOD, name="m", where="m.toml")
    assert profile.registers_max == 40
    assert profile.relay is not None
    assert str(profile.line) == "9600 8E1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('model = "M"', "", "m.toml: model is missing"),
        ('model = "M"', "model = ", "not a TOML file"),
        ("sources = [", "sources = [1,", "sources must be a list of texts"),
        ('"documented"', '"sure"', "confidence must be one of 'recorded'"),
        ("registers_max = 40", "registers_max = 126", "registers_max must be a whole number 1-125"),
        ("registers_max = 40", "register_max = 40", "requests: unknown: register_max"),
        ("registers_max = 40", "write_function = 7", "write_function is 6 or 16, not 7"),
        ("voltage_l1 =", "voltage =", "items: voltage: this name is not in the vocabulary"),
        (VOLTAGE, VOLTAGE.replace("f32", "f64"), "voltage_l1: type must be one of 'u16'"),
        (VOLTAGE, VOLTAGE.replace(', digits = 1', ""), "voltage_l1: digits are missing"),
        (VOLTAGE, VOLTAGE.replace('"V"', '"A"'), "unit 'A' does not measure this; V would"),
        (VOLTAGE, VOLTAGE.replace('"V"', '"Volt"'), "unit 'Volt' is unknown"),
        (VOLTAGE, VOLTAGE.replace("0x0010", "65535"), "runs past the last register"),
        (VOLTAGE, VOLTAGE.replace("0x0010", "70000"), "register must be a whole number 0-65535"),
        (VOLTAGE, VOLTAGE.replace("0x0010", "true"), "register must be a whole number"),
        (VOLTAGE, VOLTAGE.replace("digits", "digit"), "digits are missing"),
        (VOLTAGE, VOLTAGE.replace("}", ', sign = 0 }'), "sign is 1 or -1"),
        (VOLTAGE, VOLTAGE.replace("}", ', scale = "x" }'), "scale must be a number"),
        (VOLTAGE, VOLTAGE.replace("}", ', scale = nan }'), "scale must be a finite number"),
        (VOLTAGE, VOLTAGE.replace("}", ', times = "tc" }'), "times must be one of"),
        (VOLTAGE, VOLTAGE.replace("}", ", extra = 1 }"), "unknown: extra"),
        (VOLTAGE, VOLTAGE.replace("}", ", registers = 3 }"), "takes 2 registers, not 3"),
        (VOLTAGE, VOLTAGE.replace("}", ', table = "input", writable = true }'), "be written"),
        (VOLTAGE, VOLTAGE.replace("}", ', values = { 1 = "a" } }'), "values are for states"),
        (ENERGY, ENERGY.replace("0.01", "0.00001"), "a step of 0.01 Wh needs digits"),
        ('1 = "closed"', '1 = "open"', "two numbers have the same name"),
        ('1 = "closed"', '1 = "shut"', "item contact_state must tell closed"),
        ('1 = "closed"', 'x = "closed"', "'x' is no number"),
        ('[relay]\ntable = "coil"', '[relay]\ntable = "input"', "by a holding register or a coil"),
        ("close = 1", "close = 2", "close must be a whole number 0-1"),
        ("close = 1", "shut = 1", "unknown: shut"),
        ("open = 0\nclose = 1", "", "open and close are missing"),
    ],
)  # fmt: skip
def test_mistakes_are_named(old: str, new: str, message: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ProfileError, match=r"m\.toml") as caught:
        parse(GOOD.replace(old, new, 1))
    assert message in str(caught.value)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        read_profile(tmp_path / "m.toml")
    (tmp_path / "M 1.toml").write_text(GOOD)
    with pytest.raises(ProfileError, match="a profile's name is like eastron-sdm120"):
        read_profile(tmp_path / "M 1.toml")
    (tmp_path / "m.toml").write_text(GOOD)
    assert read_profile(tmp_path / "m.toml").name == "m"
    with pytest.raises(ProfileError, match="There is no profile 'sdm'; there are abb-b23,"):
        load_profile("sdm")
    with pytest.raises(ProfileError, match="items: there are none"):
        parse(GOOD.partition("[defaults]")[0])


def test_a_token_block_needs_its_answers() -> None:
    token = '[token]\nregister = 1\ntype = "ascii"\n'
    with pytest.raises(ProfileError, match="item token_result must tell Accept"):
        parse(GOOD + token)
    result = 'token_result = { register = 9, type = "u16", values = { 1 = "Accept" } }\n[relay]'
    with_result = GOOD.replace("[relay]", result)
    parse(with_result + token)
    with pytest.raises(ProfileError, match="token_status must tell finished, processing"):
        parse(with_result + token + "has_sequence = true")
    with pytest.raises(ProfileError, match="type is ascii or bcd"):
        parse(with_result + token.replace("ascii", "u16"))
