"""What the database itself refuses, whoever asks: plain SQL past all of our code."""

from __future__ import annotations

import re
import traceback
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.engine import open_engine, writing
from storage.errors import InvariantError, ValueRefusedError
from storage.ledger import Transfer, ledger_transactions, post
from tests.shop.databases import START, SqliteFiles
from vending import KeyChangeRequest, Meter, Receipt, Shop, VendRequest
from vending.shop.tables import receipts, requests, tokens

ARABIC_INDIC = "\N{ARABIC-INDIC DIGIT ONE}"
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
        others = "greater than the last|made with its|before it is answered|follows the one before"
        assert re.search(f"this key is taken|{others}", words), words


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


def _ask(connection: Connection, operation: str = "vend") -> dict[str, Any]:
    """A new request that is not answered yet; its key."""
    key = {"client": "test", "message_id": uuid.uuid4().hex}
    digest = {"operation": operation, "request_sha256": bytes(32), "received_at": START}
    connection.execute(requests.insert(), {**key, **digest})
    return key


def _insert_receipt(connection: Connection, receipt: Receipt, **other: Any) -> int:
    """A copy of a receipt as the answer to a new request; its number."""
    row = connection.execute(
        receipts.select().where(receipts.c.receipt_no == receipt.receipt_no)
    ).one()
    move = Transfer("tender.cash", "tax", 5, "x")
    copy = {
        **row._asdict(),
        **_ask(connection),
        "transaction_id": post(connection, "test", START, "ZAR", [move]),
        **other,
    }
    del copy["receipt_no"]
    made: int = connection.execute(
        receipts.insert().returning(receipts.c.receipt_no), copy
    ).scalar_one()
    return made


def _insert_token(connection: Connection, receipt: Receipt, **other: Any) -> None:
    """A copy of a receipt's token on a new receipt."""
    row = connection.execute(tokens.select().where(tokens.c.receipt_no == receipt.receipt_no)).one()
    new_receipt = {"receipt_no": _insert_receipt(connection, receipt)}
    connection.execute(tokens.insert(), {**row._asdict(), **new_receipt, **other})


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
        {"token_class": 2, "subclass": 0, "units": 0, "tid": None},
        {"token_class": 2, "subclass": 3, "units": 0},
        {"token_class": 2, "subclass": 9, "units": 0},
        {"token_class": 1, "subclass": 0, "units": 0},
        {"subclass": 16},
        {"digits": "123"},
        {"digits": "1234567890123456789x"},
        {"digits": ARABIC_INDIC * 20},
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
    with pytest.raises(ValueRefusedError), writing(engine) as connection:
        post(connection, "test", START, "ZAR", [move])


@pytest.mark.parametrize("wrong", ["tax\x00", "tax\ud800", "tax"])
def test_a_value_that_no_column_takes_is_refused_without_being_quoted(
    engine: Engine, wrong: str
) -> None:
    huge = 10**30 if wrong == "tax" else 5
    move = Transfer("tender.cash", wrong, huge, "secret 1234")
    # SQLite takes a NUL as text like any other, and knows no such account
    takes_it = engine.dialect.name == "sqlite" and wrong == "tax\x00"
    expected = InvariantError if takes_it else ValueRefusedError
    with pytest.raises(expected) as fault, writing(engine) as connection:
        post(connection, "test", START, "ZAR", [move])
    shown = "".join(traceback.format_exception(fault.value))
    assert "secret" not in shown
    assert "INSERT" not in str(fault.value)


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
    with pytest.raises(ValueRefusedError), writing(engine) as connection:
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
    assert "never" in refused(
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
        _insert_token(connection, receipt, tid=tid + 1, units=0)
    shown = "".join(traceback.format_exception(fault.value))
    assert receipt.token not in shown
    assert "ck_tokens" in str(fault.value)


@pytest.mark.usefixtures("receipt")
def test_nothing_is_added_to_a_ledger_transaction_that_a_receipt_names(engine: Engine) -> None:
    words = refused(
        engine,
        "INSERT INTO transfers SELECT transaction_id, 9, debit_account, credit_account, "
        "currency, 1, purpose FROM transfers WHERE position = 1",
    )
    assert "made with its transaction" in words


def test_no_token_is_added_to_a_receipt_that_was_given_out(
    engine: Engine, receipt: Receipt
) -> None:
    words = refused(
        engine,
        "INSERT INTO tokens SELECT receipt_no, 2, meter_id, meter_key_id, base_year, token_class, "
        "subclass, tid + 1, units, digits FROM tokens WHERE receipt_no = :number",
        number=receipt.receipt_no,
    )
    assert "made with its receipt" in words


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_an_answered_request_gets_no_receipt(
    engine: Engine, shop: Shop, meter: Meter, receipt: Receipt, outcome: str
) -> None:
    shop.vend(VendRequest("kiosk", "low", meter.number, 1))
    message_id = {"done": "m1", "failed": "low"}[outcome]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        _insert_receipt(connection, receipt, client="kiosk", message_id=message_id)


@pytest.mark.parametrize(("outcome", "given_out"), [("done", False), ("failed", True)])
def test_an_outcome_fits_what_was_given_out(
    engine: Engine, receipt: Receipt, outcome: str, given_out: bool
) -> None:
    answer = text(
        "UPDATE requests SET outcome = :outcome, response = :response WHERE outcome IS NULL"
    )
    with engine.connect() as connection:
        if given_out:
            _insert_receipt(connection, receipt)
        else:
            _ask(connection)
        with pytest.raises(IntegrityError, match="done means a receipt"):
            connection.execute(answer, {"outcome": outcome, "response": b"{}"})


@pytest.mark.usefixtures("receipt")
def test_a_request_is_asked_before_it_is_answered(engine: Engine) -> None:
    refused(
        engine,
        "INSERT INTO requests SELECT client, 'other', operation, request_sha256, received_at, "
        "'failed', response FROM requests",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "key_change"},
        {"kind": "key_change", "tendered_minor": 0, "change_minor": 0, "units": 0},
        {"kind": "key_change", "tendered_minor": 0, "change_minor": 0, "transaction_id": None},
        {"tendered_minor": 0, "change_minor": 0},
        {"transaction_id": None},
        {"tendered_minor": 0, "change_minor": 0, "transaction_id": None},
        {"units": 0},
        {"change_minor": -1},
        {"change_minor": 10_001},
    ],
)
def test_receipts_whose_money_does_not_fit_their_kind_are_refused(
    engine: Engine, receipt: Receipt, wrong: dict[str, Any]
) -> None:
    with engine.begin() as connection:
        _insert_receipt(connection, receipt)
    with pytest.raises(IntegrityError, match="ck_receipts"), engine.begin() as connection:
        _insert_receipt(connection, receipt, **wrong)


def test_an_issued_key_change_keeps_its_receipt_and_its_keys(
    engine: Engine, shop: Shop, meter: Meter, receipt: Receipt
) -> None:
    shop.key_change(KeyChangeRequest("kiosk", "k", meter.number, krn=2)).require_done()
    for change in (
        f"receipt_no = {receipt.receipt_no}",
        f"issued_at = '{START.replace(year=2020):%Y-%m-%dT%H:%M:%S.%fZ}'",
        "to_key_id = from_key_id, from_key_id = to_key_id",
        "meter_id = meter_id + 1",
    ):
        words = refused(engine, f"UPDATE key_changes SET {change}")
        assert "never changed" in words, change


def test_a_key_that_was_in_use_never_waits_again(engine: Engine, shop: Shop, meter: Meter) -> None:
    shop.key_change(KeyChangeRequest("kiosk", "k", meter.number, krn=2)).require_done()
    for state in ("in_use", "replaced"):
        words = refused(
            engine, "UPDATE meter_keys SET state = 'waiting' WHERE state = :state", state=state
        )
        assert "never goes back" in words


@pytest.mark.usefixtures("meter")
@pytest.mark.parametrize("number", ["0700000000x", "070 0000001", ARABIC_INDIC * 11, "-7000000001"])
def test_a_meter_number_is_digits(engine: Engine, number: str) -> None:
    words = refused(
        engine,
        "INSERT INTO meters (number, algorithm, customer, location, added_at) "
        "SELECT :number, algorithm, customer, location, added_at FROM meters",
        number=number,
    )
    assert "ck_meters_number" in words


@pytest.mark.usefixtures("meter")
@pytest.mark.parametrize(
    ("column", "wrong"), [("sgc", "12345x"), ("tariff_index", "0x"), ("tariff_index", " 1")]
)
def test_a_key_is_described_in_digits(engine: Engine, column: str, wrong: str) -> None:
    columns = ["meter_id", "sgc", "krn", "key_type", "tariff_index", "base_year", "ken", "state"]
    values = {**{name: name for name in columns}, "state": "'waiting'", column: ":wrong"}
    words = refused(
        engine,
        f"INSERT INTO meter_keys ({', '.join(columns)}) SELECT {', '.join(values.values())} "
        "FROM meter_keys",
        wrong=wrong,
    )
    assert f"ck_meter_keys_{column}" in words
