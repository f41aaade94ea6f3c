"""Reading, writing and switching by name, with read-back."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from protocols.modbus import (
    AcknowledgeError,
    IllegalDataAddressError,
    ModbusMeter,
    ModbusValueError,
    Outcome,
    Profile,
    RegisterContentError,
    RegisterImage,
    RelayAction,
    ServerDeviceBusyError,
    Table,
    Transformers,
    Value,
    load_profile,
    order_relay,
    parse_profile,
)
from tests.protocols.modbus.wires import bus_to, losing

HIKING = load_profile("hiking-dds238")
KEYPAD = load_profile("meterhouse-keypad")

WRITABLE = parse_profile(
    """
model = "M"
maker = "M"
confidence = "own"
sources = ["here"]
[defaults]
table = "holding"
[items]
low_credit_limit = { register = 0, type = "u32", unit = "kWh", scale = 0.1, writable = true }
power_limit = { register = 2, type = "u16", unit = "W" }
voltage_l1 = { register = 3, type = "f32", unit = "V", digits = 1, writable = true }
serial_number = { register = 5, type = "bcd", registers = 2 }
contact_state = { table = "coil", register = 1, values = { 0 = "open", 1 = "closed" } }
[relay]
table = "coil"
register = 9
open = 0
close = 1
settle_ms = 100
[requests]
gap_max = 4
""",
    name="m",
    where="m.toml",
)


class Meter(RegisterImage):
    """A unit whose writes may be spoiled; counts them."""

    def __init__(self, profile: Profile, values: dict[str, Value]) -> None:
        super().__init__(profile, values)
        self.profile = profile
        self.writes: list[tuple[Table, int, tuple[int, ...]]] = []
        self.on_write: Callable[[Table, int, tuple[int, ...]], None] = self.take
        self.is_mute = False

    def take(self, table: Table, register: int, words: tuple[int, ...]) -> None:
        super().write(table, register, words)

    def write(self, table: Table, register: int, words: Sequence[int]) -> None:
        self.writes.append((table, register, tuple(words)))
        self.on_write(table, register, tuple(words))

    def set(self, name: str, value: Value) -> None:
        item = self.profile.item(name)
        self.put(item, item.encode(value))


def run(scene: Callable[[ModbusMeter, Meter], object], unit: Meter) -> None:
    async def play() -> None:
        async with bus_to({1: unit}) as bus:
            await scene(ModbusMeter(bus, unit.profile, unit=1), unit)  # type: ignore[misc]

    asyncio.run(play())


def test_reading_by_name() -> None:
    unit = Meter(HIKING, {"energy_import_total": 47330, "voltage_l1": Decimal("230.6")})

    async def scene(meter: ModbusMeter, _unit: Meter) -> None:
        readings = await meter.read(["voltage_l1", "energy_import_total"])
        assert readings.values == {"energy_import_total": 47330, "voltage_l1": Decimal("230.6")}
        assert not readings.faults
        with pytest.raises(ModbusValueError, match="Hiking DDS238-2 ZN/SR has no 'voltage_l2'"):
            await meter.read(["voltage_l2"])

    run(scene, unit)


def test_what_a_meter_lacks_costs_the_others_nothing() -> None:
    unit = Meter(HIKING, {"energy_import_total": 10, "frequency": Decimal("50.01")})

    async def scene(meter: ModbusMeter, _unit: Meter) -> None:
        readings = await meter.read()
        assert readings.values == {"energy_import_total": 10, "frequency": Decimal("50.01")}
        assert isinstance(readings.faults["voltage_l1"], IllegalDataAddressError)
        assert len(readings.values) + len(readings.faults) == len(HIKING.items)

    run(scene, unit)


def test_nonsense_in_one_item_is_its_own_fault() -> None:
    unit = Meter(WRITABLE, {"low_credit_limit": 1000, "voltage_l1": Decimal(1)})
    unit.words |= {(Table.HOLDING, 2): 5, (Table.HOLDING, 5): 0xABCD, (Table.HOLDING, 6): 0}

    async def scene(meter: ModbusMeter, _unit: Meter) -> None:
        readings = await meter.read(["serial_number", "voltage_l1", "power_limit"])
        assert readings.values == {"voltage_l1": Decimal("1.0"), "power_limit": 5}
        assert isinstance(readings.faults["serial_number"], RegisterContentError)

    run(scene, unit)


def test_transformers_multiply() -> None:
    dtsu = load_profile("chint-dtsu666")
    transformers = Transformers(ct=Decimal(40))
    values: dict[str, Value] = {"energy_import_total": 123_440, "current_l1": Decimal("80.000")}
    unit = RegisterImage(dtsu, values, transformers)

    async def play() -> None:
        async with bus_to({1: unit}) as bus:
            meter = ModbusMeter(bus, dtsu, transformers=transformers)
            assert (await meter.read(list(values))).values == values
            direct = await ModbusMeter(bus, dtsu).read(["current_l1"])
            assert direct.values == {"current_l1": Decimal("2.000")}

    asyncio.run(play())


def test_writing_is_read_back() -> None:
    unit = Meter(WRITABLE, {"low_credit_limit": 1000, "voltage_l1": Decimal(1), "power_limit": 5})

    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        result = await meter.write("low_credit_limit", 5000)
        assert result.outcome is Outcome.DONE
        assert result.value == 5000
        assert (await meter.write("voltage_l1", Decimal("230.1"))).value == Decimal("230.1")
        assert unit.writes[0] == (Table.HOLDING, 0, (0, 50))
        with pytest.raises(ModbusValueError, match="power_limit of m cannot be written"):
            await meter.write("power_limit", 7)
        with pytest.raises(ModbusValueError, match="finer than the meter's step of 100 Wh"):
            await meter.write("low_credit_limit", 5001)
        with pytest.raises(ModbusValueError, match="low_credit_limit cannot be '5'"):
            await meter.write("low_credit_limit", "5")
        with pytest.raises(ModbusValueError, match="does not fit u32"):
            await meter.write("low_credit_limit", -100)
        with pytest.raises(ModbusValueError, match="has no way to say that there is no value"):
            await meter.write("low_credit_limit", None)
        assert len(unit.writes) == 2

    run(scene, unit)


def test_a_refused_a_swallowed_and_a_doubtful_write() -> None:
    unit = Meter(WRITABLE, {"low_credit_limit": 1000})

    def refuse(*_: object) -> None:
        raise ServerDeviceBusyError("busy")

    def acknowledge(*_: object) -> None:
        raise AcknowledgeError("later")

    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        unit.on_write = refuse
        result = await meter.write("low_credit_limit", 5000)
        assert result.outcome is Outcome.FAILED
        assert isinstance(result.refusal, ServerDeviceBusyError)
        unit.on_write = lambda *_: None
        result = await meter.write("low_credit_limit", 5000)
        assert result.outcome is Outcome.FAILED
        assert result.text == "low_credit_limit is still 1000."
        unit.on_write = acknowledge
        result = await meter.write("low_credit_limit", 5000)
        assert result.outcome is Outcome.FAILED
        assert isinstance(result.refusal, AcknowledgeError)
        assert len(unit.writes) == 3

    run(scene, unit)


# --- the contact ----------------------------------------------------------------------------


def coil_meter(*, closed: bool) -> Meter:
    unit = Meter(WRITABLE, {"contact_state": "closed" if closed else "open"})

    def move(table: Table, register: int, words: tuple[int, ...]) -> None:
        assert (table, register) == (Table.COIL, 9)
        unit.words[Table.COIL, 1] = words[0]

    unit.on_write = move
    return unit


def test_a_contact_is_opened_and_closed_once() -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        result = await order_relay(meter, RelayAction.OPEN)
        assert (result.outcome, result.contact_state) == (Outcome.DONE, "open")
        assert unit.writes == [(Table.COIL, 9, (0,))]
        again = await order_relay(meter, RelayAction.OPEN)
        assert (again.outcome, again.was_sent) == (Outcome.DONE, False)
        assert len(unit.writes) == 1
        assert (await order_relay(meter, RelayAction.CLOSE)).contact_state == "closed"
        with pytest.raises(ModbusValueError, match="takes no order 'allow_close'"):
            await order_relay(meter, RelayAction.ALLOW_CLOSE)

    run(scene, coil_meter(closed=True))


def test_confirmed_is_not_moved() -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        unit.on_write = lambda *_: None
        result = await order_relay(meter, RelayAction.OPEN)
        assert result.outcome is Outcome.FAILED
        assert result.text == "The meter took the order, but the contact is closed."
        assert len(unit.writes) == 1

    run(scene, coil_meter(closed=True))


@pytest.mark.parametrize(
    ("before", "reads", "outcome", "text"),
    [
        (False, 0, Outcome.DONE, "Done: the contact is open."),
        (False, 1, Outcome.DONE, "Done: the contact is open."),
        (True, 0, Outcome.FAILED, "The order was not carried out: the contact is closed. lost"),
        (False, 99, Outcome.UNKNOWN, "The order was sent, but the contact's state cannot be read"),
    ],
)
def test_an_order_whose_answer_is_lost(
    *, before: bool, reads: int, outcome: Outcome, text: str
) -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        losing(meter, before=before, reads=reads)
        result = await order_relay(meter, RelayAction.OPEN)
        assert result.outcome is outcome
        assert result.text.startswith(text)
        assert len(unit.writes) == (0 if before else 1)

    run(scene, coil_meter(closed=True))


@pytest.mark.parametrize(
    ("before", "reads", "outcome"),
    [(False, 0, Outcome.DONE), (True, 0, Outcome.FAILED), (False, 9, Outcome.UNKNOWN)],
)
def test_a_write_whose_answer_is_lost(*, before: bool, reads: int, outcome: Outcome) -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        losing(meter, before=before, reads=reads)
        assert (await meter.write("low_credit_limit", 5000)).outcome is outcome
        assert len(unit.writes) == (0 if before else 1)

    run(scene, Meter(WRITABLE, {"low_credit_limit": 1000}))


def test_a_slow_contact_is_waited_for() -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        loop = asyncio.get_running_loop()

        def move_later(*_: object) -> None:
            loop.call_later(0.05, unit.set, "contact_state", "open")

        unit.on_write = move_later
        assert (await order_relay(meter, RelayAction.OPEN)).outcome is Outcome.DONE
        assert len(unit.writes) == 1

    run(scene, coil_meter(closed=True))


def test_no_state_no_order() -> None:
    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        unit.words.clear()
        result = await order_relay(meter, RelayAction.OPEN)
        assert (result.outcome, result.was_sent) == (Outcome.FAILED, False)
        assert "could not be read first" in result.text
        assert unit.writes == []

    run(scene, coil_meter(closed=True))


def test_a_keypad_meter_tells_why_its_contact_stays_open() -> None:
    unit = Meter(
        KEYPAD,
        {
            "contact_state": "open",
            "contact_open_reasons": ("credit exhausted", "remote order"),
            "relay_control": "open",
        },
    )

    def obey(table: Table, register: int, words: tuple[int, ...]) -> None:
        assert (table, register) == (Table.HOLDING, 0x0300)
        unit.set("relay_control", {1: "open", 2: "close_allowed", 3: "closed"}[words[0]])
        unit.set("contact_open_reasons", ("credit exhausted",))

    async def scene(meter: ModbusMeter, unit: Meter) -> None:
        unit.on_write = obey
        result = await order_relay(meter, RelayAction.ALLOW_CLOSE)
        assert (result.outcome, result.relay_control) == (Outcome.DONE, "close_allowed")
        result = await order_relay(meter, RelayAction.OPEN)
        assert result.outcome is Outcome.DONE
        assert result.open_reasons == ("credit exhausted",)
        assert len(unit.writes) == 2

    run(scene, unit)
