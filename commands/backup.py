"""``meterhouse backup`` and ``restore``: the whole database in one file, and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.counter import DEFAULT_DATABASE, database_option, login_name, open_shop
from commands.output import console, counting, json_option, print_json

if TYPE_CHECKING:
    from storage.backup.archive import Manifest

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_FILE
@database_option
@json_option
def backup(file: Path, database: str, as_json: bool) -> None:
    """Back the whole database up into FILE, while it is at work.

    The copy is of one moment and is looked through: its pages and references, its audit trail.
    Not in it: the key for personal fields, the vault of vending keys where it is a file of its
    own, and months of readings that were put into an archive. Copy these too.
    """
    from billing.faults import RightMissingError
    from storage import audit
    from storage.backup.making import back_up
    from storage.engine import open_engine, writing
    from vending.people.actor import Permission

    with open_shop(database) as shop:
        actor = shop.people.actor
        is_ours = actor.vendor_id is None and actor.terminal is None
        if not is_ours or not actor.may(Permission.PEOPLE):
            raise RightMissingError(
                "A backup holds everything: only an administrator makes one. Ask somebody who is."
            )
    began = time.monotonic()
    manifest = back_up(database, file, lambda what: counting(what, as_json=as_json))
    engine = open_engine(database)
    try:
        with writing(engine) as connection:
            audit.record(
                connection,
                _now(),
                actor=actor.name or login_name(),
                action="database.backup",
                subject=manifest.data_sha256,
                detail=f"head {manifest.audit_head}",
            )
    finally:
        engine.dispose()
    _say(manifest, file, time.monotonic() - began, "is a backup", as_json=as_json)
    if not as_json:
        console.print(
            "Not in it: the key for personal fields, a vault or archive in files of their own. "
            "Keep copies of them too, the key elsewhere.",
            style="yellow",
        )


@click.command()
@_FILE
@click.option(
    "--database",
    metavar="URL",
    envvar="METERHOUSE_DATABASE_URL",
    default=DEFAULT_DATABASE,
    show_default=True,
    show_envvar=True,
    help="An empty database; a SQLite file is made.",
)
@json_option
def restore(file: Path, database: str, as_json: bool) -> None:
    """Bring the backup in FILE back into an empty database.

    What was brought back is held against the backup's manifest: rows of every table, sums of all
    amounts and energies, the audit trail and its head. Before you sell, read, or take money with
    it, read docs/backup.md: what happened after the backup is not in it.
    """
    from storage import audit
    from storage.backup.restoring import restore as bring_back
    from storage.engine import open_engine, writing
    from storage.schema import SCHEMA_VERSION

    began = time.monotonic()
    manifest = bring_back(file, database, lambda what: counting(what, as_json=as_json))
    if manifest.schema == SCHEMA_VERSION:
        engine = open_engine(database)
        try:
            with writing(engine) as connection:
                audit.record(
                    connection,
                    _now(),
                    actor=login_name(),
                    action="database.restore",
                    subject=manifest.data_sha256,
                    detail=f"head {manifest.audit_head}",
                )
        finally:
            engine.dispose()
    _say(manifest, file, time.monotonic() - began, "is brought back", as_json=as_json)


def _say(manifest: Manifest, file: Path, seconds: float, what: str, *, as_json: bool) -> None:
    rows = sum(manifest.rows.values())
    if as_json:
        found: dict[str, Any] = {
            "file": str(file),
            "kind": manifest.kind,
            "schema": manifest.schema,
            "made_at": manifest.made_at,
            "rows": rows,
            "bytes": manifest.data_bytes,
            "sha256": manifest.data_sha256,
            "audit_head": manifest.audit_head,
        }
        print_json(found)
        return
    console.print(
        f"{file} {what}: {rows:,} rows of {len(manifest.rows)} tables, as of {manifest.made_at}, "
        f"in {seconds:.1f} s.",
        soft_wrap=True,
    )
    console.print(f"Head of the audit trail: {manifest.audit_head}")


def _now() -> datetime:
    return datetime.now(UTC)
