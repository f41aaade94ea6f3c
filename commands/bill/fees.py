"""``meterhouse bill fee``: single fees."""

from __future__ import annotations

import uuid

import click
from rich.table import Table

from commands.bill.asked import account_id_of
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json


@click.group()
def fee() -> None:
    """Single fees: charge, take back, list."""


@fee.command(name="charge")
@click.argument("account")
@click.argument(
    "code",
    type=click.Choice(["connection", "reconnection", "visit", "meter_test", "copy", "other"]),
)
@click.argument("amount")
@click.option("--words", default="", help="For the customer, besides the kind of fee.")
@click.option("--once", help="An id of yours: the same fee is charged once. [default: a new one]")
@database_option
@json_option
def charge(
    account: str, code: str, amount: str, words: str, once: str | None, database: str, as_json: bool
) -> None:
    """Charge ACCOUNT a fee of AMOUNT; it is on the next bill."""
    from billing.bills.fees import Fee, FeeDesk

    with open_office(database) as office:
        asked = Fee(
            account_id_of(office, account),
            code,
            office.currency.parse(amount),
            once or uuid.uuid4().hex,
            words,
        )
        fee_id = FeeDesk(office).charge(asked)
    if as_json:
        print_json({"fee": fee_id})
    else:
        console.print(f"Fee {fee_id} is charged.")


@fee.command(name="back")
@click.argument("fee_id", type=int)
@click.option("--reason", required=True, help="Why.")
@database_option
@json_option
def take_back(fee_id: int, reason: str, database: str, as_json: bool) -> None:
    """Take a fee back: by somebody else than who charged it."""
    from billing.bills.fees import FeeDesk

    with open_office(database) as office:
        FeeDesk(office).take_back(fee_id, reason)
    if as_json:
        print_json({"fee": fee_id, "state": "taken_back"})
    else:
        console.print(f"Fee {fee_id} is taken back.")


@fee.command(name="list")
@click.argument("account")
@database_option
@json_option
def list_fees(account: str, database: str, as_json: bool) -> None:
    """List the fees of ACCOUNT."""
    from billing.bills.fees import FeeDesk

    with open_office(database) as office:
        found = FeeDesk(office).list(account_id_of(office, account))
        if as_json:
            print_json(
                [
                    {
                        "fee": each.fee_id,
                        "code": each.code,
                        "amount_minor": each.amount_minor,
                        "words": each.words,
                        "charged_by": each.charged_by,
                        "charged_at": each.charged_at.isoformat(),
                        "taken_back_by": each.taken_back_by,
                        "reason": each.reason,
                    }
                    for each in found
                ]
            )
            return
        table = Table("Fee", "For", "Amount", "Charged", "By", "Taken back", box=None)
        for each in found:
            table.add_row(
                str(each.fee_id),
                each.words or each.code,
                office.currency.text(each.amount_minor),
                f"{each.charged_at.astimezone(office.zone):%Y-%m-%d}",
                each.charged_by,
                each.reason or "",
            )
        console.print(table)
