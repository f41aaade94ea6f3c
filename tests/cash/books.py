"""What the ledger says, for tests."""

from __future__ import annotations

from sqlalchemy import text

from storage.engine import open_engine, reading
from storage.ledger import balances


def ledger(url: str) -> dict[str, int]:
    """The balance of every account, on the side on which its kind grows."""
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            found = balances(connection)
            assert sum(each.debits_minor for each in found) == sum(
                each.credits_minor for each in found
            )
            return {each.account: each.balance_minor for each in found}
    finally:
        engine.dispose()


def scalar(url: str, query: str) -> int:
    """One number from the database."""
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            return int(connection.execute(text(query)).scalar_one())
    finally:
        engine.dispose()
