"""``meterhouse debt``: what customers owe, and how sales collect it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option, open_shop, operator_option
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from vending import Currency
    from vending.price.debts import Debt
    from vending.price.situation import Scheme


@click.group()
def debt() -> None:
    """Debts: add, list, write off.  A payment at the counter is `meterhouse vend pay`."""


@debt.command()
@click.argument("meter")
@click.argument("amount")
@click.option("--name", required=True, help="What it is, on receipts.")
@click.option("--percent", metavar="PERCENT", help="Collect this share of each sale.")
@click.option("--fixed", metavar="AMOUNT", help="Collect this sum from each sale.")
@click.option("--all", "everything", is_flag=True, help="Collect it wholly before any units.")
@click.option("--block", is_flag=True, help="Sell nothing until it is paid.")
@click.option(
    "--of",
    type=click.Choice(["tendered", "rest"]),
    default="tendered",
    show_default=True,
    help="Share of what is given, or of what fees and charges leave.",
)
@click.option("--reason", required=True, help="Why, for the audit trail.")
@operator_option
@database_option
@json_option
def add(
    meter: str,
    amount: str,
    name: str,
    percent: str | None,
    fixed: str | None,
    everything: bool,
    block: bool,
    of: str,
    reason: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Take over a debt of AMOUNT for METER.

    --percent with --fixed collects the lesser of the two.
    """
    with open_shop(database) as shop:
        money = shop.utility.currency
        scheme = _scheme(money, percent, fixed, of, everything=everything, block=block)
        added = shop.tariffs.add_debt(
            meter,
            name=name,
            principal_minor=money.parse(amount),
            scheme=scheme,
            reason=reason,
            operator=operator,
        )
    _say(added, money, f"Debt {added.debt_id} is taken over", as_json=as_json)


@debt.command(name="list")
@click.argument("meter")
@database_option
@json_option
def list_(meter: str, database: str, as_json: bool) -> None:
    """List the debts of METER, those that are paid off too."""
    with open_shop(database) as shop:
        found = shop.tariffs.debts(meter)
        money = shop.utility.currency
    if as_json:
        print_json([_debt_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Debt", "Name", "Collected"):
        table.add_column(heading)
    for heading in ("Principal", "Left"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(
            str(each.debt_id),
            Text(each.name),
            _scheme_words(each.scheme, money),
            money.text(each.principal_minor),
            money.text(each.left_minor),
        )
    console.print(table)


@debt.command(name="write-off")
@click.argument("debt_id", metavar="DEBT", type=int)
@click.argument("amount", required=False)
@click.option("--reason", required=True, help="Why, for the audit trail.")
@operator_option
@database_option
@json_option
def write_off(
    debt_id: int, amount: str | None, reason: str, operator: str, database: str, as_json: bool
) -> None:
    """Forgive DEBT, or AMOUNT of it.  Takes a second person's approval."""
    with open_shop(database) as shop:
        money = shop.utility.currency
        left = shop.tariffs.write_off(
            debt_id,
            amount_minor=None if amount is None else money.parse(amount),
            reason=reason,
            operator=operator,
        )
    _say(left, money, f"Debt {debt_id} is written off", as_json=as_json)


def _scheme(
    money: Currency,
    percent: str | None,
    fixed: str | None,
    of: str,
    *,
    everything: bool,
    block: bool,
) -> Scheme:
    from vending.price.situation import Of, Scheme, SchemeKind
    from vending.price.words import PERCENT_DIGITS
    from vending.shop.money import parse_scaled

    shared = percent is not None or fixed is not None
    if shared + everything + block != 1:
        raise click.UsageError("Give --percent and/or --fixed, or --all, or --block.")
    if everything or block:
        return Scheme(SchemeKind.ALL if everything else SchemeKind.BLOCK)
    rate = None
    if percent is not None:
        rate = parse_scaled(percent, PERCENT_DIGITS, "A percentage", "A percentage has")
    kind = SchemeKind.LESSER
    if rate is None or fixed is None:
        kind = SchemeKind.FIXED if rate is None else SchemeKind.PERCENT
    return Scheme(kind, rate, None if fixed is None else money.parse(fixed), Of(of))


def _say(each: Debt, money: Currency, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_debt_object(each))
    else:
        console.print(
            f"{words}: {money.code} {money.text(each.left_minor)} are left.", markup=False
        )


def _scheme_words(scheme: Scheme, money: Currency) -> str:
    from vending.price.words import percent_text

    parts = []
    if scheme.rate_bp is not None:
        parts.append(f"{percent_text(scheme.rate_bp)} % of {scheme.of.value}")
    if scheme.fixed_minor is not None:
        parts.append(money.text(scheme.fixed_minor))
    return f"{scheme.kind.value} ({' or '.join(parts)})" if parts else scheme.kind.value


def _debt_object(each: Debt) -> dict[str, Any]:
    return {
        "debt_id": each.debt_id,
        "meter": each.meter,
        "name": each.name,
        "principal_minor": each.principal_minor,
        "left_minor": each.left_minor,
        "scheme": each.scheme.kind.value,
        "rate_bp": each.scheme.rate_bp,
        "fixed_minor": each.scheme.fixed_minor,
        "of": each.scheme.of.value,
        "opened_at": each.opened_at.isoformat(),
        "opened_by": each.opened_by,
        "reason": each.reason,
    }
