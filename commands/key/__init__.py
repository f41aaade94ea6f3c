"""``meterhouse key``: supply groups, vending keys, the vault.  One module for each subject.

Secrets are asked for unseen or read from files that only their owner may read; they are never
arguments, and never shown.
"""

from __future__ import annotations

import click

from commands.key.bundle import export, import_
from commands.key.ceremony import ceremony
from commands.key.groups import group
from commands.key.revisions import current, generate, list_, record, test_, until, withdraw
from commands.key.vault import rotate, tables, vault


@click.group()
def key() -> None:
    """Vending keys: the vault, supply groups, imports by two people.

    The vault is opened with METERHOUSE_VAULT_PASSPHRASE_FILE or METERHOUSE_VAULT_SECRET_FILE,
    or asks for its passphrase.  See docs/keys.md.
    """


for command in (
    ceremony,
    current,
    export,
    generate,
    group,
    import_,
    list_,
    record,
    rotate,
    tables,
    test_,
    until,
    vault,
    withdraw,
):
    key.add_command(command)
