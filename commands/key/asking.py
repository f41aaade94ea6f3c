"""How the key commands come by secrets: files, or questions that show nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from commands.unlock import can_ask

if TYPE_CHECKING:
    from vending import MasterSecret

SECRET_PATH: Final = click.Path(path_type=Path, dir_okay=False)


new_passphrase_file_option = click.option(
    "--new-passphrase-file",
    type=SECRET_PATH,
    help="The new passphrase is this file's first line. [default: asked for]",
)
new_secret_file_option = click.option(
    "--new-secret-file",
    type=SECRET_PATH,
    help="Open the vault with this file's bytes (32 or more).",
)
transport_file_option = click.option(
    "--transport-passphrase-file",
    "transport_file",
    type=SECRET_PATH,
    help="The bundle's passphrase is this file's first line. [default: asked for]",
)
dkga02_option = click.option(
    "--dkga02-in-host",
    is_flag=True,
    help="Take a DKGA02 key into a PKCS#11 token although its last step is done in this process.",
)


def new_master(
    passphrase_file: Path | None, secret_file: Path | None, what: str = "New passphrase"
) -> MasterSecret:
    from vending import MasterSecret

    if passphrase_file is not None and secret_file is not None:
        raise click.UsageError("Give a passphrase file or a secret file, not both.")
    if passphrase_file is not None:
        return MasterSecret.passphrase_file(passphrase_file)
    if secret_file is not None:
        return MasterSecret.secret_file(secret_file)
    return asked(what, confirm=True)


def asked(what: str, *, confirm: bool = False) -> MasterSecret:
    from vending import MasterSecret

    if not can_ask():
        raise click.UsageError(f"{what}: nobody can be asked here, so name a file with it.")
    text = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return MasterSecret.passphrase(text)
