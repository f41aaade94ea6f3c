"""What a sale does for a meter whose key is due to be changed: fault, offer or auto.

A key change is due when the key revision in the meter is outdated (its supply group has a
current one), or when its base date has ended (1993 did on 24 Nov 2024).  The supply group's
policy decides what a sale then does:

======  ==========================================================================
fault   refused, with the key change as the way out
offer   the shop asks (`KeyChangeOfferedError`); with the answer yes it is as auto
auto    the receipt has the key change's tokens, then the credit under the new key
======  ==========================================================================

A group that is not registered has the policy fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from storage.prepared import Prepared, Values
from vending.receipts.receipt import Reason
from vending.security.groups import KeyPolicy, KeyState
from vending.security.tables import key_revisions, supply_groups
from vending.shop.agreed import agreed
from vending.shop.faults import (
    KeyChangeOfferedError,
    KeyChangeRequiredError,
    KeyRevisionOutdatedError,
)
from vending.shop.meters import Meter, MeterKey
from vending.shop.rules import rules_of
from vending.sts import BaseDate, KeyExpiry, KeyRevision, KeyType

_KEN_BLOCK: Final = timedelta(minutes=1 << 16)
_WARNING_MAX: Final = timedelta(days=3_650)

_present = key_revisions.alias("present")
_current = key_revisions.alias("current")
_GROUP: Final = Prepared(
    select(
        supply_groups.c.policy,
        _present.c.state,
        _present.c.issued_until,
        _current.c.krn.label("current_krn"),
        _current.c.ken.label("current_ken"),
        _current.c.base_year.label("current_base_year"),
    )
    .outerjoin(
        _present,
        (_present.c.sgc == supply_groups.c.sgc) & (_present.c.krn == bindparam("in_meter")),
    )
    .outerjoin(
        _current,
        (_current.c.sgc == supply_groups.c.sgc) & (_current.c.state == KeyState.CURRENT.value),
    )
    .where(supply_groups.c.sgc == bindparam("of_group"))
)


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """How a meter's key stands at a moment."""

    is_outdated: bool
    """Its supply group has a newer revision that meters should have."""
    base_date_ended: bool
    """No token of today fits its base date."""
    policy: KeyPolicy
    new_key: MeterKey | None
    """What a due key change leads to; None when none is due, or when there is no way out."""
    ends: datetime
    """When the meter begins to refuse tokens, or no more are made for it."""

    @property
    def is_due(self) -> bool:
        """Whether the key should be changed before or with the next sale."""
        return self.is_outdated or self.base_date_ended


@agreed
def key_standing(connection: Connection, meter: Meter, now: datetime) -> KeyStanding:
    """How a meter's key stands; one query."""
    statement, values = asks_group(meter)
    group = statement.first(connection, values)
    outdated = (
        group is not None
        and group.state == KeyState.OUTDATED.value
        and group.current_krn is not None
        and group.current_krn != meter.key.krn
    )
    ended = now > meter.key.base_date.last
    return KeyStanding(
        is_outdated=outdated,
        base_date_ended=ended,
        policy=KeyPolicy.FAULT if group is None else KeyPolicy(group.policy),
        new_key=_due_key(meter, group, now) if outdated or ended else None,
        ends=_end(meter, group),
    )


def asks_group(meter: Meter) -> tuple[Prepared, Values]:
    """What `key_standing` asks."""
    return _GROUP, {"in_meter": meter.key.krn, "of_group": meter.key.sgc}


def key_to_change_to(meter: Meter, standing: KeyStanding, *, accepted: bool) -> MeterKey | None:
    """Which key a sale must move the meter to, if any.

    Args:
        meter: as it is.
        standing: of its key.
        accepted: whether the customer takes an offered key change.

    Raises:
        KeyRevisionOutdatedError, KeyChangeRequiredError: the policy is fault.
        KeyChangeOfferedError: the policy is offer, and nobody has answered yet.
    """
    if not standing.is_due or meter.blocked is not None or meter.key.key_type is KeyType.DEFAULT:
        return None  # nothing due, or refused for another reason
    new_key = standing.new_key
    if standing.policy is KeyPolicy.FAULT or new_key is None:
        raise change_required(meter, standing)
    if standing.policy is KeyPolicy.OFFER and not accepted:
        raise KeyChangeOfferedError(
            f"The key of meter {meter.number} is due to be changed ({_why(meter, standing)}). "
            "Ask whether the customer takes the key change with this sale; if so, ask again "
            "with accept_key_change, under the same message id."
        )
    return new_key


def expiry_message(
    connection: Connection, standing: KeyStanding, now: datetime
) -> tuple[str, Reason] | None:
    """What a receipt says ahead of the end of a key, in English and as data."""
    if standing.ends - now > _WARNING_MAX:
        return None
    if standing.ends - now > rules_of(connection).key_expiry_warning:
        return None
    day = f"{standing.ends:%Y-%m-%d}"
    return (
        f"The key of this meter ends on {day}: it has to be changed before then.",
        Reason("key_ends", (day,)),
    )


def way_out(meter: Meter, new_key: MeterKey | None) -> str:
    """The command that changes the key as is due."""
    if new_key is None:
        return "There is no later base date: the meter has to be exchanged."
    options = [
        f"--{name} {new}"
        for name, new, old in (
            ("krn", new_key.krn, meter.key.krn),
            ("ken", new_key.ken, meter.key.ken),
            ("base-year", new_key.base_date.value, meter.key.base_date.value),
        )
        if new != old
    ]
    command = " ".join(("meterhouse vend key-change", meter.number, *options))
    return f"Change its key first ({command})."


def change_required(
    meter: Meter, standing: KeyStanding
) -> KeyRevisionOutdatedError | KeyChangeRequiredError:
    """The refusal of a meter whose key change is due, with its way out."""
    if standing.base_date_ended:
        base = meter.key.base_date
        return KeyChangeRequiredError(
            f"Meter {meter.number} is still on base date {base.value}, which ended on "
            f"{base.last:%d %b %Y}: no token of today fits it. {way_out(meter, standing.new_key)}"
        )
    return KeyRevisionOutdatedError(
        f"Meter {meter.number} has key revision {meter.key.krn}, which is outdated. "
        f"{way_out(meter, standing.new_key)}"
    )


def _why(meter: Meter, standing: KeyStanding) -> str:
    if standing.base_date_ended:
        return f"base date {meter.key.base_date.value} has ended"
    return f"revision {meter.key.krn} is outdated"


def _due_key(meter: Meter, group: Any, now: datetime) -> MeterKey | None:
    key = meter.key
    if group is not None and group.current_krn is not None:
        key = replace(
            key,
            krn=KeyRevision(group.current_krn),
            ken=KeyExpiry(group.current_ken),
            base_date=max(key.base_date, BaseDate(group.current_base_year)),
        )
    if now <= key.base_date.last:
        return key
    later = (each for each in BaseDate if key.base_date < each and each.start <= now <= each.last)
    following = next(later, None)
    return None if following is None else replace(key, base_date=following)


def _end(meter: Meter, group: Any) -> datetime:
    base, ken = meter.key.base_date, meter.key.ken
    ends = [min(base.last, base.start + (ken + 1) * _KEN_BLOCK)]
    if group is not None and group.issued_until is not None:
        ends.append(group.issued_until)
    return min(ends)
