"""``meterhouse meter``: the meters that the shop sells to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TextIO

import click
from rich.table import Table
from rich.text import Text

import vending
from commands.counter import database_option, meter_object, open_shop, operator_option
from commands.meter_fault import fault
from commands.output import (
    EXIT_CHECK_FAILED,
    console,
    counting,
    error_console,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from vending import Meter
    from vending.shop.meter_import import ImportReport

_RESOURCES: Final = ("electricity", "water", "gas", "time")


@click.group()
def meter() -> None:
    """Meters: add, import, list, show, block; reports of their faults."""


meter.add_command(fault)


@meter.command()
@click.argument("number")
@click.option("--customer", default="", help="Whose meter it is.")
@click.option("--location", default="", help="Where it hangs.")
@click.option("--ea", type=int, default=11, show_default=True, help="7 (STA) or 11 (MISTY1).")
@click.option("--sgc", default="123457", show_default=True, help="Supply group code.")
@click.option("--krn", type=int, default=1, show_default=True, help="Key revision number.")
@click.option("--kt", type=int, default=2, show_default=True, help="Key type.")
@click.option("--ti", default="01", show_default=True, help="Tariff index, two digits.")
@click.option("--base-year", type=int, default=2014, show_default=True, help="1993, 2014, 2035.")
@click.option("--ken", type=int, default=255, show_default=True, help="Key expiry number.")
@click.option("--resource", type=click.Choice(_RESOURCES), default="electricity", show_default=True)
@click.option("--account", default="", help="The customer's account number.")
@click.option("--service-point", default="", help="Where the supply is. [default: the meter]")
@operator_option
@database_option
@json_option
def add(
    number: str,
    customer: str,
    location: str,
    ea: int,
    sgc: str,
    krn: int,
    kt: int,
    ti: str,
    base_year: int,
    ken: int,
    resource: str,
    account: str,
    service_point: str,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Register the meter NUMBER (11 or 13 digits, as printed on it) with the key it has."""
    new = vending.NewMeter(
        number,
        customer=customer,
        location=location,
        algorithm=ea,
        sgc=sgc,
        krn=krn,
        key_type=kt,
        tariff_index=ti,
        base_year=base_year,
        ken=ken,
        resource=resource,
        account=account,
        service_point=service_point,
    )
    with open_shop(database) as shop:
        added = shop.add_meter(new, operator=operator)
    if as_json:
        print_json(meter_object(added))
    else:
        console.print(f"Meter {added.number} is registered.", markup=False)


@meter.command(name="import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--skip-bad", is_flag=True, help="Register the good lines though there are bad ones.")
@click.option("--dry-run", is_flag=True, help="Only check the file.")
@operator_option
@database_option
@json_option
@click.pass_context
def import_(
    ctx: click.Context,
    file: TextIO,
    skip_bad: bool,
    dry_run: bool,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Register the meters of a CSV FILE (- is standard input); tell of every bad line.

    \b
    The first line names the columns; only number must be there:
      number customer location account id_number service_point resource sgc ti
      ea krn kt base_year ken minimum maximum
    Nothing is registered when a line is bad, unless --skip-bad.  A meter that is there with the
    same values is left alone: run an import that was cut off again.  Exit status 1 when a line
    was bad.
    """
    with open_shop(database, keys_now=True) as shop, counting("Lines", as_json=as_json) as told:
        try:
            report = shop.import_meters(
                file, operator=operator, skip_bad=skip_bad, dry_run=dry_run, progress=told
            )
        except UnicodeDecodeError:
            raise click.BadParameter("It is not UTF-8 text: save it as CSV UTF-8.") from None
    if as_json:
        print_json(asdict(report))
    else:
        _show_report(report)
    if report.bad:
        ctx.exit(EXIT_CHECK_FAILED)


def _show_report(report: ImportReport) -> None:
    for each in report.bad:
        error_console.print(f"line {each.line}: {each.message}", markup=False, soft_wrap=True)
    what = "would be registered" if report.dry_run else "registered"
    count = report.lines - report.there - len(report.bad) if report.dry_run else report.added
    console.print(
        f"{report.lines} lines: {count} meters {what}, {report.there} were there, "
        f"{len(report.bad)} lines are bad.",
        markup=False,
    )
    if report.bad and not report.added and not report.dry_run:
        console.print("Nothing was registered: mend the lines, or use --skip-bad.")


@meter.command(name="list")
@click.option("--after", default="", metavar="NUMBER", help="Begin behind this meter.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@database_option
@json_option
def list_(after: str, limit: int, database: str, as_json: bool) -> None:
    """List meters by number."""
    with open_shop(database) as shop:
        found = shop.meters(after=after, limit=limit)
    if as_json:
        print_json([meter_object(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Meter", "Customer", "Location", "EA", "SGC", "KRN", "TI", "State"):
        table.add_column(heading, no_wrap=heading == "Meter")
    for each in found:
        table.add_row(*_row(each))
    console.print(table)
    if len(found) == limit:
        console.print(f"More: meterhouse meter list --after {found[-1].number}", markup=False)


@meter.command()
@click.argument("number")
@database_option
@json_option
def show(number: str, database: str, as_json: bool) -> None:
    """Show the meter NUMBER."""
    with open_shop(database) as shop:
        found = shop.meter(number)
    if as_json:
        print_json(meter_object(found))
        return
    for label, text in _facts(found):
        console.print(f"{label:<10} {text}", markup=False)


@meter.command()
@click.argument("number")
@click.argument("reason")
@operator_option
@database_option
@json_option
def block(number: str, reason: str, operator: str, database: str, as_json: bool) -> None:
    """Sell nothing to the meter NUMBER, for this REASON (which the clerk will see)."""
    with open_shop(database) as shop:
        shop.block_meter(number, reason, operator=operator)
        _answer(shop.meter(number), f"Sales to meter {number} are blocked.", as_json=as_json)


@meter.command()
@click.argument("number")
@operator_option
@database_option
@json_option
def unblock(number: str, operator: str, database: str, as_json: bool) -> None:
    """Sell to the meter NUMBER again."""
    with open_shop(database) as shop:
        shop.unblock_meter(number, operator=operator)
        _answer(shop.meter(number), f"Sales to meter {number} are open.", as_json=as_json)


@meter.command()
@click.argument("number")
@click.option("--minimum", metavar="AMOUNT", help="Smallest sale. [default: the shop's]")
@click.option("--maximum", metavar="AMOUNT", help="Largest sale. [default: the shop's]")
@operator_option
@database_option
@json_option
def limits(
    number: str,
    minimum: str | None,
    maximum: str | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Give the meter NUMBER a smallest and a largest sale of its own."""
    with open_shop(database) as shop:
        least, most = (
            None if text is None else shop.utility.currency.parse(text)
            for text in (minimum, maximum)
        )
        shop.set_meter_limits(number, least, most, operator=operator)
        found = shop.meter(number)
    if as_json:
        own = {"minimum_minor": found.minimum_minor, "maximum_minor": found.maximum_minor}
        print_json({**meter_object(found), **own})
    else:
        console.print(f"The limits of meter {found.number} are set.", markup=False)


def _answer(found: Meter, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(meter_object(found))
    else:
        console.print(sentence, markup=False)


def _row(each: Meter) -> tuple[str | Text, ...]:
    return (
        each.number,
        Text(each.customer),
        Text(each.location),
        f"{each.algorithm:02d}",
        each.key.sgc,
        str(each.key.krn),
        each.key.tariff_index,
        Text("" if each.blocked is None else f"blocked: {each.blocked}"),
    )


def _facts(found: Meter) -> list[tuple[str, str]]:
    key = found.key
    facts = [
        ("Meter", found.number),
        ("MeterPAN", str(found.pan)),
        ("Customer", found.customer),
        ("Location", found.location),
        ("Technology", f"STS EA {found.algorithm:02d} ({found.algorithm.name})"),
        ("Key", f"SGC {key.sgc} KRN {key.krn} TI {key.tariff_index} KT {key.key_type:d}"),
        ("Base date", f"{key.base_date:d}, until {key.base_date.last:%d %b %Y}"),
        ("KEN", str(key.ken)),
        ("Blocked", found.blocked or ""),
    ]
    return [(label, text) for label, text in facts if text]
