"""Arguments and options that the commands which talk to meters share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from commands.output import json_option
from protocols.dlt645.controls import Edition
from protocols.dlt645.fields import Password

PASSWORD_VARIABLE: Final = "METERHOUSE_METER_PASSWORD"
OPERATOR_VARIABLE: Final = "METERHOUSE_OPERATOR"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _EditionParameter(click.Choice[Edition]):
    """``2007`` or ``1997``."""

    def __init__(self) -> None:
        super().__init__(list(Edition))

    def normalize_choice(self, choice: Any, ctx: click.Context | None) -> str:
        return choice.value if isinstance(choice, Edition) else str(choice)


edition_option = click.option(
    "--protocol",
    "edition",
    type=_EditionParameter(),
    default=Edition.Y2007,
    show_default="2007",
    help="Edition of DL/T 645 that the meter speaks.",
)
profile_option = click.option(
    "--profile",
    metavar="NAME|FILE",
    help="Modbus: what the meter's registers mean; see `meterhouse profile list`.",
)
trace_option = click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep every frame in this file (pcapng): `meterhouse frame show`, Wireshark.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask before it is sent.")


def wire_options(command: _Command) -> _Command:
    """What each command that talks to one meter takes beside LINK and METER."""
    for option in (json_option, trace_option, profile_option, edition_option):
        command = option(command)
    return command


def password_options(command: _Command) -> _Command:
    """How a meter is persuaded to take an order (DL/T 645)."""
    options = (
        click.option(
            "--password", metavar="DIGITS", envvar=PASSWORD_VARIABLE,
            prompt="Meter's password (6 digits)", prompt_required=False, hide_input=True,
            help="SECRET. Six digits, or wire:PAP0P1P2 in the order in which they are sent. "
            f"Other users of this machine may see a command line: set {PASSWORD_VARIABLE}, or "
            "wait to be asked unseen. Meters lock after a few wrong ones.",
        ),
        click.option(
            "--level", type=click.IntRange(0, 9), default=2, show_default=True,
            help="Level of the password (PA): 2 by custom, 4 for settings.",
        ),
        click.option(
            "--operator", metavar="HEX", default="00000000", show_default=True,
            envvar=OPERATOR_VARIABLE,
            help="Operator code, 8 digits, which the meter logs.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def ask_password(given: str | None, level: int) -> Password:
    """The password that was given, or that is typed unseen.

    Raises:
        FieldRangeError: it is none.
        click.UsageError: there is none, and nobody to ask.
    """
    text = given
    if text is None:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"This needs the meter's password: set {PASSWORD_VARIABLE} or give --password."
            )
        text = click.prompt("Meter's password (6 digits, not shown)", hide_input=True)
    kind, separator, wire = text.partition(":")
    if separator and kind == "wire":
        try:
            return Password.from_wire(bytes.fromhex(wire))
        except ValueError:
            raise click.UsageError("A password wire:… is four bytes in hexadecimal.") from None
    return Password(level, text)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal whether to go on; a script has decided already.

    Raises:
        click.Abort: no.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def is_modbus(url: str) -> bool:
    """Whether a link carries Modbus; its scheme says so."""
    return url.startswith("modbus+")
