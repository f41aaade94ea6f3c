"""Two-person acts: one asks, another approves, then exactly that request may be made, once.

An approval is for one request by its essence: what is asked, without who asks or under which
message id.  It is used in the transaction of the act itself, so that an act that was undone has
used nothing.  In an open house, where nobody has signed in, there are no two people to tell
apart: acts pass, and their audit line says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from storage import audit
from vending.people.actor import Actor, Permission
from vending.people.acts import Act
from vending.people.faults import (
    ApprovalClosedError,
    ApprovalRequiredError,
    ApproverNotAPersonError,
    SamePersonError,
    SignInRequiredError,
    UnknownApprovalError,
)
from vending.people.tables import approvals
from vending.shop.agreed import agreed
from vending.shop.faults import PermissionDeniedError, RequestFormatError
from vending.shop.requests import canonical_json
from vending.shop.values import require_text

APPROVAL_LIFE: Final = timedelta(hours=24)
"""How long after it was asked for an approval can be used."""
_ESSENCE_LENGTH_MAX: Final = 100_000


class ApprovalState(StrEnum):
    """Where an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Approval:
    """One request for a second person's word."""

    approval_id: int
    act: str
    subject: str
    essence: str
    """What is asked, as canonical JSON: what the second person must read."""
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    used_by: str | None
    used_at: datetime | None
    state: ApprovalState


def request_approval(
    connection: Connection,
    act: Act,
    subject: str,
    essence: Mapping[str, Any],
    reason: str,
    by: Actor,
    now: datetime,
) -> int:
    """Ask for a second person's word; gives the approval's number.

    Args:
        connection: in a write transaction.
        act: what kind of act.
        subject: what it is done to: a meter's number, a receipt's number; never a secret.
        essence: the request exactly as it will be made (its ``essence()``); no secrets in it,
            for the second person reads it.
        reason: why.
        by: who asks; needs the permission for the act.
        now: the time.

    Raises:
        PermissionDeniedError: who asks may not do the act at all.
        SignInRequiredError: nobody has signed in, so there is nobody to tell apart.
        RequestFormatError: a field has the wrong form, or no reason is given.
    """
    if by.is_anybody:
        raise SignInRequiredError(
            "Nobody has signed in, and this shop has no operators yet: here acts need no second "
            "person. Add operators with `meterhouse operator add`."
        )
    _require(by, act.permission)
    text = _essence_text(act, essence)
    require_text("The subject", subject)
    if not require_text("The reason", reason).strip():
        raise RequestFormatError("Say why: a two-person act needs a reason.")
    approval_id: int = connection.execute(
        insert(approvals).returning(approvals.c.approval_id),
        {
            "act": act.value,
            "subject": subject,
            "essence": text,
            "essence_sha256": _sha256(text),
            "reason": reason,
            "requested_by": by.name,
            "requested_at": now,
            "expires_at": now + APPROVAL_LIFE,
        },
    ).scalar_one()
    _record(connection, now, by, "approval.requested", approval_id, f"{act.value} {subject}")
    return approval_id


def approve(connection: Connection, approval_id: int, by: Actor, now: datetime) -> Approval:
    """Be the second person.

    Raises:
        UnknownApprovalError: nothing was asked for under this number.
        ApprovalClosedError: decided, used or expired.
        ApproverNotAPersonError: an API key, or nobody, asks to be the second person.
        SamePersonError: who asked for it cannot approve it.
        PermissionDeniedError: it needs the permission 'approve' and `Act.approver_permission`.
    """
    asked = _open_approval(connection, approval_id, now)
    if by.operator_id is None:
        raise ApproverNotAPersonError(
            "The second person must be an operator who has signed in with a password."
        )
    if asked.requested_by == by.name:
        raise SamePersonError(
            f"{by.name} asked for this: somebody else must approve it, or refuse it."
        )
    _require_approver(by, asked)
    return _decide(connection, approval_id, "approved", by, now)


def refuse(connection: Connection, approval_id: int, by: Actor, now: datetime) -> Approval:
    """Close a request without approving it; who asked may withdraw it in this way.

    Raises:
        UnknownApprovalError: nothing was asked for under this number.
        ApprovalClosedError: decided, used or expired.
        PermissionDeniedError: it is somebody else's, and needs what `approve` needs.
    """
    asked = _open_approval(connection, approval_id, now)
    if asked.requested_by != by.name:
        _require_approver(by, asked)
    return _decide(connection, approval_id, "refused", by, now)


@agreed
def use_approval(
    connection: Connection,
    act: Act,
    essence: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    *,
    subject: str = "",
) -> int | None:
    """Take the approval that an act needs, in the act's own transaction.

    Args:
        connection: in the write transaction of the act.
        act: what kind of act.
        essence: the request exactly as it is made.
        actor: who does it.
        now: the time.
        subject: for the audit line in an open house.

    Returns:
        The approval's number; None in an open house, where nobody has signed in.

    Raises:
        ApprovalRequiredError: nobody approved exactly this, or it was used or has expired.
    """
    if actor.is_anybody:
        audit.record(
            connection,
            now,
            actor="",
            action="approval.not_needed",
            subject=subject or act.value,
            detail=f"{act.value}: nobody signed in",
        )
        return None
    for approval_id in connection.scalars(_usable(act, essence, now)).all():
        taken = connection.execute(
            update(approvals)
            .where(approvals.c.approval_id == approval_id, approvals.c.used_at.is_(None))
            .values(used_by=actor.name, used_at=now)
        )
        if taken.rowcount == 1:
            _record(connection, now, actor, "approval.used", approval_id, act.value)
            return int(approval_id)
    raise ApprovalRequiredError(
        f"This takes two people ({act.value}). Ask for it with `meterhouse approval request`, "
        "have somebody else approve exactly this, then ask again under a new message id."
    )


def find_approval(connection: Connection, approval_id: int, now: datetime) -> Approval:
    """An approval by its number.

    Raises:
        UnknownApprovalError: nothing was asked for under it.
    """
    row = connection.execute(
        select(approvals).where(approvals.c.approval_id == approval_id)
    ).one_or_none()
    if row is None:
        raise UnknownApprovalError(f"There is no approval {approval_id} in this shop.")
    return _approval(row, now)


def list_approvals(
    connection: Connection, now: datetime, *, only_open: bool, limit: int
) -> list[Approval]:
    """The latest approvals, the newest first."""
    wanted = select(approvals).order_by(approvals.c.approval_id.desc()).limit(limit)
    if only_open:
        wanted = wanted.where(approvals.c.used_at.is_(None), approvals.c.expires_at > now).where(
            approvals.c.decision.is_distinct_from("refused")
        )
    return [_approval(row, now) for row in connection.execute(wanted)]


def _usable(act: Act, essence: Mapping[str, Any], now: datetime) -> Any:
    return (
        select(approvals.c.approval_id)
        .where(
            approvals.c.essence_sha256 == _sha256(_essence_text(act, essence)),
            approvals.c.decision == "approved",
            approvals.c.used_at.is_(None),
            approvals.c.expires_at > now,
        )
        .order_by(approvals.c.approval_id)
    )


def _open_approval(connection: Connection, approval_id: int, now: datetime) -> Approval:
    connection.execute(
        select(approvals.c.approval_id)
        .where(approvals.c.approval_id == approval_id)
        .with_for_update()
    )
    asked = find_approval(connection, approval_id, now)
    if asked.state is not ApprovalState.PENDING:
        raise ApprovalClosedError(
            f"Approval {approval_id} is {asked.state.value}: nothing more can be decided. Ask anew."
        )
    return asked


def _decide(
    connection: Connection, approval_id: int, decision: str, by: Actor, now: datetime
) -> Approval:
    connection.execute(
        update(approvals)
        .where(approvals.c.approval_id == approval_id)
        .values(decision=decision, decided_by=by.name, decided_at=now)
    )
    decided = find_approval(connection, approval_id, now)
    what = f"{decided.act} {decided.subject} for {decided.requested_by}"
    _record(connection, now, by, f"approval.{decision}", approval_id, what)
    return decided


def _approval(row: Row[Any], now: datetime) -> Approval:
    return Approval(
        row.approval_id,
        row.act,
        row.subject,
        row.essence,
        row.reason,
        row.requested_by,
        row.requested_at,
        row.expires_at,
        row.decided_by,
        row.decided_at,
        row.used_by,
        row.used_at,
        _state(row, now),
    )


def _state(row: Row[Any], now: datetime) -> ApprovalState:
    if row.used_at is not None:
        return ApprovalState.USED
    if row.decision == "refused":
        return ApprovalState.REFUSED
    if now >= row.expires_at:
        return ApprovalState.EXPIRED
    return ApprovalState.PENDING if row.decision is None else ApprovalState.APPROVED


def _essence_text(act: Act, essence: Mapping[str, Any]) -> str:
    text = canonical_json([act.value, dict(essence)]).decode()
    if len(text) > _ESSENCE_LENGTH_MAX:
        raise RequestFormatError("What is to be approved is too long to be read by anybody.")
    return text


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _require_approver(by: Actor, asked: Approval) -> None:
    _require(by, Permission.APPROVE)
    _require(by, Act.named(asked.act).approver_permission)


def _require(actor: Actor, permission: Permission) -> None:
    if not actor.may(permission):
        raise PermissionDeniedError(
            f"{actor.name} may not do this: it needs the permission '{permission.value}'."
        )


def _record(
    connection: Connection, now: datetime, by: Actor, action: str, approval_id: int, detail: str
) -> None:
    audit.record(
        connection, now, actor=by.name, action=action, subject=str(approval_id), detail=detail
    )
