"""API keys of programs; the caller holds the transaction.

A key is ``mhk_PREFIX_SECRET``: the prefix names it in lists and look-ups, the secret is 256
random bits.  What is kept is a SHA-256 of the whole: with that many random bits a slow hash
would add nothing, and a kiosk's start should not take a tenth of a second.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from vending.cash.tables import terminals, vendors
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.people.faults import BindingError, UnknownApiKeyError
from vending.people.tables import api_key_roles, api_keys

_MARK: Final = "mhk"
_PREFIX_BYTES: Final = 4
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKeyEntry:
    """An API key as lists show it: without its secret."""

    api_key_id: int
    prefix: str
    client: str
    roles: tuple[Role, ...]
    vendor_id: int | None
    terminal: str | None
    added_at: datetime
    added_by: str
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def actor(self) -> Actor:
        """The program, acting."""
        allowed = frozenset[Any]().union(*(PERMISSIONS[role] for role in self.roles))
        return Actor(
            f"key:{self.client}",
            allowed,
            vendor_id=self.vendor_id,
            client=self.client,
            terminal=self.terminal,
        )


def insert_api_key(
    connection: Connection,
    client: str,
    roles: frozenset[Role],
    *,
    vendor_id: int | None,
    terminal: str | None,
    expires_at: datetime | None,
    by: str,
    now: datetime,
) -> tuple[ApiKeyEntry, str]:
    """Make a key: its entry, and its text, which nobody will see again.

    Raises:
        BindingError: no such vendor or terminal, or it would expire before it begins.
    """
    require_bindings(connection, vendor_id, terminal)
    if expires_at is not None and expires_at <= now:
        raise BindingError("The key would expire before it begins: name a later time.")
    prefix = secrets.token_hex(_PREFIX_BYTES)
    text = f"{_MARK}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    api_key_id = connection.execute(
        insert(api_keys).returning(api_keys.c.api_key_id),
        {
            "prefix": prefix,
            "secret_sha256": _sha256(text),
            "client": client,
            "vendor_id": vendor_id,
            "terminal": terminal,
            "added_at": now,
            "added_by": by,
            "expires_at": expires_at,
        },
    ).scalar_one()
    connection.execute(
        insert(api_key_roles),
        [{"api_key_id": api_key_id, "role": role.value} for role in sorted(roles)],
    )
    return api_key_by_id(connection, api_key_id), text


def find_secret(connection: Connection, text: str) -> ApiKeyEntry | None:
    """The key of this text; None when it is none of this shop's."""
    parts = text.split("_", 2) if text.isascii() else []
    if len(parts) != len(("mark", "prefix", "secret")) or parts[0] != _MARK or "\0" in text:
        return None
    row = connection.execute(select(api_keys).where(api_keys.c.prefix == parts[1])).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.secret_sha256), _sha256(text)):
        return None
    return _entry(connection, row)


def find_api_key(connection: Connection, prefix: str) -> ApiKeyEntry:
    """A key by its prefix.

    Raises:
        UnknownApiKeyError: there is none.
    """
    row = connection.execute(select(api_keys).where(api_keys.c.prefix == prefix)).one_or_none()
    if row is None:
        raise UnknownApiKeyError(
            "There is no API key of this prefix; `meterhouse api-key list` shows them."
        )
    return _entry(connection, row)


def api_key_by_id(connection: Connection, api_key_id: int) -> ApiKeyEntry:
    """A key that is known to be there."""
    row = connection.execute(select(api_keys).where(api_keys.c.api_key_id == api_key_id)).one()
    return _entry(connection, row)


def list_api_keys(connection: Connection) -> list[ApiKeyEntry]:
    """All, in the order in which they were made."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.api_key_id)).all()
    return [_entry(connection, row) for row in rows]


def revoke(connection: Connection, entry: ApiKeyEntry, now: datetime) -> None:
    """Take a key's validity; doing so again changes nothing."""
    connection.execute(
        update(api_keys)
        .where(api_keys.c.api_key_id == entry.api_key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def require_bindings(connection: Connection, vendor_id: int | None, terminal: str | None) -> None:
    """Check that somebody's vendor and terminal are there.

    Raises:
        BindingError: one of them is not.
    """
    if vendor_id is not None and not _exists(connection, vendors.c.vendor_id, vendor_id):
        raise BindingError(f"There is no vendor {vendor_id} in this shop.")
    if terminal is not None and not _exists(connection, terminals.c.name, terminal):
        raise BindingError("There is no terminal of this name; add it first.")


def _exists(connection: Connection, column: Any, value: object) -> bool:
    return connection.execute(select(column).where(column == value)).first() is not None


def _entry(connection: Connection, row: Row[Any]) -> ApiKeyEntry:
    roles = connection.scalars(
        select(api_key_roles.c.role).where(api_key_roles.c.api_key_id == row.api_key_id)
    )
    return ApiKeyEntry(
        row.api_key_id,
        row.prefix,
        row.client,
        tuple(sorted(Role(role) for role in roles)),
        row.vendor_id,
        row.terminal,
        row.added_at,
        row.added_by,
        row.expires_at,
        row.revoked_at,
    )


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
