"""The security module whose keys are on record in the shop's database.

What is on record says where each key is kept (`Provider`) and when it may be used; a *source*
for each kind of place derives decoder keys from it.  The record is read again every few
seconds, so that a key that was imported or withdrawn elsewhere is seen without a restart; the
module reads over connections of its own, never in a sale's transaction.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, Self

import structlog
from sqlalchemy import Connection, Engine, select

from storage.engine import open_engine, reading
from storage.migrate import require_current
from vending.security import groups, vault
from vending.security.faults import (
    KeyBaseDateError,
    KeyRevisionExpiredError,
    KeyRevisionNotYetValidError,
    KeyRevisionWithdrawnError,
    ModuleUnavailableError,
)
from vending.security.groups import KeyState, Provider, RevisionRecord, revision_name
from vending.security.key_checks import PUBLIC_TEST_CHECK_VALUES, key_check_value
from vending.security.public_test_keys import TEST_KEYS_MARK
from vending.security.tables import key_revisions
from vending.security.token_maker import DECODER_KEYS_KEPT, TokenMaker
from vending.security.vault import OpenVault
from vending.security.wrapping import MasterSecret
from vending.shop.faults import SupplyGroupNotAuthorisedError, storage_faults
from vending.sts import (
    SAMPLE_TABLES,
    Content,
    DecodedToken,
    DecoderKey,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    StaTables,
    SupplyGroupCode,
    derive_decoder_key,
)
from vending.sts.public_test_key import TEST_SUPPLY_GROUP

log = structlog.get_logger("vending.security")

WARN_LOUDLY: Final = timedelta(days=30)
"""How long before a key's end its event becomes a warning: a till logs it at every opening."""
REFRESH_S: Final = 5.0
"""How old the record in memory may be."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A key revision as a source sees it."""

    record: RevisionRecord
    wrapped: bytes | None


class DecoderKeySource(Protocol):
    """Derives decoder keys from the vending keys of one kind of place."""

    def refresh(self, connection: Connection) -> None:
        """See whether the place was changed; in the transaction that reads the record."""

    def derive(self, kept: KeptKey, key: KeyAttributes) -> DecoderKey:
        """A meter's decoder key."""

    def check_value(self, kept: KeptKey) -> str:
        """The vending key's check value, worked out from the key itself."""

    def close(self) -> None:
        """Let go of everything."""


class VaultSource:
    """Keys in the software vault: unwrapped for the length of one derivation."""

    def __init__(self, opened: OpenVault) -> None:
        self.opened = opened

    def refresh(self, connection: Connection) -> None:
        """Take over a data key that was changed since.

        Raises:
            VaultLockedError: the master key was changed too.
        """
        self.opened = vault.reopen_vault(connection, self.opened)

    def derive(self, kept: KeptKey, key: KeyAttributes) -> DecoderKey:
        assert kept.wrapped is not None  # a constraint of the table
        terms = kept.record.terms
        return derive_decoder_key(terms.dkga, self.opened.unwrap_key(kept.wrapped, terms), key)

    def check_value(self, kept: KeptKey) -> str:
        assert kept.wrapped is not None  # a constraint of the table
        return key_check_value(self.opened.unwrap_key(kept.wrapped, kept.record.terms))

    def close(self) -> None:
        """Nothing is held beyond the vault itself."""


class RecordedKeys:
    """A security module over the keys on record.

    Args:
        engine: connections of its own to the shop's database; closed with the module.
        sources: for each provider that this process can use.
        now: the clock, which decides whether a key may be used.
        tables: STA tables for EA 07.
        kept: how many decoder keys stay in memory.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Mapping[Provider, DecoderKeySource],
        *,
        now: Callable[[], datetime] = _utc_now,
        tables: StaTables = SAMPLE_TABLES,
        kept: int = DECODER_KEYS_KEPT,
    ) -> None:
        self._engine: Final = engine
        self._sources: Final = dict(sources)
        self._now: Final = now
        self._maker: Final = TokenMaker(self._derived, tables, kept)
        self._lock: Final = threading.Lock()
        self._record: dict[tuple[str, int], KeptKey] = {}
        self._read_at = -REFRESH_S
        self._read()
        self._warn()

    @property
    def open_vault(self) -> OpenVault | None:
        """The vault, if this module opened one; for the desk of keys."""
        source = self._sources.get(Provider.VAULT)
        return source.opened if isinstance(source, VaultSource) else None

    def source(self, provider: Provider) -> DecoderKeySource | None:
        """Where keys of a provider are derived; for the desk of keys."""
        return self._sources.get(provider)

    def refresh(self) -> None:
        """Read the record anew, now."""
        self._read()

    def adopt(self, opened: OpenVault) -> None:
        """Go on with a vault whose master key this process has just changed."""
        source = self._sources.get(Provider.VAULT)
        assert isinstance(source, VaultSource)
        source.opened = opened
        self._read()

    def check(self, sgc: SupplyGroupCode, krn: KeyRevision) -> str:
        """A key's check value, worked out from the key itself.

        Raises:
            SupplyGroupNotAuthorisedError: the key is not here.
            VaultDamagedError, ModuleUnavailableError: it cannot be used.
        """
        kept = self._kept(sgc, krn)
        return self._source_of(kept).check_value(kept)

    def close(self) -> None:
        """Let go of the keys in memory, of the sources and of the database."""
        self._maker.forget()
        self._record = {}
        for source in self._sources.values():
            source.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        places = ", ".join(sorted(self._sources))
        return f"{type(self).__name__}({places or 'no place'}, {len(self._record)} keys)"

    # --- the port -------------------------------------------------------------------------

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        record = self._kept(sgc, krn).record
        now, terms = self._now(), record.terms
        if record.state is KeyState.WITHDRAWN:
            raise KeyRevisionWithdrawnError(
                f"The key {record.name} was withdrawn: change the meter's key first."
            )
        if now < terms.valid_from:
            raise KeyRevisionNotYetValidError(
                f"The key {record.name} is valid from {terms.valid_from:%Y-%m-%d %H:%M} UTC; "
                f"now it is {now:%Y-%m-%d %H:%M}."
            )
        if terms.issued_until is not None and now > terms.issued_until:
            raise KeyRevisionExpiredError(
                f"Under the key {record.name} nothing is issued after "
                f"{terms.issued_until:%Y-%m-%d %H:%M} UTC: change the meter's key first."
            )

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        record = self._kept(key.sgc, key.krn).record
        public = key.sgc == TEST_SUPPLY_GROUP or record.kcv in PUBLIC_TEST_CHECK_VALUES
        marks = (TEST_KEYS_MARK,) if public else ()
        return *marks, *self._maker.table_marks(key)

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        self._require_for(key)
        return self._maker.token(content, key)

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        self._kept(old.sgc, old.krn)
        self._require_for(new)
        return self._maker.key_change(old, new, ken, rollover=rollover)

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        self._kept(key.sgc, key.krn)
        return self._maker.read(digits, key)

    # --- inside ---------------------------------------------------------------------------

    def _require_for(self, key: KeyAttributes) -> None:
        self.require(key.sgc, key.krn)
        terms = self._kept(key.sgc, key.krn).record.terms
        if terms.base_date is not key.base_date:
            raise KeyBaseDateError(
                f"The key {revision_name(key.sgc, key.krn)} is for meters on base date "
                f"{int(terms.base_date)}, this one is on {int(key.base_date)}: put the meter's "
                "data right, or change its key."
            )

    def _derived(self, key: KeyAttributes) -> DecoderKey:
        kept = self._kept(key.sgc, key.krn)
        return self._source_of(kept).derive(kept, key)

    def _source_of(self, kept: KeptKey) -> DecoderKeySource:
        source = self._sources.get(kept.record.provider)
        if source is None:
            raise ModuleUnavailableError(
                f"The key {kept.record.name} is kept in a place that this process has not "
                f"opened ({kept.record.provider.value}); see docs/keys.md."
            )
        return source

    def _kept(self, sgc: SupplyGroupCode, krn: KeyRevision) -> KeptKey:
        if time.monotonic() - self._read_at > REFRESH_S:
            self._read(only_if_old=True)
        found = self._record.get((sgc, krn))
        if found is None:
            self._read()
            found = self._record.get((sgc, krn))
        if found is None:
            raise SupplyGroupNotAuthorisedError(
                f"No vending key of supply group {sgc}, revision {krn} is here; see which are "
                "with: meterhouse key list."
            )
        return found

    def _read(self, *, only_if_old: bool = False) -> None:
        with self._lock:
            if only_if_old and time.monotonic() - self._read_at <= REFRESH_S:
                return  # another thread did it while this one waited
            self._read_record()

    def _read_record(self) -> None:
        with storage_faults(), reading(self._engine) as connection:
            for source in self._sources.values():
                source.refresh(connection)
            blobs = {
                (row.sgc, row.krn): row.wrapped
                for row in connection.execute(
                    select(key_revisions.c.sgc, key_revisions.c.krn, key_revisions.c.wrapped)
                )
            }
            self._record = {
                (each.terms.sgc, each.terms.krn): KeptKey(
                    each, blobs[each.terms.sgc, each.terms.krn]
                )
                for each in groups.list_revisions(connection)
            }
            self._read_at = time.monotonic()

    def _warn(self) -> None:
        with storage_faults(), reading(self._engine) as connection:
            found = groups.warnings(connection, self._now())
        for warning in found:
            near = warning.ends <= self._now() + WARN_LOUDLY
            log.log(
                logging.WARNING if near else logging.INFO,
                "key.ends",
                sgc=warning.sgc,
                krn=warning.krn,
                ends=warning.ends.isoformat(),
                why=warning.why,
                is_over=warning.is_over,
            )


class Vault(RecordedKeys):
    """The software vault as a security module.

    >>> security = Vault.unlock(url, MasterSecret.passphrase_file(path))  # doctest: +SKIP
    >>> shop = Shop.open(url, security=security)  # doctest: +SKIP
    """

    @classmethod
    def unlock(
        cls,
        url: str,
        master: MasterSecret,
        *,
        now: Callable[[], datetime] = _utc_now,
        tables: StaTables = SAMPLE_TABLES,
        others: Mapping[Provider, DecoderKeySource] | None = None,
    ) -> Self:
        """Open a shop's vault for this process.

        Args:
            url: the shop's database.
            master: the passphrase or secret.
            now: the clock.
            tables: licensed STA tables for EA 07; see `vending.security.sta_file`.
            others: further places with keys, as a PKCS#11 token.

        Raises:
            VaultMissingError: the shop has no vault.
            VaultLockedError: another passphrase or secret.
            DatabaseMissingError, DatabaseVersionError, DatabaseUnavailableError: no shop.
        """
        with storage_faults():
            engine = open_engine(url)
            try:
                with reading(engine) as connection:
                    require_current(connection)
                    opened = vault.open_vault(connection, master)
                return cls(
                    engine,
                    {Provider.VAULT: VaultSource(opened), **(others or {})},
                    now=now,
                    tables=tables,
                )
            except BaseException:
                engine.dispose()
                raise
