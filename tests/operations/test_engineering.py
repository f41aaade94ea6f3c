"""Engineering tokens: what they say, who may make them, that they are made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.operations.asking import audit_actions, code_of
from vending import EngineeringAct, EngineeringRequest, Meter, NewMeter, PublicTestKeys, Shop
from vending.receipts.receipt import ReceiptKind
from vending.shop.faults import MessageConflictError, RequestFormatError
from vending.sts import (
    ClearCredit,
    ClearTamperCondition,
    InitiateMeterTest,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
)

KEYS = PublicTestKeys()
RND = 5


def ask(
    number: str, act: EngineeringAct, value: int = 0, message_id: str = "e1", reason: str = "visit"
) -> EngineeringRequest:
    return EngineeringRequest("till", message_id, number, act, value, reason)


@pytest.mark.parametrize(
    ("act", "value", "kind"),
    [
        (EngineeringAct.POWER_LIMIT, 4_600, SetMaximumPowerLimit),
        (EngineeringAct.PHASE_LIMIT, 2_000, SetMaximumPhasePowerUnbalanceLimit),
        (EngineeringAct.CLEAR_CREDIT, 0xFFFF, ClearCredit),
        (EngineeringAct.CLEAR_TAMPER, 0, ClearTamperCondition),
        (EngineeringAct.WATER_FACTOR, 12, SetWaterMeterFactor),
        (EngineeringAct.TARIFF_RATE, 34, SetTariffRate),
    ],
)
def test_a_token_says_what_was_asked(
    shop: Shop, meter: Meter, act: EngineeringAct, value: int, kind: Callable[..., object]
) -> None:
    result = shop.engineering.issue(ask(meter.number, act, value))
    receipt = result.require_done()
    assert (receipt.kind, receipt.units, receipt.payment) == (ReceiptKind.ENGINEERING, 0, None)
    (token,) = receipt.tokens
    assert token.code == act.value
    decoded = KEYS.read_token(token.digits, meter.attributes())
    assert decoded.crc_ok
    assert decoded.content == kind(RND, token.tid, value)
    assert shop.engineering.issue(ask(meter.number, act, value)).response == result.response
    assert shop.statement().agrees


def test_a_test_token_is_the_same_for_every_meter(
    shop: Shop, meter: Meter, new_number: Callable[[], str]
) -> None:
    other = shop.add_meter(NewMeter(new_number(), algorithm=7, base_year=1993))
    made = [
        shop.engineering.issue(
            ask(each.number, EngineeringAct.METER_TEST, 1 << 2, message_id)
        ).require_done()
        for message_id, each in (("1", meter), ("2", other), ("3", meter))
    ]
    assert len({receipt.token for receipt in made}) == 1
    assert made[0].tokens[0].tid is None
    decoded = KEYS.read_token(made[0].token, meter.attributes())
    assert decoded.content == InitiateMeterTest(1 << 2)


def test_what_is_refused(
    shop: Shop, meter: Meter, new_number: Callable[[], str], database_url: str
) -> None:
    act = EngineeringAct.CLEAR_TAMPER
    assert code_of(shop.engineering.issue(ask(meter.number, act, reason=""))) == "reason_missing"
    unknown = shop.engineering.issue(ask(new_number(), act, message_id="e2"))
    assert code_of(unknown) == "unknown_meter"
    old = shop.add_meter(NewMeter(new_number(), base_year=1993))
    ended = shop.engineering.issue(ask(old.number, act, message_id="e3"))
    assert code_of(ended) == "key_change_required"
    shop.engineering.issue(ask(meter.number, act, message_id="e4")).require_done()
    with pytest.raises(MessageConflictError):
        shop.engineering.issue(ask(meter.number, EngineeringAct.CLEAR_CREDIT, message_id="e4"))
    for wrong, value in (
        (EngineeringAct.CLEAR_TAMPER, 1),
        (EngineeringAct.CLEAR_CREDIT, 8),
        (EngineeringAct.POWER_LIMIT, -1),
        (EngineeringAct.WATER_FACTOR, 0x10000),
        (EngineeringAct.METER_TEST, 0),
        (EngineeringAct.METER_TEST, 1 << 36),
    ):
        with pytest.raises(RequestFormatError):
            ask(meter.number, wrong, value)
    with pytest.raises(RequestFormatError):
        EngineeringRequest("till", "x", meter.number, "clear_tamper")  # type: ignore[arg-type]
    assert "engineering.clear_tamper" in audit_actions(database_url)


def test_blocked_meters_get_engineering_tokens_and_limits_say_what_the_token_carries(
    shop: Shop, meter: Meter
) -> None:
    shop.block_meter(meter.number, "tampering")
    receipt = shop.engineering.issue(
        ask(meter.number, EngineeringAct.POWER_LIMIT, 16_385)
    ).require_done()
    assert receipt.messages[0] == "Limit: 16394 W."
