"""A debtor's life in any order: debts, payments, plans, days; the books and the rules hold."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import func, select

import billing.tables_all
from billing.collecting.ageing import open_items
from billing.collecting.cases import ActKind, CaseState
from billing.collecting.deciding import Close, Hold, Standing, Take, Wait, decide
from billing.collecting.deferring import DeferralDesk
from billing.collecting.faults import NothingOwedError, PlanStateError
from billing.collecting.plan import PlanState
from billing.collecting.plans import PlanDesk
from billing.collecting.rules import CUSTOMER_CLASSES, Does, delivered, read_rules
from billing.collecting.sweeping import sweep
from billing.collecting.writing_off import WriteOffDesk
from billing.ledger.books import BETWEEN, open_books
from billing.ledger.entry import Purse
from billing.ledger.posting import balance
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.person import Person
from billing.prepaid.cuts import open_cut
from billing.privacy.seal import Seal
from headend.station import Station
from storage.engine import open_engine
from tests.billing.collecting.debtors import (
    MONDAY,
    acts_in,
    cases_of,
    make_customer,
    owe,
    pay,
    told,
    watched,
)
from tests.shop.conftest import Clock
from tests.shop.databases import Databases, SqliteFiles
from vending import Currency

assert billing.tables_all.__doc__
ZONE = ZoneInfo("Asia/Shanghai")
RULES = read_rules(delivered())
ANNA, BO = Person("anna"), Person("bo")
amounts = st.integers(1, 2_000_00)


class Debtor(RuleBasedStateMachine):
    """One account, with what it owes kept beside it."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.url = self.databases.shop()
        self.clock = Clock()
        self.clock.now = MONDAY
        engine = open_engine(self.url)
        office = Office(
            engine=engine,
            zone=ZONE,
            currency=Currency.named("CNY"),
            clock=self.clock,
            seal=Seal(bytes(32)),
            person=ANNA,
            station=Station(engine, ZONE, self.clock),
        )
        with office.writing() as connection:
            open_books(connection, "CNY")
        self.office = watched(office)
        self.account_id = make_customer(self.office)
        self.owed = 0
        self.written_off = 0

    def teardown(self) -> None:
        self.office.engine.dispose()
        self.databases.discard(self.url)

    @rule(amount=amounts, due_days=st.none() | st.integers(0, 40))
    def use(self, amount: int, due_days: int | None) -> None:
        due_at = None if due_days is None else self.clock.now + timedelta(days=due_days)
        owe(self.office, self.account_id, amount, due_at)
        self.owed += amount

    @rule(amount=amounts)
    def pay_something(self, amount: int) -> None:
        pay(self.office, self.account_id, amount)
        self.owed -= amount

    @precondition(lambda self: self.owed > 0)
    @rule()
    def pay_all(self) -> None:
        pay(self.office, self.account_id, self.owed)
        self.owed = 0

    @rule(parts=st.integers(2, 5))
    def agree_on_instalments(self, parts: int) -> None:
        try:
            plan = PlanDesk(self.office).ask(self.account_id, parts=parts, reason="asked")
        except (NothingOwedError, PlanStateError):
            return
        if plan.state is PlanState.ASKED:
            PlanDesk(self.office.acting(BO)).approve(plan.plan_id)

    @rule(days=st.integers(1, 45))
    def put_off(self, days: int) -> None:
        until = self.office.today() + timedelta(days=days)
        try:
            found = DeferralDesk(self.office).ask(self.account_id, until=until, reason="asked")
        except NothingOwedError:
            return
        if found.state == "asked":
            DeferralDesk(self.office.acting(BO)).approve(found.deferral_id)

    @rule()
    def give_up(self) -> None:
        try:
            asked = WriteOffDesk(self.office).ask(self.account_id, reason="asked")
        except NothingOwedError:
            return
        WriteOffDesk(self.office.acting(BO)).approve(asked.write_off_id)
        self.written_off += asked.amount_minor
        self.owed -= asked.amount_minor

    @rule(days=st.integers(1, 20))
    def days_pass(self, days: int) -> None:
        self.clock.advance(days=days)
        before = sum(each.recovered_minor for each in WriteOffDesk(self.office).list())
        sweep(self.office)
        sweep(self.office)
        after = sum(each.recovered_minor for each in WriteOffDesk(self.office).list())
        self.owed += after - before

    @invariant()
    def the_books_say_what_is_owed(self) -> None:
        with self.office.reading() as connection:
            current = balance(connection, self.account_id)
            planned = balance(connection, self.account_id, Purse.PLAN)
            assert current + planned == -self.owed
            assert planned <= 0
            items = open_items(connection, self.account_id)
            assert sum(each.open_minor for each in items) == max(0, -current)
            between = connection.scalar(
                select(func.sum(account_entries.c.amount_minor)).where(
                    account_entries.c.counter == BETWEEN
                )
            )
            assert not between
        running = [each for each in PlanDesk(self.office).list() if each.state == "active"]
        assert planned == -sum(each.left_minor for each in running)

    @invariant()
    def cases_fit_their_debts(self) -> None:
        cases = cases_of(self.office, self.account_id)
        running = [each for each in cases if each.state is not CaseState.CLOSED]
        assert len(running) <= 1
        with self.office.reading() as connection:
            now = self.clock.now
            overdue = [
                each for each in open_items(connection, self.account_id) if each.due_at <= now
            ]
            cut = open_cut(connection, self.account_id)
        for case in running:
            if case.state is CaseState.OPEN and not overdue:
                raise AssertionError("a case goes on though nothing is overdue")
        if cut is not None and cut.state in ("ordered", "dark"):
            assert running
            assert running[0].state is CaseState.OPEN
        for case in cases:
            acts = acts_in(self.office, case.case_id)
            steps = [act for act in acts if act.act is ActKind.STEP]
            assert [act.step_no for act in steps] == list(range(1, case.steps_done + 1))
            days = [act.at.astimezone(ZONE).date() for act in steps]
            assert len(set(days)) == len(days)
            for before, after in pairwise(steps):
                if after.step == "disconnect":
                    assert before.step == "disconnect_notice"
        assert len(told(self.office, self.account_id)) >= sum(
            act.step is not None and act.step != "disconnect"
            for case in cases
            for act in acts_in(self.office, case.case_id)
        )


@pytest.fixture
def debtor(sqlite_files: SqliteFiles) -> type[Debtor]:
    """The machine, on SQLite: what differs on PostgreSQL is tested beside it."""

    class OnFiles(Debtor):
        databases = sqlite_files

    return OnFiles


def test_req23_a_debtors_life_in_any_order(debtor: type[Debtor]) -> None:
    run_machine(
        debtor,
        settings=settings(
            max_examples=8, stateful_step_count=14, suppress_health_check=list(HealthCheck)
        ),
    )


standings = st.builds(
    Standing,
    customer_class=st.sampled_from(CUSTOMER_CLASSES),
    mode=st.sampled_from(["postpaid", "prepaid"]),
    is_supplied=st.booleans(),
    overdue_minor=st.integers(0, 3_000_00),
    oldest_due=st.none() | st.dates(MONDAY.date() - timedelta(days=90), MONDAY.date()),
    steps_done=st.integers(0, 7),
    last_step=st.none()
    | st.sampled_from(sorted({step.code for steps in RULES.steps.values() for step in steps})),
    last_step_on=st.none() | st.dates(MONDAY.date() - timedelta(days=20), MONDAY.date()),
    announced_at=st.none()
    | st.integers(-40 * 24, 20 * 24).map(lambda hours: MONDAY + timedelta(hours=hours)),
    band=st.sampled_from("ABCD"),
    first_time=st.booleans(),
    suspended=st.none() | st.just("Emergency: flood"),
    protected=st.none() | st.just("A keep-power order protects it."),
    cut_ended=st.booleans(),
)


@settings(max_examples=500)
@given(standings)
def test_req22_whoever_is_protected_is_never_disconnected(standing: Standing) -> None:
    today = MONDAY.date()
    decision = decide(RULES, standing, MONDAY, today)
    if not standing.overdue_minor or standing.oldest_due is None:
        assert decision == Close()
        return
    if standing.suspended:
        assert isinstance(decision, Hold)
    if isinstance(decision, Wait | Hold):
        assert decision.until >= today
    if not isinstance(decision, Take):
        return
    step = decision.step
    days = (today - standing.oldest_due).days
    assert standing.mode == "postpaid"
    assert days >= step.days_after_due
    assert standing.overdue_minor >= step.min_minor
    assert standing.band not in step.never_for
    if standing.first_time or standing.band in RULES.good_bands:
        assert days >= step.days_after_due + step.lenient_days
    assert standing.last_step_on != today
    if step.does in (Does.DISCONNECT, Does.DISCONNECT_NOTICE):
        assert standing.protected is None
        assert standing.is_supplied
        assert standing.customer_class != "public"
    if step.does is Does.DISCONNECT:
        assert standing.announced_at is not None
        assert standing.announced_at <= MONDAY
