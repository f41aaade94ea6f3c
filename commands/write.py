"""``meterhouse write``: one item of a meter, read back."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.wire.lines import dlt_master, find_profile, modbus_meter
from commands.wire.options import (
    ask_password,
    confirm,
    is_modbus,
    password_options,
    wire_options,
    yes_option,
)
from commands.wire.orders import finish, give
from commands.wire.showing import di_text, dlt_row, value_text
from protocols.dlt645 import catalogue
from protocols.dlt645.catalogue import parse_item, parse_values
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import WriteResult
from protocols.dlt645.master.orders import one_meter
from protocols.outcomes import Outcome

if TYPE_CHECKING:
    from protocols.modbus import Item
    from protocols.modbus import WriteResult as ModbusWriteResult

_RAW = "raw:"


@click.command()
@click.argument("link")
@click.argument("meter")
@click.argument("item")
@click.argument("values", nargs=-1, required=True, metavar="VALUE…")
@password_options
@yes_option
@wire_options
def write(
    link: str,
    meter: str,
    item: str,
    values: tuple[str, ...],
    password: str | None,
    level: int,
    operator: str,
    yes: bool,
    edition: Edition,
    profile: str | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Write one item of a meter, once, and read it back.

    LINK, METER and ITEM are those of `meterhouse read`. VALUE is written as `read` shows it
    (30, "2026-11-21 w6", 21:53:55), one for each element of the item; raw:0102 gives its bytes
    in the order in which they are sent.

    Exit status: 0 the meter holds it now, 3 it does not, 6 nobody can tell.
    """
    if is_modbus(link):
        status = _write_modbus(link, meter, item, values, profile, trace, yes, as_json=as_json)
    else:
        status = _write_dlt645(
            link, meter, item, values, password, level, operator, edition, trace, yes,
            as_json=as_json,
        )  # fmt: skip
    raise SystemExit(status)


def _write_dlt645(
    link: str,
    meter: str,
    item: str,
    texts: tuple[str, ...],
    password: str | None,
    level: int,
    operator: str,
    edition: Edition,
    trace: Path | None,
    yes: bool,
    *,
    as_json: bool,
) -> int:
    di = parse_item(item, edition)
    values = _dlt_values(di, texts, edition)
    address = one_meter(meter, edition)
    secret = ask_password(password, level)
    found = catalogue.find(di, edition)
    name = found.name_en if found is not None else "not in the catalogue"
    confirm(f"Write {' '.join(texts)} to {di_text(di, edition)} ({name}) of {address}?", yes=yes)

    async def order() -> WriteResult:
        async with dlt_master(link, edition, trace) as master:
            return await master.write(address, di, values, secret, operator)

    result = give(order())
    held = dlt_row(result.held).as_object()["values"] if result.held is not None else None
    details: dict[str, Any] = {"meter": address, "item": di_text(di, edition)}
    if as_json:
        details |= {"was_sent": result.was_sent, "held": held}
    return finish(result.outcome, result.text, details, as_json=as_json)


def _dlt_values(di: int, texts: tuple[str, ...], edition: Edition) -> Any:
    if len(texts) == 1 and texts[0].startswith(_RAW):
        try:
            return bytes.fromhex(texts[0].removeprefix(_RAW))
        except ValueError:
            raise click.UsageError("raw: takes bytes in hexadecimal.") from None
    return parse_values(di, texts, edition)


def _write_modbus(
    link: str,
    unit: str,
    name: str,
    texts: tuple[str, ...],
    profile: str | None,
    trace: Path | None,
    yes: bool,
    *,
    as_json: bool,
) -> int:
    item = find_profile(profile).item(name)
    value = _modbus_value(item, " ".join(texts))
    confirm(f"Write {value_text(value)} to {name} of unit {unit}?", yes=yes)

    async def order() -> ModbusWriteResult:
        async with modbus_meter(link, unit, profile, trace) as meter:
            return await meter.write(name, value)

    result = give(order())
    details = {"meter": f"unit {unit}", "item": name, "held": value_text(result.value)}
    if result.outcome is Outcome.UNKNOWN:
        del details["held"]
    return finish(result.outcome, result.text, details, as_json=as_json)


def _modbus_value(item: Item, text: str) -> Decimal | int | str | tuple[str, ...]:
    """What a text stands for, by the kind of value that the item has."""
    from protocols.modbus import Kind

    kind = item.quantity.kind
    if kind is Kind.TEXT:
        return text
    if kind is Kind.FLAGS:
        return tuple(part.strip() for part in text.split(",") if part.strip() != "none")
    try:
        number = Decimal(text)
        if kind is Kind.DECIMAL and number.is_finite():
            return number
        if number == int(number):
            return int(number)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    what = "a number" if kind is Kind.DECIMAL else "a whole number"
    raise click.UsageError(f"{item.name} is {what} ({item.quantity.unit}), not {text!r}.")
