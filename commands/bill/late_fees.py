"""``meterhouse bill late-fee``: the rules, the days, how a fee came about."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from commands.bill.asked import CLASSES, day_of
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.bills.late_fees import LateFeeRule

_PPM: Final = Decimal(10_000)
"""Of a percent."""


@click.group(name="late-fee")
def late_fee() -> None:
    """Late fees: the rules, and what is due."""


@late_fee.command(name="set")
@click.argument("customer_class", type=CLASSES)
@click.option("--per-day", required=True, metavar="PERCENT", help="Of what is open: 0.1")
@click.option("--cap", required=True, metavar="PERCENT", help="Of what was overdue: 30")
@click.option("--grace", type=click.IntRange(0, 366), default=0, help="Free days.")
@click.option("--from-amount", default="0", help="Less than this bears none.")
@click.option("--since", metavar="DATE", help="From this day on. [default: today]")
@database_option
@json_option
def set_rule(
    customer_class: str,
    per_day: str,
    cap: str,
    grace: int,
    from_amount: str,
    since: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Set what a class pays for each day behind the due day."""
    from billing.bills.late_fees import LateFeeDesk, LateFeeRule

    with open_office(database) as office:
        rule = LateFeeRule(
            customer_class,
            day_of(since) if since else office.today(),
            _whole(per_day, _PPM, "--per-day"),
            _whole(cap, Decimal(100), "--cap"),
            grace,
            office.currency.parse(from_amount),
        )
        LateFeeDesk(office).set(rule)
        if as_json:
            print_json(_rule_object(rule))
        else:
            console.print(
                f"{customer_class.capitalize()} customers pay {per_day} % a day from {rule.since} "
                f"on, at most {cap} % of what is overdue."
            )


@late_fee.command(name="list")
@database_option
@json_option
def list_rules(database: str, as_json: bool) -> None:
    """List the rules."""
    from billing.bills.late_fees import LateFeeDesk

    with open_office(database) as office:
        found = LateFeeDesk(office).list()
        if as_json:
            print_json([_rule_object(each) for each in found])
            return
        table = Table("Class", "Since", "A day", "At most", "Free days", "From", box=None)
        for each in found:
            table.add_row(
                each.customer_class,
                each.since.isoformat(),
                f"{Decimal(each.per_day_ppm) / _PPM} %",
                f"{Decimal(each.cap_bp) / 100} %",
                str(each.grace_days),
                office.currency.text(each.from_minor),
            )
        console.print(table)


@late_fee.command(name="run")
@database_option
@json_option
def run_late_fees(database: str, as_json: bool) -> None:
    """Charge the days that have ended, each once."""
    from billing.bills.late_fees import sweep
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.BILL)
        posted = sweep(office)
    if as_json:
        print_json({"posted": posted})
    else:
        console.print(f"{posted} late fees charged.")


@late_fee.command(name="explain")
@click.argument("number")
@database_option
@json_option
def explain(number: str, database: str, as_json: bool) -> None:
    """Show how the late fee of bill NUMBER came about, day by day.

    What was given back stands behind the days: of a payment that was made before them and came in
    later, or because the bill was withdrawn.
    """
    from billing.bills.late_fees import late_days_of
    from billing.bills.late_fees_back import given_back
    from billing.bills.looking import bill_by_number
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.LOOK)
        with office.reading() as connection:
            bill = bill_by_number(connection, number)
            days = late_days_of(connection, bill.bill_id)
            backs = given_back(connection, bill.account_id, bill.number)
        if as_json:
            print_json(
                [
                    {
                        "day": each.day.isoformat(),
                        "open_minor": each.open_minor,
                        "per_day_ppm": each.per_day_ppm,
                        "exact_micro": each.exact_micro,
                        "amount_minor": each.amount_minor,
                    }
                    for each in days
                ]
                + [
                    {
                        "day": each.posted_at.astimezone(office.zone).date().isoformat(),
                        "given_back_minor": each.entry.amount_minor,
                    }
                    for each in backs
                ]
            )
            return
        table = Table("Day", "Open", "Rate", "Charged", box=None)
        for each in days:
            table.add_row(
                each.day.isoformat(),
                office.currency.text(each.open_minor),
                f"{Decimal(each.per_day_ppm) / _PPM} %",
                office.currency.text(each.amount_minor),
            )
        for back in backs:
            day = back.posted_at.astimezone(office.zone).date().isoformat()
            amount = office.currency.text(-back.entry.amount_minor)
            table.add_row(day, "given back", "", amount)
        console.print(table)


def _rule_object(rule: LateFeeRule) -> dict[str, Any]:
    return {
        "class": rule.customer_class,
        "since": rule.since.isoformat(),
        "per_day_ppm": rule.per_day_ppm,
        "cap_bp": rule.cap_bp,
        "grace_days": rule.grace_days,
        "from_minor": rule.from_minor,
    }


def _whole(typed: str, scale: Decimal, option: str) -> int:
    try:
        value = Decimal(typed) * scale
    except InvalidOperation:
        raise click.BadParameter(f"{typed!r} is no number.", param_hint=option) from None
    if not value.is_finite() or value != int(value) or value < 0:
        raise click.BadParameter(f"{typed} has too many digits.", param_hint=option)
    return int(value)
