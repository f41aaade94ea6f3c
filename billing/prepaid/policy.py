"""The numbers of the prepay loop: one row, changed by whoever configures the office."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, update

from billing.office import Office
from billing.person import Right
from billing.prepaid.faults import PrepaidPolicyError
from billing.prepaid.tables import prepaid_policy
from storage import audit

_SOURCES: Final = ("agreement", "use")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidPolicy:
    """When customers are warned, how long one waits with them, and when they have light again."""

    limits: str
    """Where an account's limits come from: ``agreement``, or ``use`` (its own load and cycle)."""
    warn_days: int
    """Limits from use: warn when so many days are left."""
    notice_h: int
    """A disconnect is announced so long ahead."""
    notice_valid_h: int
    """After so long without a disconnect it is announced anew."""
    first_grace_h: int
    """So long nobody is cut who was not within `first_within_days`; from when they fell short."""
    first_within_days: int
    small_minor: int
    """Who is short by no more than this ..."""
    small_grace_h: int
    """... has so long."""
    good_grace_h: int
    """So long good payers have."""
    reconnect_above_minor: int
    """Supply comes back when the balance is so far above the floor."""
    asks_max: int
    """After so many disconnects that came to nothing a person decides."""
    look_again_h: int
    """So long until the next look at somebody who is not cut now: protected, without a meter."""
    remind_days: int
    """A reminder when the balance lasts for so many days; 0: never."""
    remind_from_hour: int
    """The hour of the utility's day from which on reminders are made."""
    use_days: int
    """The days of which an account's use is taken."""
    emergency_each_max_minor: int
    """The most that one account is given in one emergency."""

    @property
    def look_again(self) -> timedelta:
        """The same as a span."""
        return timedelta(hours=self.look_again_h)


_FIELDS: Final = tuple(field.name for field in fields(PrepaidPolicy))
_COLUMNS: Final = tuple(prepaid_policy.c[name] for name in _FIELDS)
_LEAST: Final = {"notice_valid_h": 1, "asks_max": 1, "look_again_h": 1, "use_days": 7}
_MOST: Final = {"remind_from_hour": 23, "use_days": 366}


def load_policy(connection: Connection) -> PrepaidPolicy:
    """The policy in force."""
    row = connection.execute(select(*_COLUMNS)).one()
    return PrepaidPolicy(**dict(zip(_FIELDS, row, strict=True)))


def set_policy(office: Office, changes: Mapping[str, Any]) -> PrepaidPolicy:
    """Change some of its values.

    Raises:
        RightMissingError: the person may not configure the office.
        PrepaidPolicyError: no such value, or one that it cannot be.
    """
    office.require(Right.CONFIGURE)
    for name, value in changes.items():
        _check(name, value)
    with office.writing() as connection:
        if changes:
            connection.execute(update(prepaid_policy), dict(changes))
            audit.record(
                connection,
                office.now(),
                actor=office.person.name,
                action="prepaid_policy.set",
                subject="prepaid",
                detail=", ".join(f"{name}={changes[name]}" for name in sorted(changes)),
            )
        return load_policy(connection)


def _check(name: str, value: Any) -> None:
    if name not in _FIELDS:
        raise PrepaidPolicyError(
            f"The prepaid policy has no {name!r}; it has {', '.join(_FIELDS)}."
        )
    if name == "limits":
        fits = value in _SOURCES
    else:
        least, most = _LEAST.get(name, 0), _MOST.get(name)
        fits = type(value) is int and value >= least and (most is None or value <= most)
    if not fits:
        raise PrepaidPolicyError(f"{name} cannot be {value!r}.")
