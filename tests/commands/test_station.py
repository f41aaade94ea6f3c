"""Who may do what at the head-end, by what they are in the vending house."""

from __future__ import annotations

import pytest

from commands.station import person_of
from headend.person import Right
from vending.people.actor import ANYBODY, PERMISSIONS, Actor, Role

_RIGHTS = {
    Role.CLERK: {Right.LOOK},
    Role.KIOSK: {Right.LOOK},
    Role.ENGINEER: {Right.LOOK, Right.REGISTER, Right.READ, Right.COMMAND, Right.ALARMS},
    Role.SUPERVISOR: {
        Right.LOOK, Right.REGISTER, Right.READ, Right.PROTECT, Right.ALARMS, Right.APPROVE
    },
    Role.ACCOUNTANT: {Right.LOOK, Right.APPROVE},
    Role.KEY_CUSTODIAN: set(),
    Role.AUDITOR: {Right.LOOK},
    Role.ADMINISTRATOR: {Right.LOOK, Right.REGISTER},
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_its_rights(role: Role) -> None:
    assert person_of(Actor("Ann", PERMISSIONS[role], 1)).rights == _RIGHTS[role]


@pytest.mark.parametrize("role", list(Role))
def test_a_vendors_people_and_those_of_one_till_have_none(role: Role) -> None:
    assert not person_of(Actor("Ann", PERMISSIONS[role], 1, vendor_id=7)).rights
    assert not person_of(Actor("Ann", PERMISSIONS[role], 1, terminal="kiosk-3")).rights


def test_an_open_house_is_open() -> None:
    assert person_of(ANYBODY).rights == set(Right)
