"""What the commands of bills share: what is typed, what is shown, which files are written."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from billing.bills.bill import Bill
    from billing.office import Office

CLASSES: Final = click.Choice(["residential", "commercial", "industrial", "public"])


def bill_object(found: Bill, office: Office) -> dict[str, Any]:
    return {
        "bill": found.number,
        "account": found.number.rpartition("-")[0],
        "kind": found.kind.value,
        "period": found.period,
        "made_at": found.made_at.isoformat(),
        "made_by": found.made_by,
        "due_on": found.due_on(office.zone).isoformat(),
        "currency": found.currency,
        "previous_minor": found.opening_minor,
        **{f"{group.value}_minor": minor for group, minor in found.sums.items()},
        "total_minor": found.total_minor,
        "to_pay_minor": found.to_pay_minor,
        "deposit_held_minor": found.deposit_minor,
        "plan_left_minor": found.plan_minor,
        "entries": [found.after_seq + 1, found.through_seq],
    }


def account_id_of(office: Office, number: str) -> int:
    from billing.accounts.looking import account_by_number

    with office.reading() as connection:
        return account_by_number(connection, number).account_id


def day_of(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise click.BadParameter(f"{typed!r} is not a day like 2026-11-21.") from None


def require_new(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise click.BadParameter(f"{path} is there already: name another.")


def write_new(path: Path, content: bytes) -> None:
    """To a file that is its owner's alone: bills are personal."""
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise click.BadParameter(f"{path} is there already: name another.") from None
