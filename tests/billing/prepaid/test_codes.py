"""Codes of the prepay loop's faults, which programs rely on."""

from __future__ import annotations

import pytest

from billing.accounts.looking import account
from billing.office import Office
from billing.prepaid import faults
from billing.prepaid.desk import PrepaidDesk
from tests.billing.made import make_account


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.PrepaidError, "prepaid"),
        (faults.NotPrepaidError, "not_prepaid"),
        (faults.NoHeadEndError, "no_head_end"),
        (faults.PrepaidPolicyError, "prepaid_policy"),
        (faults.NotHeldError, "not_held"),
        (faults.NoCutError, "no_cut"),
        (faults.EmergencyCreditError, "emergency_credit"),
        (faults.EmergencyCreditLimitError, "emergency_credit_limit"),
    ],
)
def test_codes_are_stable(fault: type[faults.PrepaidError], code: str) -> None:
    assert fault.code == code
    assert fault.is_system is (code == "no_head_end")


def test_nobody_is_released_who_is_not_held_nor_lit_who_was_not_cut(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office, mode="prepaid")
        number = account(connection, account_id).number
    desk = PrepaidDesk(office)
    with pytest.raises(faults.NotHeldError):
        desk.release(number, why="looked at it")
    with pytest.raises(faults.NoCutError):
        desk.reconnect(number, why="asked for it")
