"""The same meter on Modbus, and its tokens: by wire as by keypad."""

from decimal import Decimal
from typing import Any

import pytest

from protocols.modbus import (
    Framing,
    IllegalDataAddressError,
    IllegalDataValueError,
    Profile,
    ServerDeviceFailureError,
    Table,
    Value,
    load_profile,
)
from protocols.token_block import fingerprint
from protocols.token_block.dlt645 import REPORT_DI, TOKEN_DI, keypad_items
from protocols.token_block.dlt645 import encode_token as dlt_token
from protocols.token_block.modbus import TOKEN_REGISTER, encode_token
from simulators.bus import Bus
from simulators.faces.modbus import ModbusFace
from simulators.results import Outcome
from simulators.wire import ModbusWire, crc
from tests.simulators.wire_bench import WireBench, accepted, refused
from vending.sts import ClearCredit, CreditRegister, InitiateMeterTest, SetMaximumPowerLimit

KEYPAD = load_profile("meterhouse-keypad")
SDM630 = load_profile("eastron-sdm630")


class ModbusBench(WireBench):
    """The face of one meter, read by item name."""

    def __init__(self, profile: Profile = KEYPAD, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.profile = profile
        self.face = ModbusFace(self.meter, profile, self.clock.now)

    def item(self, name: str) -> Value:
        item = self.profile.item(name)
        return item.decode(self.face.read(item.table, item.register, item.layout.registers))

    def load_token(self, sequence: int, digits: str) -> None:
        self.face.write(Table.HOLDING, TOKEN_REGISTER, encode_token(sequence, digits))


@pytest.mark.parametrize("profile", [KEYPAD, SDM630, load_profile("chint-dtsu666")])
@pytest.mark.parametrize("phases", [1, 3])
def test_every_item_of_a_profile_can_be_read(profile: Profile, phases: int) -> None:
    bench = ModbusBench(profile, phases=phases)
    bench.wait(minutes=11)
    for item in profile.items.values():
        bench.item(item.name)


def test_the_values_are_the_meters() -> None:
    bench = ModbusBench(SDM630, phases=3)
    bench.wait(hours=3)
    measured = bench.meter.measured()
    assert bench.item("energy_import_total") == 3_000
    assert bench.item("power_active_total") == Decimal(1_000)
    assert bench.item("power_active_l2") == measured.phases[1].active_w
    volts = bench.item("voltage_l3")
    assert isinstance(volts, Decimal)
    assert volts == Decimal(measured.phases[2].voltage_dv) / 10
    phases = [bench.item(f"energy_import_l{phase}") for phase in (1, 2, 3)]
    assert 2_998 <= sum(int(str(phase)) for phase in phases) <= 3_000


def test_the_credit_is_told() -> None:
    bench = ModbusBench()
    bench.wait(hours=1)
    told = [bench.item(name) for name in ("credit", "credit_accepted_total", "energy_import_total")]
    assert told == [49_000, 50_000, 1_000]
    assert bench.item("meter_number") == bench.meter.keypad.nameplate.meter_pan.drn
    assert bench.item("power_limit") is None
    assert bench.item("time_utc") == int(bench.now.timestamp())


def test_registers_that_there_are_not_are_refused() -> None:
    bench = ModbusBench()
    for register in (0x0017, 0x0099, 0x0300, 0x0200, 0xFFFF):
        with pytest.raises(IllegalDataAddressError):
            bench.face.read(Table.HOLDING, register, 1)
    with pytest.raises(IllegalDataAddressError):
        bench.face.read(Table.INPUT, 0x0100, 4)
    with pytest.raises(IllegalDataAddressError):
        bench.face.write(Table.HOLDING, 0x0100, (1, 2, 3, 4))


def test_orders_by_modbus() -> None:
    bench = ModbusBench()
    bench.face.write(Table.HOLDING, 0x0300, (1,))
    assert (bench.item("contact_state"), bench.item("relay_control")) == ("open", "open")
    assert bench.item("contact_open_reasons") == ("remote order",)
    bench.face.write(Table.HOLDING, 0x0300, (2,))
    assert (bench.item("contact_state"), bench.item("relay_control")) == ("open", "close_allowed")
    bench.face.write(Table.HOLDING, 0x0300, (3,))
    assert (bench.item("contact_state"), bench.item("relay_control")) == ("closed", "closed")
    with pytest.raises(IllegalDataValueError):
        bench.face.write(Table.HOLDING, 0x0300, (4,))
    bench.face.write(Table.HOLDING, 0x0113, (1,))
    with pytest.raises(ServerDeviceFailureError):
        bench.face.write(Table.HOLDING, 0x0300, (1,))
    assert bench.item("relay_protected") == "yes"


def test_the_clock_by_modbus() -> None:
    bench = ModbusBench()
    bench.face.write(Table.HOLDING, 0x0020, (0x6A00, 0x0000))
    assert bench.item("time_utc") == 0x6A000000


# --- tokens ---------------------------------------------------------------------------------------


def tokens(bench: WireBench) -> list[str]:
    good = bench.credit(123)
    wrong = f"{int(good) ^ 1:020d}"
    return [
        good,
        good,
        wrong,
        bench.token(SetMaximumPowerLimit(3, 5_000_900, 4_000)),
        bench.token(InitiateMeterTest(1 << 4, 0)),
        bench.token(ClearCredit(3, 5_000_950, CreditRegister.WATER)),
        wrong,
        wrong,
        bench.credit(5),
        "9" * 20,
    ]


@pytest.mark.parametrize("wire", ["dlt645", "modbus"])
def test_a_token_by_wire_is_a_token_by_keypad(wire: str) -> None:
    by_keypad, by_wire = ModbusBench(), ModbusBench()
    report = keypad_items()[REPORT_DI]
    for sequence, digits in enumerate(tokens(ModbusBench()), 1):
        expected = by_keypad.meter.enter_token(digits, by_keypad.now)
        if wire == "modbus":
            by_wire.load_token(sequence, digits)
            names = [field.name for field in report.fields]
            told = {name: by_wire.item(name) for name in names}
        else:
            assert accepted(by_wire.write(TOKEN_DI, dlt_token(sequence, digits)))
            data = by_wire.data(REPORT_DI)
            assert data is not None
            told = dict(report.decode(data))
        assert told["token_result"] == expected.outcome.value
        assert told["token_credit_added"] == expected.credit_added_wh
        assert told["token_credit_after"] == expected.credit_wh
        assert told["token_locked_s"] == expected.locked_for_s
        assert told["token_sequence"] == sequence
        assert told["token_status"] == "finished"
        assert told["token_fingerprint"] == fingerprint(digits)
        assert by_wire.meter.keypad.state == by_keypad.meter.keypad.state
        assert by_wire.item("tokens_accepted") == by_keypad.meter.tokens_accepted
    assert by_keypad.meter.keypad.locked_for_s > 0, "the series must end in a lock"


def test_what_a_token_was_is_told() -> None:
    bench = ModbusBench()
    assert bench.item("token_status") == "none"
    bench.load_token(1, bench.credit(1))
    assert bench.item("token_class") == 0
    bench.load_token(2, bench.token(SetMaximumPowerLimit(3, 5_000_900, 4_000)))
    assert bench.item("token_class") == 0x200
    bench.load_token(3, "1" * 20)
    assert bench.item("token_class") is None


def test_a_repeated_number_takes_its_token_once() -> None:
    bench = ModbusBench()
    digits = bench.credit(100)
    bench.load_token(7, digits)
    bench.wait(3_600)
    bench.load_token(7, digits)
    assert bench.item("token_result") == Outcome.ACCEPT.value
    assert bench.item("credit") == 59_000
    assert bench.item("token_credit_after") == 60_000
    with pytest.raises(IllegalDataValueError):
        bench.load_token(7, bench.credit(100))
    other = dlt_token(7, bench.credit(100))
    assert refused(bench.write(TOKEN_DI, other)) == ["other"]
    assert bench.item("credit") == 59_000


@pytest.mark.parametrize("words", [(1,), (0,) * 11, (1,) + (0x4141,) * 10, (1,) + (0x3030,) * 9])
def test_what_is_no_token_is_refused(words: tuple[int, ...]) -> None:
    bench = ModbusBench()
    with pytest.raises((IllegalDataValueError, IllegalDataAddressError)):
        bench.face.write(Table.HOLDING, TOKEN_REGISTER, words)
    assert bench.item("token_status") == "none"


def test_a_token_by_wire_leaves_the_typing_alone() -> None:
    bench = ModbusBench()
    for key in "12345":
        bench.meter.press(key, bench.now)
    bench.load_token(1, bench.credit(1))
    assert bench.meter.keypad.typed == "1234-5"


def test_the_dlt645_block_tells_the_same_as_modbus() -> None:
    bench = ModbusBench()
    bench.wait(hours=2)
    bench.load_token(3, bench.credit(7))
    for di, item in keypad_items().items():
        if item.access != "r":
            continue
        data = bench.data(di)
        assert data is not None
        for name, value in item.decode(data).items():
            if name in ("meter_number", "supply_group_code"):
                assert str(bench.item(name)) == str(value)
            else:
                assert bench.item(name) == value, name


def test_a_line_of_modbus_meters_answers_and_a_dark_one_does_not() -> None:
    bench = ModbusBench()
    wire = ModbusWire({1: bench.meter}, KEYPAD, Framing.TCP, bench.clock.now)
    session = Bus(wire).connect()
    request = bytes.fromhex("000100000006010301000004")
    (reply,) = session.receive(request, bench.now, 0.0)
    assert reply.data.hex() == "00010000000b010308000000000000c350"
    bench.meter.power_off(bench.now)
    assert session.receive(request, bench.now, 0.0) == []
    bench.meter.power_on(bench.now)
    assert session.receive(b"\xff" * 20, bench.now, 0.0)[0].disconnects


def test_a_broadcast_does_not_reach_a_dark_meter() -> None:
    bench = ModbusBench()
    session = Bus(ModbusWire({1: bench.meter}, KEYPAD, Framing.RTU, bench.clock.now)).connect()
    words = encode_token(1, bench.credit(1))
    body = b"\x00\x10\x02\x00\x00\x0b\x16" + b"".join(word.to_bytes(2, "big") for word in words)
    bench.meter.power_off(bench.now)
    assert session.receive(body + crc(body), bench.now, 0.0) == []
    bench.meter.power_on(bench.now)
    assert bench.item("token_status") == "none"
    assert session.receive(body + crc(body), bench.now, 0.0) == []
    assert bench.item("token_result") == "Accept"
