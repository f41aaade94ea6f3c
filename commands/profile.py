"""``meterhouse profile``: which Modbus meters are known, and what their registers mean."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from commands.output import console, json_option, print_json
from commands.wire.lines import find_profile
from protocols.modbus import Item, Profile, load_profile, profile_names


@click.group()
def profile() -> None:
    """Modbus meters: their profiles."""


@profile.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the profiles that come with meterhouse; --profile FILE takes your own."""
    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        print_json([_summary(each) for each in profiles])
        return
    table = Table()
    for column in ("profile", "meter", "sure", "factory line", "items", "also"):
        table.add_column(column, overflow="fold", no_wrap=column != "meter")
    for each in profiles:
        also = [word for word, has in (("relay", each.relay), ("tokens", each.token)) if has]
        table.add_row(
            each.name,
            f"{each.maker} {each.model}",
            each.confidence.value,
            str(each.line or "TCP only"),
            str(len(each.items)),
            ", ".join(also),
        )
    console.print(table)


@profile.command("show")
@click.argument("name", metavar="NAME|FILE")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show a profile's items, and where they are known from."""
    found = find_profile(name)
    if as_json:
        items = [_item(item) for item in found.items.values()]
        print_json(
            _summary(found)
            | {"sources": list(found.sources), "notes": found.notes, "values": items}
        )
        return
    console.print(f"{found.maker} {found.model}  ({found.confidence.value})", style="bold")
    console.print(found.notes, markup=False)
    for source in found.sources:
        console.print(f"source: {source}", style="dim", markup=False)
    table = Table()
    for column in ("item", "what", "unit", "registers", "type", "write"):
        table.add_column(column, overflow="fold", no_wrap=column == "item")
    for item in found.items.values():
        entry = _item(item)
        table.add_row(
            entry["item"],
            entry["name"],
            entry["unit"],
            f"{entry['table']} {entry['register']}",
            entry["type"],
            "yes" if entry["writable"] else "",
        )
    console.print(table)


def _summary(found: Profile) -> dict[str, Any]:
    return {
        "profile": found.name,
        "maker": found.maker,
        "model": found.model,
        "confidence": found.confidence.value,
        "line": str(found.line) if found.line else None,
        "unit": found.unit,
        "items": len(found.items),
        "relay": [action.value for action in found.relay.commands] if found.relay else [],
        "tokens": found.token is not None,
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "item": item.name,
        "name": item.quantity.text,
        "unit": item.quantity.unit,
        "table": item.table.value,
        "register": f"{item.register:04X}",
        "registers": item.layout.registers,
        "type": item.layout.type.value,
        "writable": item.writable,
    }
