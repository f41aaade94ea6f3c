"""Tariffs and their versions in the database; the caller holds the transaction.

A version never changes, so its definition is read and parsed once in each process; which
version is valid is asked anew for each sale, by one small indexed statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Row, Select, bindparam, func, insert, select

from storage.ledger import AccountKind, accounts, open_account
from vending.price.document import read_json, to_json
from vending.price.faults import (
    TariffExistsError,
    TariffFormatError,
    TariffNotValidError,
    TariffValidityError,
    UnknownTariffError,
)
from vending.price.tables import tariff_versions, tariffs
from vending.price.tariff import Tariff
from vending.shop.books import charge_account, tax_account
from vending.shop.money import Currency

_VALID: Final[Select[Any]] = (
    select(
        tariff_versions.c.version_id,
        tariff_versions.c.tariff_id,
        tariff_versions.c.version,
        tariff_versions.c.valid_from,
    )
    .where(
        tariff_versions.c.tariff_id == bindparam("of_tariff"),
        tariff_versions.c.valid_from <= bindparam("at"),
    )
    .order_by(tariff_versions.c.valid_from.desc())
    .limit(1)
)
_DEFINITION: Final = select(tariff_versions.c.definition).where(
    tariff_versions.c.version_id == bindparam("of_version")
)
_PARSED: Final[WeakKeyDictionary[Engine, dict[int, Tariff]]] = WeakKeyDictionary()
"""Definitions by version, for each database that this process has open."""


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """A tariff as it is valid from a moment on."""

    version_id: int
    tariff_id: int
    version: int
    """1, 2, ... of the tariff."""
    valid_from: datetime
    tariff: Tariff


def tariff_at(
    connection: Connection, tariff_id: int, now: datetime, currency: Currency
) -> TariffVersion:
    """The version of a tariff that is valid.

    Raises:
        TariffNotValidError: the tariff's first version is not valid yet.
    """
    row = connection.execute(_VALID, {"of_tariff": tariff_id, "at": now}).one_or_none()
    if row is None:
        raise TariffNotValidError(
            f"The meter's tariff has no version that is valid at {now:%Y-%m-%d %H:%M} UTC: put "
            "the clock right, or assign another tariff until it is."
        )
    return _version(connection, row, currency)


def free_basic_units(
    connection: Connection, tariff_id: int, now: datetime, currency: Currency
) -> int:
    """Free units (tenths) of a month under a tariff; 0 when it gives none.

    Raises:
        TariffNotValidError: the tariff's first version is not valid yet.
    """
    return tariff_at(connection, tariff_id, now, currency).tariff.free_basic_units


def add_tariff(
    connection: Connection,
    tariff: Tariff,
    currency: Currency,
    *,
    valid_from: datetime,
    now: datetime,
    by: str,
) -> TariffVersion:
    """A new tariff with its first version.

    Raises:
        TariffExistsError: its name is taken.
        TariffValidityError: it would be valid before now.
    """
    if tariff_id_of(connection, tariff.name) is not None:
        raise TariffExistsError(
            f"There is a tariff {tariff.name!r} already: give it a new version, or take another "
            "name."
        )
    tariff_id: int = connection.execute(
        insert(tariffs).returning(tariffs.c.tariff_id),
        {"name": tariff.name, "resource": tariff.resource.value, "added_at": now},
    ).scalar_one()
    return _insert_version(
        connection, tariff_id, 1, tariff, currency, valid_from=valid_from, now=now, by=by
    )


def add_version(
    connection: Connection,
    tariff: Tariff,
    currency: Currency,
    *,
    valid_from: datetime,
    now: datetime,
    by: str,
) -> TariffVersion:
    """The next version of the tariff of this name.

    Raises:
        UnknownTariffError: there is no such tariff.
        TariffFormatError: it is for another resource than before.
        TariffValidityError: it would be valid before now, or before the last version.
    """
    known = require_tariff(connection, tariff.name)
    if known.resource != tariff.resource.value:
        raise TariffFormatError(f"The tariff {tariff.name!r} is for {known.resource}; it stays so.")
    last = connection.execute(
        select(func.max(tariff_versions.c.version), func.max(tariff_versions.c.valid_from)).where(
            tariff_versions.c.tariff_id == known.tariff_id
        )
    ).one()
    if valid_from <= last[1]:
        raise TariffValidityError(
            f"The last version is valid from {last[1]:%Y-%m-%d %H:%M} UTC; the next one has to "
            "begin after it."
        )
    return _insert_version(
        connection,
        known.tariff_id,
        last[0] + 1,
        tariff,
        currency,
        valid_from=valid_from,
        now=now,
        by=by,
    )


def tariff_id_of(connection: Connection, name: str) -> int | None:
    """The id of a tariff, or None."""
    found: int | None = connection.scalar(select(tariffs.c.tariff_id).where(tariffs.c.name == name))
    return found


def require_tariff(connection: Connection, name: str) -> Row[Any]:
    """A tariff's row.

    Raises:
        UnknownTariffError: there is none of this name.
    """
    row = connection.execute(select(tariffs).where(tariffs.c.name == name)).one_or_none()
    if row is None:
        raise UnknownTariffError(f"There is no tariff {name!r}; see meterhouse tariff list.")
    return row


def versions_of(connection: Connection, name: str, currency: Currency) -> list[TariffVersion]:
    """All versions of a tariff, the first one first.

    Raises:
        UnknownTariffError: there is none of this name.
    """
    tariff_id = require_tariff(connection, name).tariff_id
    rows = connection.execute(
        select(tariff_versions)
        .where(tariff_versions.c.tariff_id == tariff_id)
        .order_by(tariff_versions.c.version)
    )
    return [_version(connection, row, currency) for row in rows.all()]


def list_tariffs(connection: Connection, currency: Currency) -> list[TariffVersion]:
    """The latest version of every tariff, by name; it may be valid from a later time on only."""
    latest = (
        select(tariff_versions.c.tariff_id, func.max(tariff_versions.c.version).label("version"))
        .group_by(tariff_versions.c.tariff_id)
        .subquery()
    )
    rows = connection.execute(
        select(tariff_versions)
        .join(
            latest,
            (latest.c.tariff_id == tariff_versions.c.tariff_id)
            & (latest.c.version == tariff_versions.c.version),
        )
        .join(tariffs, tariffs.c.tariff_id == tariff_versions.c.tariff_id)
        .order_by(tariffs.c.name)
    )
    return [_version(connection, row, currency) for row in rows.all()]


def _insert_version(
    connection: Connection,
    tariff_id: int,
    version: int,
    tariff: Tariff,
    currency: Currency,
    *,
    valid_from: datetime,
    now: datetime,
    by: str,
) -> TariffVersion:
    if valid_from < now:
        raise TariffValidityError(
            f"A version is valid from now on or later, not from {valid_from:%Y-%m-%d %H:%M} UTC: "
            "what was sold stays as it was."
        )
    _open_accounts(connection, tariff, currency)
    version_id: int = connection.execute(
        insert(tariff_versions).returning(tariff_versions.c.version_id),
        {
            "tariff_id": tariff_id,
            "version": version,
            "valid_from": valid_from,
            "definition": to_json(tariff, currency),
            "added_at": now,
            "added_by": by,
        },
    ).scalar_one()
    return TariffVersion(version_id, tariff_id, version, valid_from, tariff)


def _open_accounts(connection: Connection, tariff: Tariff, currency: Currency) -> None:
    """Each tax and each charge has an account of its own."""
    wanted = {tax_account(tax.code): AccountKind.LIABILITY for tax in tariff.taxes}
    wanted |= {charge_account(charge.code): AccountKind.INCOME for charge in tariff.charges}
    there = set(
        connection.scalars(
            select(accounts.c.account).where(
                accounts.c.account.in_(wanted), accounts.c.currency == currency.code
            )
        )
    )
    for account, kind in wanted.items():
        if account not in there:
            open_account(connection, account, kind, currency.code)


def _version(connection: Connection, row: Row[Any], currency: Currency) -> TariffVersion:
    tariff = _parsed(connection, row.version_id, currency)
    return TariffVersion(row.version_id, row.tariff_id, row.version, row.valid_from, tariff)


def _parsed(connection: Connection, version_id: int, currency: Currency) -> Tariff:
    known = _PARSED.setdefault(connection.engine, {})
    tariff = known.get(version_id)
    if tariff is None:
        definition: str = connection.execute(_DEFINITION, {"of_version": version_id}).scalar_one()
        known[version_id] = tariff = read_json(definition, currency)
    return tariff
