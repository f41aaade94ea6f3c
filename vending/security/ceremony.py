"""Import of a vending key in components, each brought by another person.

A key comes from the key management centre in two or more components on separate paths; their
exclusive or is the key, and nobody sees more than one.  Between two people's visits a component
lies in the database, wrapped by the vault.  All functions want a write transaction.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from vending.people.faults import SamePersonError
from vending.security.faults import (
    CeremonyStateError,
    UnknownCeremonyError,
)
from vending.security.groups import (
    KeyState,
    Provider,
    RevisionRecord,
    RevisionTerms,
    insert_revision,
    require_no_revision,
    require_supply_group,
    revision_name,
    terms_of,
)
from vending.security.key_checks import (
    Parity,
    combine,
    key_bits,
    key_check_value,
    parse_check_value,
    require_check_value,
)
from vending.security.tables import key_ceremonies, key_components
from vending.security.vault import OpenVault
from vending.shop.faults import RequestFormatError
from vending.sts import KeyFormatError, VendingKey

_COMPONENTS_MIN, _COMPONENTS_MAX = 2, 9


class CeremonyState(StrEnum):
    """How far an import is."""

    OPEN = "open"
    FINISHED = "finished"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a key was put."""

    provider: Provider
    wrapped: bytes | None = None
    label: str | None = None


Keep = Callable[[VendingKey, RevisionTerms], Kept]


@dataclass(frozen=True, slots=True)
class Component:
    """A component that was entered; the component itself stays in the vault."""

    position: int
    person: str
    kcv: str
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Ceremony:
    """An import in components."""

    ceremony_id: int
    terms: RevisionTerms
    components: int
    expected_kcv: str | None
    state: CeremonyState
    begun_at: datetime
    begun_by: str
    entered: tuple[Component, ...]


def begin(
    connection: Connection,
    terms: RevisionTerms,
    components: int,
    expected_kcv: str | None,
    by: str,
    now: datetime,
) -> int:
    """Begin an import; gives the ceremony's number.

    Raises:
        UnknownSupplyGroupError, KeyRevisionExistsError: nowhere to put the key.
        CeremonyStateError: such a ceremony is open already.
        KeyFormatError: neither DKGA02 nor DKGA04.
        KeyCheckValueError: the expected check value has not 6 hexadecimal digits.
        RequestFormatError: not 2-9 components, or it would end before it is valid.
    """
    if not _COMPONENTS_MIN <= components <= _COMPONENTS_MAX:
        raise RequestFormatError("A key comes in 2 to 9 components, each by another person.")
    if terms.issued_until is not None and terms.issued_until <= terms.valid_from:
        raise RequestFormatError("The key's issued-until must be later than its valid-from.")
    key_bits(terms.dkga)
    require_supply_group(connection, terms.sgc)
    require_no_revision(connection, terms)
    still_open = connection.scalar(
        select(key_ceremonies.c.ceremony_id).where(
            key_ceremonies.c.sgc == terms.sgc,
            key_ceremonies.c.krn == terms.krn,
            key_ceremonies.c.state == CeremonyState.OPEN.value,
        )
    )
    if still_open is not None:
        raise CeremonyStateError(
            f"Ceremony {still_open} for the key {revision_name(terms.sgc, terms.krn)} is open: "
            "go on with it, or abandon it."
        )
    ceremony_id: int = connection.execute(
        insert(key_ceremonies).returning(key_ceremonies.c.ceremony_id),
        {
            "sgc": terms.sgc,
            "krn": terms.krn,
            "dkga": int(terms.dkga),
            "base_year": int(terms.base_date),
            "ken": terms.ken,
            "valid_from": terms.valid_from,
            "issued_until": terms.issued_until,
            "components": components,
            "expected_kcv": None if expected_kcv is None else parse_check_value(expected_kcv),
            "state": CeremonyState.OPEN.value,
            "begun_at": now,
            "begun_by": by,
        },
    ).scalar_one()
    return ceremony_id


def enter(
    connection: Connection,
    vault: OpenVault,
    ceremony_id: int,
    component: VendingKey,
    kcv: str | None,
    by: str,
    now: datetime,
) -> Component:
    """Take one person's component.

    Args:
        connection: in a write transaction.
        vault: open.
        ceremony_id: which.
        component: its secret.
        kcv: what the check value on the person's paper is; None when there is none.
        by: who brings it.
        now: the time.

    Raises:
        UnknownCeremonyError, CeremonyStateError: not open, or all components are there.
        SamePersonError: this person has brought one already.
        KeyFormatError: not of the key's length.
        KeyCheckValueError: mistyped.
    """
    ceremony = _open_ceremony(connection, ceremony_id)
    person = folded(by)
    if not person:
        raise RequestFormatError("Say who brings this component (--operator, or sign in).")
    if any(each.person == person for each in ceremony.entered):
        raise SamePersonError(
            f"{by} has brought a component of this key already: another person must bring this one."
        )
    position = len(ceremony.entered) + 1
    if position > ceremony.components:
        raise CeremonyStateError(
            f"All {ceremony.components} components of ceremony {ceremony_id} are there: finish it."
        )
    bits = key_bits(ceremony.terms.dkga)
    if component.bits != bits:
        raise KeyFormatError(
            f"A component of a DKGA{ceremony.terms.dkga.value:02d} key has {bits} bits "
            f"({bits // 4} hexadecimal digits), this one has {component.bits}."
        )
    if kcv is not None:
        require_check_value("This component", component, kcv)
    found = Component(position, person, key_check_value(component), now)
    connection.execute(
        insert(key_components),
        {
            "ceremony_id": ceremony_id,
            "position": position,
            "person": person,
            "kcv": found.kcv,
            "wrapped": vault.wrap_component(component, ceremony.terms, ceremony_id, position),
            "entered_at": now,
        },
    )
    return found


def finish(
    connection: Connection,
    vault: OpenVault,
    ceremony_id: int,
    parity: Parity,
    keep: Keep,
    by: str,
    now: datetime,
) -> RevisionRecord:
    """Combine the components and put the key on record, waiting.

    Args:
        connection: in a write transaction.
        vault: open; the components are in it.
        ceremony_id: which.
        parity: what to do with a DES key without odd parity.
        keep: puts the combined key where it is kept.
        by: who finishes.
        now: the time.

    Raises:
        UnknownCeremonyError, CeremonyStateError: not open, or a component is missing.
        KeyCheckValueError: not the key that was expected; nothing was changed.
        KeyParityError, WeakKeyError: see `key_checks.combine`.
        KeyRevisionExistsError: the revision came in by another way meanwhile.
        VaultDamagedError: a component does not open.
    """
    ceremony = _open_ceremony(connection, ceremony_id)
    missing = ceremony.components - len(ceremony.entered)
    if missing:
        raise CeremonyStateError(
            f"{missing} of {ceremony.components} components of ceremony {ceremony_id} are missing."
        )
    key = combine(_components(connection, vault, ceremony), parity)
    if ceremony.expected_kcv is not None:
        require_check_value("The combined key", key, ceremony.expected_kcv)
    require_no_revision(connection, ceremony.terms)
    kept = keep(key, ceremony.terms)
    record = RevisionRecord(
        ceremony.terms, KeyState.WAITING, key_check_value(key), kept.provider, kept.label, now, by
    )
    insert_revision(connection, record, wrapped=kept.wrapped, ceremony_id=ceremony_id)
    _end(connection, ceremony_id, CeremonyState.FINISHED, by, now)
    return record


def abandon(connection: Connection, ceremony_id: int, by: str, now: datetime) -> Ceremony:
    """Give an import up; its components are emptied.

    Raises:
        UnknownCeremonyError, CeremonyStateError: not open.
    """
    ceremony = _open_ceremony(connection, ceremony_id)
    _end(connection, ceremony_id, CeremonyState.ABANDONED, by, now)
    return ceremony


def find_ceremony(connection: Connection, ceremony_id: int) -> Ceremony:
    """A ceremony by its number.

    Raises:
        UnknownCeremonyError: there is none.
    """
    row = connection.execute(
        select(key_ceremonies).where(key_ceremonies.c.ceremony_id == ceremony_id)
    ).one_or_none()
    if row is None:
        raise UnknownCeremonyError(f"No key ceremony {ceremony_id} was begun here.")
    return _ceremony(connection, row)


def list_ceremonies(connection: Connection, *, only_open: bool = True) -> list[Ceremony]:
    """Ceremonies, the oldest first."""
    wanted = select(key_ceremonies).order_by(key_ceremonies.c.ceremony_id)
    if only_open:
        wanted = wanted.where(key_ceremonies.c.state == CeremonyState.OPEN.value)
    return [_ceremony(connection, row) for row in connection.execute(wanted).all()]


def folded(name: str) -> str:
    """A person's name so that another spelling of it is no other person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _open_ceremony(connection: Connection, ceremony_id: int) -> Ceremony:
    connection.execute(
        select(key_ceremonies.c.ceremony_id)
        .where(key_ceremonies.c.ceremony_id == ceremony_id)
        .with_for_update()
    ).one_or_none()
    ceremony = find_ceremony(connection, ceremony_id)
    if ceremony.state is not CeremonyState.OPEN:
        raise CeremonyStateError(f"Ceremony {ceremony_id} is {ceremony.state.value} already.")
    return ceremony


def _components(connection: Connection, vault: OpenVault, ceremony: Ceremony) -> list[VendingKey]:
    rows = connection.execute(
        select(key_components.c.position, key_components.c.wrapped)
        .where(key_components.c.ceremony_id == ceremony.ceremony_id)
        .order_by(key_components.c.position)
    ).all()
    return [
        vault.unwrap_component(row.wrapped, ceremony.terms, ceremony.ceremony_id, row.position)
        for row in rows
    ]


def _end(
    connection: Connection, ceremony_id: int, state: CeremonyState, by: str, now: datetime
) -> None:
    connection.execute(
        update(key_components)
        .where(key_components.c.ceremony_id == ceremony_id)
        .values(wrapped=None)
    )
    connection.execute(
        update(key_ceremonies)
        .where(key_ceremonies.c.ceremony_id == ceremony_id)
        .values(state=state.value, ended_at=now, ended_by=by)
    )


def _ceremony(connection: Connection, row: Row[Any]) -> Ceremony:
    entered = connection.execute(
        select(key_components)
        .where(key_components.c.ceremony_id == row.ceremony_id)
        .order_by(key_components.c.position)
    )
    return Ceremony(
        ceremony_id=row.ceremony_id,
        terms=terms_of(row),
        components=row.components,
        expected_kcv=row.expected_kcv,
        state=CeremonyState(row.state),
        begun_at=row.begun_at,
        begun_by=row.begun_by,
        entered=tuple(
            Component(each.position, each.person, each.kcv, each.entered_at) for each in entered
        ),
    )
