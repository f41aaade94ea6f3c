"""The account's line of the demo's last page: what was paid, settled and used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console

_NEAR_WH: Final = 20
"""Registers on the wire have two digits after the point of a kWh."""


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """Money in minor units, energy in Wh."""

    name: str
    number: str
    paid_minor: int
    """By the customer's own count."""
    settled_minor: int
    balance_minor: int
    """By the ledger."""
    settled_wh: int
    used_wh: int
    """By the customer's own count, while there was light."""


def account_disagreements(account: AccountFigures) -> list[str]:
    """Every equation that does not hold, in words."""
    wrong = []
    if account.paid_minor - account.settled_minor != account.balance_minor:
        wrong.append(
            f"{account.name}: paid less settled and the balance: "
            f"{account.paid_minor - account.settled_minor} against {account.balance_minor}"
        )
    if abs(account.settled_wh - account.used_wh) > _NEAR_WH:
        wrong.append(
            f"{account.name}: Wh settled and Wh by the home's own count: "
            f"{account.settled_wh} against {account.used_wh}"
        )
    return wrong


def account_object(account: AccountFigures) -> dict[str, Any]:
    """For a program."""
    return asdict(account)


def print_account(account: AccountFigures, currency: str, digits: int, console: Console) -> None:
    """For a person."""
    paid, settled, left = (
        _money(each, digits)
        for each in (account.paid_minor, account.settled_minor, account.balance_minor)
    )
    console.print(
        f"Account   {currency} {paid} paid by {account.name} = {settled} settled for "
        f"{account.settled_wh:,} Wh + {left} left.",
        soft_wrap=True,
    )


def _money(minor: int, digits: int) -> str:
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 10**digits)
    return f"{sign}{whole:,}.{part:0{digits}d}" if digits else f"{sign}{whole:,}"
