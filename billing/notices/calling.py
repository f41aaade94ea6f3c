"""The desk of those who call people whom messages do not reach (specs/utility.md 16)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, select, update

from billing.accounts.changes import ChangeRequest, ask
from billing.accounts.looking import account_by_number
from billing.accounts.tables import account_changes, contacts, customer_accounts
from billing.accounts.values import ChangeKind, ChangeState
from billing.faults import BadEntryError
from billing.notices.callbacks import open_contact_callback
from billing.notices.faults import MessageStateError, UnknownMessageError
from billing.notices.messages import Addressee, queue_messages
from billing.notices.outbox import keep_until_of
from billing.notices.record import WAYS, RecordLine, contact_record, note_contact
from billing.notices.rules import rule_of
from billing.notices.tables import notice_callbacks, notice_messages, notices
from billing.office import Office
from billing.person import Right
from storage.audit import record

REFUSED: Final = "correction_refused"
_BATCH: Final = 200
_COLUMNS: Final = {"email": "email_sealed", "sms": "phone_sealed", "wechat": "wechat_sealed"}
_FIELDS: Final = ("name", "email", "phone", "wechat")


@dataclass(frozen=True, slots=True)
class Callback:
    """A person is to call."""

    callback_id: int
    account: str
    """The account's number."""
    contact_id: int | None
    channel: str | None
    why: str
    event: str
    state: str
    opened_at: datetime
    done_by: str | None
    outcome: str | None


class CallDesk:
    """Call-backs, and the contact record.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def correct(
        self, callback_id: int, new: Mapping[str, str], *, way: str = "phone", words: str = ""
    ) -> int:
        """Ask for the contact's correction, and end the task; gives the change's number.

        When a second person has approved the change, what did not arrive goes to the corrected
        address, if it still says anything (`resend_corrected`).

        Args:
            callback_id: which task.
            new: ``name``, ``email``, ``phone``, ``wechat`` as they are in truth.
            way: how the person was met.
            words: what was said, for the contact record.

        Raises:
            UnknownMessageError: there is no such task.
            MessageStateError: it is done.
            BadEntryError: nothing to correct, or a value that cannot be.
        """
        self._office.require(Right.SERVE)
        if not new or not set(new) <= set(_FIELDS):
            raise BadEntryError("Say what is right: a name, e-mail, phone or wechat.")
        with self._office.writing() as connection:
            task = self._open(connection, callback_id)
            kind, details = ChangeKind.CONTACT_CHANGE, dict(new)
            if task.contact_id is None:
                kind = ChangeKind.CONTACT_ADD
                if "name" not in details:
                    raise BadEntryError("The account has no such contact: give the name, too.")
            wanted = ChangeRequest(
                kind, details, f"call-back {callback_id}", contact_id=task.contact_id
            )
            change_id = ask(connection, self._office, task.account_id, wanted)
            self._close(
                connection, task, way, words, f"change {change_id} asked for", change_id=change_id
            )
        return change_id

    def done(self, callback_id: int, outcome: str, *, way: str = "phone") -> None:
        """End a task without a correction: the person was told, or cannot be reached.

        Args:
            callback_id: which task.
            outcome: what came of it; kept sealed on the contact record.
            way: how the person was met.

        Raises:
            UnknownMessageError, MessageStateError, BadEntryError: as they say.
        """
        self._office.require(Right.SERVE)
        if not outcome.strip():
            raise BadEntryError("Say in some words what came of the call.")
        with self._office.writing() as connection:
            task = self._open(connection, callback_id)
            self._close(connection, task, way, outcome, "done by a person")

    def note(self, number: str, way: str, words: str) -> None:
        """Put a contact onto an account's record.

        Raises:
            UnknownAccountError, BadEntryError: as they say.
        """
        self._office.require(Right.SERVE)
        _require_way(way)
        if not words.strip():
            raise BadEntryError("Say in some words what it was about.")
        with self._office.writing() as connection:
            account_id = account_by_number(connection, number).account_id
            note_contact(connection, self._office, account_id, way, words)

    def record(self, number: str, *, limit: int = 200) -> list[RecordLine]:
        """All contacts with an account, the newest first; who opened them is kept.

        Raises:
            UnknownAccountError: there is none of this number.
        """
        self._office.require(Right.PERSONAL)
        with self._office.writing() as connection:
            account = account_by_number(connection, number)
            record(
                connection,
                self._office.now(),
                actor=self._office.person.name,
                action="personal.open",
                subject=account.number,
                detail="contact record",
            )
            return contact_record(connection, self._office, account.account_id, limit=limit)

    def list(self, *, done: bool = False, limit: int = 100) -> list[Callback]:
        """Whom to call, the oldest first; ``done``: those that are done, too."""
        self._office.require(Right.LOOK)
        chosen = _shown().order_by(notice_callbacks.c.callback_id).limit(limit)
        if not done:
            chosen = chosen.where(notice_callbacks.c.state == "open")
        with self._office.reading() as connection:
            return [_callback(row) for row in connection.execute(chosen)]

    def _open(self, connection: Connection, callback_id: int) -> Any:
        row = connection.execute(
            select(notice_callbacks)
            .where(notice_callbacks.c.callback_id == callback_id)
            .with_for_update()
        ).first()
        if row is None:
            raise UnknownMessageError(
                f"There is no call-back {callback_id}. `meterhouse notice callbacks` shows them."
            )
        if row.state != "open":
            raise MessageStateError(f"Call-back {callback_id} is done: {row.outcome}.")
        return row

    def _close(
        self,
        connection: Connection,
        task: Any,
        way: str,
        words: str,
        outcome: str,
        *,
        change_id: int | None = None,
    ) -> None:
        _require_way(way)
        at, who = self._office.now(), self._office.person.name
        connection.execute(
            update(notice_callbacks)
            .where(notice_callbacks.c.callback_id == task.callback_id)
            .values(
                state="done",
                done_at=at,
                done_by=who,
                outcome=outcome,
                change_id=change_id,
                resend=int(change_id is not None),
            )
        )
        if words.strip():
            note_contact(connection, self._office, task.account_id, way, words, task.callback_id)
        record(
            connection,
            at,
            actor=who,
            action="notice.callback",
            subject=str(task.callback_id),
            detail=outcome,
        )


def resend_corrected(office: Office) -> int:
    """Tell corrected contacts what did not reach them; how many corrections were looked through.

    A correction that was refused, or could not be applied, asks a person to call again.
    """
    with office.writing() as connection:
        rows = connection.execute(
            select(
                notice_callbacks,
                account_changes.c.state.label("change_state"),
                account_changes.c.contact_id.label("new_contact_id"),
            )
            .join(account_changes, account_changes.c.change_id == notice_callbacks.c.change_id)
            .where(
                notice_callbacks.c.resend == 1,
                account_changes.c.state.not_in(
                    (ChangeState.ASKED.value, ChangeState.APPROVED.value)
                ),
            )
            .order_by(notice_callbacks.c.callback_id)
            .limit(_BATCH)
            .with_for_update(of=notice_callbacks, skip_locked=True)
        ).all()
        for row in rows:
            connection.execute(
                update(notice_callbacks)
                .where(notice_callbacks.c.callback_id == row.callback_id)
                .values(resend=0)
            )
            if row.change_state == ChangeState.APPLIED.value:
                _tell_again(connection, office, row)
            elif row.contact_id is not None:
                open_contact_callback(connection, row, REFUSED, office.now())
    return len(rows)


def _tell_again(connection: Connection, office: Office, row: Any) -> None:
    """What did not arrive goes to the contact as it is now."""
    at = office.now()
    contact = connection.execute(
        select(contacts).where(contacts.c.contact_id == row.new_contact_id)
    ).first()
    notice = connection.execute(select(notices).where(notices.c.notice_id == row.notice_id)).one()
    if contact is None:
        return
    before = None
    if row.message_id is not None:
        before = connection.execute(
            select(notice_messages).where(notice_messages.c.message_id == row.message_id)
        ).one()
    channel = row.channel or next(
        (each for each, column in _COLUMNS.items() if getattr(contact, column) is not None), None
    )
    if channel is None or getattr(contact, _COLUMNS[channel]) is None:
        return
    rule = rule_of(notice.event)
    keep_until = (
        before.keep_until
        if before is not None
        else keep_until_of(json.loads(notice.about), rule, notice.asked_at)
    )
    if keep_until <= at:
        return
    language = contact.language or (before.language if before is not None else office.language)
    whom = Addressee(channel, language, contact_id=contact.contact_id)
    queue_messages(connection, office, [(notice.notice_id, rule, keep_until, [whom])], at)


def _require_way(way: str) -> None:
    if way not in WAYS:
        raise BadEntryError(f"A contact is by one of: {', '.join(WAYS)}.")


def _shown() -> Select[Any]:
    return (
        select(notice_callbacks, customer_accounts.c.number, notices.c.event)
        .join(customer_accounts, customer_accounts.c.account_id == notice_callbacks.c.account_id)
        .join(notices, notices.c.notice_id == notice_callbacks.c.notice_id)
    )


def _callback(row: Any) -> Callback:
    return Callback(
        row.callback_id,
        row.number,
        row.contact_id,
        row.channel,
        row.why,
        row.event,
        row.state,
        row.opened_at,
        row.done_by,
        row.outcome,
    )
