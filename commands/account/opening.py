"""``meterhouse account apply``, ``check``, ``reject``, ``sign``, ``import``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import click

from commands.account.desk import amount, open_desk, unread_hours
from commands.counter import database_option
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    counting,
    error_console,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from billing.accounts.importing import Imported
    from billing.accounts.opening import Findings

_CLASSES = ("residential", "commercial", "industrial", "public")


@click.command()
@click.argument("name")
@click.argument("identity")
@click.argument("address")
@click.option("--channel", default="counter", show_default=True, help="How it came: web, phone.")
@click.option("--kind", type=click.Choice(["person", "company"]), default="person")
@click.option(
    "--class", "customer_class", type=click.Choice(_CLASSES), default="residential",
    show_default=True,
)  # fmt: skip
@click.option(
    "--mode", type=click.Choice(["prepaid", "postpaid"]), default="postpaid", show_default=True
)
@click.option("--language", help="Of bills and notices. [default: the utility's]")
@click.option("--point", help="The service point, where it is known.")
@click.option("--tariff", help="By which the service point is priced.")
@click.option("--phone")
@click.option("--email")
@click.option("--wechat")
@click.option("--post", help="Address for letters. [default: ADDRESS]")
@database_option
@json_option
def apply(
    name: str,
    identity: str,
    address: str,
    database: str,
    as_json: bool,
    **others: Any,
) -> None:
    """Apply for an account: NAME, the number of the document IDENTITY, ADDRESS of the supply."""
    from billing.accounts.values import Application, ContactDetails

    contact = ContactDetails(
        name,
        email=others.pop("email"),
        phone=others.pop("phone"),
        wechat=others.pop("wechat"),
        post=others.pop("post") or address,
    )
    with open_desk(database) as desk:
        applied = desk.apply(
            Application(name=name, identity=identity, address=address, contact=contact, **others)
        )
    if as_json:
        print_json({"account": applied.number})
        return
    console.print(f"Account {applied.number} is applied for. Next: meterhouse account check.")


@click.command()
@click.argument("number")
@click.option("--same-customer", is_flag=True, help="The one with this identity is the same.")
@click.option("--look", is_flag=True, help="Only say what speaks against it.")
@database_option
@json_option
def check(number: str, same_customer: bool, look: bool, database: str, as_json: bool) -> None:
    """Look at an application again, and take it as sound."""
    with open_desk(database) as desk:
        found = desk.look_again(number) if look else desk.check(number, same_customer=same_customer)
    if as_json:
        print_json({"account": number, "checked": not look} | _findings(found))
        return
    for words in _said(found):
        console.print(words)
    if not look:
        console.print(f"Account {number} is checked. Next: meterhouse account sign.")


def _findings(found: Findings) -> dict[str, Any]:
    return {
        "same_identity": list(found.their_accounts),
        "same_name": len(found.same_name),
        "point_taken": found.point_taken,
    }


def _said(found: Findings) -> list[str]:
    said = []
    if found.same_identity:
        accounts = ", ".join(found.their_accounts) or "none that is open"
        said.append(f"The same identity is there already: accounts {accounts}.")
    if found.same_name:
        said.append(f"Customers with the same name and another identity: {len(found.same_name)}.")
    if found.point_taken is not None:
        said.append(found.point_taken)
    return said or ["Nothing speaks against it."]


@click.command()
@click.argument("number")
@click.option("--reason", required=True, help="Why; nothing personal.")
@database_option
@json_option
def reject(number: str, reason: str, database: str, as_json: bool) -> None:
    """Turn an application down."""
    with open_desk(database) as desk:
        desk.reject(number, reason)
    if as_json:
        print_json({"account": number, "state": "rejected"})
        return
    console.print(f"The application for account {number} is rejected.")


@click.command()
@click.argument("number")
@click.option(
    "--cycle", type=click.Choice(["hourly", "daily", "monthly"]), default="daily",
    show_default=True,
    help="Of settlement; hourly asks for readings of each hour (meterhouse plan add --hourly).",
)  # fmt: skip
@click.option("--bill-day", type=click.IntRange(1, 28), default=1, show_default=True)
@click.option("--due-days", type=click.IntRange(1, 366), default=14, show_default=True)
@click.option("--payment-channel", default="counter", show_default=True)
@click.option("--notice-channel", default="sms", show_default=True, help="Of warnings.")
@click.option("--refund-channel", default="counter", show_default=True)
@click.option("--warn", default="0", show_default=True, help="Prepaid: warn below this balance.")
@click.option("--floor", default="0", show_default=True, help="Prepaid: disconnect below it.")
@click.option("--deposit", default="0", show_default=True, help="First deposit that is asked.")
@database_option
@json_option
def sign(
    number: str,
    warn: str,
    floor: str,
    deposit: str,
    database: str,
    as_json: bool,
    **others: Any,
) -> None:
    """Keep the signed agreement of an account; it is active when its deposit is paid."""
    from billing.accounts.values import Terms

    with open_desk(database) as desk:
        terms = Terms(
            **others,
            warn_minor=amount(desk, warn),
            floor_minor=amount(desk, floor),
            deposit_minor=amount(desk, deposit),
        )
        desk.sign(number, terms)
        card = desk.card(number)
        lacking = unread_hours(desk, number, terms.cycle)
    if as_json:
        print_json(
            {
                "account": number,
                "state": card.account.state,
                "waits": card.waits,
                "lacking": lacking,
            }
        )
        return
    console.print(f"Account {number} is {card.account.state}" + _waits(card.waits))
    if lacking is not None:
        console.print(lacking)


def _waits(words: str | None) -> str:
    return "." if words is None else f": {words}."


@click.command(name="import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--skip-bad", is_flag=True, help="Leave bad lines out.")
@click.option("--dry-run", is_flag=True, help="Try everything, keep nothing.")
@database_option
@json_option
def import_(file: TextIO, skip_bad: bool, dry_run: bool, database: str, as_json: bool) -> None:
    """Bring accounts in from a CSV FILE (- is standard input); tell of every bad line.

    \b
    The first line names the columns; old_number and name must be there:
      old_number name kind identity language class mode cycle bill_day due_days
      payment_channel notice_channel refund_channel warn floor deposit point
      meter tariff since address email phone wechat post balance deposit_held
    Each line is a service point; lines of one old_number are one account.  Nothing is kept when a
    line is bad, unless --skip-bad.  Exit status 1 when a line was bad.
    """
    with open_desk(database) as desk, counting("Lines", as_json=as_json) as tell:
        report = desk.import_accounts(file, skip_bad=skip_bad, dry_run=dry_run, progress=tell)
    _print_report(report, kept=not dry_run and (skip_bad or not report.bad), as_json=as_json)
    if report.bad:
        raise SystemExit(EXIT_CHECK_FAILED)


def _print_report(report: Imported, *, kept: bool, as_json: bool) -> None:
    if as_json:
        bad = [{"line": b.line, "code": b.code, "message": b.message} for b in report.bad]
        print_json(
            {
                "lines": report.lines,
                "accounts": report.accounts,
                "supplies": report.supplies,
                "there": report.there,
                "kept": kept,
                "bad": bad,
            }
        )
        return
    for each in report.bad:
        error_console.print(f"line {each.line}: {each.message}", soft_wrap=True)
    console.print(
        f"{report.lines} lines: {report.accounts} new accounts, {report.supplies} new service "
        f"points, {report.there} there already, {len(report.bad)} bad."
    )
    if not kept:
        console.print("Nothing was kept.")
