"""``meterhouse init`` and ``meterhouse upgrade``: a shop's database."""

from __future__ import annotations

import click

import vending
from commands.counter import configure_logs, database_option
from commands.output import console, json_option, print_json

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
    minimum: str | None,
    maximum: str | None,
    as_json: bool,
) -> None:
    """Make a new shop: its database, the utility's name, a flat price.

    A database that holds anything already is left as it is.
    """
    from vending.shop.price import parse_price, percent_text, price_text

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
        **limits,
    )
    vending.Shop.create(database, seller, flat).close()
    shown_price = price_text(flat, money)
    if as_json:
        print_json(
            {
                "utility": utility,
                "currency": currency,
                "price_per_kwh": shown_price,
                "tax_percent": percent_text(flat.tax_bp),
                "zone": zone,
                "test": True,
            }
        )
        return
    console.print(
        f"The shop of {utility} is ready: {currency} {shown_price} a kWh"
        f"{f' and {percent_text(flat.tax_bp)} % tax' if flat.tax_bp else ''}.",
        markup=False,
    )
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
