"""Contacts and channels for tests."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert

from billing.accounts.rows import insert_contact
from billing.accounts.values import ContactDetails
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

    details = ContactDetails(
        name="Li Wei",
        role=role,
        email=email,
        phone=phone,
        wechat=wechat,
        language=language,
        gets_bill=gets_bill,
        gets_notices=gets_notices,
    )
    return insert_contact(connection, office, account_id, details)


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
