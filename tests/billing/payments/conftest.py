"""The house's tills hold the office's currency."""

from __future__ import annotations

import pytest

from billing.ledger.books import ensure_account
from billing.office import Office
from storage.ledger import AccountKind
from vending.shop.books import Tender


@pytest.fixture(autouse=True)
def tills(request: pytest.FixtureRequest) -> None:
    """The shop of the tests keeps its books in another currency than the office."""
    if "office" not in request.fixturenames:
        return
    office: Office = request.getfixturevalue("office")
    with office.writing() as connection:
        for tender in Tender:
            ensure_account(connection, tender.account, AccountKind.ASSET, office.currency.code)
