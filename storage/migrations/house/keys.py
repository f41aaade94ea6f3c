"""Supply groups, their key revisions, the vault and imports in components."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import (
    check,
    digits,
    foreign,
    identity,
    number,
    primary,
    reference,
    table,
    text,
    time,
    unique,
)


def make() -> None:
    """Make the tables."""
    _make_supply_groups()
    _make_vault()
    _make_ceremonies()
    _make_revisions()


def _make_supply_groups() -> None:
    name = "supply_groups"
    table(
        name,
        text("sgc"),
        text("name"),
        text("kind"),
        text("policy", comment="for meters on an outdated key revision"),
        time("added_at"),
        primary(name, "sgc"),
        check(name, "sgc", f"length(sgc) = 6 AND {digits('sgc')}"),
        check(name, "kind", "kind IN ('default', 'unique', 'common')"),
        check(name, "policy", "policy IN ('fault', 'offer', 'auto')"),
    )
    triggers.no_delete(name, ["sgc"])
    triggers.frozen(name, ["sgc", "kind", "added_at"])


def _make_vault() -> None:
    name = "vault"
    table(
        name,
        number("vault_id"),
        text("vault_uuid"),
        text("method"),
        _bytes("salt"),
        *(number(column) for column in ("passes", "memory_kib", "lanes", "data_key_no")),
        _bytes("wrapped_data_key"),
        text("tables_sha256", null=True, comment="digest of the licensed STA tables, once used"),
        time("made_at"),
        time("rotated_at"),
        primary(name, "vault_id"),
        check(name, "one_row", "vault_id = 1"),
        check(name, "method", "method IN ('passphrase', 'secret_file')"),
        check(name, "cost", "passes > 0 AND memory_kib > 0 AND lanes > 0"),
        check(name, "data_key_no", "data_key_no > 0"),
        check(name, "wrapped", "length(salt) >= 16 AND length(wrapped_data_key) >= 48"),
    )
    triggers.no_delete(name, ["vault_id"])
    triggers.frozen(name, ["vault_id", "vault_uuid", "made_at"])


def _make_ceremonies() -> None:
    name = "key_ceremonies"
    table(
        name,
        *identity(name, "ceremony_id"),
        text("sgc"),
        *(number(column) for column in ("krn", "dkga", "base_year", "ken")),
        time("valid_from"),
        time("issued_until", null=True),
        number("components"),
        text("expected_kcv", null=True),
        text("state"),
        time("begun_at"),
        text("begun_by"),
        time("ended_at", null=True),
        text("ended_by", null=True),
        foreign(name, ["sgc"], "supply_groups"),
        *_what_a_key_is(name),
        check(name, "components", "components BETWEEN 2 AND 9"),
        check(name, "expected_kcv", _kcv("expected_kcv")),
        check(name, "state", "state IN ('open', 'finished', 'abandoned')"),
        check(
            name,
            "ended",
            "(state = 'open') = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL)",
        ),
    )
    _one("uq_key_ceremonies_open", name, ["sgc", "krn"], "state = 'open'")
    key = ["sgc", "krn", "dkga", "base_year", "ken", "valid_from", "issued_until"]
    triggers.no_delete(name, ["ceremony_id"])
    triggers.frozen(
        name,
        ["ceremony_id", *key, "components", "expected_kcv", "begun_at", "begun_by"],
        after="OLD.state <> 'open'",
    )
    name = "key_components"
    table(
        name,
        reference("ceremony_id"),
        number("position"),
        text("person", comment="the operator's name, folded"),
        text("kcv"),
        _bytes("wrapped", null=True, comment="NULL once combined or abandoned"),
        time("entered_at"),
        foreign(name, ["ceremony_id"], "key_ceremonies"),
        primary(name, "ceremony_id", "position"),
        unique(name, "ceremony_id", "person"),
        check(name, "position", "position > 0"),
        check(name, "person", "length(person) > 0"),
        check(name, "kcv", _kcv("kcv")),
    )
    triggers.no_delete(name, ["ceremony_id", "position"], ["ceremony_id", "person"])
    triggers.frozen(name, ["ceremony_id", "position", "person", "kcv", "entered_at"])
    triggers.inserted_only_if(
        name,
        "NEW.wrapped IS NOT NULL AND EXISTS (SELECT 1 FROM key_ceremonies "
        "WHERE ceremony_id = NEW.ceremony_id AND state = 'open' "
        "AND NEW.position <= components)",
        "a component belongs to an open ceremony",
    )
    triggers.updated_only_if(
        name,
        "OLD.wrapped IS NOT NULL OR NEW.wrapped IS NULL",
        "a component does not come back",
    )
    everything = (
        "(SELECT count(*) FROM key_components WHERE ceremony_id = NEW.ceremony_id "
        "AND wrapped IS {0} NULL) = {1}"
    )
    triggers.updated_only_if(
        "key_ceremonies",
        "NEW.state = 'open' OR ((NEW.state = 'abandoned' OR "
        f"{everything.format('', 'NEW.components')}) AND {everything.format('NOT', 0)})",
        "finished means that all components were combined and emptied",
    )


def _make_revisions() -> None:
    name = "key_revisions"
    table(
        name,
        text("sgc"),
        *(number(column) for column in ("krn", "dkga", "base_year", "ken")),
        time("valid_from"),
        time("issued_until", null=True),
        text("state"),
        text("kcv", null=True),
        text("provider"),
        _bytes("wrapped", null=True),
        text("label", null=True),
        reference("ceremony_id", null=True),
        time("added_at"),
        text("added_by"),
        primary(name, "sgc", "krn"),
        foreign(name, ["sgc"], "supply_groups"),
        foreign(name, ["ceremony_id"], "key_ceremonies"),
        unique(name, "ceremony_id"),
        *_what_a_key_is(name),
        check(name, "state", "state IN ('waiting', 'current', 'outdated', 'withdrawn')"),
        check(name, "kcv", _kcv("kcv")),
        check(name, "provider", "provider IN ('vault', 'pkcs11', 'module')"),
        check(
            name,
            "kept",
            "(provider = 'vault') = (wrapped IS NOT NULL) "
            "AND (provider = 'pkcs11') = (label IS NOT NULL) "
            "AND (provider = 'module' OR kcv IS NOT NULL)",
        ),
        check(name, "issued_until", "issued_until > valid_from"),
    )
    _one("uq_key_revisions_current", name, ["sgc"], "state = 'current'")
    triggers.no_delete(name, ["sgc", "krn"], ["ceremony_id"])
    # the wrapping may be renewed and issued-until be moved; a withdrawn key stays withdrawn
    triggers.frozen(
        name,
        [
            "sgc",
            "krn",
            "dkga",
            "base_year",
            "ken",
            "valid_from",
            "kcv",
            "provider",
            "label",
            "ceremony_id",
            "added_at",
            "added_by",
        ],
    )
    triggers.forward_only(name, "state", ("waiting", "current", "outdated", "withdrawn"))


def _what_a_key_is(name: str) -> tuple[sa.CheckConstraint, ...]:
    return (
        check(name, "krn", "krn BETWEEN 1 AND 9"),
        check(name, "dkga", "dkga IN (2, 4)"),
        check(name, "base_year", "base_year IN (1993, 2014, 2035)"),
        check(name, "ken", "ken BETWEEN 0 AND 255"),
    )


def _kcv(column: str) -> str:
    return f"length({column}) = 6 AND ltrim({column}, '0123456789ABCDEF') = ''"


def _bytes(name: str, *, null: bool = False, comment: str | None = None) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null, comment=comment)


def _one(name: str, of: str, columns: list[str], where: str) -> None:
    """At most one row of these columns where the condition holds."""
    condition = sa.text(where)
    op.create_index(
        name, of, columns, unique=True, sqlite_where=condition, postgresql_where=condition
    )
