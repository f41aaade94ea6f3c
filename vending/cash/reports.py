"""Reports over the receipts: pure queries, no act.

Sums of money are what was paid, less change; what was given back counts below zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Text, case, cast, extract, func, select

from storage.span import within
from vending.cash.reckoning import GIVEN_BACK
from vending.cash.tables import vendors
from vending.people.actor import Permission
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.resources import Resource
from vending.shop.settings import Utility
from vending.shop.tables import intents, receipts, requests
from vending.shop.values import require_moment

KEYS: Final = ("day", "vendor", "tender", "resource")
_PAID: Final = ("credit", "account_payment", *GIVEN_BACK)


@dataclass(frozen=True, slots=True)
class SalesRow:
    """One line of a sales report; keys that were not asked for are empty."""

    day: str
    """YYYY-MM-DD in the utility's zone."""
    vendor: str
    """Empty: the utility itself."""
    tender: str
    resource: str
    sales: int
    given_back: int
    """How many reversals and refunds."""
    paid_minor: int
    units: Mapping[Resource, int]
    """Tenths of each resource's unit that was sold: kWh and m3 are never added up."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request whose outcome nobody knows yet: ask again with its ids."""

    client: str
    message_id: str
    operation: str
    operator: str
    terminal: str
    received_at: datetime
    reserved_minor: int
    """Of a vendor's credit."""


@dataclass(frozen=True, slots=True)
class ReportDesk:
    """Reports (`Shop.reports`)."""

    house: House

    def sales(
        self,
        by: Sequence[str] = ("day",),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SalesRow]:
        """What was sold, by any of ``day``, ``vendor``, ``tender``, ``resource``.

        Args:
            by: the keys, in the order of the rows.
            since: from when, inclusive.
            until: until when, exclusive.

        Raises:
            PermissionDeniedError: needs ``reports``.
            RequestFormatError: an unknown key, or a time without a zone.
        """
        self.house.require(Permission.REPORTS)
        unknown = set(by) - set(KEYS)
        if unknown or not by:
            raise RequestFormatError(f"A sales report goes by {', '.join(KEYS)}.")
        since = None if since is None else require_moment("The report's beginning", since)
        until = None if until is None else require_moment("The report's end", until)
        with self.house.reading() as connection:
            return sales(connection, self.house.utility, by, since, until)

    def unknown(self) -> list[Unknown]:
        """Requests whose outcome is unknown, the oldest first.

        Raises:
            PermissionDeniedError: needs ``reports``.
        """
        self.house.require(Permission.REPORTS)
        with self.house.reading() as connection:
            return unknown_requests(connection)


def sales(
    connection: Connection,
    utility: Utility,
    by: Sequence[str],
    since: datetime | None,
    until: datetime | None,
) -> list[SalesRow]:
    """See `ReportDesk.sales`.  Days are the utility's: the database adds up quarters of an
    hour, the program puts them into days, by the same rules of time zones as the receipts.
    """
    back = receipts.c.kind.in_(GIVEN_BACK)
    sign = case((back, -1), else_=1)
    quarter = _quarter_hour(connection)
    keys = (quarter, receipts.c.vendor_id, receipts.c.tender, receipts.c.resource)
    rows = connection.execute(
        select(
            func.min(receipts.c.issued_at).label("first"),
            func.coalesce(func.min(vendors.c.name), "").label("vendor"),
            receipts.c.tender,
            receipts.c.resource,
            func.sum(case((back, 0), else_=1)).label("sales"),
            func.sum(case((back, 1), else_=0)).label("given_back"),
            func.sum(sign * (receipts.c.tendered_minor - receipts.c.change_minor)).label("paid"),
            func.sum(sign * receipts.c.units).label("units"),
        )
        .outerjoin(vendors, vendors.c.vendor_id == receipts.c.vendor_id)
        .where(receipts.c.kind.in_(_PAID), *within(receipts.c.issued_at, since, until))
        .group_by(*keys)
    )
    sums: dict[tuple[str, ...], list[int]] = {}
    units: dict[tuple[str, ...], Counter[Resource]] = {}
    for row in rows:
        whole = {
            "day": utility.local(row.first).date().isoformat(),
            "vendor": row.vendor,
            "tender": row.tender,
            "resource": row.resource,
        }
        key = tuple(whole[name] for name in by)
        amounts = (row.sales, row.given_back, row.paid)
        sums[key] = [
            before + int(amount)
            for before, amount in zip(sums.get(key, [0] * 3), amounts, strict=True)
        ]
        units.setdefault(key, Counter())[Resource(row.resource)] += int(row.units)
    return [
        SalesRow(
            **{**dict.fromkeys(KEYS, ""), **dict(zip(by, key, strict=True))},
            sales=amounts[0],
            given_back=amounts[1],
            paid_minor=amounts[2],
            units={each: units[key][each] for each in Resource if units[key][each]},
        )
        for key, amounts in sorted(sums.items())
    ]


def unknown_requests(connection: Connection) -> list[Unknown]:
    """Requests with an open intent: no others are ever left without an answer."""
    rows = connection.execute(
        select(
            requests.c.client,
            requests.c.message_id,
            requests.c.operation,
            requests.c.operator,
            requests.c.terminal,
            requests.c.received_at,
            intents.c.reserved_minor,
        )
        .join(
            intents,
            (intents.c.client == requests.c.client)
            & (intents.c.message_id == requests.c.message_id),
        )
        .where(intents.c.state == "open")
        .order_by(requests.c.received_at)
    )
    return [Unknown(**row._mapping) for row in rows]


def _quarter_hour(connection: Connection) -> ColumnElement[Any]:
    """The moment's quarter of an hour: no zone's midnight lies inside of one."""
    if connection.dialect.name == "sqlite":
        # text of one width, 2026-11-21T09:30...: the hour, and which quarter of it
        moment = cast(receipts.c.issued_at, Text)
        minute = func.substr(moment, 15, 2)
        quarter = case((minute < "15", 0), (minute < "30", 1), (minute < "45", 2), else_=3)
        return func.substr(moment, 1, 13).op("||")(quarter)
    return func.floor(extract("epoch", receipts.c.issued_at) / 900)
