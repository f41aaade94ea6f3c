"""Tokens by wire: given once, answered for after any loss, on both protocols' codecs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus import (
    Framing,
    IllegalDataAddressError,
    IllegalDataValueError,
    ModbusMeter,
    ModbusValueError,
    Outcome,
    RegisterImage,
    ServerSession,
    Table,
    Value,
    load_profile,
    load_token,
    parse_profile,
)
from protocols.token_block import (
    TokenBlockError,
    TokenResult,
    check_sequence,
    dlt645,
    fingerprint,
    following_sequence,
    modbus,
    plain_digits,
)
from tests.protocols.modbus.wires import bus_to, losing

KEYPAD = load_profile("meterhouse-keypad")
TOKEN = "0123-4567 89012345 6789"
OTHER = "99999999999999999999"


class KeypadUnit(RegisterImage):
    """The meter's side of docs/token-block.md, with a till that knows one token."""

    def __init__(self) -> None:
        super().__init__(KEYPAD, {"token_sequence": 0, "token_status": "none", "credit": 1000})
        self.entered: list[str] = []
        self.finishes = True
        self.is_slow = False
        """It takes a token and does not show it yet."""
        self.report("none", 0, 0, "")

    def report(self, result: str, sequence: int, added: int, digits: str) -> None:
        values: dict[str, Value] = {
            "token_sequence": sequence,
            "token_status": ("finished" if self.finishes else "processing") if sequence else "none",
            "token_result": result,
            "token_fingerprint": fingerprint(digits) if digits else 0,
            "token_credit_added": added,
            "token_credit_after": 1000 + added,
            "token_locked_s": 0 if result != "CRCError" else 10,
        }
        for name, value in values.items():
            item = KEYPAD.item(name)
            self.put(item, item.encode(value))

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        if (table, register) != (Table.HOLDING, modbus.TOKEN_REGISTER):
            raise IllegalDataAddressError("not here")
        try:
            sequence, digits = modbus.decode_token(words)
        except TokenBlockError:
            raise IllegalDataValueError("no token") from None
        if self.is_slow:
            return
        if [sequence] == self.read(Table.HOLDING, 0x0210, 1):
            if [fingerprint(digits)] != self.read(Table.HOLDING, 0x0214, 1):
                raise IllegalDataValueError("number used")
            return  # the same again: nothing is done twice
        used = digits in self.entered
        self.entered.append(digits)
        right = digits == plain_digits(TOKEN)
        result = "UsedError" if used else "Accept" if right else "CRCError"
        self.report(result, sequence, 500 if result == "Accept" else 0, digits)


Scene = Callable[[ModbusMeter, KeypadUnit], Awaitable[None]]


def play(scene: Scene, framing: Framing = Framing.TCP, finish_ms: int = 2000) -> None:
    assert KEYPAD.token is not None
    profile = replace(KEYPAD, token=replace(KEYPAD.token, finish_ms=finish_ms))

    async def run() -> None:
        unit = KeypadUnit()
        async with bus_to({1: unit}, framing) as bus:
            await scene(ModbusMeter(bus, profile), unit)

    asyncio.run(run())


@pytest.mark.parametrize("framing", Framing)
def test_a_token_is_accepted_and_a_wrong_one_is_not(framing: Framing) -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        load = await load_token(meter, TOKEN, 1)
        assert load.outcome is Outcome.DONE
        assert (load.result, load.credit_added_wh, load.credit_wh) == ("Accept", 500, 1500)
        wrong = await load_token(meter, OTHER, 2)
        assert (wrong.outcome, wrong.result) == (Outcome.FAILED, "CRCError")
        assert wrong.locked_for_s == 10
        used = await load_token(meter, TOKEN, 3)
        assert (used.outcome, used.result) == (Outcome.FAILED, "UsedError")
        assert len(unit.entered) == 3
        for text in (load.text, wrong.text, used.text):
            assert "0123" not in text
            assert "9999" not in text

    play(scene, framing)


def test_the_same_call_again_enters_nothing_again() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        first = await load_token(meter, TOKEN, 7)
        again = await load_token(meter, TOKEN, 7)
        assert (again.outcome, again.result, again.was_sent) == (Outcome.DONE, "Accept", False)
        assert again.credit_wh == first.credit_wh
        clash = await load_token(meter, OTHER, 7)
        assert (clash.outcome, clash.was_sent) == (Outcome.FAILED, False)
        assert "take another number" in clash.text
        assert len(unit.entered) == 1

    play(scene)


def test_a_lost_answer_is_asked_for() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        losing(meter, before=False, reads=2)
        load = await load_token(meter, TOKEN, 1)
        assert (load.outcome, load.result) == (Outcome.DONE, "Accept")
        assert len(unit.entered) == 1

    play(scene)


def test_a_token_that_was_confirmed_and_does_not_show_is_unknown() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        unit.is_slow = True
        load = await load_token(meter, TOKEN, 1)
        assert load.outcome is Outcome.UNKNOWN
        assert "Ask again with the same number" in load.text

    play(scene, finish_ms=100)


def test_a_lost_token_is_known_not_to_have_arrived() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        losing(meter, before=True)
        load = await load_token(meter, TOKEN, 1)
        assert load.outcome is Outcome.FAILED
        assert load.text == "The token did not reach the meter; send it again. lost"
        assert unit.entered == []

    play(scene)


def test_an_end_that_nobody_can_tell() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        unit.finishes = False
        load = await load_token(meter, TOKEN, 1)
        assert load.outcome is Outcome.UNKNOWN
        assert "Ask again with the same number" in load.text
        unit.finishes = True
        unit.report("Accept", 1, 500, TOKEN)
        assert (await load_token(meter, TOKEN, 1)).outcome is Outcome.DONE
        losing(meter, before=False, reads=1000)
        assert (await load_token(meter, TOKEN, 2)).outcome is Outcome.UNKNOWN
        assert len(unit.entered) == 2

    play(scene, finish_ms=100)


def test_a_meter_that_cannot_be_asked_is_sent_nothing() -> None:
    async def run() -> None:
        async with bus_to({}) as bus:
            load = await load_token(ModbusMeter(bus, KEYPAD), TOKEN, 1)
            assert (load.outcome, load.was_sent) == (Outcome.FAILED, False)

    asyncio.run(run())


def test_misuse() -> None:
    async def scene(meter: ModbusMeter, unit: KeypadUnit) -> None:
        for digits in ("123", "0123456789012345678x", "\u0660" * 20):
            with pytest.raises(TokenBlockError, match="A token has 20 digits"):
                await load_token(meter, digits, 1)
        for sequence in (0, 10_000):
            with pytest.raises(TokenBlockError, match="is 1-9999"):
                await load_token(meter, TOKEN, sequence)
        with pytest.raises(ModbusValueError, match="needs sequence numbers"):
            await load_token(meter, TOKEN)
        hiking = ModbusMeter(meter.bus, load_profile("hiking-dds238"))
        with pytest.raises(ModbusValueError, match="takes no tokens by wire"):
            await load_token(hiking, TOKEN, 1)
        assert unit.entered == []

    play(scene)


VENDOR = parse_profile(
    """
model = "V"
maker = "V"
confidence = "own"
sources = ["here"]
[items]
token_result.table = "holding"
token_result.register = 50
token_result.type = "u16"
token_result.values = { 0 = "none", 1 = "Accept", 9 = "UsedError" }
credit = { table = "holding", register = 51, type = "u32", unit = "Wh" }
[token]
register = 10
type = "bcd"
trigger_register = 20
trigger = 85
""",
    name="v",
    where="v.toml",
)


def test_a_vendor_without_numbers_is_triggered_and_asked() -> None:
    class Vendor:
        def __init__(self) -> None:
            self.cells: dict[int, int] = {50: 0, 51: 0, 52: 1000}

        def read(self, _table: Table, register: int, count: int) -> list[int]:
            return [self.cells[n] for n in range(register, register + count)]

        def write(self, _table: Table, register: int, words: Sequence[int]) -> None:
            self.cells |= {register + n: word for n, word in enumerate(words)}
            if register == 20:
                digits = "".join(f"{self.cells[n]:04x}" for n in range(10, 15))
                self.cells[50] = 1 if digits == plain_digits(TOKEN) and words[0] == 85 else 9

    async def run() -> None:
        async with bus_to({1: Vendor()}) as bus:
            meter = ModbusMeter(bus, VENDOR)
            load = await load_token(meter, TOKEN)
            assert (load.outcome, load.result, load.credit_wh) == (Outcome.DONE, "Accept", 1000)
            losing(meter, before=False)
            load = await load_token(meter, TOKEN)
            assert load.outcome is Outcome.UNKNOWN
            assert "answers UsedError" in load.text

    asyncio.run(run())


# --- the codecs -----------------------------------------------------------------------------

DIGITS = st.text("0123456789", min_size=20, max_size=20)
SEQUENCES = st.integers(1, 9999)


@given(SEQUENCES, DIGITS)
def test_a_token_comes_back_from_both_wires(sequence: int, digits: str) -> None:
    words = modbus.encode_token(sequence, digits)
    assert len(words) == modbus.TOKEN_REGISTERS
    assert modbus.decode_token(words) == (sequence, digits)
    data = dlt645.encode_token(sequence, digits)
    assert len(data) == 12
    assert dlt645.decode_token(data) == (sequence, digits)


def test_the_bytes_of_the_document() -> None:
    assert modbus.encode_token(1, "12345678901234567890")[:3] == (1, 0x3132, 0x3334)
    assert dlt645.encode_token(1, "12345678901234567890").hex() == "010090785634129078563412"
    assert fingerprint("12345678901234567890") == fingerprint("1234 5678 9012 3456 7890")
    assert following_sequence(0) == 1
    assert following_sequence(9999) == 1
    assert check_sequence(9999) == 9999


@given(st.binary(min_size=12, max_size=12))
def test_any_bytes_are_a_token_or_an_error(data: bytes) -> None:
    try:
        sequence, digits = dlt645.decode_token(data)
    except (TokenBlockError, dlt645.TokenBlockContentError):
        return
    assert dlt645.encode_token(sequence, digits) == data


READINGS: dict[str, dlt645.Value] = {
    "token_sequence": 17,
    "token_status": "finished",
    "token_result": "UsedError",
    "token_class": 0,
    "token_fingerprint": 0xBEEF,
    "token_credit_added": 0,
    "token_credit_after": -12_345,
    "token_locked_s": 1280,
    "credit": 999_999_900,
    "credit_accepted_total": 123_456_789_012,
    "energy_import_total": 0,
    "credit_cleared_total": 5,
    "contact_state": "open",
    "contact_open_reasons": ("tamper", "remote order"),
    "relay_control": "close_allowed",
    "relay_protected": "yes",
    "power_limit": None,
    "low_credit_limit": 5000,
    "keypad_locked_s": 0,
    "tokens_accepted": 12,
    "supply_group_code": "012345",
    "key_revision": 1,
    "key_type": 2,
    "key_expiry": 255,
    "tariff_index": 7,
    "meter_number": "01234567890",
}


def test_both_wires_tell_the_same() -> None:
    told: dict[str, dlt645.Value] = {}
    for item in dlt645.keypad_items().values():
        if item.access == "r":
            told |= item.decode(item.encode(READINGS))
    assert told == READINGS
    for name, value in READINGS.items():
        entry = KEYPAD.item(name)
        assert entry.decode(entry.encode(value)) == value


def test_the_two_data_files_agree() -> None:
    for item in dlt645.keypad_items().values():
        for field in item.fields:
            if field.name == "token_digits":
                continue
            entry = KEYPAD.item(field.name)
            names = dict(enumerate(field.names))
            assert names == dict(entry.bits if field.format is dlt645.Format.BITS else entry.values)
    states = dlt645.keypad_items()[dlt645.REPORT_DI].fields
    assert [f.names for f in states if f.name == "token_result"] == [
        tuple(result.word for result in TokenResult)
    ]


def test_dlt645_bytes() -> None:
    credit = dlt645.keypad_items()[dlt645.CREDIT_DI]
    assert credit.encode({"credit": -12_345}).hex() == "452301000080"
    assert credit.decode(bytes.fromhex("452301000080")) == {"credit": -12_345}
    assert credit.decode(b"\xff" * 6) == {"credit": None}
    with pytest.raises(dlt645.TokenBlockContentError, match="credit is not BCD"):
        credit.decode(b"\x0a" * 6)
    with pytest.raises(dlt645.TokenBlockContentError, match="04F00201 has 6 bytes; 5 came"):
        credit.decode(b"\0" * 5)
    with pytest.raises(TokenBlockError, match="does not fit credit"):
        credit.encode({"credit": 800_000_000_000})


def test_a_server_session_is_silent_for_units_that_it_lacks() -> None:
    session = ServerSession({}, Framing.TCP)
    assert session.feed(bytes.fromhex("0001 0000 0006 01 03 0000 0001")) == []
