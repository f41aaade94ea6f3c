"""The vault: made, shown, rotated; the STA tables that it is used with."""

from __future__ import annotations

from dataclasses import dataclass

from vending.security import vault
from vending.security.key_room import KEYS, KeyRoom, note
from vending.security.sta_file import tables_sha256
from vending.security.vault import VaultStatus
from vending.security.wrapping import DEFAULT_COST, Cost, MasterSecret
from vending.shop.faults import RequestFormatError
from vending.sts import StaTables


@dataclass(frozen=True, slots=True)
class VaultDesk(KeyRoom):
    """The software vault."""

    def make_vault(
        self, master: MasterSecret, *, cost: Cost = DEFAULT_COST, operator: str = ""
    ) -> VaultStatus:
        """Make the shop's vault, empty.  From then on the shop has no public test keys.

        Raises:
            VaultExistsError: there is one.
            PassphraseTooShortError: fewer than 12 characters.
        """
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            vault.make_vault(connection, master, now, cost)
            note(connection, now, by, "vault.made", "vault", master.method.value)
            return vault.vault_status(connection)

    def vault_status(self) -> VaultStatus:
        """What is known of the vault without opening it.

        Raises:
            VaultMissingError: the shop has none.
        """
        self.house.require(KEYS)
        with self.house.reading() as connection:
            return vault.vault_status(connection)

    def rotate_master(
        self, master: MasterSecret, *, cost: Cost = DEFAULT_COST, operator: str = ""
    ) -> VaultStatus:
        """Open the vault with another passphrase or secret from now on, and with no other.

        Processes that have it open go on.  Raises as `make_vault`, and:

        Raises:
            VaultLockedError: the shop was not opened with the vault unlocked.
        """
        self.house.require(KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with self.house.writing() as connection:
            renewed = vault.rotate_master(connection, self._open_vault(), master, now, cost)
            note(connection, now, by, "vault.master_key", "vault", master.method.value)
            status = vault.vault_status(connection)
        keys.adopt(renewed)
        return status

    def rotate_data_key(self, *, operator: str = "") -> VaultStatus:
        """Wrap all keys under a new data key.

        Processes that have the vault open take it over by themselves.

        Raises:
            VaultLockedError: the vault is locked, or its master key was changed since.
            VaultDamagedError: a key does not open; nothing was changed.
        """
        self.house.require(KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with self.house.writing() as connection:
            renewed = vault.rotate_data_key(connection, self._open_vault(), now)
            note(connection, now, by, "vault.data_key", "vault", f"no={renewed.data_key_no}")
            status = vault.vault_status(connection)
        keys.adopt(renewed)
        return status

    def record_tables(self, tables: StaTables | None, *, operator: str = "") -> VaultStatus:
        """Put the licensed STA tables on record by their digest: no others are used then.

        Raises:
            VaultMissingError: the shop has no vault.
            RequestFormatError: these are the standard's samples.
        """
        self.house.require(KEYS)
        if tables is not None and tables.is_sample:
            raise RequestFormatError("These are the standard's sample tables: nothing to record.")
        by, now = self.house.who(operator), self.house.now()
        digest = None if tables is None else tables_sha256(tables)
        with self.house.writing() as connection:
            vault.vault_status(connection)
            vault.record_tables(connection, digest)
            note(connection, now, by, "vault.tables", "vault", digest or "none")
            return vault.vault_status(connection)
