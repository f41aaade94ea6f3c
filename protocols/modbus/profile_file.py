"""How profiles are written: one data file for each meter, none of it code.

A profile is a TOML file (``profiles/*.toml``; an operator's own may lie anywhere)::

    model = "SDM120-Modbus"
    maker = "Eastron"
    confidence = "recorded"          # documented: by the maker; second-hand: by others
    sources = ["where each number comes from"]
    notes = "what one has to know"

    [serial]                         # as it leaves the factory
    baud = 2400
    parity = "N"

    [requests]
    unit = 1                         # as it leaves the factory
    registers_max = 80               # in one request
    gap_max = 0                      # unknown registers that may be read along
    write_function = 16              # or 6, for a single register

    [defaults]                       # what items do not say themselves
    table = "input"
    type = "f32"

    [items]
    voltage_l1 = { register = 0x0000, unit = "V", digits = 1 }

An item says: ``register``, ``table`` (``input``, ``holding``, ``coil``, ``discrete``), ``type``
(see `registers`), ``registers`` (for bcd and ascii), ``word_order``, ``unit`` and ``scale`` (the
raw number times ``scale`` is in ``unit``), ``digits`` (decimals of ``unit`` to round to;
needed for f32), ``sign`` (-1 where import counts as negative), ``times`` (``ct``, ``pt`` or
``ct*pt``: the meter counts on the secondary side), ``invalid`` (raw numbers that mean "no
value"), ``values`` (raw number → name), ``bits`` (bit → name), ``writable``.  Its name is one of
`vocabulary`, which also fixes the unit of what a caller gets.

``[relay]`` and ``[token]`` say how the contact is moved and how a token is given; see
`RelaySpec` and `TokenSpec`.  Everything is checked when a file is loaded.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from protocols.modbus.errors import ModbusValueError, ProfileError
from protocols.modbus.items import Item, Ratio, Table
from protocols.modbus.profile import Confidence, Profile, RelayAction, RelaySpec, TokenSpec
from protocols.modbus.registers import WORD_MAX, Layout, RegisterType, WordOrder
from protocols.modbus.vocabulary import UNIT_POWERS, VOCABULARY, Kind, Quantity
from protocols.transport.address import LineSettings, Parity, StopBits

REGISTERS_MAX: Final = 125
"""Registers in one request, by the standard."""
_DIGITS_MAX: Final = 12
_BITS_MAX: Final = 32
_FOLDER: Final = Path(__file__).parent / "profiles"
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_E = TypeVar("_E", bound=Enum)


def profile_names() -> tuple[str, ...]:
    """The names of the profiles that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@functools.cache
def load_profile(name: str) -> Profile:
    """A profile that comes with the package; read once.

    Raises:
        ProfileError: there is none of this name.
    """
    if name not in profile_names():
        raise ProfileError(
            f"There is no profile {name!r}; there are {', '.join(profile_names())}. "
            "A file of your own is read by its path."
        )
    return read_profile(_FOLDER / f"{name}.toml")


def read_profile(path: Path) -> Profile:
    """Read and check a profile from any file.

    Raises:
        ProfileError: it cannot be read, or has a mistake; names the file and the place.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"Profile {path} cannot be read: {error}.") from None
    return parse_profile(text, name=path.stem, where=str(path))


def parse_profile(text: str, *, name: str, where: str) -> Profile:
    """Check a profile that is already in memory.

    Args:
        text: the TOML text.
        name: the profile's name.
        where: what messages call it, usually its path.

    Raises:
        ProfileError: it has a mistake.
    """
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{where}: not a TOML file: {error}.") from None
    if not _NAME.fullmatch(name):
        raise ProfileError(f"{where}: a profile's name is like eastron-sdm120, not {name!r}.")
    return _profile(_Section(where, content), name)


class _Section:
    """One table of the file: hands out its keys checked, and at the end knows what is left."""

    def __init__(self, where: str, content: Mapping[str, object]) -> None:
        self.where = where
        self._content = dict(content)

    def wrong(self, reason: str) -> ProfileError:
        return ProfileError(f"{self.where}: {reason}")

    def has(self, key: str) -> bool:
        return key in self._content

    def names(self) -> list[str]:
        return list(self._content)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.wrong(f"{key} must be text, not {value!r}.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, None)
        texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
        if not texts or texts != value:
            raise self.wrong(f"{key} must be a list of texts, not {value!r}.")
        return tuple(texts)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(f"{key} must be a whole number {low}-{high}, not {value!r}.")
        return value

    def numbers(self, key: str) -> frozenset[int]:
        value = self._take(key, [])
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
            raise self.wrong(f"{key} must be a list of whole numbers, not {value!r}.")
        return frozenset(numbers)

    def decimal(self, key: str, default: int) -> Decimal:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.wrong(f"{key} must be a number, not {value!r}.")
        number = Decimal(value)
        if not number.is_finite() or not number:
            raise self.wrong(f"{key} must be a finite number other than 0, not {value!r}.")
        return number

    def flag(self, key: str) -> bool:
        value = self._take(key, default=False)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} must be true or false, not {value!r}.")
        return value

    def choice(self, key: str, kind: type[_E], default: str | None = None) -> _E:
        value = self._take(key, default)
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(repr(member.value) for member in kind)
            raise self.wrong(f"{key} must be one of {allowed}, not {value!r}.") from None

    def names_by_number(self, key: str, highest: int) -> Mapping[int, str]:
        """A table whose keys are numbers (TOML writes them as text, 0x.. is allowed)."""
        section = self.section(key)
        found: dict[int, str] = {}
        for text in section.names():
            try:
                number = int(text, 0)
            except ValueError:
                raise section.wrong(f"{text!r} is no number.") from None
            if not 0 <= number <= highest:
                raise section.wrong(f"{text} is not 0-{highest}.")
            found[number] = section.text(text)
        if len(set(found.values())) < len(found):
            raise section.wrong("two numbers have the same name.")
        return MappingProxyType(found)

    def section(self, key: str, defaults: Mapping[str, object] | None = None) -> _Section:
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.wrong(f"{key} must be a table, not {value!r}.")
        return _Section(f"{self.where}: {key}", {**(defaults or {}), **value})

    def rest(self) -> Mapping[str, object]:
        """All that was not taken yet, taken."""
        content, self._content = self._content, {}
        return content

    def end(self) -> None:
        """Refuse whatever was not asked for: mostly a typing error."""
        if self._content:
            raise self.wrong(f"unknown: {', '.join(sorted(self._content))}.")

    def _take(self, key: str, default: object) -> object:
        value = self._content.pop(key, default)
        if value is None:
            raise self.wrong(f"{key} is missing.")
        return value


def _profile(file: _Section, name: str) -> Profile:
    requests = file.section("requests")
    defaults = file.section("defaults").rest()
    rows = file.section("items")
    items = {key: _item(rows.section(key, defaults), key) for key in rows.names()}
    profile = Profile(
        name=name,
        model=file.text("model"),
        maker=file.text("maker"),
        confidence=file.choice("confidence", Confidence),
        sources=file.texts("sources"),
        notes=file.text("notes", "").strip(),
        line=_line(file.section("serial")) if file.has("serial") else None,
        unit=requests.number("unit", 1, 247, 1),
        registers_max=requests.number("registers_max", 1, REGISTERS_MAX, REGISTERS_MAX),
        gap_max=requests.number("gap_max", 0, REGISTERS_MAX, 0),
        write_function=requests.number("write_function", 6, 16, 16),
        items=MappingProxyType(items),
        relay=_relay(file.section("relay"), items) if file.has("relay") else None,
        token=_token(file.section("token"), items) if file.has("token") else None,
    )
    if profile.write_function not in (6, 16):
        raise requests.wrong(f"write_function is 6 or 16, not {profile.write_function}.")
    if not items:
        raise file.wrong("items: there are none.")
    too_long = [i.name for i in items.values() if i.layout.registers > profile.registers_max]
    if too_long:
        raise file.wrong(f"items: {too_long[0]} is longer than one request may be.")
    requests.end()
    file.end()
    return profile


def _line(section: _Section) -> LineSettings:
    stop = section.number("stop", 1, 2, 1)
    line = LineSettings(
        baud=section.number("baud", 300, 4_000_000),
        parity=section.choice("parity", Parity, "N"),
        bits=section.number("bits", 7, 8, 8),
        stop=StopBits(str(stop)),
    )
    section.end()
    return line


def _item(section: _Section, name: str) -> Item:
    quantity = VOCABULARY.get(name)
    if quantity is None:
        raise section.wrong("this name is not in the vocabulary.")
    table = section.choice("table", Table)
    register = section.number("register", 0, WORD_MAX)
    layout = _layout(section, bits=table.is_bits)
    power = _unit_power(section, quantity)
    digits = _digits(section, layout, power)
    scale = section.decimal("scale", 1) * section.number("sign", -1, 1, 1)
    values = section.names_by_number("values", (1 << _BITS_MAX) - 1)
    bits = section.names_by_number("bits", _BITS_MAX - 1)
    if not scale:
        raise section.wrong("sign is 1 or -1.")
    if register + layout.registers > WORD_MAX + 1:
        raise section.wrong("it runs past the last register, 0xFFFF.")
    item = Item(
        name=name,
        quantity=quantity,
        table=table,
        register=register,
        layout=layout,
        scale=scale.scaleb(power),
        digits=digits,
        ratio=section.choice("times", Ratio, ""),
        invalid=section.numbers("invalid"),
        values=values,
        bits=bits,
        writable=section.flag("writable"),
    )
    _check_kind(section, item)
    section.end()
    return item


def _layout(section: _Section, *, bits: bool) -> Layout:
    if bits:
        kind, width = RegisterType.BITS, 1
        section.text("type", "bits")
    else:
        kind = section.choice("type", RegisterType)
        width = kind.width or (1 if kind is RegisterType.BITS else 0)
    registers = section.number("registers", 1, REGISTERS_MAX, width or None)
    order = section.choice("word_order", WordOrder, WordOrder.HIGH_FIRST.value)
    try:
        return Layout(kind, registers, order)
    except ModbusValueError as error:
        raise section.wrong(str(error)) from None


def _unit_power(section: _Section, quantity: Quantity) -> int:
    unit = section.text("unit", "" if quantity.unit in ("", "s") else None)
    base, power = UNIT_POWERS.get(unit, (None, 0))
    if base is None:
        raise section.wrong(f"unit {unit!r} is unknown.")
    if base != quantity.unit and not (unit == "" and quantity.unit == "s"):
        raise section.wrong(f"unit {unit!r} does not measure this; {quantity.unit} would.")
    return power


def _digits(section: _Section, layout: Layout, power: int) -> int | None:
    if not section.has("digits"):
        if layout.type is RegisterType.F32:
            raise section.wrong("digits are missing: an f32 has to be rounded to something.")
        return None
    return section.number("digits", 0, _DIGITS_MAX) - power


def _check_kind(section: _Section, item: Item) -> None:
    kind, type_ = item.quantity.kind, item.layout.type
    if type_ is RegisterType.ASCII and kind is not Kind.TEXT:
        raise section.wrong("ascii is for text.")
    if type_ is RegisterType.BITS and kind is Kind.TEXT and not item.values:
        raise section.wrong("values are missing: what does each bit mean?")
    if type_ is RegisterType.BITS and kind not in (Kind.FLAGS, Kind.TEXT):
        raise section.wrong("single bits are for flags and states.")
    if kind is Kind.FLAGS and not item.bits:
        raise section.wrong("bits are missing: what does each bit mean?")
    if item.bits and kind is not Kind.FLAGS:
        raise section.wrong("bits are for flags.")
    if item.values and kind is not Kind.TEXT:
        raise section.wrong("values are for states.")
    if item.table in (Table.INPUT, Table.DISCRETE) and item.writable:
        raise section.wrong(f"the {item.table.value} table cannot be written.")
    if kind is Kind.ENERGY and type_ is not RegisterType.F32 and item.digits is None:
        exponent = item.scale.as_tuple().exponent
        if isinstance(exponent, int) and exponent < 0 and item.scale != int(item.scale):
            raise section.wrong(f"a step of {item.scale} {item.quantity.unit} needs digits.")


def _relay(section: _Section, items: Mapping[str, Item]) -> RelaySpec:
    table = section.choice("table", Table, Table.HOLDING.value)
    if table not in (Table.HOLDING, Table.COIL):
        raise section.wrong("a relay is moved by a holding register or a coil.")
    highest = 1 if table is Table.COIL else WORD_MAX
    register = section.number("register", 0, WORD_MAX)
    settle_ms = section.number("settle_ms", 0, 60_000, 3000)
    commands = {
        action: section.number(action.value, 0, highest)
        for action in RelayAction
        if section.has(action.value)
    }
    if not {RelayAction.OPEN, RelayAction.CLOSE} & commands.keys():
        raise section.wrong("open and close are missing.")
    _require_states(section, items, "contact_state", {"open", "closed"})
    if RelayAction.ALLOW_CLOSE in commands:
        _require_states(section, items, "relay_control", {"close_allowed"})
    section.end()
    return RelaySpec(
        table=table,
        register=register,
        commands=MappingProxyType(commands),
        settle_ms=settle_ms,
    )


def _token(section: _Section, items: Mapping[str, Item]) -> TokenSpec:
    register = section.number("register", 0, WORD_MAX)
    kind = section.choice("type", RegisterType)
    widths = {RegisterType.ASCII: 10, RegisterType.BCD: 5}
    if kind not in widths:
        raise section.wrong("type is ascii or bcd.")
    has_trigger = section.has("trigger_register")
    spec = TokenSpec(
        register=register,
        layout=Layout(kind, widths[kind]),
        has_sequence=section.flag("has_sequence"),
        trigger_register=section.number("trigger_register", 0, WORD_MAX) if has_trigger else None,
        trigger=section.number("trigger", 0, WORD_MAX, 1),
        finish_ms=section.number("finish_ms", 0, 600_000, 5000),
    )
    _require_states(section, items, "token_result", {"Accept"})
    if spec.has_sequence:
        _require_states(section, items, "token_status", {"processing", "finished"})
        if "token_sequence" not in items or register == 0:
            raise section.wrong("a sequence number needs token_sequence, and a register.")
    section.end()
    return spec


def _require_states(
    section: _Section, items: Mapping[str, Item], name: str, states: Iterable[str]
) -> None:
    known = set(items[name].values.values()) if name in items else set()
    if missing := set(states) - known:
        raise section.wrong(f"item {name} must tell {', '.join(sorted(missing))}.")
