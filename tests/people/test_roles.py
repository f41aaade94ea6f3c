"""With the roles as they are shipped every two-person act can be done, by two people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from vending import (
    CounterRules,
    EngineeringAct,
    EngineeringRequest,
    FreeIssueRequest,
    KeyChangeRequest,
    RefundRequest,
    ReplacementRequest,
)
from vending.campaigns.desk import plan
from vending.people.actor import PERMISSIONS, Permission, Role
from vending.people.acts import Act
from vending.people.essences import require_essence
from vending.price.desk import write_off_essence
from vending.sts import make_drn
from vending.vouchers.desk import activation

PAGE = Path(__file__).parent.parent.parent / "docs" / "people.md"


def askers(act: Act) -> list[str]:
    """The roles that may ask for an act."""
    return [role.value for role in Role if act.permission in PERMISSIONS[role]]


def approvers(act: Act) -> list[str]:
    """The roles that may be the second person."""
    needed = {Permission.APPROVE, act.approver_permission}
    return [role.value for role in Role if needed <= PERMISSIONS[role]]


@pytest.mark.parametrize("act", Act)
def test_one_role_can_ask_for_it_and_one_can_approve_it(act: Act) -> None:
    assert askers(act)
    assert approvers(act)


@pytest.mark.parametrize("act", [Act.CLEAR_CREDIT, Act.KEY_CHANGE, Act.CAMPAIGN])
def test_engineering_is_approved_by_another_role_than_asks(act: Act) -> None:
    assert not set(askers(act)) & set(approvers(act))


def test_key_custody_stays_among_custodians() -> None:
    assert askers(Act.KEY_CUSTODY) == approvers(Act.KEY_CUSTODY) == ["key_custodian"]
    only_keys = [act for act in Act if "key_custodian" in approvers(act)]
    assert only_keys == [Act.KEY_CUSTODY]


def test_the_page_shows_who_may_do_what() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for role in Role:
        allowed = ", ".join(each.value for each in Permission if each in PERMISSIONS[role])
        assert f"| `{role.value}` | {allowed} |" in page
    for act in Act:
        row = f"| `{act.value}` | {', '.join(askers(act))} | {', '.join(approvers(act))} |"
        assert row in page


def test_the_requests_that_are_made_have_the_fields_that_an_approval_wants() -> None:
    meter, other = make_drn("07", "00000042"), make_drn("07", "00000043")
    for act, essence in (
        (Act.FREE_ISSUE, FreeIssueRequest("c", "1", meter, 1, "x").essence()),
        (Act.REPLACEMENT, ReplacementRequest("c", "1", meter, other, 1, "x").essence()),
        (Act.REFUND, RefundRequest("c", "1", 7, "x").essence()),
        (
            Act.CLEAR_TAMPER,
            EngineeringRequest("c", "1", meter, EngineeringAct.CLEAR_TAMPER, 0, "x").essence(),
        ),
        (Act.KEY_CHANGE, KeyChangeRequest("c", "1", meter, tariff_index="07").essence()),
        (Act.DEBT_WRITE_OFF, write_off_essence(1, None)),
        (Act.DEBT_WRITE_OFF, write_off_essence(1, 5)),
        (Act.VOUCHER_BATCH, activation(1, "")),
        (Act.CAMPAIGN, plan("x", {"sgc": "123457"}, {"krn": 2})),
        (Act.VENDOR_CREDIT, {"vendor_id": 1, "credit_limit_minor": 500}),
        (Act.VENDOR_CREDIT, {"vendor": "Corner", "credit_limit_minor": 500}),
        (Act.BULK_VEND, {"bookings": {"12": 1}}),
        (Act.COUNTER_RULES, asdict(CounterRules())),
        (Act.KEY_CUSTODY, {"withdraw": "123457/1"}),
    ):
        require_essence(act, essence)
