"""Options that requests at the till share."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

TENDERS: Final = ("cash", "card", "bank", "wallet")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def request_options(command: _Command) -> _Command:
    """Give a command ``--message-id`` (None: make one, see `id_of`) and ``--client``."""
    for option in (
        click.option(
            "--client", default="till", show_default=True, help="Whose message ids they are."
        ),
        click.option("--message-id", metavar="ID", help="This request's id. [default: a new UUID]"),
    ):
        command = option(command)
    return command


def tender_option(command: _Command) -> _Command:
    """Give a command ``--tender``."""
    return click.option("--tender", type=click.Choice(TENDERS), default="cash", show_default=True)(
        command
    )


def yes_option(command: _Command) -> _Command:
    """Give a command ``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask first.")(command)


def reason_option(command: _Command) -> _Command:
    """Give a command ``--reason``, which it must have."""
    return click.option("--reason", required=True, help="Why, for receipt and audit trail.")(
        command
    )


def id_of(message_id: str | None) -> str:
    """The id that was given, or a new one."""
    return message_id or str(uuid.uuid4())
