"""``meterhouse bill withdraw``: a wrong bill is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from commands.bill.asked import bill_object
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.bills.withdrawing import Withdrawal


@click.command()
@click.argument("number", required=False)
@click.option("--reason", help="What is wrong with it: asks for the withdrawal.")
@click.option("--approve", is_flag=True, help="Withdraw it: by another person than who asked.")
@database_option
@json_option
def withdraw(
    number: str | None, reason: str | None, approve: bool, database: str, as_json: bool
) -> None:
    """Withdraw bill NUMBER; without a number: list what waits for approval.

    Correct the settlement or the fee first.  The bill stays as it was given out; an adjustment bill
    takes its place.
    """
    from billing.bills.looking import bill_by_number
    from billing.bills.withdrawing import WithdrawalDesk

    with open_office(database) as office:
        desk = WithdrawalDesk(office)
        if number is None:
            _list_withdrawals(desk.list(), as_json=as_json)
            return
        if approve == (reason is not None):
            raise click.UsageError("Give --reason to ask for it, or --approve to approve it.")
        with office.reading() as connection:
            found = bill_by_number(connection, number)
        if reason is not None:
            desk.ask(found.bill_id, reason)
            if as_json:
                print_json({"bill": found.number, "state": "asked"})
            else:
                console.print(
                    f"Asked. Somebody else says: meterhouse bill withdraw {found.number} --approve"
                )
            return
        made = desk.approve(found.bill_id)
        if as_json:
            print_json(
                {"bill": found.number, "state": "withdrawn", "by": bill_object(made, office)}
            )
        else:
            console.print(f"Bill {found.number} is withdrawn; {made.number} takes its place.")


def _list_withdrawals(found: Sequence[Withdrawal], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "bill": each.number,
                    "reason": each.reason,
                    "asked_by": each.asked_by,
                    "asked_at": each.asked_at.isoformat(),
                }
                for each in found
            ]
        )
        return
    table = Table("Bill", "Reason", "Asked by", box=None)
    for each in found:
        table.add_row(each.number, each.reason, each.asked_by)
    console.print(table)
