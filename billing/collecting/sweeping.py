"""What collections do by themselves; bounded, repeatable, safe in several processes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, exists, select

from billing.collecting.cases import ActKind, CaseState, Debt, log
from billing.collecting.deferring import resume_deferred
from billing.collecting.finding import find_debts
from billing.collecting.forecasting import forecast_due
from billing.collecting.plan_calling import call_instalments
from billing.collecting.plan_ending import end_plans
from billing.collecting.score import snapshot_scores
from billing.collecting.stepping import ASKER, step_due
from billing.collecting.tables import collection_cases
from billing.collecting.writing_off import recover_written_off
from billing.ledger.posting import lock
from billing.office import Office
from billing.person import SERVICE
from billing.prepaid.cuts import CutState
from billing.prepaid.disconnecting import ask_reconnect
from billing.prepaid.following import accounts_of, for_each
from billing.prepaid.tables import supply_cuts


def sweep(office: Office) -> int:
    """Do what is due; how many accounts were touched."""
    office = office.acting(SERVICE)
    touched = call_instalments(office)
    touched += end_plans(office)
    touched += resume_deferred(office)
    touched += recover_written_off(office)
    touched += find_debts(office)
    touched += step_due(office)
    touched += light_again(office)
    touched += snapshot_scores(office)
    touched += forecast_due(office)
    return touched


def light_again(office: Office) -> int:
    """Ask again for the light of those who were cut for a debt that is settled meanwhile."""
    if office.station is None:
        return 0

    def act(connection: Connection, account_id: int) -> None:
        lock(connection, [account_id])
        still = _dark_for_nothing().where(supply_cuts.c.account_id == account_id)
        if connection.scalar(still) is None:
            return
        asked = ask_reconnect(connection, office, account_id, "The debt is settled.")
        case_id = connection.scalar(
            select(collection_cases.c.case_id)
            .where(collection_cases.c.account_id == account_id)
            .order_by(collection_cases.c.case_id.desc())
            .limit(1)
        )
        if case_id is not None:
            words = asked.words or "The debt is settled."
            log(connection, office, case_id, ActKind.RECONNECT, words, Debt(0, 0))

    return for_each(office, accounts_of(office, _dark_for_nothing()), act)


def _dark_for_nothing() -> Select[Any]:
    """Accounts that collections have cut, with no case that is open."""
    running = exists().where(
        collection_cases.c.account_id == supply_cuts.c.account_id,
        collection_cases.c.state == CaseState.OPEN.value,
    )
    return select(supply_cuts.c.account_id).where(
        supply_cuts.c.asker == ASKER,
        supply_cuts.c.state.in_([CutState.ORDERED.value, CutState.DARK.value]),
        ~running,
    )
