"""Tariffs and prices as ``meterhouse rate`` shows them."""

from __future__ import annotations

from datetime import date, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from rich.table import Table

from commands.output import console

if TYPE_CHECKING:
    from billing.tariffs.store import Listed
    from billing.tariffs.tariff import Tariff
    from billing.tariffs.trying import Trial
    from billing.tariffs.values import ChargeLine, Priced
    from vending import Currency


def _begins(each: Listed, zone: tzinfo) -> date:
    return each.version.since.astimezone(zone).date()


def _ends(each: Listed, zone: tzinfo) -> date | None:
    if each.until is None:
        return None
    return each.until.astimezone(zone).date() - timedelta(days=1)


def listed_object(each: Listed, zone: tzinfo) -> dict[str, Any]:
    last = _ends(each, zone)
    return {
        "code": each.version.code,
        "name": each.version.tariff.name,
        "version": each.version.version,
        "state": each.state.value,
        "first_day": _begins(each, zone).isoformat(),
        "last_day": None if last is None else last.isoformat(),
        "asked_by": each.asked_by,
        "approved_by": each.approved_by or None,
        "withdrawn_by": each.withdrawn_by or None,
        "reason": each.reason or None,
    }


def versions_table(found: list[Listed], zone: tzinfo) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Tariff", "Name", "Version", "First day", "Last day", "State", "By"):
        table.add_column(heading)
    for each in found:
        last = _ends(each, zone)
        by = [each.asked_by, each.approved_by, each.withdrawn_by]
        table.add_row(
            each.version.code,
            each.version.tariff.name,
            str(each.version.version),
            f"{_begins(each, zone)}",
            "" if last is None else f"{last}",
            each.state.value,
            ", ".join(name for name in by if name),
        )
    return table


def show_part(value: dict[str, Any], indent: str) -> None:
    for key, part in value.items():
        if isinstance(part, dict):
            console.print(f"{indent}{key}:")
            show_part(part, f"{indent}  ")
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            for number, each in enumerate(part, 1):
                console.print(f"{indent}{key} {number}:")
                show_part(each, f"{indent}  ")
        else:
            shown = ", ".join(part) if isinstance(part, list) else part
            console.print(f"{indent}{key}: {shown}")


def priced_object(priced: Priced, trial: Trial) -> dict[str, Any]:
    return {
        "tariff": priced.tariff,
        "version": priced.version,
        "first_day": trial.first.isoformat(),
        "last_day": (trial.end - timedelta(days=1)).isoformat(),
        "energy_wh": dict(trial.energy_wh),
        "amount_minor": priced.amount_minor,
        "tax_minor": priced.tax_minor,
        "carried": f"{priced.carried:f}",
        "lines": [_line_object(line) for line in priced.lines],
    }


def _line_object(line: ChargeLine) -> dict[str, Any]:
    return {
        "kind": line.kind.value,
        "code": line.code,
        "words": line.words,
        "amount_minor": f"{line.amount:f}",
        "quantity": None if line.quantity is None else f"{line.quantity:f}",
        "unit": line.unit,
        "rate": None if line.rate is None else f"{line.rate:f}",
    }


def show_priced(priced: Priced, tariff: Tariff, trial: Trial) -> None:
    from billing.tariffs.exact import kwh

    money = tariff.currency
    last = trial.end - timedelta(days=1)
    console.print(
        f"{tariff.name} ({tariff.code}), {trial.first} to {last}: "
        f"{kwh(trial.energy_wh['total'])} kWh"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for line in priced.lines:
        table.add_row(line.words, _major(line, money))
    table.add_row("Total", f"{money.code} {money.text(priced.amount_minor)}")
    if priced.tax_minor:
        table.add_row("of it tax", money.text(priced.tax_minor))
    console.print(table)


def _major(line: ChargeLine, money: Currency) -> str:
    """An exact amount in major units; two digits more than the currency has tell what is left."""
    from decimal import ROUND_HALF_UP, Decimal

    digits = money.minor_digits
    exact = line.amount.scaleb(-digits)
    return f"{exact.quantize(Decimal(1).scaleb(-digits - 2), ROUND_HALF_UP):f}"
