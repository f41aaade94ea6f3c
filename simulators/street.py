"""A street of meters behind ports, in one process; ten thousands of them.

::

    street = build_street(read_street(Path("street.toml")))
    async with street:
        for port in street.ports:
            print(port.name, port.url)

A test builds one by hand, with a clock that it moves itself, and touches meters through
`Street.meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from protocols.dlt645 import Edition
from protocols.modbus import Framing, load_profile
from simulators.bus import Bus, Pace
from simulators.errors import SimulatorValueError
from simulators.faults import DEAD
from simulators.load import ConstantLoad, HouseholdLoad, LoadProfile, mixed
from simulators.meter_state import MeterKey, MeterState
from simulators.metering.account import NO_CLIENT
from simulators.metering.meter_type import DEFAULT_TYPE, MeterType
from simulators.metering.smart_meter import SmartMeter
from simulators.nameplate import Nameplate
from simulators.ports import ModemPort, Port, PtyPort, TcpPort
from simulators.street_clock import RunningClock, StreetClock
from simulators.street_plan import BusPlan, StreetPlan
from simulators.supply import Registers, Supply
from simulators.wire import Dlt645Wire, ModbusWire, Wire
from vending.sts import (
    BaseDate,
    DecoderKey,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyRevision,
    KeyType,
    MeterPan,
    TariffIndex,
    make_drn,
)
from vending.sts.public_test_key import (
    PUBLIC_TEST_VENDING_KEY,
    TEST_KEY_GENERATION,
    TEST_SUPPLY_GROUP,
)

MANUFACTURER: Final = "01"
"""Of the simulated meters' numbers."""
TEST_BASE_DATE: Final = BaseDate.Y2014
"""Of the tokens that simulated meters take."""
_SEED_OF_LOAD: Final = 1
_SCHEMES: Final = {"modbus-rtu": "modbus+rtu+tcp", "modbus-tcp": "modbus+tcp"}


class NamedPort(NamedTuple):
    """A bus's way in."""

    name: str
    port: Port

    @property
    def url(self) -> str:
        """Where it is reached; of a modem, whom it calls."""
        return self.port.url


class Street:
    """Buses, their ports, one clock.  An asynchronous context: entered, it is reachable."""

    def __init__(
        self, clock: StreetClock, ports: Iterable[NamedPort], buses: Iterable[Bus]
    ) -> None:
        """A street that was built; see `build_street`."""
        self.clock = clock
        self.ports = tuple(ports)
        self.buses = tuple(buses)
        self._meters = {meter.address: meter for bus in self.buses for meter in bus.wire.meters}

    @property
    def meters(self) -> Mapping[str, SmartMeter]:
        """All meters by the address that they had at first."""
        return self._meters

    def meter(self, address: str) -> SmartMeter:
        """One meter, brought up to date.

        Raises:
            SimulatorValueError: there is none.
        """
        meter = self._meters.get(address.zfill(12))
        if meter is None:
            raise SimulatorValueError(f"There is no meter {address} in this street.")
        meter.advance(self.clock.now())
        return meter

    def bus(self, name: str) -> Bus:
        """One bus.

        Raises:
            SimulatorValueError: there is none.
        """
        for bus in self.buses:
            if bus.name == name:
                return bus
        raise SimulatorValueError(f"There is no bus {name!r} in this street.")

    async def start(self) -> None:
        """Open all ports; when one cannot be opened, those that were are closed again.

        Raises:
            OSError: a port cannot be opened.
        """
        begun: list[Port] = []
        try:
            for named in self.ports:
                begun.append(named.port)
                await named.port.start()
        except BaseException:
            for port in begun:
                await port.stop()
            raise

    async def stop(self) -> None:
        """Close all ports; nothing is left running."""
        for named in self.ports:
            await named.port.stop()

    async def __aenter__(self) -> Street:
        """Open all ports."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all ports."""
        await self.stop()


def build_street(plan: StreetPlan, clock: StreetClock | None = None) -> Street:
    """The street of a plan, nothing opened yet.

    Args:
        plan: what is in it.
        clock: the caller's own; otherwise the real one, at the plan's speed.

    Raises:
        SimulatorValueError: two meters have the same number, or a number is too large.
        ProfileError: there is no such Modbus profile.
    """
    if clock is None:
        clock = RunningClock(plan.start or datetime.now(UTC), plan.speed)
    buses: list[Bus] = []
    ports: list[NamedPort] = []
    number, made = 1, 0
    taken: set[str] = set()
    for description in plan.buses:
        if description.first is not None:
            number = description.first
        for repetition in range(description.repeat):
            made += 1
            name = description.name
            if description.repeat > 1:
                name = f"{name}-{repetition + 1}"
            meters = [
                build_meter(
                    serial,
                    clock.now(),
                    seed=plan.seed,
                    kind=description.kind,
                    phases=description.phases,
                    load=description.load,
                    credit_wh=description.credit_kwh * 1000,
                    amount_minor=description.amount_minor,
                    meter_type=plan.meter_type,
                )
                for serial in range(number, number + description.meters)
            ]
            number += description.meters
            twice = taken.intersection(meter.address for meter in meters)
            if twice:
                raise SimulatorValueError(f"Meter {min(twice)} is on two buses.")
            taken.update(meter.address for meter in meters)
            bus = _bus(description, name, meters, clock)
            buses.append(bus)
            port = _port(description, bus, clock, made)
            if port is not None:
                ports.append(NamedPort(name, port))
    return Street(clock, ports, buses)


def build_meter(
    number: int,
    now: datetime,
    *,
    seed: int = 0,
    kind: str = "keypad",
    phases: int = 1,
    load: int | str = "home",
    credit_wh: int = 0,
    amount_minor: int = 0,
    meter_type: MeterType = DEFAULT_TYPE,
) -> SmartMeter:
    """One meter as streets have them.

    Args:
        number: its serial number, 0-99999999; its address is its DRN with a 0 before it.
        now: when it is put up.
        seed: of the street.
        kind: ``keypad`` with a key of the public test key, or ``money``.
        phases: 1 or 3.
        load: ``home``, or watts.
        credit_wh: of a keypad meter.
        amount_minor: of a money meter; with more than 0 its account is open, with count 1 and
            client 000000000000.
        meter_type: ratings.

    Raises:
        SimulatorValueError: a number that no meter has.
    """
    if not 0 <= number <= 99_999_999:
        raise SimulatorValueError(f"A meter's serial number has 8 digits, not {number}.")
    own_seed = mixed(seed, number)
    pan = MeterPan.from_drn(make_drn(MANUFACTURER, f"{number:08d}"))
    counts_money = kind == "money"
    state = MeterState(
        Nameplate(pan, phases=phases, counts_money=counts_money),
        _NO_KEY if counts_money else _test_key(pan),
        now,
        supply=Supply(Registers().with_credit(0 if counts_money else credit_wh)),
    )
    home: LoadProfile = (
        HouseholdLoad(mixed(own_seed, _SEED_OF_LOAD), utc_offset_min=meter_type.utc_offset_min)
        if isinstance(load, str)
        else ConstantLoad(load)
    )
    meter = SmartMeter(pan.drn.zfill(12), state, home, meter_type=meter_type, seed=own_seed)
    purse = meter.flow.supply.purse
    if counts_money and amount_minor and purse is not None:
        meter.set_purse(purse.with_amount(amount_minor), now)
        meter.account = replace(
            meter.account,
            is_open=True,
            client_number=NO_CLIENT,
            count=1,
            total_minor=amount_minor,
        )
    return meter


_ALGORITHM: Final = EncryptionAlgorithm.MISTY1
_NO_KEY: Final = MeterKey(
    DecoderKey(bytes(_ALGORITHM.key_bits // 8)),
    KeyType.INITIALISATION,
    TEST_SUPPLY_GROUP,
    KeyRevision(1),
    TariffIndex("01"),
)
"""Of a money meter, which takes no tokens."""


def _test_key(pan: MeterPan) -> MeterKey:
    attributes = KeyAttributes(
        meter_pan=pan,
        sgc=TEST_SUPPLY_GROUP,
        key_type=KeyType.UNIQUE,
        krn=KeyRevision(1),
        tariff_index=TariffIndex("01"),
        base_date=TEST_BASE_DATE,
        algorithm=_ALGORITHM,
    )
    return MeterKey.derived(TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, attributes)


def _bus(plan: BusPlan, name: str, meters: list[SmartMeter], clock: StreetClock) -> Bus:
    wire: Wire
    if plan.is_modbus:
        framing = Framing.TCP if plan.protocol == "modbus-tcp" else Framing.RTU
        units = dict(enumerate(meters, 1))
        wire = ModbusWire(units, load_profile(plan.profile), framing, clock.now)
    else:
        edition = Edition.Y1997 if plan.protocol == "dlt645-1997" else Edition.Y2007
        wire = Dlt645Wire(meters, edition)
    dead = [] if plan.dead_every is None else meters[plan.dead_every - 1 :: plan.dead_every]
    return Bus(
        wire,
        name=name,
        pace=None if plan.baud is None else Pace(plan.baud, plan.delay_ms),
        faults=plan.faults,
        faults_of={meter.address: DEAD for meter in dead},
    )


def _port(plan: BusPlan, bus: Bus, clock: StreetClock, number: int) -> Port | None:
    if plan.pty:
        return PtyPort(bus, clock, f"baud={plan.baud or 2400}&parity=E")
    if plan.listen is not None:
        host, port = _host_and_port(plan.listen)
        return TcpPort(bus, clock, host, port, _SCHEMES.get(plan.protocol, "tcp"))
    if plan.dial is not None:
        host, port = _host_and_port(plan.dial)
        modem = replace(
            plan.modem,
            registration=_numbered(plan.modem.registration, number),
            heart_beat=_numbered(plan.modem.heart_beat, number),
        )
        return ModemPort(bus, clock, host, port, modem)
    return None


def _numbered(text: bytes, number: int) -> bytes:
    return text.replace(b"{number}", f"{number:08d}".encode("ascii"))


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 0xFFFF:
        raise SimulatorValueError(f"{text!r} is no host:port.")
    return host.strip("[]") or "127.0.0.1", int(port)
