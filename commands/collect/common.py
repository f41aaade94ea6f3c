"""What the commands of collections share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from billing.office import Office

account_argument = click.argument("account", metavar="ACCOUNT")


def account_id_of(office: Office, number: str) -> int:
    """The account of a number."""
    from billing.accounts.looking import account_by_number

    with office.reading() as connection:
        return account_by_number(connection, number).account_id


def local(office: Office, moment: datetime | None) -> str:
    """A moment in the utility's time; empty: there is none."""
    return "" if moment is None else f"{moment.astimezone(office.zone):%Y-%m-%d %H:%M}"


def last_day(office: Office, due_at: datetime) -> str:
    """The last day to pay what is due at a moment."""
    from billing.collecting.ageing import due_day

    return due_day(office, due_at).isoformat()


def iso(moment: datetime | None) -> str | None:
    """A moment for a machine."""
    return None if moment is None else moment.isoformat()
