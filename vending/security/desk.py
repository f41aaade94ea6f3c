"""The desk of keys: `Shop.keys`."""

from __future__ import annotations

from dataclasses import dataclass

from vending.security.bundle_desk import BundleDesk
from vending.security.ceremony_desk import CeremonyDesk
from vending.security.group_desk import GroupDesk
from vending.security.vault_desk import VaultDesk


@dataclass(frozen=True, slots=True)
class KeyDesk(GroupDesk, VaultDesk, CeremonyDesk, BundleDesk):
    """Supply groups, key revisions, the vault, and keys on their way in and out.

    Everything here needs the permission 'keys'; whatever writes leaves an audit line.  What
    touches the keys themselves needs a shop that was opened with its vault unlocked.
    """
