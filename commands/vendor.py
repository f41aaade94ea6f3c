"""``meterhouse vendor`` and ``terminal``: who sells on the utility's behalf, and at which till."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop, operator_option
from commands.output import EXIT_CHECK_FAILED, console, json_option, print_json
from commands.vend.options import tender_option
from commands.vend.statement import day_of

if TYPE_CHECKING:
    from vending import Shop
    from vending.cash.vendor_rows import Vendor
    from vending.cash.vendors import Terminal


@click.group()
def vendor() -> None:
    """Vendors: add, list, top up, commission, statement, block."""


@vendor.command()
@click.argument("name")
@click.option("--postpaid", is_flag=True, help="Settles afterwards, instead of from credit.")
@click.option("--credit-limit", default="0", metavar="AMOUNT", help="How far below nothing.")
@operator_option
@database_option
@json_option
def add(
    name: str, postpaid: bool, credit_limit: str, operator: str, database: str, as_json: bool
) -> None:
    """Register vendor NAME."""
    with open_shop(database) as shop:
        added = shop.vendors.add(
            name,
            prepaid=not postpaid,
            credit_limit_minor=shop.utility.currency.parse(credit_limit),
            operator=operator,
        )
        _print_vendor(shop, added, as_json=as_json)


@vendor.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List vendors with their credit."""
    with open_shop(database) as shop:
        found = shop.vendors.all()
        if as_json:
            print_json([_object(shop, each) for each, _ in found])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("number", "name", "credit", "reference for transfers", "blocked"):
            table.add_column(column, justify="right" if column == "credit" else "left")
        for each, credit in found:
            table.add_row(
                str(each.vendor_id),
                each.name,
                shop.utility.currency.text(credit.available_minor),
                shop.vendors.reference(each.vendor_id),
                each.blocked or "",
            )
        console.print(table)


@vendor.command(name="top-up")
@click.argument("number", type=int)
@click.argument("amount")
@click.option("--reference", required=True, help="The payment's; the same one counts once.")
@tender_option
@click.option("--note", default="")
@operator_option
@database_option
@json_option
def top_up(
    number: int,
    amount: str,
    reference: str,
    tender: str,
    note: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Take AMOUNT from vendor NUMBER and give credit for it."""
    from vending import Tender

    with open_shop(database) as shop:
        made = shop.vendors.top_up(
            number,
            shop.utility.currency.parse(amount),
            reference=reference,
            tender=Tender(tender),
            note=note,
            operator=operator,
        )
        available = shop.vendors.credit(number).available_minor
        if as_json:
            print_json(
                {
                    "top_up_id": made.top_up_id,
                    "vendor_id": number,
                    "reference": made.reference,
                    "amount_minor": made.amount_minor,
                    "available_minor": available,
                }
            )
            return
        money = shop.utility.currency
        console.print(f"Credit is now {money.code} {money.text(available)}.", markup=False)


@vendor.command()
@click.argument("number", type=int)
@click.option("--percent", metavar="PERCENT", help="Of what was paid, e.g. 1.5.")
@click.option("--fixed", metavar="AMOUNT", help="For each sale.")
@click.option("--from", "begin", metavar="DATE", help="First day. [default: from now]")
@click.option("--settle", is_flag=True, help="Credit what is earned and not settled yet.")
@operator_option
@database_option
@json_option
def commission(
    number: int,
    percent: str | None,
    fixed: str | None,
    begin: str | None,
    settle: bool,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Show the commission of vendor NUMBER; set another; settle it."""
    from vending.shop.money import parse_scaled

    with open_shop(database) as shop:
        money = shop.utility.currency
        if percent is not None or fixed is not None:
            shop.vendors.set_commission(
                number,
                basis_points=parse_scaled(percent or "0", 2, "A rate", "A rate has"),
                fixed_minor=money.parse(fixed or "0"),
                valid_from=None if begin is None else shop.utility.midnight(day_of(begin)),
                operator=operator,
            )
        settled = shop.vendors.settle_commission(number, operator=operator) if settle else None
        rates = [
            {
                "valid_from": rate.valid_from.isoformat(),
                "basis_points": rate.basis_points,
                "fixed_minor": rate.fixed_minor,
            }
            for rate in shop.vendors.commission(number)
        ]
    if as_json:
        done = None
        if settled is not None:
            done = {
                "receipts": settled.receipts,
                "commission_minor": settled.commission_minor,
            }
        print_json({"vendor_id": number, "rates": rates, "settled": done})
        return
    for rate in rates:
        console.print(
            f"from {rate['valid_from']}  {rate['basis_points']} bp + {rate['fixed_minor']}",
            markup=False,
        )
    if settled is not None:
        words = f"{settled.receipts} receipts settled: {money.text(settled.commission_minor)}."
        console.print(words, markup=False)


@vendor.command()
@click.argument("number", type=int)
@click.option("--since", metavar="DATE", help="First day, in the utility's zone.")
@click.option("--until", metavar="DATE", help="Last day, included.")
@click.option("--csv", "csv_file", type=click.File("w"), help="Write the days to a CSV file.")
@database_option
@json_option
@click.pass_context
def statement(
    ctx: click.Context,
    number: int,
    since: str | None,
    until: str | None,
    csv_file: Any,
    database: str,
    as_json: bool,
) -> None:
    """The statement of vendor NUMBER; exit status 1 when the ledger says otherwise."""
    with open_shop(database) as shop:
        midnight = shop.utility.midnight
        made = shop.vendors.statement(
            number,
            since=None if since is None else midnight(day_of(since)),
            until=None if until is None else midnight(day_of(until) + timedelta(days=1)),
        )
        if csv_file is not None:
            csv_file.write(made.csv())
        if as_json:
            print_json(made.to_json())
        else:
            click.echo(made.text(shop.utility), nl=False)
    ctx.exit(0 if made.agrees else EXIT_CHECK_FAILED)


@vendor.command()
@click.argument("number", type=int)
@click.option("--reason", default="", help="Why; clerks see it.")
@click.option("--undo", is_flag=True, help="Let the vendor sell again.")
@operator_option
@database_option
@json_option
def block(
    number: int, reason: str, undo: bool, operator: str, database: str, as_json: bool
) -> None:
    """Let vendor NUMBER sell nothing until it is unblocked (--undo)."""
    with open_shop(database) as shop:
        if undo:
            changed = shop.vendors.unblock(number, operator=operator)
        else:
            changed = shop.vendors.block(number, reason, operator=operator)
        _print_vendor(shop, changed, as_json=as_json)


# --- terminals ------------------------------------------------------------------------------


@click.group()
def terminal() -> None:
    """Terminals: add, list, assign."""


@terminal.command(name="add")
@click.argument("name")
@click.option("--vendor", "number", type=int, help="Whose; the utility's own if none.")
@operator_option
@database_option
@json_option
def terminal_add(
    name: str, number: int | None, operator: str, database: str, as_json: bool
) -> None:
    """Register terminal NAME."""
    with open_shop(database) as shop:
        added = shop.vendors.add_terminal(name, vendor_id=number, operator=operator)
    _print_terminals([added], as_json=as_json)


@terminal.command(name="list")
@database_option
@json_option
def terminal_list(database: str, as_json: bool) -> None:
    """List terminals."""
    with open_shop(database) as shop:
        found = shop.vendors.terminals()
    _print_terminals(found, as_json=as_json)


@terminal.command()
@click.argument("name")
@click.option("--vendor", "number", type=int, help="To whom; to the utility if none.")
@operator_option
@database_option
@json_option
def assign(name: str, number: int | None, operator: str, database: str, as_json: bool) -> None:
    """Give terminal NAME to a vendor, or back to the utility."""
    with open_shop(database) as shop:
        assigned = shop.vendors.assign_terminal(name, number, operator=operator)
    _print_terminals([assigned], as_json=as_json)


# --- inside ---------------------------------------------------------------------------------


def _print_vendor(shop: Shop, one: Vendor, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(shop, one))
        return
    blocked = f", blocked: {one.blocked}" if one.blocked else ""
    console.print(f"Vendor {one.vendor_id} {one.name}{blocked}.", markup=False)


def _object(shop: Shop, one: Vendor) -> dict[str, Any]:
    credit = shop.vendors.credit(one.vendor_id)
    return {
        "vendor_id": one.vendor_id,
        "name": one.name,
        "prepaid": one.prepaid,
        "credit_limit_minor": one.credit_limit_minor,
        "blocked": one.blocked,
        "available_minor": credit.available_minor,
        "reserved_minor": credit.reserved_minor,
        "reference": shop.vendors.reference(one.vendor_id),
    }


def _print_terminals(found: list[Terminal], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"name": each.name, "vendor_id": each.vendor_id, "blocked": each.blocked}
                for each in found
            ]
        )
        return
    for each in found:
        whose = "the utility" if each.vendor_id is None else f"vendor {each.vendor_id}"
        console.print(f"{each.name}  {whose}", markup=False)
