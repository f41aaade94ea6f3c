"""``meterhouse vend engineering``: tokens that set or clear something in one meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

import vending
from commands.vend.asking import Asked, asks_shop
from commands.vend.options import reason_option


@click.group()
def engineering() -> None:
    """Tokens that set or clear something in METER; each needs a --reason.

    Clear credit, clear tamper, tariff rate and water factor take two people.
    """


def _issue(act: str, value: int, meter: str, reason: str, asked: Asked) -> None:
    request = vending.EngineeringRequest(
        meter=meter,
        act=vending.EngineeringAct(act),
        value=value,
        reason=reason,
        **asked.who(),
    )
    asked.answer(lambda shop: shop.engineering.issue(request), keys_now=True)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("meter")(reason_option(asks_shop(command)))


@engineering.command(name="power-limit")
@_options
@click.argument("watts", type=int)
def power_limit(meter: str, watts: int, reason: str, asked: Asked) -> None:
    """Disconnect above so many WATTS."""
    _issue("power_limit", watts, meter, reason, asked)


@engineering.command(name="phase-limit")
@_options
@click.argument("watts", type=int)
def phase_limit(meter: str, watts: int, reason: str, asked: Asked) -> None:
    """Disconnect when phases differ by more WATTS."""
    _issue("phase_limit", watts, meter, reason, asked)


@engineering.command(name="clear-credit")
@_options
@click.option(
    "--register", type=int, default=0xFFFF, show_default=True, help="0-7; 65535 is all of them."
)
def clear_credit(meter: str, register: int, reason: str, asked: Asked) -> None:
    """Take all units out of METER."""
    _issue("clear_credit", register, meter, reason, asked)


@engineering.command(name="clear-tamper")
@_options
def clear_tamper(meter: str, reason: str, asked: Asked) -> None:
    """Let METER supply again after tampering was dealt with."""
    _issue("clear_tamper", 0, meter, reason, asked)


@engineering.command(name="water-factor")
@_options
@click.argument("factor", type=int)
def water_factor(meter: str, factor: int, reason: str, asked: Asked) -> None:
    """Set the FACTOR of a water meter."""
    _issue("water_factor", factor, meter, reason, asked)


@engineering.command(name="tariff-rate")
@_options
@click.argument("rate", type=int)
def tariff_rate(meter: str, rate: int, reason: str, asked: Asked) -> None:
    """Set the RATE of a meter that counts money."""
    _issue("tariff_rate", rate, meter, reason, asked)


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
def test(meter: str, bits: tuple[int, ...], reason: str, asked: Asked) -> None:
    """Make METER test or show something.  The token works in every meter."""
    _issue("meter_test", sum(1 << bit for bit in set(bits or (0,))), meter, reason, asked)
