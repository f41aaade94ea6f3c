"""Who acts, and what an actor may do.  Pure values.

A role is a set of permissions; an actor has roles.  A shop that has no operators yet is an open
house: everybody may do everything, which is right for a demonstration and for the first minutes
of a new shop, and for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """One thing that may be done; acts of the shop name the one that they need."""

    LOOK = "look"
    """Look meters, receipts and answers up; trial a sale; verify a token."""
    SELL = "sell"
    """Sell, take payments for debts, redeem vouchers, print receipts, reprint."""
    GIVE = "give"
    """Give units away: free issue, free basic, replacement."""
    ENGINEER = "engineer"
    """Engineering tokens and key changes."""
    REVERSE = "reverse"
    """Reverse a sale, refund."""
    APPROVE = "approve"
    """Be the second person of a two-person act."""
    METERS = "meters"
    """Register, change, block meters."""
    TARIFFS = "tariffs"
    """Prices, charges, debts, free basic allowances."""
    CASH = "cash"
    """Open and close one's own shift."""
    SUPERVISE = "supervise"
    """Close sales and bank batches, see what a drawer should hold, import bank statements."""
    PROTECT = "protect"
    """Whose supply may be cut and when: keep-power orders, windows, emergency stops."""
    VENDORS = "vendors"
    """Vendors, their credit, commission and terminals."""
    VOUCHERS = "vouchers"
    """Make, activate, block vouchers and their batches."""
    CAMPAIGNS = "campaigns"
    """Key change campaigns."""
    KEYS = "keys"
    """Vending keys: import, revise, rotate."""
    PEOPLE = "people"
    """Operators, roles, API keys."""
    REPORTS = "reports"
    """Statements and reports."""
    AUDIT = "audit"
    """Read and verify the audit trail."""


class Role(StrEnum):
    """What somebody is; least rights (specs/utility.md 29)."""

    CLERK = "clerk"
    KIOSK = "kiosk"
    ENGINEER = "engineer"
    SUPERVISOR = "supervisor"
    ACCOUNTANT = "accountant"
    KEY_CUSTODIAN = "key_custodian"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


_P: Final = Permission
PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.CLERK: frozenset({_P.LOOK, _P.SELL, _P.CASH}),
    Role.KIOSK: frozenset({_P.LOOK, _P.SELL}),
    Role.ENGINEER: frozenset({_P.LOOK, _P.ENGINEER, _P.METERS}),
    Role.SUPERVISOR: frozenset(
        {
            _P.LOOK,
            _P.SELL,
            _P.GIVE,
            _P.REVERSE,
            _P.APPROVE,
            _P.METERS,
            _P.CASH,
            _P.SUPERVISE,
            _P.PROTECT,
            _P.REPORTS,
        }
    ),
    Role.ACCOUNTANT: frozenset(
        {_P.LOOK, _P.TARIFFS, _P.SUPERVISE, _P.VENDORS, _P.VOUCHERS, _P.REPORTS, _P.APPROVE}
    ),
    Role.KEY_CUSTODIAN: frozenset({_P.KEYS, _P.APPROVE}),
    Role.AUDITOR: frozenset({_P.LOOK, _P.REPORTS, _P.AUDIT}),
    Role.ADMINISTRATOR: frozenset(
        {_P.LOOK, _P.PEOPLE, _P.METERS, _P.TARIFFS, _P.VENDORS, _P.CAMPAIGNS, _P.REPORTS, _P.AUDIT}
    ),
}
"""What each role may do.  Nobody has all of it: an administrator neither sells nor holds keys."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    The name stands on receipts and audit lines.
    """

    name: str
    permissions: frozenset[Permission]
    operator_id: int | None = None
    """None in an open house, where nobody has signed in."""
    vendor_id: int | None = None
    """The vendor this actor works for; None for the utility's own people."""
    client: str | None = None
    """The only client that this actor's requests may name; None: any."""
    terminal: str | None = None
    """The terminal that this actor stands at; None: any."""

    def may(self, permission: Permission) -> bool:
        """Whether the actor may do this."""
        return permission in self.permissions

    @property
    def is_anybody(self) -> bool:
        """Whether nobody has signed in: an open house."""
        return not self.name


ANYBODY: Final = Actor("", frozenset(Permission))
"""Who acts in an open house."""
