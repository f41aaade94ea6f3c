"""Change what was said about an account: asked, approved by a second person, applied at a date.

Nothing is overwritten without a trace (specs/utility.md 2): the log keeps the old value and the
new one, who asked, who approved, and when; personal values are sealed there too.  What is approved
is applied at once when its date has come, else by `sweep`.  A change that cannot be applied any
more has failed, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from billing.accounts.applying import apply_change, terms_with
from billing.accounts.checks import (
    checked_contact,
    checked_language,
    plain_identity,
    require_one_of,
    require_text,
)
from billing.accounts.documents import document, values_of, words_of
from billing.accounts.faults import (
    AccountStateError,
    ChangeStateError,
    NoSuchChangeError,
    SecondLookError,
)
from billing.accounts.looking import agreement_at
from billing.accounts.rows import lock_account, record, require_tariff, require_unsettled
from billing.accounts.tables import account_changes, contacts, customer_accounts, supplies
from billing.accounts.values import (
    CUSTOMER_CLASSES,
    MODES,
    Change,
    ChangeKind,
    ChangeState,
    ContactDetails,
    Terms,
)
from billing.faults import BadEntryError, BillingError
from billing.office import Office
from billing.payments.channels import find_channel
from billing.privacy.masks import masked_email, masked_name, masked_number, masked_text

LIST_MAX: Final = 1_000
_SWEEP_MAX: Final = 500
_AHEAD_MAX: Final = timedelta(days=2 * 366)
_PERSONAL: Final = frozenset(
    {
        ChangeKind.NAME,
        ChangeKind.IDENTITY,
        ChangeKind.CONTACT_ADD,
        ChangeKind.CONTACT_CHANGE,
        ChangeKind.ADDRESS,
    }
)
_OF_CONTACT: Final = (ChangeKind.CONTACT_CHANGE, ChangeKind.CONTACT_END)
_OF_SUPPLY: Final = (ChangeKind.ADDRESS, ChangeKind.TARIFF)
_TERMS: Final = frozenset(each.name for each in fields(Terms)) - {"deposit_minor"}
_CONTACT: Final = frozenset(each.name for each in fields(ContactDetails))
_MASKS: Final = {
    "name": masked_name,
    "identity": masked_number,
    "phone": masked_number,
    "email": masked_email,
}


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """Something is to be changed."""

    kind: ChangeKind
    new: Mapping[str, Any]
    """By the kind: ``name``; ``identity``; ``language``; ``class``; ``address``; ``mode``;
    ``tariff``; fields of `ContactDetails`; fields of `Terms`; nothing to end a contact."""
    reason: str
    """No personal data: it stands in the log in clear."""
    from_at: datetime | None = None
    """From when on; None: as soon as it is approved.  A tariff: the start of a day."""
    supply_id: int | None = None
    contact_id: int | None = None
    consent: str | None = None
    """Of a change of mode: how the customer has asked for it."""

    def __repr__(self) -> str:
        return f"ChangeRequest({self.kind.value})"


def ask(connection: Connection, office: Office, account_id: int, wanted: ChangeRequest) -> int:
    """Keep a wish for a change; gives its number.

    Raises:
        BadEntryError: it cannot be.
        NoSuchChangeError: the supply or contact is not on this account.
        AccountStateError: the account has ended.
        ChangeStateError: a change of mode that the customer did not ask for.
        SettledSinceError: a tariff for days that are settled.
    """
    row = lock_account(connection, account_id)
    if row.state in ("closed", "rejected"):
        raise AccountStateError(f"Account {row.number} is {row.state}: nothing of it changes.")
    reason = require_text("The reason", wanted.reason)
    new = _checked(connection, office, row, wanted)
    now = office.now()
    from_at = wanted.from_at or (
        office.day_start(office.today()) if wanted.kind is ChangeKind.TARIFF else now
    )
    _require_date(connection, office, wanted, from_at)
    text = document(new)
    personal = wanted.kind in _PERSONAL
    change_id: int = connection.execute(
        insert(account_changes)
        .values(
            account_id=account_id,
            kind=wanted.kind.value,
            supply_id=wanted.supply_id,
            contact_id=wanted.contact_id,
            new_value=None if personal else text,
            new_sealed=office.seal.seal("change.new", text) if personal else None,
            reason=reason,
            consent=wanted.consent,
            from_at=from_at,
            state=ChangeState.ASKED.value,
            asked_by=office.person.name,
            asked_at=now,
        )
        .returning(account_changes.c.change_id)
    ).scalar_one()
    _record(connection, office, "ask", row.number, change_id, wanted.kind.value, reason)
    return change_id


def approve(connection: Connection, office: Office, change_id: int) -> Change:
    """Be the second person; it is applied at once when its date has come.

    Raises:
        NoSuchChangeError: there is none.
        ChangeStateError: it waits for nobody.
        SecondLookError: who asked for it approves it.
        BillingError: it cannot be applied; it stays as it was asked.
    """
    row = _locked(connection, change_id)
    _require_state(row, ChangeState.ASKED)
    who = office.person.name
    if not who or who == row.asked_by:
        raise SecondLookError(
            f"Change {change_id} takes a second person: {row.asked_by or 'nobody'} asked for it."
        )
    now = office.now()
    _set(connection, change_id, state="approved", approved_by=who, approved_at=now)
    number = _number(connection, row.account_id)
    _record(connection, office, "approve", number, change_id, row.kind, row.reason)
    # a tariff is there before its day is settled; its row says from when on it holds
    if row.from_at <= now or row.kind == ChangeKind.TARIFF.value:
        _apply(connection, office, _locked(connection, change_id), number)
    return change(connection, office, change_id)


def end(
    connection: Connection, office: Office, change_id: int, state: ChangeState, words: str
) -> None:
    """Refuse a change, or take it back.

    Args:
        connection: in a write transaction.
        office: who does.
        change_id: which.
        state: `ChangeState.REFUSED` or `ChangeState.WITHDRAWN`.
        words: why.

    Raises:
        NoSuchChangeError: there is none.
        ChangeStateError: it has ended already.
        BadEntryError: no reason.
    """
    why = require_text("The reason", words)
    row = _locked(connection, change_id)
    if row.state not in (ChangeState.ASKED.value, ChangeState.APPROVED.value) or (
        state is ChangeState.REFUSED and row.state != ChangeState.ASKED.value
    ):
        raise ChangeStateError(f"Change {change_id} is {row.state}: it cannot be {state.value}.")
    _set(
        connection,
        change_id,
        state=state.value,
        ended_by=office.person.name,
        ended_at=office.now(),
        words=why,
    )
    verb = "refuse" if state is ChangeState.REFUSED else "withdraw"
    number = _number(connection, row.account_id)
    _record(connection, office, verb, number, change_id, row.kind, why)


def apply_due(office: Office) -> int:
    """Apply what is approved and whose date has come, each in a transaction; how many ended."""
    with office.reading() as connection:
        due = connection.scalars(
            select(account_changes.c.change_id)
            .where(
                account_changes.c.state == ChangeState.APPROVED.value,
                account_changes.c.from_at <= office.now(),
            )
            .order_by(account_changes.c.from_at, account_changes.c.change_id)
            .limit(_SWEEP_MAX)
        ).all()
    for change_id in due:
        try:
            _apply_due(office, change_id)
        except BillingError as fault:
            if fault.is_system:
                raise
            _fail(office, change_id, str(fault))
    return len(due)


def _apply_due(office: Office, change_id: int) -> None:
    with office.writing() as connection:
        row = _locked(connection, change_id)
        if row.state == ChangeState.APPROVED.value:
            _apply(connection, office, row, _number(connection, row.account_id))


def _fail(office: Office, change_id: int, words: str) -> None:
    with office.writing() as connection:
        row = _locked(connection, change_id)
        if row.state != ChangeState.APPROVED.value:
            return
        now = office.now()
        _set(connection, change_id, state=ChangeState.FAILED.value, ended_at=now, words=words)
        number = _number(connection, row.account_id)
        _record(connection, office, "fail", number, change_id, row.kind, words)


def change(
    connection: Connection, office: Office, change_id: int, *, opened: bool = False
) -> Change:
    """One change of the log.

    Raises:
        NoSuchChangeError: there is none.
    """
    row = connection.execute(
        select(account_changes).where(account_changes.c.change_id == change_id)
    ).one_or_none()
    if row is None:
        raise NoSuchChangeError(f"There is no change {change_id}.")
    return _change_of(office, row, opened=opened)


def changes_of(
    connection: Connection,
    office: Office,
    account_id: int | None = None,
    *,
    waiting: bool = False,
    opened: bool = False,
) -> list[Change]:
    """The log, the newest change first, `LIST_MAX` at most.

    Args:
        connection: in any transaction.
        office: opens personal values.
        account_id: of one account; None: of all.
        waiting: those alone that wait for approval or for their date.
        opened: personal values in clear.
    """
    query = select(account_changes).order_by(account_changes.c.change_id.desc()).limit(LIST_MAX)
    if account_id is not None:
        query = query.where(account_changes.c.account_id == account_id)
    if waiting:
        query = query.where(account_changes.c.ended_at.is_(None))
    return [_change_of(office, row, opened=opened) for row in connection.execute(query)]


def _checked(
    connection: Connection, office: Office, row: Row[Any], wanted: ChangeRequest
) -> dict[str, Any]:
    """The new values as they are kept."""
    kind, new = wanted.kind, dict(wanted.new)
    _require_target(connection, row.account_id, wanted)
    if kind is ChangeKind.NAME:
        return {"name": require_text("The name", str(new.get("name", "")))}
    if kind is ChangeKind.IDENTITY:
        return {"identity": plain_identity(str(new.get("identity", "")))}
    if kind is ChangeKind.ADDRESS:
        return {"address": require_text("The address", str(new.get("address", "")))}
    if kind is ChangeKind.LANGUAGE:
        return {"language": checked_language(new.get("language"))}
    if kind is ChangeKind.CLASS:
        return {"class": require_one_of("The class", str(new.get("class")), CUSTOMER_CLASSES)}
    if kind is ChangeKind.TARIFF:
        return {"tariff": require_tariff(connection, str(new.get("tariff", "")))}
    if kind is ChangeKind.MODE:
        return _checked_mode(row, wanted)
    if kind is ChangeKind.TERMS:
        return _checked_terms(connection, office, row.account_id, new)
    if kind is ChangeKind.CONTACT_ADD:
        _require_known(new, _CONTACT)
        return asdict(checked_contact(ContactDetails(**{"name": "", **new})))
    if kind is ChangeKind.CONTACT_CHANGE:
        _require_known(new, _CONTACT - {"role"})
    return new if kind is ChangeKind.CONTACT_CHANGE else {}


def _checked_mode(row: Row[Any], wanted: ChangeRequest) -> dict[str, Any]:
    mode = require_one_of("The mode", str(wanted.new.get("mode")), MODES)
    if mode == row.mode:
        raise ChangeStateError(f"Account {row.number} is {mode} already.")
    if not (wanted.consent or "").strip():
        raise ChangeStateError(
            "Nobody is put on another way to pay: say how the customer has asked for it "
            "(--consent), such as 'signed form 12'."
        )
    return {"mode": mode}


def _checked_terms(
    connection: Connection, office: Office, account_id: int, new: dict[str, Any]
) -> dict[str, Any]:
    _require_known(new, _TERMS)
    after = terms_with(agreement_at(connection, account_id, office.now()), new)
    for channel in (after.payment_channel, after.refund_channel):
        find_channel(connection, channel)
    return new


def _require_known(new: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(new) - known)
    if unknown or not new:
        raise BadEntryError(
            f"Nothing is to be changed; there are: {', '.join(sorted(known))}."
            if not new
            else f"{', '.join(unknown)[:80]} cannot be changed; there are: "
            f"{', '.join(sorted(known))}."
        )


def _require_target(connection: Connection, account_id: int, wanted: ChangeRequest) -> None:
    for needed, table, key, target in (
        (_OF_CONTACT, contacts, contacts.c.contact_id, wanted.contact_id),
        (_OF_SUPPLY, supplies, supplies.c.supply_id, wanted.supply_id),
    ):
        if wanted.kind not in needed:
            if target is not None:
                raise BadEntryError(f"A change of {wanted.kind.value} names no contact or supply.")
            continue
        found = connection.scalar(
            select(key).where(
                key == target, table.c.account_id == account_id, table.c.until.is_(None)
            )
        )
        if found is None:
            raise NoSuchChangeError(
                f"Which {'contact' if table is contacts else 'supply'}? None of this number is on "
                "the account now; `meterhouse account show` lists them."
            )


def _require_date(
    connection: Connection, office: Office, wanted: ChangeRequest, from_at: datetime
) -> None:
    now = office.now()
    if from_at > now + _AHEAD_MAX:
        raise BadEntryError("The date lies more than two years ahead.")
    if wanted.kind is ChangeKind.TARIFF:
        day = from_at.astimezone(office.zone).date()
        if office.day_start(day) != from_at:
            raise BadEntryError("A tariff changes at the start of a day.")
        assert wanted.supply_id is not None
        require_unsettled(connection, wanted.supply_id, from_at)
    elif from_at < now - timedelta(minutes=1):
        raise BadEntryError("The date has passed: what was in force then stays what it was.")


def _apply(connection: Connection, office: Office, row: Row[Any], number: str) -> None:
    text = row.new_value
    if row.new_sealed is not None:
        text = office.seal.open("change.new", bytes(row.new_sealed))
    old = apply_change(connection, office, row, values_of(text))
    written = document(old.values)
    personal = row.new_sealed is not None or old.personal
    _set(
        connection,
        row.change_id,
        state=ChangeState.APPLIED.value,
        old_value=None if personal else written,
        old_sealed=office.seal.seal("change.old", written) if personal else None,
        contact_id=old.contact_id or row.contact_id,
        ended_at=office.now(),
    )
    _record(connection, office, "apply", number, row.change_id, row.kind, row.reason)


def _locked(connection: Connection, change_id: int) -> Row[Any]:
    """A change, after its account; in this order, lest two wait for each other."""
    account_id = connection.scalar(
        select(account_changes.c.account_id).where(account_changes.c.change_id == change_id)
    )
    if account_id is None:
        raise NoSuchChangeError(f"There is no change {change_id}.")
    lock_account(connection, account_id)
    return connection.execute(
        select(account_changes).where(account_changes.c.change_id == change_id).with_for_update()
    ).one()


def _require_state(row: Row[Any], state: ChangeState) -> None:
    if row.state != state.value:
        raise ChangeStateError(f"Change {row.change_id} is {row.state}: nobody waits for it.")


def _set(connection: Connection, change_id: int, **values: object) -> None:
    connection.execute(
        update(account_changes).where(account_changes.c.change_id == change_id).values(**values)
    )


def _number(connection: Connection, account_id: int) -> str:
    return str(
        connection.scalar(
            select(customer_accounts.c.number).where(customer_accounts.c.account_id == account_id)
        )
    )


def _record(
    connection: Connection,
    office: Office,
    verb: str,
    number: str,
    change_id: int,
    kind: str,
    reason: str,
) -> None:
    detail = f"change {change_id}: {kind}"
    record(connection, office, f"account.change_{verb}", number, detail=detail, reason=reason)


def _change_of(office: Office, row: Row[Any], *, opened: bool) -> Change:
    return Change(
        change_id=row.change_id,
        account_id=row.account_id,
        kind=ChangeKind(row.kind),
        supply_id=row.supply_id,
        contact_id=row.contact_id,
        old=_words(office, "change.old", row.old_value, row.old_sealed, opened=opened),
        new=_words(office, "change.new", row.new_value, row.new_sealed, opened=opened),
        reason=row.reason,
        consent=row.consent,
        from_at=row.from_at,
        state=ChangeState(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
        words=row.words,
    )


def _words(
    office: Office, field: str, value: str | None, sealed: bytes | None, *, opened: bool
) -> str:
    if sealed is None:
        return words_of(values_of(value))
    values = values_of(office.seal.open(field, bytes(sealed)))
    return words_of(values if opened else _masked(values))


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("role", "language", "gets_bill", "gets_notices")
    return {
        name: value if name in plain or value is None else _MASKS.get(name, masked_text)(str(value))
        for name, value in values.items()
    }
