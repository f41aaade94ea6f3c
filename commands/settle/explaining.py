"""Explain what was settled, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.settle.asked import account_id_of, day_of, settlement_object

if TYPE_CHECKING:
    from billing.office import Office
    from billing.settlement.explaining import Told

_WIDTH = 88


@click.command()
@click.argument("account")
@click.argument("day")
@database_option
@json_option
def explain(account: str, day: str, database: str, as_json: bool) -> None:
    """Show how every amount of ACCOUNT for DAY came about: registers, steps, taxes.

    Reversals and what replaced them are among it, in the order in which they were made.
    """
    from billing.settlement.explaining import explain as explained
    from billing.settlement.looking import settlements_of, waiting_of
    from billing.settlement.spans import midnight
    from commands.office import open_office

    chosen = day_of(day, "DAY")
    with open_office(database) as office:
        begin = midnight(chosen, office.zone)
        end = midnight(chosen + timedelta(days=1), office.zone)
        with office.reading() as connection:
            account_id = account_id_of(connection, account)
            # of a span that is longer than a day, too
            found = [
                each
                for each in settlements_of(connection, account_id, begin, end + timedelta(days=31))
                if each.since < end
            ]
            waits = [each for each in waiting_of(connection, account_id) if each.since < end]
            if as_json:
                print_json([settlement_object(each) for each in found])
                return
            for each in found:
                print_told(explained(connection, each, office), office)
            for wait in waits:
                console.print(f"Supply {wait.supply_id} waits ({wait.why}): {wait.words}")
            if not found and not waits:
                console.print(f"Nothing of {chosen} is settled for account {account}.")


def print_told(told: Sequence[Told], office: Office) -> None:
    """Print an explanation: words, and amounts in a column."""
    digits = office.currency.minor_digits
    for each in told:
        words = f"{'  ' * each.level}{each.words}"
        if each.amount is None:
            console.print(words, soft_wrap=True)
            continue
        amount = f"{each.amount.scaleb(-digits):f}"
        console.print(f"{words:<{_WIDTH}} {amount:>12}", soft_wrap=True)
