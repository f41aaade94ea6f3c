"""Making the schema and bringing it up to date.

Migrations are Alembic's, one module each in ``storage/migrations/versions``, and run from
inside the program; Alembic is imported only here and only when called, for it takes longer
to import than a sale takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from storage.errors import DatabaseExistsError, DatabaseMissingError, DatabaseVersionError
from storage.schema import SCHEMA_VERSION

_SCRIPTS: Final = Path(__file__).with_name("migrations")
_VERSION_TABLE: Final = "alembic_version"


def create_schema(connection: Connection) -> None:
    """Make all tables, constraints and triggers in an empty database.

    Args:
        connection: inside a write transaction, which the caller commits.

    Raises:
        DatabaseExistsError: the database holds tables already.
    """
    tables = inspect(connection).get_table_names()
    if tables:
        raise DatabaseExistsError(
            f"This database is in use: it holds the table {min(tables)}"
            f"{' and others' if len(tables) > 1 else ''}. Nothing was changed; choose another."
        )
    upgrade_schema(connection)


def upgrade_schema(connection: Connection, version: str = "head") -> None:
    """Run the migrations that this database has not had yet, in the caller's transaction.

    Args:
        connection: inside a write transaction.
        version: the last one; ``head``: all that there are.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def schema_version(connection: Connection) -> str | None:
    """The newest migration that the database has had; None when it holds nothing of ours."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    version: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))
    return version


def require_ours(connection: Connection) -> str:
    """The version of the database's schema.

    Raises:
        DatabaseMissingError: the database holds nothing of ours.
    """
    version = schema_version(connection)
    if version is None:
        raise DatabaseMissingError(
            "This database holds no shop yet. Make one with `meterhouse init`, or name another "
            "with --database."
        )
    return version


def require_current(connection: Connection) -> None:
    """Refuse a database that this program would misread.

    Raises:
        DatabaseMissingError: the database holds nothing of ours.
        DatabaseVersionError: its schema is older or newer than this program.
    """
    version = require_ours(connection)
    if version < SCHEMA_VERSION:
        raise DatabaseVersionError(
            f"The database has schema {version}, this program needs {SCHEMA_VERSION}. Make a "
            "backup, then run `meterhouse upgrade`."
        )
    if version > SCHEMA_VERSION:
        raise DatabaseVersionError(
            f"The database has schema {version}, newer than this program's {SCHEMA_VERSION}: "
            "install the newer meterhouse."
        )
