"""What people do with messages and channels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from billing.accounts.looking import account_by_number
from billing.accounts.tables import contacts, customer_accounts
from billing.faults import BadEntryError
from billing.notices.channels.port import CHANNELS, Fate, Outcome, Parcel
from billing.notices.channels.setup import adapter_of, settings_shown
from billing.notices.fates import locked, settle
from billing.notices.faults import (
    MessageStateError,
    NoticeChannelSettingsError,
    UnknownMessageError,
)
from billing.notices.messages import note
from billing.notices.outbox import canonical
from billing.notices.port import Event
from billing.notices.quiet import parse_span
from billing.notices.render import Setting, Told, render
from billing.notices.rules import EVENTS
from billing.notices.samples import sample_of
from billing.notices.tables import (
    notice_channels,
    notice_history,
    notice_messages,
    notice_quiet,
    notice_staff,
    notices,
)
from billing.notices.wording import find_wording
from billing.office import Office
from billing.person import Right
from billing.privacy.masks import masked_email, masked_number, masked_text
from storage.audit import record

_MASKS: Final = {
    "email": ("contact.email", masked_email),
    "sms": ("contact.phone", masked_number),
    "wechat": ("contact.wechat", masked_text),
}
_STATES: Final = ("queued", "sending", "sent", "delivered", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as people see it; the address is masked."""

    message_id: int
    event: str
    account: str | None
    channel: str
    address: str
    language: str
    state: str
    asked_at: datetime
    due_at: datetime | None
    tries: int
    round: int


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One step of a message."""

    at: datetime
    act: str
    actor: str
    words: str


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """How a channel is set up, and how it does."""

    channel: str
    adapter: str
    settings: Mapping[str, Any]
    enabled: bool
    per_minute: int
    waiting: int
    faults: int
    paused_until: datetime | None
    last_ok_at: datetime | None
    last_fault: str | None


class NoticeDesk:
    """Messages: look, retry, say what became of them.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def list(
        self, *, state: str | None = None, account: str | None = None, limit: int = 100
    ) -> list[Message]:
        """Messages, the newest first.

        Raises:
            BadEntryError: there is no such state.
            UnknownAccountError: there is no such account.
        """
        self._office.require(Right.LOOK)
        if state is not None and state not in _STATES:
            raise BadEntryError(f"A message is one of: {', '.join(_STATES)}.")
        chosen = _shown().order_by(notice_messages.c.message_id.desc()).limit(limit)
        if state is not None:
            chosen = chosen.where(notice_messages.c.state == state)
        with self._office.reading() as connection:
            if account is not None:
                found = account_by_number(connection, account)
                chosen = chosen.where(notices.c.account_id == found.account_id)
            return [self._message(row) for row in connection.execute(chosen)]

    def show(self, message_id: int) -> tuple[Message, Sequence[HistoryLine]]:
        """A message and its history.

        Raises:
            UnknownMessageError: there is none of this number.
        """
        self._office.require(Right.LOOK)
        with self._office.reading() as connection:
            row = connection.execute(
                _shown().where(notice_messages.c.message_id == message_id)
            ).first()
            if row is None:
                raise _missing(message_id)
            lines = connection.execute(
                select(notice_history)
                .where(notice_history.c.message_id == message_id)
                .order_by(notice_history.c.entry_id)
            )
            history = [HistoryLine(each.at, each.act, each.actor, each.words) for each in lines]
            return self._message(row), history

    def retry(self, message_id: int, reason: str) -> None:
        """Send a message that has definitely failed once more.

        One whose outcome is unknown is not sent again: find out first (`decide`).

        Raises:
            UnknownMessageError, MessageStateError, BadEntryError: as they say.
        """
        self._office.require(Right.SERVE)
        if not reason.strip():
            raise BadEntryError("Say why it is sent again.")
        at = self._office.now()
        with self._office.writing() as connection:
            row = _locked(connection, message_id)
            if row.state != "failed":
                hint = (
                    " Ask the provider whether it arrived, and say so with `notice outcome`."
                    if row.state == "unknown"
                    else ""
                )
                raise MessageStateError(
                    f"Message {message_id} is {row.state}; only failed ones are sent again.{hint}"
                )
            if row.keep_until <= at:
                raise MessageStateError(
                    f"Message {message_id} says nothing new any more: its time was over on "
                    f"{row.keep_until.astimezone(self._office.zone):%Y-%m-%d %H:%M}."
                )
            connection.execute(
                update(notice_messages)
                .where(notice_messages.c.message_id == message_id)
                .values(state="queued", due_at=at)
            )
            self._say(connection, message_id, at, "retried", reason)

    def decide(self, message_id: int, *, arrived: bool, reason: str) -> str:
        """Say what became of a message whose outcome is unknown; gives its new state.

        Raises:
            UnknownMessageError, MessageStateError, BadEntryError: as they say.
        """
        self._office.require(Right.SERVE)
        if not reason.strip():
            raise BadEntryError("Say how you know.")
        at = self._office.now()
        with self._office.writing() as connection:
            row = _locked(connection, message_id)
            if row.state != "unknown":
                raise MessageStateError(f"Message {message_id} is {row.state}, not unknown.")
            fate = Fate.DELIVERED if arrived else Fate.FAILED
            who = self._office.person.name
            state = settle(connection, self._office, message_id, Outcome(fate, ""), actor=who)
            self._say(connection, message_id, at, "decided", reason)
        assert state is not None
        return state

    def preview(self, event: str, language: str) -> Told:
        """How an event's notices read, with figures of an example.

        Raises:
            BadEntryError: there is no such event.
            NoticeRulesError: the utility's texts cannot be used.
        """
        self._office.require(Right.LOOK)
        if event not in EVENTS:
            raise BadEntryError(f"There is no event {event!r}; there are: {', '.join(EVENTS)}.")
        office = self._office
        setting = Setting(office.name, office.zone, office.currency)
        sample = sample_of(event, office.now())
        wording = find_wording(language, office.language)
        is_ours = event in [each.value for each in Event]
        account, name = ("0000000000", "A. Example") if is_ours else ("", "")
        return render(wording, setting, event, sample, account=account, name=name)

    def _say(
        self, connection: Connection, message_id: int, at: datetime, act: str, reason: str
    ) -> None:
        who = self._office.person.name
        note(connection, message_id, at, act, who)
        record(
            connection,
            at,
            actor=who,
            action=f"notice.{act}",
            subject=str(message_id),
            reason=reason,
        )

    def _message(self, row: Any) -> Message:
        seal = self._office.seal
        if row.staff_id is not None:
            address = f"staff {row.staff_role}"
        else:
            field, masked = _MASKS[row.channel]
            sealed = {"email": row.email_sealed, "sms": row.phone_sealed}.get(
                row.channel, row.wechat_sealed
            )
            address = "" if sealed is None else masked(seal.open(field, bytes(sealed)))
        return Message(
            row.message_id,
            row.event,
            row.number,
            row.channel,
            address,
            row.language,
            row.state,
            row.asked_at,
            row.due_at,
            row.tries,
            row.round,
        )


class ChannelDesk:
    """Channels: set them up, watch them, try them; quiet hours.

    Args:
        office: the office.
    """

    def __init__(self, office: Office) -> None:
        self._office: Final = office

    def list(self) -> list[ChannelHealth]:
        """How each channel is set up, and how it does.

        Addresses may have keys in them: who may not set channels up sees their hosts alone.
        """
        self._office.require(Right.LOOK)
        in_full = self._office.person.may(Right.CONFIGURE)
        with self._office.reading() as connection:
            waiting: dict[str, int] = {
                row.channel: row.waiting
                for row in connection.execute(
                    select(notice_messages.c.channel, func.count().label("waiting"))
                    .where(notice_messages.c.due_at.is_not(None))
                    .group_by(notice_messages.c.channel)
                )
            }
            rows = connection.execute(
                select(notice_channels).order_by(notice_channels.c.channel)
            ).all()
        return [
            ChannelHealth(
                row.channel,
                row.adapter,
                json.loads(row.settings) if in_full else settings_shown(json.loads(row.settings)),
                bool(row.enabled),
                row.per_minute,
                waiting.get(row.channel, 0),
                row.faults,
                row.paused_until,
                row.last_ok_at,
                row.last_fault,
            )
            for row in rows
        ]

    def set(
        self, channel: str, adapter: str, settings: Mapping[str, str], *, per_minute: int = 60
    ) -> None:
        """Set a channel up, and switch it on.

        Args:
            channel: ``email``, ``sms``, ``wechat``.
            adapter: what sends.
            settings: of the adapter; passwords by the name of their file alone.
            per_minute: messages at most.

        Raises:
            NoticeChannelSettingsError: a setting cannot be used.
        """
        self._office.require(Right.CONFIGURE)
        adapter_of(channel, adapter, settings)
        if not 1 <= per_minute <= 1_000_000:
            raise NoticeChannelSettingsError("At least one message a minute.")
        at = self._office.now()
        with self._office.writing() as connection:
            values = {
                "adapter": adapter,
                "settings": canonical(settings),
                "enabled": 1,
                "per_minute": per_minute,
                "faults": 0,
                "paused_until": None,
                "set_at": at,
                "set_by": self._office.person.name,
            }
            changed = connection.execute(_channel(channel).values(**values))
            if changed.rowcount == 0:
                connection.execute(
                    insert(notice_channels), {"channel": channel, "minute_count": 0, **values}
                )
            self._record(connection, at, "set", channel, adapter)

    def switch(self, channel: str, *, on: bool) -> None:
        """Switch a channel on or off; while it is off nothing is queued for it, or leaves.

        Raises:
            NoticeChannelSettingsError: it is not set up.
        """
        self._office.require(Right.CONFIGURE)
        at = self._office.now()
        with self._office.writing() as connection:
            changed = connection.execute(
                _channel(channel).values(enabled=int(on), paused_until=None, faults=0)
            )
            if changed.rowcount == 0:
                raise _not_set_up(channel)
            self._record(connection, at, "on" if on else "off", channel, "")

    def set_quiet(self, channel: str, event: str, hours: str | None) -> None:
        """Set the quiet hours of a channel and event (``*``: all events without their own).

        Args:
            channel: which.
            event: which.
            hours: ``22:00-07:00``; empty: none; None: those of the rules again.

        Raises:
            BadEntryError: something is malformed.
        """
        self._office.require(Right.CONFIGURE)
        if channel not in CHANNELS or event not in (*EVENTS, "*"):
            raise BadEntryError(f"There is no channel {channel!r}, or no event {event!r}.")
        try:
            span = None if hours is None else parse_span(hours)
        except ValueError as fault:
            raise BadEntryError(f"{str(fault).capitalize()}.") from None
        at = self._office.now()
        with self._office.writing() as connection:
            connection.execute(
                delete(notice_quiet).where(
                    notice_quiet.c.channel == channel, notice_quiet.c.event == event
                )
            )
            if span is not None:
                row = {"channel": channel, "event": event}
                row_span = {"from_min": span.from_min, "until_min": span.until_min}
                connection.execute(insert(notice_quiet), {**row, **row_span})
            self._record(connection, at, "quiet", channel, f"{event} {hours}")

    def check(self, channel: str) -> str:
        """Look whether a channel could send, without sending; gives what was found.

        Raises:
            NoticeChannelSettingsError: it is not set up.
            NoticeChannelDownError: it cannot be used now.
        """
        self._office.require(Right.CONFIGURE)
        found: str = self._adapter(channel).check()
        return found

    def try_out(self, channel: str, address: str) -> Outcome:
        """Send a message of trial to an address.

        Raises:
            NoticeChannelSettingsError: it is not set up.
            NoticeChannelDownError: it cannot be used now.
        """
        self._office.require(Right.CONFIGURE)
        adapter, at = self._adapter(channel), self._office.now()
        domain = getattr(adapter, "domain", "meterhouse.invalid")
        name = self._office.name or "meterhouse"
        parcel = Parcel(
            f"mh.trial.{int(at.timestamp())}@{domain}",
            address,
            f"{name}: a trial",
            f"This is a trial of {name}. You need do nothing.\n",
        )
        with adapter.open() as sender:
            outcome: Outcome = sender.send(parcel)
        with self._office.writing() as connection:
            self._record(connection, at, "trial", channel, outcome.fate.value)
        return outcome

    def _adapter(self, channel: str) -> Any:
        with self._office.reading() as connection:
            row = connection.execute(
                select(notice_channels).where(notice_channels.c.channel == channel)
            ).first()
        if row is None:
            raise _not_set_up(channel)
        return adapter_of(channel, row.adapter, row.settings)

    def _record(
        self, connection: Connection, at: datetime, act: str, channel: str, detail: str
    ) -> None:
        record(
            connection,
            at,
            actor=self._office.person.name,
            action=f"notice.channel.{act}",
            subject=channel,
            detail=detail,
        )


def _shown() -> Select[Any]:
    return (
        select(
            notice_messages,
            notices.c.event,
            notices.c.asked_at,
            customer_accounts.c.number,
            contacts.c.email_sealed,
            contacts.c.phone_sealed,
            contacts.c.wechat_sealed,
            notice_staff.c.role.label("staff_role"),
        )
        .join(notices, notices.c.notice_id == notice_messages.c.notice_id)
        .outerjoin(customer_accounts, customer_accounts.c.account_id == notices.c.account_id)
        .outerjoin(contacts, contacts.c.contact_id == notice_messages.c.contact_id)
        .outerjoin(notice_staff, notice_staff.c.staff_id == notice_messages.c.staff_id)
    )


def _locked(connection: Connection, message_id: int) -> Any:
    row = connection.execute(locked().where(notice_messages.c.message_id == message_id)).first()
    if row is None:
        raise _missing(message_id)
    return row


def _channel(channel: str) -> Any:
    return update(notice_channels).where(notice_channels.c.channel == channel)


def _missing(message_id: int) -> UnknownMessageError:
    return UnknownMessageError(
        f"There is no message {message_id}. `meterhouse notice list` shows them."
    )


def _not_set_up(channel: str) -> NoticeChannelSettingsError:
    return NoticeChannelSettingsError(
        f"The channel {channel} is not set up: meterhouse notice channels --set {channel} ..."
    )
