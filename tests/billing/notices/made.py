"""Contacts and channels for tests."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert

from billing.accounts.tables import contacts
from billing.notices.tables import notice_channels
from billing.office import Office


def make_contact(
    connection: Connection,
    office: Office,
    account_id: int,
    *,
    email: str | None = "li.wei@example.org",
    phone: str | None = None,
    wechat: str | None = None,
    language: str | None = None,
    role: str = "customer",
    gets_bill: bool = True,
    gets_notices: bool = True,
) -> int:
    """A contact of an account; gives its id."""

    def sealed(field: str, text: str | None) -> bytes | None:
        return None if text is None else office.seal.seal(field, text)

    number: int = connection.execute(
        insert(contacts)
        .values(
            account_id=account_id,
            role=role,
            name_sealed=office.seal.seal("contact.name", "Li Wei"),
            email_sealed=sealed("contact.email", email),
            phone_sealed=sealed("contact.phone", phone),
            wechat_sealed=sealed("contact.wechat", wechat),
            language=language,
            gets_bill=int(gets_bill),
            gets_notices=int(gets_notices),
            since=office.now(),
        )
        .returning(contacts.c.contact_id)
    ).scalar_one()
    return number


def set_up(
    connection: Connection,
    office: Office,
    channel: str,
    adapter: str,
    settings: dict[str, Any],
    *,
    per_minute: int = 6_000,
) -> None:
    """Set a channel up by a plain insert."""
    connection.execute(
        insert(notice_channels).values(
            channel=channel,
            adapter=adapter,
            settings=json.dumps(settings),
            enabled=1,
            per_minute=per_minute,
            minute_count=0,
            faults=0,
            set_at=office.now(),
            set_by="test",
        )
    )
