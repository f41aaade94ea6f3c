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


class PersonNeededError(ShopError):
    """This is a person's word; a program's API key is none."""

    code: ClassVar[str] = "person_needed"


class ApproverNotAPersonError(ShopError):
    """A program's API key, or nobody at all, cannot be the second person."""

    code: ClassVar[str] = "approver_not_a_person"


class UnknownActError(ShopError):
    """This is no act that takes two people."""

    code: ClassVar[str] = "unknown_act"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class WrongCredentialsError(ShopError):
    """Name, password, key or session do not open this shop; which of them is not said."""

    code: ClassVar[str] = "wrong_credentials"


class TooManyTriesError(ShopError):
    """After several wrong passwords the next try has to wait, longer each time."""

    code: ClassVar[str] = "too_many_tries"


class PasswordRuleError(ShopError):
    """A new password is too short, too long, or the operator's name."""

    code: ClassVar[str] = "password_rule"


class OperatorExistsError(ShopError):
    """There is an operator of this name already, perhaps in another case."""

    code: ClassVar[str] = "operator_exists"


class UnknownOperatorError(ShopError):
    """There is no operator of this name."""

    code: ClassVar[str] = "unknown_operator"


class OperatorNameError(ShopError):
    """An operator's name must be one short line without colons."""

    code: ClassVar[str] = "operator_name"


class UnknownRoleError(ShopError):
    """There is no role of this name, or none was given."""

    code: ClassVar[str] = "unknown_role"


class FirstOperatorError(ShopError):
    """The first operator must be an administrator: nobody else could add the second."""

    code: ClassVar[str] = "first_operator"


class LastAdministratorError(ShopError):
    """The last enabled administrator stays: nobody else could let anybody in."""

    code: ClassVar[str] = "last_administrator"


class OwnRolesError(ShopError):
    """Nobody changes their own roles."""

    code: ClassVar[str] = "own_roles"


class UnknownApiKeyError(ShopError):
    """There is no API key of this prefix."""

    code: ClassVar[str] = "unknown_api_key"


class BindingError(ShopError):
    """An operator's or key's vendor or terminal is not there, or a key's end has passed."""

    code: ClassVar[str] = "binding"


class ClientMismatchError(ShopError):
    """An API key's requests must name the client that the key was made for."""

    code: ClassVar[str] = "client_mismatch"
    family: ClassVar[FaultFamily] = FaultFamily.PROTOCOL


class HeadFormatError(ShopError):
    """What was given as the audit trail's kept head is none."""

    code: ClassVar[str] = "head_format"
