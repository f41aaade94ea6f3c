"""``meterhouse key vault``, ``rotate`` and ``tables``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from commands.counter import database_option, open_shop, operator_option
from commands.key.asking import (
    SECRET_PATH,
    new_master,
    new_passphrase_file_option,
    new_secret_file_option,
)
from commands.key.show import print_vault
from commands.output import console, json_option, print_json


@click.group()
def vault() -> None:
    """The software vault: make it, see it, try the passphrase."""


@vault.command(name="init")
@new_passphrase_file_option
@new_secret_file_option
@operator_option
@database_option
@json_option
def vault_init(
    new_passphrase_file: Path | None,
    new_secret_file: Path | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Make the shop's vault; from then on it has no test keys."""
    with open_shop(database) as shop:
        master = new_master(new_passphrase_file, new_secret_file)
        print_vault(shop.keys.make_vault(master, operator=operator), as_json=as_json)


@vault.command()
@database_option
@json_option
def status(database: str, as_json: bool) -> None:
    """Show how the vault is opened and when it was last rotated; does not open it."""
    with open_shop(database) as shop:
        print_vault(shop.keys.vault_status(), as_json=as_json)


@vault.command()
@database_option
@json_option
def unlock(database: str, as_json: bool) -> None:
    """Try whether this process can open the vault; exit status 5 when not."""
    from vending.security.opening import recorded_keys

    with open_shop(database, keys_now=True) as shop:
        recorded_keys(shop.keys.house.security)
        if as_json:
            print_json({"unlocked": True})
        else:
            console.print("The vault opens.")


@click.command()
@click.option("--data-key", is_flag=True, help="Wrap all keys under a new data key instead.")
@new_passphrase_file_option
@new_secret_file_option
@operator_option
@database_option
@json_option
def rotate(
    data_key: bool,
    new_passphrase_file: Path | None,
    new_secret_file: Path | None,
    operator: str,
    database: str,
    as_json: bool,
) -> None:
    """Change the vault's passphrase or secret; the one before opens nothing any more."""
    with open_shop(database, keys_now=True) as shop:
        if data_key:
            changed = shop.keys.rotate_data_key(operator=operator)
        else:
            master = new_master(new_passphrase_file, new_secret_file)
            changed = shop.keys.rotate_master(master, operator=operator)
        print_vault(changed, as_json=as_json)


@click.command()
@click.argument("file", type=SECRET_PATH, required=False)
@click.option("--none", "no_tables", is_flag=True, help="Go back to the sample tables.")
@operator_option
@database_option
@json_option
def tables(file: Path | None, no_tables: bool, operator: str, database: str, as_json: bool) -> None:
    """Put the licensed STA tables in FILE on record: no others are used from then on.

    Processes name the file with METERHOUSE_STA_TABLES.
    """
    from vending.security.sta_file import load_sta_tables

    if (file is None) == (not no_tables):
        raise click.UsageError("Give either a FILE or --none.")
    # the tables of the environment are checked against the old record, which is to change
    os.environ.pop("METERHOUSE_STA_TABLES", None)
    wanted = None if file is None else load_sta_tables(file)
    with _shop_without_keys(database) as shop:
        print_vault(shop.keys.record_tables(wanted, operator=operator), as_json=as_json)


def _shop_without_keys(database: str) -> Any:
    """The shop with its keys left locked."""
    import vending
    from commands.counter import configure_logs
    from commands.sign_in import open_signed_in

    configure_logs()
    return open_signed_in(
        database, lambda credentials: vending.Shop.open(database, credentials=credentials)
    )
