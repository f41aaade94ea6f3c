"""``meterhouse key export`` and ``import``: from vault to vault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from commands.counter import database_option, open_shop, operator_option
from commands.key.asking import SECRET_PATH, asked, new_master, transport_file_option
from commands.key.show import record_object, show_keys
from commands.output import console, json_option, print_json

_BUNDLE_BYTES_MAX: Final = 1 << 20


@click.command(name="export")
@click.argument("file", type=SECRET_PATH)
@transport_file_option
@operator_option
@database_option
@json_option
def export(
    file: Path, transport_file: Path | None, operator: str, database: str, as_json: bool
) -> None:
    """Write all keys of the vault to FILE under a transport passphrase; takes two people."""
    with open_shop(database, keys_now=True) as shop:
        if file.exists():
            raise click.UsageError(f"{file} is there already: name another file.")
        transport = new_master(transport_file, None, "Transport passphrase")
        document = shop.keys.export_bundle(transport, operator=operator)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(document)
    if as_json:
        print_json({"file": str(file)})
    else:
        console.print(f"The keys are in {file}. Send the passphrase by another way.", markup=False)


@click.command(name="import")
@click.argument("file", type=SECRET_PATH)
@transport_file_option
@operator_option
@database_option
@json_option
def import_(
    file: Path, transport_file: Path | None, operator: str, database: str, as_json: bool
) -> None:
    """Take the keys of bundle FILE into the vault; takes two people.

    With FILE's SHA-256 the second person can see what they approve.
    """
    import vending

    document = _bundle(file)
    with open_shop(database, keys_now=True) as shop:
        transport = (
            vending.MasterSecret.passphrase_file(transport_file)
            if transport_file is not None
            else asked("Transport passphrase")
        )
        found = shop.keys.import_bundle(document, transport, operator=operator)
    if as_json:
        print_json(
            {
                "imported": [record_object(record) for record in found.imported],
                "skipped": [record_object(record) for record in found.skipped],
            }
        )
        return
    show_keys(list(found.imported))
    console.print(
        f"{len(found.imported)} keys imported, {len(found.skipped)} were here already.",
        markup=False,
    )


def _bundle(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(_BUNDLE_BYTES_MAX + 1)
    except OSError as fault:
        raise click.UsageError(f"Cannot read {file}: {fault.strerror}.") from None
