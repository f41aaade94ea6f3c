"""What the prepay loop tells customers; the outbox does the rest (specs/utility.md 16, 17, 22)."""

from __future__ import annotations

from datetime import date, datetime

from billing.notices.port import Event, Notice

NO_CREDIT = "no_credit"
"""The reason, as the texts of notices name it."""


def low_balance(
    account_id: int, mark: str, balance_minor: int, warn_minor: int, pay_minor: int
) -> Notice:
    """The balance has fallen below the warning limit.

    Args:
        account_id: whose.
        mark: what tells this fall from the next one.
        balance_minor: what is left.
        warn_minor: the limit.
        pay_minor: what brings the balance to it.
    """
    return Notice(
        Event.LOW_BALANCE,
        account_id,
        f"low_balance {account_id} {mark}",
        {
            "balance_minor": balance_minor,
            "warn_minor": warn_minor,
            "pay_minor": pay_minor,
        },
    )


def disconnect_notice(account_id: int, since: datetime, at: datetime, pay_minor: int) -> Notice:
    """A disconnect is coming, with its time and reason.

    Args:
        account_id: whose.
        since: when the balance fell below the floor; the next fall is told of too, even if the
            window is the same.
        at: when.
        pay_minor: what keeps the supply.
    """
    return Notice(
        Event.DISCONNECT_NOTICE,
        account_id,
        f"disconnect_notice {account_id} {since.isoformat()} {at.isoformat()}",
        {"disconnect_at": at.isoformat(), "reason": NO_CREDIT, "pay_minor": pay_minor},
    )


def disconnected(account_id: int, cut_id: int, at: datetime, pay_minor: int | None) -> Notice:
    """The meter shows that supply is off."""
    about: dict[str, str | int] = {"disconnected_at": at.isoformat()}
    if pay_minor is not None:
        about |= {"pay_minor": pay_minor, "reason": NO_CREDIT}
    return Notice(Event.DISCONNECTED, account_id, f"disconnected {cut_id}", about)


def reconnected(account_id: int, cut_id: int, at: datetime, balance_minor: int) -> Notice:
    """The meter shows that supply is on, or may be switched on."""
    return Notice(
        Event.RECONNECTED,
        account_id,
        f"reconnected {cut_id}",
        {"balance_minor": balance_minor, "reconnected_at": at.isoformat()},
    )


def days_left(
    account_id: int, days: int, runs_out: date, balance_minor: int, per_day_minor: int, today: date
) -> Notice:
    """About so many days are left."""
    return Notice(
        Event.DAYS_LEFT,
        account_id,
        f"days_left {account_id} {today.isoformat()}",
        {
            "days_left": days,
            "balance_minor": balance_minor,
            "per_day_minor": per_day_minor,
            "runs_out_on": runs_out.isoformat(),
        },
    )


def emergency_credit(
    account_id: int, emergency_id: int, amount_minor: int, balance_minor: int, reason: str
) -> Notice:
    """Credit was given in an emergency."""
    return Notice(
        Event.EMERGENCY_CREDIT,
        account_id,
        f"emergency_credit {emergency_id} {account_id}",
        {"amount_minor": amount_minor, "balance_minor": balance_minor, "reason": reason},
    )
