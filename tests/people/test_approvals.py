"""Two-person acts: asked by one, approved by another, used once, within a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Row, select, text

from storage.audit import audit_lines
from storage.engine import open_engine, reading, writing
from storage.errors import InvariantError
from tests.shop.conftest import Clock
from vending.people.actor import ANYBODY, PERMISSIONS, Actor, Permission, Role
from vending.people.acts import Act
from vending.people.approvals import (
    APPROVAL_LIFE,
    ApprovalState,
    approve,
    find_approval,
    list_approvals,
    refuse,
    request_approval,
    use_approval,
)
from vending.people.faults import (
    ApprovalClosedError,
    ApprovalRequiredError,
    ApproverNotAPersonError,
    SamePersonError,
    SignInRequiredError,
    UnknownActError,
    UnknownApprovalError,
)
from vending.shop.faults import PermissionDeniedError, RequestFormatError

SUPERVISOR = PERMISSIONS[Role.SUPERVISOR]
ANNA = Actor("anna", SUPERVISOR, operator_id=1)
BEN = Actor("ben", SUPERVISOR, operator_id=2)
CLERK = Actor("carl", PERMISSIONS[Role.CLERK], operator_id=3)
KIOSK = Actor("key:kiosk", SUPERVISOR)
ESSENCE = {"meter": "07000000017", "units": 500}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def ask(engine: Engine, clock: Clock, by: Actor = ANNA) -> int:
    with writing(engine) as connection:
        return request_approval(
            connection, Act.FREE_ISSUE, "07000000017", ESSENCE, "storm", by, clock()
        )


def say_yes(engine: Engine, clock: Clock, number: int, by: Actor = BEN) -> None:
    with writing(engine) as connection:
        assert approve(connection, number, by, clock()).state is ApprovalState.APPROVED


def use(engine: Engine, clock: Clock, essence: object = ESSENCE, actor: Actor = ANNA) -> int | None:
    with writing(engine) as connection:
        return use_approval(connection, Act.FREE_ISSUE, essence, actor, clock())  # type: ignore[arg-type]


def approval_lines(connection: Connection) -> Sequence[Row[Any]]:
    mine = audit_lines.c.action.startswith("approval.")
    return connection.execute(
        select(audit_lines).where(mine).order_by(audit_lines.c.audit_id)
    ).all()


def test_what_another_approved_can_be_done_once(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    say_yes(engine, clock, number)
    assert use(engine, clock) == number
    with pytest.raises(ApprovalRequiredError, match="somebody else approve"):
        use(engine, clock)
    with reading(engine) as connection:
        used = find_approval(connection, number, clock())
        lines = approval_lines(connection)
    assert (used.state, used.decided_by, used.used_by) == (ApprovalState.USED, "ben", "anna")
    assert [line.action for line in lines] == [
        "approval.requested",
        "approval.approved",
        "approval.used",
    ]


def test_nobody_approves_their_own_request(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    with pytest.raises(SamePersonError), writing(engine) as connection:
        approve(connection, number, ANNA, clock())
    with pytest.raises(ApprovalRequiredError):
        use(engine, clock)


def test_the_database_too_wants_two_people(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(
            text(
                "UPDATE approvals SET decision = 'approved', decided_by = 'anna', "
                f"decided_at = requested_at WHERE approval_id = {number}"
            )
        )


@pytest.mark.parametrize(
    "change",
    [
        "used_by = 'anna', used_at = requested_at",  # approved by nobody
        "essence = 'another'",
        "reason = 'another'",
        "expires_at = requested_at",
    ],
)
def test_the_database_refuses_what_no_step_leads_to(
    engine: Engine, clock: Clock, change: str
) -> None:
    number = ask(engine, clock)
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(text(f"UPDATE approvals SET {change} WHERE approval_id = {number}"))


def test_an_approval_is_never_used_twice_nor_taken_back(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    say_yes(engine, clock, number)
    use(engine, clock)
    for change in ("used_by = 'ben'", "used_by = NULL, used_at = NULL", "decision = 'refused'"):
        with pytest.raises(InvariantError), writing(engine) as connection:
            connection.execute(text(f"UPDATE approvals SET {change}"))
    with pytest.raises(InvariantError), writing(engine) as connection:
        connection.execute(text("DELETE FROM approvals"))


def test_another_request_needs_another_approval(engine: Engine, clock: Clock) -> None:
    say_yes(engine, clock, ask(engine, clock))
    with pytest.raises(ApprovalRequiredError):
        use(engine, clock, {**ESSENCE, "units": 501})
    with pytest.raises(ApprovalRequiredError), writing(engine) as connection:
        use_approval(connection, Act.REPLACEMENT, ESSENCE, ANNA, clock())
    assert use(engine, clock)


def test_an_act_that_is_undone_has_used_nothing(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    say_yes(engine, clock, number)
    with pytest.raises(ZeroDivisionError):
        _use_then_fail(engine, clock)
    assert use(engine, clock) == number


def test_after_a_day_it_is_worth_nothing(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    late = ask(engine, clock)
    say_yes(engine, clock, number)
    clock.now += APPROVAL_LIFE
    with pytest.raises(ApprovalRequiredError):
        use(engine, clock)
    with pytest.raises(ApprovalClosedError, match="expired"), writing(engine) as connection:
        approve(connection, late, BEN, clock())


def test_a_refused_request_stays_refused(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    with writing(engine) as connection:
        assert refuse(connection, number, BEN, clock()).state is ApprovalState.REFUSED
    with pytest.raises(ApprovalClosedError), writing(engine) as connection:
        approve(connection, number, BEN, clock())
    with reading(engine) as connection:
        assert list_approvals(connection, clock(), only_open=True, limit=9) == []
        assert len(list_approvals(connection, clock(), only_open=False, limit=9)) == 1


def test_who_asked_may_withdraw_it_and_others_may_not(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    with pytest.raises(PermissionDeniedError), writing(engine) as connection:
        refuse(connection, number, CLERK, clock())
    with writing(engine) as connection:
        refuse(connection, number, ANNA, clock())


def test_both_people_need_the_permission_for_the_act(engine: Engine, clock: Clock) -> None:
    with pytest.raises(PermissionDeniedError, match="give"):
        ask(engine, clock, CLERK)
    number = ask(engine, clock)
    only_approves = Actor("dora", frozenset({Permission.APPROVE}), operator_id=4)
    for by in (CLERK, only_approves):
        with pytest.raises(PermissionDeniedError), writing(engine) as connection:
            approve(connection, number, by, clock())


def test_a_program_is_no_second_person(engine: Engine, clock: Clock) -> None:
    number = ask(engine, clock)
    for by in (KIOSK, ANYBODY):
        with pytest.raises(ApproverNotAPersonError), writing(engine) as connection:
            approve(connection, number, by, clock())


def test_in_an_open_house_acts_pass_and_the_trail_says_so(engine: Engine, clock: Clock) -> None:
    assert use(engine, clock, actor=ANYBODY) is None
    with reading(engine) as connection:
        (line,) = approval_lines(connection)
    assert (line.action, line.detail) == ("approval.not_needed", "free_issue: nobody signed in")
    with pytest.raises(SignInRequiredError):
        ask(engine, clock, ANYBODY)


def test_wrong_requests_are_refused(engine: Engine, clock: Clock) -> None:
    with pytest.raises(UnknownApprovalError), writing(engine) as connection:
        approve(connection, 77, BEN, clock())
    with pytest.raises(UnknownActError, match="free_issue"):
        Act.named("dance")
    for essence, reason in ((ESSENCE, " "), ({"x": "y" * 100_001}, "storm")):
        with pytest.raises(RequestFormatError), writing(engine) as connection:
            request_approval(connection, Act.FREE_ISSUE, "1", essence, reason, ANNA, clock())


def test_of_many_who_use_one_approval_at_once_one_succeeds(engine: Engine, clock: Clock) -> None:
    say_yes(engine, clock, ask(engine, clock))

    def try_it(_: int) -> bool:
        try:
            return use(engine, clock) is not None
        except ApprovalRequiredError:
            return False

    with ThreadPoolExecutor(4) as tills:
        assert sorted(tills.map(try_it, range(8))) == [False] * 7 + [True]


def _use_then_fail(engine: Engine, clock: Clock) -> None:
    with writing(engine) as connection:
        use_approval(connection, Act.FREE_ISSUE, ESSENCE, ANNA, clock())
        raise ZeroDivisionError
