"""Run a settlement; how far runs are, and what waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from commands.counter import database_option
from commands.output import console, counting, json_option, print_json
from commands.settle.asked import day_of, kwh, when

if TYPE_CHECKING:
    from billing.office import Office
    from billing.settlement.batch import Tally
    from billing.settlement.run import RunState

_CYCLES = click.Choice(["hourly", "daily", "monthly"])


@click.command()
@click.option("--cycle", type=_CYCLES, default="daily", show_default=True)
@click.option(
    "--day",
    metavar="DAY",
    help="Settle to the end of this day (monthly: of its month). [default: the last that is over]",
)
@click.option("--waiting", is_flag=True, help="Only try again what waits, of all cycles.")
@database_option
@json_option
def run(cycle: str, day: str | None, waiting: bool, database: str, as_json: bool) -> None:
    """Settle all accounts of a cycle, as far as their readings go.

    A run that was interrupted is continued; nothing is settled twice, and several may work on the
    same run at once.
    """
    from billing.settlement.run import run as run_cycle
    from billing.settlement.run import settle_waiting
    from commands.office import open_office

    with open_office(database) as office:
        if waiting:
            _show_tally(settle_waiting(office, at_once=True), office, as_json=as_json)
            return
        until = _until(office, cycle, day)
        with counting("Accounts", as_json=as_json) as told:
            done = run_cycle(office, _cycle(cycle), until, progress=told)
        if as_json:
            print_json(_object(done))
            return
        console.print(_table([done], office))
        if done.waiting:
            console.print(
                f"{done.waiting} supplies wait: meterhouse settle status --waiting, meterhouse "
                "settle review list."
            )


@click.command()
@click.option("--waiting", is_flag=True, help="Show the supplies that wait, and why.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True)
@database_option
@json_option
def status(waiting: bool, limit: int, database: str, as_json: bool) -> None:
    """Show runs, the newest first, and how much waits for what."""
    from billing.settlement.run import runs, waits_by_reason
    from commands.office import open_office

    with open_office(database) as office:
        if waiting:
            _show_waiting(office, limit, as_json=as_json)
            return
        found, reasons = runs(office, limit=limit), waits_by_reason(office)
        if as_json:
            print_json({"runs": [_object(each) for each in found], "waiting": reasons})
            return
        if not found:
            console.print("Nothing was settled yet: meterhouse settle run.")
        else:
            console.print(_table(found, office))
        for why, count in reasons.items():
            console.print(f"{count} wait: {why}")


def _cycle(name: str) -> Any:
    from billing.settlement.spans import Cycle

    return Cycle(name)


def _until(office: Office, cycle: str, day: str | None) -> Any:
    from billing.settlement.spans import last_border, midnight, month_after

    if day is None:
        return last_border(office.now(), _cycle(cycle), office.zone)
    chosen = day_of(day, "--day")
    end = month_after(chosen) if cycle == "monthly" else chosen + timedelta(days=1)
    until = midnight(end, office.zone)
    if until > office.now():
        raise click.BadParameter("That time is not over.", param_hint="--day")
    return until


def _show_tally(tally: Tally, office: Office, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "settled": tally.settled,
                "waiting": tally.waiting,
                "energy_wh": tally.energy_wh,
                "amount_minor": tally.amount_minor,
            }
        )
        return
    console.print(
        f"{tally.settled} spans were settled ({kwh(tally.energy_wh)} kWh, "
        f"{office.currency.text(tally.amount_minor)} {office.currency.code}); {tally.waiting} "
        "supplies wait still."
    )


def _show_waiting(office: Office, limit: int, *, as_json: bool) -> None:
    from sqlalchemy import select

    from billing.accounts.tables import customer_accounts
    from billing.settlement.tables import settlement_waits

    with office.reading() as connection:
        rows = connection.execute(
            select(settlement_waits, customer_accounts.c.number)
            .join(
                customer_accounts,
                customer_accounts.c.account_id == settlement_waits.c.account_id,
            )
            .order_by(settlement_waits.c.first_at, settlement_waits.c.supply_id)
            .limit(limit)
        ).all()
    if as_json:
        print_json(
            [
                {
                    "account": row.number,
                    "supply": row.supply_id,
                    "since": row.since.isoformat(),
                    "until": row.until.isoformat(),
                    "why": row.why,
                    "words": row.words,
                    "first_at": row.first_at.isoformat(),
                }
                for row in rows
            ]
        )
        return
    if not rows:
        console.print("Nothing waits.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Account", "Supply", "From", "To", "Why"):
        table.add_column(heading, no_wrap=True)
    table.add_column("What to do", overflow="fold")
    for row in rows:
        table.add_row(
            row.number,
            str(row.supply_id),
            when(row.since, office.zone),
            when(row.until, office.zone),
            row.why,
            Text(row.words),
        )
    console.print(table)


def _table(found: list[RunState], office: Office) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Run", "Cycle", "Until", "State"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Accounts", "Spans", "Waiting", "kWh", office.currency.code):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            str(each.run_id),
            each.cycle.value,
            when(each.until, office.zone),
            each.state,
            f"{each.accounts_done} of {each.accounts}",
            str(each.settled),
            str(each.waiting),
            kwh(each.energy_wh),
            office.currency.text(each.amount_minor),
        )
    return table


def _object(each: RunState) -> dict[str, Any]:
    return {
        "run": each.run_id,
        "cycle": each.cycle.value,
        "until": each.until.isoformat(),
        "state": each.state,
        "started_at": each.started_at.isoformat(),
        "ended_at": None if each.ended_at is None else each.ended_at.isoformat(),
        "accounts": each.accounts,
        "accounts_done": each.accounts_done,
        "settled": each.settled,
        "waiting": each.waiting,
        "energy_wh": each.energy_wh,
        "amount_minor": each.amount_minor,
    }
