"""Vouchers and unknown outcomes, as a person or a program calls them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.cash.test_commands import Desk
from tests.shop.conftest import Clock
from tests.shop.databases import START
from tests.shop.test_intents import NUMBER
from tests.vouchers.test_unknown_outcomes import FACE, pin, redeem_in_vain  # noqa: F401
from vending import NewMeter, Pin, RedeemRequest, Shop
from vending.sts import make_drn


@pytest.fixture
def desk(database_url: str, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(database_url, capsys)


def test_a_supervisor_gives_up_what_cannot_be_finished(
    desk: Desk,
    database_url: str,
    clock: Clock,
    pin: Pin,  # noqa: F811
    tmp_path: Path,
) -> None:
    asked = RedeemRequest("web", "r1", NUMBER, pin)
    redeem_in_vain(database_url, clock, tmp_path / "made.jsonl", asked)
    assert "--give-up web r1" in desk.run("vend", "recover", status=6)
    left = desk.json("vend", "recover", status=6)
    assert [(each["message_id"], each["operation"]) for each in left["unknown"]] == [
        ("r1", "redeem")
    ]
    ended = desk.json("vend", "recover", "--give-up", "web", "r1")
    assert ended == {
        "ended": [{"client": "web", "message_id": "r1", "outcome": "failed", "receipt_no": None}],
        "unknown": [],
    }
    refused = desk.json("vend", "recover", "--give-up", "web", "nothing", status=3)
    assert refused["error"]["code"] == "unknown_message"


def test_an_account_with_one_meter_is_enough(desk: Desk, shop: Shop, tmp_path: Path) -> None:
    shop.add_meter(NewMeter(make_drn("07", "00000801"), account="A-1"))
    for serial in ("00000802", "00000803"):
        shop.add_meter(NewMeter(make_drn("07", serial), account="A-2"))
    made = shop.vouchers.make(FACE, 1, START + timedelta(days=3650))
    shop.vouchers.activate(made.batch.batch_id, "Corner shop")
    secret = tmp_path / "pin"
    secret.write_text(made.pins[0].digits())
    words = ("voucher", "redeem", "--pin-file", str(secret))
    desk.run(*words, "A-2", status=2)
    receipt = desk.json(*words, "A-1")["receipt"]
    assert receipt["meter"]["account"] == "A-1"
