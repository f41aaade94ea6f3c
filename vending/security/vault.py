"""The software vault: vending keys in the database, wrapped.

Two layers.  The **data key** (32 random bytes) wraps vending keys and components; the **master
key**, made from a passphrase or a secret file, wraps the data key.  So the master key is changed
by wrapping 32 bytes anew, and the data key by wrapping all keys anew; either is one transaction
of the database, and so happens wholly or not at all.

What is wrapped is bound to its place: the vault, the number of the data key, and what the key
is for.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from vending.security.faults import (
    VaultDamagedError,
    VaultExistsError,
    VaultLockedError,
    VaultMissingError,
)
from vending.security.groups import RevisionTerms, terms_of
from vending.security.tables import key_ceremonies, key_components, key_revisions, vault
from vending.security.wrapping import (
    DEFAULT_COST,
    KEY_BYTES,
    SALT_BYTES,
    Cost,
    MasterSecret,
    Method,
    WrappingKey,
)
from vending.sts import VendingKey

_VAULT: Final = select(vault)


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What is known of a vault without opening it."""

    method: Method
    cost: Cost
    data_key_no: int
    made_at: datetime
    rotated_at: datetime
    tables_sha256: str | None


@dataclass(frozen=True, slots=True)
class OpenVault:
    """An open vault: it wraps and unwraps.  It holds keys in memory and prints none."""

    vault_uuid: str
    data_key_no: int
    master_key: WrappingKey
    data_key: WrappingKey

    def wrap_key(self, key: VendingKey, terms: RevisionTerms) -> bytes:
        """A vending key, bound to its supply group, revision and derivation."""
        return self.data_key.wrap(key.secret, self._purpose("vending key", terms))

    def unwrap_key(self, blob: bytes, terms: RevisionTerms) -> VendingKey:
        """The vending key.

        Raises:
            VaultDamagedError: altered, or another key's blob.
        """
        return VendingKey(self.data_key.unwrap(blob, self._purpose("vending key", terms)))

    def wrap_component(
        self, key: VendingKey, terms: RevisionTerms, ceremony_id: int, position: int
    ) -> bytes:
        """A component of a key, bound to its ceremony and place too."""
        purpose = self._purpose(f"component {position} of {ceremony_id}", terms)
        return self.data_key.wrap(key.secret, purpose)

    def unwrap_component(
        self, blob: bytes, terms: RevisionTerms, ceremony_id: int, position: int
    ) -> VendingKey:
        """The component.

        Raises:
            VaultDamagedError: altered, or another's blob.
        """
        purpose = self._purpose(f"component {position} of {ceremony_id}", terms)
        return VendingKey(self.data_key.unwrap(blob, purpose))

    def _purpose(self, kind: str, terms: RevisionTerms) -> bytes:
        words = (kind, self.vault_uuid, self.data_key_no, terms.sgc, terms.krn, int(terms.dkga))
        more = (int(terms.base_date), terms.ken)
        return "|".join(map(str, (*words, *more))).encode("ascii")


def has_vault(connection: Connection) -> bool:
    """Whether the shop has a vault."""
    return connection.execute(_VAULT).one_or_none() is not None


def vault_status(connection: Connection) -> VaultStatus:
    """What is known of the vault without opening it.

    Raises:
        VaultMissingError: the shop has none.
    """
    row = _row(connection)
    return VaultStatus(
        method=Method(row.method),
        cost=_cost(row),
        data_key_no=row.data_key_no,
        made_at=row.made_at,
        rotated_at=row.rotated_at,
        tables_sha256=row.tables_sha256,
    )


def make_vault(
    connection: Connection, master: MasterSecret, now: datetime, cost: Cost = DEFAULT_COST
) -> OpenVault:
    """Make the shop's vault, empty.

    Raises:
        VaultExistsError: the shop has one.
        PassphraseTooShortError: the passphrase can be guessed.
    """
    if has_vault(connection):
        raise VaultExistsError(
            "This shop has a vault already; to change its passphrase: meterhouse key rotate."
        )
    master.require_strong()
    vault_uuid, data_key_no, salt = str(uuid.uuid4()), 1, secrets.token_bytes(SALT_BYTES)
    master_key = master.wrapping_key(salt, cost)
    secret = secrets.token_bytes(KEY_BYTES)
    connection.execute(
        insert(vault),
        {
            "vault_id": 1,
            "vault_uuid": vault_uuid,
            **_master_columns(master, salt, cost),
            "data_key_no": data_key_no,
            "wrapped_data_key": master_key.wrap(secret, _data_key_purpose(vault_uuid, data_key_no)),
            "made_at": now,
            "rotated_at": now,
        },
    )
    return OpenVault(vault_uuid, data_key_no, master_key, WrappingKey(secret))


def open_vault(connection: Connection, master: MasterSecret) -> OpenVault:
    """Open the vault.

    Raises:
        VaultMissingError: the shop has none.
        VaultLockedError: another passphrase or secret.
    """
    row = _row(connection)
    if master.method is not Method(row.method):
        wanted = row.method.replace("_", " ")
        raise VaultLockedError(f"This vault is opened with a {wanted}, which was not given.")
    return _opened(row, master.wrapping_key(row.salt, _cost(row)))


def reopen_vault(connection: Connection, was_open: OpenVault) -> OpenVault:
    """The vault as it is now; the same one unless its data key was changed since.

    Raises:
        VaultLockedError: data key and master key were both changed: unlock it anew.
    """
    row = _row(connection)
    if (row.vault_uuid, row.data_key_no) == (was_open.vault_uuid, was_open.data_key_no):
        return was_open
    return _opened(row, was_open.master_key)


def hold_vault(connection: Connection, was_open: OpenVault) -> OpenVault:
    """As `reopen_vault`, for a write transaction: the data key stays until its end."""
    connection.execute(select(vault.c.vault_id).with_for_update()).one_or_none()
    return reopen_vault(connection, was_open)


def rotate_master(
    connection: Connection,
    was_open: OpenVault,
    master: MasterSecret,
    now: datetime,
    cost: Cost = DEFAULT_COST,
) -> OpenVault:
    """Wrap the data key under another master key; the one before opens nothing any more.

    Raises:
        PassphraseTooShortError: the passphrase can be guessed.
    """
    master.require_strong()
    current = hold_vault(connection, was_open)
    row = _row(connection)
    purpose = _data_key_purpose(current.vault_uuid, current.data_key_no)
    secret = _unwrap_data_key(row, current.master_key)
    salt = secrets.token_bytes(SALT_BYTES)
    master_key = master.wrapping_key(salt, cost)
    connection.execute(
        update(vault).values(
            **_master_columns(master, salt, cost),
            wrapped_data_key=master_key.wrap(secret, purpose),
            rotated_at=now,
        )
    )
    return OpenVault(current.vault_uuid, current.data_key_no, master_key, current.data_key)


def rotate_data_key(connection: Connection, was_open: OpenVault, now: datetime) -> OpenVault:
    """Wrap every vending key and component under a new data key.

    Raises:
        VaultLockedError: the master key was changed since: unlock anew.
        VaultDamagedError: a key does not open; nothing was changed.
    """
    current = hold_vault(connection, was_open)
    _unwrap_data_key(_row(connection), current.master_key)
    secret, number = secrets.token_bytes(KEY_BYTES), current.data_key_no + 1
    renewed = OpenVault(current.vault_uuid, number, current.master_key, WrappingKey(secret))
    _rewrap_keys(connection, current, renewed)
    _rewrap_components(connection, current, renewed)
    purpose = _data_key_purpose(current.vault_uuid, number)
    connection.execute(
        update(vault).values(
            data_key_no=number,
            wrapped_data_key=current.master_key.wrap(secret, purpose),
            rotated_at=now,
        )
    )
    return renewed


def record_tables(connection: Connection, sha256: str | None) -> None:
    """Keep the digest of the licensed STA tables that this vault is used with."""
    connection.execute(update(vault).values(tables_sha256=sha256))


def _rewrap_keys(connection: Connection, old: OpenVault, new: OpenVault) -> None:
    rows = connection.execute(
        select(key_revisions).where(key_revisions.c.wrapped.is_not(None)).with_for_update()
    ).all()
    for row in rows:
        terms = terms_of(row)
        connection.execute(
            update(key_revisions)
            .where(key_revisions.c.sgc == row.sgc, key_revisions.c.krn == row.krn)
            .values(wrapped=new.wrap_key(old.unwrap_key(row.wrapped, terms), terms))
        )


def _rewrap_components(connection: Connection, old: OpenVault, new: OpenVault) -> None:
    rows = connection.execute(
        select(key_ceremonies, key_components.c.position, key_components.c.wrapped)
        .join(key_components)
        .where(key_components.c.wrapped.is_not(None))
    ).all()
    statement = (
        update(key_components)
        .where(
            key_components.c.ceremony_id == bindparam("of_ceremony"),
            key_components.c.position == bindparam("of_position"),
        )
        .values(wrapped=bindparam("rewrapped"))
    )
    for row in rows:
        terms, place = terms_of(row), (row.ceremony_id, row.position)
        component = old.unwrap_component(row.wrapped, terms, *place)
        connection.execute(
            statement,
            {
                "of_ceremony": row.ceremony_id,
                "of_position": row.position,
                "rewrapped": new.wrap_component(component, terms, *place),
            },
        )


def _row(connection: Connection) -> Row[Any]:
    row = connection.execute(_VAULT).one_or_none()
    if row is None:
        raise VaultMissingError("This shop has no vault; make one: meterhouse key vault init.")
    return row


def _opened(row: Row[Any], master_key: WrappingKey) -> OpenVault:
    data_key = WrappingKey(_unwrap_data_key(row, master_key))
    return OpenVault(row.vault_uuid, row.data_key_no, master_key, data_key)


def _unwrap_data_key(row: Row[Any], master_key: WrappingKey) -> bytes:
    try:
        return master_key.unwrap(
            row.wrapped_data_key, _data_key_purpose(row.vault_uuid, row.data_key_no)
        )
    except VaultDamagedError:
        raise VaultLockedError(
            "The vault does not open: the passphrase or secret is wrong, or was changed since."
        ) from None


def _cost(row: Row[Any]) -> Cost:
    return Cost(row.passes, row.memory_kib, row.lanes)


def _master_columns(master: MasterSecret, salt: bytes, cost: Cost) -> dict[str, object]:
    return {
        "method": master.method.value,
        "salt": salt,
        "passes": cost.passes,
        "memory_kib": cost.memory_kib,
        "lanes": cost.lanes,
    }


def _data_key_purpose(vault_uuid: str, number: int) -> bytes:
    return f"data key|{vault_uuid}|{number}".encode("ascii")
