"""``meterhouse vend rules``: what is asked at the counter, and what takes two people."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop, operator_option
from commands.output import console, json_option, print_json
from commands.vend.sell import parse_units
from vending.shop.money import scaled


@click.command()
@click.option("--double-sale-seconds", type=int, help="Ask about the same sale within; 0: never.")
@click.option("--free-issue-limit", metavar="UNITS", help="More takes two people.")
@click.option("--replacement-limit", metavar="UNITS", help="More takes two people.")
@click.option("--free-basic", metavar="UNITS", help="Each month, where the tariff gives none.")
@click.option("--key-warning-days", type=int, help="Tell so long ahead that a key ends.")
@click.option("--clock-ahead-hours", type=int, help="More waits for a person's word; 0: never.")
@operator_option
@database_option
@json_option
def rules(
    double_sale_seconds: int | None,
    free_issue_limit: str | None,
    replacement_limit: str | None,
    free_basic: str | None,
    key_warning_days: int | None,
    clock_ahead_hours: int | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Show the rules of the counter; set those that are named."""
    changes: dict[str, Any] = {
        "double_sale_window_s": double_sale_seconds,
        "free_issue_limit_units": _units(free_issue_limit),
        "replacement_limit_units": _units(replacement_limit),
        "free_basic_units": _units(free_basic),
        "key_expiry_warning_days": key_warning_days,
        "clock_ahead_max_h": clock_ahead_hours,
    }
    named = {name: value for name, value in changes.items() if value is not None}
    with open_shop(database) as shop:
        found = shop.rules.show()
        if named:
            found = replace(found, **named)
            shop.rules.set(found, operator=operator)
    if as_json:
        print_json(asdict(found))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("Ask about the same sale within", f"{found.double_sale_window_s} s")
    table.add_row("Free issue, two people above", scaled(found.free_issue_limit_units, 1))
    table.add_row("Replacement, two people above", scaled(found.replacement_limit_units, 1))
    table.add_row("Free units of a month", scaled(found.free_basic_units, 1))
    table.add_row("Tell that a key ends", f"{found.key_expiry_warning_days} days ahead")
    table.add_row("Clock ahead of the latest receipt, at most", f"{found.clock_ahead_max_h} h")
    console.print(table)


def _units(text: str | None) -> int | None:
    return None if text is None else parse_units(text)
