"""Operators in the database; the caller holds the transaction."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from storage.engine import insert_if_new
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.people.faults import (
    FirstOperatorError,
    LastAdministratorError,
    OperatorExistsError,
    OperatorNameError,
    UnknownOperatorError,
    UnknownRoleError,
)
from vending.people.names import looks, require_one_script
from vending.people.tables import operator_roles, operators, sign_ins
from vending.shop.values import require_text

_NAME_LENGTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may sign in."""

    operator_id: int
    name: str
    roles: tuple[Role, ...]
    vendor_id: int | None
    added_at: datetime
    disabled_at: datetime | None

    def actor(self) -> Actor:
        """This person, acting."""
        allowed = frozenset[Any]().union(*(PERMISSIONS[role] for role in self.roles))
        return Actor(self.name, allowed, self.operator_id, self.vendor_id)


def require_name(name: str) -> str:
    """A new operator's name, as it is kept.

    Raises:
        OperatorNameError: empty, too long, with a colon or control characters, or with letters
            of several scripts.
    """
    require_text("An operator's name", name, length_max=_NAME_LENGTH_MAX, fault=OperatorNameError)
    kept = unicodedata.normalize("NFC", name).strip()
    if not kept or ":" in kept:
        raise OperatorNameError("An operator's name must not be empty, nor hold a colon.")
    require_one_script(kept)
    return kept


def fold(name: str) -> str:
    """Names that differ in case or composition only are one name."""
    storable = name.encode("utf-8", "replace").decode().replace("\0", "?")
    composed = unicodedata.normalize("NFKC", storable).casefold()
    return unicodedata.normalize("NFKC", composed).strip()


def require_roles(roles: Collection[Role | str]) -> frozenset[Role]:
    """Roles by name.

    Raises:
        UnknownRoleError: no such role, or none at all; lists them.
    """
    try:
        # a word alone is no list of words, though it can be walked along
        wanted = frozenset(Role(role) for role in (() if isinstance(roles, str) else roles))
    except (TypeError, ValueError):
        wanted = frozenset()
    if not wanted:
        raise UnknownRoleError(f"Name one role or more of: {', '.join(Role)}.")
    return wanted


def any_operator(connection: Connection) -> bool:
    """Whether the house is closed."""
    return connection.execute(select(operators.c.operator_id).limit(1)).first() is not None


def insert_operator(
    connection: Connection,
    name: str,
    password_hash: str,
    roles: frozenset[Role],
    vendor_id: int | None,
    now: datetime,
) -> Operator:
    """Add an operator.

    Raises:
        OperatorExistsError: the name is taken, or looks like one that is.
        FirstOperatorError: the first one is to be no administrator.
    """
    if Role.ADMINISTRATOR not in roles and not any_operator(connection):
        raise FirstOperatorError(
            "The first operator must have the role administrator: nobody else could add others."
        )
    if _row(connection, name) is not None:
        raise OperatorExistsError(f"There is an operator {name} already; choose another name.")
    drawn = looks(fold(name))
    if any(looks(folded) == drawn for folded in connection.scalars(select(operators.c.folded))):
        raise OperatorExistsError(
            "There is an operator whose name looks like this one in other letters; choose another."
        )
    connection.execute(
        insert(operators),
        {
            "name": name,
            "folded": fold(name),
            "password_hash": password_hash,
            "password_set_at": now,
            "vendor_id": vendor_id,
            "added_at": now,
        },
    )
    operator = find_operator(connection, name)
    _hold(connection, operator.operator_id, roles)
    return find_operator(connection, name)


def find_operator(connection: Connection, name: str) -> Operator:
    """An operator by name, in any case.

    Raises:
        UnknownOperatorError: nobody is called that.
    """
    row = _row(connection, name)
    if row is None:
        raise UnknownOperatorError("There is no operator of this name in this shop.")
    return _operator(connection, row)


def operator_by_id(connection: Connection, operator_id: int) -> Operator:
    """An operator that is known to be there."""
    row = connection.execute(select(operators).where(operators.c.operator_id == operator_id)).one()
    return _operator(connection, row)


def list_operators(connection: Connection) -> list[Operator]:
    """All, by name."""
    rows = connection.execute(select(operators).order_by(operators.c.folded)).all()
    return [_operator(connection, row) for row in rows]


def password_hash_of(connection: Connection, name: str) -> tuple[int, str] | None:
    """An operator's id and hash; None when nobody is called that."""
    row = _row(connection, name)
    return None if row is None else (row.operator_id, row.password_hash)


def store_password(
    connection: Connection, operator_id: int, password_hash: str, now: datetime
) -> None:
    """Keep a new password, and end the sessions that the old one opened."""
    keep_hash(connection, operator_id, password_hash)
    connection.execute(
        update(operators).where(operators.c.operator_id == operator_id).values(password_set_at=now)
    )
    end_sessions(connection, operator_id, now)


def keep_hash(connection: Connection, operator_id: int, password_hash: str) -> None:
    """Another hash of the same password."""
    connection.execute(
        update(operators)
        .where(operators.c.operator_id == operator_id)
        .values(password_hash=password_hash)
    )


def end_sessions(connection: Connection, operator_id: int, now: datetime) -> None:
    """Sign an operator out everywhere."""
    connection.execute(
        update(sign_ins)
        .where(sign_ins.c.operator_id == operator_id, sign_ins.c.signed_out_at.is_(None))
        .values(signed_out_at=now)
    )


def set_disabled(connection: Connection, operator: Operator, at: datetime | None) -> None:
    """Let an operator in no more (``at``), or again (None).

    Raises:
        LastAdministratorError: nobody else could let anybody in.
    """
    if at is not None and Role.ADMINISTRATOR in operator.roles:
        _require_another_administrator(connection, operator)
    connection.execute(
        update(operators)
        .where(operators.c.operator_id == operator.operator_id)
        .values(disabled_at=at)
    )
    if at is not None:
        end_sessions(connection, operator.operator_id, at)


def set_roles(connection: Connection, operator: Operator, roles: frozenset[Role]) -> None:
    """Give an operator these roles and no others.

    Raises:
        LastAdministratorError: nobody else could let anybody in.
    """
    if Role.ADMINISTRATOR in operator.roles and Role.ADMINISTRATOR not in roles:
        _require_another_administrator(connection, operator)
    _hold(connection, operator.operator_id, roles)


def _hold(connection: Connection, operator_id: int, roles: frozenset[Role]) -> None:
    for role in Role:
        held = {"held": int(role in roles)}
        row = {"operator_id": operator_id, "role": role.value, **held}
        if held["held"] and insert_if_new(connection, operator_roles, row):
            continue
        connection.execute(
            update(operator_roles)
            .where(operator_roles.c.operator_id == operator_id)
            .where(operator_roles.c.role == role.value)
            .values(**held)
        )


def _require_another_administrator(connection: Connection, operator: Operator) -> None:
    # Locked: of two who take each other's role away at the same time, one must lose.
    administrators = connection.execute(
        select(operators.c.operator_id)
        .join(operator_roles)
        .where(
            operator_roles.c.role == Role.ADMINISTRATOR.value,
            operator_roles.c.held == 1,
            operators.c.disabled_at.is_(None),
        )
        .order_by(operators.c.operator_id)
        .with_for_update()
    ).scalars()
    if set(administrators) <= {operator.operator_id}:
        raise LastAdministratorError(
            f"{operator.name} is the last administrator who can sign in: make another one first."
        )


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(
        select(operators).where(operators.c.folded == fold(name))
    ).one_or_none()


def _operator(connection: Connection, row: Row[Any]) -> Operator:
    held = connection.scalars(
        select(operator_roles.c.role).where(
            operator_roles.c.operator_id == row.operator_id, operator_roles.c.held == 1
        )
    )
    return Operator(
        row.operator_id,
        row.name,
        tuple(sorted(Role(role) for role in held)),
        row.vendor_id,
        row.added_at,
        row.disabled_at,
    )
