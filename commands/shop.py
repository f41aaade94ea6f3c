"""``meterhouse init``, ``upgrade`` and ``price``: a shop's database and what units cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import vending
from commands.counter import configure_logs, database_option, open_shop, operator_option
from commands.output import console, json_option, print_json

if TYPE_CHECKING:
    from vending import Currency, Price

_TEST_WARNING = (
    "This shop uses PUBLIC TEST KEYS: everybody knows them, and no real meter should have them."
)


@click.command()
@database_option
@click.option("--utility", default="Test Utility", show_default=True, help="Name on receipts.")
@click.option("--address", default="", help="The utility's address, on receipts.")
@click.option("--tax-number", default="", help="The utility's tax number, on receipts.")
@click.option("--vendor", default="", help="Who runs the tills, if not the utility.")
@click.option("--currency", default="USD", show_default=True, help="ISO 4217 code.")
@click.option("--price", default="0.25", show_default=True, help="Per kWh, before tax.")
@click.option("--tax", default="0", show_default=True, metavar="PERCENT", help="Tax on energy.")
@click.option("--zone", default="UTC", show_default=True, help="Time zone, e.g. Africa/Lagos.")
@click.option("--language", default="en", show_default=True, help="Of receipts: en, zh, fr, pt.")
@click.option("--minimum", metavar="AMOUNT", help="Smallest sale. [default: what 0.1 kWh costs]")
@click.option("--maximum", metavar="AMOUNT", help="Largest sale. [default: 1,000,000,000 minor]")
@json_option
def init(
    database: str,
    utility: str,
    address: str,
    tax_number: str,
    vendor: str,
    currency: str,
    price: str,
    tax: str,
    zone: str,
    language: str,
    minimum: str | None,
    maximum: str | None,
    as_json: bool,
) -> None:
    """Make a new shop: its database, the utility's name, a flat price.

    A database that holds anything already is left as it is.
    """
    from vending.receipts.language import find_language
    from vending.shop.price import parse_price

    configure_logs()
    money = vending.Currency.named(currency)
    flat = parse_price(price, tax, money)
    limits = {
        name: money.parse(text)
        for name, text in (("minimum_minor", minimum), ("maximum_minor", maximum))
        if text is not None
    }
    seller = vending.Utility(
        utility,
        money,
        zone=zone,
        address=address,
        tax_number=tax_number,
        vendor=vendor,
        language=find_language(language).code,
        **limits,
    )
    vending.Shop.create(database, seller, flat).close()
    if as_json:
        print_json({"utility": utility, **_price_object(flat, money), "zone": zone, "test": True})
        return
    console.print(f"The shop of {utility} is ready: {_price_words(flat, money)}.", markup=False)
    console.print(_TEST_WARNING, style="yellow")
    console.print("Next: meterhouse meter add NUMBER --customer NAME", markup=False)


@click.command()
@database_option
@json_option
def upgrade(database: str, as_json: bool) -> None:
    """Bring the shop's database to this program's version.

    Make a backup first.  It happens wholly or not at all.
    """
    from storage.schema import SCHEMA_VERSION
    from vending.shop.shop import upgrade as upgrade_database

    configure_logs()
    upgrade_database(database)
    if as_json:
        print_json({"schema": SCHEMA_VERSION})
    else:
        console.print(f"The database has schema {SCHEMA_VERSION}.", markup=False)


@click.group()
def price() -> None:
    """The price of a kWh: show, set."""


@price.command()
@database_option
@json_option
def show(database: str, as_json: bool) -> None:
    """Show what a kWh costs."""
    with open_shop(database) as shop:
        _print_price(shop.price(), shop.utility.currency, "Units cost", as_json=as_json)


@price.command(name="set")
@click.argument("per_kwh", metavar="PRICE")
@click.option("--tax", metavar="PERCENT", help="Tax on energy. [default: as it is]")
@operator_option
@database_option
@json_option
def set_(per_kwh: str, tax: str | None, operator: str, database: str, as_json: bool) -> None:
    """Sell for PRICE per kWh, before tax, from now on."""
    from vending.shop.price import parse_price, percent_text

    with open_shop(database) as shop:
        money = shop.utility.currency
        tax = percent_text(shop.price().tax_bp) if tax is None else tax
        wanted = parse_price(per_kwh, tax, money)
        shop.set_price(wanted, operator=operator)
    _print_price(wanted, money, "From now on units cost", as_json=as_json)


def _print_price(flat: Price, money: Currency, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_price_object(flat, money))
    else:
        console.print(f"{words} {_price_words(flat, money)}.", markup=False)


def _price_words(flat: Price, money: Currency) -> str:
    from vending.shop.price import percent_text, price_text

    tax = f" and {percent_text(flat.tax_bp)} % tax" if flat.tax_bp else ""
    return f"{money.code} {price_text(flat, money)} a kWh{tax}"


def _price_object(flat: Price, money: Currency) -> dict[str, str]:
    from vending.shop.price import percent_text, price_text

    return {
        "currency": money.code,
        "price_per_kwh": price_text(flat, money),
        "tax_percent": percent_text(flat.tax_bp),
    }
