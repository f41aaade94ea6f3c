"""Confirm meter, confirm customer: who it is, whether it can be sold to, what is due.

Found by meter number, account, identity number, name or location.  Numbers are looked up in
their indexes; only when nothing has the number are names and locations searched, which reads
through all meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, or_, select

from vending.errors import VendingError
from vending.people.actor import Permission
from vending.price.debts import Debt, debts_of
from vending.receipts.receipt import ReceiptKind
from vending.security.groups import KeyPolicy
from vending.shop.by_units import limits_of
from vending.shop.faults import KeyChangeRequiredError, RequestFormatError
from vending.shop.giveout import require_supplied
from vending.shop.giving import free_basic_due
from vending.shop.house import House
from vending.shop.key_change import is_reversed
from vending.shop.key_policy import key_standing
from vending.shop.meters import Meter, find_meter
from vending.shop.rules import rules_of
from vending.shop.tables import key_changes, meters, receipts
from vending.shop.values import require_text, require_whole

_FOUND_MAX: Final = 100
_TEXT_MIN: Final = 2
_ESCAPE: Final = "\\"


@dataclass(frozen=True, slots=True)
class FoundMeter:
    """One line of a search."""

    number: str
    customer: str
    account: str
    location: str
    resource: str
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class LastPurchase:
    """What was last sold to a meter."""

    receipt_no: int
    at: datetime
    units: int
    """Tenths."""
    tendered_minor: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a clerk should know of a meter's key."""

    is_outdated: bool
    """A newer revision is current in its supply group."""
    base_date_ended: bool
    """No token of today fits it: the key has to be changed."""
    ends: datetime
    """When the meter begins to refuse tokens, or no more are made for it."""
    ends_soon: bool
    change_state: str | None
    """Of its last key change: pending, issued or confirmed; None without one.  One whose receipt
    was reversed is none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a look-up tells of a meter.  Money in minor units, units in tenths."""

    meter: Meter
    can_vend: bool
    why_not: VendingError | None
    """The refusal that any sale would meet at this moment."""
    minimum_minor: int
    maximum_minor: int
    free_basic_due: int
    """The month's free units that its service point may still take."""
    last_purchase: LastPurchase | None
    debts: tuple[Debt, ...]
    """Those that are not paid off."""
    key: KeyState


@dataclass(frozen=True, slots=True)
class LookupDesk:
    """Find meters and customers."""

    house: House

    def confirm_meter(self, number: str) -> Standing:
        """What is known of a meter at this moment; writes nothing.

        Raises:
            PermissionDeniedError: the actor may not look.
            CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
            UnknownMeterError: not registered.
        """
        self.house.require(Permission.LOOK)
        now = self.house.now()
        with self.house.reading() as connection:
            return _standing(connection, self.house, find_meter(connection, number), now)

    def find(self, text: str, *, limit: int = 20) -> tuple[FoundMeter, ...]:
        """Meters by number, account or identity number; else by a part of name or location.

        Capital letters and small ones are the same (where the database knows them: SQLite
        knows those of English only).

        Raises:
            PermissionDeniedError: the actor may not look.
            RequestFormatError: less than two characters, or not a limit of 1 to 100.
        """
        self.house.require(Permission.LOOK)
        wanted = require_text("What is looked for", text).strip()
        if len(wanted) < _TEXT_MIN:
            raise RequestFormatError("Look for at least two characters.")
        if not 1 <= require_whole("The limit of a search", limit) <= _FOUND_MAX:
            raise RequestFormatError(f"The limit of a search is 1 to {_FOUND_MAX}.")
        digits = wanted.replace(" ", "").replace("-", "")
        with self.house.reading() as connection:
            by_number = _rows(connection, _by_number(wanted, digits), limit)
            return by_number or _rows(connection, _by_name(wanted), limit)


def _standing(connection: Connection, house: House, meter: Meter, now: datetime) -> Standing:
    why_not = _refusal(connection, house, meter, now)
    minimum_minor, maximum_minor = limits_of(house.utility, meter)
    return Standing(
        meter=meter,
        can_vend=why_not is None,
        why_not=why_not,
        minimum_minor=minimum_minor,
        maximum_minor=maximum_minor,
        free_basic_due=free_basic_due(connection, house, meter, now),
        last_purchase=_last_purchase(connection, meter),
        debts=tuple(debt for debt in debts_of(connection, meter.meter_id) if debt.left_minor),
        key=_key_state(connection, meter, now),
    )


def _refusal(
    connection: Connection, house: House, meter: Meter, now: datetime
) -> VendingError | None:
    try:
        house.watch.require(connection, now)
        require_supplied(connection, meter, now)
    except KeyChangeRequiredError as fault:
        key = key_standing(connection, meter, now)
        with_the_sale = key.policy is not KeyPolicy.FAULT and key.new_key is not None
        return None if with_the_sale else fault
    except VendingError as fault:
        return fault
    return None


def _last_purchase(connection: Connection, meter: Meter) -> LastPurchase | None:
    reversal = receipts.alias("reversal")
    undone = select(reversal.c.receipt_no).where(
        reversal.c.reversed_receipt_no == receipts.c.receipt_no,
        reversal.c.kind == ReceiptKind.REVERSAL.value,
    )
    row = connection.execute(
        select(
            receipts.c.receipt_no,
            receipts.c.issued_at,
            receipts.c.units,
            receipts.c.tendered_minor,
        )
        .where(
            receipts.c.meter_id == meter.meter_id,
            receipts.c.kind == ReceiptKind.CREDIT.value,
            ~undone.exists(),
        )
        .order_by(receipts.c.issued_at.desc(), receipts.c.receipt_no.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return LastPurchase(row.receipt_no, row.issued_at, row.units, row.tendered_minor)


def _key_state(connection: Connection, meter: Meter, now: datetime) -> KeyState:
    standing = key_standing(connection, meter, now)
    change_state: str | None = connection.scalar(
        select(key_changes.c.state)
        .where(
            key_changes.c.meter_id == meter.meter_id,
            # one that is pending has no receipt yet
            key_changes.c.receipt_no.is_(None) | ~is_reversed(key_changes.c.receipt_no),
        )
        .order_by(key_changes.c.key_change_id.desc())
        .limit(1)
    )
    return KeyState(
        is_outdated=standing.is_outdated,
        base_date_ended=standing.base_date_ended,
        ends=standing.ends,
        ends_soon=standing.ends - now <= rules_of(connection).key_expiry_warning,
        change_state=change_state,
    )


def _by_number(wanted: str, digits: str) -> Any:
    return or_(
        meters.c.number == digits,
        (meters.c.account != "") & (meters.c.account == wanted),
        (meters.c.id_number != "") & (meters.c.id_number == wanted),
    )


def _by_name(wanted: str) -> Any:
    escaped = wanted.lower()
    for special in (_ESCAPE, "%", "_"):
        escaped = escaped.replace(special, _ESCAPE + special)
    part = f"%{escaped}%"
    return or_(
        func.lower(meters.c.customer).like(part, escape=_ESCAPE),
        func.lower(meters.c.location).like(part, escape=_ESCAPE),
    )


def _rows(connection: Connection, condition: Any, limit: int) -> tuple[FoundMeter, ...]:
    wanted: Select[Any] = (
        select(
            meters.c.number,
            meters.c.customer,
            meters.c.account,
            meters.c.location,
            meters.c.resource,
            meters.c.blocked,
        )
        .where(condition)
        .order_by(meters.c.number)
        .limit(limit)
    )
    return tuple(
        FoundMeter(
            row.number,
            row.customer,
            row.account,
            row.location,
            row.resource,
            row.blocked is not None,
        )
        for row in connection.execute(wanted)
    )
