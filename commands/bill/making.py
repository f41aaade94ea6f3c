"""``meterhouse bill run``: make what is due, or one bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from commands.bill.asked import account_id_of, bill_object, day_of
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.office import Office

_KINDS: Final = click.Choice(["regular", "non_metering", "instalment", "final"])


@click.command()
@click.option("--day", metavar="DATE", help="Whose bill days. [default: today]")
@click.option(
    "--wait-days",
    type=click.IntRange(0, 27),
    default=5,
    show_default=True,
    help="How long an account waits for its settlements.",
)
@click.option("--account", metavar="NUMBER", help="Make the next bill of this account alone.")
@click.option("--kind", type=_KINDS, default="regular", show_default=True, help="With --account.")
@database_option
@json_option
def run(
    day: str | None,
    wait_days: int,
    account: str | None,
    kind: str,
    database: str,
    as_json: bool,
) -> None:
    """Make the bills that are due, once each.

    Interrupt it and start it again, or start several: nobody is billed twice.
    """
    from billing.bills import run as running

    with open_office(database) as office:
        if account is not None:
            _make_one(office, account, kind, as_json=as_json)
            return
        on = day_of(day) if day else office.today()
        total = running.count_due(office, on)
        with counting("Bills", as_json=as_json, total=total) as told:
            sums = running.run(office, on, wait_days=wait_days, progress=told)
        if as_json:
            print_json(
                {
                    "made": sums.made,
                    "waiting": sums.waiting,
                    "empty": sums.empty,
                    "to_pay_minor": sums.to_pay_minor,
                    "currency": office.currency.code,
                }
            )
            return
        money = f"{office.currency.code} {office.currency.text(sums.to_pay_minor)}"
        console.print(f"{sums.made} bills made, {money} to be paid.")
        if sums.waiting:
            console.print(f"{sums.waiting} accounts wait for their settlements.")


def _make_one(office: Office, number: str, kind: str, *, as_json: bool) -> None:
    from billing.accounts.looking import supplies_of
    from billing.bills.kinds import BillKind
    from billing.bills.making import BillOrder, make_bill
    from billing.bills.run import period_of
    from billing.person import Right

    office.require(Right.BILL)
    wanted = BillKind(kind)
    account_id = account_id_of(office, number)
    with office.writing() as connection:
        period = None
        if wanted is BillKind.REGULAR:
            period = period_of(connection, office, account_id)
            if len(supplies_of(connection, account_id, office.now())) > 1:
                wanted = BillKind.COLLECTIVE
        made = make_bill(connection, office, BillOrder(account_id, wanted, period))
    if as_json:
        print_json(bill_object(made, office))
    else:
        money = f"{made.currency} {office.currency.text(made.to_pay_minor)}"
        console.print(
            f"Bill {made.number} is made: {money} to be paid until {made.due_on(office.zone)}."
        )
