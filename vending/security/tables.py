"""The tables of keys.  Vending keys are in them only wrapped, and never pass out of them in clear.

=================  =======================================================================
`supply_groups`    code, name, kind, and the policy for meters on an outdated key revision
`key_revisions`    the supply groups' keys; at most one is current (partial unique index).
                   What a key is never changes; its state only goes forward.  Wrapped by the
                   vault's data key, or a label in a PKCS#11 token, or in a licensed module
`vault`            one row: how the master key is made and the data key wrapped by it
`key_ceremonies`   imports in components; one open for each revision; finished only with
                   all components there (trigger)
`key_components`   wrapped until combined, then emptied; each by another person (UNIQUE)
=================  =======================================================================
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber


def _digits(column: str) -> str:
    return f"ltrim({column}, '0123456789') = ''"


def _kcv(column: str) -> str:
    return f"length({column}) = 6 AND ltrim({column}, '0123456789ABCDEF') = ''"


supply_groups: Final = table(
    "supply_groups",
    Column("sgc", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("policy", Text, nullable=False, comment="for meters on an outdated key revision"),
    Column("added_at", UtcTimestamp, nullable=False),
    CheckConstraint(f"length(sgc) = 6 AND {_digits('sgc')}", name="sgc"),
    CheckConstraint("kind IN ('default', 'unique', 'common')", name="kind"),
    CheckConstraint("policy IN ('fault', 'offer', 'auto')", name="policy"),
)

vault: Final = table(
    "vault",
    Column("vault_id", WholeNumber, primary_key=True, autoincrement=False),
    Column("vault_uuid", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("passes", WholeNumber, nullable=False),
    Column("memory_kib", WholeNumber, nullable=False),
    Column("lanes", WholeNumber, nullable=False),
    Column("data_key_no", WholeNumber, nullable=False),
    Column("wrapped_data_key", LargeBinary, nullable=False),
    Column("tables_sha256", Text, comment="digest of the licensed STA tables, once used"),
    Column("made_at", UtcTimestamp, nullable=False),
    Column("rotated_at", UtcTimestamp, nullable=False),
    CheckConstraint("vault_id = 1", name="one_row"),
    CheckConstraint("method IN ('passphrase', 'secret_file')", name="method"),
    CheckConstraint("passes > 0 AND memory_kib > 0 AND lanes > 0", name="cost"),
    CheckConstraint("data_key_no > 0", name="data_key_no"),
    CheckConstraint("length(salt) >= 16 AND length(wrapped_data_key) >= 48", name="wrapped"),
)

key_ceremonies: Final = table(
    "key_ceremonies",
    Column("ceremony_id", Identifier, primary_key=True),
    Column("sgc", Text, ForeignKey(supply_groups.c.sgc), nullable=False),
    Column("krn", WholeNumber, nullable=False),
    Column("dkga", WholeNumber, nullable=False),
    Column("base_year", WholeNumber, nullable=False),
    Column("ken", WholeNumber, nullable=False),
    Column("valid_from", UtcTimestamp, nullable=False),
    Column("issued_until", UtcTimestamp),
    Column("components", WholeNumber, nullable=False),
    Column("expected_kcv", Text),
    Column("state", Text, nullable=False),
    Column("begun_at", UtcTimestamp, nullable=False),
    Column("begun_by", Text, nullable=False),
    Column("ended_at", UtcTimestamp),
    Column("ended_by", Text),
    CheckConstraint("krn BETWEEN 1 AND 9", name="krn"),
    CheckConstraint("dkga IN (2, 4)", name="dkga"),
    CheckConstraint("base_year IN (1993, 2014, 2035)", name="base_year"),
    CheckConstraint("ken BETWEEN 0 AND 255", name="ken"),
    CheckConstraint("components BETWEEN 2 AND 9", name="components"),
    CheckConstraint(_kcv("expected_kcv"), name="expected_kcv"),
    CheckConstraint("state IN ('open', 'finished', 'abandoned')", name="state"),
    CheckConstraint(
        "(state = 'open') = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL)",
        name="ended",
    ),
)
_OPEN: Final = key_ceremonies.c.state == "open"
Index(
    "uq_key_ceremonies_open",
    key_ceremonies.c.sgc,
    key_ceremonies.c.krn,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

key_components: Final = table(
    "key_components",
    Column("ceremony_id", Identifier, ForeignKey(key_ceremonies.c.ceremony_id)),
    Column("position", WholeNumber),
    Column("person", Text, nullable=False, comment="the operator's name, folded"),
    Column("kcv", Text, nullable=False),
    Column("wrapped", LargeBinary, comment="NULL once combined or abandoned"),
    Column("entered_at", UtcTimestamp, nullable=False),
    PrimaryKeyConstraint("ceremony_id", "position"),
    UniqueConstraint("ceremony_id", "person"),
    CheckConstraint("position > 0", name="position"),
    CheckConstraint("length(person) > 0", name="person"),
    CheckConstraint(_kcv("kcv"), name="kcv"),
)

key_revisions: Final = table(
    "key_revisions",
    Column("sgc", Text, ForeignKey(supply_groups.c.sgc)),
    Column("krn", WholeNumber),
    Column("dkga", WholeNumber, nullable=False),
    Column("base_year", WholeNumber, nullable=False),
    Column("ken", WholeNumber, nullable=False),
    Column("valid_from", UtcTimestamp, nullable=False),
    Column("issued_until", UtcTimestamp),
    Column("state", Text, nullable=False),
    Column("kcv", Text),
    Column("provider", Text, nullable=False),
    Column("wrapped", LargeBinary),
    Column("label", Text),
    Column("ceremony_id", Identifier, ForeignKey(key_ceremonies.c.ceremony_id), unique=True),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("added_by", Text, nullable=False),
    PrimaryKeyConstraint("sgc", "krn"),
    CheckConstraint("krn BETWEEN 1 AND 9", name="krn"),
    CheckConstraint("dkga IN (2, 4)", name="dkga"),
    CheckConstraint("base_year IN (1993, 2014, 2035)", name="base_year"),
    CheckConstraint("ken BETWEEN 0 AND 255", name="ken"),
    CheckConstraint("state IN ('waiting', 'current', 'outdated', 'withdrawn')", name="state"),
    CheckConstraint(_kcv("kcv"), name="kcv"),
    CheckConstraint("provider IN ('vault', 'pkcs11', 'module')", name="provider"),
    CheckConstraint(
        "(provider = 'vault') = (wrapped IS NOT NULL) "
        "AND (provider = 'pkcs11') = (label IS NOT NULL) "
        "AND (provider = 'module' OR kcv IS NOT NULL)",
        name="kept",
    ),
    CheckConstraint("issued_until > valid_from", name="issued_until"),
)
_CURRENT: Final = key_revisions.c.state == "current"
Index(
    "uq_key_revisions_current",
    key_revisions.c.sgc,
    unique=True,
    sqlite_where=_CURRENT,
    postgresql_where=_CURRENT,
)
