"""``meterhouse rate``: what used energy costs, by tariffs of the office.

`meterhouse tariff` is its neighbour at the counter, where money becomes units.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from commands.counter import database_option, operator_option
from commands.output import console, json_option, print_json
from commands.rate_shown import (
    listed_object,
    priced_object,
    show_part,
    show_priced,
    versions_table,
)

if TYPE_CHECKING:
    from billing.tariffs.tariff import Tariff

_FILE_MAX: Final = 1_000_000
_POINTS: Final = 160
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def rate() -> None:
    """Tariffs of accounts: flat, steps, time of use, demand, taxes (docs/rates.md)."""


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _currency_option(command: _Command) -> _Command:
    return click.option(
        "--currency",
        default="CNY",
        show_default=True,
        help="Of a FILE that names none; three letters of ISO 4217.",
    )(command)


@rate.command()
@click.argument("file", type=_FILE)
@click.option(
    "--from",
    "since",
    metavar="DAY",
    required=True,
    help="Valid from the start of this day, like 2026-12-01.",
)
@operator_option
@database_option
@json_option
def add(file: Path, since: str, operator: str, database: str, as_json: bool) -> None:
    """Propose what FILE (.toml or .json) says as the next version of its tariff.

    It prices nothing until another person approves it: meterhouse rate approve.
    """
    from billing.tariffs.desk import RateDesk
    from commands.office import open_office

    day, document = _day(since), _document(file)
    with open_office(database, operator) as office:
        version = RateDesk(office).add(document, since=day)
    if as_json:
        told = {"code": version.code, "version": version.version, "since": day.isoformat()}
        print_json({**told, "state": "proposed"})
        return
    console.print(
        f"{version.code}, version {version.version}, from {day}: proposed. Another person "
        f"approves it: meterhouse rate approve {version.code} {version.version}"
    )


@rate.command()
@click.argument("code")
@click.argument("version", type=int)
@operator_option
@database_option
@json_option
def approve(code: str, version: int, operator: str, database: str, as_json: bool) -> None:
    """Approve VERSION of the tariff CODE; whoever proposed it cannot."""
    from billing.tariffs.desk import RateDesk
    from commands.office import open_office

    with open_office(database, operator) as office:
        RateDesk(office).approve(code, version)
    if as_json:
        print_json({"code": code, "version": version, "state": "approved"})
    else:
        console.print(f"{code}, version {version}, is approved.")


@rate.command()
@click.argument("code")
@click.argument("version", type=int)
@click.option("--reason", required=True, help="Why; auditors read it.")
@operator_option
@database_option
@json_option
def withdraw(
    code: str, version: int, reason: str, operator: str, database: str, as_json: bool
) -> None:
    """Take VERSION of the tariff CODE back before it begins."""
    from billing.tariffs.desk import RateDesk
    from commands.office import open_office

    with open_office(database, operator) as office:
        RateDesk(office).withdraw(code, version, reason)
    if as_json:
        print_json({"code": code, "version": version, "state": "withdrawn"})
    else:
        console.print(f"{code}, version {version}, is withdrawn.")


@rate.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List all versions of all tariffs."""
    from billing.tariffs.desk import RateDesk
    from commands.office import open_office

    with open_office(database) as office:
        found = RateDesk(office).list()
        zone = office.zone
    if as_json:
        print_json([listed_object(each, zone) for each in found])
    elif not found:
        console.print("There is no tariff yet: meterhouse rate add FILE --from DAY.")
    else:
        console.print(versions_table(found, zone))


@rate.command()
@click.argument("code")
@click.option("--version", type=int, help="Which one. [default: the latest]")
@database_option
@json_option
def show(code: str, version: int | None, database: str, as_json: bool) -> None:
    """Show the tariff CODE: its versions, and what one of them says."""
    from billing.tariffs.desk import RateDesk
    from billing.tariffs.spelling import to_data
    from commands.office import open_office

    with open_office(database) as office:
        found = RateDesk(office).list(code)
        zone = office.zone
    chosen = max(found, key=lambda each: each.version.version)
    if version is not None:
        those = [each for each in found if each.version.version == version]
        if not those:
            raise click.BadParameter(f"{code} has versions 1 to {chosen.version.version}.")
        chosen = those[0]
    document = to_data(chosen.version.tariff)
    if as_json:
        print_json({**listed_object(chosen, zone), "tariff": document})
        return
    console.print(versions_table(found, zone))
    console.print(f"\nVersion {chosen.version.version}:")
    show_part(document, "  ")


@rate.command()
@click.argument("file", type=_FILE)
@_currency_option
@json_option
def check(file: Path, currency: str, as_json: bool) -> None:
    """Read FILE and tell all of its faults, or what it says; changes nothing."""
    from billing.tariffs.spelling import to_data

    document = to_data(_tariff_in(file, currency))
    if as_json:
        print_json({"ok": True, "tariff": document})
        return
    console.print(f"{file}: no faults. It says:")
    show_part(document, "  ")


@rate.command()
@click.argument("source", metavar="CODE|FILE")
@click.argument("kwh", metavar="[KWH]", required=False)
@click.option(
    "--register",
    "registers",
    metavar="T=KWH",
    multiple=True,
    help="By time of use, like t1=60; they are the total together.",
)
@click.option("--from", "first", metavar="DAY", help="First day. [default: this month's]")
@click.option("--to", "last", metavar="DAY", help="Last day. [default: the first day's month's]")
@click.option("--before-month", default="0", metavar="KWH", help="Used before in the month.")
@click.option("--before-year", default="0", metavar="KWH", help="Used before in the year.")
@click.option("--capacity", metavar="KVA|KW", help="Contracted.")
@click.option("--demand", metavar="KW", help="The month's highest.")
@click.option("--reactive", metavar="KVARH", help="Reactive energy, for the power factor.")
@click.option("--class", "customer_class", default="", help="Of the account, for free units.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the bill against consumption: FILE.png or FILE.svg.",
)
@_currency_option
@database_option
@json_option
def price(
    source: str,
    kwh: str | None,
    registers: tuple[str, ...],
    first: str | None,
    last: str | None,
    before_month: str,
    before_year: str,
    capacity: str | None,
    demand: str | None,
    reactive: str | None,
    customer_class: str,
    plot: Path | None,
    currency: str,
    database: str,
    as_json: bool,
) -> None:
    """Show line by line what KWH would cost, by a tariff of the office or by one in a FILE."""
    from billing.tariffs.trying import Trial, curve, try_tariff
    from commands.plots.sales import require_picture_file

    form = None if plot is None else require_picture_file(plot)
    begin, end = _span(first, last)
    trial = Trial(
        begin,
        end,
        _energy(kwh, registers),
        {"month": _thousandths(before_month), "year": _thousandths(before_year)},
        _maybe_thousandths(capacity),
        _maybe_thousandths(demand),
        _maybe_thousandths(reactive),
        customer_class,
    )
    tariff, number, zone = _priced_by(source, begin, currency, database)
    priced = try_tariff(tariff, trial, zone, version=number)
    if as_json:
        print_json(priced_object(priced, trial))
    else:
        show_priced(priced, tariff, trial)
    if plot is not None and form is not None:
        from commands.plots.rates import draw_bill

        plot.write_bytes(draw_bill(tariff, trial, curve(tariff, trial, zone, _POINTS), form))
        if not as_json:
            console.print(f"Drawn: {plot}")


# --- what is asked ------------------------------------------------------------------------------


def _document(file: Path) -> str:
    with file.open("rb") as opened:
        raw = opened.read(_FILE_MAX)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is not UTF-8 text.") from None


def _tariff_in(file: Path, currency: str) -> Tariff:
    from billing.tariffs.document import currency_of, read_document
    from vending import Currency

    document = _document(file)
    return read_document(document, Currency.named(currency_of(document) or currency))


def _priced_by(source: str, day: date, currency: str, database: str) -> tuple[Tariff, int, tzinfo]:
    """The tariff, its version, the zone."""
    from billing.tariffs.desk import RateDesk
    from commands.office import open_office

    path = Path(source)
    if path.suffix in (".toml", ".json"):
        if not path.is_file():
            raise click.BadParameter(f"There is no file {source}.")
        return _tariff_in(path, currency), 1, UTC
    with open_office(database) as office:
        version = RateDesk(office).valid_on(source, day)
        return version.tariff, version.version, office.zone


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day like 2026-12-01.") from None


def _span(first: str | None, last: str | None) -> tuple[date, date]:
    """The first day and the one after the last."""
    begin = datetime.now(UTC).date().replace(day=1) if first is None else _day(first)
    if last is None:
        return begin, (begin.replace(day=1) + timedelta(days=31)).replace(day=1)
    end = _day(last) + timedelta(days=1)
    if end <= begin:
        raise click.BadParameter("The last day comes before the first.")
    return begin, end


def _energy(kwh: str | None, registers: tuple[str, ...]) -> dict[str, int]:
    energy: dict[str, int] = {}
    for each in registers:
        code, mark, amount = each.partition("=")
        if not mark or code in energy or code == "total":
            raise click.BadParameter(f"--register is given like t1=60, each once; not {each!r}.")
        energy[code] = _thousandths(amount)
    total = sum(energy.values())
    if kwh is not None and energy and _thousandths(kwh) != total:
        raise click.BadParameter("The registers are not the total together.")
    if kwh is None and not energy:
        raise click.UsageError("Give KWH, or --register T=KWH for each register.")
    energy["total"] = total if kwh is None else _thousandths(kwh)
    return energy


def _thousandths(text: str) -> int:
    from vending.shop.money import parse_scaled

    return parse_scaled(text, 3, "A number of kWh or kW", "A number of kWh or kW has")


def _maybe_thousandths(text: str | None) -> int | None:
    return None if text is None else _thousandths(text)
