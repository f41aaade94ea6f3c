"""What the desks of keys share: the house, the open keys, the second person, the audit line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar

from sqlalchemy import Connection

from storage import audit
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.security import opening
from vending.security.groups import RevisionTerms
from vending.security.recorded import RecordedKeys
from vending.security.vault import OpenVault
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.values import require_moment
from vending.sts import (
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_supply_group_code,
)

KEYS: Final = Permission.KEYS
_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class KeyRoom:
    """A desk of keys: everything needs the permission 'keys', whatever writes leaves a line."""

    house: House

    def _keys(self) -> RecordedKeys:
        """The keys that this process was opened with."""
        return opening.recorded_keys(self.house.security)

    def _open_vault(self) -> OpenVault:
        """The vault, open.

        Raises:
            VaultLockedError: it is not.
        """
        opened = self._keys().open_vault
        if opened is None:
            opening.refuse_locked()
        return opened

    def _require_approved(
        self, connection: Connection, essence: Mapping[str, str], subject: str
    ) -> None:
        """Take the second person's approval, in the act's own transaction.

        Raises:
            ApprovalRequiredError: nobody else approved exactly this.
        """
        actor, now = self.house.actor, self.house.now()
        use_approval(connection, Act.KEY_CUSTODY, essence, actor, now, subject=subject)


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


def note(
    connection: Connection, now: datetime, by: str, action: str, subject: str, detail: str = ""
) -> None:
    """Leave the audit line of an act on keys."""
    audit.record(connection, now, actor=by, action=action, subject=subject, detail=detail)


def subject_of(terms: RevisionTerms) -> str:
    """How audit lines and approvals name a key."""
    return f"{terms.sgc}/{terms.krn}"


def one_of(choices: type[_Choice], what: str, text: str) -> _Choice:
    """A choice by its name.

    Raises:
        RequestFormatError: there is no such choice.
    """
    try:
        return choices(text)
    except ValueError:
        raise RequestFormatError(f"{what} is one of: {', '.join(choices)}.") from None
