"""``meterhouse refund``: money that goes back, and corrections of accounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option, operator_option, terminal_option
from commands.office import open_office
from commands.output import console, json_option, print_json
from commands.payment import account_id_of

if TYPE_CHECKING:
    from billing.office import Office
    from billing.payments.refund import Refund

_CAUSES: Final = (
    "wrong_reading",
    "wrong_tariff",
    "paid_twice",
    "wrong_account",
    "closing",
    "goodwill",
    "other",
)
_cause = click.option(
    "--cause", type=click.Choice(_CAUSES), required=True, help="For the count by month."
)
_reason = click.option("--reason", required=True, help="Why, in your own words.")
_due = click.option("--due", metavar="DATE", help="Last day to decide and pay it. [default: 10]")
_refund = click.argument("refund_id", metavar="REFUND", type=int)


@click.group()
def refund() -> None:
    """Refunds and corrections: asked by one person, approved by another."""


@refund.command()
@click.argument("number")
@click.argument("amount")
@click.option("--channel", required=True, help="By which it is paid out: counter, bank, ...")
@_cause
@_reason
@_due
@operator_option
@database_option
@json_option
def ask(
    number: str,
    amount: str,
    channel: str,
    cause: str,
    reason: str,
    due: str | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Ask that AMOUNT of the account NUMBER is paid out."""
    from billing.payments.refund import Cause
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        asked = RefundDesk(office).ask(
            account_id_of(office, number),
            office.currency.parse(amount),
            channel=channel,
            cause=Cause(cause),
            reason=reason,
            due_at=_due_at(office, due),
        )
        _answer(office, asked, "is asked: another person approves it", as_json=as_json)


@refund.command()
@click.argument("number")
@click.argument("amount")
@click.option("--against", is_flag=True, help="The customer owes it. [default: is given it]")
@_cause
@_reason
@_due
@operator_option
@database_option
@json_option
def correct(
    number: str,
    amount: str,
    against: bool,
    cause: str,
    reason: str,
    due: str | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Ask for an entry of AMOUNT that puts the account NUMBER right."""
    from billing.payments.refund import Cause
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        minor = office.currency.parse(amount)
        asked = RefundDesk(office).ask_correction(
            account_id_of(office, number),
            -minor if against else minor,
            cause=Cause(cause),
            reason=reason,
            due_at=_due_at(office, due),
        )
        _answer(office, asked, "is asked: another person approves it", as_json=as_json)


@refund.command()
@_refund
@operator_option
@database_option
@json_option
def approve(refund_id: int, operator: str, database: str, as_json: bool) -> None:
    """Be the second person: REFUND may be paid, or its correction is entered."""
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        found = RefundDesk(office).approve(refund_id)
        _answer(office, found, f"is {found.state.value}", as_json=as_json)


@refund.command()
@_refund
@_reason
@operator_option
@database_option
@json_option
def refuse(refund_id: int, reason: str, operator: str, database: str, as_json: bool) -> None:
    """Say no to REFUND."""
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        found = RefundDesk(office).refuse(refund_id, reason)
        _answer(office, found, "is refused", as_json=as_json)


@refund.command()
@_refund
@click.option("--reference", default="", help="Of the transfer by which it was paid.")
@operator_option
@terminal_option
@database_option
@json_option
def pay(
    refund_id: int, reference: str, operator: str, terminal: str, database: str, as_json: bool
) -> None:
    """Say that REFUND is paid; at the counter: hand it out of the drawer now."""
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        found = RefundDesk(office).pay(refund_id, reference=reference, terminal=terminal)
        _answer(office, found, f"is paid by {found.channel}", as_json=as_json)


@refund.command()
@_refund
@_reason
@operator_option
@database_option
@json_option
def fail(refund_id: int, reason: str, operator: str, database: str, as_json: bool) -> None:
    """Give REFUND up: it cannot be paid out, and is on the account again."""
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        found = RefundDesk(office).fail(refund_id, reason)
        _answer(office, found, "is on the account again", as_json=as_json)


@refund.command()
@_refund
@click.argument("channel")
@_reason
@operator_option
@database_option
@json_option
def reroute(
    refund_id: int, channel: str, reason: str, operator: str, database: str, as_json: bool
) -> None:
    """Have REFUND paid by another CHANNEL; it waits for approval again."""
    from billing.payments.refunds import RefundDesk

    with open_office(database, operator) as office:
        found = RefundDesk(office).reroute(refund_id, channel, reason)
        _answer(office, found, f"waits for approval: by {channel}", as_json=as_json)


@refund.command()
@_refund
@database_option
@json_option
def show(refund_id: int, database: str, as_json: bool) -> None:
    """Show REFUND."""
    from billing.payments.refunds import RefundDesk

    with open_office(database) as office:
        plain = _object(RefundDesk(office).refund(refund_id), office)
    if as_json:
        print_json(plain)
        return
    for name, value in plain.items():
        if value not in (None, ""):
            console.print(f"{name:>14}  {value}", soft_wrap=True)


@refund.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Those that are done, too.")
@click.option("--overdue", is_flag=True, help="Only what should have been decided or paid by now.")
@click.option("--account", "number", help="Of one account.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True)
@database_option
@json_option
def list_(
    everything: bool,
    overdue: bool,
    number: str | None,
    limit: int,
    database: str,
    as_json: bool,
) -> None:
    """List what waits, the first due first."""
    from billing.payments.refund import RefundState
    from billing.payments.refunds import RefundDesk

    states = () if everything else (RefundState.ASKED, RefundState.APPROVED)
    with open_office(database) as office:
        found = RefundDesk(office).list(
            states=states,
            overdue=overdue,
            account_id=None if number is None else account_id_of(office, number),
            limit=limit,
        )
        rows = [_object(each, office) for each in found]
        money, now = office.currency, office.now()
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Refund", "Account"):
        table.add_column(heading)
    table.add_column(money.code, justify="right")
    for heading in ("Cause", "By", "State", "Due", "Asked by"):
        table.add_column(heading)
    for each, row in zip(found, rows, strict=True):
        late = each.waits and each.due_at < now
        table.add_row(
            str(each.refund_id),
            each.number or f"payment {each.payment_id}",
            money.text(each.amount_minor),
            each.cause.value,
            each.channel or "entry",
            each.state.value,
            Text(row["due_at"][:10], style="red" if late else ""),
            Text(each.asked_by),
        )
    console.print(table)


@refund.command()
@click.option("--since", metavar="DATE", help="[default: a year ago]")
@click.option("--until", metavar="DATE", help="Last day. [default: today]")
@database_option
@json_option
def causes(since: str | None, until: str | None, database: str, as_json: bool) -> None:
    """Count by month why money went back."""
    from billing.payments.refunds import RefundDesk

    with open_office(database) as office:
        last = _day(until) if until else office.today()
        first = _day(since) if since else last - timedelta(days=365)
        found = RefundDesk(office).causes(
            office.day_start(first), office.day_start(last + timedelta(days=1))
        )
        money = office.currency
    if as_json:
        print_json(
            [
                {
                    "month": each.month,
                    "cause": each.cause,
                    "asked": each.asked,
                    "entered": each.entered,
                    "amount_minor": each.amount_minor,
                }
                for each in found
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Month", "Cause"):
        table.add_column(heading)
    for heading in ("Asked", "Entered", money.code):
        table.add_column(heading, justify="right")
    for each in found:
        amount = money.text(each.amount_minor)
        table.add_row(each.month, each.cause, str(each.asked), str(each.entered), amount)
    console.print(table)


def _due_at(office: Office, due: str | None) -> datetime | None:
    return None if due is None else office.day_start(_day(due) + timedelta(days=1))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day like 2026-11-21.") from None


def _answer(office: Office, found: Refund, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found, office))
        return
    money = office.currency
    console.print(
        f"Refund {found.refund_id} of {money.code} {money.text(found.amount_minor)} {words}."
    )


def _object(each: Refund, office: Office) -> dict[str, Any]:
    def at(moment: datetime | None) -> str | None:
        return None if moment is None else moment.astimezone(office.zone).isoformat()

    last_moment = each.due_at.astimezone(UTC) - timedelta(microseconds=1)
    return {
        "refund": each.refund_id,
        "kind": each.kind.value,
        "account": each.number,
        "payment": each.payment_id,
        "amount_minor": each.amount_minor,
        "currency": office.currency.code,
        "channel": each.channel,
        "cause": each.cause.value,
        "reason": each.reason,
        "state": each.state.value,
        "asked_at": at(each.asked_at),
        "asked_by": each.asked_by,
        "due_at": at(last_moment),
        "routed_by": each.routed_by,
        "decided_by": each.approved_by,
        "paid_at": at(each.paid_at),
        "paid_reference": each.paid_reference,
    }
