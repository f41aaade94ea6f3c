"""Settle anew what rests on readings that were corrected."""

from __future__ import annotations

from datetime import timedelta

import click

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.settle.asked import day_of, kwh


@click.command()
@click.argument("supply", type=int, required=False)
@click.argument("first", metavar="FIRST-DAY", required=False)
@click.argument("last", metavar="LAST-DAY", required=False)
@click.argument("reason", required=False)
@database_option
@json_option
def correct(
    supply: int | None,
    first: str | None,
    last: str | None,
    reason: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Take back what was settled on wrong readings, and settle it anew, with what depends on it.

    Without arguments: everything that rests on readings which were corrected meanwhile
    (meterhouse readings correct).  With a SUPPLY, days and a REASON: these days of it, by the
    readings as they are now.
    """
    from billing.settlement.correcting import correct as correct_supply
    from billing.settlement.correcting import follow_corrections
    from billing.settlement.spans import midnight
    from commands.office import open_office

    with open_office(database) as office:
        if supply is None:
            done = follow_corrections(office)
            if as_json:
                print_json({"supplies": done})
            else:
                console.print(f"{done} supplies were settled anew.")
            return
        if first is None or last is None or reason is None:
            raise click.UsageError("Name the SUPPLY, its first and last day, and a reason.")
        begin = midnight(day_of(first, "FIRST-DAY"), office.zone)
        end = midnight(day_of(last, "LAST-DAY") + timedelta(days=1), office.zone)
        found = correct_supply(office, supply, begin, end, reason)
        if as_json:
            print_json(
                {
                    "supply": supply,
                    "settled_anew": found.settled_anew,
                    "energy_wh": found.energy_wh,
                    "amount_minor": found.amount_minor,
                }
            )
            return
        console.print(
            f"{found.settled_anew} spans of supply {supply} were settled anew: "
            f"{kwh(found.energy_wh)} kWh and {office.currency.text(found.amount_minor)} "
            f"{office.currency.code} more than before."
        )
