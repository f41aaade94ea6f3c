"""``meterhouse key list``, ``test``, ``current``, ``until``, ``withdraw`` and ``generate``."""

from __future__ import annotations

from typing import Any

import click

from commands.counter import database_option, open_shop, operator_option
from commands.key.asking import dkga02_option
from commands.key.show import print_record, record_object, show_keys, warning_object
from commands.key.terms import end_of, terms, terms_options
from commands.output import EXIT_CHECK_FAILED, console, error_console, json_option, print_json


@click.command(name="list")
@click.argument("sgc", required=False)
@database_option
@json_option
def list_(sgc: str | None, database: str, as_json: bool) -> None:
    """List keys with their check values, and warn of those that end soon."""
    with open_shop(database) as shop:
        records, warnings = shop.keys.revisions(sgc), shop.keys.warnings()
    if as_json:
        print_json(
            {
                "keys": [record_object(record) for record in records],
                "warnings": [warning_object(warning) for warning in warnings],
            }
        )
        return
    show_keys(records)
    for warning in warnings:
        error_console.print(f"Warning: {warning.text}", style="yellow", markup=False)


@click.command(name="test")
@click.argument("sgc", required=False)
@database_option
@json_option
@click.pass_context
def test_(ctx: click.Context, sgc: str | None, database: str, as_json: bool) -> None:
    """Use each key once and compare its check value; exit status 1 when one is not sound."""
    with open_shop(database, keys_now=True) as shop:
        found = shop.keys.test(sgc)
    for each in found:
        if as_json:
            continue
        verdict = "sound" if each.is_sound else f"NOT SOUND: {each.fault}"
        console.print(f"{each.record.name}  {each.record.kcv}  {verdict}", markup=False)
    if as_json:
        print_json(
            [
                {**record_object(each.record), "sound": each.is_sound, "fault": each.fault}
                for each in found
            ]
        )
    ctx.exit(0 if all(each.is_sound for each in found) else EXIT_CHECK_FAILED)


@click.command()
@click.argument("sgc")
@click.argument("krn", type=int)
@operator_option
@database_option
@json_option
def current(sgc: str, krn: int, operator: str, database: str, as_json: bool) -> None:
    """Make revision KRN the one that meters of SGC should have."""
    with open_shop(database) as shop:
        print_record(shop.keys.make_current(sgc, krn, operator=operator), as_json=as_json)


@click.command()
@click.argument("sgc")
@click.argument("krn", type=int)
@operator_option
@database_option
@json_option
def withdraw(sgc: str, krn: int, operator: str, database: str, as_json: bool) -> None:
    """Make nothing under revision KRN of SGC any more, for good; takes two people."""
    with open_shop(database) as shop:
        print_record(shop.keys.withdraw(sgc, krn, operator=operator), as_json=as_json)


@click.command()
@click.argument("sgc")
@click.argument("krn", type=int)
@click.argument("until", metavar="DATE|never")
@operator_option
@database_option
@json_option
def until(sgc: str, krn: int, until: str, operator: str, database: str, as_json: bool) -> None:
    """Issue nothing under revision KRN of SGC from midnight (UTC) after DATE."""
    moment = None if until == "never" else end_of(until)
    with open_shop(database) as shop:
        changed = shop.keys.set_issued_until(sgc, krn, moment, operator=operator)
    print_record(changed, as_json=as_json)


@click.command()
@terms_options
@dkga02_option
@operator_option
@database_option
@json_option
def generate(dkga02_in_host: bool, operator: str, database: str, as_json: bool, **of: Any) -> None:
    """Make a new key KRN for SGC in the PKCS#11 token; takes two people."""
    with open_shop(database, keys_now=True) as shop:
        made = shop.keys.generate_key(terms(**of), dkga02_in_host=dkga02_in_host, operator=operator)
    print_record(made, as_json=as_json)


@click.command()
@terms_options
@click.option("--kcv", help="The key's check value, as the module tells it.")
@operator_option
@database_option
@json_option
def record(kcv: str | None, operator: str, database: str, as_json: bool, **of: Any) -> None:
    """Put key KRN of SGC on record that a licensed module holds."""
    with open_shop(database) as shop:
        put = shop.keys.record_module_key(terms(**of), kcv=kcv, operator=operator)
    print_record(put, as_json=as_json)
