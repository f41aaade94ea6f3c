"""A token that was ordered is given out as it was agreed, whatever changes before it is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from simulators.sts_module import MadeTokens, StsModule, StsModuleServer
from storage.engine import open_engine
from tests.shop.conftest import Clock
from tests.shop.databases import PRICE, START
from tests.shop.test_intents import NUMBER, kill_at, made_by, module
from tests.shop.test_vendor_credit import left, make_vendor
from vending import (
    CounterRules,
    EngineeringRequest,
    FreeBasicRequest,
    FreeIssueRequest,
    KeyChangeRequest,
    NewMeter,
    Outcome,
    PaymentRequest,
    Pin,
    Price,
    PublicTestKeys,
    RedeemRequest,
    ReplacementRequest,
    Shop,
    VendRequest,
    VendResult,
)
from vending.cash.faults import BatchCannotCloseError
from vending.cash.reckoning import Count
from vending.price.situation import Scheme, SchemeKind
from vending.security.faults import ModuleRefusedError, ModuleUnreachableError
from vending.security.groups import (
    GroupKind,
    KeyPolicy,
    KeyState,
    Provider,
    RevisionRecord,
    RevisionTerms,
    SupplyGroup,
    insert_revision,
    insert_supply_group,
    make_current,
)
from vending.security.line_module import LineModule
from vending.security.remote import TokenOrder
from vending.shop.engineering import EngineeringAct
from vending.shop.faults import MeterBusyError, OrderChangedError, OutcomeUnknownError
from vending.shop.making import Making
from vending.sts import BaseDate, KeyExpiry, KeyGeneration, KeyRevision, SupplyGroupCode, make_drn
from vending.sts.public_test_key import TEST_SUPPLY_GROUP

AMOUNT = 5_000
CREDIT = 20_000
DEBT = 3_000
SGC = SupplyGroupCode(TEST_SUPPLY_GROUP)
OTHER = make_drn("07", "00000043")
POINT = "house 12"


class Line(LineModule):
    """A real line to the module, which can be made to lose answers."""

    loses = False
    refuses = False

    def submit(self, message_id: str, order: TokenOrder) -> tuple[str, ...]:
        if self.refuses:
            raise ModuleRefusedError("The security module refused: not for this meter.")
        made = super().submit(message_id, order)
        if self.loses:
            raise ModuleUnreachableError("The answer was lost.")
        return made

    def fetch(self, message_id: str) -> tuple[str, ...] | None:
        made = super().fetch(message_id)
        if self.loses and made is not None:
            raise ModuleUnreachableError("The answer was lost.")
        return made


@dataclass
class Counter:
    """A shop with a meter, a debt, a vendor; and its module."""

    url: str
    clock: Clock
    line: Line
    state: Path
    vendor_id: int
    debt_id: int

    def open(self) -> Shop:
        return Shop.open(self.url, now=self.clock, security=self.line)

    @contextmanager
    def elsewhere(self) -> Iterator[Shop]:
        """A process with a module of its own, which finishes nothing of ours."""
        with Shop.open(self.url, now=self.clock, security=PublicTestKeys()) as shop:
            yield shop

    def ask(self, what: Callable[[Shop], VendResult]) -> VendResult:
        with self.open() as shop:
            return what(shop)

    def order(self, what: Callable[[Shop], VendResult]) -> None:
        """Ask; the token is made, and its answer lost."""
        with self.open() as shop:
            self.line.require(SGC, KeyRevision(1))  # it knows the module's keys
            self.line.loses = True
            assert what(shop).outcome is Outcome.UNKNOWN
        self.line.loses = False
        assert made_by(self.state)


@pytest.fixture
def counter(database_url: str, clock: Clock, tmp_path: Path) -> Iterator[Counter]:
    state = tmp_path / "made.jsonl"
    with Shop.open(database_url, now=clock, security=PublicTestKeys()) as shop:
        for number in (NUMBER, OTHER):
            shop.add_meter(NewMeter(number, service_point=POINT))
        vendor_id = make_vendor(shop, CREDIT)
        scheme = Scheme(SchemeKind.FIXED, fixed_minor=1_000)
        debt = shop.tariffs.add_debt(
            NUMBER, name="Loan", principal_minor=DEBT, scheme=scheme, reason="new"
        )
    memory = MadeTokens(state)
    server = StsModuleServer(StsModule(memory))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    line = Line("127.0.0.1", server.server_address[1], timeout_s=10)
    yield Counter(database_url, clock, line, state, vendor_id, debt.debt_id)
    line.close()
    server.shutdown()
    thread.join()
    server.server_close()
    memory.close()


REQUEST = VendRequest("kiosk", "m1", NUMBER, AMOUNT, operator="carl", terminal="Spaza-0")


def sell(shop: Shop) -> VendResult:
    return shop.vend(REQUEST)


def new_price(shop: Shop) -> None:
    shop.set_price(Price(PRICE.per_kwh * 2, PRICE.tax_bp))


def narrow_limits(shop: Shop) -> None:
    shop.set_meter_limits(NUMBER, 50_000, 60_000)


def block(shop: Shop) -> None:
    shop.block_meter(NUMBER, "stolen")


def other_owner(shop: Shop) -> None:
    other = make_vendor(shop, 0, name="Other")
    shop.vendors.assign_terminal("Spaza-0", other)


def no_owner(shop: Shop) -> None:
    shop.vendors.assign_terminal("Spaza-0", None)


def block_terminal(shop: Shop) -> None:
    with shop._house.writing() as connection:
        connection.execute(text("UPDATE terminals SET blocked = 'broken'"))
        connection.execute(text("UPDATE vendors SET blocked = 'owes'"))


def spend_the_rest(shop: Shop) -> None:
    sold = VendRequest(
        "kiosk",
        "rest",
        shop.add_meter(NewMeter(make_drn("07", "00000077"))).number,
        CREDIT - AMOUNT,
        terminal="Spaza-0",
    )
    assert shop.vend(sold).outcome is Outcome.DONE


def require_shifts(shop: Shop) -> None:
    shop.shifts.require_shifts(True)


def add_debt(shop: Shop) -> None:
    shop.tariffs.add_debt(
        NUMBER, name="Fine", principal_minor=9_000, scheme=Scheme(SchemeKind.BLOCK), reason="new"
    )


CHANGES = (
    new_price,
    narrow_limits,
    block,
    other_owner,
    no_owner,
    block_terminal,
    spend_the_rest,
    require_shifts,
    add_debt,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_sale_is_stored_as_it_was_agreed(
    counter: Counter, change: Callable[[Shop], None]
) -> None:
    with counter.elsewhere() as shop:
        agreed = shop.trial_request(REQUEST).quote
    counter.order(sell)
    with counter.elsewhere() as shop:
        before = left(shop, counter.vendor_id)
        change(shop)
    counter.clock.advance(hours=30)
    with counter.open() as shop:
        receipt = sell(shop).require_done()
        assert receipt.payment is not None
        assert [token.digits for token in receipt.tokens] == made_by(counter.state)
        assert receipt.units == agreed.units
        assert [line.amount_minor for line in receipt.payment.lines] == [
            line.amount_minor for line in agreed.lines
        ]
        assert receipt.issued_at == START
        assert (receipt.seller.operator, receipt.seller.vendor) == ("carl", "Spaza")
        assert shop.outstanding() == []
        assert shop.statement().agrees
        (debt, *_) = shop.tariffs.debts(NUMBER)
        assert debt.left_minor == DEBT - 1_000
        if change is not spend_the_rest:
            assert (
                left(shop, counter.vendor_id) == before == CREDIT - AMOUNT + (agreed.change_minor)
            )
    require_nothing_held(counter.url)


def require_nothing_held(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM intent_holds")) == 0
        assert connection.scalar(text("SELECT sum(reserved_minor) FROM vendor_credit")) == 0
    engine.dispose()


def test_whoever_asks_again_and_wherever_the_sale_is_who_made_it(counter: Counter) -> None:
    counter.order(sell)
    with counter.open() as shop:
        pass  # opening has finished it
    with counter.elsewhere() as shop:
        again = shop.vend(replace(REQUEST, operator="ann", terminal="Spaza-1")).require_done()
        assert (again.seller.operator, again.seller.terminal) == ("carl", "Spaza-0")


def test_nobody_touches_a_meter_between_the_order_and_its_token(counter: Counter) -> None:
    """Its key, its debts and its tokens wait, and so does its service point."""
    counter.order(sell)
    acts: list[Callable[[Shop], object]] = [
        lambda shop: shop.key_change(KeyChangeRequest("k", "k1", NUMBER, krn=2, reason="new")),
        lambda shop: shop.vend(VendRequest("k", "v1", NUMBER, AMOUNT)),
        lambda shop: shop.vend(VendRequest("k", "v2", OTHER, AMOUNT)),
        lambda shop: shop.payments.pay(PaymentRequest("k", "p", NUMBER, 500)),
        lambda shop: shop.tariffs.write_off(counter.debt_id, reason="gone"),
    ]
    for act in acts:
        with counter.elsewhere() as shop, pytest.raises(MeterBusyError, match="not settled"):
            act(shop)
    with counter.open() as shop:
        assert sell(shop).require_done().meter.key.krn == 1
        for act in acts:
            act(shop)
        (debt,) = shop.tariffs.debts(NUMBER)
        assert debt.left_minor == 0
        assert shop.statement().agrees


def test_a_shift_waits_for_what_was_ordered_in_it(counter: Counter) -> None:
    with counter.elsewhere() as shop:
        shop.vendors.assign_terminal("Spaza-0", None)
        shift = shop.shifts.open(operator="carl", terminal="Spaza-0")
    counter.order(sell)
    with counter.elsewhere() as shop, pytest.raises(BatchCannotCloseError):
        shop.shifts.count(shift.batch_id, Count({"cash": 0}), operator="carl")
    with counter.elsewhere() as shop, pytest.raises(DBAPIError), shop._house.engine.begin() as raw:
        raw.execute(text("UPDATE batches SET state = 'counted'"))
    with counter.open() as shop:
        assert sell(shop).require_done().shift_no == shift.batch_id
        shop.shifts.count(shift.batch_id, Count({"cash": AMOUNT}), operator="carl")


def test_a_question_that_comes_up_in_between_is_not_asked(counter: Counter) -> None:
    with counter.elsewhere() as shop:
        assert shop.vend(replace(REQUEST, message_id="m0")).outcome is Outcome.DONE
    counter.order(sell)
    with counter.elsewhere() as shop:
        shop.rules.set(CounterRules(double_sale_window_s=600))
    with counter.open() as shop:
        assert sell(shop).outcome is Outcome.DONE


def make_revision_2_current(shop: Shop) -> None:
    with shop._house.writing() as connection:
        insert_supply_group(
            connection,
            SupplyGroup(SGC, "test", GroupKind.UNIQUE, KeyPolicy.AUTO, START),
        )
        for krn in (KeyRevision(1), KeyRevision(2)):
            terms = RevisionTerms(
                SGC, krn, KeyGeneration.DKGA04, BaseDate.Y2014, KeyExpiry(255), START
            )
            record = RevisionRecord(
                terms, KeyState.WAITING, "000000", Provider.MODULE, None, START, ""
            )
            insert_revision(connection, record)
            make_current(connection, SGC, krn)


def test_a_sale_with_a_key_change_is_agreed_before_the_first_of_its_tokens(
    counter: Counter,
) -> None:
    old = make_drn("07", "00000055")
    request = VendRequest("kiosk", "old", old, AMOUNT, terminal="Spaza-0", accept_key_change=True)
    with counter.elsewhere() as shop:
        shop.add_meter(NewMeter(old))
        make_revision_2_current(shop)
        agreed = shop.trial_request(request).quote
    counter.order(lambda shop: shop.vend(request))
    with counter.elsewhere() as shop:
        new_price(shop)
        shop.block_meter(old, "stolen")
        assert left(shop, counter.vendor_id) < CREDIT
    with counter.open() as shop:
        receipt = shop.vend(request).require_done()
        assert receipt.units == agreed.units
        assert [token.digits for token in receipt.tokens] == made_by(counter.state)
        assert shop.statement().agrees
    require_nothing_held(counter.url)


def test_gifts_are_given_as_they_were_decided(counter: Counter) -> None:
    with counter.elsewhere() as shop:
        shop.rules.set(CounterRules(free_basic_units=500, free_issue_limit_units=900))
        assert shop.vend(VendRequest("k", "o", OTHER, 50_000)).outcome is Outcome.DONE
    gifts: list[Callable[[Shop], VendResult]] = [
        lambda shop: shop.giving.free_basic(FreeBasicRequest("k", "fb", NUMBER)),
        lambda shop: shop.giving.free_issue(FreeIssueRequest("k", "fi", NUMBER, 900, "flood")),
        lambda shop: shop.giving.replacement(
            ReplacementRequest("k", "re", NUMBER, OTHER, 100, "burnt")
        ),
        lambda shop: shop.engineering.issue(
            EngineeringRequest("k", "en", NUMBER, EngineeringAct.POWER_LIMIT, 4_000, "weak line")
        ),
    ]
    for number, gift in enumerate(gifts, 1):
        counter.order(gift)
        with counter.elsewhere() as shop:
            shop.block_meter(NUMBER, "stolen")
            shop.rules.set(CounterRules(free_basic_units=0))
        counter.clock.advance(days=31)
        with counter.open() as shop:
            assert shop.outstanding() == []  # opening has finished it
            receipt = gift(shop).require_done()
            assert receipt.token == made_by(counter.state)[number - 1]
            assert receipt.issued_at == counter.clock.now - timedelta(days=31)
            shop.unblock_meter(NUMBER)
            shop.rules.set(CounterRules(free_basic_units=500, free_issue_limit_units=900))
    require_nothing_held(counter.url)


def test_a_voucher_pays_for_the_sale_that_was_ordered_with_it(counter: Counter) -> None:
    with counter.elsewhere() as shop:
        made = shop.vouchers.make(AMOUNT, 1, START + timedelta(days=1))
        shop.vouchers.activate(made.batch.batch_id, "Corner shop")
    pin: Pin = made.pins[0]
    request = RedeemRequest("web", "r1", NUMBER, pin)
    counter.order(lambda shop: shop.vouchers.redeem(request))
    away = make_drn("07", "00000088")
    with counter.elsewhere() as shop:
        shop.add_meter(NewMeter(away))
        with pytest.raises(MeterBusyError):
            shop.vouchers.redeem(RedeemRequest("web", "r2", away, pin))
        with pytest.raises(MeterBusyError):
            shop.vouchers.block(made.batch.batch_id, "stolen")
        with pytest.raises(MeterBusyError):
            shop.vouchers.block_one(made.batch.batch_id, 1, "stolen")
    counter.clock.advance(days=3)  # it has expired
    with counter.open() as shop:
        paid = shop.vouchers.redeem(request).require_done()
        assert [paid.token] == made_by(counter.state)
        assert shop.statement().agrees


def test_what_was_agreed_cannot_be_changed(counter: Counter) -> None:
    counter.order(sell)
    for statement in ("UPDATE intents SET agreed = NULL", "DELETE FROM intent_holds"):
        engine = open_engine(counter.url)
        with pytest.raises(DBAPIError, match=r"agreed|keeps"), engine.begin() as raw:
            raw.execute(text(statement))
        engine.dispose()


def test_a_program_that_goes_another_way_stores_nothing() -> None:
    making = Making(made=[({}, ("0" * 20,))], kept=[("find_meter", None)])
    assert making.is_kept
    with pytest.raises(OrderChangedError, match="another way"):
        making.next_kept("make_offer")


def test_only_what_the_module_has_not_made_is_given_up(counter: Counter) -> None:
    counter.order(sell)
    with counter.elsewhere() as plain, counter_without_recovery(counter) as shop:
        assert [each.message_id for each in plain.outstanding()] == ["m1"]
        with pytest.raises(OutcomeUnknownError, match="has made"):
            shop.give_up("kiosk", "m1")
        assert sell(shop).outcome is Outcome.DONE


@contextmanager
def counter_without_recovery(counter: Counter) -> Iterator[Shop]:
    shop = Shop(open_engine(counter.url), now=counter.clock, security=counter.line)
    yield shop
    shop.close()


def test_what_the_module_refuses_fails_and_gives_the_credit_back(counter: Counter) -> None:
    counter.line.refuses = True
    with counter.open() as shop:
        failed = sell(shop)
        assert failed.outcome is Outcome.FAILED
        assert left(shop, counter.vendor_id) == CREDIT
        assert made_by(counter.state) == []
        counter.line.refuses = False
        assert shop.vend(replace(REQUEST, message_id="m2")).outcome is Outcome.DONE
    require_nothing_held(counter.url)


@pytest.mark.parametrize("step", ["submit", "submitted", "COMMIT 2"])
def test_a_till_that_dies_on_the_way_has_sold_at_the_price_that_was_agreed(
    database_url: str, clock: Clock, tmp_path: Path, step: str
) -> None:
    state = tmp_path / "made.jsonl"
    with Shop.open(database_url, now=clock, security=PublicTestKeys()) as shop:
        shop.add_meter(NewMeter(NUMBER))
        make_vendor(shop, CREDIT)
        agreed = shop.trial_vend(NUMBER, AMOUNT).quote
    with module(state) as remote:
        kill_at(database_url, remote._address[1], step)
        with Shop.open(database_url, now=clock, security=PublicTestKeys()) as shop:
            new_price(shop)
            block(shop)
        with Shop.open(database_url, now=clock, security=remote) as shop:
            receipt = shop.last_receipt(NUMBER)
            assert receipt.units == agreed.units
            assert [receipt.token] == made_by(state)
            assert shop.statement().agrees
