"""Faults of signing in, of permissions and of two-person acts.

No message holds a password, a secret or a hash, and none says whether a name exists.
"""

from __future__ import annotations

from typing import ClassVar

from vending.errors import FaultFamily
from vending.shop.faults import ShopError


class ApprovalRequiredError(ShopError):
    """This act takes two people, and no second one has approved exactly this request."""

    code: ClassVar[str] = "approval_required"


class UnknownApprovalError(ShopError):
    """No approval of this number was ever asked for."""

    code: ClassVar[str] = "unknown_approval"


class ApprovalClosedError(ShopError):
    """The approval was decided, used or has expired: nothing more can happen to it."""

    code: ClassVar[str] = "approval_closed"


class SamePersonError(ShopError):
    """Nobody approves what they asked for themselves."""

    code: ClassVar[str] = "same_person"


class SignInRequiredError(ShopError):
    """The shop has operators, so that nobody does anything there without signing in."""

    code: ClassVar[str] = "sign_in_required"


class ApproverNotAPersonError(ShopError):
    """A program's API key, or nobody at all, cannot be the second person."""

    code: ClassVar[str] = "approver_not_a_person"


class UnknownActError(ShopError):
    """This is no act that takes two people."""

    code: ClassVar[str] = "unknown_act"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL
