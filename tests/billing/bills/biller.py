"""A process that makes the bills of a day, to be killed: ``biller URL TIME``."""

from __future__ import annotations

import sys
from datetime import datetime

import billing.tables_all
from billing.bills.run import run
from billing.office import Office
from billing.privacy.seal import Seal
from storage.engine import open_engine
from tests.billing.conftest import PERSONAL_KEY, ZONE
from vending import Currency


def main() -> None:
    """Make them; the first line says that it begins."""
    assert billing.tables_all.__doc__
    at = datetime.fromisoformat(sys.argv[2])
    office = Office(
        engine=open_engine(sys.argv[1]),
        zone=ZONE,
        currency=Currency.named("CNY"),
        clock=lambda: at,
        seal=Seal(PERSONAL_KEY),
        name="City Power",
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    run(office)


if __name__ == "__main__":
    main()
