"""How every command gets at a shop's keys: by files that the environment names, or by asking.

Passphrases are never arguments: arguments are seen by everybody on the machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from commands.output import CliState

if TYPE_CHECKING:
    from vending import MasterSecret, SecurityModule


@contextmanager
def shop_keys(database: str, *, now: bool = False) -> Iterator[SecurityModule]:
    """The security module that this process was told to use, for the length of a command.

    Args:
        database: the shop's URL.
        now: ask for the passphrase at once, where no file gives it; a sale must not wait for it
            inside of its transaction.
    """
    from vending.security.opening import DeferredKeys, KeySettings, open_security

    settings = KeySettings.from_environment(os.environ)
    security = open_security(database, settings, ask=_ask if can_ask() else None)
    try:
        if now and isinstance(security, DeferredKeys):
            security.open()
        yield security
    finally:
        close = getattr(security, "close", None)
        if close is not None:
            close()


def can_ask() -> bool:
    """Whether a person sits at the keyboard."""
    ctx = click.get_current_context(silent=True)
    state = ctx.find_object(CliState) if ctx else None
    return sys.stdin.isatty() and sys.stderr.isatty() and not (state and state.as_json)


def _ask() -> MasterSecret:
    from vending import MasterSecret

    return MasterSecret.passphrase(
        click.prompt("Passphrase of the vault", hide_input=True, err=True)
    )
