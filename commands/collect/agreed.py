"""``collect plan|defer|write-off``: what is agreed on with a debtor, and what is given up."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.collect.common import account_argument, account_id_of, iso, last_day
from commands.counter import database_option
from commands.days import DayParameter
from commands.office import open_office
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.collecting.deferring import Deferral
    from billing.collecting.plan import Plan
    from billing.collecting.writing_off import WriteOff
    from billing.office import Office

_reason = click.option("--reason", required=True, help="Why, for the audit trail.")
_amount = click.option("--amount", help="Of what is owed; default: all that is overdue.")
_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)


@click.group()
def plan() -> None:
    """Instalment plans: ask, approve, refuse, show, list."""


@plan.command(name="ask")
@account_argument
@click.argument("parts", type=click.IntRange(2, 60))
@_reason
@_amount
@click.option("--first", type=DayParameter(), help="Last day to pay the first part.")
@click.option("--every", type=click.IntRange(1, 366), help="Days between parts.")
@database_option
@json_option
def ask_plan(
    account: str,
    parts: int,
    reason: str,
    amount: str | None,
    first: date | None,
    every: int | None,
    database: str,
    as_json: bool,
) -> None:
    """Have what ACCOUNT owes paid in PARTS; above a limit it waits for a second person."""
    from billing.collecting.plans import PlanDesk

    with open_office(database) as office:
        found = PlanDesk(office).ask(
            account_id_of(office, account),
            parts=parts,
            reason=reason,
            amount_minor=_minor(office, amount),
            first_on=first,
            days_between=every,
        )
        _say_plan(office, found, as_json=as_json)


@plan.command(name="approve")
@click.argument("number", metavar="PLAN", type=int)
@database_option
@json_option
def approve_plan(number: int, database: str, as_json: bool) -> None:
    """Be the second person of PLAN: it begins."""
    from billing.collecting.plans import PlanDesk

    with open_office(database) as office:
        _say_plan(office, PlanDesk(office).approve(number), as_json=as_json)


@plan.command(name="refuse")
@click.argument("number", metavar="PLAN", type=int)
@_reason
@database_option
@json_option
def refuse_plan(number: int, reason: str, database: str, as_json: bool) -> None:
    """Refuse PLAN, which waits for a second person."""
    from billing.collecting.plans import PlanDesk

    with open_office(database) as office:
        _say_plan(office, PlanDesk(office).refuse(number, reason), as_json=as_json)


@plan.command(name="show")
@click.argument("number", metavar="PLAN", type=int)
@database_option
@json_option
def show_plan(number: int, database: str, as_json: bool) -> None:
    """Show PLAN and its parts."""
    from billing.collecting.plans import PlanDesk

    with open_office(database) as office:
        _say_plan(office, PlanDesk(office).show(number), as_json=as_json)


@plan.command(name="list")
@click.option(
    "--state", type=click.Choice(["asked", "active", "kept", "broken", "ended", "refused"])
)
@_limit
@database_option
@json_option
def list_plans(state: str | None, limit: int, database: str, as_json: bool) -> None:
    """List instalment plans, the newest first."""
    from billing.collecting.plan import PlanState
    from billing.collecting.plans import PlanDesk

    with open_office(database) as office:
        wanted = None if state is None else PlanState(state)
        found = PlanDesk(office).list(state=wanted, limit=limit)
        numbers = _numbers_of(office, [each.account_id for each in found])
        if as_json:
            print_json([_plan_object(each, numbers) for each in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("Plan", "Account", "State", "Parts"):
            table.add_column(heading)
        for heading in ("Amount", "To come"):
            table.add_column(heading, justify="right")
        table.add_column("Reason")
        for each in found:
            table.add_row(
                str(each.plan_id),
                numbers[each.account_id],
                each.state.value,
                str(len(each.parts)),
                office.currency.text(each.amount_minor),
                office.currency.text(each.left_minor if each.agreed_at else 0),
                Text(each.reason),
            )
        console.print(table)


@click.group()
def defer() -> None:
    """Later due dates: ask, approve, refuse, list."""


@defer.command(name="ask")
@account_argument
@click.argument("until", type=DayParameter())
@_reason
@_amount
@database_option
@json_option
def ask_deferral(
    account: str, until: date, reason: str, amount: str | None, database: str, as_json: bool
) -> None:
    """Let ACCOUNT pay what it owes UNTIL a later day; above a limit it takes a second person."""
    from billing.collecting.deferring import DeferralDesk

    with open_office(database) as office:
        found = DeferralDesk(office).ask(
            account_id_of(office, account),
            until=until,
            reason=reason,
            amount_minor=_minor(office, amount),
        )
        _say_deferral(office, found, as_json=as_json)


@defer.command(name="approve")
@click.argument("number", metavar="DEFERRAL", type=int)
@database_option
@json_option
def approve_deferral(number: int, database: str, as_json: bool) -> None:
    """Be the second person of DEFERRAL."""
    from billing.collecting.deferring import DeferralDesk

    with open_office(database) as office:
        _say_deferral(office, DeferralDesk(office).approve(number), as_json=as_json)


@defer.command(name="refuse")
@click.argument("number", metavar="DEFERRAL", type=int)
@_reason
@database_option
@json_option
def refuse_deferral(number: int, reason: str, database: str, as_json: bool) -> None:
    """Refuse DEFERRAL, which waits for a second person."""
    from billing.collecting.deferring import DeferralDesk

    with open_office(database) as office:
        _say_deferral(office, DeferralDesk(office).refuse(number, reason), as_json=as_json)


@defer.command(name="list")
@click.option("--state", type=click.Choice(["asked", "granted", "refused"]))
@_limit
@database_option
@json_option
def list_deferrals(state: str | None, limit: int, database: str, as_json: bool) -> None:
    """List later due dates, the newest first."""
    from billing.collecting.deferring import DeferralDesk

    with open_office(database) as office:
        found = DeferralDesk(office).list(state=state, limit=limit)
        numbers = _numbers_of(office, [each.account_id for each in found])
        if as_json:
            print_json([_deferral_object(each, numbers) for each in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("Deferral", "Account", "State", "Amount", "Until", "Reason"):
            table.add_column(heading)
        for each in found:
            table.add_row(
                str(each.deferral_id),
                numbers[each.account_id],
                each.state,
                office.currency.text(each.amount_minor),
                last_day(office, each.due_at),
                Text(each.reason),
            )
        console.print(table)


@click.group(name="write-off")
def write_off() -> None:
    """Debts that are given up: ask, approve, refuse, list."""


@write_off.command(name="ask")
@account_argument
@_reason
@click.option("--amount", help="Of what is owed; default: all of it.")
@database_option
@json_option
def ask_write_off(
    account: str, reason: str, amount: str | None, database: str, as_json: bool
) -> None:
    """Ask that what ACCOUNT owes is given up; a second person approves it."""
    from billing.collecting.writing_off import WriteOffDesk

    with open_office(database) as office:
        found = WriteOffDesk(office).ask(
            account_id_of(office, account), reason=reason, amount_minor=_minor(office, amount)
        )
        _say_write_off(office, found, as_json=as_json)


@write_off.command(name="approve")
@click.argument("number", metavar="WRITE-OFF", type=int)
@database_option
@json_option
def approve_write_off(number: int, database: str, as_json: bool) -> None:
    """Be the second person: the debt is given up.  What comes in later is recovered."""
    from billing.collecting.writing_off import WriteOffDesk

    with open_office(database) as office:
        _say_write_off(office, WriteOffDesk(office).approve(number), as_json=as_json)


@write_off.command(name="refuse")
@click.argument("number", metavar="WRITE-OFF", type=int)
@_reason
@database_option
@json_option
def refuse_write_off(number: int, reason: str, database: str, as_json: bool) -> None:
    """Refuse a write-off that waits for a second person."""
    from billing.collecting.writing_off import WriteOffDesk

    with open_office(database) as office:
        _say_write_off(office, WriteOffDesk(office).refuse(number, reason), as_json=as_json)


@write_off.command(name="list")
@click.option("--state", type=click.Choice(["asked", "done", "refused"]))
@_limit
@database_option
@json_option
def list_write_offs(state: str | None, limit: int, database: str, as_json: bool) -> None:
    """List write-offs, the newest first."""
    from billing.collecting.writing_off import WriteOffDesk

    with open_office(database) as office:
        found = WriteOffDesk(office).list(state=state, limit=limit)
        numbers = _numbers_of(office, [each.account_id for each in found])
        if as_json:
            print_json([_write_off_object(each, numbers) for each in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("Write-off", "Account", "State"):
            table.add_column(heading)
        for heading in ("Amount", "Recovered"):
            table.add_column(heading, justify="right")
        table.add_column("Reason")
        for each in found:
            table.add_row(
                str(each.write_off_id),
                numbers[each.account_id],
                each.state,
                office.currency.text(each.amount_minor),
                office.currency.text(each.recovered_minor),
                Text(each.reason),
            )
        console.print(table)


def _minor(office: Office, amount: str | None) -> int | None:
    return None if amount is None else office.currency.parse(amount)


def _numbers_of(office: Office, account_ids: list[int]) -> dict[int, str]:
    from billing.accounts.looking import accounts_of

    with office.reading() as connection:
        found = accounts_of(connection, account_ids)
    return {account_id: each.number for account_id, each in found.items()}


def _say_plan(office: Office, found: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(_plan_object(found, _numbers_of(office, [found.account_id])))
        return
    money = office.currency
    console.print(
        f"Plan {found.plan_id} is {found.state.value}: {money.code} "
        f"{money.text(found.amount_minor)} in {len(found.parts)} parts."
    )
    if found.state == "asked":
        console.print(f"A second person has to approve it: {found.two_because}.")
    table = Table(box=None, pad_edge=False)
    for heading in ("Part", "Amount", "Until", "Asked for"):
        table.add_column(heading)
    for each in found.parts:
        table.add_row(
            str(each.number),
            money.text(each.amount_minor),
            last_day(office, each.due_at),
            "" if each.called_at is None else "yes",
        )
    console.print(table)


def _say_deferral(office: Office, found: Deferral, *, as_json: bool) -> None:
    if as_json:
        print_json(_deferral_object(found, _numbers_of(office, [found.account_id])))
        return
    money = office.currency
    words = f"{money.code} {money.text(found.amount_minor)} until {last_day(office, found.due_at)}"
    console.print(f"Deferral {found.deferral_id} is {found.state}: {words}.")
    if found.state == "asked":
        console.print(f"A second person has to approve it: {found.two_because}.")


def _say_write_off(office: Office, found: WriteOff, *, as_json: bool) -> None:
    if as_json:
        print_json(_write_off_object(found, _numbers_of(office, [found.account_id])))
        return
    money = office.currency
    console.print(
        f"Write-off {found.write_off_id} is {found.state}: {money.code} "
        f"{money.text(found.amount_minor)}."
    )
    if found.state == "asked":
        console.print("A second person has to approve it.")


def _plan_object(found: Plan, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "plan": found.plan_id,
        "account": numbers[found.account_id],
        "state": found.state.value,
        "amount_minor": found.amount_minor,
        "reason": found.reason,
        "two_because": found.two_because,
        "asked_by": found.asked_by,
        "approved_by": found.approved_by,
        "agreed_at": iso(found.agreed_at),
        "ended_at": iso(found.ended_at),
        "parts": [
            {
                "number": each.number,
                "amount_minor": each.amount_minor,
                "due_at": each.due_at.isoformat(),
                "called_at": iso(each.called_at),
            }
            for each in found.parts
        ],
    }


def _deferral_object(found: Deferral, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "deferral": found.deferral_id,
        "account": numbers[found.account_id],
        "state": found.state,
        "amount_minor": found.amount_minor,
        "due_at": found.due_at.isoformat(),
        "reason": found.reason,
        "two_because": found.two_because,
        "asked_by": found.asked_by,
        "approved_by": found.approved_by,
    }


def _write_off_object(found: WriteOff, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "write_off": found.write_off_id,
        "account": numbers[found.account_id],
        "state": found.state,
        "amount_minor": found.amount_minor,
        "recovered_minor": found.recovered_minor,
        "reason": found.reason,
        "asked_by": found.asked_by,
        "approved_by": found.approved_by,
    }
