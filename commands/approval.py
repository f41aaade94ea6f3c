"""``meterhouse approval``: acts that take two people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from vending.people.approvals import Approval


@click.group()
def approval() -> None:
    """Two-person acts: request, list, show, approve, refuse."""


class _RequestCommand(click.Command):
    """A command whose help lists what each act's request holds."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from vending.people.essences import ESSENCES

        with formatter.section("Acts, and the fields of their requests"):
            formatter.write_dl([(act.value, known.words) for act, known in ESSENCES.items()])
        super().format_epilog(ctx, formatter)


@approval.command(cls=_RequestCommand)
@click.argument("act")
@click.argument("subject")
@click.option(
    "--request",
    "request_json",
    required=True,
    metavar="JSON",
    help="What will be asked, exactly: a request's essence.",
)
@click.option("--reason", required=True, help="Why; the second person reads it.")
@database_option
@json_option
def request(
    act: str, subject: str, request_json: str, reason: str, database: str, as_json: bool
) -> None:
    """Ask that ACT may be done to SUBJECT (a meter, a receipt) once, within a day."""
    try:
        essence = json.loads(request_json, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise click.BadParameter("that is no JSON", param_hint="--request") from None
    if not isinstance(essence, dict):
        raise click.BadParameter("it must be a JSON object", param_hint="--request")
    with open_shop(database) as shop:
        _show(shop.approvals.request(act, subject, essence, reason), as_json=as_json)


@approval.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@database_option
@json_option
def list_(everything: bool, database: str, as_json: bool) -> None:
    """Show what waits for a decision or for its use."""
    with open_shop(database) as shop:
        found = shop.approvals.recent(only_open=not everything)
    if as_json:
        print_json([_object(each) for each in found])
        return
    table = Table("no.", "act", "subject", "asked by", "why", "state")
    for each in found:
        number = str(each.approval_id)
        table.add_row(
            number, each.act, each.subject, each.requested_by, each.reason, each.state.value
        )
    console.print(table, markup=False)


@approval.command()
@click.argument("number", type=int)
@database_option
@json_option
def show(number: int, database: str, as_json: bool) -> None:
    """Show exactly what is asked under NUMBER."""
    with open_shop(database) as shop:
        _show(shop.approvals.show(number), as_json=as_json)


@approval.command()
@click.argument("number", type=int)
@database_option
@json_option
def approve(number: int, database: str, as_json: bool) -> None:
    """Be the second person for NUMBER; read it with `show` first."""
    with open_shop(database) as shop:
        _show(shop.approvals.approve(number), as_json=as_json)


@approval.command()
@click.argument("number", type=int)
@database_option
@json_option
def refuse(number: int, database: str, as_json: bool) -> None:
    """Refuse NUMBER, or withdraw what you asked for yourself."""
    with open_shop(database) as shop:
        _show(shop.approvals.refuse(number), as_json=as_json)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _show(found: Approval, *, as_json: bool) -> None:
    if as_json:
        print_json(_object(found))
        return
    console.print(f"Approval {found.approval_id} is {found.state.value}.", markup=False)
    console.print(f"  {found.act} {found.subject}, asked by {found.requested_by}", markup=False)
    console.print(f"  why: {found.reason}", markup=False)
    console.print(f"  what: {found.essence}", markup=False, soft_wrap=True)


def _object(found: Approval) -> dict[str, Any]:
    return {
        "approval": found.approval_id,
        "act": found.act,
        "subject": found.subject,
        "request": json.loads(found.essence)[1],
        "reason": found.reason,
        "requested_by": found.requested_by,
        "requested_at": found.requested_at.isoformat(),
        "expires_at": found.expires_at.isoformat(),
        "decided_by": found.decided_by,
        "used_by": found.used_by,
        "state": found.state.value,
    }
