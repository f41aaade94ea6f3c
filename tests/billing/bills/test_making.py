"""Bills from the ledger: what is on them, and what the database refuses (requirements 18, 19)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from billing.bills.bill import Bill
from billing.bills.faults import EnergyUnbilledError, NothingToBillError
from billing.bills.fees import Fee, charge_fee
from billing.bills.kinds import BillKind, Group
from billing.bills.looking import bills_of, document
from billing.bills.making import BillOrder, make_bill
from billing.bills.tables import bills
from billing.faults import OfficeRefusedError
from billing.ledger.books import ADJUSTMENTS, BETWEEN
from billing.ledger.entry import Entry, EntryKind, Purse
from billing.ledger.posting import balance, entries_of, post
from billing.office import Office
from tests.billing.bills.made import bill_now, line, pay, settle
from tests.billing.made import make_account, make_supply
from tests.shop.conftest import Clock


def _adjust(account_id: int, amount_minor: int, **more: Any) -> Entry:
    kind = more.pop("kind", EntryKind.ADJUSTMENT)
    return Entry(account_id, kind, amount_minor, ADJUSTMENTS, "test 1", "a test", **more)


def test_req18_a_bill_shows_everything_that_was_posted(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, device_id = make_supply(connection, office, account_id)
        post(connection, office, [_adjust(account_id, -10_00)])
    first = bill_now(office, account_id, BillKind.FINAL)
    clock.advance(days=30)
    with office.writing() as connection:
        pay(connection, office, account_id, 4_00)
        lines = [line("block1", "3000", "100", "0.30"), line("vat", "390", kind="tax")]
        settle(
            connection,
            office,
            account_id,
            supply_id,
            office.now(),
            lines,
            100_000,
            tax_minor=3_90,
            device_id=device_id,
        )
        charge_fee(connection, office, Fee(account_id, "connection", 50_00, "fee 1"))
        post(
            connection,
            office,
            [
                _adjust(account_id, 1_00),
                _adjust(account_id, -20, kind=EntryKind.LATE_FEE),
                Entry(account_id, EntryKind.DEPOSIT, -7_00, BETWEEN, "d 1", "to the deposit"),
                Entry(
                    account_id,
                    EntryKind.DEPOSIT,
                    7_00,
                    BETWEEN,
                    "d 1",
                    "from the account",
                    purse=Purse.DEPOSIT,
                ),
                Entry(account_id, EntryKind.PLAN, 60_00, BETWEEN, "plan 1", "into a plan"),
                Entry(
                    account_id,
                    EntryKind.PLAN,
                    -60_00,
                    BETWEEN,
                    "plan 1",
                    "a plan",
                    purse=Purse.PLAN,
                ),
            ],
        )
    made = bill_now(office, account_id)
    assert made.opening_minor == first.total_minor == -10_00
    assert made.sums == {
        Group.PAYMENTS: 4_00,
        Group.ENERGY: -33_90,
        Group.ADJUSTMENTS: 1_00,
        Group.LATE_FEE: -20,
        Group.FEES: -50_00,
        Group.DEPOSIT: -7_00,
        Group.INSTALMENTS: 60_00,
    }
    assert (made.deposit_minor, made.plan_minor) == (7_00, -60_00)
    assert made.total_minor == -10_00 + sum(made.sums.values())
    assert made.to_pay_minor == 36_10
    assert made.due_on(office.zone) == office.today() + timedelta(days=14)
    with office.reading() as connection:
        assert made.total_minor == balance(connection, account_id)
        shown = document(connection, made.bill_id)
    energy = [each for each in shown.lines if each.group is Group.ENERGY]
    assert [(each.code, each.amount_minor) for each in energy] == [("block1", -3000), ("vat", -390)]
    assert {each.code for each in shown.lines if each.group is Group.FEES} == {"connection"}
    [point] = shown.supplies
    [register] = point.registers
    assert (register.first_wh, register.last_wh, point.energy_wh) == (0, 100_000, 100_000)
    assert len(register.meter) == 11
    assert shown.use_wh == {"2026-12": 100_000}


def test_req18_a_month_of_days_is_added_up_by_price(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
        for day in range(30):
            clock.advance(days=1)
            # 100/3 a day: what rounding leaves is carried, as settlements do
            amount = (day + 1) * 100 // 3 - day * 100 // 3
            lines = [
                line("t1", "20.3333333333", "0.333", "0.61"),
                line("t2", "13", "0.1", "1.30"),
            ]
            settle(connection, office, account_id, supply_id, office.now(), lines, 433, amount)
    made = bill_now(office, account_id)
    with office.reading() as connection:
        shown = document(connection, made.bill_id)
    assert [(each.code, each.amount_minor, str(each.quantity)) for each in shown.lines] == [
        ("t1", -610, "9.990"),
        ("t2", -390, "3.0"),
    ]
    assert made.total_minor == -1000


def test_req18_a_correction_shows_what_was_taken_back_and_what_holds(
    office: Office, clock: Clock
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
        clock.advance(days=30)
        lines = [line("block1", "3000", "100", "0.30")]
        settle(connection, office, account_id, supply_id, office.now(), lines, 100_000)
    bill_now(office, account_id)
    clock.advance(days=31)
    with office.writing() as connection:
        settle(connection, office, account_id, supply_id, office.now(), lines, -100_000, reverses=1)
        right = [line("block1", "1500", "50", "0.30")]
        settle(connection, office, account_id, supply_id, office.now(), right, 50_000, replaces=1)
    made = bill_now(office, account_id)
    with office.reading() as connection:
        shown = document(connection, made.bill_id)
    assert [(each.code, each.amount_minor, each.group) for each in shown.lines] == [
        ("taken_back", 3000, Group.ADJUSTMENTS),
        ("settled_anew", -1500, Group.ADJUSTMENTS),
    ]
    assert shown.use_wh == {"2026-12": 50_000}, "the correction finds its month"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_req18_every_entry_is_on_one_bill_and_lines_add_up(
    office: Office, data: st.DataObject
) -> None:
    kinds = [kind for kind in EntryKind if kind is not EntryKind.ENERGY_REVERSED]
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
    made: list[Bill] = []
    hour = 0
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 5))):
            kind = data.draw(st.sampled_from(kinds))
            with office.writing() as connection:
                if kind is EntryKind.ENERGY:
                    hour += 1
                    until = office.now() + timedelta(hours=hour)
                    amounts = data.draw(
                        st.lists(st.decimals(-(10**6), 10**6, places=4), min_size=1, max_size=5)
                    )
                    lines = [
                        line(f"t{place}", str(amount), "1.5", "0.1")
                        for place, amount in enumerate(amounts)
                    ]
                    posted = int(sum(amounts)) + data.draw(st.integers(-2, 2))
                    settle(connection, office, account_id, supply_id, until, lines, 1500, posted)
                else:
                    amount = data.draw(st.integers(-(10**9), 10**9).filter(bool))
                    post(connection, office, [_adjust(account_id, amount, kind=kind)])
        made.append(bill_now(office, account_id, BillKind.FINAL))
    with office.reading() as connection:
        chain = entries_of(connection, account_id, purse=Purse.CURRENT)
        for each in made:
            shown = document(connection, each.bill_id)
            assert sum(part.amount_minor for part in shown.lines) == (
                each.total_minor - each.opening_minor
            )
            on_it = [e for e in chain if each.after_seq < e.seq <= each.through_seq]
            assert each.opening_minor + sum(e.entry.amount_minor for e in on_it) == (
                each.total_minor
            )
    covered = [seq for each in made for seq in range(each.after_seq + 1, each.through_seq + 1)]
    assert covered == [each.seq for each in chain]


def _copy(office: Office, made: Bill, **changed: Any) -> dict[str, Any]:
    with office.reading() as connection:
        row = connection.execute(select(bills).where(bills.c.bill_id == made.bill_id)).one()
    values = dict(row._mapping)
    del values["bill_id"]
    return values | changed


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"energy_minor": -1}, "total"),
        (
            {
                "total_minor": -5_01,
                "adjustments_minor": -1,
                "document": '{"lines":[{"amount_minor":-1}]}',
            },
            "what the ledger says",
        ),
        ({"opening_minor": -1, "total_minor": -1}, "begins where|ledger says"),
        ({"after_seq": 0}, "begins where"),
        ({"seq": 4}, "begins where"),
        ({"late_fee_minor": -1, "adjustments_minor": 1, "late_so_far_minor": -1}, "late fees"),
        (
            {"document": '{"lines":[{"amount_minor":5}]}'},
            "add up",
        ),
        ({"deposit_minor": 5}, "ledger"),
    ],
    ids=str,
)
def test_req18_the_database_refuses_a_bill_that_is_not_so(
    office: Office, clock: Clock, changed: dict[str, Any], why: str
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00)])
    bill_now(office, account_id)
    clock.advance(days=40)
    made = bill_now(office, account_id)
    nothing = _copy(office, made, seq=3, number="x-3", period="2027-02")
    with pytest.raises(OfficeRefusedError, match=why), office.writing() as connection:
        connection.execute(insert(bills), nothing | changed)
    with office.writing() as connection:
        connection.execute(insert(bills), nothing)


def test_req18_a_bill_never_changes(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00)])
    bill_now(office, account_id)
    for act in (
        update(bills).values(total_minor=0, energy_minor=5_00),
        update(bills).values(due_at=office.now() + timedelta(days=90)),
        update(bills).values(document="{}"),
        delete(bills),
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(act)


def test_req19_one_bill_for_a_period(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00)])
    bill_now(office, account_id)
    with pytest.raises(OfficeRefusedError):
        bill_now(office, account_id)


def test_req19_fees_alone_make_a_bill_without_energy(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        supply_id, _ = make_supply(connection, office, account_id)
    with pytest.raises(NothingToBillError, match="no fee") as nothing:
        bill_now(office, account_id, BillKind.NON_METERING)
    assert nothing.value.code == "nothing_to_bill"
    with office.writing() as connection:
        charge_fee(connection, office, Fee(account_id, "connection", 120_00, "a"))
    made = bill_now(office, account_id, BillKind.NON_METERING)
    assert (made.kind, made.to_pay_minor) == (BillKind.NON_METERING, 120_00)
    clock.advance(days=1)
    with office.writing() as connection:
        lines = [line("t1", "100", "1", "1")]
        settle(connection, office, account_id, supply_id, office.now(), lines, 1000)
        charge_fee(connection, office, Fee(account_id, "visit", 20_00, "b"))
    with pytest.raises(EnergyUnbilledError, match="regular bill") as energy:
        bill_now(office, account_id, BillKind.NON_METERING)
    assert energy.value.code == "energy_unbilled"


def test_req19_an_instalment_has_the_due_date_of_its_plan(office: Office) -> None:
    due = office.day_start(office.today() + timedelta(days=9))
    with office.writing() as connection:
        account_id = make_account(connection, office)
        entry = Entry(
            account_id, EntryKind.PLAN, -30_00, BETWEEN, "plan 1", "instalment 1", due_at=due
        )
        post(connection, office, [entry])
    made = bill_now(office, account_id, BillKind.INSTALMENT)
    assert (made.kind, made.to_pay_minor, made.due_at) == (BillKind.INSTALMENT, 30_00, due)
    assert made.sums[Group.INSTALMENTS] == -30_00


def test_req19_a_final_bill_is_made_even_of_nothing(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
    with pytest.raises(NothingToBillError):
        bill_now(office, account_id)
    made = bill_now(office, account_id, BillKind.FINAL)
    assert (made.kind, made.total_minor) == (BillKind.FINAL, 0)


def test_bills_have_numbers_of_their_account(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, 5_00)])
    bill_now(office, account_id)
    made = bill_now(office, account_id, BillKind.FINAL)
    assert made.number == "1000000018-2"
    with office.reading() as connection:
        assert [each.seq for each in bills_of(connection, account_id)] == [2, 1]


def test_a_bill_takes_the_days_of_its_order(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00)])
        order = BillOrder(account_id, BillKind.FINAL)
        made = make_bill(connection, office, replace(order, due_days=3))
    assert made.due_on(office.zone) == office.today() + timedelta(days=3)


def test_what_was_deferred_is_not_due_before_that(office: Office) -> None:
    later = office.day_start(office.today() + timedelta(days=50))
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00, due_at=later)])
    assert bill_now(office, account_id).due_at == later


def test_a_late_bill_leaves_a_week(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        post(connection, office, [_adjust(account_id, -5_00)])
        long_ago = office.today() - timedelta(days=20)
        order = BillOrder(account_id, BillKind.FINAL, bill_day=long_ago)
        made = make_bill(connection, office, order)
    assert made.due_on(office.zone) == office.today() + timedelta(days=7)
