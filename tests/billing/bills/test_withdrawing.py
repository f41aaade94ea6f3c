"""A wrong bill is withdrawn by an adjustment bill; fees are taken back (requirements 18, 19)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.bills.faults import BillStateError, NoSuchFeeError, WithdrawalStateError
from billing.bills.fees import Fee, FeeDesk
from billing.bills.kinds import BillKind, Group
from billing.bills.late_fees import LateFeeDesk, LateFeeRule, sweep
from billing.bills.looking import bill, due_of, open_bills, replaced_by
from billing.bills.withdrawing import WithdrawalDesk
from billing.faults import BadEntryError
from billing.ledger.posting import balance
from billing.office import Office
from billing.person import Person
from storage.audit import audit_lines
from tests.billing.bills.made import bill_now, line, settle
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock

ANN, BEN = Person("Ann"), Person("Ben")


def test_req19_a_wrong_bill_is_replaced_by_an_adjustment_bill(office: Office, clock: Clock) -> None:
    LateFeeDesk(office).set(LateFeeRule("residential", office.today(), 1000, 100_00))
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
        clock.advance(days=30)
        lines = [line("t1", "100000", "1000", "1.00")]
        settle(connection, office, account_id, supply_id, office.now(), lines, 1_000_000)
    wrong = bill_now(office, account_id)
    clock.advance(days=20)
    sweep(office)
    with office.reading() as connection:
        assert balance(connection, account_id) == -1000_00 - 5_00
    with office.writing() as connection:
        settle(
            connection, office, account_id, supply_id, office.now(), lines, -1_000_000, reverses=1
        )
        right = [line("t1", "10000", "100", "1.00")]
        settle(connection, office, account_id, supply_id, office.now(), right, 100_000, replaces=1)
    ann, ben = WithdrawalDesk(office.acting(ANN)), WithdrawalDesk(office.acting(BEN))
    with pytest.raises(WithdrawalStateError, match="Nobody has asked") as fault:
        ben.approve(wrong.bill_id)
    assert fault.value.code == "withdrawal_state"
    with pytest.raises(BadEntryError):
        ann.ask(wrong.bill_id, " ")
    ann.ask(wrong.bill_id, "a digit too many was read")
    assert [each.number for each in ann.list()] == [wrong.number]
    with pytest.raises(WithdrawalStateError, match="already"):
        ben.ask(wrong.bill_id, "me too")
    with pytest.raises(WithdrawalStateError, match="somebody else approves"):
        ann.approve(wrong.bill_id)
    made = ben.approve(wrong.bill_id)
    assert (made.kind, made.corrects_bill_id) == (BillKind.ADJUSTMENT, wrong.bill_id)
    assert made.sums[Group.ADJUSTMENTS] == 900_00
    assert made.sums[Group.LATE_FEE] == 0, "what the wrong bill has borne is given back"
    assert made.to_pay_minor == 100_00
    with office.reading() as connection:
        assert bill(connection, wrong.bill_id) == wrong, "it stays as it was given out"
        assert replaced_by(connection, wrong.bill_id) == made.number
        assert [each.bill.number for each in open_bills(connection, account_id)] == [made.number]
        due = due_of(connection, account_id, office.now())
        actions = set(connection.scalars(select(audit_lines.c.action)))
    assert due is not None
    assert (due.due_at, due.amount_minor, due.overdue_minor) == (made.due_at, 100_00, 0)
    assert {"bill.withdraw.ask", "bill.withdraw.approve"} <= actions
    with pytest.raises(WithdrawalStateError, match="withdrawn already"):
        ben.approve(wrong.bill_id)
    with pytest.raises(BillStateError, match="was replaced by"):
        ann.ask(wrong.bill_id, "once more")
    clock.advance(days=10)
    assert sweep(office) == 0, "one due date: the adjustment bill's"
    clock.advance(days=6)
    assert sweep(office) == 1


def test_req18_a_fee_is_charged_once_and_taken_back_by_another(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
    ann, ben = FeeDesk(office.acting(ANN)), FeeDesk(office.acting(BEN))
    fee = Fee(account_id, "reconnection", 80_00, "order 7", "after payment")
    first = ann.charge(fee)
    assert ann.charge(fee) == first
    with pytest.raises(BadEntryError, match="Another fee"):
        ann.charge(Fee(account_id, "reconnection", 81_00, "order 7"))
    with pytest.raises(BadEntryError, match="one of"):
        ann.charge(Fee(account_id, "bribe", 1, "x"))
    with pytest.raises(BadEntryError, match="somebody else"):
        ann.take_back(first, "it was our fault")
    with pytest.raises(BadEntryError, match="Say why"):
        ben.take_back(first, "")
    ben.take_back(first, "it was our fault")
    with pytest.raises(NoSuchFeeError, match="taken back already") as fault:
        ben.take_back(first, "again")
    assert fault.value.code == "no_such_fee"
    with pytest.raises(NoSuchFeeError):
        ben.take_back(first + 1, "none")
    [shown] = ann.list(account_id)
    assert (shown.charged_by, shown.taken_back_by) == ("Ann", "Ben")
    made = bill_now(office, account_id, BillKind.NON_METERING)
    assert (made.sums[Group.FEES], made.total_minor) == (0, 0)
    assert made.due_on(office.zone) == office.today() + timedelta(days=14)
