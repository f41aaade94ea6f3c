"""A shop driven at random against a small model of what it must do.

Several clients sell, repeat, conflict, are refused, change keys and prices, block meters and
reprint while the clock jumps (to before the shop was made, too) and the shop is opened anew;
after each step the books are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tests.shop.conftest import Clock
from tests.shop.databases import PRICE, START, UTILITY, Databases
from tests.shop.test_vendor_credit import left, make_vendor
from vending import (
    KeyChangeRequest,
    NewMeter,
    Outcome,
    Price,
    PublicTestKeys,
    Shop,
    VendRequest,
    VendResult,
)
from vending.shop.faults import MessageConflictError, NoPriceError
from vending.shop.price import quote
from vending.sts import TransferCredit, make_drn

NUMBERS = [make_drn("07", f"{serial:08d}") for serial in range(3)]
KEYS = PublicTestKeys()
CREDIT = 1_200_000
"""Of the vendor: enough for some of the large sales and not for all of them."""


@dataclass
class Model:
    """What the shop must remember."""

    answers: dict[tuple[str, str], tuple[VendRequest | KeyChangeRequest, bytes]] = field(
        default_factory=dict
    )
    blocked: set[str] = field(default_factory=set)
    krn: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NUMBERS, 1))
    last_tid: dict[str, int] = field(default_factory=dict)
    price: Price = PRICE
    first_price_at: datetime = START
    taken_minor: int = 0
    units: int = 0
    sales: int = 0
    copies: dict[int, int] = field(default_factory=dict)
    credit_minor: int = CREDIT
    """What the vendor may sell yet."""


class ShopMachine(RuleBasedStateMachine):
    """The rules; ``databases`` is given by the test."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.url = self.databases.shop()
        self.model = Model()
        self.shop = self._open()
        for number in NUMBERS:
            self.shop.add_meter(NewMeter(number))
        self.vendor_id = make_vendor(self.shop, CREDIT)

    def _open(self) -> Shop:
        return Shop.open(self.url, now=self.clock, rnd=lambda: 7)

    def teardown(self) -> None:
        self.shop.close()
        self.databases.discard(self.url)

    @rule(
        client=st.sampled_from(["till", "kiosk"]),
        message_id=st.integers(0, 12).map(str),
        number=st.sampled_from(NUMBERS),
        amount=st.sampled_from([1, 499, 500, 777, 10_000, 1_000_000, 1_000_001]),
        terminal=st.sampled_from(["", "Spaza-0", "Spaza-1"]),
    )
    def sell(self, client: str, message_id: str, number: str, amount: int, terminal: str) -> None:
        request = VendRequest(client, message_id, number, amount, terminal=terminal)
        known = self.model.answers.get((client, message_id))
        if known is not None and known[0].essence() != request.essence():
            with pytest.raises(MessageConflictError):
                self.shop.vend(request)
            return
        sellable = number not in self.model.blocked and 500 <= amount <= 1_000_000
        if known is None and sellable and self.clock.now < self.model.first_price_at:
            with pytest.raises(NoPriceError):
                self.shop.vend(request)
            return
        result = self.shop.vend(request)
        if known is not None:
            assert (result.response, result.replayed) == (known[1], True)
            return
        self.model.answers[client, message_id] = (request, result.response)
        if sellable and terminal:
            kept = amount - quote(self.model.price, amount, UTILITY.currency).change_minor
            sellable = kept <= self.model.credit_minor
            self.model.credit_minor -= kept if sellable else 0
        assert result.outcome is (Outcome.DONE if sellable else Outcome.FAILED)
        if sellable:
            self._sold(number, amount, result)

    def _sold(self, number: str, amount: int, result: VendResult) -> None:
        receipt = result.require_done()
        payment, token = receipt.payment, receipt.tokens[0]
        assert payment is not None
        assert token.tid is not None
        assert sum(line.amount_minor for line in payment.lines) == amount
        assert payment.price_per_kwh == self.model.price.per_kwh
        assert token.tid > self.model.last_tid.get(number, -1)
        meter = self.shop.meter(number)
        assert meter.key.krn == receipt.meter.key.krn == self.model.krn[number]
        content = KEYS.read_token(token.digits, meter.attributes()).content
        assert isinstance(content, TransferCredit)
        assert (content.tid, content.amount) == (token.tid, token.units)
        self.model.last_tid[number] = token.tid
        self.model.taken_minor += amount - payment.change_minor
        self.model.units += token.units
        self.model.sales += 1
        self.model.copies[receipt.receipt_no] = 0

    @rule(
        message_id=st.integers(0, 12).map(str),
        number=st.sampled_from(NUMBERS),
        krn=st.integers(1, 3),
    )
    def change_key(self, message_id: str, number: str, krn: int) -> None:
        request = KeyChangeRequest("till", message_id, number, krn=krn)
        known = self.model.answers.get(("till", message_id))
        if known is not None and known[0].essence() != request.essence():
            with pytest.raises(MessageConflictError):
                self.shop.key_change(request)
            return
        result = self.shop.key_change(request)
        if known is not None:
            assert (result.response, result.replayed) == (known[1], True)
            return
        self.model.answers["till", message_id] = (request, result.response)
        possible = krn < 3 and krn != self.model.krn[number]
        assert result.outcome is (Outcome.DONE if possible else Outcome.FAILED)
        if possible:
            self.model.krn[number] = krn

    @rule(minutes=st.sampled_from([0, 1, 5, 1440, 44_640]))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @rule(minutes=st.sampled_from([1, 7, 1_440, 2_000, 50_000]))
    def the_clock_goes_back(self, minutes: int) -> None:
        self.clock.advance(minutes=-minutes)

    @rule(per_kwh=st.sampled_from([100_000, 250_000, 333_333]))
    def set_price(self, per_kwh: int) -> None:
        self.model.price = Price(per_kwh)
        self.model.first_price_at = min(self.model.first_price_at, self.clock.now)
        self.shop.set_price(self.model.price)

    @rule(number=st.sampled_from(NUMBERS), block=st.booleans())
    def block(self, number: str, block: bool) -> None:
        if block:
            self.shop.block_meter(number, "debt")
            self.model.blocked.add(number)
        else:
            self.shop.unblock_meter(number)
            self.model.blocked.discard(number)

    @precondition(lambda self: self.model.copies)
    @rule(data=st.data())
    def reprint(self, data: st.DataObject) -> None:
        receipt_no = data.draw(st.sampled_from(sorted(self.model.copies)))
        self.model.copies[receipt_no] += 1
        assert self.shop.reprint(receipt_no).copy_no == self.model.copies[receipt_no]

    @rule()
    def open_anew(self) -> None:
        self.shop.close()
        self.shop = self._open()

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        assert left(self.shop, self.vendor_id) == self.model.credit_minor
        statement = self.shop.statement()
        assert statement.agrees
        assert statement.sales == self.model.sales
        assert statement.taken_minor == self.model.taken_minor
        assert statement.units == self.model.units


def test_a_shop_does_what_its_model_does(databases: Databases) -> None:
    class Machine(ShopMachine):
        pass

    Machine.databases = databases
    run(Machine, settings=settings(max_examples=10, stateful_step_count=25))
