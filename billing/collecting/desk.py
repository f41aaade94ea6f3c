"""What people do with collection cases: look, move one now, drop one."""

from __future__ import annotations

from dataclasses import dataclass

from billing.collecting.ageing import OpenItem, open_items
from billing.collecting.cases import (
    Act,
    Case,
    CaseState,
    Outcome,
    acts_of,
    case_of,
    close_case,
    find_case,
    running_cases,
    select_cases,
)
from billing.collecting.deciding import Decision
from billing.collecting.faults import CaseStateError, UnknownCaseError
from billing.collecting.standings import overdue_of
from billing.collecting.stepping import Moved, reconnect, step_cases, weigh_cases
from billing.collecting.tables import collection_cases
from billing.faults import BadEntryError
from billing.ledger.posting import lock
from billing.office import Office
from billing.person import Right
from storage import audit


@dataclass(frozen=True, slots=True)
class CaseFile:
    """All of a case."""

    case: Case
    acts: tuple[Act, ...]
    items: tuple[OpenItem, ...]
    """What the account owes now."""
    next: Decision | None
    """What would be done if it was looked at now; None: nothing, it is not open."""


@dataclass(frozen=True, slots=True)
class CaseDesk:
    """The desk for cases."""

    office: Office

    def of_account(self, account_id: int) -> list[Case]:
        """The cases of an account, the newest first."""
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            rows = connection.execute(
                select_cases()
                .where(collection_cases.c.account_id == account_id)
                .order_by(collection_cases.c.case_id.desc())
            )
            return [case_of(row) for row in rows]

    def list(
        self,
        *,
        state: CaseState | None = CaseState.OPEN,
        debt_class: str | None = None,
        limit: int = 100,
    ) -> list[Case]:
        """Cases, the oldest debts first; ``state=None``: in any state."""
        self.office.require(Right.LOOK)
        query = select_cases().order_by(collection_cases.c.due_since, collection_cases.c.case_id)
        if state is not None:
            query = query.where(collection_cases.c.state == state.value)
        if debt_class is not None:
            query = query.where(collection_cases.c.debt_class == debt_class)
        with self.office.reading() as connection:
            return [case_of(row) for row in connection.execute(query.limit(limit))]

    def show(self, case_id: int) -> CaseFile:
        """A case, what was done in it, and what comes next.

        Raises:
            UnknownCaseError: there is none of this number.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            case = find_case(connection, case_id)
            acts = tuple(acts_of(connection, case_id))
            items = tuple(open_items(connection, case.account_id))
            weighed: list[Moved] = []
            if case.state is CaseState.OPEN:
                weighed = weigh_cases(connection, self.office, [case.account_id])
        return CaseFile(case, acts, items, weighed[0].decision if weighed else None)

    def step(self, account_id: int) -> Moved:
        """Look at an account's case now; the rules decide as they do in the sweep.

        Raises:
            UnknownCaseError: the account has no case that is open.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        with self.office.writing() as connection:
            moved = step_cases(connection, self.office, [account_id], now_or_never=False)
        if not moved:
            raise UnknownCaseError("The account has no collection case that is open.")
        return moved[0]

    def drop(self, case_id: int, why: str) -> Case:
        """End a case without a payment; supply that it has cut comes back.

        What is still owed gets another case at the next day's look: a plan, a later due date or a
        write-off keeps it from that.

        Raises:
            UnknownCaseError: there is none of this number.
            CaseStateError: it is closed already.
            BadEntryError: no reason.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        if not why.strip():
            raise BadEntryError("Say why the case is dropped: an auditor will ask.")
        at = self.office.now()
        with self.office.writing() as connection:
            account_id = find_case(connection, case_id).account_id
            lock(connection, [account_id])
            case = running_cases(connection, [account_id]).get(account_id)
            if case is None or case.case_id != case_id:
                raise CaseStateError(f"Case {case_id} is closed already.")
            debt = overdue_of(connection, [account_id], at)[account_id].debt(self.office, at)
            reconnect(connection, self.office, case, why.strip(), debt)
            close_case(connection, self.office, case, Outcome.DROPPED, why.strip(), debt=debt)
            audit.record(
                connection,
                at,
                actor=self.office.person.name,
                action="collection_case.drop",
                subject=str(case_id),
                detail=f"account {account_id}",
                reason=why.strip(),
            )
            return find_case(connection, case_id)
