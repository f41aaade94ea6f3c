"""Ways to refusals of the house's desks that no other test of theirs meets."""

from __future__ import annotations

from sqlalchemy import update

from tools.provocations import provokes
from tools.provocations.scene import CLERK, Scene
from vending import VendResult
from vending.cash.reckoning import Count
from vending.cash.tables import terminals
from vending.people.credentials import ApiKey, Password


@provokes("shift_of_another")
def _(scene: Scene) -> None:
    chief = scene.closed()
    other = Password("dora", "dora's own password")
    chief.people.add_operator(other.name, other.password, ["clerk"])
    opened = scene.open(CLERK).shifts.open(terminal="till-1")
    scene.open(other).shifts.count(opened.batch_id, Count({"cash": 0}))


@provokes("terminal_blocked")
def _(scene: Scene) -> VendResult:
    scene.meter()
    scene.shop.vendors.add_terminal("till-1")
    with scene.shop._house.writing() as connection:
        connection.execute(update(terminals).values(blocked="reported stolen"))
    return scene.sell(terminal="till-1")


@provokes("campaign_empty")
def _(scene: Scene) -> None:
    scene.shop.campaigns.prepare("roll", {"sgc": "123457", "krn": 1}, {"krn": 1}, "roll-over")


@provokes("unknown_debt")
def _(scene: Scene) -> None:
    scene.shop.tariffs.write_off(4711, reason="paid elsewhere")


@provokes("unknown_key_revision")
def _(scene: Scene) -> None:
    scene.shop.keys.make_current("600001", 1)


@provokes("unknown_fault_report")
def _(scene: Scene) -> None:
    scene.shop.meter_faults.close(4711, "display exchanged")


@provokes("fault_report_closed")
def _(scene: Scene) -> None:
    scene.meter()
    report_no = scene.report_fault()
    scene.shop.meter_faults.close(report_no, "display exchanged", operator="eve")
    scene.shop.meter_faults.close(report_no, "nothing was wrong", operator="eve")


@provokes("person_needed")
def _(scene: Scene) -> None:
    scene.meter()
    report_no = scene.report_fault()
    made = scene.closed().people.add_api_key("robot", ["engineer"])
    scene.open(ApiKey(made.text)).meter_faults.close(report_no, "seen")
