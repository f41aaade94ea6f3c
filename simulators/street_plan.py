"""A street described in a small file, TOML or JSON.

::

    seed = 7                        # of everything that looks like chance
    start = 2026-11-21T08:00:00Z    # the meters' time at the beginning; the real time unless given
    speed = 60                      # so many times real time; 1 unless given

    [meter]                         # any of MeterType's ratings, for all meters
    drift_ppm_max = 50

    [[bus]]
    name = "north"
    protocol = "dlt645-2007"        # dlt645-1997, modbus-rtu, modbus-tcp
    meters = 40                     # their numbers follow each other from `first` on
    first = 1
    kind = "keypad"                 # takes STS tokens; or "money", local prepayment
    phases = 1                      # or 3
    load = "home"                   # a seeded home; or so many watts
    credit_kwh = 50                 # of keypad meters; `amount_minor` of money meters
    listen = "127.0.0.1:0"          # or: pty = true, or: dial = "head-end:7000"
    repeat = 25                     # so many buses alike: north-1, north-2, ...
    baud = 2400                     # answers take their time, with delay_ms; unless given, none
    faults = { silence = 10, bit_error = 2, late_ms = [1500, 3000] }
    dead_every = 100                # each hundredth meter never answers

    [bus.modem]                     # with dial; {number} is the bus's own number, 8 digits
    registration = "MH{number}"
    heart_beat = "HB"
    heart_beat_s = 60

A meter's address is its number as the customer sees it (the 11-digit DRN) with a 0 before it; on
Modbus its unit is its place on the bus.  Keypad meters hold keys of the public test key.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from simulators.errors import SimulatorValueError
from simulators.faults import FaultPlan
from simulators.metering.meter_type import DEFAULT_TYPE, MeterType
from simulators.ports import Modem

PROTOCOLS: Final = ("dlt645-2007", "dlt645-1997", "modbus-rtu", "modbus-tcp")
KINDS: Final = ("keypad", "money")
UNITS_MAX: Final = 247
NUMBER_MAX: Final = 99_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """One line, or some alike.

    Raises:
        SimulatorValueError: a street that cannot be built.
    """

    name: str = "bus"
    protocol: str = "dlt645-2007"
    profile: str = "meterhouse-keypad"
    """On Modbus."""
    meters: int = 1
    first: int | None = None
    """Number of the first meter; None: after those of the buses before."""
    kind: str = "keypad"
    phases: int = 1
    load: int | str = "home"
    credit_kwh: int = 50
    amount_minor: int = 5_000
    listen: str | None = None
    pty: bool = False
    dial: str | None = None
    modem: Modem = field(default_factory=Modem)
    repeat: int = 1
    baud: int | None = None
    delay_ms: int = 20
    faults: FaultPlan | None = None
    dead_every: int | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS or self.kind not in KINDS:
            raise SimulatorValueError(
                f"A bus speaks {', '.join(PROTOCOLS)}; its meters are {' or '.join(KINDS)}."
            )
        limit = UNITS_MAX if self.is_modbus else NUMBER_MAX
        if not 1 <= self.meters <= limit or self.repeat < 1:
            raise SimulatorValueError(f"Bus {self.name!r} needs 1-{limit} meters, once or more.")
        if (self.listen is not None) + self.pty + (self.dial is not None) > 1:
            raise SimulatorValueError(f"Bus {self.name!r}: listen, pty or dial, not several.")
        if self.dead_every is not None and self.dead_every < 1:
            raise SimulatorValueError(f"Bus {self.name!r}: dead_every is 1 or more.")
        if isinstance(self.load, str) and self.load != "home":
            raise SimulatorValueError(f'Bus {self.name!r}: a load is "home" or watts.')

    @property
    def is_modbus(self) -> bool:
        """Whether it speaks Modbus."""
        return self.protocol.startswith("modbus")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetPlan:
    """A whole street."""

    buses: tuple[BusPlan, ...] = ()
    seed: int = 0
    start: datetime | None = None
    speed: int = 1
    meter_type: MeterType = DEFAULT_TYPE

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> StreetPlan:
        """A plan from a description.

        Raises:
            SimulatorValueError: something in it is unknown or impossible; says what.
        """
        left = dict(table)
        seed = _take(left, "seed", int, 0)
        buses = _take(left, "bus", list, [])
        start = left.pop("start", None)
        plan = cls(
            buses=tuple(_bus(bus, seed) for bus in buses),
            seed=seed,
            start=None if start is None else _moment(start),
            speed=_take(left, "speed", int, 1),
            meter_type=_meter_type(_take(left, "meter", dict, {})),
        )
        _refuse_rest(left, "the street")
        return plan


def read_street(path: Path) -> StreetPlan:
    """The plan in a file, ``.json`` or TOML.

    Raises:
        SimulatorValueError: it cannot be read, or is no street.
    """
    try:
        text = path.read_text("utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as fault:
        raise SimulatorValueError(f"The street {path} cannot be read: {fault}") from None
    if not isinstance(table, dict):
        raise SimulatorValueError(f"The street {path} is no table.")
    return StreetPlan.from_table(table)


def _bus(given: object, seed: int) -> BusPlan:
    if not isinstance(given, dict):
        raise SimulatorValueError("Each bus is a table.")
    left = dict(given)
    faults = left.pop("faults", None)
    modem = left.pop("modem", None)
    values: dict[str, Any] = {}
    for each in fields(BusPlan):
        if each.name in left and each.name not in ("faults", "modem"):
            values[each.name] = _checked(each.name, left.pop(each.name), str(each.type))
    _refuse_rest(left, f"bus {values.get('name', '')!r}")
    if faults is not None:
        values["faults"] = FaultPlan.from_table(faults, seed)
    if modem is not None:
        values["modem"] = _modem(modem)
    return BusPlan(**values)


def _modem(given: object) -> Modem:
    if not isinstance(given, dict):
        raise SimulatorValueError("A modem is a table.")
    left = dict(given)
    modem = Modem(
        registration=_bytes(left, "registration"),
        heart_beat=_bytes(left, "heart_beat"),
        heart_beat_s=_seconds(left, "heart_beat_s", 60),
        redial_s=_seconds(left, "redial_s", 1),
    )
    _refuse_rest(left, "the modem")
    return modem


def _bytes(left: dict[str, Any], name: str) -> bytes:
    """Text, or hexadecimal under ``<name>_hex``."""
    as_hex = _take(left, f"{name}_hex", str, "")
    try:
        return bytes.fromhex(as_hex) or _take(left, name, str, "").encode("utf-8")
    except ValueError:
        raise SimulatorValueError(f"{name}_hex is not hexadecimal.") from None


def _seconds(left: dict[str, Any], name: str, default: float) -> float:
    value = left.pop(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SimulatorValueError(f"{name} is a number of seconds.")
    return value


_RATINGS: Final = {
    rating.name: str(rating.type)
    for rating in fields(MeterType)
    if str(rating.type) in ("int", "str", "bool")
}


def _meter_type(given: dict[str, Any]) -> MeterType:
    unknown = given.keys() - _RATINGS.keys()
    _refuse_rest(dict.fromkeys(unknown), "[meter]")
    checked = {name: _checked(name, value, _RATINGS[name]) for name, value in given.items()}
    return replace(DEFAULT_TYPE, **checked)


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "int | str": (int, str),
    "int | None": (int,),
    "str | None": (str,),
}


def _checked(name: str, value: object, kind: str) -> Any:
    if type(value) not in _TYPES[kind]:
        raise SimulatorValueError(f"{name} = {value!r}: it needs {kind.removesuffix(' | None')}.")
    return value


def _take(left: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = left.pop(name, default)
    if type(value) is not kind:
        raise SimulatorValueError(f"{name} = {value!r}: it needs {kind.__name__}.")
    return value


def _moment(value: object) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise SimulatorValueError(f"start = {value!r} is no time.") from None
    if moment.tzinfo is None:
        raise SimulatorValueError(f"start = {value} needs a zone, for example a Z behind it.")
    return moment.astimezone(UTC)


def _refuse_rest(left: Mapping[str, object], where: str) -> None:
    if left:
        raise SimulatorValueError(f"Unknown in {where}: {', '.join(sorted(left))}.")
