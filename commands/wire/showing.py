"""Values as tables for people and as objects for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from commands.output import Fault, console
from protocols.dlt645 import catalogue
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import ItemAnswer, ManyAnswers
from protocols.dlt645.status_words import flag_names
from protocols.errors import ProtocolError

if TYPE_CHECKING:
    from protocols.modbus import Profile, Readings


@dataclass(frozen=True, slots=True)
class Shown:
    """One item as it is shown."""

    item: str
    """Identifier, or name in a profile."""
    name: str
    values: tuple[tuple[str, str | None, str], ...] = ()
    """Label, value, unit; a value of None is "not available"."""
    flags: tuple[str, ...] = ()
    """Of a status word: the bits that are set, in words."""
    notes: tuple[str, ...] = ()
    fault: ProtocolError | None = None

    def as_object(self) -> dict[str, Any]:
        """For ``--json``."""
        answer: dict[str, Any] = {"item": self.item, "name": self.name}
        if self.fault is not None:
            assert isinstance(self.fault, Fault)
            error = {"code": self.fault.code, "message": str(self.fault)}
            return answer | {"values": [], "error": error}
        values = [_value_object(*value) for value in self.values]
        answer["values"] = values
        lists = {"flags": list(self.flags), "notes": list(self.notes)}
        return answer | {name: texts for name, texts in lists.items() if texts}


def _value_object(label: str, value: str | None, unit: str) -> dict[str, str | None]:
    named = {"label": label} if label else {}
    return named | {"value": value, "unit": unit}


def di_text(di: int, edition: Edition) -> str:
    """An identifier as it is printed: 8 digits in 2007, 4 in 1997."""
    return f"{di:04X}" if edition is Edition.Y1997 and di <= 0xFFFF else f"{di:08X}"


def dlt_rows(asked: Sequence[int], many: ManyAnswers, edition: Edition) -> list[Shown]:
    """What a DL/T 645 meter told, in the order in which it was asked."""
    rows = []
    for di in asked:
        if di in many.answers:
            rows.append(dlt_row(many.answers[di]))
        else:
            item = catalogue.find(di, edition)
            name = item.name_en if item is not None else ""
            rows.append(Shown(di_text(di, edition), name, fault=many.faults[di]))
    return rows


def dlt_row(answer: ItemAnswer) -> Shown:
    """One item that was read."""
    name = answer.item.name_en if answer.item is not None else "not in the catalogue"
    values = tuple((reading.label, reading.text, reading.unit) for reading in answer.readings)
    flags = [
        flag
        for reading in answer.readings
        if isinstance(reading.value, int) and answer.edition is Edition.Y2007
        for flag in flag_names(answer.di, reading.value)
    ]
    return Shown(
        di_text(answer.di, answer.edition), name, values, tuple(flags), tuple(answer.notes)
    )


def modbus_rows(names: Iterable[str], readings: Readings, profile: Profile) -> list[Shown]:
    """What a Modbus meter told."""
    rows = []
    for name in names:
        quantity = profile.items[name].quantity
        if name in readings.faults:
            rows.append(Shown(name, quantity.text, fault=readings.faults[name]))
            continue
        value = readings.values[name]
        rows.append(Shown(name, quantity.text, (("", value_text(value), quantity.unit),)))
    return rows


def value_text(value: Decimal | int | str | tuple[str, ...] | None) -> str | None:
    """A reading of a profile as text; decimals as they are."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def print_rows(title: str, rows: Sequence[Shown]) -> None:
    """A table for people."""
    table = Table(title=Text(title, "bold"), title_justify="left")
    table.add_column("item", style="dim", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for row in rows:
        _add(table, row)
    console.print(table)


def _add(table: Table, row: Shown) -> None:
    if row.fault is not None:
        table.add_row(row.item, row.name, Text(_short(row.fault), "red"), "")
        return
    several = len(row.values) > 1
    if several:
        table.add_row(row.item, Text(row.name, "bold"), "", "")
    for label, value, unit in row.values:
        shown = Text("not available", "dim") if value is None else Text(value)
        name = f"  {label or '–'}" if several else row.name
        table.add_row("" if several else row.item, name, shown, unit)
    if row.flags:
        table.add_row("", Text(f"  {', '.join(row.flags)}", "cyan"), "", "")
    for note in row.notes:
        table.add_row("", Text(f"  note: {note}", "yellow"), "", "")


def _short(fault: ProtocolError) -> str:
    return str(fault).rstrip(".")


def known(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """The pairs that have a value."""
    return {name: value for name, value in pairs.items() if value is not None}
