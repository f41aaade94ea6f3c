"""Ways to the refusals of signing in, of permissions, of two-person acts and of the audit."""

from __future__ import annotations

from contextlib import suppress

from tools.provocations import provokes
from tools.provocations.scene import CHIEF, CLERK, METERS, Scene
from vending import Shop, VendResult
from vending.people.actor import Actor
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.people.credentials import ApiKey, Password
from vending.people.faults import WrongCredentialsError

ESSENCE = {"meter": METERS[0], "units": 500, "reason": "storm"}
OTHER = Password("dora", "dora's own password")


def _supervisors(scene: Scene) -> tuple[Shop, Shop]:
    chief = scene.closed()
    for person in (CLERK, OTHER):
        if person is OTHER:
            chief.people.add_operator(person.name, person.password, ["supervisor"])
        else:
            chief.people.set_roles(person.name, ["supervisor"], "needed")
    return scene.open(CLERK), scene.open(OTHER)


@provokes("sign_in_required")
def _(scene: Scene) -> None:
    scene.closed()
    scene.open()


@provokes("permission_denied")
def _(scene: Scene) -> None:
    scene.closed()
    scene.open(CLERK).block_meter(METERS[0], "debt")


@provokes("wrong_credentials")
def _(scene: Scene) -> None:
    scene.closed()
    scene.open(Password("carla", "another password"))


@provokes("too_many_tries")
def _(scene: Scene) -> None:
    scene.closed()
    for _again in range(5):
        with suppress(WrongCredentialsError):
            scene.open(Password("carla", "another password"))
    scene.open(CLERK)


@provokes("password_rule")
def _(scene: Scene) -> None:
    scene.shop.people.add_operator("chief", "short", ["administrator"])


@provokes("operator_exists")
def _(scene: Scene) -> None:
    scene.closed().people.add_operator("Carla", CLERK.password, ["clerk"])


@provokes("unknown_operator")
def _(scene: Scene) -> None:
    scene.closed().people.disable_operator("nobody", "left")


@provokes("operator_name")
def _(scene: Scene) -> None:
    scene.closed().people.add_operator("key:carla", CLERK.password, ["clerk"])


@provokes("unknown_role")
def _(scene: Scene) -> None:
    scene.closed().people.add_operator("dora", OTHER.password, ["king"])


@provokes("first_operator")
def _(scene: Scene) -> None:
    scene.shop.people.add_operator("carla", CLERK.password, ["clerk"])


@provokes("last_administrator")
def _(scene: Scene) -> None:
    scene.closed().people.disable_operator(CHIEF.name, "holiday")


@provokes("own_roles")
def _(scene: Scene) -> None:
    scene.closed().people.set_roles(CHIEF.name, ["supervisor"], "more")


@provokes("unknown_api_key")
def _(scene: Scene) -> None:
    scene.closed().people.revoke_api_key("00000000", "stolen")


@provokes("binding")
def _(scene: Scene) -> None:
    scene.closed().people.add_api_key("kiosk-7", terminal="nowhere")


@provokes("client_mismatch")
def _(scene: Scene) -> VendResult:
    scene.meter()
    made = scene.closed().people.add_api_key("kiosk-7")
    return scene.open(ApiKey(made.text)).vend(scene.request())


@provokes("approval_required")
def _(scene: Scene) -> None:
    house = scene.shop._house
    actor = Actor("carla", frozenset(), operator_id=1)
    with house.writing() as connection:
        use_approval(connection, Act.FREE_ISSUE, ESSENCE, actor, scene.now)


@provokes("unknown_approval")
def _(scene: Scene) -> None:
    scene.shop.approvals.show(4711)


@provokes("approval_closed")
def _(scene: Scene) -> None:
    asks, approves = _supervisors(scene)
    asked = asks.approvals.request("free_issue", METERS[0], ESSENCE, "storm")
    scene.later(hours=24)
    approves.approvals.approve(asked.approval_id)


@provokes("same_person")
def _(scene: Scene) -> None:
    asks, _approves = _supervisors(scene)
    asked = asks.approvals.request("free_issue", METERS[0], ESSENCE, "storm")
    asks.approvals.approve(asked.approval_id)


@provokes("approver_not_a_person")
def _(scene: Scene) -> None:
    asks, _approves = _supervisors(scene)
    asked = asks.approvals.request("free_issue", METERS[0], ESSENCE, "storm")
    made = scene.open(CHIEF).people.add_api_key("robot", ["supervisor"])
    scene.open(ApiKey(made.text)).approvals.approve(asked.approval_id)


@provokes("unknown_act")
def _(scene: Scene) -> None:
    scene.shop.approvals.request("dance", METERS[0], ESSENCE, "fun")


@provokes("head_format")
def _(scene: Scene) -> None:
    scene.shop.audit.verify(head="57")
