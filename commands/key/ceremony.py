"""``meterhouse key ceremony``: imports in components."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from commands.counter import database_option, open_shop, operator_option
from commands.key.asking import dkga02_option
from commands.key.show import ceremony_object, print_record
from commands.key.terms import terms, terms_options
from commands.output import console, json_option, print_json

_PARITIES: Final = ("refuse", "keep", "odd")


@click.group()
def ceremony() -> None:
    """Import of a key in components, each brought by another person."""


@ceremony.command()
@terms_options
@click.option("--components", type=click.IntRange(2, 9), default=2, show_default=True)
@click.option("--kcv", help="The key's check value, if the paper tells it.")
@operator_option
@database_option
@json_option
def begin(
    components: int,
    kcv: str | None,
    operator: str,
    database: str,
    as_json: bool,
    **of: Any,
) -> None:
    """Begin the import of key KRN for SGC."""
    with open_shop(database) as shop:
        begun = shop.keys.begin_ceremony(
            terms(**of), components=components, expected_kcv=kcv, operator=operator
        )
    if not as_json:
        console.print(
            f"Ceremony {begun.ceremony_id} is open. Next, each of {components} people: "
            f"meterhouse key ceremony component {begun.ceremony_id}",
            markup=False,
        )
        return
    print_json(ceremony_object(begun))


@ceremony.command()
@click.argument("number", type=int)
@click.option("--kcv", help="The component's check value, if the paper tells it.")
@click.option(
    "--from-stdin", is_flag=True, help="Read the component (hex) from standard input, one line."
)
@operator_option
@database_option
@json_option
def component(
    number: int, kcv: str | None, from_stdin: bool, operator: str, database: str, as_json: bool
) -> None:
    """Enter your component of ceremony NUMBER; what you type is not shown.

    Spaces are ignored.  Another person enters the next one.
    """
    from vending.sts import VendingKey

    with open_shop(database, keys_now=True) as shop:
        text = (
            sys.stdin.readline()
            if from_stdin
            else click.prompt("Component (hex, not shown)", hide_input=True, err=True)
        )
        entered = shop.keys.enter_component(
            number, VendingKey.from_hex("".join(text.split())), kcv=kcv, operator=operator
        )
    if as_json:
        print_json({"position": entered.position, "kcv": entered.kcv})
    else:
        console.print(f"Component {entered.position} is there. Its check value is {entered.kcv}.")


@ceremony.command()
@click.argument("number", type=int)
@click.option("--parity", type=click.Choice(_PARITIES), default="refuse", show_default=True,
    help="For a DES key that came out without odd parity.")  # fmt: skip
@click.option("--into", type=click.Choice(["vault", "pkcs11"]), default="vault", show_default=True)
@dkga02_option
@operator_option
@database_option
@json_option
def finish(
    number: int,
    parity: str,
    into: str,
    dkga02_in_host: bool,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Combine the components of ceremony NUMBER and show the key's check value."""
    with open_shop(database, keys_now=True) as shop:
        record = shop.keys.finish_ceremony(
            number, parity=parity, into=into, dkga02_in_host=dkga02_in_host, operator=operator
        )
    print_record(record, as_json=as_json)
    if not as_json:
        console.print(
            f"Compare the check value, then: meterhouse key current {record.terms.sgc} "
            f"{record.terms.krn}",
            markup=False,
        )


@ceremony.command()
@click.argument("number", type=int)
@operator_option
@database_option
@json_option
def abandon(number: int, operator: str, database: str, as_json: bool) -> None:
    """Give ceremony NUMBER up; its components are emptied."""
    with open_shop(database) as shop:
        given_up = shop.keys.abandon_ceremony(number, operator=operator)
    if as_json:
        print_json(ceremony_object(given_up))
    else:
        console.print(f"Ceremony {number} is abandoned.", markup=False)


@ceremony.command(name="list")
@click.option("--all", "everything", is_flag=True, help="The finished and abandoned ones too.")
@database_option
@json_option
def ceremony_list(everything: bool, database: str, as_json: bool) -> None:
    """List the imports that are open."""
    with open_shop(database) as shop:
        found = shop.keys.ceremonies(only_open=not everything)
    if as_json:
        print_json([ceremony_object(each) for each in found])
        return
    for each in found:
        console.print(
            f"{each.ceremony_id}  {each.terms.sgc} revision {each.terms.krn}  "
            f"{len(each.entered)} of {each.components} components  {each.state.value}",
            markup=False,
        )
