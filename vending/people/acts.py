"""The acts that take two people.  Pure values.

An act is here when one person alone could make money or energy vanish with it.  Who asks needs
the permission for the act itself; the second person `Permission.APPROVE` and one more, by
which it is somebody who knows what the act is, and who need not be able to do it alone.
docs/people.md shows which roles that are.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vending.people.actor import Permission
from vending.people.faults import UnknownActError


class Act(StrEnum):
    """One kind of act that takes two people."""

    FREE_ISSUE = "free_issue"
    """Give units away."""
    REPLACEMENT = "replacement"
    """Give units for those left in an exchanged meter."""
    REFUND = "refund"
    """Give money back for a token that has left the building."""
    CLEAR_CREDIT = "clear_credit"
    """Make a token that takes all units from a meter."""
    CLEAR_TAMPER = "clear_tamper"
    """Make a token that lets a tampered meter work again."""
    METER_RATE = "meter_rate"
    """Make a token that changes what a meter counts or charges."""
    KEY_CHANGE = "key_change"
    """Move a meter to another key."""
    DEBT_WRITE_OFF = "debt_write_off"
    """Forgive what a customer owes."""
    VENDOR_CREDIT = "vendor_credit"
    """Give a vendor credit without a payment, or take it away."""
    BULK_VEND = "bulk_vend"
    """Sell for all matched payments of a bank statement."""
    VOUCHER_BATCH = "voucher_batch"
    """Make a batch of vouchers, or make it valid."""
    CAMPAIGN = "campaign"
    """Make key change tokens for a whole supply group."""
    KEY_CUSTODY = "key_custody"
    """Import, replace or take away a vending key."""
    COUNTER_RULES = "counter_rules"
    """Let one person alone give more away than before."""

    @property
    def permission(self) -> Permission:
        """What who asks must be allowed to do."""
        return _PERMISSIONS[self]

    @property
    def approver_permission(self) -> Permission:
        """What the second person must be allowed to do, beside `Permission.APPROVE`."""
        return _APPROVERS[self]

    @classmethod
    def named(cls, text: str) -> Act:
        """Read an act's name.

        Raises:
            UnknownActError: there is none of this name; lists them.
        """
        try:
            return cls(text)
        except ValueError:
            raise UnknownActError(
                f"No two-person act is called that; there are: {', '.join(cls)}."
            ) from None


_PERMISSIONS: Final[dict[Act, Permission]] = {
    Act.FREE_ISSUE: Permission.GIVE,
    Act.REPLACEMENT: Permission.GIVE,
    Act.REFUND: Permission.REVERSE,
    Act.CLEAR_CREDIT: Permission.ENGINEER,
    Act.CLEAR_TAMPER: Permission.ENGINEER,
    Act.METER_RATE: Permission.ENGINEER,
    Act.KEY_CHANGE: Permission.ENGINEER,
    Act.DEBT_WRITE_OFF: Permission.TARIFFS,
    Act.VENDOR_CREDIT: Permission.VENDORS,
    Act.BULK_VEND: Permission.SUPERVISE,
    Act.VOUCHER_BATCH: Permission.VOUCHERS,
    Act.CAMPAIGN: Permission.CAMPAIGNS,
    Act.KEY_CUSTODY: Permission.KEYS,
    Act.COUNTER_RULES: Permission.TARIFFS,
}

_APPROVERS: Final[dict[Act, Permission]] = {
    Act.FREE_ISSUE: Permission.SUPERVISE,
    Act.REPLACEMENT: Permission.SUPERVISE,
    Act.REFUND: Permission.SUPERVISE,
    Act.CLEAR_CREDIT: Permission.METERS,
    Act.CLEAR_TAMPER: Permission.METERS,
    Act.METER_RATE: Permission.METERS,
    Act.KEY_CHANGE: Permission.METERS,
    Act.DEBT_WRITE_OFF: Permission.SUPERVISE,
    Act.VENDOR_CREDIT: Permission.SUPERVISE,
    Act.BULK_VEND: Permission.SUPERVISE,
    Act.VOUCHER_BATCH: Permission.SUPERVISE,
    Act.CAMPAIGN: Permission.METERS,
    Act.KEY_CUSTODY: Permission.KEYS,
    Act.COUNTER_RULES: Permission.SUPERVISE,
}
