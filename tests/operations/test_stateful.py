"""Operations at random against a small model: no token twice, the ledger balanced, the month right.

Sales by money and by units, gifts, replacements, reversals, refunds, prints, confirmations, key
changes and engineering tokens, with requests repeated, while the clock jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from storage.engine import reading
from tests.shop.conftest import Clock
from tests.shop.databases import Databases
from vending import (
    EngineeringAct,
    EngineeringRequest,
    FreeBasicRequest,
    FreeIssueRequest,
    KeyChangeRequest,
    NewMeter,
    Outcome,
    RefundRequest,
    ReplacementRequest,
    ReversalRequest,
    Shop,
    VendRequest,
    VendResult,
)
from vending.price.dues import month_units
from vending.shop.faults import SaleReversedError
from vending.shop.rules import CounterRules
from vending.sts import make_drn

NUMBERS = [make_drn("07", f"{serial:08d}") for serial in range(3)]
FREE_BASIC = 50


@dataclass
class SaleOf:
    """What the model knows of a sale."""

    number: str
    receipt_no: int
    message_id: str
    month: str
    units: int
    taken_minor: int
    state: str = "made"
    """made, printed, confirmed, reversed, refunded."""


@dataclass
class Model:
    """What the shop must remember."""

    sales: list[SaleOf] = field(default_factory=list)
    given: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Gifts: meter, month, units, receipt."""
    free_basic: set[tuple[str, str]] = field(default_factory=set)
    exchanged: set[str] = field(default_factory=set)
    digits: set[str] = field(default_factory=set)
    last_tid: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[Any, bytes]] = field(default_factory=list)


class OperationsMachine(RuleBasedStateMachine):
    """The rules; ``databases`` is given by the test."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.url = self.databases.shop()
        self.model = Model()
        self.ids = iter(range(10**6))
        self.shop = Shop.open(self.url, now=self.clock, rnd=lambda: 7)
        rules = CounterRules(
            double_sale_window_s=0, free_basic_units=FREE_BASIC, clock_ahead_max_h=0
        )
        self.shop.rules.set(rules)
        for number in NUMBERS:
            self.shop.add_meter(NewMeter(number))

    def teardown(self) -> None:
        self.shop.close()
        self.databases.discard(self.url)

    def _month(self) -> str:
        return f"{self.shop.utility.local(self.clock.now):%Y-%m}"

    def _ask(self, request: Any) -> VendResult:
        desks: dict[type, Callable[[Any], VendResult]] = {
            VendRequest: self.shop.vend,
            KeyChangeRequest: self.shop.key_change,
            FreeIssueRequest: self.shop.giving.free_issue,
            FreeBasicRequest: self.shop.giving.free_basic,
            ReplacementRequest: self.shop.giving.replacement,
            ReversalRequest: self.shop.advice.reverse,
            RefundRequest: self.shop.advice.refund,
            EngineeringRequest: self.shop.engineering.issue,
        }
        result = desks[type(request)](request)
        self.model.asked.append((request, result.response))
        if result.receipt is not None and not result.replayed:
            number = result.receipt.meter.number
            for token in result.receipt.tokens:
                if token.tid is not None:
                    assert token.digits not in self.model.digits
                    assert token.tid > self.model.last_tid.get(number, -1)
                    self.model.digits.add(token.digits)
                    self.model.last_tid[number] = token.tid
        return result

    def _id(self) -> str:
        return str(next(self.ids))

    @rule(number=st.sampled_from(NUMBERS), amount=st.sampled_from([500, 777, 10_000]))
    def sell(self, number: str, amount: int) -> None:
        self._sold(VendRequest("till", self._id(), number, amount))

    @rule(number=st.sampled_from(NUMBERS), units=st.sampled_from([20, 101]))
    def sell_units(self, number: str, units: int) -> None:
        request = VendRequest("till", self._id(), number, units=units)
        assert self._sold(request).units == units

    def _sold(self, request: VendRequest) -> SaleOf:
        receipt = self._ask(request).require_done()
        assert receipt.payment is not None
        sale = SaleOf(
            request.meter,
            receipt.receipt_no,
            request.message_id,
            self._month(),
            receipt.units,
            receipt.payment.tendered_minor - receipt.payment.change_minor,
        )
        self.model.sales.append(sale)
        return sale

    @rule(number=st.sampled_from(NUMBERS))
    def give(self, number: str) -> None:
        receipt = self._ask(FreeIssueRequest("till", self._id(), number, 33, "x")).require_done()
        self.model.given.append((number, self._month(), 33, receipt.receipt_no))

    @rule(number=st.sampled_from(NUMBERS))
    def give_free_basic(self, number: str) -> None:
        result = self._ask(FreeBasicRequest("till", self._id(), number))
        due = (number, self._month()) not in self.model.free_basic
        assert (result.outcome is Outcome.DONE) == due
        if result.receipt is not None:
            self.model.free_basic.add((number, self._month()))
            self.model.given.append((number, self._month(), FREE_BASIC, result.receipt.receipt_no))

    @rule(old=st.sampled_from(NUMBERS), new=st.sampled_from(NUMBERS))
    def replace(self, old: str, new: str) -> None:
        result = self._ask(ReplacementRequest("till", self._id(), new, old, 44, "burnt"))
        possible = old != new and old not in self.model.exchanged
        assert (result.outcome is Outcome.DONE) == possible
        if result.receipt is not None:
            self.model.exchanged.add(old)
            self.shop.unblock_meter(old)  # the exchange blocked it; here all are sold to
            self.model.given.append((new, self._month(), 44, result.receipt.receipt_no))

    def _is_latest(self, sale: SaleOf) -> bool:
        later = [each.receipt_no for each in self.model.sales if self._stands(each, sale.number)]
        later += [
            receipt_no for number, _, _, receipt_no in self.model.given if number == sale.number
        ]
        return max(later, default=0) <= sale.receipt_no

    def _stands(self, sale: SaleOf, number: str) -> bool:
        return sale.number == number and sale.state != "reversed"

    @rule(data=st.data())
    def advise(self, data: st.DataObject) -> None:
        if not self.model.sales:
            return
        sale = data.draw(st.sampled_from(self.model.sales[-4:]))
        act = data.draw(st.sampled_from(["print", "confirm", "reverse", "reverse", "refund"]))
        getattr(self, f"_{act}")(sale)

    def _print(self, sale: SaleOf) -> None:
        try:
            self.shop.printed(sale.receipt_no)
        except SaleReversedError:
            assert sale.state == "reversed"
            return
        assert sale.state != "reversed"
        if sale.state == "made":
            sale.state = "printed"

    def _confirm(self, sale: SaleOf) -> None:
        try:
            self.shop.advice.confirm("till", sale.message_id)
        except SaleReversedError:
            assert sale.state == "reversed"
            return
        assert sale.state != "reversed"
        if sale.state != "refunded":
            sale.state = "confirmed"

    def _reverse(self, sale: SaleOf) -> None:
        possible = sale.state == "made" and self._is_latest(sale)
        result = self._ask(ReversalRequest("till", self._id(), sale.message_id))
        assert (result.outcome is Outcome.DONE) == possible, (sale, result.fault)
        if possible:
            sale.state = "reversed"

    def _refund(self, sale: SaleOf) -> None:
        possible = sale.state not in ("reversed", "refunded")
        result = self._ask(RefundRequest("till", self._id(), sale.receipt_no, "broken"))
        assert (result.outcome is Outcome.DONE) == possible
        if possible:
            sale.state = "refunded"

    @rule(number=st.sampled_from(NUMBERS), krn=st.integers(1, 2))
    def change_key(self, number: str, krn: int) -> None:
        same = self.shop.meter(number).key.krn == krn
        result = self._ask(KeyChangeRequest("till", self._id(), number, krn=krn))
        assert (result.outcome is Outcome.DONE) != same

    @rule(number=st.sampled_from(NUMBERS), act=st.sampled_from(["clear_tamper", "clear_credit"]))
    def engineer(self, number: str, act: str) -> None:
        request = EngineeringRequest("till", self._id(), number, EngineeringAct(act), 0, "visit")
        self._ask(request).require_done()

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        if not self.model.asked:
            return
        request, response = data.draw(st.sampled_from(self.model.asked))
        again = self._ask(request)
        assert (again.response, again.replayed) == (response, True)

    @rule(minutes=st.sampled_from([1, 5, 14_400]))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @rule(minutes=st.sampled_from([1, 7]))
    def the_clock_goes_back_a_little(self, minutes: int) -> None:
        self.shop.set_price(self.shop.price())
        self.clock.advance(minutes=-minutes)
        self.shop.set_price(self.shop.price())

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        statement, sales = self.shop.statement(), self.model.sales
        standing = [sale for sale in sales if sale.state != "reversed"]
        assert statement.agrees
        assert statement.sales == len(sales)
        assert statement.taken_minor == sum(
            sale.taken_minor for sale in standing if sale.state != "refunded"
        )
        assert statement.units == sum(sale.units for sale in standing)
        assert statement.free_units == sum(units for _, _, units, _ in self.model.given)

    @invariant()
    def the_units_of_the_month_agree_with_the_model(self) -> None:
        month = self._month()
        house = self.shop._house
        with reading(house.engine) as connection:
            for number in NUMBERS:
                expected = sum(
                    sale.units
                    for sale in self.model.sales
                    if self._stands(sale, number) and sale.month == month
                ) + sum(
                    units
                    for to, in_month, units, _ in self.model.given
                    if (to, in_month) == (number, month)
                )
                found = month_units(
                    connection,
                    self.shop.meter(number),
                    utility=house.utility,
                    now=self.clock.now,
                )
                assert found == expected


def test_operations_do_what_their_model_does(databases: Databases) -> None:
    class Machine(OperationsMachine):
        pass

    Machine.databases = databases
    run(Machine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None))
