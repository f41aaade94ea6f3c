"""Send what is due, one message after another.

A message is claimed (``sending``, committed) before anything leaves, and its outcome is stored
after.  Whoever dies in between leaves it in ``sending``; when its time is over it is ``unknown``
(`sweeping`).  Several processes may send at once: a message is claimed by one of them, and all of
them together keep to the channel's rate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection, select, update

from billing.accounts.tables import contacts, customer_accounts
from billing.faults import BillingError
from billing.notices.attachments import BillFiles, bill_file
from billing.notices.channels.port import Adapter, Attachment, Fate, Outcome, Parcel, Sender
from billing.notices.channels.setup import adapter_of
from billing.notices.fates import give_up, locked, settle
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError
from billing.notices.messages import note
from billing.notices.quiet import NONE, Span, may_leave_at
from billing.notices.render import Setting, render
from billing.notices.rules import RANKS, Rule, all_rules, rule_of
from billing.notices.tables import (
    notice_channels,
    notice_messages,
    notice_quiet,
    notice_staff,
    notices,
)
from billing.notices.wording import find_wording
from billing.office import Office
from billing.person import SERVICE
from storage.engine import attempt
from vending.errors import VendingError

_log: Final = structlog.get_logger("notices")
_MARGIN: Final = timedelta(seconds=60)
"""Between the longest that a send may take and the moment when its sender counts as lost."""
_PUT_OFF: Final = timedelta(minutes=15)
_PAUSE_MIN: Final = (1, 2, 5, 15, 30)
"""Minutes for which a channel rests after its first, second, ... fault in a row."""
_MINUTE: Final = timedelta(minutes=1)
_BATCH: Final = 1_000
_EVERY: Final = "*"
_ADDRESS: Final = {
    "email": ("email_sealed", "contact.email"),
    "sms": ("phone_sealed", "contact.phone"),
    "wechat": ("wechat_sealed", "contact.wechat"),
}


@dataclass(frozen=True, slots=True)
class _Claimed:
    message_id: int
    parcel: Parcel


def send_due(
    office: Office,
    channel: str,
    *,
    limit: int = 1_000,
    bill_files: BillFiles = bill_file,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Send what is due on a channel; how many attempts were made.

    Args:
        office: the office.
        channel: ``email``, ``sms``, ``wechat``.
        limit: so many at most.
        bill_files: gives the files of bills.
        stop: asked before each message.
        progress: told after each.
    """
    with office.reading() as connection:
        row = connection.execute(
            select(notice_channels).where(notice_channels.c.channel == channel)
        ).first()
        now = office.now()
        if row is None or not row.enabled or not _is_due(connection, channel, now):
            return 0
        if row.paused_until is not None and row.paused_until > now:
            return 0
    _put_off_quiet(office, channel)
    done = 0
    try:
        adapter = adapter_of(channel, row.adapter, row.settings)
        with adapter.open() as sender:
            while done < limit and not stop():
                claimed = _claim(office, channel, adapter, bill_files)
                if claimed is None:
                    break
                done += 1
                _send(office, claimed, sender)
                progress(done)
    except (NoticeChannelDownError, NoticeChannelSettingsError) as fault:
        _pause(office, channel, str(fault))
        return done
    if done:
        _went_well(office, channel)
    return done


def quiet_of(own: Sequence[Any], rule: Rule, channel: str) -> Span:
    """When an event is not sent on a channel: the utility's own hours, or the rule's.

    Args:
        own: rows of `notice_quiet`.
        rule: the event's.
        channel: which.
    """
    set_here = {
        row.event: Span(row.from_min, row.until_min) for row in own if row.channel == channel
    }
    return set_here.get(rule.event) or set_here.get(_EVERY) or rule.quiet.get(channel, NONE)


def _is_due(connection: Connection, channel: str, now: datetime) -> bool:
    return any(
        connection.execute(
            select(notice_messages.c.message_id).where(*_waits(channel, rank, now)).limit(1)
        ).first()
        for rank in RANKS
    )


def _waits(channel: str, rank: int, now: datetime) -> tuple[Any, ...]:
    """Rank by rank, so that a look reads of the index what is due, and not what waits besides."""
    return (
        notice_messages.c.channel == channel,
        notice_messages.c.rank == rank,
        notice_messages.c.due_at <= now,
    )


def _put_off_quiet(office: Office, channel: str) -> None:
    """Put off, by the hundreds, what waits in its quiet hours."""
    now = office.now()
    with office.reading() as connection:
        own = connection.execute(select(notice_quiet)).all()
    for rule in all_rules():
        end = may_leave_at(now, quiet_of(own, rule, channel), office.zone)
        if end <= now:
            continue
        waits = (
            select(notice_messages.c.message_id)
            .join(notices, notices.c.notice_id == notice_messages.c.notice_id)
            .where(
                notice_messages.c.channel == channel,
                notice_messages.c.due_at <= now,
                notices.c.event == rule.event,
                notice_messages.c.keep_until > _no_wait_until(rule, end),
            )
            .order_by(notice_messages.c.message_id)
            .limit(_BATCH)
            .with_for_update(of=notice_messages, skip_locked=True)
        )
        while True:
            with office.writing() as connection:
                ids = list(connection.scalars(waits))
                if ids:
                    connection.execute(
                        update(notice_messages)
                        .where(notice_messages.c.message_id.in_(ids))
                        .values(due_at=end)
                    )
            if len(ids) < _BATCH:
                break


def _no_wait_until(rule: Rule, end: datetime) -> datetime:
    """What is told of before this moment does not wait for the end of the quiet hours."""
    return end + timedelta(hours=rule.lead_h)


def _claim(
    office: Office, channel: str, adapter: Adapter, bill_files: BillFiles
) -> _Claimed | None:
    """The next message, committed as ``sending``; None: there is none, or the rate is used up."""
    while True:
        with office.writing() as connection:
            now = office.now()
            row = _next(connection, channel, now)
            if row is None:
                return None
            parcel = _prepared(connection, office, row, adapter, bill_files, now)
            if parcel is None:
                continue
            if not _take_turn(connection, channel, now):
                return None
            until = now + timedelta(seconds=adapter.send_s_max) + _MARGIN
            connection.execute(
                _of(row).values(
                    state="sending", due_at=None, sending_until=until, tries=row.tries + 1
                )
            )
            note(connection, row.message_id, now, "sending", SERVICE.name, "", parcel.reference)
        return _Claimed(row.message_id, parcel)


def _next(connection: Connection, channel: str, now: datetime) -> Any:
    """The first message that is due, unless somebody else has it; locked."""
    for rank in RANKS:
        row = connection.execute(
            locked()
            .where(*_waits(channel, rank, now))
            .add_columns(notices.c.about, notices.c.bill_id)
            .order_by(notice_messages.c.due_at, notice_messages.c.message_id)
            .limit(1)
            .with_for_update(of=notice_messages, skip_locked=True)
        ).first()
        if row is not None:
            return row
    return None


def _prepared(
    connection: Connection,
    office: Office,
    row: Any,
    adapter: Adapter,
    bill_files: BillFiles,
    now: datetime,
) -> Parcel | None:
    """What leaves; None: it does not leave now, and the row says why."""
    rule = rule_of(row.event)
    if row.keep_until <= now:
        give_up(connection, row, now, "it could not be sent in time")
        return None
    own = connection.execute(select(notice_quiet)).all()
    end = may_leave_at(now, quiet_of(own, rule, row.channel), office.zone)
    if end > now and row.keep_until > _no_wait_until(rule, end):
        connection.execute(_of(row).values(due_at=end))
        return None
    try:
        with attempt(connection):
            parcel = parcel_of(connection, office, row, adapter, bill_files)
    except (
        BillingError,
        VendingError,
    ) as fault:  # one message that cannot be made does not stop the others
        connection.execute(_of(row).values(due_at=now + _PUT_OFF))
        note(connection, row.message_id, now, "put_off", SERVICE.name, str(fault))
        _log.warning("notice_put_off", message=row.message_id, code=fault.code)
        return None
    if parcel is None:
        give_up(connection, row, now, "there is no address any more")
    return parcel


def parcel_of(
    connection: Connection,
    office: Office,
    row: Any,
    adapter: Adapter | None,
    bill_files: BillFiles,
) -> Parcel | None:
    """A message ready to leave; None: there is no address any more."""
    found = _address(connection, office, row)
    if found is None:
        return None
    address, name, account = found
    about = json.loads(row.about)
    wording = find_wording(row.language, office.language)
    setting = Setting(office.name, office.zone, office.currency)
    told = render(wording, setting, row.event, about, account=account, name=name)
    text = {"email": told.letter, "sms": told.sms, "wechat": told.chat}[row.channel]
    files: Sequence[Attachment] = ()
    if row.bill_id is not None and row.channel == "email":
        files = (bill_files(connection, office, row.bill_id, row.language),)
    domain = getattr(adapter, "domain", "meterhouse.invalid")
    return Parcel(reference_of(office, row, domain), address, told.subject, text, files)


def reference_of(office: Office, row: Any, domain: str) -> str:
    """A message's own reference: the same for every try of a round, and nobody can guess it.

    Nobody who knows other messages can make an answer to this one, so that a forged bounce or
    proof is known as such.
    """
    seal = office.seal.digest("notice.reference", f"{row.message_id}.{row.round}")
    return f"mh.{row.message_id}.{row.round}.{seal[:10].hex()}@{domain}"


def _address(connection: Connection, office: Office, row: Any) -> tuple[str, str, str] | None:
    """Address, name and account's number."""
    now = office.now()
    if row.staff_id is not None:
        staff = connection.execute(
            select(notice_staff).where(notice_staff.c.staff_id == row.staff_id)
        ).one()
        if staff.until is not None:
            return None
        return office.seal.open("staff.address", bytes(staff.address_sealed)), "", ""
    contact = connection.execute(
        select(contacts, customer_accounts.c.number)
        .join(customer_accounts, customer_accounts.c.account_id == contacts.c.account_id)
        .where(contacts.c.contact_id == row.contact_id)
    ).one()
    column, field = _ADDRESS[row.channel]
    sealed = getattr(contact, column)
    if sealed is None or (contact.until is not None and contact.until <= now):
        return None
    name = office.seal.open("contact.name", bytes(contact.name_sealed))
    return office.seal.open(field, bytes(sealed)), " ".join(name.split()), contact.number


def _take_turn(connection: Connection, channel: str, now: datetime) -> bool:
    """One of the messages that may leave in this minute, over all processes."""
    row = connection.execute(
        select(notice_channels).where(notice_channels.c.channel == channel).with_for_update()
    ).one()
    if not row.enabled:
        return False
    is_new = row.minute_at is None or not row.minute_at <= now < row.minute_at + _MINUTE
    count = 0 if is_new else row.minute_count
    if count >= row.per_minute:
        return False
    connection.execute(
        _channel(channel).values(minute_at=now if is_new else row.minute_at, minute_count=count + 1)
    )
    return True


def _send(office: Office, claimed: _Claimed, sender: Sender) -> None:
    """One attempt; a channel that is down has sent nothing."""
    down: NoticeChannelDownError | None = None
    try:
        outcome = sender.send(claimed.parcel)
    except NoticeChannelDownError as fault:
        down, outcome = fault, Outcome(Fate.AGAIN, str(fault))
    with office.writing() as connection:
        state = settle(connection, office, claimed.message_id, outcome, actor=SERVICE.name)
    _log.debug("notice_tried", message=claimed.message_id, state=state, fate=outcome.fate.value)
    if down is not None:
        raise down


def _pause(office: Office, channel: str, words: str) -> None:
    now = office.now()
    with office.writing() as connection:
        faults = connection.scalar(
            select(notice_channels.c.faults)
            .where(notice_channels.c.channel == channel)
            .with_for_update()
        )
        count = (faults or 0) + 1
        rest = timedelta(minutes=_PAUSE_MIN[min(count, len(_PAUSE_MIN)) - 1])
        connection.execute(
            _channel(channel).values(
                faults=count, paused_until=now + rest, last_fault_at=now, last_fault=words[:300]
            )
        )
    _log.warning("notice_channel_down", channel=channel, faults=count)


def _went_well(office: Office, channel: str) -> None:
    with office.writing() as connection:
        connection.execute(
            _channel(channel).values(faults=0, paused_until=None, last_ok_at=office.now())
        )


def _channel(channel: str) -> Any:
    return update(notice_channels).where(notice_channels.c.channel == channel)


def _of(row: Any) -> Any:
    return update(notice_messages).where(notice_messages.c.message_id == row.message_id)
