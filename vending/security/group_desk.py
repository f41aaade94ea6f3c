"""Supply groups and their key revisions: which there are, which is current, which ends when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from vending.errors import VendingError
from vending.security import groups
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
from vending.security.key_checks import key_bits, parse_check_value
from vending.security.key_room import KEYS, KeyRoom, checked_terms, note, one_of, subject_of
from vending.security.recorded import RecordedKeys
from vending.shop.settings import require_line
from vending.shop.values import require_moment
from vending.sts import (
    KeyRevision,
    SupplyGroupCode,
    parse_key_revision,
    parse_supply_group_code,
)

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
class GroupDesk(KeyRoom):
    """Supply groups and key revisions on record."""

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
        self.house.require(KEYS)
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
            note(connection, now, by, "supply_group.added", group.sgc, detail)
        return group

    def set_policy(self, sgc: str, policy: KeyPolicy | str, *, operator: str = "") -> SupplyGroup:
        """From now on sales treat meters on an outdated key revision so.

        Raises:
            UnknownSupplyGroupError: it is not registered.
            InvalidValueError, RequestFormatError: a wrong value.
        """
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        code, wanted = parse_supply_group_code(sgc), _policy(policy)
        with self.house.writing() as connection:
            groups.set_policy(connection, code, wanted)
            note(connection, now, by, "supply_group.policy", code, wanted.value)
            return groups.require_supply_group(connection, code)

    def groups(self) -> list[SupplyGroup]:
        """All supply groups, by code."""
        self.house.require(KEYS)
        with self.house.reading() as connection:
            return groups.list_supply_groups(connection)

    def revisions(self, sgc: str | None = None) -> list[RevisionRecord]:
        """Key revisions of one supply group or of all."""
        self.house.require(KEYS)
        code = None if sgc is None else parse_supply_group_code(sgc)
        with self.house.reading() as connection:
            return groups.list_revisions(connection, code)

    def warnings(self, ahead: timedelta = WARN_AHEAD) -> list[KeyWarning]:
        """The keys in use that end within ``ahead``, or have ended; soonest first."""
        self.house.require(KEYS)
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
            self._require_approved(connection, essence, code)
            groups.withdraw(connection, code, no)

        return self._revise(sgc, krn, operator, "key.withdrawn", act)

    def test(self, sgc: str | None = None) -> list[KeyTest]:
        """Use each key once and compare its check value with the one on record."""
        self.house.require(KEYS)
        keys = self._keys()
        keys.refresh()
        return [
            _tested(keys, record)
            for record in self.revisions(sgc)
            if record.provider is not Provider.MODULE
        ]

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
        self.house.require(KEYS)
        checked = checked_terms(terms)
        key_bits(checked.dkga)
        by, now = self.house.who(operator), self.house.now()
        value = None if kcv is None else parse_check_value(kcv)
        record = RevisionRecord(checked, KeyState.WAITING, value, Provider.MODULE, None, now, by)
        with self.house.writing() as connection:
            groups.insert_revision(connection, record)
            note(connection, now, by, "key.recorded", subject_of(checked), f"kcv={value}")
        return record

    def _revise(
        self,
        sgc: str,
        krn: int,
        operator: str,
        action: str,
        act: _Revision,
        detail: str = "",
    ) -> RevisionRecord:
        self.house.require(KEYS)
        by, now = self.house.who(operator), self.house.now()
        code, number = parse_supply_group_code(sgc), parse_key_revision(krn)
        with self.house.writing() as connection:
            act(connection, code, number)
            record = groups.require_revision(connection, code, number)
            note(connection, now, by, action, subject_of(record.terms), detail)
        return record


def _tested(keys: RecordedKeys, record: RevisionRecord) -> KeyTest:
    try:
        kcv = keys.check(record.terms.sgc, record.terms.krn)
    except VendingError as fault:
        return KeyTest(record, None, str(fault))
    if kcv != record.kcv:
        return KeyTest(record, kcv, f"its check value is {kcv}, on record is {record.kcv}")
    return KeyTest(record, kcv, "")


def _kind(text: GroupKind | str) -> GroupKind:
    return one_of(GroupKind, "A supply group's kind", text)


def _policy(text: KeyPolicy | str) -> KeyPolicy:
    return one_of(KeyPolicy, "A policy for outdated keys", text)
