"""The outbox takes what is to be told, in the transaction of what it tells of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from billing.accounts.tables import agreements, contacts, customer_accounts, customers
from billing.faults import UnknownAccountError
from billing.notices.callbacks import open_callbacks
from billing.notices.faults import NoticeFieldsError
from billing.notices.messages import Addressee, queue_messages
from billing.notices.port import FIELDS, Event, Notice
from billing.notices.rules import Rule, rule_or_ours
from billing.notices.tables import notice_channels, notices
from billing.office import Office

NONE_WANTED: Final = "none"
"""The notice channel of an agreement whose people want no notices."""
_AT_ONCE: Final = 500
_LONGEST: Final = 500
_ADDRESSES: Final = {
    "email": contacts.c.email_sealed,
    "sms": contacts.c.phone_sealed,
    "wechat": contacts.c.wechat_sealed,
}


def queue_notice(connection: Connection, office: Office, notice: Notice) -> int | None:
    """Take one notice; see `queue_notices`."""
    return queue_notices(connection, office, [notice])[0]


def queue_notices(
    connection: Connection, office: Office, asked: Sequence[Notice]
) -> list[int | None]:
    """Take notices; a sweep may do what is committed here at any time afterwards.

    A notice that reaches nobody (no contact has an address for a channel that is set up) is kept
    all the same; where its rule says so, a person is asked to call.

    Args:
        connection: in the write transaction of what is told of.
        office: the office.
        asked: any number.

    Returns:
        the notices' numbers; None: it was known already, or the account wants none.

    Raises:
        NoticeFieldsError: a notice does not say what its event needs.
        UnknownAccountError: there is no such account.
    """
    for notice in asked:
        require_fields(notice.event, notice.about)
    taken: list[int | None] = []
    for start in range(0, len(asked), _AT_ONCE):
        taken += _queue(connection, office, asked[start : start + _AT_ONCE])
    return taken


def require_fields(event: Event, about: Mapping[str, str | int]) -> None:
    """Refuse what the event's texts could not be made of.

    Raises:
        NoticeFieldsError: says which field.
    """
    missing = sorted(FIELDS[event].needed - set(about))
    if missing:
        raise NoticeFieldsError(f"A notice {event.value} has to say: {', '.join(missing)}.")
    for name, value in about.items():
        if not _fits(name, value):
            raise NoticeFieldsError(f"A notice's field {name} is malformed.")


@dataclass(frozen=True, slots=True)
class _People:
    preferred: str
    language: str
    people: Sequence[Any]
    """Rows of `contacts`, with the channels that they have an address for."""


def _queue(connection: Connection, office: Office, asked: Sequence[Notice]) -> list[int | None]:
    at = office.now()
    fresh = _not_known(connection, asked)
    people = _people(connection, office, {each.account_id for each in fresh}, at)
    on = _channels_on(connection)
    chosen: dict[str, tuple[Notice, Rule, list[Addressee]]] = {}
    for notice in fresh:
        rule = rule_or_ours(notice.event.value)
        whom = _addressees(rule, people[notice.account_id], on)
        if whom is not None:
            chosen[notice.once] = notice, rule, whom
    ids = _insert(connection, office, [notice for notice, _, _ in chosen.values()], at)
    unheard: list[tuple[int, int]] = []
    wanted: list[tuple[int, Rule, datetime, list[Addressee]]] = []
    for once, (notice, rule, whom) in chosen.items():
        if once not in ids:
            continue
        if whom:
            wanted.append((ids[once], rule, keep_until_of(notice.about, rule, at), whom))
        elif rule.callback and on:
            unheard.append((notice.account_id, ids[once]))
    queue_messages(connection, office, wanted, at)
    open_callbacks(connection, unheard, at)
    return [ids.pop(each.once, None) for each in asked]


def _not_known(connection: Connection, asked: Sequence[Notice]) -> list[Notice]:
    by_once = {each.once: each for each in reversed(asked)}
    known = connection.scalars(select(notices.c.once).where(notices.c.once.in_(by_once)))
    for once in known:
        del by_once[once]
    return list(reversed(by_once.values()))


def _insert(
    connection: Connection, office: Office, fresh: Sequence[Notice], at: datetime
) -> dict[str, int]:
    """Once → number of what is new; on PostgreSQL somebody else may have been faster."""
    if not fresh:
        return {}
    rows = [
        {
            "once": each.once,
            "event": each.event.value,
            "account_id": each.account_id,
            "about": canonical(each.about),
            "bill_id": each.bill_id,
            "asked_at": at,
            "asked_by": office.person.name,
        }
        for each in sorted(fresh, key=lambda each: each.once)  # two callers wait in one order
    ]
    given = (notices.c.once, notices.c.notice_id)
    if connection.dialect.name == "sqlite":
        made = connection.execute(insert(notices).returning(*given), rows)
    else:
        statement = postgresql_insert(notices).on_conflict_do_nothing().returning(*given)
        made = connection.execute(statement, rows)
    return {row.once: row.notice_id for row in made}


def canonical(about: Mapping[str, Any]) -> str:
    """JSON of one form."""
    return json.dumps(dict(about), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _people(
    connection: Connection, office: Office, account_ids: set[int], at: datetime
) -> dict[int, _People]:
    newest = (
        select(agreements.c.account_id, func.max(agreements.c.version).label("version"))
        .where(agreements.c.account_id.in_(account_ids), agreements.c.since <= at)
        .group_by(agreements.c.account_id)
        .subquery()
    )
    rows = connection.execute(
        select(customer_accounts.c.account_id, customers.c.language, agreements.c.notice_channel)
        .join(customers, customers.c.customer_id == customer_accounts.c.customer_id)
        .outerjoin(newest, newest.c.account_id == customer_accounts.c.account_id)
        .outerjoin(
            agreements,
            and_(
                agreements.c.account_id == newest.c.account_id,
                agreements.c.version == newest.c.version,
            ),
        )
        .where(customer_accounts.c.account_id.in_(account_ids))
    )
    found = {
        row.account_id: _People(row.notice_channel or "", row.language or office.language, [])
        for row in rows
    }
    if len(found) != len(account_ids):
        raise UnknownAccountError("A notice names an account that is not there.")
    of_accounts = connection.execute(
        select(
            contacts.c.contact_id,
            contacts.c.account_id,
            contacts.c.language,
            contacts.c.gets_bill,
            contacts.c.gets_notices,
            *(column.is_not(None).label(channel) for channel, column in _ADDRESSES.items()),
        )
        .where(
            contacts.c.account_id.in_(account_ids),
            contacts.c.since <= at,
            or_(contacts.c.until.is_(None), contacts.c.until > at),
        )
        .order_by(contacts.c.contact_id)
    )
    by_account: dict[int, list[Any]] = {}
    for row in of_accounts:
        by_account.setdefault(row.account_id, []).append(row)
    return {
        number: _People(each.preferred, each.language, by_account.get(number, []))
        for number, each in found.items()
    }


def _channels_on(connection: Connection) -> tuple[str, ...]:
    rows = connection.scalars(
        select(notice_channels.c.channel).where(notice_channels.c.enabled == 1)
    )
    on = set(rows)
    return tuple(channel for channel in _ADDRESSES if channel in on)


def _addressees(rule: Rule, account: _People, on: Sequence[str]) -> list[Addressee] | None:
    """Who is told by which channel; None: they want no notices."""
    wish = "gets_bill" if rule.for_bills else "gets_notices"
    wanting = [each for each in account.people if getattr(each, wish)]
    if not rule.must and (account.preferred == NONE_WANTED or (account.people and not wanting)):
        return None
    chosen: list[Addressee] = []
    for each in wanting or (account.people if rule.must else ()):
        ways = _ways(rule, account.preferred, [way for way in on if getattr(each, way)])
        language = each.language or account.language
        chosen += [Addressee(way, language, contact_id=each.contact_id) for way in ways]
    return chosen


def _ways(rule: Rule, preferred: str, reachable: Sequence[str]) -> Sequence[str]:
    if rule.ways == "all" or not reachable:
        return reachable
    first = preferred if preferred in reachable else reachable[0]
    return [way for way in reachable if way == first or way in rule.also]


def keep_until_of(about: Mapping[str, Any], rule: Rule, at: datetime) -> datetime:
    """Until when a notice says something new."""
    named = about.get(rule.keep_field)
    if isinstance(named, str) and rule.keep_field.endswith("_at"):
        return datetime.fromisoformat(named)
    return at + timedelta(hours=rule.keep_h)


def _fits(name: str, value: str | int) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    if isinstance(value, str) and (len(value) > _LONGEST or not value.isprintable()):
        return False
    if name.endswith(("_minor", "_wh")):
        return isinstance(value, int)
    if name.endswith("_at"):
        return isinstance(value, str) and _is_moment(value)
    if name.endswith("_on"):
        return isinstance(value, str) and _is_day(value)
    return True


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
