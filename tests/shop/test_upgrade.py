"""A database that version 0001 made and sold from, brought up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from storage.engine import open_engine, writing
from storage.types import UtcTimestamp
from tests.shop.conftest import Clock
from tests.shop.databases import START, Databases
from tests.shop.test_schema import ROOT
from vending import Shop, VendRequest
from vending.shop.faults import DatabaseVersionError
from vending.shop.shop import upgrade
from vending.sts import make_drn

NUMBERS = [make_drn("07", f"{serial:08d}") for serial in range(3)]
SALES = 5
OLD_TABLES = {
    "accounts": "account",
    "ledger_transactions": "transaction_id",
    "transfers": "transaction_id, position",
    "utility": "utility_id",
    "prices": "price_id",
    "meters": "meter_id",
    "meter_keys": "meter_key_id",
    "requests": "message_id",
    "receipts": "receipt_no",
    "tokens": "receipt_no, position",
    "reprints": "receipt_no, copy_no",
    "key_changes": "key_change_id",
    "audit_lines": "audit_id",
}

REFUSED = [
    ("UPDATE receipts SET units = units", "never"),
    ("DELETE FROM receipts", "never"),
    ("UPDATE tokens SET units = units", "never"),
    ("DELETE FROM tokens", "never"),
    ("UPDATE transfers SET amount_minor = amount_minor", "never"),
    ("UPDATE requests SET response = response", "never"),
    ("DELETE FROM requests", "never"),
    (
        (
            "INSERT INTO tokens SELECT receipt_no, 9, meter_id, meter_key_id, base_year, "
            "token_class, subclass, tid + 1000, units, digits FROM tokens WHERE receipt_no = 1"
        ),
        "made with its receipt",
    ),
    (
        (
            "INSERT INTO transfers SELECT transaction_id, 9, debit_account, credit_account, "
            "currency, 1, purpose FROM transfers WHERE transaction_id = 1 AND position = 1"
        ),
        "made with its transaction",
    ),
    (
        (
            "INSERT INTO receipts (client, message_id, kind, meter_id, issued_at, tendered_minor, "
            "change_minor, units) SELECT client, 'low', kind, meter_id, issued_at, "
            "0, 0, 0 FROM receipts WHERE kind = 'key_change'"
        ),
        "made with its answer",
    ),
]


class OldShop:
    """What version 0001 wrote, in its order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, table: str, **values: Any) -> None:
        columns = ", ".join(values)
        marks = ", ".join(f":{column}" for column in values)
        moment = UtcTimestamp()
        given = {
            name: moment.process_bind_param(value, self._connection.dialect)
            if isinstance(value, datetime)
            else value
            for name, value in values.items()
        }
        self._connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({marks})"), given)

    def fill(self) -> None:
        self._make()
        for number in range(1, SALES + 1):
            self._sell(number)
        self._refuse()
        self._change_key()

    def _make(self) -> None:
        for account, kind in (
            *((f"tender.{tender}", "asset") for tender in ("cash", "card", "bank", "wallet")),
            ("sales.energy", "income"),
            ("tax", "liability"),
            ("change", "liability"),
        ):
            self.insert("accounts", account=account, currency="ZAR", kind=kind)
        self.insert(
            "utility",
            utility_id=1,
            name="City Power",
            address="",
            tax_number="",
            vendor="",
            currency="ZAR",
            minor_digits=2,
            zone="Africa/Johannesburg",
            minimum_minor=500,
            maximum_minor=1_000_000,
        )
        self.insert("prices", set_at=START, per_kwh=250_000, tax_bp=1500)
        key = {"sgc": "123457", "key_type": 2, "tariff_index": "01", "base_year": 2014, "ken": 255}
        for meter_id, number in enumerate(NUMBERS, 1):
            meter = {"number": number, "algorithm": 11, "customer": "", "location": ""}
            self.insert("meters", **meter, added_at=START)
            self.insert("meter_keys", meter_id=meter_id, krn=1, state="in_use", **key)
        self.insert("meter_keys", meter_id=1, krn=2, state="waiting", **key)

    def _ask(self, message_id: str, operation: str) -> dict[str, Any]:
        ids = {"client": "till", "message_id": message_id}
        self.insert(
            "requests", **ids, operation=operation, request_sha256=bytes(32), received_at=START
        )
        return ids

    def _answer(self, ids: dict[str, Any], outcome: str, body: dict[str, Any]) -> None:
        answer = {"outcome": outcome, **ids, **body}
        self._connection.execute(
            text(
                "UPDATE requests SET outcome = :outcome, response = :response "
                "WHERE client = :client AND message_id = :message_id"
            ),
            {**ids, "outcome": outcome, "response": json.dumps(answer).encode()},
        )

    def _sell(self, number: int) -> None:
        moment = START + timedelta(minutes=number)
        meter_id = 1 + number % len(NUMBERS)
        ids = self._ask(f"m{number}", "vend")
        self.insert("ledger_transactions", posted_at=moment, kind="vend")
        for position, (debit, credit, amount) in enumerate(
            (
                ("tender.card", "sales.energy", 8_690),
                ("tender.card", "tax", 1_300),
                ("tender.card", "change", 10),
                ("change", "tender.cash", 10),
            ),
            1,
        ):
            self.insert(
                "transfers",
                transaction_id=number,
                position=position,
                debit_account=debit,
                credit_account=credit,
                currency="ZAR",
                amount_minor=amount,
                purpose="x",
            )
        self.insert(
            "receipts",
            **ids,
            kind="credit",
            meter_id=meter_id,
            issued_at=moment,
            tendered_minor=10_000,
            change_minor=10,
            units=347,
            transaction_id=number,
        )
        self.insert(
            "tokens",
            receipt_no=number,
            position=1,
            meter_id=meter_id,
            meter_key_id=meter_id,
            base_year=2014,
            token_class=0,
            subclass=0,
            tid=6_000_000 + number,
            units=347,
            digits=f"{number:020d}",
        )
        self._answer(ids, "done", {"receipt": _receipt(number, ids, moment)})
        self.insert("reprints", receipt_no=number, copy_no=1, printed_at=moment, operator="Eve")

    def _refuse(self) -> None:
        ids = self._ask("low", "vend")
        self._answer(ids, "failed", {"error": {"code": "below_minimum", "message": "Too little."}})

    def _change_key(self) -> None:
        ids = self._ask("kc", "key_change")
        number = SALES + 1
        self.insert(
            "receipts",
            **ids,
            kind="key_change",
            meter_id=1,
            issued_at=START,
            tendered_minor=0,
            change_minor=0,
            units=0,
        )
        for position, subclass in enumerate((3, 4), 1):
            self.insert(
                "tokens",
                receipt_no=number,
                position=position,
                meter_id=1,
                meter_key_id=1,
                base_year=2014,
                token_class=2,
                subclass=subclass,
                units=0,
                digits="1" * 20,
            )
        self.insert(
            "key_changes",
            meter_id=1,
            from_key_id=1,
            to_key_id=4,
            state="issued",
            reason="",
            requested_at=START,
            issued_at=START,
            receipt_no=number,
        )
        receipt = _receipt(number, ids, START) | {"kind": "key_change", "payment": None}
        self._answer(ids, "done", {"receipt": receipt})


def _receipt(number: int, ids: dict[str, Any], moment: datetime) -> dict[str, Any]:
    key = {"sgc": "123457", "krn": 1, "key_type": 2, "tariff_index": "01"}
    return {
        "receipt_no": number,
        "kind": "credit",
        "issued_at": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}",
        "zone": "Africa/Johannesburg",
        **ids,
        "seller": {
            "utility": "City Power",
            "address": "",
            "tax_number": "",
            "vendor": "",
            "terminal": "T1",
            "operator": "Ünal",
        },
        "meter": {
            "number": NUMBERS[number % len(NUMBERS)],
            "algorithm": 11,
            "customer": "",
            "location": "",
            "key": {**key, "base_year": 2014, "ken": 255},
            "new_key": None,
        },
        "tokens": [
            {"name": "Electricity", "digits": f"{number:020d}", "units": 347, "tid": 6_000_000}
        ],
        "payment": {
            "currency": "ZAR",
            "minor_digits": 2,
            "tender": "card",
            "tendered_minor": 10_000,
            "change_minor": 10,
            "price_id": 1,
            "price_per_kwh": 250_000,
            "tax_bp": 1500,
            "lines": [{"kind": "energy", "amount_minor": 10_000, "explanation": "x"}],
        },
        "messages": [],
        "test_marks": [],
        "days_since_last": None,
        "copy_no": 0,
    }


def contents(engine: Engine, columns: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Every row of version 0001's tables; of ``columns`` only."""
    found = {}
    with engine.connect() as connection:
        for table, order in OLD_TABLES.items():
            chosen = ", ".join(columns[table]) if columns else "*"
            rows = connection.execute(text(f"SELECT {chosen} FROM {table} ORDER BY {order}"))
            found[table] = ([*rows.keys()], [tuple(row) for row in rows])
    return found


@pytest.fixture
def old_url(databases: Databases) -> Iterator[str]:
    """A shop of version 0001 that has sold."""
    url = databases.empty()
    engine = open_engine(url, create=True)
    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "storage" / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        OldShop(connection).fill()
    engine.dispose()
    yield url
    databases.discard(url)


def test_an_upgrade_keeps_every_row_and_every_answer(old_url: str, clock: Clock) -> None:
    engine = open_engine(old_url)
    before = contents(engine)
    with pytest.raises(DatabaseVersionError):
        Shop.open(old_url)
    upgrade(old_url)
    after = contents(engine, {table: columns for table, (columns, _) in before.items()})
    # an upgrade opens accounts; those that were there are there
    after["accounts"][1][:] = [row for row in after["accounts"][1] if row in before["accounts"][1]]
    assert after == before
    with Shop.open(old_url, now=clock, rnd=lambda: 1) as shop:
        answer = shop.last_response("till", "m3")
        assert answer.response == before["requests"][1][_row(before, "m3")][6]
        assert answer.require_done().receipt_no == 3
        assert shop.statement().agrees
        assert shop.statement().sales == SALES
        sold = shop.vend(VendRequest("till", "new", NUMBERS[1], 12_000)).require_done()
        assert sold.receipt_no > SALES + 1
    engine.dispose()


def _row(found: dict[str, Any], message_id: str) -> int:
    columns, rows = found["requests"]
    return next(n for n, row in enumerate(rows) if row[columns.index("message_id")] == message_id)


def test_an_upgrade_writes_down_who_sold_and_for_which_tender(old_url: str) -> None:
    upgrade(old_url)
    engine = open_engine(old_url)
    with engine.connect() as connection:
        receipts = connection.execute(
            text(
                "SELECT DISTINCT kind, tender, operator, terminal, resource, vendor_id, shift_id "
                "FROM receipts ORDER BY kind"
            )
        ).all()
        requests = connection.execute(
            text("SELECT DISTINCT outcome, operator, terminal FROM requests ORDER BY outcome")
        ).all()
    engine.dispose()
    assert [tuple(row) for row in receipts] == [
        ("credit", "card", "Ünal", "T1", "electricity", None, None),
        ("key_change", None, "Ünal", "T1", "electricity", None, None),
    ]
    assert [tuple(row) for row in requests] == [("done", "Ünal", "T1"), ("failed", "", "")]


def test_the_rules_hold_after_an_upgrade(old_url: str) -> None:
    upgrade(old_url)
    engine = open_engine(old_url)
    for statement, words in REFUSED:
        with pytest.raises(DBAPIError, match=words), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_references_hold_after_an_upgrade(old_url: str) -> None:
    upgrade(old_url)
    engine = open_engine(old_url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        left = connection.execute(
            text("SELECT count(*) FROM tokens JOIN receipts USING (receipt_no)")
        ).scalar()
    assert left == SALES + 2
    engine.dispose()
