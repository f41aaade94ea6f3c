"""Relay control by wire (spec section 2.5): what each command does to the contact.

====  ===========================  ==============================================================
1A    trip                         held open; refused under power protection
1B    allow close                  the customer may close by the button; an announced trip is off
1C    direct close                 not held any more; an announced trip is off
1D    trip after N2 minutes        after the next payment the contact closes by itself (D: our
                                   reading of "later direct close")
1E    trip after N2 minutes        after the next payment the customer may close by the button (D)
2A/B  alarm on, off                shown, no more
3A    power protection on          the contact closes, and no order or want of credit opens it
3B    power protection off         the contact follows credit and limits again
====  ===========================  ==============================================================

A command is refused when the meter's own clock is past its validity.  "Taken" is not "supply on":
credit, covers and limits hold the contact too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from protocols.dlt645 import RelayCommand, RelayError
from simulators.contact import Order, RemoteControl
from simulators.metering.smart_meter import SmartMeter

_DONE: Final = RelayError(0)
_AFTER_TOP_UP: Final = {
    RelayCommand.TRIP_DELAYED_DIRECT_CLOSE: Order.CLOSED,
    RelayCommand.TRIP_DELAYED_ALLOW_CLOSE: Order.CLOSE_ALLOWED,
}


def obey(
    meter: SmartMeter, command: RelayCommand, parameter: int, valid_until: int, now: datetime
) -> RelayError:
    """Carry a command out.

    Args:
        meter: the meter.
        command: N1.
        parameter: N2; minutes for the trips with a delay, else ignored.
        valid_until: N3-N8, as a local of the meter's clock.
        now: true time.

    Returns:
        Why it is refused; no bit at all: it is done.
    """
    meter.advance(now)
    if meter.local > valid_until:
        return RelayError.VALIDITY_TIME_OVER
    remote = meter.flow.supply.remote
    refusal = _objection(remote, command, parameter)
    if refusal:
        return refusal
    meter.order(_ordered(remote, command, meter.second + parameter * 60), now)
    return _DONE


def _objection(remote: RemoteControl, command: RelayCommand, parameter: int) -> RelayError:
    if command is RelayCommand.TRIP and remote.is_protected:
        return RelayError.TRIP_FAILED_BY_PROTECTION
    if command not in _AFTER_TOP_UP:
        return _DONE
    if remote.is_protected:
        return RelayError.PRE_TRIP_FAILED_BY_PROTECTION
    if remote.order is Order.OPEN:
        return RelayError.PRE_TRIP_FAILED_ALREADY_TRIPPED
    return _DONE if parameter else RelayError.PRE_TRIP_DELAY_ZERO


def _ordered(remote: RemoteControl, command: RelayCommand, trip_at: int) -> RemoteControl:
    if command in _AFTER_TOP_UP:
        return replace(remote, trip_at=trip_at, after_top_up=_AFTER_TOP_UP[command])
    if command in (RelayCommand.ALARM_ON, RelayCommand.ALARM_OFF):
        return replace(remote, is_alarm_on=command is RelayCommand.ALARM_ON)
    if command is RelayCommand.PROTECTION_OFF:
        return replace(remote, is_protected=False)
    order = remote.order
    if command is RelayCommand.TRIP:
        order = Order.OPEN
    elif command is RelayCommand.ALLOW_CLOSE:
        order = Order.CLOSED if order is Order.CLOSED else Order.CLOSE_ALLOWED
    else:
        order = Order.CLOSED
    is_protected = remote.is_protected or command is RelayCommand.PROTECTION_ON
    return replace(remote, order=order, is_protected=is_protected, trip_at=None, after_top_up=None)
