"""What the database itself refuses, whoever asks: plain SQL past all of our code."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from storage.ledger import Transfer, ledger_transactions, post
from tests.shop.databases import START, SqliteFiles
from vending import KeyChangeRequest, Meter, Receipt, Shop, VendRequest
from vending.shop.tables import tokens

IMMUTABLE = {
    "accounts": "currency",
    "ledger_transactions": "kind",
    "transfers": "amount_minor",
    "prices": "per_kwh",
    "receipts": "tendered_minor",
    "tokens": "units",
    "reprints": "copy_no",
    "audit_lines": "actor",
    "requests": "response",
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def receipt(shop: Shop, meter: Meter) -> Receipt:
    """A sale and a reprint, so that every table has rows."""
    sold = shop.vend(VendRequest("kiosk", "m1", meter.number, 10_000)).require_done()
    shop.reprint(sold.receipt_no)
    return sold


def refused(engine: Engine, statement: str, **values: Any) -> str:
    """Run a statement that must be refused; gives the database's words."""
    with pytest.raises(DBAPIError) as fault, engine.begin() as connection:
        connection.execute(text(statement), values)
    return str(fault.value.orig)


@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize(("table", "column"), IMMUTABLE.items())
def test_rows_that_tell_of_money_are_never_changed_or_deleted(
    engine: Engine, table: str, column: str
) -> None:
    with engine.connect() as connection:
        before = connection.execute(text(f"SELECT * FROM {table}")).all()
    assert before
    assert "never" in refused(engine, f"UPDATE {table} SET {column} = {column}")
    assert "never" in refused(engine, f"DELETE FROM {table}")
    if engine.dialect.name == "postgresql":
        assert "never" in refused(engine, f"TRUNCATE {table} CASCADE")
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT * FROM {table}")).all() == before


@pytest.mark.parametrize("table", [*IMMUTABLE, "meters", "meter_keys", "utility"])
@pytest.mark.usefixtures("receipt")
def test_rows_cannot_be_replaced_either(engine: Engine, table: str) -> None:
    """SQLite's REPLACE deletes without asking the triggers that watch deletions."""
    if engine.dialect.name == "postgresql":
        refused(engine, f"INSERT INTO {table} SELECT * FROM {table}")
        return
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    for verb in ("REPLACE", "INSERT OR REPLACE"):
        words = refused(engine, f"{verb} INTO {table} SELECT * FROM {table}")
        assert "this key is taken" in words or "greater than the last" in words


@pytest.mark.usefixtures("receipt")
def test_a_new_row_cannot_push_out_an_old_one_by_any_of_its_keys(engine: Engine) -> None:
    """Another receipt number, but the message id of a receipt that exists."""
    verb = "INSERT OR REPLACE" if engine.dialect.name == "sqlite" else "INSERT"
    columns = "client, message_id, kind, meter_id, issued_at, tendered_minor, change_minor, units"
    refused(
        engine,
        f"{verb} INTO receipts (receipt_no, {columns}, transaction_id) "
        f"SELECT 77, {columns}, NULL FROM receipts",
    )


def _insert_token(connection: Connection, receipt: Receipt, **other: Any) -> None:
    row = connection.execute(tokens.select().where(tokens.c.receipt_no == receipt.receipt_no)).one()
    connection.execute(tokens.insert(), {**row._asdict(), "position": 2, **other})


@pytest.mark.parametrize("step", [0, -1, -1000])
def test_an_identifier_that_is_not_greater_than_the_last_is_refused(
    engine: Engine, receipt: Receipt, step: int
) -> None:
    tid = receipt.tokens[0].tid
    assert tid is not None
    with pytest.raises(IntegrityError, match="greater than the last"), engine.begin() as connection:
        _insert_token(connection, receipt, tid=tid + step)


def test_a_greater_identifier_is_taken(engine: Engine, receipt: Receipt) -> None:
    tid = receipt.tokens[0].tid
    assert tid is not None
    with engine.begin() as connection:
        _insert_token(connection, receipt, tid=tid + 1)


def test_identifiers_go_on_growing_across_a_change_of_key(
    engine: Engine, shop: Shop, meter: Meter, receipt: Receipt
) -> None:
    """The meter keeps its memory of used identifiers when its key changes."""
    shop.key_change(KeyChangeRequest("kiosk", "k", meter.number, krn=2)).require_done()
    with engine.connect() as connection:
        new_key_id = connection.scalar(
            text("SELECT meter_key_id FROM meter_keys WHERE state = 'in_use'")
        )
    tid = receipt.tokens[0].tid
    with pytest.raises(IntegrityError, match="greater than the last"), engine.begin() as connection:
        _insert_token(connection, receipt, meter_key_id=new_key_id, tid=tid)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tid": 1440 * 5000 + 1},
        {"tid": 1 << 24},
        {"tid": None},
        {"digits": "123"},
        {"units": 0},
        {"base_year": 1993},
        {"meter_key_id": 999},
        {"receipt_no": 999},
    ],
)
def test_tokens_that_cannot_be_are_refused(
    engine: Engine, receipt: Receipt, wrong: dict[str, Any]
) -> None:
    tid = receipt.tokens[0].tid
    assert tid is not None
    with pytest.raises(IntegrityError), engine.begin() as connection:
        _insert_token(connection, receipt, **{"tid": tid + 1, **wrong})


@pytest.mark.parametrize(
    "move",
    [
        Transfer("tender.cash", "sales.energy", 0, "x"),
        Transfer("tender.cash", "sales.energy", -5, "x"),
        Transfer("tender.cash", "tender.cash", 5, "x"),
        Transfer("tender.cash", "nowhere", 5, "x"),
    ],
)
def test_transfers_that_would_not_balance_are_refused(engine: Engine, move: Transfer) -> None:
    with pytest.raises(InvariantError), writing(engine) as connection:
        post(connection, "test", START, "ZAR", [move])


def test_a_transfer_in_another_currency_than_its_accounts_is_refused(engine: Engine) -> None:
    with pytest.raises(InvariantError), writing(engine) as connection:
        post(connection, "test", START, "USD", [Transfer("tender.cash", "tax", 5, "x")])


def test_money_with_a_fraction_is_refused(engine: Engine) -> None:
    move = Transfer("tender.cash", "tax", 1.5, "x")  # type: ignore[arg-type]
    with pytest.raises(StatementError, match="takes whole numbers"), writing(engine) as connection:
        post(connection, "test", START, "ZAR", [move])


def test_sqlite_itself_refuses_money_with_a_fraction(
    sqlite_files: SqliteFiles,
) -> None:
    engine = open_engine(sqlite_files.shop())
    with writing(engine) as connection:
        post(connection, "test", START, "ZAR", [Transfer("tender.cash", "tax", 5, "x")])
    assert "cannot store REAL value in INTEGER column" in refused(
        engine,
        "INSERT INTO transfers SELECT transaction_id, 9, debit_account, credit_account, "
        "currency, 1.5, purpose FROM transfers",
    )
    engine.dispose()


def test_a_time_without_a_zone_finds_no_column(engine: Engine) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
    with pytest.raises(StatementError, match="needs a zone"), writing(engine) as connection:
        post(connection, "test", naive, "ZAR", [Transfer("tender.cash", "tax", 5, "x")])


def test_a_time_comes_back_as_the_same_moment_in_utc(engine: Engine) -> None:
    local = START.astimezone(ZoneInfo("Asia/Kathmandu"))
    moment = local + timedelta(microseconds=7)
    with writing(engine) as connection:
        number = post(connection, "test", moment, "ZAR", [Transfer("tender.cash", "tax", 5, "x")])
        stored = connection.scalar(
            ledger_transactions.select()
            .with_only_columns(ledger_transactions.c.posted_at)
            .where(ledger_transactions.c.transaction_id == number)
        )
    assert stored == moment
    assert stored is not None
    assert stored.utcoffset() == timedelta(0)


@pytest.mark.usefixtures("receipt")
def test_one_message_id_has_one_row(engine: Engine) -> None:
    refused(
        engine,
        "INSERT INTO requests (client, message_id, operation, request_sha256, received_at) "
        "SELECT client, message_id, operation, request_sha256, received_at FROM requests",
    )


def test_a_meter_has_one_key_in_use_and_keys_keep_their_attributes(
    engine: Engine, shop: Shop, meter: Meter
) -> None:
    shop.key_change(KeyChangeRequest("kiosk", "k", meter.number, krn=2)).require_done()
    refused(engine, "UPDATE meter_keys SET state = 'in_use'")
    assert "never" in refused(engine, "UPDATE meter_keys SET base_year = 2035")
    assert "never" in refused(engine, "UPDATE meters SET number = '07000000999'")
    assert "never" in refused(engine, "UPDATE meters SET algorithm = 7")


def test_a_key_change_never_goes_back(engine: Engine, shop: Shop, meter: Meter) -> None:
    shop.key_change(KeyChangeRequest("kiosk", "k", meter.number, krn=2)).require_done()
    assert "never goes back" in refused(
        engine,
        "UPDATE key_changes SET state = 'pending', receipt_no = NULL, issued_at = NULL",
    )
    with engine.begin() as connection:
        connection.execute(text("UPDATE key_changes SET state = 'confirmed'"))
    assert "never goes back" in refused(engine, "UPDATE key_changes SET state = 'issued'")


def test_a_refusal_of_the_database_does_not_quote_the_row(engine: Engine, receipt: Receipt) -> None:
    """PostgreSQL's detail of a refusal holds the whole row, and with it the token."""
    tid = receipt.tokens[0].tid
    assert tid is not None
    with pytest.raises(InvariantError) as fault, writing(engine) as connection:
        _insert_token(connection, receipt, tid=tid + 1, token_class=2)
    shown = "".join(traceback.format_exception(fault.value))
    assert receipt.token not in shown
    assert "ck_tokens" in str(fault.value)
