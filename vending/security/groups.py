"""Supply groups and the revisions of their keys: what is known about keys without the keys.

Read functions take a connection in any transaction; those that write want a write transaction
and leave the audit line to their caller (`vending.security.desk`).

States of a revision: waiting (imported) → current (meters should have it) → outdated (meters
are to be moved away from it) → withdrawn (nothing is made under it any more).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from vending.security.faults import (
    KeyRevisionExistsError,
    KeyStateError,
    SupplyGroupExistsError,
    UnknownKeyRevisionError,
    UnknownSupplyGroupError,
)
from vending.security.tables import key_revisions, supply_groups
from vending.sts import (
    BaseDate,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    SupplyGroupCode,
    parse_supply_group_code,
)

WARN_AHEAD: Final = timedelta(days=90)
"""How long before a key's end its warnings begin."""
_KEN_BLOCK: Final = timedelta(minutes=1 << 16)
_KEN_NEVER: Final = 255


class GroupKind(StrEnum):
    """Which decoder keys a supply group's vending key makes."""

    DEFAULT = "default"
    """Default decoder keys: meters take no credit until they are moved to their own group."""
    UNIQUE = "unique"
    """Each meter its own key: the ordinary case."""
    COMMON = "common"
    """One key for all meters of the group."""


class KeyPolicy(StrEnum):
    """What a sale does for a meter on an outdated key revision."""

    FAULT = "fault"
    """Refuse, with the key change as the way out."""
    OFFER = "offer"
    """Ask whether the key change comes with the sale; with the answer yes it is as auto."""
    AUTO = "auto"
    """Sell, and give the key change tokens with it."""


class KeyState(StrEnum):
    """Where a key revision is in its life; never back."""

    WAITING = "waiting"
    CURRENT = "current"
    OUTDATED = "outdated"
    WITHDRAWN = "withdrawn"


class Provider(StrEnum):
    """Where a vending key is kept."""

    VAULT = "vault"
    """In the database, wrapped."""
    PKCS11 = "pkcs11"
    """In a PKCS#11 token, under a label."""
    MODULE = "module"
    """In a licensed security module."""


@dataclass(frozen=True, slots=True)
class SupplyGroup:
    """A supply group, without its keys."""

    sgc: SupplyGroupCode
    name: str
    kind: GroupKind
    policy: KeyPolicy
    added_at: datetime


@dataclass(frozen=True, slots=True)
class RevisionTerms:
    """From when until when, and for which meters, a key revision is good."""

    sgc: SupplyGroupCode
    krn: KeyRevision
    dkga: KeyGeneration
    base_date: BaseDate
    ken: KeyExpiry
    valid_from: datetime
    issued_until: datetime | None = None
    """No token but key changes away from it after this moment; None for no such limit."""

    @property
    def ken_ends(self) -> datetime | None:
        """When meters begin to refuse tokens of this KEN; None for 255, which never does."""
        if self.ken == _KEN_NEVER:
            return None
        return self.base_date.start + (self.ken + 1) * _KEN_BLOCK

    @property
    def ends(self) -> datetime | None:
        """The earlier of issued-until and the end that the KEN sets; None for neither."""
        ends = [end for end in (self.issued_until, self.ken_ends) if end is not None]
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """A key revision as it is on record."""

    terms: RevisionTerms
    state: KeyState
    kcv: str | None
    """6 hexadecimal digits; None for a licensed module that does not tell."""
    provider: Provider
    label: str | None
    """In the PKCS#11 token."""
    added_at: datetime
    added_by: str

    @property
    def name(self) -> str:
        """For people: ``123457 revision 1``."""
        return revision_name(self.terms.sgc, self.terms.krn)


@dataclass(frozen=True, slots=True)
class KeyWarning:
    """A key that ends soon, or has ended."""

    sgc: SupplyGroupCode
    krn: KeyRevision
    ends: datetime
    why: str
    """``issued_until`` or ``ken``."""
    is_over: bool

    @property
    def text(self) -> str:
        """For people."""
        verb = "ended" if self.is_over else "ends"
        reason = "its issued-until" if self.why == "issued_until" else "its key expiry number"
        return (
            f"The key {revision_name(self.sgc, self.krn)} {verb} on {self.ends:%Y-%m-%d} "
            f"({reason}): import the next revision and move the meters to it."
        )


def revision_name(sgc: SupplyGroupCode, krn: int) -> str:
    """How messages name a key."""
    return f"{sgc} revision {krn}"


_GROUP: Final = select(supply_groups).where(supply_groups.c.sgc == bindparam("of_sgc"))
_REVISION: Final = select(key_revisions).where(
    key_revisions.c.sgc == bindparam("of_sgc"), key_revisions.c.krn == bindparam("of_krn")
)
_CURRENT: Final = select(key_revisions).where(
    key_revisions.c.sgc == bindparam("of_sgc"), key_revisions.c.state == KeyState.CURRENT.value
)


def supply_group(connection: Connection, sgc: SupplyGroupCode) -> SupplyGroup | None:
    """A supply group; None when it is not registered."""
    row = connection.execute(_GROUP, {"of_sgc": sgc}).one_or_none()
    return None if row is None else _group(row)


def require_supply_group(connection: Connection, sgc: SupplyGroupCode) -> SupplyGroup:
    """A supply group.

    Raises:
        UnknownSupplyGroupError: it is not registered.
    """
    found = supply_group(connection, sgc)
    if found is None:
        raise UnknownSupplyGroupError(
            f"Supply group {sgc} is not registered here; add it first: meterhouse key group add."
        )
    return found


def list_supply_groups(connection: Connection) -> list[SupplyGroup]:
    """All of them, by code."""
    rows = connection.execute(select(supply_groups).order_by(supply_groups.c.sgc))
    return [_group(row) for row in rows]


def insert_supply_group(connection: Connection, group: SupplyGroup) -> None:
    """Register a supply group.

    Raises:
        SupplyGroupExistsError: it is there already.
    """
    parse_supply_group_code(group.sgc)
    if supply_group(connection, group.sgc) is not None:
        raise SupplyGroupExistsError(f"Supply group {group.sgc} is registered already.")
    connection.execute(
        insert(supply_groups),
        {
            "sgc": group.sgc,
            "name": group.name,
            "kind": group.kind.value,
            "policy": group.policy.value,
            "added_at": group.added_at,
        },
    )


def set_policy(connection: Connection, sgc: SupplyGroupCode, policy: KeyPolicy) -> None:
    """From now on sales treat meters on an outdated key revision so.

    Raises:
        UnknownSupplyGroupError: it is not registered.
    """
    require_supply_group(connection, sgc)
    connection.execute(
        update(supply_groups).where(supply_groups.c.sgc == sgc).values(policy=policy.value)
    )


def revision(
    connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision
) -> RevisionRecord | None:
    """A key revision; None when there is none."""
    row = connection.execute(_REVISION, {"of_sgc": sgc, "of_krn": krn}).one_or_none()
    return None if row is None else _record(row)


def require_revision(
    connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision
) -> RevisionRecord:
    """A key revision.

    Raises:
        UnknownKeyRevisionError: there is none.
    """
    found = revision(connection, sgc, krn)
    if found is None:
        raise UnknownKeyRevisionError(f"There is no key {revision_name(sgc, krn)} here.")
    return found


def current_revision(connection: Connection, sgc: SupplyGroupCode) -> RevisionRecord | None:
    """The revision that the group's meters should have; None when none was made current."""
    row = connection.execute(_CURRENT, {"of_sgc": sgc}).one_or_none()
    return None if row is None else _record(row)


def list_revisions(
    connection: Connection, sgc: SupplyGroupCode | None = None
) -> list[RevisionRecord]:
    """Key revisions of one group or of all, by code and number."""
    wanted = select(key_revisions).order_by(key_revisions.c.sgc, key_revisions.c.krn)
    if sgc is not None:
        wanted = wanted.where(key_revisions.c.sgc == sgc)
    return [_record(row) for row in connection.execute(wanted)]


def insert_revision(
    connection: Connection,
    record: RevisionRecord,
    *,
    wrapped: bytes | None = None,
    ceremony_id: int | None = None,
) -> None:
    """Put a key on record.

    Raises:
        UnknownSupplyGroupError: its supply group is not registered.
        KeyRevisionExistsError: the group has a key of this revision.
    """
    terms = record.terms
    if terms.issued_until is not None and terms.issued_until <= terms.valid_from:
        raise KeyStateError("The key's issued-until must be later than its valid-from.")
    require_supply_group(connection, terms.sgc)
    require_no_revision(connection, terms)
    connection.execute(
        insert(key_revisions),
        {
            "sgc": terms.sgc,
            "krn": terms.krn,
            "dkga": int(terms.dkga),
            "base_year": int(terms.base_date),
            "ken": terms.ken,
            "valid_from": terms.valid_from,
            "issued_until": terms.issued_until,
            "state": record.state.value,
            "kcv": record.kcv,
            "provider": record.provider.value,
            "wrapped": wrapped,
            "label": record.label,
            "ceremony_id": ceremony_id,
            "added_at": record.added_at,
            "added_by": record.added_by,
        },
    )


def require_no_revision(connection: Connection, terms: RevisionTerms) -> None:
    """Refuse a revision whose number is taken: a meter could not tell two keys apart.

    Raises:
        KeyRevisionExistsError: it is.
    """
    if revision(connection, terms.sgc, terms.krn) is not None:
        raise KeyRevisionExistsError(
            f"There is a key {revision_name(terms.sgc, terms.krn)} already; a new key takes the "
            "next revision number."
        )


def make_current(connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
    """Make a revision the one that meters should have; the one before becomes outdated.

    Raises:
        UnknownKeyRevisionError: there is none.
        KeyStateError: it is outdated or withdrawn.
    """
    found = require_revision(connection, sgc, krn)
    if found.state is KeyState.CURRENT:
        return
    if found.state is not KeyState.WAITING:
        raise KeyStateError(
            f"The key {found.name} is {found.state.value}; only a waiting one becomes current."
        )
    before = current_revision(connection, sgc)
    if before is not None:
        _set_state(connection, sgc, before.terms.krn, KeyState.OUTDATED)
    _set_state(connection, sgc, krn, KeyState.CURRENT)


def withdraw(connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
    """Make nothing under a revision any more; for good.

    Raises:
        UnknownKeyRevisionError: there is none.
    """
    require_revision(connection, sgc, krn)
    _set_state(connection, sgc, krn, KeyState.WITHDRAWN)


def set_issued_until(
    connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision, until: datetime | None
) -> None:
    """Move the moment after which nothing is issued under a revision.

    Raises:
        UnknownKeyRevisionError: there is none.
        KeyStateError: it would end before it is valid.
    """
    found = require_revision(connection, sgc, krn)
    if until is not None and until <= found.terms.valid_from:
        raise KeyStateError(
            f"The key {found.name} is valid from {found.terms.valid_from:%Y-%m-%d %H:%M} UTC; "
            "its issued-until must be later."
        )
    connection.execute(
        update(key_revisions)
        .where(key_revisions.c.sgc == sgc, key_revisions.c.krn == krn)
        .values(issued_until=until)
    )


def warnings(
    connection: Connection, now: datetime, ahead: timedelta = WARN_AHEAD
) -> list[KeyWarning]:
    """The keys in use that end within ``ahead``, or have ended; soonest first."""
    found = []
    for record in list_revisions(connection):
        ends = record.terms.ends
        if record.state is KeyState.WITHDRAWN or ends is None or ends > now + ahead:
            continue
        why = "issued_until" if ends == record.terms.issued_until else "ken"
        found.append(KeyWarning(record.terms.sgc, record.terms.krn, ends, why, ends <= now))
    return sorted(found, key=lambda warning: warning.ends)


def _set_state(
    connection: Connection, sgc: SupplyGroupCode, krn: KeyRevision, state: KeyState
) -> None:
    connection.execute(
        update(key_revisions)
        .where(key_revisions.c.sgc == sgc, key_revisions.c.krn == krn)
        .values(state=state.value)
    )


def _group(row: Row[Any]) -> SupplyGroup:
    return SupplyGroup(
        SupplyGroupCode(row.sgc),
        row.name,
        GroupKind(row.kind),
        KeyPolicy(row.policy),
        row.added_at,
    )


def terms_of(row: Row[Any]) -> RevisionTerms:
    """The terms in a row of `key_revisions` or `key_ceremonies`."""
    return RevisionTerms(
        sgc=SupplyGroupCode(row.sgc),
        krn=KeyRevision(row.krn),
        dkga=KeyGeneration(row.dkga),
        base_date=BaseDate(row.base_year),
        ken=KeyExpiry(row.ken),
        valid_from=row.valid_from,
        issued_until=row.issued_until,
    )


def _record(row: Row[Any]) -> RevisionRecord:
    return RevisionRecord(
        terms=terms_of(row),
        state=KeyState(row.state),
        kcv=row.kcv,
        provider=Provider(row.provider),
        label=row.label,
        added_at=row.added_at,
        added_by=row.added_by,
    )
