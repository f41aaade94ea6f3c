"""Tariffs in the database; the caller holds the transaction, `desk` asks for rights.

A definition never changes, so it is read and prepared once in each process; which version is valid
is asked anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Row, Select, and_, func, insert, select, update

from billing.accounts.tables import supply_tariffs
from billing.office import Office
from billing.tariffs.document import from_json, read_document
from billing.tariffs.faults import (
    NoRateValidError,
    RateStateError,
    RateValidityError,
    SameApproverError,
    UnknownRateError,
)
from billing.tariffs.spelling import to_json
from billing.tariffs.tables import rate_versions, rates
from billing.tariffs.tariff import Tariff
from billing.tariffs.version import TariffVersion, VersionSpan
from storage.audit import record

_PREPARED: Final[WeakKeyDictionary[Engine, dict[int, TariffVersion]]] = WeakKeyDictionary()
"""Versions by id, for each database that this process has open."""


class VersionState(StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"
    """Waits for a second person; prices nothing."""
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Listed:
    """A version as people see it."""

    version: TariffVersion
    state: VersionState
    asked_by: str
    asked_at: datetime
    approved_by: str
    """Empty: nobody yet."""
    approved_at: datetime | None
    withdrawn_by: str
    withdrawn_at: datetime | None
    reason: str
    until: datetime | None = None
    """When the next approved version begins; None: none does."""


def add_version(
    connection: Connection, office: Office, document: str | Tariff, *, since: date
) -> TariffVersion:
    """Propose the next version of a tariff; `approve_version` by another person makes it valid.

    Args:
        connection: in a write transaction.
        office: gives currency, zone, time, and who asks.
        document: a tariff, or its document: TOML, or JSON when it begins with ``{``.
        since: the day of the utility's zone with which it becomes valid.

    Raises:
        RateDocumentError: the document has faults; tells all of them.
        RateValidityError: it would begin before now although supplies are priced by the tariff, or
            on the day on which another version begins.
    """
    tariff = read_document(document, office.currency) if isinstance(document, str) else document
    begins, now = office.day_start(since), office.now()
    code = tariff.code
    if connection.scalar(select(rates.c.code).where(rates.c.code == code)) is None:
        connection.execute(insert(rates).values(code=code, added_at=now))
    _require_ahead(connection, code, begins, now)
    taken = connection.scalar(
        select(rate_versions.c.version).where(
            rate_versions.c.code == code,
            rate_versions.c.since == begins,
            rate_versions.c.withdrawn_at.is_(None),
        )
    )
    if taken is not None:
        raise RateValidityError(
            f"Version {taken} of {code} begins on {since} already: withdraw it, or take another "
            "day."
        )
    last = connection.scalar(
        select(func.max(rate_versions.c.version)).where(rate_versions.c.code == code)
    )
    number = (last or 0) + 1
    connection.execute(
        insert(rate_versions).values(
            code=code,
            version=number,
            since=begins,
            definition=to_json(tariff),
            asked_at=now,
            asked_by=office.person.name,
        )
    )
    _record(connection, office, "rate.propose", code, number, detail=f"from {since}")
    return TariffVersion(number, begins, tariff)


def approve_version(connection: Connection, office: Office, code: str, version: int) -> None:
    """The second person's yes: the version is valid from its day on.

    Raises:
        UnknownRateError: there is no such version.
        RateStateError: it is approved or withdrawn already.
        SameApproverError: the same person asked for it.
        RateValidityError: its day is past, and supplies are priced by the tariff.
    """
    row = _row(connection, code, version, lock=True)
    _require_proposed(row)
    if row.asked_by == office.person.name:
        raise SameApproverError(
            f"{office.person.name or 'The same person'} asked for version {version} of {code}: "
            "somebody else approves it."
        )
    now = office.now()
    _require_ahead(connection, code, row.since, now)
    connection.execute(
        update(rate_versions)
        .where(rate_versions.c.version_id == row.version_id)
        .values(approved_at=now, approved_by=office.person.name)
    )
    _record(connection, office, "rate.approve", code, version)


def withdraw_version(
    connection: Connection, office: Office, code: str, version: int, reason: str
) -> None:
    """Take a version back before it begins; one that nobody has approved, at any time.

    Raises:
        UnknownRateError: there is no such version.
        RateStateError: it has begun, or is withdrawn already.
        RateValidityError: no reason is given.
    """
    row = _row(connection, code, version, lock=True)
    now = office.now()
    if not reason.strip():
        raise RateValidityError("Say why the version is withdrawn: an auditor will ask.")
    if row.withdrawn_at is not None:
        raise RateStateError(f"Version {version} of {code} is withdrawn already.")
    if row.approved_at is not None and row.since <= now:
        raise RateStateError(
            f"Version {version} of {code} has begun and stays as it is: add the next version, "
            "which begins on a later day."
        )
    connection.execute(
        update(rate_versions)
        .where(rate_versions.c.version_id == row.version_id)
        .values(withdrawn_at=now, withdrawn_by=office.person.name, reason=reason.strip())
    )
    _record(connection, office, "rate.withdraw", code, version, reason=reason.strip())


def versions_between(
    connection: Connection, code: str, since: datetime, until: datetime
) -> list[VersionSpan]:
    """The approved versions that are valid in a span, in order and without gaps.

    Args:
        connection: in any transaction.
        code: the tariff's.
        since: begin of the span.
        until: its end; after the begin.

    Raises:
        UnknownRateError: there is no such tariff.
        NoRateValidError: none is valid at the begin.
    """
    rows = connection.execute(_approved(code).where(rate_versions.c.since < until)).all()
    begun = [row for row in rows if row.since <= since]
    if not begun:
        _require_known(connection, code)
        raise NoRateValidError(
            f"The tariff {code} has no approved version that is valid at "
            f"{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: approve one that begins before it."
        )
    valid = [begun[-1], *(row for row in rows if row.since > since)]
    after = connection.scalar(
        select(func.min(rate_versions.c.since)).where(
            _is_approved(code), rate_versions.c.since >= until
        )
    )
    ends = [row.since for row in valid[1:]] + [after]
    spans = []
    begin = since
    for row, end in zip(valid, ends, strict=True):
        stop = until if end is None else min(until, end)
        spans.append(VersionSpan(_version(connection, row), begin, stop, end == stop))
        begin = stop
    return spans


def listed(connection: Connection, code: str | None = None) -> list[Listed]:
    """Versions of one tariff, or of all, by code and begin.

    Raises:
        UnknownRateError: there is no tariff of this code.
    """
    query = select(rate_versions).order_by(
        rate_versions.c.code, rate_versions.c.since, rate_versions.c.version
    )
    if code is not None:
        _require_known(connection, code)
        query = query.where(rate_versions.c.code == code)
    found = [_listed(connection, row) for row in connection.execute(query)]
    return [_with_end(each, found) for each in found]


def version_of(connection: Connection, code: str, version: int) -> TariffVersion:
    """One version, whatever its state.

    Raises:
        UnknownRateError: there is no such version.
    """
    return _version(connection, _row(connection, code, version))


def _require_ahead(connection: Connection, code: str, begins: datetime, now: datetime) -> None:
    if begins >= now:
        return
    used = connection.execute(
        select(supply_tariffs.c.supply_id).where(supply_tariffs.c.tariff == code).limit(1)
    ).first()
    if used is not None:
        raise RateValidityError(
            f"Supplies are priced by {code}: a version of it begins after it is approved, from "
            f"{now.astimezone(UTC) + timedelta(days=1):%Y-%m-%d} on. What is settled stays as it "
            "is."
        )


def _require_proposed(row: Row[Any]) -> None:
    for state, at in (("withdrawn", row.withdrawn_at), ("approved", row.approved_at)):
        if at is not None:
            raise RateStateError(f"Version {row.version} of {row.code} is {state} already.")


def _require_known(connection: Connection, code: str) -> None:
    if connection.scalar(select(rates.c.code).where(rates.c.code == code)) is None:
        raise UnknownRateError(f"There is no tariff {code!r}; see meterhouse rate list.")


def _row(connection: Connection, code: str, version: int, *, lock: bool = False) -> Row[Any]:
    query = select(rate_versions).where(
        rate_versions.c.code == code, rate_versions.c.version == version
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        _require_known(connection, code)
        raise UnknownRateError(
            f"There is no version {version} of {code}; see meterhouse rate show."
        )
    return row


def _is_approved(code: str) -> Any:
    return and_(
        rate_versions.c.code == code,
        rate_versions.c.approved_at.is_not(None),
        rate_versions.c.withdrawn_at.is_(None),
    )


def _approved(code: str) -> Select[Any]:
    return select(rate_versions).where(_is_approved(code)).order_by(rate_versions.c.since)


def _version(connection: Connection, row: Row[Any]) -> TariffVersion:
    known = _PREPARED.setdefault(connection.engine, {})
    found = known.get(row.version_id)
    if found is None or found.since != row.since or found.version != row.version:
        found = TariffVersion(row.version, row.since, from_json(row.definition))
        known[row.version_id] = found
    return found


def _listed(connection: Connection, row: Row[Any]) -> Listed:
    state = VersionState.PROPOSED
    if row.withdrawn_at is not None:
        state = VersionState.WITHDRAWN
    elif row.approved_at is not None:
        state = VersionState.APPROVED
    return Listed(
        _version(connection, row),
        state,
        row.asked_by,
        row.asked_at,
        row.approved_by or "",
        row.approved_at,
        row.withdrawn_by or "",
        row.withdrawn_at,
        row.reason or "",
    )


def _with_end(each: Listed, all_of: list[Listed]) -> Listed:
    if each.state is not VersionState.APPROVED:
        return each
    later = [
        other.version.since
        for other in all_of
        if other.state is VersionState.APPROVED
        and other.version.code == each.version.code
        and other.version.since > each.version.since
    ]
    return replace(each, until=min(later, default=None))


def _record(
    connection: Connection,
    office: Office,
    action: str,
    code: str,
    version: int,
    *,
    detail: str = "",
    reason: str = "",
) -> None:
    record(
        connection,
        office.now(),
        actor=office.person.name,
        action=action,
        subject=f"{code} {version}",
        detail=detail,
        reason=reason,
    )
