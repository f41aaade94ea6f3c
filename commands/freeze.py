"""``meterhouse freeze``: have meters keep their registers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from commands.output import json_option
from commands.wire.lines import dlt_master, require_dlt645
from commands.wire.options import confirm, trace_option, yes_option
from commands.wire.orders import finish, give
from protocols.dlt645.addresses import BROADCAST
from protocols.dlt645.controls import Edition
from protocols.dlt645.master import OrderResult
from protocols.dlt645.master.orders import one_meter
from protocols.dlt645.requests import freeze_time
from protocols.dlt645.times import MeterTime

_WHEN: Final = re.compile(
    r"now|(?:hourly (?P<m1>\d{1,2})"
    r"|daily (?P<h2>\d{1,2}):(?P<m2>\d{2})"
    r"|monthly (?P<d3>\d{1,2}) (?P<h3>\d{1,2}):(?P<m3>\d{2}))"
)


@click.command()
@click.argument("link")
@click.argument("meter", required=False)
@click.option("--broadcast", is_flag=True, help="All meters on the line; takes no METER.")
@click.option(
    "--when",
    default="now",
    show_default=True,
    help="now, 'hourly MM', 'daily hh:mm' or 'monthly DD hh:mm'.",
)
@yes_option
@trace_option
@json_option
def freeze(
    link: str,
    meter: str | None,
    broadcast: bool,
    when: str,
    yes: bool,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Have a meter, or all on the line, keep their registers (DL/T 645-2007).

    What was kept is read as items 05…: `meterhouse items instant freeze time`.
    """
    require_dlt645(link, "Freezing")
    if broadcast == (meter is not None):
        raise click.UsageError("Give a METER, or --broadcast for all of them.")
    address = BROADCAST if meter is None else one_meter(meter, Edition.Y2007)
    moment = _when(when)
    whom = "ALL meters on this line" if meter is None else f"meter {address}"
    confirm(f"Have {whom} freeze {when}?", yes=yes)

    async def order() -> OrderResult:
        async with dlt_master(link, Edition.Y2007, trace) as master:
            return await master.freeze(address, moment)

    result = give(order())
    details = {"meter": address, "was_sent": result.was_sent}
    raise SystemExit(finish(result.outcome, result.text, details, as_json=as_json))


def _when(text: str) -> MeterTime | None:
    """None: now."""
    match = _WHEN.fullmatch(" ".join(text.split()))
    if match is None:
        raise click.UsageError("--when is now, 'hourly MM', 'daily hh:mm' or 'monthly DD hh:mm'.")
    parts = {name: int(digits) for name, digits in match.groupdict().items() if digits}
    if not parts:
        return None
    names = {"m": "minute", "h": "hour", "d": "day"}
    return freeze_time(**{names[name[0]]: part for name, part in parts.items()})
