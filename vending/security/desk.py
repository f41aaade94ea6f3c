"""The desk of keys: `Shop.keys`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar, cast

from sqlalchemy import Connection, select

from storage import audit
from vending.errors import VendingError
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.security import bundle, ceremony, groups, opening, vault
from vending.security.bundle import Bundle, CarriedGroup, CarriedKey
from vending.security.ceremony import Ceremony, Component, Keep, Kept
from vending.security.faults import KeyRevisionExistsError, ModuleUnavailableError
from vending.security.groups import (
    WARN_AHEAD,
    GroupKind,
    KeyPolicy,
    KeyState,
    KeyWarning,
    Provider,
    RevisionRecord,
    RevisionTerms,
    SupplyGroup,
)
from vending.security.key_checks import (
    Parity,
    key_bits,
    key_check_value,
    parse_check_value,
    require_sound,
)
from vending.security.recorded import RecordedKeys
from vending.security.sta_file import tables_sha256
from vending.security.tables import key_revisions
from vending.security.vault import OpenVault, VaultStatus
from vending.security.wrapping import DEFAULT_COST, Cost, MasterSecret
from vending.shop.faults import OutcomeUnknownError, RequestFormatError
from vending.shop.house import House
from vending.shop.settings import require_line
from vending.shop.values import require_moment, require_whole
from vending.sts import (
    KeyRevision,
    StaTables,
    SupplyGroupCode,
    VendingKey,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_supply_group_code,
)

if TYPE_CHECKING:
    from vending.security.pkcs11_token import Pkcs11Source  # its library is an extra

_KEYS: Final = Permission.KEYS
_Choice = TypeVar("_Choice", bound=StrEnum)
_Revision = Callable[[Connection, SupplyGroupCode, KeyRevision], None]


@dataclass(frozen=True, slots=True)
class KeyTest:
    """Whether a key on record can be used by this process."""

    record: RevisionRecord
    kcv: str | None
    """Worked out from the key itself; None when it could not be used."""
    fault: str
    """Why not; empty when the key is sound."""

    @property
    def is_sound(self) -> bool:
        """Whether the key is there, opens, and is the one on record."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class BundleImport:
    """What came out of a bundle."""

    imported: tuple[RevisionRecord, ...]
    skipped: tuple[RevisionRecord, ...]
    """The very same keys were here already."""


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """Supply groups, key revisions, the vault, and keys on their way in and out.

    Everything here needs the permission 'keys'; whatever writes leaves an audit line.  What
    touches the keys themselves needs a shop that was opened with its vault unlocked.
    """

    house: House

    # --- supply groups --------------------------------------------------------------------

    def add_group(
        self,
        sgc: str,
        name: str = "",
        *,
        kind: GroupKind | str = GroupKind.UNIQUE,
        policy: KeyPolicy | str = KeyPolicy.FAULT,
        operator: str = "",
    ) -> SupplyGroup:
        """Register a supply group.

        Raises:
            SupplyGroupExistsError: it is there already.
            InvalidValueError, InvalidSettingError, RequestFormatError: a wrong value.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        group = SupplyGroup(
            parse_supply_group_code(sgc),
            require_line("The supply group's name", name),
            _kind(kind),
            _policy(policy),
            now,
        )
        with self.house.writing() as connection:
            groups.insert_supply_group(connection, group)
            detail = f"kind={group.kind.value} policy={group.policy.value}"
            _note(connection, now, by, "supply_group.added", group.sgc, detail)
        return group

    def set_policy(self, sgc: str, policy: KeyPolicy | str, *, operator: str = "") -> SupplyGroup:
        """From now on sales treat meters on an outdated key revision so.

        Raises:
            UnknownSupplyGroupError: it is not registered.
            InvalidValueError, RequestFormatError: a wrong value.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        code, wanted = parse_supply_group_code(sgc), _policy(policy)
        with self.house.writing() as connection:
            groups.set_policy(connection, code, wanted)
            _note(connection, now, by, "supply_group.policy", code, wanted.value)
            return groups.require_supply_group(connection, code)

    def groups(self) -> list[SupplyGroup]:
        """All supply groups, by code."""
        self.house.require(_KEYS)
        with self.house.reading() as connection:
            return groups.list_supply_groups(connection)

    # --- key revisions --------------------------------------------------------------------

    def revisions(self, sgc: str | None = None) -> list[RevisionRecord]:
        """Key revisions of one supply group or of all."""
        self.house.require(_KEYS)
        code = None if sgc is None else parse_supply_group_code(sgc)
        with self.house.reading() as connection:
            return groups.list_revisions(connection, code)

    def warnings(self, ahead: timedelta = WARN_AHEAD) -> list[KeyWarning]:
        """The keys in use that end within ``ahead``, or have ended; soonest first."""
        self.house.require(_KEYS)
        now = self.house.now()
        with self.house.reading() as connection:
            return groups.warnings(connection, now, ahead)

    def make_current(self, sgc: str, krn: int, *, operator: str = "") -> RevisionRecord:
        """Make a revision the one that the group's meters should have.

        The one before becomes outdated, and the group's policy says what a sale then does.

        Raises:
            UnknownKeyRevisionError, KeyStateError: there is none, or it was current before.
        """
        return self._revise(
            sgc, krn, operator, "key.current", lambda c, code, no: groups.make_current(c, code, no)
        )

    def set_issued_until(
        self, sgc: str, krn: int, until: datetime | None, *, operator: str = ""
    ) -> RevisionRecord:
        """Issue nothing under a revision after this moment; None: no such limit.

        Raises:
            UnknownKeyRevisionError, KeyStateError: there is none, or it would end too early.
            RequestFormatError: a time without a zone.
        """
        moment = None if until is None else require_moment("The issued-until", until)
        return self._revise(
            sgc,
            krn,
            operator,
            "key.issued_until",
            lambda c, code, no: groups.set_issued_until(c, code, no, moment),
            "" if moment is None else moment.isoformat(),
        )

    def withdraw(self, sgc: str, krn: int, *, operator: str = "") -> RevisionRecord:
        """Make nothing under a revision any more, for good; takes two people.

        Raises:
            UnknownKeyRevisionError: there is none.
            ApprovalRequiredError: nobody else approved it.
        """
        essence = {"withdraw": f"{sgc}/{krn}"}

        def act(connection: Connection, code: SupplyGroupCode, no: KeyRevision) -> None:
            self._approved(connection, essence, code)
            groups.withdraw(connection, code, no)

        return self._revise(sgc, krn, operator, "key.withdrawn", act)

    def test(self, sgc: str | None = None) -> list[KeyTest]:
        """Use each key once and compare its check value with the one on record."""
        self.house.require(_KEYS)
        keys = self._keys()
        keys.refresh()
        return [
            _tested(keys, record)
            for record in self.revisions(sgc)
            if record.provider is not Provider.MODULE
        ]

    # --- the vault ------------------------------------------------------------------------

    def make_vault(
        self, master: MasterSecret, *, cost: Cost = DEFAULT_COST, operator: str = ""
    ) -> VaultStatus:
        """Make the shop's vault, empty.  From then on the shop has no public test keys.

        Raises:
            VaultExistsError: there is one.
            PassphraseTooShortError: fewer than 12 characters.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            vault.make_vault(connection, master, now, cost)
            _note(connection, now, by, "vault.made", "vault", master.method.value)
            return vault.vault_status(connection)

    def vault_status(self) -> VaultStatus:
        """What is known of the vault without opening it.

        Raises:
            VaultMissingError: the shop has none.
        """
        self.house.require(_KEYS)
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
        self.house.require(_KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with self.house.writing() as connection:
            renewed = vault.rotate_master(connection, self._open(), master, now, cost)
            _note(connection, now, by, "vault.master_key", "vault", master.method.value)
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
        self.house.require(_KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with self.house.writing() as connection:
            renewed = vault.rotate_data_key(connection, self._open(), now)
            _note(connection, now, by, "vault.data_key", "vault", f"no={renewed.data_key_no}")
            status = vault.vault_status(connection)
        keys.adopt(renewed)
        return status

    def record_tables(self, tables: StaTables | None, *, operator: str = "") -> VaultStatus:
        """Put the licensed STA tables on record by their digest: no others are used then.

        Raises:
            VaultMissingError: the shop has no vault.
            RequestFormatError: these are the standard's samples.
        """
        self.house.require(_KEYS)
        if tables is not None and tables.is_sample:
            raise RequestFormatError("These are the standard's sample tables: nothing to record.")
        by, now = self.house.who(operator), self.house.now()
        digest = None if tables is None else tables_sha256(tables)
        with self.house.writing() as connection:
            vault.vault_status(connection)
            vault.record_tables(connection, digest)
            _note(connection, now, by, "vault.tables", "vault", digest or "none")
            return vault.vault_status(connection)

    # --- import in components -------------------------------------------------------------

    def begin_ceremony(
        self,
        terms: RevisionTerms,
        *,
        components: int = 2,
        expected_kcv: str | None = None,
        operator: str = "",
    ) -> Ceremony:
        """Begin the import of a key in components, each brought by another person.

        Raises:
            UnknownSupplyGroupError, KeyRevisionExistsError: nowhere to put the key.
            CeremonyStateError: one for this revision is open already.
            VaultMissingError: there is no vault to keep components in.
            KeyFormatError, KeyCheckValueError, RequestFormatError: a wrong value.
        """
        self.house.require(_KEYS)
        checked = checked_terms(terms)
        require_whole("The number of components", components)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            vault.vault_status(connection)
            number = ceremony.begin(connection, checked, components, expected_kcv, by, now)
            detail = f"ceremony={number} components={components}"
            _note(connection, now, by, "key_ceremony.begun", _subject(checked), detail)
            return ceremony.find_ceremony(connection, number)

    def enter_component(
        self, ceremony_id: int, component: VendingKey, *, kcv: str | None = None, operator: str = ""
    ) -> Component:
        """Take one person's component of a key.

        Who has signed in brings it; in an open house, whom ``operator`` names.

        Raises:
            UnknownCeremonyError, CeremonyStateError: not open, or all components are there.
            SamePersonError: this person has brought one already.
            KeyFormatError: not of the key's length.
            KeyCheckValueError: mistyped; nothing was stored.
            VaultLockedError: the vault is locked.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        self._keys()
        with self.house.writing() as connection:
            opened = vault.hold_vault(connection, self._open())
            found = ceremony.enter(connection, opened, ceremony_id, component, kcv, by, now)
            detail = f"component={found.position} kcv={found.kcv}"
            _note(connection, now, by, "key_ceremony.component", f"ceremony {ceremony_id}", detail)
        return found

    def finish_ceremony(
        self,
        ceremony_id: int,
        *,
        parity: Parity | str = Parity.REFUSE,
        into: Provider | str = Provider.VAULT,
        dkga02_in_host: bool = False,
        operator: str = "",
    ) -> RevisionRecord:
        """Combine the components; the key is on record then, waiting to be made current.

        Args:
            ceremony_id: which.
            parity: what to do with a DES key that came out without odd parity.
            into: ``vault`` or ``pkcs11``.
            dkga02_in_host: see `vending.security.pkcs11_token`.
            operator: who finishes, in an open house.

        Raises:
            UnknownCeremonyError, CeremonyStateError: not open, or a component is missing.
            KeyCheckValueError: another key than expected; nothing was changed.
            KeyParityError: a DES key without odd parity; say what to do.
            WeakKeyError: a key that nobody may use.
            VaultLockedError: the vault is locked.
            ModuleUnavailableError, ModuleCannotError: the PKCS#11 token cannot take it.
        """
        self.house.require(_KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        wanted, place = _parity(parity), _one_of(Provider, "Where a key goes", into)
        with (
            _token_put(keys, place, dkga02_in_host=dkga02_in_host) as into_token,
            self.house.writing() as connection,
        ):
            opened = vault.hold_vault(connection, self._open())

            def into_vault(key: VendingKey, terms: RevisionTerms) -> Kept:
                return Kept(Provider.VAULT, wrapped=opened.wrap_key(key, terms))

            keep = into_token or into_vault
            record = ceremony.finish(connection, opened, ceremony_id, wanted, keep, by, now)
            detail = f"ceremony={ceremony_id} kcv={record.kcv} into={place.value}"
            _note(connection, now, by, "key.imported", _subject(record.terms), detail)
        keys.refresh()
        return record

    def generate_key(
        self, terms: RevisionTerms, *, dkga02_in_host: bool = False, operator: str = ""
    ) -> RevisionRecord:
        """Make a new key in the PKCS#11 token; takes two people.

        For supply groups of one's own: meters of others get their keys from a key management
        centre.

        Raises:
            ApprovalRequiredError: nobody else approved it (essence: ``{"generate":
                "<sgc>/<krn>"}``).
            UnknownSupplyGroupError, KeyRevisionExistsError: nowhere to put the key.
            ModuleUnavailableError, ModuleCannotError: the token cannot.
        """
        self.house.require(_KEYS)
        checked = checked_terms(terms)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with _token_put(keys, Provider.PKCS11, dkga02_in_host=dkga02_in_host) as into_token:
            assert into_token is not None
            with self.house.writing() as connection:
                self._approved(connection, {"generate": _subject(checked)}, _subject(checked))
                groups.require_supply_group(connection, checked.sgc)
                groups.require_no_revision(connection, checked)
                key = token_source(keys).random_key(checked)
                kept = into_token(key, checked)
                record = RevisionRecord(
                    checked,
                    KeyState.WAITING,
                    key_check_value(key),
                    kept.provider,
                    kept.label,
                    now,
                    by,
                )
                groups.insert_revision(connection, record)
                _note(connection, now, by, "key.generated", _subject(checked), f"kcv={record.kcv}")
        keys.refresh()
        return record

    def record_module_key(
        self, terms: RevisionTerms, *, kcv: str | None = None, operator: str = ""
    ) -> RevisionRecord:
        """Put a key on record that a licensed module holds; the key itself is loaded there.

        Sales then know which revision is current, and warnings its end.

        Raises:
            UnknownSupplyGroupError, KeyRevisionExistsError: nowhere to put it.
            KeyCheckValueError: the check value has not 6 hexadecimal digits.
            KeyFormatError, InvalidValueError, RequestFormatError: a wrong value.
        """
        self.house.require(_KEYS)
        checked = checked_terms(terms)
        key_bits(checked.dkga)
        by, now = self.house.who(operator), self.house.now()
        value = None if kcv is None else parse_check_value(kcv)
        record = RevisionRecord(checked, KeyState.WAITING, value, Provider.MODULE, None, now, by)
        with self.house.writing() as connection:
            groups.insert_revision(connection, record)
            _note(connection, now, by, "key.recorded", _subject(checked), f"kcv={value}")
        return record

    def abandon_ceremony(self, ceremony_id: int, *, operator: str = "") -> Ceremony:
        """Give an import up; the components are emptied.

        Raises:
            UnknownCeremonyError, CeremonyStateError: not open.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            ceremony.abandon(connection, ceremony_id, by, now)
            _note(connection, now, by, "key_ceremony.abandoned", f"ceremony {ceremony_id}")
            return ceremony.find_ceremony(connection, ceremony_id)

    def ceremonies(self, *, only_open: bool = True) -> list[Ceremony]:
        """Imports, the oldest first."""
        self.house.require(_KEYS)
        with self.house.reading() as connection:
            return ceremony.list_ceremonies(connection, only_open=only_open)

    # --- from vault to vault --------------------------------------------------------------

    def export_bundle(
        self, transport: MasterSecret, *, cost: Cost = DEFAULT_COST, operator: str = ""
    ) -> bytes:
        """All keys of the vault, wrapped under a transport passphrase; takes two people.

        Raises:
            ApprovalRequiredError: nobody else approved it (essence: ``{"export": "all"}``).
            PassphraseTooShortError: fewer than 12 characters.
            VaultLockedError: the vault is locked.
        """
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        self._keys()
        with self.house.writing() as connection:
            self._approved(connection, {"export": "all"}, "vault")
            opened = vault.hold_vault(connection, self._open())
            carried = _carried_keys(connection, opened)
            group_rows = tuple(
                CarriedGroup(each.sgc, each.name, each.kind, each.policy)
                for each in groups.list_supply_groups(connection)
            )
            document = bundle.seal(Bundle(group_rows, carried), transport, cost)
            detail = f"keys={len(carried)} sha256={hashlib.sha256(document).hexdigest()}"
            _note(connection, now, by, "key.exported", "vault", detail)
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
        self.house.require(_KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        found = bundle.unseal(document, transport)
        digest = hashlib.sha256(document).hexdigest()
        imported, skipped = [], []
        with self.house.writing() as connection:
            self._approved(connection, {"import": digest}, "vault")
            opened = vault.hold_vault(connection, self._open())
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
            _note(connection, now, by, "key.bundle_imported", "vault", detail)
        keys.refresh()
        return BundleImport(tuple(imported), tuple(skipped))

    # --- inside ---------------------------------------------------------------------------

    def _keys(self) -> RecordedKeys:
        return opening.recorded_keys(self.house.security)

    def _open(self) -> OpenVault:
        opened = self._keys().open_vault
        if opened is None:
            opening.refuse_locked()
        return opened

    def _approved(self, connection: Connection, essence: Mapping[str, str], subject: str) -> None:
        actor, now = self.house.actor, self.house.now()
        use_approval(connection, Act.KEY_CUSTODY, essence, actor, now, subject=subject)

    def _revise(
        self,
        sgc: str,
        krn: int,
        operator: str,
        action: str,
        act: _Revision,
        detail: str = "",
    ) -> RevisionRecord:
        self.house.require(_KEYS)
        by, now = self.house.who(operator), self.house.now()
        code, number = parse_supply_group_code(sgc), parse_key_revision(krn)
        with self.house.writing() as connection:
            act(connection, code, number)
            record = groups.require_revision(connection, code, number)
            _note(connection, now, by, action, _subject(record.terms), detail)
        return record


def checked_terms(terms: RevisionTerms) -> RevisionTerms:
    """The terms of a key, each value in its range and times in UTC.

    Raises:
        InvalidValueError: out of its range.
        RequestFormatError: a time without a zone.
    """
    until = terms.issued_until
    return RevisionTerms(
        sgc=parse_supply_group_code(terms.sgc),
        krn=parse_key_revision(terms.krn),
        dkga=terms.dkga,
        base_date=parse_base_date(terms.base_date),
        ken=parse_key_expiry(terms.ken),
        valid_from=require_moment("The valid-from", terms.valid_from),
        issued_until=None if until is None else require_moment("The issued-until", until),
    )


def token_source(keys: RecordedKeys) -> Pkcs11Source:
    """The PKCS#11 token that this process has open.

    Raises:
        ModuleUnavailableError: none.
    """
    source = keys.source(Provider.PKCS11)
    if source is None:
        raise ModuleUnavailableError(
            "This process has no PKCS#11 token open: name it with METERHOUSE_PKCS11_LIBRARY, "
            "METERHOUSE_PKCS11_TOKEN and METERHOUSE_PKCS11_PIN_FILE."
        )
    return cast("Pkcs11Source", source)


@contextmanager
def _token_put(
    keys: RecordedKeys, place: Provider, *, dkga02_in_host: bool
) -> Iterator[Keep | None]:
    """How a key gets into the token; None for another place.

    What was put there is removed again when the database does not take its record.
    """
    if place is Provider.MODULE:
        raise RequestFormatError("Keys of a licensed module are loaded there, not from here.")
    if place is Provider.VAULT:
        yield None
        return
    source, labels = token_source(keys), list[str]()

    def put(key: VendingKey, terms: RevisionTerms) -> Kept:
        labels.append(source.store(key, terms, dkga02_in_host=dkga02_in_host))
        return Kept(Provider.PKCS11, label=labels[-1])

    try:
        yield put
    except OutcomeUnknownError:
        raise  # the record may be there: a key without a record harms nobody
    except BaseException:
        for label in labels:
            source.remove(label)
        raise


def _tested(keys: RecordedKeys, record: RevisionRecord) -> KeyTest:
    try:
        kcv = keys.check(record.terms.sgc, record.terms.krn)
    except VendingError as fault:
        return KeyTest(record, None, str(fault))
    if kcv != record.kcv:
        return KeyTest(record, kcv, f"its check value is {kcv}, on record is {record.kcv}")
    return KeyTest(record, kcv, "")


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


def _note(
    connection: Connection, now: datetime, by: str, action: str, subject: str, detail: str = ""
) -> None:
    audit.record(connection, now, actor=by, action=action, subject=subject, detail=detail)


def _subject(terms: RevisionTerms) -> str:
    return f"{terms.sgc}/{terms.krn}"


def _kind(text: GroupKind | str) -> GroupKind:
    return _one_of(GroupKind, "A supply group's kind", text)


def _policy(text: KeyPolicy | str) -> KeyPolicy:
    return _one_of(KeyPolicy, "A policy for outdated keys", text)


def _parity(text: Parity | str) -> Parity:
    return _one_of(Parity, "What to do about parity", text)


def _one_of(choices: type[_Choice], what: str, text: str) -> _Choice:
    try:
        return choices(text)
    except ValueError:
        raise RequestFormatError(f"{what} is one of: {', '.join(choices)}.") from None
