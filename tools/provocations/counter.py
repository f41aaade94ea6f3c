"""Ways to the refusals of the counter."""

from __future__ import annotations

from tools.provocations import provokes
from tools.provocations.scene import METERS, Scene
from vending import Currency, KeyChangeRequest, NewMeter, VendRequest, VendResult

UNKNOWN_METER = METERS[2]


@provokes("unknown_meter")
def _(scene: Scene) -> VendResult:
    return scene.sell()


@provokes("meter_exists")
def _(scene: Scene) -> None:
    scene.meter()
    scene.meter()


@provokes("meter_blocked")
def _(scene: Scene) -> VendResult:
    scene.meter()
    scene.shop.block_meter(METERS[0], "unpaid connection fee")
    return scene.sell()


@provokes("below_minimum")
def _(scene: Scene) -> VendResult:
    scene.meter()
    return scene.sell(amount=1)


@provokes("above_maximum")
def _(scene: Scene) -> VendResult:
    scene.meter()
    return scene.sell(amount=10_000_01)


@provokes("amount_format")
def _(_: Scene) -> None:
    Currency.named("ZAR").parse("1,000.5.0")


@provokes("key_change_required")
def _(scene: Scene) -> VendResult:
    scene.meter(base_year=1993)
    return scene.sell()


@provokes("key_unchanged")
def _(scene: Scene) -> VendResult:
    scene.meter()
    request = KeyChangeRequest("till", "1", METERS[0], reason="new key")
    return scene.shop.key_change(request)


@provokes("key_type")
def _(scene: Scene) -> None:
    scene.meter(key_type=0)


@provokes("supply_group_not_authorised")
def _(scene: Scene) -> None:
    scene.meter(sgc="600001")


@provokes("unknown_receipt")
def _(scene: Scene) -> None:
    scene.shop.reprint(4711)


@provokes("unknown_message")
def _(scene: Scene) -> None:
    scene.shop.last_response("till", "4711")


@provokes("invalid_setting")
def _(scene: Scene) -> None:
    scene.meter()
    scene.shop.block_meter(METERS[0], "two\nlines")


@provokes("double_sale_question")
def _(scene: Scene) -> None:
    scene.meter()
    scene.sell("1").require_done()
    scene.later(minutes=1)
    scene.sell("2")


@provokes("request_format")
def _(scene: Scene) -> None:
    scene.request(amount="50")  # type: ignore[arg-type]


@provokes("message_conflict")
def _(scene: Scene) -> None:
    scene.meter()
    scene.sell("1", 5_000)
    scene.sell("1", 6_000)


@provokes("clock_behind")
def _(scene: Scene) -> None:
    scene.meter()
    scene.now = scene.now.replace(year=2013)
    scene.sell()


@provokes("clock_ahead")
def _(scene: Scene) -> None:
    scene.meter()
    scene.sell("1").require_done()
    scene.now = scene.now.replace(year=2036)
    scene.sell("2")


@provokes("check_digit")
def _(_: Scene) -> None:
    VendRequest("till", "1", METERS[0][:-1] + "8", 5_000)


@provokes("invalid_value")
def _(_: Scene) -> None:
    VendRequest("till", "1", "123", 5_000)


@provokes("token_format")
def _(scene: Scene) -> None:
    scene.meter()
    scene.shop.verify_token(METERS[0], "1234")


@provokes("key_change")
def _(scene: Scene) -> VendResult:
    scene.shop.add_meter(NewMeter(METERS[0], base_year=2014))
    return scene.shop.key_change(
        KeyChangeRequest("till", "1", METERS[0], base_year=1993, reason="back")
    )


@provokes("key_change_not_issued")
def _(scene: Scene) -> None:
    scene.meter()
    scene.shop.confirm_key_change(METERS[0], 2)


@provokes("key_revision_differs")
def _(scene: Scene) -> None:
    scene.meter()
    request = KeyChangeRequest("till", "1", METERS[0], krn=2, reason="new revision")
    scene.shop.key_change(request).require_done()
    scene.shop.confirm_key_change(METERS[0], 1)
