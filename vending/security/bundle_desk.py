"""Keys from vault to vault, in a bundle under a transport passphrase."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from vending.security import bundle, groups, vault
from vending.security.bundle import Bundle, CarriedGroup, CarriedKey
from vending.security.faults import KeyRevisionExistsError
from vending.security.groups import KeyState, Provider, RevisionRecord, SupplyGroup
from vending.security.key_checks import key_check_value, require_sound
from vending.security.key_room import KEYS, KeyRoom, checked_terms, note
from vending.security.tables import key_revisions
from vending.security.vault import OpenVault
from vending.security.wrapping import DEFAULT_COST, Cost, MasterSecret


@dataclass(frozen=True, slots=True)
class BundleImport:
    """What came out of a bundle."""

    imported: tuple[RevisionRecord, ...]
    skipped: tuple[RevisionRecord, ...]
    """The very same keys were here already."""


@dataclass(frozen=True, slots=True)
class BundleDesk(KeyRoom):
    """Bundles of keys: out and in."""

    def export_bundle(
        self, transport: MasterSecret, *, cost: Cost = DEFAULT_COST, operator: str = ""
    ) -> bytes:
        """All keys of the vault, wrapped under a transport passphrase; takes two people.

        Raises:
            ApprovalRequiredError: nobody else approved it (essence: ``{"export": "all"}``).
            PassphraseTooShortError: fewer than 12 characters.
            VaultLockedError: the vault is locked.
        """
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        self._keys()
        with self.house.writing() as connection:
            self._require_approved(connection, {"export": "all"}, "vault")
            opened = vault.hold_vault(connection, self._open_vault())
            carried = _carried_keys(connection, opened)
            group_rows = tuple(
                CarriedGroup(each.sgc, each.name, each.kind, each.policy)
                for each in groups.list_supply_groups(connection)
            )
            document = bundle.seal(Bundle(group_rows, carried), transport, cost)
            detail = f"keys={len(carried)} sha256={hashlib.sha256(document).hexdigest()}"
            note(connection, now, by, "key.exported", "vault", detail)
        return document

    def import_bundle(
        self, document: bytes, transport: MasterSecret, *, operator: str = ""
    ) -> BundleImport:
        """Take the keys of a bundle in, waiting; takes two people.

        Supply groups that are not here are added.  A key that is here already, the very same,
        is skipped; nothing is imported when one of the numbers is taken by another key.

        Raises:
            ApprovalRequiredError: nobody else approved it (essence: ``{"import": "<SHA-256 of
                the document in hexadecimal>"}``).
            KeyBundleError: damaged, altered, or another passphrase.
            KeyRevisionExistsError: a revision's number is taken by another key.
            WeakKeyError: a key that nobody may use.
            VaultLockedError: the vault is locked.
        """
        self.house.require(KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        found = bundle.unseal(document, transport)
        digest = hashlib.sha256(document).hexdigest()
        imported, skipped = [], []
        with self.house.writing() as connection:
            self._require_approved(connection, {"import": digest}, "vault")
            opened = vault.hold_vault(connection, self._open_vault())
            for group in found.groups:
                if groups.supply_group(connection, group.sgc) is None:
                    groups.insert_supply_group(
                        connection,
                        SupplyGroup(group.sgc, group.name, group.kind, group.policy, now),
                    )
            for carried in found.keys:
                present = _same_key(connection, opened, carried)
                if present is not None:
                    skipped.append(present)
                    continue
                imported.append(_take_in(connection, opened, carried, by, now))
            detail = f"keys={len(imported)} skipped={len(skipped)} sha256={digest}"
            note(connection, now, by, "key.bundle_imported", "vault", detail)
        keys.refresh()
        return BundleImport(tuple(imported), tuple(skipped))


def _carried_keys(connection: Connection, opened: OpenVault) -> tuple[CarriedKey, ...]:
    rows = connection.execute(
        select(key_revisions)
        .where(key_revisions.c.wrapped.is_not(None))
        .order_by(key_revisions.c.sgc, key_revisions.c.krn)
    )
    return tuple(
        CarriedKey(terms, opened.unwrap_key(row.wrapped, terms))
        for row in rows
        for terms in (groups.terms_of(row),)
    )


def _same_key(
    connection: Connection, opened: OpenVault, carried: CarriedKey
) -> RevisionRecord | None:
    """The record of the very same key; None when the number is free."""
    terms = carried.terms
    present = groups.revision(connection, terms.sgc, terms.krn)
    if present is None:
        return None
    if present.provider is Provider.VAULT:
        here = {each.terms: each.key for each in _carried_keys(connection, opened)}
        if here[present.terms] == carried.key and present.terms.dkga is terms.dkga:
            return present
    raise KeyRevisionExistsError(
        f"There is another key {present.name} here already; nothing was imported."
    )


def _take_in(
    connection: Connection, opened: OpenVault, carried: CarriedKey, by: str, now: datetime
) -> RevisionRecord:
    require_sound(carried.key)
    terms = checked_terms(carried.terms)
    kcv = key_check_value(carried.key)
    record = RevisionRecord(terms, KeyState.WAITING, kcv, Provider.VAULT, None, now, by)
    wrapped = opened.wrap_key(carried.key, terms)
    groups.insert_revision(connection, record, wrapped=wrapped)
    return record
