"""Two desks at once: a service point goes to one of them, a change is approved once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from billing.accounts.changes import ChangeRequest
from billing.accounts.faults import ChangeStateError, PointTakenError
from billing.accounts.supplying import NewSupply
from billing.accounts.values import ChangeKind
from billing.office import Office
from billing.person import Person
from tests.billing.accounts.desks import SECOND, desk_of, make_point, open_account


def _together(*acts: Callable[[], object]) -> list[str]:
    """What each has come to, all of them begun at once."""
    start = threading.Barrier(len(acts))
    ended: list[str] = []

    def run(act: Callable[[], object]) -> None:
        start.wait()
        try:
            act()
        except (PointTakenError, ChangeStateError) as fault:
            ended.append(fault.code)
        else:
            ended.append("done")

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ended)


def test_a_service_point_that_two_want_goes_to_one(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "7001")
    numbers = [open_account(desk, identity=f"ID {each}000")[1] for each in range(3)]
    new = NewSupply(point, "home")
    ended = _together(*(partial(desk.add_supply, number, new) for number in numbers))
    assert ended == ["done", "point_taken", "point_taken"]


def test_req02_a_change_that_two_approve_is_applied_once(office: Office) -> None:
    desk = desk_of(office)
    _id, number = open_account(desk)
    change_id = desk.ask_change(number, ChangeRequest(ChangeKind.NAME, {"name": "Sun"}, "asked"))
    third = desk_of(office, Person("Zhao"))
    ended = _together(
        lambda: desk_of(office, SECOND).approve_change(change_id),
        lambda: third.approve_change(change_id),
    )
    assert ended == ["change_state", "done"]
