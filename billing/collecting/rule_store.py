"""The rules in force: the utility's newest version, or those that are delivered (version 0)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from billing.collecting.rules import CollectionRules, delivered, read_rules
from billing.collecting.tables import collection_rules
from billing.faults import BadEntryError
from billing.office import Office
from billing.person import Right
from storage import audit


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Rules, and which version they are."""

    version: int
    document: str
    rules: CollectionRules


def rules_in_force(connection: Connection) -> RulesInForce:
    """The newest rules.

    Raises:
        CollectionRulesError: what is stored cannot be used.
    """
    row = connection.execute(
        select(collection_rules.c.version, collection_rules.c.document)
        .order_by(collection_rules.c.version.desc())
        .limit(1)
    ).first()
    version, document = (0, delivered()) if row is None else (row.version, row.document)
    return RulesInForce(version, document, read_rules(document))


@dataclass(frozen=True, slots=True)
class RuleDesk:
    """Look at the rules, set others."""

    office: Office

    def show(self) -> RulesInForce:
        """The rules in force."""
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return rules_in_force(connection)

    def set(self, document: str, reason: str) -> RulesInForce:
        """Set rules; cases that are open go on by them.

        Raises:
            CollectionRulesError: they cannot be used.
            BadEntryError: no reason.
            RightMissingError: the person may not configure.
        """
        self.office.require(Right.CONFIGURE)
        rules = read_rules(document)
        if not reason.strip():
            raise BadEntryError("Say why the rules change: an auditor will ask.")
        at, who = self.office.now(), self.office.person.name
        with self.office.writing() as connection:
            version = rules_in_force(connection).version + 1
            row = {
                "version": version,
                "document": document,
                "set_at": at,
                "set_by": who,
                "reason": reason.strip(),
            }
            connection.execute(insert(collection_rules), row)
            audit.record(
                connection,
                at,
                actor=who,
                action="collection_rules.set",
                subject=str(version),
                reason=reason.strip(),
            )
        return RulesInForce(version, document, rules)
