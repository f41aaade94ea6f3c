"""The tables of people.  Their invariants are held by the database itself.

==================  =================================================================
`operators`         people, by a name that is theirs for ever (in any case); passwords as
                    Argon2id hashes only.  One administrator always stays enabled (trigger)
`operator_roles`    which roles an operator has, or had
`password_tries`    wrong passwords in a row, by the hash of the name that was typed, whether
                    there is such an operator or not
`sign_ins`          short-lived sessions of tills; the hash of the token, never the token
`api_keys`          programs; the hash of the secret, never the secret.  Only ever revoked
`api_key_roles`     their roles; immutable
`approvals`         two-person acts: asked for, decided once, used once, before they expire;
                    who approves is never who asked (CHECK); nothing is ever taken back
==================  =================================================================
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
)

from storage.schema import table
from storage.types import Identifier, UtcTimestamp, WholeNumber
from vending.cash.tables import terminals, vendors
from vending.people.actor import Role

_ROLE_RULE: Final = f"role IN ({', '.join(repr(role.value) for role in Role)})"

operators: Final = table(
    "operators",
    Column("operator_id", Identifier, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("folded", Text, nullable=False, unique=True, comment="the name without case"),
    Column("password_hash", Text, nullable=False, comment="Argon2id, with its parameters"),
    Column("password_set_at", UtcTimestamp, nullable=False),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("disabled_at", UtcTimestamp),
    # a colon is in the names of programs only, so that the trail can tell them apart
    CheckConstraint("length(name) > 0 AND name NOT LIKE '%:%'", name="name"),
    CheckConstraint("length(folded) > 0", name="folded"),
    CheckConstraint("password_hash LIKE '$argon2id$%'", name="password_hash"),
)

operator_roles: Final = table(
    "operator_roles",
    Column("operator_id", Identifier, ForeignKey(operators.c.operator_id)),
    Column("role", Text),
    Column("held", WholeNumber, nullable=False, comment="1: has it; 0: had it"),
    PrimaryKeyConstraint("operator_id", "role"),
    CheckConstraint(_ROLE_RULE, name="role"),
    CheckConstraint("held IN (0, 1)", name="held"),
)

password_tries: Final = table(
    "password_tries",
    Column("name_sha256", LargeBinary, primary_key=True),
    Column("failed", WholeNumber, nullable=False),
    Column("next_try_at", UtcTimestamp, nullable=False, index=True),
    CheckConstraint("length(name_sha256) = 32", name="name_sha256"),
    CheckConstraint("failed > 0", name="failed"),
)

sign_ins: Final = table(
    "sign_ins",
    Column("sign_in_id", Identifier, primary_key=True),
    Column("operator_id", Identifier, ForeignKey(operators.c.operator_id), nullable=False),
    Column("token_sha256", LargeBinary, nullable=False, unique=True),
    Column("signed_in_at", UtcTimestamp, nullable=False),
    Column("expires_at", UtcTimestamp, nullable=False),
    Column("signed_out_at", UtcTimestamp),
    CheckConstraint("length(token_sha256) = 32", name="token_sha256"),
    CheckConstraint("expires_at > signed_in_at", name="expires_at"),
    Index("ix_sign_ins_operator_id", "operator_id"),
)

api_keys: Final = table(
    "api_keys",
    Column("api_key_id", Identifier, primary_key=True),
    Column("prefix", Text, nullable=False, unique=True, comment="what lists show of it"),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("client", Text, nullable=False, comment="the only client that its requests may name"),
    Column("vendor_id", Identifier, ForeignKey(vendors.c.vendor_id)),
    Column("terminal", Text, ForeignKey(terminals.c.name)),
    Column("added_at", UtcTimestamp, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("expires_at", UtcTimestamp),
    Column("revoked_at", UtcTimestamp),
    CheckConstraint("length(prefix) = 8", name="prefix"),
    CheckConstraint("length(secret_sha256) = 32", name="secret_sha256"),
    CheckConstraint("length(client) > 0", name="client"),
    CheckConstraint("expires_at > added_at", name="expires_at"),
)

api_key_roles: Final = table(
    "api_key_roles",
    Column("api_key_id", Identifier, ForeignKey(api_keys.c.api_key_id)),
    Column("role", Text),
    PrimaryKeyConstraint("api_key_id", "role"),
    CheckConstraint(_ROLE_RULE, name="role"),
)

approvals: Final = table(
    "approvals",
    Column("approval_id", Identifier, primary_key=True),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("essence", Text, nullable=False, comment="what is asked, as canonical JSON"),
    Column("essence_sha256", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", UtcTimestamp, nullable=False),
    Column("expires_at", UtcTimestamp, nullable=False),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", UtcTimestamp),
    Column("used_by", Text),
    Column("used_at", UtcTimestamp),
    CheckConstraint("length(essence_sha256) = 32", name="essence_sha256"),
    CheckConstraint("requested_by <> '' AND reason <> ''", name="asked"),
    CheckConstraint("expires_at > requested_at", name="expires_at"),
    CheckConstraint("decision IN ('approved', 'refused')", name="decision"),
    CheckConstraint(
        "(decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL)",
        name="decided",
    ),
    CheckConstraint("decision <> 'approved' OR decided_by <> requested_by", name="two_people"),
    CheckConstraint("(used_by IS NULL) = (used_at IS NULL)", name="used"),
    CheckConstraint(
        "used_at IS NULL OR (coalesce(decision, '') = 'approved' AND used_at < expires_at)",
        name="used_in_time",
    ),
    Index("ix_approvals_essence_sha256", "essence_sha256"),
)
