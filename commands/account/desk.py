"""The desk for accounts for the length of a command, and what its commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.office import open_office
from commands.office_work import settle_to_the_end

if TYPE_CHECKING:
    from billing.accounts.desk import AccountDesk


@contextmanager
def open_desk(database: str) -> Iterator[AccountDesk]:
    """The desk for accounts, with the room of settlements at hand."""
    from billing.accounts.desk import AccountDesk

    with open_office(database) as office:
        yield AccountDesk(office, settle_to_the_end)


def amount(desk: AccountDesk, text: str) -> int:
    """An amount as it was typed, perhaps below zero, in minor units."""
    sign = -1 if text.startswith("-") else 1
    return sign * desk.office.currency.parse(text.removeprefix("-"))


def unread_hours(desk: AccountDesk, number: str, cycle: object) -> str | None:
    """What is lacking for an account that is to be settled by the hour; None: nothing."""
    from billing.settlement.hourly import unread_hours as lacking

    if cycle != "hourly":
        return None
    account_id = desk.card(number).account.account_id
    with desk.office.reading() as connection:
        return lacking(connection, desk.office, account_id)
