"""The desk for two-person acts: `Shop.approvals`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vending.people import approvals
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import Approval
from vending.people.essences import require_essence
from vending.shop.faults import RequestFormatError
from vending.shop.house import House
from vending.shop.values import require_whole

_LIST_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class ApprovalDesk:
    """Ask for, give and refuse the second person's word."""

    house: House

    def request(
        self, act: Act | str, subject: str, essence: Mapping[str, Any], reason: str
    ) -> Approval:
        """Ask that exactly this request may be made, within `approvals.APPROVAL_LIFE`.

        Args:
            act: what kind of act.
            subject: what it is done to, e.g. a meter's number.
            essence: ``request.essence()`` of the request that will be made.
            reason: why; stands in the audit trail.

        Raises:
            PermissionDeniedError: who asks may not do the act at all.
            SignInRequiredError: nobody has signed in; here acts need no second person.
            UnknownActError, RequestFormatError: a field has the wrong form, or is none of the
                act's (`essences.ESSENCES`).
            CheckDigitError, InvalidValueError: not a meter number.
        """
        kind = Act.named(act)
        self.house.require(kind.permission)
        if not isinstance(essence, Mapping):
            raise RequestFormatError("What is asked must be a request's essence: a dict.")
        require_essence(kind, essence)
        now = self.house.now()
        with self.house.writing() as connection:
            number = approvals.request_approval(
                connection, kind, subject, essence, reason, self.house.actor, now
            )
            return approvals.find_approval(connection, number, now)

    def approve(self, approval_id: int) -> Approval:
        """Be the second person; see `approvals.approve` for who may.

        Raises:
            UnknownApprovalError, ApprovalClosedError, SamePersonError, ApproverNotAPersonError,
                PermissionDeniedError: why not.
        """
        require_whole("An approval's number", approval_id)
        self.house.require(Permission.APPROVE)
        with self.house.writing() as connection:
            return approvals.approve(connection, approval_id, self.house.actor, self.house.now())

    def refuse(self, approval_id: int) -> Approval:
        """Refuse it, or withdraw what one asked for oneself.

        Raises:
            UnknownApprovalError, ApprovalClosedError, PermissionDeniedError: why not.
        """
        require_whole("An approval's number", approval_id)
        with self.house.writing() as connection:
            return approvals.refuse(connection, approval_id, self.house.actor, self.house.now())

    def recent(self, *, only_open: bool = True, limit: int = _LIST_MAX) -> list[Approval]:
        """The latest, newest first; by default those that wait for a decision or for their use.

        Raises:
            RequestFormatError: the limit is no whole number above zero.
        """
        if require_whole("The limit of a list", limit) < 1:
            raise RequestFormatError("The limit of a list must be above zero.")
        self._require_reader()
        with self.house.reading() as connection:
            return approvals.list_approvals(
                connection, self.house.now(), only_open=only_open, limit=limit
            )

    def show(self, approval_id: int) -> Approval:
        """One approval.

        Raises:
            UnknownApprovalError: nothing was asked for under this number.
        """
        self._require_reader()
        require_whole("An approval's number", approval_id)
        with self.house.reading() as connection:
            return approvals.find_approval(connection, approval_id, self.house.now())

    def _require_reader(self) -> None:
        """Who is to approve something reads it first, whatever else they may look at."""
        if not self.house.current_actor().may(Permission.APPROVE):
            self.house.require(Permission.LOOK)
