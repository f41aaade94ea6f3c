"""How a key comes here: in components by several people, or made anew in a PKCS#11 token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from vending.security import ceremony, groups, vault
from vending.security.ceremony import Ceremony, Component, Keep, Kept
from vending.security.faults import ModuleUnavailableError
from vending.security.groups import KeyState, Provider, RevisionRecord, RevisionTerms
from vending.security.key_checks import Parity, key_check_value
from vending.security.key_room import KEYS, KeyRoom, checked_terms, note, one_of, subject_of
from vending.security.recorded import RecordedKeys
from vending.shop.faults import OutcomeUnknownError, RequestFormatError
from vending.shop.values import require_whole
from vending.sts import VendingKey

if TYPE_CHECKING:
    from vending.security.pkcs11_token import Pkcs11Source  # its library is an extra


@dataclass(frozen=True, slots=True)
class CeremonyDesk(KeyRoom):
    """Imports of keys in components, and keys that are made here."""

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
        self.house.require(KEYS)
        checked = checked_terms(terms)
        require_whole("The number of components", components)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            vault.vault_status(connection)
            number = ceremony.begin(connection, checked, components, expected_kcv, by, now)
            detail = f"ceremony={number} components={components}"
            note(connection, now, by, "key_ceremony.begun", subject_of(checked), detail)
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
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        self._keys()
        with self.house.writing() as connection:
            opened = vault.hold_vault(connection, self._open_vault())
            found = ceremony.enter(connection, opened, ceremony_id, component, kcv, by, now)
            detail = f"component={found.position} kcv={found.kcv}"
            note(connection, now, by, "key_ceremony.component", f"ceremony {ceremony_id}", detail)
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
        self.house.require(KEYS)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        wanted, place = _parity(parity), one_of(Provider, "Where a key goes", into)
        with (
            _token_put(keys, place, dkga02_in_host=dkga02_in_host) as into_token,
            self.house.writing() as connection,
        ):
            opened = vault.hold_vault(connection, self._open_vault())

            def into_vault(key: VendingKey, terms: RevisionTerms) -> Kept:
                return Kept(Provider.VAULT, wrapped=opened.wrap_key(key, terms))

            keep = into_token or into_vault
            record = ceremony.finish(connection, opened, ceremony_id, wanted, keep, by, now)
            detail = f"ceremony={ceremony_id} kcv={record.kcv} into={place.value}"
            note(connection, now, by, "key.imported", subject_of(record.terms), detail)
        keys.refresh()
        return record

    def abandon_ceremony(self, ceremony_id: int, *, operator: str = "") -> Ceremony:
        """Give an import up; the components are emptied.

        Raises:
            UnknownCeremonyError, CeremonyStateError: not open.
        """
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        with self.house.writing() as connection:
            ceremony.abandon(connection, ceremony_id, by, now)
            note(connection, now, by, "key_ceremony.abandoned", f"ceremony {ceremony_id}")
            return ceremony.find_ceremony(connection, ceremony_id)

    def ceremonies(self, *, only_open: bool = True) -> list[Ceremony]:
        """Imports, the oldest first."""
        self.house.require(KEYS)
        with self.house.reading() as connection:
            return ceremony.list_ceremonies(connection, only_open=only_open)

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
        self.house.require(KEYS)
        checked = checked_terms(terms)
        by, now, keys = self.house.who(operator), self.house.now(), self._keys()
        with _token_put(keys, Provider.PKCS11, dkga02_in_host=dkga02_in_host) as into_token:
            assert into_token is not None
            with self.house.writing() as connection:
                self._require_approved(
                    connection, {"generate": subject_of(checked)}, subject_of(checked)
                )
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
                note(connection, now, by, "key.generated", subject_of(checked), f"kcv={record.kcv}")
        keys.refresh()
        return record


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


def _parity(text: Parity | str) -> Parity:
    return one_of(Parity, "What to do about parity", text)
