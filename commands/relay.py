"""``meterhouse relay``: orders to a meter's contact, and what it shows afterwards."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from commands.wire.clocks import SpanParameter, ZoneParameter, clock_of
from commands.wire.lines import dlt_master, modbus_meter
from commands.wire.options import (
    ask_password,
    confirm,
    is_modbus,
    password_options,
    wire_options,
    yes_option,
)
from commands.wire.orders import finish, give
from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import NotInEditionError
from protocols.dlt645.fields import RelayCommand
from protocols.dlt645.master import Master, RelayResult
from protocols.dlt645.master.orders import one_meter
from protocols.dlt645.times import MeterTime

if TYPE_CHECKING:
    from protocols.modbus import RelayResult as ModbusRelayResult

_ORDERS: Final = {
    "trip": RelayCommand.TRIP,
    "allow-close": RelayCommand.ALLOW_CLOSE,
    "close": RelayCommand.DIRECT_CLOSE,
    "trip-then-close": RelayCommand.TRIP_DELAYED_DIRECT_CLOSE,
    "trip-then-allow-close": RelayCommand.TRIP_DELAYED_ALLOW_CLOSE,
    "alarm-on": RelayCommand.ALARM_ON,
    "alarm-off": RelayCommand.ALARM_OFF,
    "protect-on": RelayCommand.PROTECTION_ON,
    "protect-off": RelayCommand.PROTECTION_OFF,
}
_MODBUS_ORDERS: Final = {"trip": "open", "allow-close": "allow_close", "close": "close"}
_CONSEQUENCES: Final = {
    "trip": "This switches the customer's supply OFF.",
    "trip-then-close": "This switches the customer's supply OFF after a warning.",
    "trip-then-allow-close": "This switches the customer's supply OFF after a warning.",
    "close": "This switches the customer's supply ON: somebody may work on it.",
}


@click.command()
@click.argument("link")
@click.argument("meter")
@click.argument("order", type=click.Choice(list(_ORDERS)), metavar="ORDER")
@click.option(
    "--valid-for",
    type=SpanParameter(),
    default="10min",
    show_default=True,
    help="After so long, counted on the meter's own clock, it refuses the order (90s, 10min, 2h).",
)
@click.option(
    "--zone",
    type=ZoneParameter(),
    help="Count it on this machine's clock instead, in the zone that the meter's clock runs in.",
)
@click.option(
    "--delay",
    type=click.IntRange(1, 255),
    metavar="MIN",
    help="Minutes of warning; with trip-then-… only.",
)
@password_options
@yes_option
@wire_options
def relay(
    link: str,
    meter: str,
    order: str,
    valid_for: timedelta,
    zone: tzinfo | None,
    delay: int | None,
    password: str | None,
    level: int,
    operator: str,
    yes: bool,
    edition: Edition,
    profile: str | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Give an order to a meter's contact, once, and read back what it shows.

    \b
    ORDER  trip                    supply off
           allow-close             the customer may switch on with the button
           close                   supply on at once, where the meter permits it
           trip-then-close         warn for --delay minutes, trip, close later at once
           trip-then-allow-close   the same, close later by the button
           alarm-on  alarm-off
           protect-on  protect-off   the meter ignores trips, also on no credit

    Modbus meters know trip, allow-close and close, and need no password.

    Exit status: 0 done, 3 not done, 6 nobody can tell, or the contact has not followed yet.
    """
    if is_modbus(link):
        raise SystemExit(_modbus(link, meter, order, profile, trace, yes, as_json=as_json))
    if edition is not Edition.Y2007:
        raise NotInEditionError("Relay control does not exist in DL/T 645-1997.")
    address = one_meter(meter, edition)
    secret = ask_password(password, level)
    _confirm(order, address, yes=yes)

    async def give_order() -> RelayResult:
        async with dlt_master(link, edition, trace) as master:
            until = await _valid_until(master, address, valid_for, zone)
            return await master.relay(
                address, _ORDERS[order], until, secret, operator, delay_min=delay
            )

    result = give(give_order())
    details = {
        "meter": address,
        "order": order,
        "was_sent": result.was_sent,
        "supply_on": result.supply_on,
        "awaits_button": result.awaits_button or None,
        "power_protection": (result.status and result.status.power_protection) or None,
    }
    raise SystemExit(finish(result.outcome, result.text, details, as_json=as_json))


async def _valid_until(
    master: Master, address: str, valid_for: timedelta, zone: tzinfo | None
) -> MeterTime:
    """On the meter's clock, since that is what the meter compares it with."""
    if zone is not None:
        return MeterTime.of(clock_of(zone)() + valid_for)
    return MeterTime.of((await master.read_clock(address)).at(UTC) + valid_for)


def _confirm(order: str, meter: str, *, yes: bool) -> None:
    consequence = _CONSEQUENCES.get(order, "")
    confirm(f"{consequence} Give the order {order} to meter {meter}?".strip(), yes=yes)


def _modbus(
    link: str,
    unit: str,
    order: str,
    profile: str | None,
    trace: Path | None,
    yes: bool,
    *,
    as_json: bool,
) -> int:
    from protocols.modbus import RelayAction, order_relay

    if order not in _MODBUS_ORDERS:
        raise click.UsageError(f"Modbus meters know {', '.join(_MODBUS_ORDERS)}, not {order}.")
    _confirm(order, f"unit {unit}", yes=yes)

    async def give_order() -> ModbusRelayResult:
        async with modbus_meter(link, unit, profile, trace) as meter:
            return await order_relay(meter, RelayAction(_MODBUS_ORDERS[order]))

    result = give(give_order())
    details = {
        "meter": f"unit {unit}",
        "order": order,
        "was_sent": result.was_sent,
        "supply_on": {"closed": True, "open": False}.get(result.contact_state or ""),
        "relay_control": result.relay_control,
        "open_because": list(result.open_reasons) or None,
    }
    return finish(result.outcome, result.text, details, as_json=as_json)
