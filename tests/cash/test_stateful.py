"""Shifts driven at random against a small model: sales, counts, closes, batches, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tests.cash.books import ledger
from tests.shop.databases import Databases
from vending import NewMeter, Shop, Tender, VendRequest
from vending.cash.batches import BatchKind
from vending.cash.faults import (
    BatchCannotCloseError,
    BatchKindError,
    BatchStateError,
    DifferenceReasonError,
    ShiftOpenError,
)
from vending.cash.reckoning import Count
from vending.sts import make_drn

PEOPLE = ["ann", "bob"]
METER = make_drn("07", "00000001")


@dataclass
class Drawer:
    """What a shift must remember."""

    operator: str
    float_minor: int
    state: str = "open"
    taken: dict[str, int] = field(default_factory=lambda: {"cash": 0, "card": 0})
    counted: int = 0
    parent: int | None = None


class ShiftMachine(RuleBasedStateMachine):
    """The rules; ``databases`` is given by the test."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.url = self.databases.shop()
        self.shop = Shop.open(self.url)
        self.shop.add_meter(NewMeter(METER))
        self.shifts: dict[int, Drawer] = {}
        self.sales_batches: dict[int, bool] = {}
        self.outside = {"cash": 0, "card": 0}
        self.messages = iter(range(10**6))

    def teardown(self) -> None:
        self.shop.close()
        self.databases.discard(self.url)

    def _open_of(self, operator: str) -> Drawer | None:
        return next(
            (
                each
                for each in self.shifts.values()
                if each.operator == operator and each.state == "open"
            ),
            None,
        )

    @rule(operator=st.sampled_from(PEOPLE), float_minor=st.sampled_from([0, 5_000]))
    def open(self, operator: str, float_minor: int) -> None:
        if self._open_of(operator) is not None:
            with pytest.raises(ShiftOpenError):
                self.shop.shifts.open(operator=operator, terminal="1")
            return
        opened = self.shop.shifts.open(operator=operator, terminal="1", float_minor=float_minor)
        self.shifts[opened.batch_id] = Drawer(operator, float_minor)

    @rule(
        operator=st.sampled_from(PEOPLE),
        amount=st.sampled_from([700, 10_000]),
        tender=st.sampled_from([Tender.CASH, Tender.CARD]),
    )
    def sell(self, operator: str, amount: int, tender: Tender) -> None:
        request = VendRequest(
            "till",
            str(next(self.messages)),
            METER,
            amount,
            tender,
            operator=operator,
            terminal="1",
            confirmed_second=True,
        )
        payment = self.shop.vend(request).require_done().payment
        assert payment is not None
        drawer = self._open_of(operator)
        taken = self.outside if drawer is None else drawer.taken
        taken[tender.value] += amount
        taken["cash"] -= payment.change_minor

    @precondition(lambda self: self.shifts)
    @rule(data=st.data(), off=st.sampled_from([0, 0, -30, 45]))
    def count(self, data: st.DataObject, off: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.shifts)))
        drawer = self.shifts[number]
        expected = drawer.float_minor + drawer.taken["cash"]
        counted = max(0, expected + off)
        count = Count({"cash": counted, "card": drawer.taken["card"]})
        if drawer.state == "closed":
            with pytest.raises(BatchStateError):
                self.shop.shifts.count(number, count, operator="boss")
            return
        reckoned = self.shop.shifts.count(number, count, operator="boss")
        assert {each.tender: each.expected_minor for each in reckoned} == {
            "cash": expected,
            "card": drawer.taken["card"],
        }
        drawer.state, drawer.counted = "counted", counted

    @precondition(lambda self: self.shifts)
    @rule(data=st.data(), reason=st.sampled_from(["", "a coin fell"]))
    def close(self, data: st.DataObject, reason: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.shifts)))
        drawer = self.shifts[number]
        difference = drawer.counted - drawer.float_minor - drawer.taken["cash"]
        reasons = {"cash": reason}
        if drawer.state == "open":
            with pytest.raises(BatchStateError):
                self.shop.shifts.close(number, reasons, operator="boss")
            return
        if drawer.state == "counted" and difference and not reason:
            with pytest.raises(DifferenceReasonError):
                self.shop.shifts.close(number, reasons, operator="boss")
            return
        report = self.shop.shifts.close(number, reasons, operator="boss").data()
        assert report["tenders"][0]["difference_minor"] == difference
        drawer.state = "closed"

    @rule()
    def open_a_sales_batch(self) -> None:
        self.sales_batches[self.shop.batches.open(BatchKind.SALES).batch_id] = True

    @precondition(lambda self: self.shifts and self.sales_batches)
    @rule(data=st.data())
    def collect(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.shifts)))
        batch = data.draw(st.sampled_from(sorted(self.sales_batches)))
        drawer = self.shifts[number]
        if drawer.parent == batch:
            self.shop.batches.collect(batch, number)
        elif drawer.parent is not None or not self.sales_batches[batch]:
            with pytest.raises((BatchKindError, BatchStateError)):
                self.shop.batches.collect(batch, number)
        else:
            self.shop.batches.collect(batch, number)
            drawer.parent = batch

    @precondition(lambda self: self.sales_batches)
    @rule(data=st.data())
    def close_a_sales_batch(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(sorted(self.sales_batches)))
        members = [each for each in self.shifts.values() if each.parent == batch]
        if not members or any(each.state != "closed" for each in members):
            with pytest.raises(BatchCannotCloseError):
                self.shop.batches.close(batch)
            return
        report = self.shop.batches.close(batch).data()
        self.sales_batches[batch] = False
        for tender in ("cash", "card"):
            assert report["taken"].get(tender, 0) == sum(each.taken[tender] for each in members)

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        assert self.shop.statement().agrees
        books = ledger(self.url)
        drawers = self.shifts.values()
        closed = [each for each in drawers if each.state == "closed"]
        running = [each for each in drawers if each.state != "closed"]
        over = sum(each.counted - each.float_minor - each.taken["cash"] for each in closed)
        assert books.get("cash.over_short", 0) == over
        assert books.get("cash.float", 0) == sum(each.float_minor for each in running)
        assert books["tender.cash"] == (
            self.outside["cash"]
            + sum(each.taken["cash"] for each in drawers)
            + over
            + sum(each.float_minor for each in running)
        )
        assert books["tender.card"] == self.outside["card"] + sum(
            each.taken["card"] for each in drawers
        )


def test_shifts_do_what_their_model_does(databases: Databases) -> None:
    class Machine(ShiftMachine):
        pass

    Machine.databases = databases
    run(Machine, settings=settings(max_examples=4, stateful_step_count=20, deadline=None))
