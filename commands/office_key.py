"""``meterhouse office key``: the key for personal fields: make, change, seal anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.counter import database_option
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from billing.office import Office


@click.group()
def key() -> None:
    """The key for personal fields: new, rotate, reseal, retire.

    Names, identities, addresses and phone numbers are kept sealed under it. It is in a file
    outside of the database (METERHOUSE_PERSONAL_KEY_FILE; by default beside a SQLite file) and in
    no backup: keep a copy of the file somewhere else. Without it nobody reads them again.
    """


@key.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def new(file: Path, as_json: bool) -> None:
    """Make FILE with a new key, readable by you alone."""
    from billing.privacy.key_file import make_key_file

    make_key_file(file)
    if as_json:
        print_json({"file": str(file)})
        return
    console.print(f"{file} holds a new key for personal fields. Keep a copy of it somewhere else.")


@key.command()
@database_option
@json_option
def rotate(database: str, as_json: bool) -> None:
    """Put a new key before the old ones: what is sealed from now on, is sealed under it.

    Restart everything that runs on this database at once: it does not know the new key. Then run
    `meterhouse office key reseal`.
    """
    from billing.person import Right
    from billing.privacy.key_file import add_new_key
    from commands.office import key_path, open_office

    with open_office(database) as office:
        office.require(Right.CONFIGURE)
        keys = add_new_key(key_path(database))
        _record(office, "personal.key_rotate", f"{keys} keys")
    if as_json:
        print_json({"keys": keys, "file": str(key_path(database))})
        return
    console.print(
        f"{key_path(database)} holds {keys} keys now; copy it to where you keep its copy. Restart "
        "what runs on this database, then run `meterhouse office key reseal`."
    )


@key.command()
@database_option
@json_option
def reseal(database: str, as_json: bool) -> None:
    """Seal all personal fields anew under the newest key. Interrupted: run it again."""
    from billing.privacy.resealing import reseal as seal_anew
    from commands.office import open_office

    with (
        open_office(database) as office,
        counting("Sealing anew", as_json=as_json) as progress,
    ):
        done = seal_anew(office, progress)
        keys = office.seal.keys
    if as_json:
        print_json({"resealed": done, "keys": keys})
        return
    console.print(f"{done} fields were sealed anew.")
    if keys > 1:
        console.print(
            "When everything has been restarted since the last `rotate`, end the old key with "
            "`meterhouse office key retire`."
        )


@key.command()
@database_option
@json_option
def retire(database: str, as_json: bool) -> None:
    """End the old keys: they go into a file of their own, for you to destroy."""
    from billing.person import Right
    from billing.privacy.faults import SealKeyError
    from billing.privacy.key_file import retire_old_keys
    from billing.privacy.resealing import not_newest
    from commands.office import key_path, open_office

    with open_office(database) as office:
        office.require(Right.CONFIGURE)
        with office.reading() as connection:
            left = not_newest(connection, office.seal)
        if left:
            raise SealKeyError(
                f"{left} fields are still sealed under an old key: run `meterhouse office key "
                "reseal` first."
            )
        aside = retire_old_keys(key_path(database))
        _record(office, "personal.key_retire", "")
    if as_json:
        print_json({"retired": str(aside)})
        return
    console.print(
        f"The old keys are in {aside}. Backups from before need them; destroy the file when there "
        "are none."
    )


def _record(office: Office, action: str, detail: str) -> None:
    from storage import audit

    with office.writing() as connection:
        audit.record(
            connection,
            office.now(),
            actor=office.person.name,
            action=action,
            subject="personal",
            detail=detail,
        )
