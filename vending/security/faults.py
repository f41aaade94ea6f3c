"""Faults of the security module: one class and one stable code each.

No message, and nothing else of a fault, holds a key, a component of one or a passphrase.
"""

from __future__ import annotations

from typing import ClassVar

from vending.shop.faults import ShopError, ShopSystemError

# --- business: somebody at the counter or a key custodian can put it right -------------------


class UnknownSupplyGroupError(ShopError):
    """No supply group of this code is registered."""

    code: ClassVar[str] = "unknown_supply_group"


class SupplyGroupExistsError(ShopError):
    """The supply group is registered already."""

    code: ClassVar[str] = "supply_group_exists"


class KeyRevisionExistsError(ShopError):
    """The supply group has a key of this revision already."""

    code: ClassVar[str] = "key_revision_exists"


class UnknownKeyRevisionError(ShopError):
    """The supply group has no key of this revision."""

    code: ClassVar[str] = "unknown_key_revision"


class KeyRevisionExpiredError(ShopError):
    """Tokens may no longer be made under this key revision: its issued-until has passed."""

    code: ClassVar[str] = "key_revision_expired"


class KeyRevisionNotYetValidError(ShopError):
    """Tokens may not be made under this key revision yet."""

    code: ClassVar[str] = "key_revision_not_yet_valid"


class KeyRevisionWithdrawnError(ShopError):
    """The key revision was withdrawn: nothing is made under it any more."""

    code: ClassVar[str] = "key_revision_withdrawn"


class KeyBaseDateError(ShopError):
    """The key revision is for meters of another base date."""

    code: ClassVar[str] = "key_base_date"


class KeyStateError(ShopError):
    """The key revision is in a state that does not allow this."""

    code: ClassVar[str] = "key_state"


class KeyCheckValueError(ShopError):
    """A key or a component does not have the key check value that was said: mistyped."""

    code: ClassVar[str] = "key_check_value"


class KeyParityError(ShopError):
    """A combined DES key has not odd parity, and nobody said what to do about that."""

    code: ClassVar[str] = "key_parity"


class WeakKeyError(ShopError):
    """A key that nobody may use: all zeros, or one of DES's weak keys."""

    code: ClassVar[str] = "weak_key"


class UnknownCeremonyError(ShopError):
    """No key ceremony of this number was begun."""

    code: ClassVar[str] = "unknown_ceremony"


class CeremonyStateError(ShopError):
    """The ceremony is over, or a component is missing or there already."""

    code: ClassVar[str] = "ceremony_state"


class PassphraseTooShortError(ShopError):
    """A passphrase that can be guessed."""

    code: ClassVar[str] = "passphrase_too_short"


class KeyBundleError(ShopError):
    """A key bundle cannot be opened: damaged, altered, or another passphrase."""

    code: ClassVar[str] = "key_bundle"


class ModuleRefusedError(ShopError):
    """The security module refused by a rule of its own; it made nothing."""

    code: ClassVar[str] = "module_refused"


# --- system: the operator has to act ----------------------------------------------------------


class VaultMissingError(ShopSystemError):
    """The shop has no vault."""

    code: ClassVar[str] = "vault_missing"


class VaultExistsError(ShopSystemError):
    """The shop has a vault already."""

    code: ClassVar[str] = "vault_exists"


class VaultLockedError(ShopSystemError):
    """The vault cannot be opened with what was given, or nothing was given."""

    code: ClassVar[str] = "vault_locked"


class VaultDamagedError(ShopSystemError):
    """A wrapped key was altered or changed places: somebody touched the database."""

    code: ClassVar[str] = "vault_damaged"


class SecretFileError(ShopSystemError):
    """A file with a secret is missing, too short, or readable by others."""

    code: ClassVar[str] = "secret_file"


class StaTablesError(ShopSystemError):
    """The STA tables are not those that the vault is used with."""

    code: ClassVar[str] = "sta_tables"


class ModuleUnavailableError(ShopSystemError):
    """The security module that this process was told to use cannot be set up."""

    code: ClassVar[str] = "module_unavailable"


class ModuleUnreachableError(ShopSystemError):
    """The security module did not answer: nothing is known, ask again by the same id."""

    code: ClassVar[str] = "module_unreachable"


class ModuleCannotError(ShopSystemError):
    """The hardware cannot do this with a key that it holds."""

    code: ClassVar[str] = "module_cannot"
