"""``meterhouse account change``, ``contact``: asked for, approved, refused, taken back, shown."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from commands.account.desk import amount, open_desk, unread_hours
from commands.counter import database_option
from commands.days import DayParameter
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.accounts.desk import AccountDesk
    from billing.accounts.values import Change

_KINDS: Final = ("name", "identity", "language", "class", "address", "terms", "mode", "tariff")
_ROLES: Final = ("customer", "tenant", "landlord", "accountant")
_WHOLE: Final = ("bill_day", "due_days")
_reason_option = click.option("--reason", required=True, help="Why; nothing personal.")


@click.command()
@click.argument("number")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("values", nargs=-1, required=True)
@_reason_option
@click.option(
    "--from", "day", type=DayParameter(), help="From the start of this day. [default: approval]"
)
@click.option("--supply", type=int, help="Which one: for address and tariff.")
@click.option("--consent", help="For mode: how the customer has asked for it.")
@database_option
@json_option
def change(
    number: str,
    kind: str,
    values: tuple[str, ...],
    reason: str,
    day: date | None,
    supply: int | None,
    consent: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Ask for a change of KIND; a second person approves it.

    \b
    VALUES is the new value; for terms one or more of
      cycle=monthly bill_day=5 due_days=20 payment_channel=bank notice_channel=sms
      refund_channel=bank warn=30 floor=0
    """
    with open_desk(database) as desk:
        new = _terms(desk, values) if kind == "terms" else {kind: " ".join(values)}
        _ask(desk, number, kind, new, reason, day, supply_id=supply, consent=consent,
             as_json=as_json)  # fmt: skip


@click.group()
def contact() -> None:
    """People of an account: add, change, end; each is a change that a second person approves."""


def _details(command: Any) -> Any:
    for option in (
        click.option("--name"),
        click.option("--phone"),
        click.option("--email"),
        click.option("--wechat"),
        click.option("--post", help="Address for letters."),
        click.option("--language"),
        click.option("--bill/--no-bill", "gets_bill", default=None, help="Bills go there."),
        click.option("--notices/--no-notices", "gets_notices", default=None, help="Warnings too."),
    ):
        command = option(command)
    return command


@contact.command()
@click.argument("number")
@click.option("--role", type=click.Choice(_ROLES), required=True)
@_details
@_reason_option
@database_option
@json_option
def add(number: str, reason: str, database: str, as_json: bool, **details: Any) -> None:
    """Ask for another contact of an account."""
    with open_desk(database) as desk:
        _ask(desk, number, "contact_add", _given(details), reason, None, as_json=as_json)


@contact.command(name="change")
@click.argument("number")
@click.argument("contact_id", metavar="CONTACT", type=int)
@_details
@_reason_option
@database_option
@json_option
def change_contact(
    number: str, contact_id: int, reason: str, database: str, as_json: bool, **details: Any
) -> None:
    """Ask for a change of the contact CONTACT."""
    with open_desk(database) as desk:
        new = _given(details)
        _ask(desk, number, "contact_change", new, reason, None, contact_id=contact_id,
             as_json=as_json)  # fmt: skip


@contact.command()
@click.argument("number")
@click.argument("contact_id", metavar="CONTACT", type=int)
@_reason_option
@database_option
@json_option
def end(number: str, contact_id: int, reason: str, database: str, as_json: bool) -> None:
    """Ask for the end of the contact CONTACT."""
    with open_desk(database) as desk:
        _ask(desk, number, "contact_end", {}, reason, None, contact_id=contact_id, as_json=as_json)


@click.command()
@click.argument("number", required=False)
@click.option("--waiting", is_flag=True, help="Those alone that wait for approval or their day.")
@click.option("--open", "why", metavar="REASON", help="Of one account: in full; why?")
@database_option
@json_option
def changes(
    number: str | None, waiting: bool, why: str | None, database: str, as_json: bool
) -> None:
    """Show the log of changes: old value, new value, who, when; of one account, or of all."""
    if why is not None and number is None:
        raise click.UsageError("--open needs the NUMBER of one account.")
    with open_desk(database) as desk:
        if why is not None and number is not None:
            found = desk.opened_changes(number, why)
        else:
            found = desk.changes(number, waiting=waiting)
        zone = desk.office.zone
    if as_json:
        print_json([change_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("No", "Kind", "Old", "New", "State", "Asked", "Approved", "From", "Reason"):
        table.add_column(heading)
    for each in found:
        table.add_row(
            str(each.change_id),
            each.kind.value,
            Text(each.old),
            Text(each.new),
            each.state.value,
            Text(each.asked_by),
            Text(each.approved_by or ""),
            each.from_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
            Text(each.words or each.reason),
        )
    console.print(table)


@click.command()
@click.argument("change_id", metavar="CHANGE", type=int)
@database_option
@json_option
def approve(change_id: int, database: str, as_json: bool) -> None:
    """Approve the change CHANGE; somebody else has asked for it."""
    with open_desk(database) as desk:
        done = desk.approve_change(change_id)
    if as_json:
        print_json(change_object(done))
        return
    console.print(f"Change {change_id} is {done.state.value}.")


@click.command()
@click.argument("change_id", metavar="CHANGE", type=int)
@_reason_option
@database_option
@json_option
def refuse(change_id: int, reason: str, database: str, as_json: bool) -> None:
    """Refuse the change CHANGE."""
    with open_desk(database) as desk:
        desk.refuse_change(change_id, reason)
    _say(change_id, "refused", as_json=as_json)


@click.command()
@click.argument("change_id", metavar="CHANGE", type=int)
@_reason_option
@database_option
@json_option
def withdraw(change_id: int, reason: str, database: str, as_json: bool) -> None:
    """Take the change CHANGE back before it is applied."""
    with open_desk(database) as desk:
        desk.withdraw_change(change_id, reason)
    _say(change_id, "withdrawn", as_json=as_json)


def change_object(change: Change) -> dict[str, Any]:
    """A change as JSON answers give it."""
    return {
        "change": change.change_id,
        "kind": change.kind.value,
        "old": change.old,
        "new": change.new,
        "reason": change.reason,
        "consent": change.consent,
        "from_at": change.from_at.isoformat(),
        "state": change.state.value,
        "asked_by": change.asked_by,
        "approved_by": change.approved_by,
        "words": change.words,
    }


def _ask(
    desk: AccountDesk,
    number: str,
    kind: str,
    new: dict[str, Any],
    reason: str,
    day: date | None,
    *,
    as_json: bool,
    **others: Any,
) -> None:
    from billing.accounts.changes import ChangeRequest
    from billing.accounts.values import ChangeKind

    from_at = None if day is None else desk.office.day_start(day)
    change_id = desk.ask_change(
        number, ChangeRequest(ChangeKind(kind), new, reason, from_at, **others)
    )
    lacking = unread_hours(desk, number, new.get("cycle"))
    if as_json:
        print_json({"change": change_id, "state": "asked", "lacking": lacking})
        return
    console.print(
        f"Change {change_id} is asked for. A second person approves it: meterhouse account "
        f"approve {change_id}"
    )
    if lacking is not None:
        console.print(lacking)


def _terms(desk: AccountDesk, values: tuple[str, ...]) -> dict[str, Any]:
    new: dict[str, Any] = {}
    for each in values:
        name, mark, value = each.partition("=")
        if not mark:
            raise click.UsageError(f"{each} is no NAME=VALUE, such as cycle=monthly.")
        if name in ("warn", "floor"):
            new[f"{name}_minor"] = amount(desk, value)
        elif name in _WHOLE:
            if not (value.isascii() and value.isdigit()):
                raise click.UsageError(f"{name} is a whole number.")
            new[name] = int(value)
        else:
            new[name] = value
    return new


def _given(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}


def _say(change_id: int, state: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"change": change_id, "state": state})
    else:
        console.print(f"Change {change_id} is {state}.")
