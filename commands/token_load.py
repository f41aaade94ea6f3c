"""``meterhouse token load``: 20 digits into an STS meter, by wire."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

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
from protocols.dlt645.master import TokenLoad
from protocols.dlt645.master.orders import one_meter
from protocols.outcomes import Outcome
from protocols.token_block import SEQUENCE_MAX, following_sequence, plain_digits

if TYPE_CHECKING:
    from protocols.modbus import ModbusMeter
    from protocols.modbus import TokenLoad as ModbusTokenLoad

_SHOWN_DIGITS: Final = 4


@click.command("load")
@click.argument("link")
@click.argument("meter")
@click.argument("token", required=False, metavar="[TOKEN|-]")
@click.option(
    "--sequence",
    type=click.IntRange(1, SEQUENCE_MAX),
    help="Number of this token: the same one when it is loaded again after an unknown outcome. "
    "[default: the meter's next]",
)
@password_options
@yes_option
@wire_options
def load_command(
    link: str,
    meter: str,
    token: str | None,
    sequence: int | None,
    password: str | None,
    level: int,
    operator: str,
    yes: bool,
    edition: Edition,
    profile: str | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Give a meter its token by wire, and read what it says of it.

    TOKEN is 20 digits in any grouping; left out, it is asked for unseen, and - reads it from
    standard input. It is never printed in full, but it does stand in a --trace.

    A token is given once. After an unknown outcome run the same command with the --sequence that
    it printed: the meter takes a number only once, and answers for it again.

    Exit status: 0 the meter accepted it, 3 it did not, 6 nobody can tell.
    """
    digits = plain_digits(_token(token))
    mark = f"…{digits[-_SHOWN_DIGITS:]}"
    if is_modbus(link):
        confirm(f"Load the token {mark} into unit {meter}?", yes=yes)
        who = f"unit {meter}"
        result: TokenLoad | ModbusTokenLoad = give(
            _load_modbus(link, meter, digits, sequence, profile, trace)
        )
    else:
        who = one_meter(meter, edition)
        secret = ask_password(password, level)
        confirm(f"Load the token {mark} into meter {who}?", yes=yes)

        async def order() -> TokenLoad:
            async with dlt_master(link, edition, trace) as master:
                number = sequence or await master.next_token_sequence(who)
                return await master.load_token(who, digits, number, secret, operator)

        result = give(order())
    details = {"meter": who, "token": mark} | _details(result)
    raise SystemExit(finish(result.outcome, result.text, details, as_json=as_json))


def _token(given: str | None) -> str:
    if given == "-":
        return sys.stdin.readline().strip()
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError("Which TOKEN? Give it, or - to read it from standard input.")
    return str(click.prompt("Token (20 digits, not shown)", hide_input=True))


async def _load_modbus(
    link: str, unit: str, digits: str, sequence: int | None, profile: str | None, trace: Path | None
) -> ModbusTokenLoad:
    from protocols.modbus import load_token

    async with modbus_meter(link, unit, profile, trace) as meter:
        spec = meter.profile.token
        if spec is not None and spec.has_sequence and sequence is None:
            sequence = await _next_sequence(meter)
        return await load_token(meter, digits, sequence)


async def _next_sequence(meter: ModbusMeter) -> int:
    readings = await meter.read(["token_sequence"])
    if fault := readings.faults.get("token_sequence"):
        raise fault
    last = readings.values["token_sequence"]
    return following_sequence(last if isinstance(last, int) else 0)


def _details(result: TokenLoad | ModbusTokenLoad) -> dict[str, Any]:
    details: dict[str, Any] = {
        "sequence": result.sequence,
        "was_sent": result.was_sent,
        "result": result.result,
        "credit_added_wh": result.credit_added_wh,
        "credit_wh": result.credit_wh,
        "locked_for_s": result.locked_for_s or None,
    }
    if result.outcome is Outcome.UNKNOWN and result.sequence is not None:
        details["again_with"] = f"--sequence {result.sequence}"
    return details
