"""``meterhouse items``: which items of DL/T 645 there are, and how they are called."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click
from rich.table import Table

from commands.output import console, error_console, json_option, print_json
from commands.wire.options import edition_option
from commands.wire.showing import di_text
from protocols.dlt645 import catalogue
from protocols.dlt645.catalogue import Item, named
from protocols.dlt645.controls import Edition


@click.command("items")
@click.argument("words", nargs=-1, required=True, metavar="WORD…")
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True)
@edition_option
@json_option
def items(words: tuple[str, ...], limit: int, edition: Edition, as_json: bool) -> None:
    """Find items of DL/T 645 by words of their names, or by identifier.

    \b
    meterhouse items voltage phase a
    meterhouse items 0201FF00

    In an identifier FF in the place of a tariff, a phase or a day means all of them.
    """
    found = _found(" ".join(words), edition)
    if as_json:
        print_json([_object(item) for item in islice(found, limit)])
        return
    if not found:
        raise click.ClickException("No item has all these words in its name.")
    table = Table()
    for column in ("item", "name", "名称", "format", "access", "sure"):
        table.add_column(column, overflow="fold", no_wrap=column == "item")
    for item in islice(found, limit):
        entry = _object(item)
        table.add_row(
            entry["item"],
            entry["name"],
            entry["name_zh"],
            ", ".join(entry["formats"]) or "…",
            entry["access"],
            entry["grade"],
        )
    console.print(table)
    if len(found) > limit:
        error_console.print(f"{len(found) - limit} more: give more words, or --limit.")


def _found(text: str, edition: Edition) -> list[Item]:
    compact = text.replace(" ", "")
    try:
        item = catalogue.find(int(compact, 16), edition) if len(compact) in (4, 8) else None
    except ValueError:
        item = None
    return [item] if item is not None else list(named(text, edition))


def _object(item: Item) -> dict[str, Any]:
    elements = [element for each in (item.members or (item,)) for element in each.elements]
    formats = list(dict.fromkeys(f"{each.format} {each.unit}".strip() for each in elements))
    return {
        "item": di_text(item.di, item.edition),
        "name": item.name_en,
        "name_zh": item.name_zh,
        "formats": formats,
        "access": item.access,
        "grade": item.grade,
    }
