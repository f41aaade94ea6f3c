"""Engineering tokens: they set or clear something in one meter, and carry no units.

=============  ==============================  ======================  ============
act            token                           value                   two persons
=============  ==============================  ======================  ============
power_limit    2.0 maximum power limit         watts
clear_credit   2.1 clear credit                register (0xFFFF: all)  yes
tariff_rate    2.2 tariff rate                 16 bits                 yes
clear_tamper   2.5 clear tamper condition      none                    yes
phase_limit    2.6 phase power unbalance       watts
water_factor   2.7 water meter factor          16 bits                 yes
meter_test     1.0 initiate meter test         control bits
=============  ==============================  ======================  ============

Two persons decide where money could vanish.  A test token is the same for every meter; the
receipt names the one that it was asked for.  Key changes have a request of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from storage import audit
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.receipts.receipt import Reason, Receipt, ReceiptKind
from vending.shop.agreed import as_ordered
from vending.shop.answering import answer
from vending.shop.faults import RequestFormatError
from vending.shop.giveout import (
    Words,
    give_out,
    reason_words,
    require_reason,
    require_stamped,
    token_of,
)
from vending.shop.house import House
from vending.shop.meters import Meter, find_meter
from vending.shop.once import question_of
from vending.shop.requests import VendResult, require_who
from vending.shop.tids import due_tid
from vending.shop.values import require_whole
from vending.sts import (
    AMOUNT_MAX,
    ClearCredit,
    ClearTamperCondition,
    Content,
    CreditRegister,
    InitiateMeterTest,
    MeterPan,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
)

_WORD_MAX: Final = 0xFFFF
_CONTROL_MAX: Final = (1 << 36) - 1


class EngineeringAct(StrEnum):
    """What a token does in the meter."""

    POWER_LIMIT = "power_limit"
    PHASE_LIMIT = "phase_limit"
    CLEAR_CREDIT = "clear_credit"
    CLEAR_TAMPER = "clear_tamper"
    WATER_FACTOR = "water_factor"
    TARIFF_RATE = "tariff_rate"
    METER_TEST = "meter_test"


_VALUE_MAX: Final = {
    EngineeringAct.POWER_LIMIT: AMOUNT_MAX,
    EngineeringAct.PHASE_LIMIT: AMOUNT_MAX,
    EngineeringAct.CLEAR_CREDIT: _WORD_MAX,
    EngineeringAct.CLEAR_TAMPER: 0,
    EngineeringAct.WATER_FACTOR: _WORD_MAX,
    EngineeringAct.TARIFF_RATE: _WORD_MAX,
    EngineeringAct.METER_TEST: _CONTROL_MAX,
}
_TWO_PERSONS: Final = {
    EngineeringAct.CLEAR_CREDIT: Act.CLEAR_CREDIT,
    EngineeringAct.CLEAR_TAMPER: Act.CLEAR_TAMPER,
    EngineeringAct.TARIFF_RATE: Act.METER_RATE,
    EngineeringAct.WATER_FACTOR: Act.METER_RATE,
}
_STAMPED: Final[dict[EngineeringAct, Callable[[int, int, int], Content]]] = {
    EngineeringAct.POWER_LIMIT: SetMaximumPowerLimit,
    EngineeringAct.PHASE_LIMIT: SetMaximumPhasePowerUnbalanceLimit,
    EngineeringAct.CLEAR_CREDIT: ClearCredit,
    EngineeringAct.CLEAR_TAMPER: ClearTamperCondition,
    EngineeringAct.WATER_FACTOR: SetWaterMeterFactor,
    EngineeringAct.TARIFF_RATE: SetTariffRate,
}
_NAMES: Final = {
    EngineeringAct.POWER_LIMIT: "Maximum power limit",
    EngineeringAct.PHASE_LIMIT: "Phase unbalance limit",
    EngineeringAct.CLEAR_CREDIT: "Clear credit",
    EngineeringAct.CLEAR_TAMPER: "Clear tamper",
    EngineeringAct.WATER_FACTOR: "Water meter factor",
    EngineeringAct.TARIFF_RATE: "Tariff rate",
    EngineeringAct.METER_TEST: "Meter test",
}


@dataclass(frozen=True, slots=True)
class EngineeringRequest:
    """Make one engineering token.

    Raises:
        RequestFormatError: a field has the wrong form, or the value is out of the act's range.
        CheckDigitError, InvalidValueError: not a meter number; names what is wrong.
    """

    client: str
    message_id: str
    meter: str
    act: EngineeringAct
    value: int = 0
    """See the module's table."""
    reason: str = ""
    operator: str = ""
    terminal: str = ""

    def __post_init__(self) -> None:
        require_who(self)
        if not isinstance(self.act, EngineeringAct):
            raise RequestFormatError("The act must be an EngineeringAct.")
        if not 0 <= require_whole("The value", self.value) <= _VALUE_MAX[self.act]:
            raise RequestFormatError(
                f"The value of {self.act.value} must lie between 0 and {_VALUE_MAX[self.act]}."
            )
        if self.act is EngineeringAct.METER_TEST and not self.value:
            raise RequestFormatError("A test token needs at least one control bit.")
        if self.act is EngineeringAct.CLEAR_CREDIT and self.value not in list(CreditRegister):
            raise RequestFormatError("There is no such credit register: 0-7, or 65535 for all.")

    def essence(self) -> dict[str, Any]:
        """What makes it the same request when it is repeated."""
        return {
            "meter": MeterPan.from_drn(self.meter).drn,
            "act": self.act.value,
            "value": self.value,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class EngineeringDesk:
    """Engineering tokens, each repeatable as a sale is: the same message id, the same answer."""

    house: House

    def issue(self, request: EngineeringRequest) -> VendResult:
        """Make one token, with a receipt and an audit line; needs a reason.

        Clear credit, clear tamper, tariff rate and water factor take a second person's approval
        (`Act`) for exactly ``request.essence()``.  Blocked meters get engineering tokens, too.

        Raises:
            PermissionDeniedError: the actor is no engineer.
            MessageConflictError, ShopSystemError: as for a sale.
        """
        self.house.require(Permission.ENGINEER)
        request = self.house.signed(request)
        now = self.house.now()

        def work(connection: Connection, at: datetime = now) -> Receipt:
            return self._make(connection, as_ordered(request), at)

        question = question_of("engineering", request)
        return answer(self.house, question, now, work, work_at=work)

    def _make(self, connection: Connection, request: EngineeringRequest, now: datetime) -> Receipt:
        require_reason(request.reason)
        meter = find_meter(connection, request.meter, lock=True)
        act = _TWO_PERSONS.get(request.act)
        if act is not None:
            actor = self.house.current_actor()
            use_approval(connection, act, request.essence(), actor, now, subject=meter.number)
        content = self._content(connection, request, meter, now)
        made, token = token_of(self.house, meter, content, _NAMES[request.act], request.act.value)
        receipt = give_out(
            connection,
            self.house,
            request,
            kind=ReceiptKind.ENGINEERING,
            meter=meter,
            now=now,
            made=(made,),
            tokens=(token,),
            messages=(*_value_words(request, content), reason_words(request.reason)),
        )
        audit.record(
            connection,
            now,
            actor=self.house.who(request.operator),
            action=f"engineering.{request.act.value}",
            subject=meter.number,
            detail=f"receipt {receipt.receipt_no} value {request.value}: {request.reason}",
        )
        return receipt

    def _content(
        self, connection: Connection, request: EngineeringRequest, meter: Meter, now: datetime
    ) -> Content:
        if request.act is EngineeringAct.METER_TEST:
            return InitiateMeterTest(request.value)
        require_stamped(connection, meter, now)
        tid = due_tid(connection, meter, now)
        return _STAMPED[request.act](self.house.rnd(), tid, request.value)


def _value_words(request: EngineeringRequest, content: Content) -> tuple[Words, ...]:
    if isinstance(content, SetMaximumPowerLimit | SetMaximumPhasePowerUnbalanceLimit):
        watts = str(content.coded.amount)  # what the token really carries: rounded up
        return ((f"Limit: {watts} W.", Reason("limit_watts", (watts,))),)
    if request.act in (EngineeringAct.WATER_FACTOR, EngineeringAct.TARIFF_RATE):
        value = str(request.value)
        return ((f"Value: {value}.", Reason("value_set", (value,))),)
    return ()
