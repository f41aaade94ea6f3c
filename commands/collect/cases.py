"""``collect cases|show|step|run|drop|effect``: cases and their steps."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.collect.common import account_argument, account_id_of, iso, last_day, local
from commands.counter import database_option
from commands.days import DayParameter
from commands.office import open_office
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from billing.collecting.cases import Act, Case
    from billing.collecting.deciding import Decision
    from billing.office import Office

_YEAR = timedelta(days=365)


@click.command()
@click.option(
    "--state",
    type=click.Choice(["open", "paused", "closed", "any"]),
    default="open",
    show_default=True,
)
@click.option("--class", "debt_class", type=click.Choice(["light", "medium", "heavy"]))
@click.option("--account", help="Only those of this account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def cases(
    state: str,
    debt_class: str | None,
    account: str | None,
    limit: int,
    database: str,
    as_json: bool,
) -> None:
    """List debts that are being collected, the oldest first."""
    from billing.collecting.cases import CaseState
    from billing.collecting.desk import CaseDesk

    with open_office(database) as office:
        desk = CaseDesk(office)
        if account is not None:
            found = desk.of_account(account_id_of(office, account))
        else:
            wanted = None if state == "any" else CaseState(state)
            found = desk.list(state=wanted, debt_class=debt_class, limit=limit)
        if as_json:
            print_json([_object(each) for each in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("Case", "Account", "Class", "State", "Due since", "Last step", "Next", ""):
            table.add_column(heading)
        for each in found:
            table.add_row(
                str(each.case_id),
                each.number,
                each.debt_class,
                each.outcome.value if each.outcome else each.state.value,
                last_day(office, each.due_since),
                each.last_step or "",
                local(office, each.next_at),
                Text(each.held_because or ""),
            )
        console.print(table)


@click.command()
@click.argument("case", type=int)
@database_option
@json_option
def show(case: int, database: str, as_json: bool) -> None:
    """Show CASE: what is owed, what was done, what comes next."""
    from billing.collecting.desk import CaseDesk

    with open_office(database) as office:
        found = CaseDesk(office).show(case)
        if as_json:
            items = [
                {
                    "source": each.source,
                    "due_at": each.due_at.isoformat(),
                    "amount_minor": each.amount_minor,
                    "open_minor": each.open_minor,
                }
                for each in found.items
            ]
            print_json(
                {
                    **_object(found.case),
                    "items": items,
                    "acts": [_act_object(each) for each in found.acts],
                    "next": _decision_words(office, found.next),
                }
            )
            return
        money = office.currency
        owed = sum(each.open_minor for each in found.items)
        console.print(
            f"Case {case}, account {found.case.number}: a {found.case.debt_class} debt, "
            f"{money.code} {money.text(owed)} owed."
        )
        table = Table(box=None, pad_edge=False)
        for heading in ("When", "What", "Step"):
            table.add_column(heading)
        for heading in ("Overdue", "Days", "Paid"):
            table.add_column(heading, justify="right")
        table.add_column("")
        for act in found.acts:
            table.add_row(
                local(office, act.at),
                act.act.value,
                act.step or "",
                money.text(act.overdue_minor),
                str(act.days),
                money.text(act.paid_minor) if act.paid_minor else "",
                Text(act.words),
            )
        console.print(table)
        console.print(_decision_words(office, found.next))


@click.command()
@account_argument
@database_option
@json_option
def step(account: str, database: str, as_json: bool) -> None:
    """Look at ACCOUNT's case now; the rules decide which step is taken, or why none is."""
    from billing.collecting.desk import CaseDesk

    with open_office(database) as office:
        moved = CaseDesk(office).step(account_id_of(office, account))
        words = _decision_words(office, moved.decision)
        if as_json:
            print_json({"case": moved.case_id, "account": moved.number, "done": words})
        else:
            console.print(f"Case {moved.case_id}: {words}")


@click.command()
@database_option
@json_option
def run(database: str, as_json: bool) -> None:
    """Do everything that is due: instalments, steps, scores, forecasts.

    `meterhouse office run` does it all the time.
    """
    from billing.collecting.sweeping import sweep
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.COLLECT)
        touched = sweep(office)
    if as_json:
        print_json({"touched": touched})
    else:
        console.print(f"{touched} accounts were looked at.")


@click.command()
@click.argument("case", type=int)
@click.option("--reason", required=True, help="Why, for the audit trail.")
@database_option
@json_option
def drop(case: int, reason: str, database: str, as_json: bool) -> None:
    """End CASE without a payment, for a reason; supply that it has cut comes back."""
    from billing.collecting.desk import CaseDesk

    with open_office(database) as office:
        found = CaseDesk(office).drop(case, reason)
    if as_json:
        print_json(_object(found))
    else:
        console.print(f"Case {case} is dropped.")


@click.command()
@click.option("--since", type=DayParameter(), help="Default: a year ago.")
@click.option("--until", type=DayParameter(), help="Up to the end of this day; default: today.")
@database_option
@json_option
def effect(since: date | None, until: date | None, database: str, as_json: bool) -> None:
    """Who has paid after which step."""
    from billing.collecting.effect import effect_of_steps
    from billing.person import Right

    with open_office(database) as office:
        office.require(Right.REPORT)
        last = until or office.today()
        first = since or last - _YEAR
        with office.reading() as connection:
            found = effect_of_steps(
                connection, office.day_start(first), office.day_start(last + timedelta(days=1))
            )
        if as_json:
            print_json(
                [
                    {
                        "step": each.step,
                        "taken": each.taken,
                        "payments": each.payments,
                        "settled": each.settled,
                        "settled_percent": each.settled_percent,
                        "paid_minor": each.paid_minor,
                        "median_days": each.days,
                    }
                    for each in found
                ]
            )
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("After")
        for heading in (
            "Taken",
            "Payments",
            "Settled",
            "%",
            f"Paid {office.currency.code}",
            "Days",
        ):
            table.add_column(heading, justify="right")
        for each in found:
            table.add_row(
                each.step,
                str(each.taken),
                str(each.payments),
                str(each.settled),
                str(each.settled_percent),
                office.currency.text(each.paid_minor),
                str(each.days),
            )
        console.print(table)


def _decision_words(office: Office, decision: Decision | None) -> str:
    from billing.collecting.deciding import Close, Hold, Rest, Take, Wait

    match decision:
        case None:
            return "Nothing is done in it now."
        case Take(taken):
            return f"Step {taken.code}."
        case Wait(until, moment):
            return f"Nothing before {local(office, moment) or until.isoformat()}."
        case Hold(because, _):
            return f"Held: {because}"
        case Close():
            return "Nothing is overdue: it is closed."
        case Rest():
            return "All steps are taken: it waits for a payment."


def _object(case: Case) -> dict[str, Any]:
    return {
        "case": case.case_id,
        "account": case.number,
        "class": case.debt_class,
        "customer_class": case.customer_class,
        "state": case.state.value,
        "outcome": None if case.outcome is None else case.outcome.value,
        "opened_at": case.opened_at.isoformat(),
        "due_since": case.due_since.isoformat(),
        "steps_done": case.steps_done,
        "last_step": case.last_step,
        "next_at": iso(case.next_at),
        "announced_at": iso(case.announced_at),
        "disconnect_asked_at": iso(case.disconnect_asked_at),
        "held_because": case.held_because,
        "closed_at": iso(case.closed_at),
    }


def _act_object(act: Act) -> dict[str, Any]:
    return {
        "at": act.at.isoformat(),
        "act": act.act.value,
        "step": act.step,
        "words": act.words,
        "overdue_minor": act.overdue_minor,
        "days": act.days,
        "paid_minor": act.paid_minor,
        "actor": act.actor,
    }
