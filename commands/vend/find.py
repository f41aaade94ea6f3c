"""``meterhouse vend find``, ``look``: who it is, and whether it can be sold to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop
from commands.output import console, fault_object, json_option, print_json
from vending.shop.money import scaled

if TYPE_CHECKING:
    from vending import Currency, Standing


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--limit", type=int, default=20, show_default=True, help="At most so many.")
@database_option
@json_option
def find(text: tuple[str, ...], limit: int, database: str, as_json: bool) -> None:
    """Find meters by number, account, identity number, or a part of name or location."""
    with open_shop(database) as shop:
        found = shop.lookup.find(" ".join(text), limit=limit)
    if as_json:
        print_json(
            [
                {
                    "meter": each.number,
                    "customer": each.customer,
                    "account": each.account,
                    "location": each.location,
                    "resource": each.resource,
                    "blocked": each.is_blocked,
                }
                for each in found
            ]
        )
        return
    if not found:
        console.print("Nothing was found.")
        return
    table = Table("Meter", "Customer", "Account", "Location", "", box=None, pad_edge=False)
    for each in found:
        blocked = "blocked" if each.is_blocked else ""
        table.add_row(each.number, each.customer, each.account, each.location, blocked)
    console.print(table)


@click.command()
@click.argument("meter")
@database_option
@json_option
def look(meter: str, database: str, as_json: bool) -> None:
    """Show who METER is, whether it can be sold to, and what is due."""
    with open_shop(database) as shop:
        standing = shop.lookup.confirm_meter(meter)
        currency = shop.utility.currency
    if as_json:
        print_json(_object(standing, currency))
    else:
        _show(standing, currency)


def _object(standing: Standing, currency: Currency) -> dict[str, Any]:
    last, key = standing.last_purchase, standing.key
    why_not = None if standing.why_not is None else fault_object(standing.why_not)["error"]
    return {
        "meter": standing.meter.number,
        "customer": standing.meter.customer,
        "account": standing.meter.account,
        "location": standing.meter.location,
        "resource": standing.meter.resource.value,
        "can_vend": standing.can_vend,
        "why_not": why_not,
        "currency": currency.code,
        "minor_digits": currency.minor_digits,
        "minimum_minor": standing.minimum_minor,
        "maximum_minor": standing.maximum_minor,
        "free_basic_due": standing.free_basic_due,
        "last_purchase": None
        if last is None
        else {
            "receipt_no": last.receipt_no,
            "at": last.at.isoformat(),
            "units": last.units,
            "tendered_minor": last.tendered_minor,
        },
        "debts": [
            {"debt": debt.debt_id, "name": debt.name, "left_minor": debt.left_minor}
            for debt in standing.debts
        ],
        "key": {
            "krn": standing.meter.key.krn,
            "is_outdated": key.is_outdated,
            "base_date_ended": key.base_date_ended,
            "ends": key.ends.isoformat(),
            "ends_soon": key.ends_soon,
            "change_state": key.change_state,
        },
    }


def _show(standing: Standing, currency: Currency) -> None:
    meter, last = standing.meter, standing.last_purchase
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("Meter", meter.number)
    for label, text in (
        ("Customer", meter.customer),
        ("Account", meter.account),
        ("Location", meter.location),
    ):
        if text:
            table.add_row(label, text)
    table.add_row("Can be sold to", "yes" if standing.can_vend else f"no: {standing.why_not}")
    least, most = (currency.text(each) for each in (standing.minimum_minor, standing.maximum_minor))
    table.add_row("Sale", f"{currency.code} {least} to {most}")
    if standing.free_basic_due:
        due = f"{scaled(standing.free_basic_due, 1)} {meter.resource.measure}"
        table.add_row("Free units due", due)
    for debt in standing.debts:
        table.add_row(f"Debt {debt.debt_id}, {debt.name}", currency.text(debt.left_minor))
    if last is not None:
        bought = f"{scaled(last.units, 1)} {meter.resource.measure}"
        table.add_row("Last purchase", f"{last.at:%Y-%m-%d}  {bought}  (receipt {last.receipt_no})")
    if standing.key.is_outdated or standing.key.base_date_ended:
        table.add_row("Key", "is due to be changed")
    elif standing.key.ends_soon:
        table.add_row("Key", f"ends on {standing.key.ends:%Y-%m-%d}")
    console.print(table)
