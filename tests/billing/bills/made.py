"""Settlements, payments and contacts for tests of bills, by plain inserts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from billing.accounts.tables import contacts, customer_accounts, customers, supplies
from billing.bills.bill import Bill
from billing.bills.kinds import BillKind
from billing.bills.making import BillOrder, make_bill
from billing.ledger.books import REVENUE, TAX, ensure_account, received
from billing.ledger.entry import Entry, EntryKind
from billing.ledger.posting import post
from billing.office import Office
from billing.settlement.tables import settlements
from storage.ledger import AccountKind

Line = dict[str, Any]


def line(
    code: str, amount: str, quantity: str | None = None, rate: str | None = None, **more: str
) -> Line:
    """A line of a settlement; amount in minor units, exact."""
    kind = more.get("kind", "energy")
    unit = more.get("unit", "kWh")
    made: Line = {"kind": kind, "code": code, "words": f"{code}: so much", "amount": amount}
    if quantity is not None:
        made |= {"quantity": quantity, "unit": unit}
    if rate is not None:
        made["rate"] = rate
    return made


def settle(
    connection: Connection,
    office: Office,
    account_id: int,
    supply_id: int,
    until: datetime,
    lines: Sequence[Line],
    energy_wh: int,
    amount_minor: int | None = None,
    *,
    tax_minor: int = 0,
    device_id: int = 1,
    reverses: int | None = None,
    replaces: int | None = None,
) -> int:
    """Settle up to a moment and post it; gives the settlement's number.

    Args:
        connection: in a write transaction.
        office: the office.
        account_id: whose.
        supply_id: which service point.
        until: the span begins where the last one ended.
        lines: of one tariff version, `home` 1.
        energy_wh: used.
        amount_minor: what is posted; None: the lines' sum, which is whole then.
        tax_minor: part of it.
        device_id: the meter.
        reverses: takes this settlement back.
        replaces: settles this one's span anew.
    """
    mine = settlements.c.supply_id == supply_id
    seq = (connection.scalar(select(func.max(settlements.c.seq)).where(mine)) or 0) + 1
    same = reverses or replaces
    if same is not None:
        span = connection.execute(
            select(settlements.c.since, settlements.c.until).where(mine, settlements.c.seq == same)
        ).one()
        since, until = span
    else:
        last = connection.scalar(select(func.max(settlements.c.until)).where(mine))
        since = last or connection.scalar(
            select(supplies.c.since).where(supplies.c.supply_id == supply_id)
        )
    sign = -1 if reverses else 1
    if amount_minor is None:
        amount_minor = int(sum(Decimal(each["amount"]) for each in lines)) * sign
    part = {
        "tariff": "home",
        "version": 1,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "split": "whole",
        "energy_wh": {"total": abs(energy_wh)},
        "lines": list(lines),
    }
    begin = connection.scalar(select(func.sum(settlements.c.energy_wh)).where(mine)) or 0
    readings = {
        "meters": [
            {
                "device": device_id,
                "since": since.isoformat(),
                "until": until.isoformat(),
                "begin": {"total": int(begin)},
                "end": {"total": int(begin) + energy_wh},
            }
        ]
    }
    connection.execute(
        insert(settlements),
        {
            "supply_id": supply_id,
            "seq": seq,
            "account_id": account_id,
            "since": since,
            "until": until,
            "sign": sign,
            "reverses_seq": reverses,
            "replaces_seq": replaces,
            "energy_wh": energy_wh,
            "amount_minor": amount_minor,
            "tax_minor": tax_minor,
            "lines": json.dumps({"parts": [part]}),
            "readings": json.dumps(readings),
            "carried": "0",
            "settled_at": office.now(),
            "settled_by": "test",
            "reason": "wrong reading" if same else None,
        },
    )
    kind = EntryKind.ENERGY_REVERSED if reverses else EntryKind.ENERGY
    source = f"settlement {supply_id}.{seq}"
    parts = ((amount_minor - tax_minor, REVENUE), (tax_minor, TAX))
    entries = [
        Entry(account_id, kind, -amount, counter, source, "Energy")
        for amount, counter in parts
        if amount
    ]
    if entries:
        post(connection, office, entries)
    return seq


def pay(connection: Connection, office: Office, account_id: int, amount_minor: int) -> None:
    """A payment at the counter."""
    counter = received("counter")
    ensure_account(connection, counter, AccountKind.ASSET, office.currency.code)
    words = "Paid at the counter"
    entry = Entry(account_id, EntryKind.PAYMENT, amount_minor, counter, "payment 1", words)
    post(connection, office, [entry])


def bill_now(
    office: Office, account_id: int, kind: BillKind = BillKind.REGULAR, period: str | None = None
) -> Bill:
    """Make an account's next bill."""
    if kind in (BillKind.REGULAR, BillKind.COLLECTIVE) and period is None:
        period = f"{office.now():%Y-%m}"
    with office.writing() as connection:
        return make_bill(connection, office, BillOrder(account_id, kind, period))


def contact(
    connection: Connection,
    office: Office,
    account_id: int,
    name: str = "Li Wei",
    *,
    email: str | None = None,
    post_address: str | None = None,
    language: str | None = None,
    role: str = "customer",
) -> None:
    """Somebody who gets the bills."""

    def sealed(field: str, text: str | None) -> bytes | None:
        return None if text is None else office.seal.seal(f"contact.{field}", text)

    connection.execute(
        insert(contacts),
        {
            "account_id": account_id,
            "role": role,
            "name_sealed": sealed("name", name),
            "email_sealed": sealed("email", email),
            "post_sealed": sealed("post", post_address),
            "language": language,
            "gets_bill": 1,
            "gets_notices": 1,
            "since": office.now(),
        },
    )


def address(connection: Connection, office: Office, supply_id: int, text: str) -> None:
    """Say where a service point is."""
    sealed = office.seal.seal("supply.address", text)
    connection.execute(
        update(supplies).where(supplies.c.supply_id == supply_id).values(address_sealed=sealed)
    )


def speak(connection: Connection, account_id: int, language: str) -> None:
    """Choose the customer's language."""
    of = select(customer_accounts.c.customer_id).where(customer_accounts.c.account_id == account_id)
    connection.execute(
        update(customers)
        .where(customers.c.customer_id == of.scalar_subquery())
        .values(language=language)
    )
