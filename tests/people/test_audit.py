"""The audit trail: chained, sealed, and every later change of it is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from storage.audit import record
from storage.audit_chain import GENESIS, line_sha256
from storage.audit_verify import BreakKind
from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.shop.conftest import Clock
from vending import Meter, Shop, VendRequest
from vending.people.audit_walk import Anchor, Verification, walk
from vending.people.faults import HeadFormatError
from vending.shop.faults import RequestFormatError

SALES = 4
SEALED = {
    "receipts": "receipt_no",
    "requests": "message_id",
    "tokens": "receipt_no",
    "ledger_transactions": "transaction_id",
    "transfers": "transaction_id",
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def trail(shop: Shop, meter: Meter, clock: Clock) -> Shop:
    """A shop with sales, a seal in their middle, and a seal at the end."""
    for number in range(SALES):
        clock.advance(minutes=1)
        vend(shop, meter, str(number))
        shop.block_meter(meter.number, f"debt {number}")
        shop.unblock_meter(meter.number)
        if number == SALES // 2:
            assert shop.audit.seal() is not None
    return shop


def vend(shop: Shop, meter: Meter, message_id: str) -> None:
    request = VendRequest("till", message_id, meter.number, 5_000, confirmed_second=True)
    shop.vend(request).require_done()


def test_a_trail_as_it_was_written_is_whole(trail: Shop) -> None:
    told: list[tuple[int, int]] = []
    found = trail.audit.verify(progress=lambda *done: told.append(done))
    assert found.broken is None
    assert told[-1] == (found.lines, found.lines)
    again = trail.audit.verify(head=str(found.head))
    assert (again.broken, again.seals, again.head) == (None, 2, found.head)


def test_lines_say_who_what_when_from_where_and_why(trail: Shop, meter: Meter) -> None:
    first, *_ = trail.audit.lines(action="meter.", subject=meter.number)
    assert (first.action, first.subject) == ("meter.added", meter.number)
    assert first.from_where.count("/") == 2
    assert len(list(trail.audit.lines(action="meter.blocked"))) == SALES
    assert len(list(trail.audit.lines(action="meter.blocked", limit=2))) == 2
    assert not list(trail.audit.lines(actor="nobody"))
    assert not list(trail.audit.lines(until=first.at))
    with pytest.raises(RequestFormatError):
        trail.audit.lines(limit=0)


def test_the_hash_is_what_the_documentation_says() -> None:
    fields = [b"2026-11-21T09:30:00.000000Z", b"", b"a.b", b"1", "d\u00e9".encode(), b"", b"h//1"]
    written = b"meterhouse audit line 1\0"
    for field in (b"7", *fields, GENESIS):
        written += len(field).to_bytes(4, "big") + field
    assert line_sha256(7, fields, GENESIS) == hashlib.sha256(written).digest()


def test_the_database_takes_the_next_line_and_no_other(trail: Shop, engine: Engine) -> None:
    last = trail.audit.head()
    columns = "at, actor, action, subject, detail, reason, from_where"
    copied = (
        "INSERT INTO audit_lines (audit_id, previous_sha256, line_sha256, "
        f"{columns}) SELECT {{number}}, {{previous}}, line_sha256, {columns} "
        "FROM audit_lines WHERE audit_id = 1"
    )
    other = "(SELECT previous_sha256 FROM audit_lines WHERE audit_id = 2)"
    right = f"(SELECT line_sha256 FROM audit_lines WHERE audit_id = {last.number})"
    for number, previous in ((last.number + 2, right), (last.number + 1, other), (0, right)):
        with pytest.raises(InvariantError), writing(engine) as connection:
            connection.execute(text(copied.format(number=number, previous=previous)))
    for change in ("UPDATE audit_lines SET actor = 'x'", "DELETE FROM audit_lines"):
        with pytest.raises(InvariantError), writing(engine) as connection:
            connection.execute(text(change))


def test_lines_from_many_at_once_make_one_chain(shop: Shop, engine: Engine, clock: Clock) -> None:
    def write(number: int) -> None:
        with writing(engine) as connection:
            for part in range(2):
                record(connection, clock(), actor="x", action="test", subject=f"{number}.{part}")

    before = shop.audit.head().number
    with ThreadPoolExecutor(8) as many:
        list(many.map(write, range(24)))
    found = shop.audit.verify()
    assert (found.broken, found.lines) == (None, before + 48)


def test_a_line_of_an_act_that_was_undone_leaves_no_gap(
    shop: Shop, engine: Engine, clock: Clock
) -> None:
    with pytest.raises(ZeroDivisionError):
        _record_then_fail(engine, clock)
    assert shop.audit.verify().broken is None
    assert not list(shop.audit.lines(action="test"))


def _record_then_fail(engine: Engine, clock: Clock) -> None:
    with writing(engine) as connection:
        record(connection, clock(), actor="x", action="test", subject="1")
        raise ZeroDivisionError


# --- what was changed later is found ----------------------------------------------------------


@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_byte_of_any_line_that_was_changed_is_found(
    trail_without_triggers: tuple[Shop, Engine], data: st.DataObject
) -> None:
    _, engine = trail_without_triggers
    with undone(engine) as tampering:
        number = data.draw(st.integers(1, _count(tampering, "audit_lines")))
        columns = "at actor action subject detail reason from_where previous_sha256 line_sha256"
        column = data.draw(st.sampled_from(columns.split()))
        assume(change_a_byte(tampering, "audit_lines", column, f"audit_id = {number}", data))
        found = verified(tampering)
    assert found.broken is not None, (number, column)
    assert found.broken.kind is BreakKind.CHANGED
    assert found.broken.number == number


@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_byte_of_any_sealed_row_that_was_changed_is_found(
    trail_without_triggers: tuple[Shop, Engine], data: st.DataObject
) -> None:
    _, engine = trail_without_triggers
    with undone(engine) as tampering:
        name = data.draw(st.sampled_from(sorted(SEALED)))
        key = SEALED[name]
        keys = tampering.scalars(text(f"SELECT {key} FROM {name} ORDER BY {key}")).all()
        chosen = data.draw(st.sampled_from(keys))
        row = tampering.execute(text(f"SELECT * FROM {name} LIMIT 1")).one()
        column = data.draw(st.sampled_from(sorted(set(row._fields) - {key})))
        assume(change_a_byte(tampering, name, column, f"{key} = '{chosen}'", data))
        found = verified(tampering)
    assert found.broken is not None, (name, chosen, column)
    assert found.broken.kind is BreakKind.SALES
    assert name in found.broken.message


def test_a_line_that_is_missing_is_named(trail_without_triggers: tuple[Shop, Engine]) -> None:
    _, engine = trail_without_triggers
    with undone(engine) as tampering:
        tampering.execute(text("DELETE FROM audit_lines WHERE audit_id = 3"))
        found = verified(tampering)
        assert _broken(found) == (3, BreakKind.MISSING)
        for number in range(4, found.lines + SALES * 2):
            tampering.execute(
                text(f"UPDATE audit_lines SET audit_id = {number - 1} WHERE audit_id = {number}")
            )
        assert _broken(verified(tampering)) == (3, BreakKind.MISSING)


@pytest.mark.parametrize("other", [4, 6])
def test_lines_that_changed_places_are_named(
    trail_without_triggers: tuple[Shop, Engine], other: int
) -> None:
    _, engine = trail_without_triggers
    with undone(engine) as tampering:
        for now, then in ((3, 1_000), (other, 3), (1_000, other)):
            tampering.execute(
                text(f"UPDATE audit_lines SET audit_id = {then} WHERE audit_id = {now}")
            )
        assert _broken(verified(tampering)) == (3, BreakKind.REORDERED)


def test_an_end_that_was_cut_off_is_told_by_the_head_that_was_kept(
    trail_without_triggers: tuple[Shop, Engine],
) -> None:
    shop, engine = trail_without_triggers
    head = str(shop.audit.head())
    last = shop.audit.head().number
    with undone(engine) as tampering:
        tampering.execute(text(f"DELETE FROM audit_lines WHERE audit_id > {last - 2}"))
        assert verified(tampering).broken is None  # no chain can tell by itself
        for kept in (head, head.partition(":")[2]):
            found = verified(tampering, kept)
            assert _broken(found) == (last - 1, BreakKind.CUT)


def test_a_chain_that_was_made_anew_is_told_by_the_head_that_was_kept(
    trail_without_triggers: tuple[Shop, Engine],
) -> None:
    shop, engine = trail_without_triggers
    head = str(shop.audit.head())
    with undone(engine) as tampering:
        last = shop.audit.head().number
        forged = b"\7" * 32
        fields = tampering.execute(
            text(
                "SELECT at, actor, action, subject, detail, reason, from_where "
                f"FROM audit_lines WHERE audit_id = {last}"
            )
        ).one()
        assert fields is not None
        tampering.execute(
            text(f"UPDATE audit_lines SET line_sha256 = :forged WHERE audit_id = {last}"),
            {"forged": forged},
        )
        assert verified(tampering, head).broken is not None


def test_a_receipt_that_was_taken_out_or_slipped_in_is_found(
    trail_without_triggers: tuple[Shop, Engine],
) -> None:
    _, engine = trail_without_triggers
    with undone(engine) as tampering:
        tampering.execute(text("DELETE FROM tokens WHERE receipt_no = 2"))
        found = verified(tampering)
    assert found.broken is not None
    assert found.broken.kind is BreakKind.SALES
    assert "tokens" in found.broken.message


def test_no_head_is_taken_for_one(shop: Shop) -> None:
    for head in ("", "57", "x:" + "0" * 64, "57:" + "z" * 64, "1:2:" + "0" * 64):
        with pytest.raises(HeadFormatError, match="audit head"):
            shop.audit.verify(head=head)


# --- seals ------------------------------------------------------------------------------------


def test_a_seal_covers_what_came_since_the_one_before(shop: Shop, meter: Meter) -> None:
    assert shop.audit.seal() is None
    vend(shop, meter, "1")
    first = shop.audit.seal()
    vend(shop, meter, "2")
    second = shop.audit.seal()
    assert first is not None
    assert second is not None
    assert first.ranges["receipt_no"].to == second.ranges["receipt_no"].after
    assert [seal.tables["receipts"].rows for seal in (first, second)] == [1, 1]
    assert shop.audit.seal() is None


def test_a_seal_leaves_out_no_sale_that_is_being_made(
    shop: Shop, meter: Meter, database_url: str, clock: Clock
) -> None:
    """Seals are made while sales go on: all is covered, once, and stays whole."""

    def sell(till: int) -> None:
        with Shop.open(database_url, now=clock) as mine:
            for number in range(6):
                vend(mine, meter, f"{till}-{number}")

    with ThreadPoolExecutor(5) as tills:
        sold = [tills.submit(sell, till) for till in range(3)]
        while not all(each.done() for each in sold):
            shop.audit.seal()
        for each in sold:
            each.result()
    found = shop.audit.verify()
    assert found.broken is None
    seals = [json.loads(line.detail) for line in shop.audit.lines(action="sales.sealed")]
    assert sum(seal["tables"]["receipts"]["rows"] for seal in seals) == 18


# --- tools ------------------------------------------------------------------------------------


class undone:  # noqa: N801 - reads as what it is
    """A raw connection whose changes are undone at the end; nobody else sees them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Connection:
        self._connection = self._engine.connect()
        if self._engine.dialect.name == "sqlite":
            self._connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            self._connection.commit()
        self._connection.begin_nested() if self._connection.in_transaction() else None
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.close()


@pytest.fixture
def trail_without_triggers(trail: Shop, engine: Engine) -> tuple[Shop, Engine]:
    """A verified trail, sealed to its end, in a database that has lost its guards."""
    assert trail.audit.verify().broken is None
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            names = connection.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all()
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for name in ("audit_lines", *SEALED):
                connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
            # foreign keys and checks, too: whoever tampers owns the database
            rows = connection.execute(
                text(
                    "SELECT conrelid::regclass AS owner, conname FROM pg_constraint "
                    "WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace"
                )
            ).all()
            for row in rows:
                connection.execute(text(f"ALTER TABLE {row.owner} DROP CONSTRAINT {row.conname}"))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    return trail, engine


def verified(tampering: Connection, head: str | None = None) -> Verification:
    """Verify through the connection that sees the tampering."""
    return walk(tampering, Anchor.parsed(head), None)


def change_a_byte(
    connection: Connection, table: str, column: str, where: str, data: st.DataObject
) -> bool:
    """Change one byte of a stored value, as somebody with the file in a hex editor would."""
    row = connection.execute(text(f"SELECT {column} AS it FROM {table} WHERE {where}")).first()
    assert row is not None
    value = row.it
    if value is None:
        return False
    changed = changed_by_one(connection, value, data)
    if changed is None:
        return False
    connection.exec_driver_sql("SAVEPOINT before")
    statement, parameters = changed
    try:
        connection.execute(
            text(f"UPDATE {table} SET {column} = {statement} WHERE {where}"), parameters
        )
    except Exception:  # noqa: BLE001 - a unique key or the type refuses: nothing was changed
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT before")
        return False
    return True


def changed_by_one(
    connection: Connection, value: Any, data: st.DataObject
) -> tuple[str, dict[str, Any]] | None:
    if isinstance(value, int):
        return ":new", {"new": value ^ (1 << data.draw(st.integers(0, 7)))}
    is_postgresql = connection.dialect.name == "postgresql"
    if is_postgresql and not isinstance(value, str | bytes | memoryview):  # a time
        return (
            f"CAST(:new AS timestamptz) + interval '{data.draw(st.integers(1, 99))} microseconds'",
            {"new": value},
        )
    raw = bytes(value, "utf-8") if isinstance(value, str) else bytes(value)
    if not raw:
        raw, place = b"\0", 0
    else:
        place = data.draw(st.integers(0, len(raw) - 1))
    flipped = bytearray(raw)
    flipped[place] ^= 1 << data.draw(st.integers(0, 6))
    if not isinstance(value, str):
        return ":new", {"new": bytes(flipped)}
    if is_postgresql:
        try:
            new = flipped.decode()
        except UnicodeDecodeError:
            return None
        return (":new", {"new": new}) if "\0" not in new else None
    return "CAST(:new AS TEXT)", {"new": bytes(flipped)}


def _count(connection: Connection, table: str) -> int:
    return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


def _broken(found: Verification) -> tuple[int, BreakKind] | None:
    return None if found.broken is None else (found.broken.number, found.broken.kind)
