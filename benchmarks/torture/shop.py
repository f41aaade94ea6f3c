"""The shop that is tortured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

from benchmarks.torture.asked import MINIMUM_MINOR, TERMINALS, Plan, meter_number, terminal
from storage.engine import open_engine, writing
from vending import Currency, Price, PublicTestKeys, Shop, Utility
from vending.cash.credit import credit_vendor

CREDIT_MINOR: Final = 10**12
"""What the vendor paid in."""
VENDOR: Final = 1


def make_shop(url: str, plan: Plan) -> None:
    """Make it, in a database that holds nothing."""
    utility = Utility(name="Torture", currency=Currency.named("ZAR"), minimum_minor=MINIMUM_MINOR)
    begin = datetime.now(UTC) - timedelta(days=30)
    with Shop.create(
        url, utility, Price(250_000, 1_500), security=PublicTestKeys(), now=lambda: begin
    ) as shop:
        shop.import_meters(["number", *(meter_number(serial) for serial in range(plan.meters))])
    engine = open_engine(url)
    try:
        _make_vendor(engine)
    finally:
        engine.dispose()


def _make_vendor(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO vendors (vendor_id, name, prepaid, added_at) "
                f"SELECT {VENDOR}, 'Spaza', 1, set_at FROM prices"
            )
        )
        for number in range(TERMINALS):
            connection.execute(
                text(
                    "INSERT INTO terminals (name, vendor_id, added_at) "
                    f"SELECT '{terminal(number)}', {VENDOR}, set_at FROM prices"
                )
            )
        credit_vendor(connection, VENDOR, CREDIT_MINOR)
