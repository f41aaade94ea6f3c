"""``meterhouse bill list``, ``show``, ``send``."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.bill.asked import bill_object, write_new
from commands.counter import database_option
from commands.office import open_office
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.bills.bill import Bill
    from billing.office import Office


@click.command(name="list")
@click.option("--account", metavar="NUMBER", help="Of one account.")
@click.option("--open", "only_open", is_flag=True, help="Only what is not paid; with --account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@database_option
@json_option
def list_(account: str | None, only_open: bool, limit: int, database: str, as_json: bool) -> None:
    """List bills, the newest first."""
    from billing.accounts.looking import account_by_number
    from billing.bills.looking import bills_of, newest_bills, open_bills
    from billing.person import Right

    if only_open and account is None:
        raise click.UsageError("--open needs --account.")
    with open_office(database) as office:
        office.require(Right.LOOK)
        with office.reading() as connection:
            if account is None:
                found = newest_bills(connection, limit=limit)
            else:
                account_id = account_by_number(connection, account).account_id
                found = bills_of(connection, account_id, limit=limit)
                if only_open:
                    wanted = {each.bill.bill_id for each in open_bills(connection, account_id)}
                    found = [each for each in found if each.bill_id in wanted]
        if as_json:
            print_json([bill_object(each, office) for each in found])
            return
        table = Table("Bill", "Kind", "Made", "Due", "To pay", box=None, pad_edge=False)
        for each in found:
            table.add_row(
                each.number,
                each.kind.value,
                f"{each.made_at.astimezone(office.zone):%Y-%m-%d}",
                each.due_on(office.zone).isoformat(),
                office.currency.text(each.to_pay_minor),
            )
        console.print(table)


@click.command()
@click.argument("number")
@click.option(
    "--pdf",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the bill as its reader gets it.",
)
@click.option("--language", help="Of the PDF. [default: the customer's]")
@database_option
@json_option
def show(number: str, pdf: Path | None, language: str | None, database: str, as_json: bool) -> None:
    """Show bill NUMBER: its sums, its lines, how it went out."""
    from billing.bills.looking import bill_by_number, document, replaced_by
    from billing.bills.pdf import open_pdf
    from billing.bills.sending import deliveries_of, messages_of
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.LOOK)
        with office.reading() as connection:
            found = bill_by_number(connection, number)
            shown = document(connection, found.bill_id)
            shown_json = bill_object(found, office) | {
                "replaced_by": replaced_by(connection, found.bill_id),
                "lines": [_line_object(each) for each in shown.lines],
                "deliveries": [
                    {
                        "way": each.way,
                        "handed_at": each.handed_at.isoformat(),
                        "notice": each.notice_id,
                        "printed_at": _iso(each.printed_at),
                    }
                    for each in deliveries_of(connection, found.bill_id)
                ],
                "messages": [
                    {
                        "message": each.message_id,
                        "contact": each.contact_id,
                        "channel": each.channel,
                        "language": each.language,
                        "state": each.state,
                        "round": each.round,
                    }
                    for each in messages_of(connection, found.bill_id)
                ],
            }
        if pdf is not None:
            write_new(pdf, open_pdf(office, found.number, language))
        if as_json:
            print_json(shown_json | ({"file": str(pdf)} if pdf else {}))
            return
        _print_bill(found, shown_json, office)
        if pdf is not None:
            console.print(f"The bill is in {pdf}.")


@click.command()
@click.argument("number")
@database_option
@json_option
def send(number: str, database: str, as_json: bool) -> None:
    """Have bill NUMBER sent once more to everybody who gets it."""
    from billing.bills.looking import bill_by_number
    from billing.bills.sending import send_again
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.BILL)
        with office.writing() as connection:
            found = bill_by_number(connection, number)
            notice = send_again(connection, office, found, uuid.uuid4().hex)
    if as_json:
        print_json({"bill": found.number, "notice": notice})
    elif notice is None:
        console.print("The account's people want no notices: nothing was sent.")
    else:
        console.print(f"Notice {notice} takes bill {found.number} to its people.")


def _print_bill(found: Bill, shown: dict[str, Any], office: Office) -> None:
    money = office.currency.text
    console.print(f"{found.kind.value.replace('_', ' ').capitalize()} bill {found.number}")
    if shown["replaced_by"]:
        console.print(f"Withdrawn: {shown['replaced_by']} takes its place.")
    table = Table("", "", box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_row("Previous balance", money(-found.opening_minor))
    for group, minor in found.sums.items():
        if minor:
            table.add_row(group.value.replace("_", " ").capitalize(), money(-minor))
    table.add_row("Total balance", money(-found.total_minor))
    table.add_row("To be paid", f"{found.currency} {money(found.to_pay_minor)}")
    table.add_row("Due", found.due_on(office.zone).isoformat())
    table.add_row("Deposit held", money(found.deposit_minor))
    console.print(table)
    lines = Table("Line", "For", "Quantity", "Rate", "Amount", box=None, pad_edge=False)
    for line in shown["lines"]:
        lines.add_row(
            line["group"],
            line["words"] or line["code"],
            f"{line['quantity'] or ''} {line['unit']}".strip(),
            line["rate"] or "",
            money(-line["amount_minor"]),
        )
    console.print(lines)
    for each in shown["deliveries"]:
        state = f"printed {each['printed_at']}" if each["printed_at"] else each["handed_at"]
        number = f", notice {each['notice']}" if each["notice"] else ""
        console.print(f"{each['way']}: {state}{number}")
    for each in shown["messages"]:
        console.print(f"message {each['message']} by {each['channel']}: {each['state']}")


def _line_object(line: Any) -> dict[str, Any]:
    return {
        "group": line.group.value,
        "code": line.code,
        "words": line.words,
        "amount_minor": line.amount_minor,
        "supply": line.supply_id,
        "tariff": line.tariff,
        "since": _iso(line.since),
        "until": _iso(line.until),
        "quantity": None if line.quantity is None else format(line.quantity, "f"),
        "unit": line.unit,
        "rate": None if line.rate is None else format(line.rate, "f"),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
