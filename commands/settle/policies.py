"""What checks do, and what supplies have contracted: data."""

from __future__ import annotations

import click
from rich.table import Table

from commands.counter import database_option
from commands.output import console, json_option, print_json
from commands.settle.asked import day_of

_KINDS = ("prepaid", "daily", "monthly")


@click.command()
@click.option(
    "--set",
    "given",
    type=(str, click.Choice(_KINDS), click.Choice(["hold", "flag", "pass"])),
    metavar="CHECK KIND ACT",
    help="Say what a check does to settlements of a kind.",
)
@click.option(
    "--reset",
    type=(str, click.Choice(_KINDS)),
    metavar="CHECK KIND",
    help="Let the default hold again.",
)
@database_option
@json_option
def policy(
    given: tuple[str, str, str] | None,
    reset: tuple[str, str] | None,
    database: str,
    as_json: bool,
) -> None:
    """Show what each check does to a span, or set one.

    hold: it waits for a person.  flag: it is settled and stands on the review list.  pass: nothing.

    `settle policy --set use_swing daily flag`
    """
    from billing.settlement.policy import Act, Kind, defaults, policy_in_force, set_act
    from commands.office import open_office

    with open_office(database) as office:
        if given is not None:
            set_act(office, given[0], Kind(given[1]), Act(given[2]))
        if reset is not None:
            set_act(office, reset[0], Kind(reset[1]), None)
        with office.reading() as connection:
            held = policy_in_force(connection)
    rules = defaults()
    if as_json:
        print_json(
            [
                {
                    "check": name,
                    **{kind.value: held.act(name, kind).value for kind in Kind},
                    "words": rule.words,
                }
                for name, rule in rules.items()
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Check", *(kind.capitalize() for kind in _KINDS)):
        table.add_column(heading, no_wrap=True)
    table.add_column("What it is", overflow="fold")
    for name, rule in rules.items():
        acts = []
        for kind in Kind:
            act = held.act(name, kind)
            acts.append(act.value if act is rule.acts[kind] else f"{act.value} (own)")
        table.add_row(name, *acts, rule.words)
    console.print(table)


@click.command()
@click.argument("supply", type=int)
@click.argument("watts", type=click.IntRange(0))
@click.option("--from", "since", metavar="DAY", required=True, help="From the start of this day.")
@database_option
def capacity(supply: int, watts: int, since: str, database: str) -> None:
    """Note that SUPPLY has contracted WATTS (VA where its tariff counts kVA)."""
    from billing.settlement.capacities import set_capacity
    from commands.office import open_office

    with open_office(database) as office:
        set_capacity(office, supply, watts, day_of(since, "--from"))
    console.print(f"Supply {supply} has contracted {watts} from {since} on.")
