"""The lines of version 0001 become the beginning of the chain."""

from __future__ import annotations

from sqlalchemy import text

from storage.engine import open_engine, writing
from tests.shop.conftest import Clock
from tests.shop.test_upgrade import old_url  # noqa: F401
from vending import Shop
from vending.shop.shop import upgrade


def test_old_lines_are_chained_as_they_stand(old_url: str, clock: Clock) -> None:  # noqa: F811
    engine = open_engine(old_url)
    with writing(engine) as connection:
        for number in (901, 905):  # where an act was undone, version 0001 left a gap
            connection.execute(
                text(
                    "INSERT INTO audit_lines (audit_id, at, actor, action, subject, detail) "
                    f"VALUES ({number}, '2026-11-21T09:30:00.000000Z', 'ben', 'a.b', '1', 'x')"
                )
            )
    engine.dispose()
    upgrade(old_url)
    with Shop.open(old_url, now=clock) as shop:
        *_, before, last = shop.audit.lines(action="a.b")
        found = shop.audit.verify(seal=False)
        assert last.number == before.number + 1
        assert (last.actor, last.detail, last.from_where) == ("ben", "x", "")
        assert (found.broken, found.seals, found.lines) == (None, 0, last.number)
        assert shop.audit.verify(head=str(found.head)).broken is None
