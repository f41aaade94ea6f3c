"""The shop's fixtures, for tests of drawers, vendors and the bank."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.shop.conftest import (  # noqa: F401
    _quiet_logs,
    clock,
    database_url,
    databases,
    events,
    meter,
    new_number,
    postgresql_databases,
    shop,
    sqlite_files,
)
from vending import Meter, Receipt, Shop, Tender, VendRequest

Sell = Callable[..., Receipt]


@pytest.fixture
def sell(shop: Shop, meter: Meter) -> Sell:  # noqa: F811
    """Sell to the meter, each time under another id."""
    ids = iter(range(10**6))

    def sell(
        amount_minor: int = 10_000,
        tender: Tender = Tender.CASH,
        *,
        operator: str = "ann",
        terminal: str = "1",
        client: str = "till",
    ) -> Receipt:
        request = VendRequest(
            client,
            f"sale-{next(ids)}",
            meter.number,
            amount_minor,
            tender,
            operator=operator,
            terminal=terminal,
        )
        return shop.vend(request).require_done()

    return sell
