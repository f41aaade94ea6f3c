"""PostgreSQL: who switches many meters and the head-end's batches wait for each other in one order.

On SQLite one writes after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from billing.accounts.tables import supplies
from billing.collecting.cases import running_cases
from billing.collecting.deciding import Take
from billing.collecting.stepping import step_cases, weigh_cases
from billing.ledger.posting import lock
from billing.office import Office
from billing.person import Person
from billing.prepaid.cuts import CutState, begin_cut
from billing.prepaid.disconnecting import ask_reconnect, hold_meters
from headend.orders.moves import find_order
from headend.orders.placing import place
from headend.orders.sweeping import sweep
from headend.orders.values import OrderKind, OrderRequest
from headend.registry.tables import installations
from headend.station import Station
from headend.work.inline import InlineWork
from tests.billing.collecting.debtors import (
    make_customer,
    owe,
    pay,
    run_days,
    watched,
)
from tests.billing.made import make_supply
from tests.headend.orders.scene import MONDAY_MORNING
from tests.headend.orders.test_at_the_same_time import Meanwhile
from tests.shop.conftest import Clock

TRIP = OrderKind.RELAY_TRIP
pytestmark = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@pytest.fixture
def morning(office: Office, clock: Clock) -> Office:
    clock.now = MONDAY_MORNING
    return office


def test_req21_a_light_of_two_meters_and_a_batch_that_is_cancelled_wait_for_each_other(
    morning: Office,
) -> None:
    account_id, (first, second) = _with_two_trips(morning)
    with morning.writing() as connection:
        find_order(connection, first, lock=True)  # as `cancel_batch`: by numbers
        paid = Meanwhile(lambda: _light(morning, account_id))
        assert not paid.has_ended
        find_order(connection, second, lock=True)
    assert paid.result() is CutState.DROPPED


def test_req21_the_sweep_of_orders_waits_for_nobody(morning: Office) -> None:
    account_id, trips = _with_two_trips(morning)
    station = _station(morning)
    with morning.writing() as connection:
        lock(connection, [account_id])
        find_order(connection, trips[0], lock=True)
        swept = Meanwhile(lambda: sweep(station, InlineWork()))
        assert swept.has_ended
        assert swept.result() == 1, "the other order; this one is due the next time"
    assert sweep(station, InlineWork()) == 1


def test_req21_steps_take_the_count_of_disconnects_before_any_meter(
    office: Office, clock: Clock
) -> None:
    clock.now = MONDAY_MORNING
    office = watched(office).acting(Person("anna"))
    debtor = make_customer(office)
    owe(office, debtor, 100_00)
    run_days(office, clock, 60)
    late = make_customer(office)
    owe(office, late, 100_00)
    for _ in range(80):
        if _is_to_be_cut(office, late):
            break
        run_days(office, clock, 1)
    pay(replace(office, watchers=()), debtor, 300_00)
    bystander = make_customer(office)
    station = _station(office)
    with station.writing() as connection:  # somebody orders one meter, then the next
        [(_, far)] = _meters_of(connection, bystander)
        [(_, near)] = _meters_of(connection, debtor)
        place(connection, station, None, _order(TRIP, far))
        stepped = Meanwhile(lambda: _step(office, [debtor, late]))
        assert not stepped.has_ended
        place(connection, station, None, _order(OrderKind.RELAY_CLOSE, near))
    assert stepped.result() == {"Close", "Take"}


def test_req21_all_meters_are_held_in_one_order(morning: Office) -> None:
    pairs = [_with_two_trips(morning) for _ in range(3)]
    account_ids = [account_id for account_id, _ in pairs]
    trips = sorted(order_id for _, both in pairs for order_id in both)
    with morning.writing() as connection:
        find_order(connection, trips[0], lock=True)

        def hold() -> None:
            with morning.writing() as other:
                lock(other, account_ids)
                hold_meters(other, account_ids)

        held = Meanwhile(hold)
        assert not held.has_ended
        for each in trips:
            find_order(connection, each, lock=True)
    held.result()


def _with_two_trips(office: Office) -> tuple[int, Sequence[int]]:
    """An account with two meters that are to be switched off, the later one ordered first; its
    orders by their numbers."""
    account_id = make_customer(office)
    station = _station(office)
    with office.writing() as connection:
        make_supply(connection, office, account_id, url="tcp://192.0.2.1:4001")
        trips = [
            (supply_id, place(connection, station, None, _order(TRIP, device_id)))
            for supply_id, device_id in reversed(_meters_of(connection, account_id))
        ]
        begin_cut(
            connection,
            account_id,
            asker="test",
            once=f"test {account_id}",
            why="arrears",
            at=office.now(),
            trips=trips,
        )
    return account_id, [order.order_id for _, order in trips]


def _light(office: Office, account_id: int) -> CutState:
    with office.writing() as connection:
        asked = ask_reconnect(connection, office, account_id, "paid")
    assert asked.cut is not None
    return asked.cut.state


def _step(office: Office, account_ids: Sequence[int]) -> set[str]:
    with office.writing() as connection:
        moved = step_cases(connection, office, account_ids, now_or_never=False)
    return {type(each.decision).__name__ for each in moved}


def _is_to_be_cut(office: Office, account_id: int) -> bool:
    with office.reading() as connection:
        if not running_cases(connection, [account_id]):
            return False
        decision = weigh_cases(connection, office, [account_id])[0].decision
    return isinstance(decision, Take) and decision.step.code == "disconnect"


def _meters_of(connection: Connection, account_id: int) -> list[tuple[int, int]]:
    """Supplies and devices of an account, in their order."""
    rows = connection.execute(
        select(supplies.c.supply_id, installations.c.device_id)
        .join(installations, installations.c.point_id == supplies.c.point_id)
        .where(supplies.c.account_id == account_id)
        .order_by(installations.c.device_id)
    )
    return [(supply_id, device_id) for supply_id, device_id in rows]


def _order(kind: OrderKind, device_id: int) -> OrderRequest:
    return OrderRequest(
        client="t", message_id=f"{kind} {device_id}", kind=kind, device_id=device_id, why="w"
    )


def _station(office: Office) -> Station:
    assert office.station is not None
    return replace(office.station, clock=office.clock)
