"""What the commands of settlement share: what is typed, how moments and energies are shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.settlement.looking import Settlement


def day_of(text: str, hint: str) -> date:
    """A day as it is typed."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no day, such as 2026-11-30.", param_hint=hint
        ) from None


def month_of(text: str) -> date:
    """The first day of a month as it is typed."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no month, such as 2026-11.", param_hint="MONTH"
        ) from None


def wh_of(text: str, hint: str) -> int:
    """kWh as they are typed, in Wh."""
    try:
        number = Decimal(text) * 1000
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number != int(number):
        raise click.BadParameter(f"{text!r} is no energy in kWh, such as 12.5.", param_hint=hint)
    return int(number)


def kwh(wh: int) -> str:
    """Wh as people read them."""
    sign = "-" if wh < 0 else ""
    return f"{sign}{abs(wh) // 1000:,}.{abs(wh) % 1000:03d}"


def when(moment: datetime, zone: tzinfo) -> str:
    """A moment in the utility's zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def account_id_of(connection: Connection, number: str) -> int:
    """The account of a number."""
    from billing.accounts.looking import account_by_number

    return account_by_number(connection, number).account_id


def settlement_object(each: Settlement) -> dict[str, Any]:
    """A settlement for machines."""
    return {
        "settlement": f"{each.supply_id}.{each.seq}",
        "since": each.since.isoformat(),
        "until": each.until.isoformat(),
        "sign": each.sign,
        "reverses": each.reverses_seq,
        "replaces": each.replaces_seq,
        "energy_wh": each.energy_wh,
        "amount_minor": each.amount_minor,
        "tax_minor": each.tax_minor,
        "estimated": each.is_estimated,
        "reason": each.reason,
        "settled_at": each.settled_at.isoformat(),
        "settled_by": each.settled_by,
        "readings": each.readings,
        "parts": [
            {
                "tariff": part.tariff,
                "version": part.version,
                "since": part.since.isoformat(),
                "until": part.until.isoformat(),
                "split": part.split,
                "energy_wh": dict(part.energy_wh),
                "lines": [
                    {
                        "kind": line.kind.value,
                        "code": line.code,
                        "words": line.words,
                        "amount": str(line.amount),
                    }
                    for line in part.lines
                ],
            }
            for part in each.parts
        ],
    }
