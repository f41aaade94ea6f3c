"""Who may do what at the office, by what they are in the vending house (requirement 29)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import vending
from billing.faults import RightMissingError
from billing.person import Right
from billing.privacy.key_file import VARIABLE, make_key_file
from cli import cli
from commands.office import open_office, person_of
from tests.billing.accounts.desks import desk_of, open_account
from vending.people.actor import ANYBODY, PERMISSIONS, Actor, Role
from vending.people.credentials import Password

_CLERK = {Right.LOOK, Right.SERVE, Right.PERSONAL}
_RIGHTS = {
    Role.CLERK: _CLERK,
    Role.KIOSK: {Right.LOOK},
    Role.ENGINEER: {Right.LOOK},
    Role.SUPERVISOR: {
        *_CLERK, Right.SETTLE, Right.BILL, Right.COLLECT, Right.APPROVE, Right.EMERGENCY,
        Right.REPORT,
    },
    Role.ACCOUNTANT: {
        Right.LOOK, Right.SERVE, Right.SETTLE, Right.TARIFFS, Right.BILL, Right.APPROVE,
        Right.REPORT,
    },
    Role.KEY_CUSTODIAN: set(),
    Role.AUDITOR: {Right.LOOK, Right.REPORT},
    Role.ADMINISTRATOR: {
        Right.LOOK, Right.TARIFFS, Right.BILL, Right.SETTLE, Right.CONFIGURE, Right.REPORT
    },
}  # fmt: skip
_ROOT = Password("root", "long words of the root 93")
Ran = Callable[..., Result]


@pytest.mark.parametrize("role", list(Role))
def test_req29_each_role_has_its_rights(role: Role) -> None:
    assert person_of(Actor("Ann", PERMISSIONS[role], 1)).rights == _RIGHTS[role]


@pytest.mark.parametrize("role", list(Role))
def test_req29_a_vendors_people_and_those_of_one_till_have_none(role: Role) -> None:
    assert not person_of(Actor("Ann", PERMISSIONS[role], 1, vendor_id=7)).rights
    assert not person_of(Actor("Ann", PERMISSIONS[role], 1, terminal="kiosk-3")).rights


def test_an_open_house_is_open() -> None:
    assert person_of(ANYBODY).rights == set(Right)


@pytest.fixture
def number(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an account in a shop where people sign in."""
    make_key_file(tmp_path / "personal-key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "personal-key"))
    with open_office(database_url) as office:
        _id, number = open_account(desk_of(office))
    with vending.Shop.open(database_url) as shop:
        shop.people.add_operator(_ROOT.name, _ROOT.password, [Role.ADMINISTRATOR])
    return number


@pytest.fixture
def run(database_url: str, number: str, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs a command as a program of a role."""
    assert number, "before anybody has to sign in"

    def run(*words: str, role: Role, of_vendor: bool = False, said: str = "") -> Result:
        with vending.Shop.open(database_url, credentials=_ROOT) as shop:
            vendor = shop.vendors.add("Corner Shop").vendor_id if of_vendor else None
            key = shop.people.add_api_key("program", [role], vendor_id=vendor).text
        monkeypatch.setenv("METERHOUSE_API_KEY", key)
        return CliRunner().invoke(cli, [*words, "--database", database_url], input=said)

    return run


def test_req29_a_kiosk_sees_no_personal_fields(run: Ran, number: str) -> None:
    ran = run("account", "show", number, "--open", "curious", role=Role.KIOSK)
    assert isinstance(ran.exception, RightMissingError)
    assert "Li Wei" not in ran.output


@pytest.mark.parametrize("role", [Role.KIOSK, Role.ENGINEER, Role.AUDITOR])
def test_req29_who_serves_nobody_passes_no_text_messages_on(
    run: Ran, number: str, role: Role
) -> None:
    words = ("channel", "sms", "+8613800138000")
    ran = run(*words, role=role, said=f"BAL {number}")
    assert isinstance(ran.exception, RightMissingError)
    assert not ran.output


def test_req29_a_vendors_clerk_passes_no_text_messages_on(run: Ran, number: str) -> None:
    words = ("channel", "sms", "+8613800138000")
    ran = run(*words, role=Role.CLERK, of_vendor=True, said=f"BAL {number}")
    assert isinstance(ran.exception, RightMissingError)
    assert not ran.output
    ran = run(*words, role=Role.CLERK, said=f"BAL {number}")
    assert "balance" in ran.output
    assert ran.exit_code == 0


def test_req29_the_office_is_set_to_work_by_who_may_settle(run: Ran) -> None:
    words = ("office", "run", "--once", "--only", "questions")
    assert isinstance(run(*words, role=Role.CLERK).exception, RightMissingError)
    of_vendor = run(*words, role=Role.ADMINISTRATOR, of_vendor=True)
    assert isinstance(of_vendor.exception, RightMissingError)
    assert run(*words, role=Role.ADMINISTRATOR).exit_code == 0


def test_req29_no_vendors_administrator_takes_a_backup(run: Ran, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    ran = run("backup", str(file), role=Role.ADMINISTRATOR, of_vendor=True)
    assert isinstance(ran.exception, RightMissingError)
    assert not file.exists()
