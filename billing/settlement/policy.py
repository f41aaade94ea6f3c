"""Which checks hold a span back: data, with defaults in ``policy.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from billing.office import Office
from billing.person import Right
from billing.settlement.faults import NoSuchCheckError
from billing.settlement.spans import Cycle, Terms
from billing.settlement.tables import settlement_policy
from storage.audit import record

HEAD_END: Final = "head_end"
"""Stands for findings of the head-end that have no line of their own."""


class Kind(StrEnum):
    """For which settlements a check may be set."""

    PREPAID = "prepaid"
    DAILY = "daily"
    MONTHLY = "monthly"


class Act(StrEnum):
    """What a flag does."""

    HOLD = "hold"
    FLAG = "flag"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Rule:
    """A check's defaults, and what it looks for."""

    check: str
    words: str
    acts: Mapping[Kind, Act]


class Policy:
    """The acts in force; a value, read once for a batch."""

    def __init__(self, own: Mapping[tuple[str, Kind], Act] | None = None) -> None:
        self._own: Final = dict(own or {})

    def act(self, check: str, kind: Kind) -> Act:
        """What a check's flag does to a span of this kind."""
        known = check if check in defaults() else HEAD_END
        return self._own.get((known, kind)) or defaults()[known].acts[kind]


class _HoldAll(Policy):
    def act(self, check: str, kind: Kind) -> Act:
        return Act.HOLD


class _PassAll(Policy):
    def act(self, check: str, kind: Kind) -> Act:
        return Act.PASS


HOLD_ALL: Final[Policy] = _HoldAll()
"""For what cannot be settled anyhow."""
PASS_ALL: Final[Policy] = _PassAll()
"""For a look at what a span would cost."""


@cache
def defaults() -> Mapping[str, Rule]:
    """All checks, by name."""
    text = (resources.files(__package__) / "policy.toml").read_text("utf-8")
    return {
        name: Rule(name, entry["words"], {kind: Act(entry[kind]) for kind in Kind})
        for name, entry in tomllib.loads(text).items()
    }


def kind_of(terms: Terms) -> Kind:
    """The kind of a settlement by the terms of its agreement."""
    if terms.cycle is Cycle.MONTHLY:
        return Kind.MONTHLY
    return Kind.PREPAID if terms.mode == "prepaid" else Kind.DAILY


def policy_in_force(connection: Connection) -> Policy:
    """The policy as it is now."""
    rows = connection.execute(select(settlement_policy))
    return Policy({(row.check_name, Kind(row.kind)): Act(row.act) for row in rows})


def set_act(office: Office, check: str, kind: Kind, act: Act | None) -> None:
    """Say what a check's flag does; None: the default again.

    Raises:
        NoSuchCheckError: no check has this name.
        RightMissingError: the person may not.
    """
    office.require(Right.CONFIGURE)
    if check not in defaults():
        raise NoSuchCheckError(
            f"There is no check '{check}'. `meterhouse settle policy` shows all of them."
        )
    with office.writing() as connection:
        connection.execute(
            delete(settlement_policy).where(
                settlement_policy.c.check_name == check, settlement_policy.c.kind == kind
            )
        )
        if act is not None:
            connection.execute(
                insert(settlement_policy).values(
                    check_name=check,
                    kind=kind.value,
                    act=act.value,
                    set_at=office.now(),
                    set_by=office.person.name,
                )
            )
        record(
            connection,
            office.now(),
            actor=office.person.name,
            action="settlement.policy",
            subject=f"{check} {kind}",
            detail="default" if act is None else act.value,
        )
