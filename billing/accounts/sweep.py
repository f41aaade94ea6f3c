"""What falls due about accounts: changes on their day, closings step by step."""

from __future__ import annotations

import structlog

from billing.accounts.changes import apply_due
from billing.accounts.closing import FinalSettlement, due, proceed
from billing.faults import BillingError
from billing.office import Office
from billing.person import SERVICE
from billing.privacy.retention import erase_due

_log = structlog.get_logger(__name__)


def sweep(office: Office, settle: FinalSettlement | None = None) -> int:
    """Do what is due; how much was done.

    Bounded, repeatable, and safe in several processes at once: each piece is looked at again under
    its account's lock.  One that fails is told in the log and costs no other.

    Args:
        office: the office.
        settle: the room of settlements; None: its own runs settle.
    """
    serving = office.acting(SERVICE)
    done = apply_due(serving)
    with serving.reading() as connection:
        closing = due(connection, serving)
    for account_id in closing:
        try:
            proceed(serving, account_id, settle)
        except BillingError as fault:
            if fault.is_system:
                raise
            _log.warning("account.close_failed", account_id=account_id, code=fault.code)
        else:
            done += 1
    return done + erase_due(serving)
