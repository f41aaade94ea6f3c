"""Which security module a process uses, and how it is opened.

A shop without a vault and without keys on record has the public test keys.  A shop with a vault
is opened with its passphrase or secret; until then nothing is made (`LockedKeys`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NoReturn

from sqlalchemy import Connection, select

from storage.engine import open_engine, reading
from storage.migrate import require_current
from vending.security import vault
from vending.security.faults import ModuleUnavailableError, StaTablesError, VaultLockedError
from vending.security.groups import Provider
from vending.security.port import SecurityModule
from vending.security.public_test_keys import PublicTestKeys
from vending.security.recorded import DecoderKeySource, RecordedKeys, Vault
from vending.security.sta_file import load_sta_tables, tables_sha256
from vending.security.tables import key_revisions
from vending.security.wrapping import MasterSecret
from vending.shop.faults import storage_faults
from vending.shop.making import by_order
from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecodedToken,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    StaTables,
    SupplyGroupCode,
)

PLUG_INS: Final = "meterhouse.security_modules"
"""The entry point group of licensed modules: name → a callable that takes a `PlugInContext`."""
_TEST: Final = "test"
_VAULT: Final = "vault"
_PKCS11: Final = "pkcs11"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What a process was told about keys."""

    module: str = ""
    """``test``, ``vault``, ``pkcs11``, a plug-in's name; empty: what the shop has."""
    passphrase_file: Path | None = None
    secret_file: Path | None = None
    sta_tables: Path | None = None
    pkcs11_library: Path | None = None
    pkcs11_token: str = ""
    """The token's label."""
    pkcs11_pin_file: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> KeySettings:
        """Read the variables that docs/keys.md lists."""

        def path(name: str) -> Path | None:
            text = environment.get(f"METERHOUSE_{name}", "")
            return Path(text) if text else None

        return cls(
            module=environment.get("METERHOUSE_SECURITY_MODULE", ""),
            passphrase_file=path("VAULT_PASSPHRASE_FILE"),
            secret_file=path("VAULT_SECRET_FILE"),
            sta_tables=path("STA_TABLES"),
            pkcs11_library=path("PKCS11_LIBRARY"),
            pkcs11_token=environment.get("METERHOUSE_PKCS11_TOKEN", ""),
            pkcs11_pin_file=path("PKCS11_PIN_FILE"),
        )

    def master(self) -> MasterSecret | None:
        """What opens the vault, as far as files say it.

        Raises:
            SecretFileError: a file cannot be used.
        """
        if self.passphrase_file is not None:
            return MasterSecret.passphrase_file(self.passphrase_file)
        if self.secret_file is not None:
            return MasterSecret.secret_file(self.secret_file)
        return None

    def tables(self) -> StaTables:
        """The operator's STA tables, or the samples.

        Raises:
            SecretFileError, CipherTablesError: the file cannot be used.
        """
        return SAMPLE_TABLES if self.sta_tables is None else load_sta_tables(self.sta_tables)

    def pkcs11_source(self) -> DecoderKeySource | None:
        """The PKCS#11 token, opened; None when none is named.

        Raises:
            ModuleUnavailableError, SecretFileError: it cannot be opened.
        """
        if self.pkcs11_library is None:
            return None
        if self.pkcs11_pin_file is None or not self.pkcs11_token:
            raise ModuleUnavailableError(
                "A PKCS#11 token needs METERHOUSE_PKCS11_TOKEN (its label) and "
                "METERHOUSE_PKCS11_PIN_FILE."
            )
        try:
            from vending.security.pkcs11_token import Pkcs11Source, read_pin
        except ImportError:
            raise ModuleUnavailableError(
                "PKCS#11 needs the extra package: pip install 'meterhouse[pkcs11]'."
            ) from None
        pin = read_pin(self.pkcs11_pin_file)
        return Pkcs11Source(self.pkcs11_library, self.pkcs11_token, pin)


@dataclass(frozen=True, slots=True)
class PlugInContext:
    """What a plug-in is made with."""

    url: str
    """The shop's database."""
    now: Callable[[], datetime]
    tables: StaTables


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What the database says about its keys, without opening any."""

    has_vault: bool
    providers: frozenset[Provider]
    tables_sha256: str | None

    @classmethod
    def read(cls, connection: Connection) -> KeyFacts:
        """Read them."""
        found = vault.has_vault(connection)
        return cls(
            found,
            frozenset(
                map(Provider, connection.scalars(select(key_revisions.c.provider).distinct()))
            ),
            vault.vault_status(connection).tables_sha256 if found else None,
        )


class DeferredKeys:
    """A security module that is opened when it is first needed.

    A command that only looks something up then asks nobody for a passphrase.

    Args:
        opener: opens the module; asked again when it raised.
    """

    def __init__(self, opener: Callable[[], SecurityModule]) -> None:
        self._opener: Final = opener
        self._lock: Final = threading.RLock()
        self._module: SecurityModule | None = None

    @property
    def module(self) -> SecurityModule:
        """The module, opened."""
        if self._module is None:
            self.open()
        assert self._module is not None
        return self._module

    def open(self) -> None:
        """Open the module now, if it was not opened before."""
        with self._lock:
            if self._module is None:
                self._module = by_order(self._opener())

    def close(self) -> None:
        """Close the module if it was opened."""
        close = getattr(self._module, "close", None)
        if close is not None:
            close()

    def __repr__(self) -> str:
        return f"DeferredKeys({'not opened' if self._module is None else self._module!r})"

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        self.module.require(sgc, krn)

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        return self.module.test_marks(key)

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        return self.module.make_token(content, key)

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        return self.module.make_key_change(old, new, ken, rollover=rollover)

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        return self.module.read_token(digits, key)


def default_security(connection: Connection) -> SecurityModule:
    """The module of a shop that was opened without one: test keys, or nothing at all.

    A shop with keys of its own never falls back to the public test keys.
    """
    facts = KeyFacts.read(connection)
    if facts.has_vault or facts.providers:
        return DeferredKeys(refuse_locked)
    return PublicTestKeys()


def open_security(
    url: str,
    settings: KeySettings,
    *,
    now: Callable[[], datetime] = _utc_now,
    ask: Callable[[], MasterSecret] | None = None,
) -> SecurityModule:
    """The security module that a process was told to use; close it if it can be closed.

    Args:
        url: the shop's database.
        settings: what the process was told.
        now: the clock.
        ask: asks a person for the vault's passphrase, where no file gives it.  The vault is
            opened at once when a file opens it, and when it is first needed otherwise.

    Raises:
        ModuleUnavailableError: no such module, or it cannot be set up.
        VaultLockedError, VaultMissingError: the vault does not open.
        StaTablesError, SecretFileError, CipherTablesError: the tables or a file are wrong.
        DatabaseMissingError, DatabaseVersionError, DatabaseUnavailableError: no shop.
    """
    facts = _facts(url)
    module = settings.module or _fitting(settings, facts)
    tables = settings.tables()
    if module == _TEST:
        _require_no_own_keys(facts)
        return PublicTestKeys(tables)
    if module not in (_VAULT, _PKCS11):
        return _plug_in(module, PlugInContext(url, now, tables))
    _require_right_tables(facts, tables)

    def sources() -> dict[Provider, DecoderKeySource]:
        source = settings.pkcs11_source()
        return {} if source is None else {Provider.PKCS11: source}

    if module == _PKCS11 and not facts.has_vault:
        return RecordedKeys(open_engine(url), sources(), now=now, tables=tables)
    master = settings.master()
    if master is not None:
        return Vault.unlock(url, master, now=now, tables=tables, others=sources())
    if module == _PKCS11 and Provider.VAULT not in facts.providers:
        return RecordedKeys(open_engine(url), sources(), now=now, tables=tables)
    if ask is None:
        return DeferredKeys(refuse_locked)
    return DeferredKeys(lambda: Vault.unlock(url, ask(), now=now, tables=tables, others=sources()))


def recorded_keys(security: SecurityModule) -> RecordedKeys:
    """The module with keys on record that a shop was opened with; for the desk of keys.

    Raises:
        VaultLockedError: it was opened with another module, or not unlocked.
    """
    module: Any = security.module if isinstance(security, DeferredKeys) else security
    if not isinstance(module, RecordedKeys):
        refuse_locked()
    return module


def refuse_locked() -> NoReturn:
    """Say how keys are unlocked.

    Raises:
        VaultLockedError: always.
    """
    raise VaultLockedError(
        "The shop's keys are locked. Give this process the vault's passphrase "
        "(METERHOUSE_VAULT_PASSPHRASE_FILE) or secret (METERHOUSE_VAULT_SECRET_FILE), or open "
        "the shop with Shop.open(url, security=Vault.unlock(url, ...))."
    )


def _facts(url: str) -> KeyFacts:
    with storage_faults():
        engine = open_engine(url)
        try:
            with reading(engine) as connection:
                require_current(connection)
                return KeyFacts.read(connection)
        finally:
            engine.dispose()


def _fitting(settings: KeySettings, facts: KeyFacts) -> str:
    if facts.has_vault:
        return _VAULT
    if settings.pkcs11_library is not None or facts.providers:
        return _PKCS11
    return _TEST


def _require_no_own_keys(facts: KeyFacts) -> None:
    if facts.has_vault or facts.providers:
        raise ModuleUnavailableError(
            "This shop has keys of its own: the public test keys would make tokens that no "
            "meter of it takes. Unset METERHOUSE_SECURITY_MODULE."
        )


def _require_right_tables(facts: KeyFacts, tables: StaTables) -> None:
    """Wrong tables make tokens that no meter takes, and money was taken for them."""
    if not facts.has_vault:
        return
    if facts.tables_sha256 is None:
        if not tables.is_sample:
            raise StaTablesError(
                "These STA tables are not on record in the vault yet; put them there first: "
                "meterhouse key tables FILE."
            )
        return
    if tables.is_sample:
        raise StaTablesError(
            "This shop uses licensed STA tables: name their file with METERHOUSE_STA_TABLES."
        )
    if tables_sha256(tables) != facts.tables_sha256:
        raise StaTablesError(
            "These STA tables are others than those on record in the vault: name the right "
            "file with METERHOUSE_STA_TABLES."
        )


def _plug_in(name: str, context: PlugInContext) -> SecurityModule:
    found = [point for point in entry_points(group=PLUG_INS) if point.name == name]
    if not found:
        known = sorted({point.name for point in entry_points(group=PLUG_INS)})
        raise ModuleUnavailableError(
            f"There is no security module {name!r} here; there are: "
            f"{', '.join(['test', 'vault', 'pkcs11', *known])}."
        )
    maker: Callable[[PlugInContext], SecurityModule] = found[0].load()
    return maker(context)
