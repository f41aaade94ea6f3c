"""``meterhouse vend engineering``: tokens that set or clear something in one meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

import vending
from commands.counter import database_option, open_shop, operator_option, terminal_option
from commands.output import json_option
from commands.receipt_output import receipt_options
from commands.vend.answers import announce, show_result
from commands.vend.options import id_of, reason_option, request_options

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def engineering() -> None:
    """Tokens that set or clear something in METER; each needs a --reason.

    Clear credit, clear tamper, tariff rate and water factor take two people.
    """


def _options(command: _Command) -> _Command:
    for option in (
        receipt_options,
        json_option,
        database_option,
        terminal_option,
        operator_option,
        request_options,
        reason_option,
        click.argument("meter"),
    ):
        command = option(command)
    return command


def _issue(act: str, value: int, meter: str, more: dict[str, Any]) -> None:
    request = vending.EngineeringRequest(
        client=more["client"],
        message_id=id_of(more["message_id"]),
        meter=meter,
        act=vending.EngineeringAct(act),
        value=value,
        reason=more["reason"],
        operator=more["operator"],
        terminal=more["terminal"],
    )
    with open_shop(more["database"], keys_now=True) as shop:
        announce(request.message_id)
        result = shop.engineering.issue(request)
        click.get_current_context().exit(
            show_result(
                shop,
                result,
                as_json=more["as_json"],
                receipt_output=more["receipt_output"],
                operator=more["operator"],
            )
        )


@engineering.command(name="power-limit")
@_options
@click.argument("watts", type=int)
def power_limit(meter: str, watts: int, **more: Any) -> None:
    """Disconnect above so many WATTS."""
    _issue("power_limit", watts, meter, more)


@engineering.command(name="phase-limit")
@_options
@click.argument("watts", type=int)
def phase_limit(meter: str, watts: int, **more: Any) -> None:
    """Disconnect when phases differ by more WATTS."""
    _issue("phase_limit", watts, meter, more)


@engineering.command(name="clear-credit")
@_options
@click.option(
    "--register", type=int, default=0xFFFF, show_default=True, help="0-7; 65535 is all of them."
)
def clear_credit(meter: str, register: int, **more: Any) -> None:
    """Take all units out of METER."""
    _issue("clear_credit", register, meter, more)


@engineering.command(name="clear-tamper")
@_options
def clear_tamper(meter: str, **more: Any) -> None:
    """Let METER supply again after tampering was dealt with."""
    _issue("clear_tamper", 0, meter, more)


@engineering.command(name="water-factor")
@_options
@click.argument("factor", type=int)
def water_factor(meter: str, factor: int, **more: Any) -> None:
    """Set the FACTOR of a water meter."""
    _issue("water_factor", factor, meter, more)


@engineering.command(name="tariff-rate")
@_options
@click.argument("rate", type=int)
def tariff_rate(meter: str, rate: int, **more: Any) -> None:
    """Set the RATE of a meter that counts money."""
    _issue("tariff_rate", rate, meter, more)


@engineering.command(name="test")
@_options
@click.option(
    "--bit",
    "bits",
    type=click.IntRange(0, 35),
    multiple=True,
    help="What to test: 0 all, 1 breaker, 2 display, 3 totals, 4 key revision, 5 tariff index. "
    "[default: 0]",
)
def test(meter: str, bits: tuple[int, ...], **more: Any) -> None:
    """Make METER test or show something.  The token works in every meter."""
    _issue("meter_test", sum(1 << bit for bit in set(bits or (0,))), meter, more)
