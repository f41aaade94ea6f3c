"""``meterhouse tariff``: how money becomes units."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from commands.counter import database_option, open_shop, operator_option
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from vending import Currency, Shop, Utility
    from vending.price.lines import Quote
    from vending.price.situation import Situation
    from vending.price.store import TariffVersion
    from vending.price.tariff import Tariff

_PLOT_COLUMNS: Final = 40
_PLOT_POINTS: Final = 20
_FILE_MAX: Final = 1_000_000


@click.group()
def tariff() -> None:
    """Tariffs: blocks, charges, taxes, in an order that is data (docs/tariffs.md)."""


def _from_option(command: Any) -> Any:
    return click.option(
        "--from",
        "valid_from",
        metavar="TIME",
        help="Valid from 2026-12-01 or 2026-12-01T06:00, in the utility's zone. [default: now]",
    )(command)


@tariff.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_from_option
@operator_option
@database_option
@json_option
def add(file: Path, valid_from: str | None, operator: str, database: str, as_json: bool) -> None:
    """Add the tariff that FILE (.toml or .json) describes."""
    with open_shop(database) as shop:
        read = _read(file, shop.utility.currency)
        begins = _moment(valid_from, shop.utility)
        added = shop.tariffs.add(read, valid_from=begins, operator=operator)
        _say_added(added, shop.utility, as_json=as_json)


@tariff.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_from_option
@operator_option
@database_option
@json_option
def revise(file: Path, valid_from: str | None, operator: str, database: str, as_json: bool) -> None:
    """Add the next version of the tariff in FILE; what was sold stays as it was."""
    with open_shop(database) as shop:
        read = _read(file, shop.utility.currency)
        begins = _moment(valid_from, shop.utility)
        added = shop.tariffs.add_version(read, valid_from=begins, operator=operator)
        _say_added(added, shop.utility, as_json=as_json)


@tariff.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """List tariffs, each with its latest version."""
    with open_shop(database) as shop:
        found = shop.tariffs.list()
        utility = shop.utility
    if as_json:
        print_json([_version_object(each, utility.currency) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Tariff", "Resource", "Version", "Valid from"):
        table.add_column(heading)
    for each in found:
        begins = f"{utility.local(each.valid_from):%Y-%m-%d %H:%M}"
        table.add_row(each.tariff.name, each.tariff.resource.value, str(each.version), begins)
    console.print(table)


@tariff.command()
@click.argument("name")
@click.option("--version", type=int, help="Which one. [default: the latest]")
@database_option
@json_option
def show(name: str, version: int | None, database: str, as_json: bool) -> None:
    """Show the tariff NAME as it was defined, and since when each version is valid."""
    with open_shop(database) as shop:
        found = shop.tariffs.versions(name)
        utility = shop.utility
    if version is not None and not 1 <= version <= len(found):
        raise click.BadParameter(f"{name} has versions 1 to {len(found)}.")
    chosen = found[-1 if version is None else version - 1]
    if as_json:
        print_json(_version_object(chosen, utility.currency))
        return
    for each in found:
        mark = ">" if each is chosen else " "
        begins = f"{utility.local(each.valid_from):%Y-%m-%d %H:%M %Z}"
        console.print(f"{mark} version {each.version}, valid from {begins}", markup=False)
    _show_definition(_version_object(chosen, utility.currency)["tariff"], "")


@tariff.command()
@click.argument("name", required=False)
@click.argument("meters", nargs=-1)
@click.option("--flat", is_flag=True, help="The shop's flat price instead of a tariff.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Meter numbers, one on each line.",
)
@operator_option
@database_option
@json_option
def assign(
    name: str | None,
    meters: tuple[str, ...],
    flat: bool,
    file: Path | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Sell to METERS by the tariff NAME from now on; all of them or none."""
    numbers = [*meters]
    if flat and name is not None:  # the first word is a meter then
        numbers.insert(0, name)
        name = None
    if file is not None:
        numbers += file.read_text(encoding="utf-8").split()
    if not numbers or (name is None) != flat:
        raise click.UsageError("Give a tariff (or --flat) and at least one meter.")
    with open_shop(database) as shop:
        done = shop.tariffs.assign(name, numbers, operator=operator)
    if as_json:
        print_json({"tariff": name, "assigned": done, "asked": len(numbers)})
    else:
        console.print(f"{done} of {len(numbers)} meters were assigned.", markup=False)


@tariff.command(name="try")
@click.argument("source", metavar="NAME|FILE")
@click.argument("amounts", nargs=-1, required=True)
@click.option("--used", default="0", metavar="UNITS", help="kWh the month has had before.")
@click.option("--channel", default="cash", show_default=True, help="How it is paid.")
@click.option("--plot", is_flag=True, help="Draw what the amounts up to the largest buy.")
@database_option
@json_option
def try_(
    source: str,
    amounts: tuple[str, ...],
    used: str,
    channel: str,
    plot: bool,
    database: str,
    as_json: bool,
) -> None:
    """Show line by line what AMOUNTS buy by a tariff of the shop, or by one in a FILE."""
    from vending.price.quoting import quote
    from vending.price.situation import Situation
    from vending.shop.money import parse_scaled

    with open_shop(database) as shop:
        money = shop.utility.currency
        tried = _tried(shop, source)
    before = parse_scaled(used, 1, "The units of the month", "A number of units has")
    known = Situation(channel, before)
    quotes = [quote(tried, known, money.parse(amount), money) for amount in amounts]
    if as_json:
        print_json([_quote_object(each) for each in quotes])
        return
    for each in quotes:
        _show_quote(tried, each, money)
    if plot:
        _plot(tried, known, max(each.tendered_minor for each in quotes), money)


@tariff.command()
@click.argument("receipt_no", metavar="RECEIPT", type=int)
@database_option
@json_option
def explain(receipt_no: int, database: str, as_json: bool) -> None:
    """Show how the money of RECEIPT was divided, and by which version of which tariff."""
    with open_shop(database) as shop:
        found = shop.tariffs.explain(receipt_no)
        money = shop.utility.currency
    if as_json:
        definition = found.definition
        print_json(
            {
                "receipt_no": receipt_no,
                "lines": [
                    {
                        "kind": line.kind,
                        "amount_minor": line.amount_minor,
                        "explanation": line.explanation,
                    }
                    for line in found.payment.lines
                ],
                "tariff": None if definition is None else _version_object(definition, money),
            }
        )
        return
    by = "the shop's flat price"
    if found.definition is not None:
        by = f"{found.payment.tariff}, version {found.definition.version}"
    console.print(f"Receipt {receipt_no}, by {by}", markup=False)
    table = _lines_table()
    for line in found.payment.lines:
        table.add_row(line.kind.capitalize(), line.explanation, money.text(line.amount_minor))
    table.add_row("Tendered", "", money.text(found.payment.tendered_minor))
    console.print(table)


# --- inside ---------------------------------------------------------------------------------


def _read(file: Path, money: Currency) -> Tariff:
    from vending.price.document import read_json, read_toml

    with file.open("rb") as opened:
        raw = opened.read(_FILE_MAX)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is not UTF-8 text.") from None
    return read_json(text, money) if file.suffix == ".json" else read_toml(text, money)


def _tried(shop: Shop, source: str) -> Tariff:
    path = Path(source)
    if path.suffix in (".toml", ".json"):
        if not path.is_file():
            raise click.BadParameter(f"There is no file {source}.")
        return _read(path, shop.utility.currency)
    return shop.tariffs.versions(source)[-1].tariff


def _moment(text: str | None, utility: Utility) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == len("2026-12-01"):
            return utility.midnight(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time like 2026-12-01T06:00.") from None
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=utility.midnight(moment.date()).tzinfo)


def _say_added(added: TariffVersion, utility: Utility, *, as_json: bool) -> None:
    if as_json:
        print_json(_version_object(added, utility.currency))
        return
    begins = f"{utility.local(added.valid_from):%Y-%m-%d %H:%M %Z}"
    console.print(
        f"{added.tariff.name}, version {added.version}, is valid from {begins}.", markup=False
    )


def _version_object(each: TariffVersion, money: Currency) -> dict[str, Any]:
    from vending.price.document import to_data

    return {
        "version": each.version,
        "valid_from": each.valid_from.isoformat(),
        "tariff": to_data(each.tariff, money),
    }


def _show_definition(value: Any, indent: str) -> None:
    for key, part in value.items():
        if isinstance(part, dict):
            console.print(f"{indent}{key}:", markup=False)
            _show_definition(part, indent + "  ")
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            for number, each in enumerate(part, 1):
                console.print(f"{indent}{key} {number}:", markup=False)
                _show_definition(each, indent + "  ")
        elif part not in ("", [], None):
            text = ", ".join(part) if isinstance(part, list) else part
            console.print(f"{indent}{key}: {text}", markup=False)


def _quote_object(sold: Quote) -> dict[str, Any]:
    return {
        "tendered_minor": sold.tendered_minor,
        "units": sold.units,
        "lines": [
            {
                "kind": line.kind.value,
                "amount_minor": line.amount_minor,
                "explanation": line.explanation,
                "reason": {"code": line.reason.code, "values": list(line.reason.values)},
            }
            for line in sold.lines
        ],
    }


def _show_quote(tried: Tariff, sold: Quote, money: Currency) -> None:
    from vending.shop.money import scaled

    console.print(
        f"{money.code} {money.text(sold.tendered_minor)} buys "
        f"{scaled(sold.units, 1)} {tried.resource.measure}:",
        markup=False,
    )
    table = _lines_table()
    for line in sold.lines:
        table.add_row(line.kind.value.capitalize(), line.explanation, money.text(line.amount_minor))
    console.print(table)


def _lines_table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column()
    table.add_column(justify="right")
    return table


def _plot(tried: Tariff, known: Situation, largest: int, money: Currency) -> None:
    """A bar for the units of each amount, and what a unit more costs there."""
    from vending.price.quoting import quote
    from vending.shop.faults import BelowMinimumError
    from vending.shop.money import scaled

    rows = []
    for number in range(1, _PLOT_POINTS + 1):
        amount = max(1, largest * number // _PLOT_POINTS)
        try:
            sold = quote(tried, known, amount, money)
        except BelowMinimumError:
            rows.append((amount, 0, ""))
        else:
            rows.append((amount, sold.units, _marginal(sold, money)))
    most = max(units for _, units, _ in rows) or 1
    table = Table(box=None, pad_edge=False)
    table.add_column(money.code, justify="right")
    table.add_column(tried.resource.measure, justify="right")
    table.add_column("")
    table.add_column("last block @", justify="right")
    for amount, units, price in rows:
        bar = "#" * (_PLOT_COLUMNS * units // most)
        table.add_row(money.text(amount), scaled(units, 1), bar, price)
    console.print(table)


def _marginal(sold: Quote, money: Currency) -> str:
    from vending.price.words import rate_text

    return rate_text(sold.steps[-1].price, money)
