"""What a prepaid meter holds: sums, limits, purchases (spec sections 3, 4.1, 4.4, 4.5).

Money is whole cents, energy whole Wh; None where the meter has no value.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from protocols.dlt645.addresses import Address
from protocols.dlt645.answers import SecurityAnswer
from protocols.dlt645.error_bits import ErrorByte
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.master.conversation import Conversation
from protocols.dlt645.master.errors import MeterRefusal, ValueShapeError
from protocols.dlt645.master.orders import require_2007
from protocols.dlt645.master.readings import decoded
from protocols.dlt645.security import STATUS_QUERY, PrepaymentStatus, status_query
from protocols.dlt645.times import MeterTime
from protocols.errors import RemoteProtocolError

PURCHASE_RECORDS_MAX: Final = 10
_HUNDREDTHS_WH: Final = 10
"""XXXXXX.XX kWh counts in steps of 10 Wh."""


class PurchaseKind(Enum):
    """What was bought: DI2 of the records' identifiers."""

    ENERGY = 0x32
    MONEY = 0x33


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepayment:
    """What a prepaid meter holds; a meter counts money or energy, seldom both."""

    remaining_cents: int | None
    overdraft_cents: int | None
    remaining_wh: int | None
    overdraft_wh: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaymentLimits:
    """What the meter warns and trips by."""

    alarm_1_cents: int | None
    alarm_2_cents: int | None
    overdraft_cents: int | None
    hoarding_cents: int | None
    close_allowed_cents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRecord:
    """One purchase as the meter keeps it; amounts in cents, or in units of 10 Wh for energy."""

    kind: PurchaseKind
    nth: int
    """1 for the last."""
    time: MeterTime | None
    count: int | None
    bought: int | None
    before: int | None
    after: int | None
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseState:
    """What tells whether a purchase has arrived."""

    count: int
    """Purchases so far."""
    remaining_cents: int | None
    client_number: str | None
    """12 digits; None where only the purchase records could be read."""


async def hundredths(talk: Conversation, meter: str, di: int) -> int | None:
    """A number with two decimals, as a whole number of its hundredths.

    Raises:
        LinkError, RemoteProtocolError: see `Conversation.read`.
        ValueShapeError: it is no such number.
    """
    value = decoded(await talk.read_di(meter, di), talk.edition).value_as(Decimal)
    return None if value is None else int(value.scaleb(2))


async def _optional(talk: Conversation, meter: str, di: int) -> int | None:
    """`hundredths`, or None where the meter says that it has no such item."""
    try:
        return await hundredths(talk, meter, di)
    except MeterRefusal as refusal:
        if refusal.word is None or not refusal.word & ErrorByte.NO_REQUESTED_DATA:
            raise
        return None


async def read_prepayment(talk: Conversation, meter: str) -> Prepayment:
    """Remaining and overdrawn sums; see `Master.prepayment`."""
    require_2007(talk.edition, "Prepayment")
    remaining_wh = await _optional(talk, meter, 0x00900100)
    overdraft_wh = await _optional(talk, meter, 0x00900101)
    return Prepayment(
        remaining_cents=await _optional(talk, meter, 0x00900200),
        overdraft_cents=await _optional(talk, meter, 0x00900201),
        remaining_wh=None if remaining_wh is None else remaining_wh * _HUNDREDTHS_WH,
        overdraft_wh=None if overdraft_wh is None else overdraft_wh * _HUNDREDTHS_WH,
    )


async def read_limits(talk: Conversation, meter: str) -> PrepaymentLimits:
    """Alarm amounts, overdraft and hoarding limits; see `Master.prepayment_limits`."""
    require_2007(talk.edition, "Prepayment")
    return PrepaymentLimits(
        alarm_1_cents=await _optional(talk, meter, 0x04001001),
        alarm_2_cents=await _optional(talk, meter, 0x04001002),
        overdraft_cents=await _optional(talk, meter, 0x04001003),
        hoarding_cents=await _optional(talk, meter, 0x04001004),
        close_allowed_cents=await _optional(talk, meter, 0x04001005),
    )


async def read_purchases(
    talk: Conversation, meter: str, kind: PurchaseKind, latest: int = PURCHASE_RECORDS_MAX
) -> AsyncIterator[PurchaseRecord]:
    """The last purchases, the latest first; see `Master.purchases`."""
    require_2007(talk.edition, "Prepayment")
    for nth in range(1, min(latest, PURCHASE_RECORDS_MAX) + 1):
        record = await read_purchase(talk, meter, kind, nth)
        if record is None:
            return
        yield record


async def read_purchase(
    talk: Conversation, meter: str, kind: PurchaseKind, nth: int
) -> PurchaseRecord | None:
    """The n-th last purchase; None where there is none."""

    def di(part: int) -> int:
        return 0x03 << 24 | kind.value << 16 | part << 8 | nth

    try:
        answer = decoded(await talk.read_di(meter, di(1)), talk.edition)
    except MeterRefusal as refusal:
        if refusal.word is None or not refusal.word & ErrorByte.NO_REQUESTED_DATA:
            raise
        return None
    time = answer.value_as(MeterTime)
    if time is None:
        return None
    return PurchaseRecord(
        kind=kind,
        nth=nth,
        time=time,
        count=await _count(talk, meter, di(2)),
        bought=await hundredths(talk, meter, di(3)),
        before=await hundredths(talk, meter, di(4)),
        after=await hundredths(talk, meter, di(5)),
        total=await hundredths(talk, meter, di(6)),
    )


async def _count(talk: Conversation, meter: str, di: int) -> int | None:
    value = decoded(await talk.read_di(meter, di), talk.edition).value_as(Decimal)
    return None if value is None else int(value)


async def query_status(talk: Conversation, meter: str, operator: str) -> PrepaymentStatus:
    """078102FF: what the ESAM holds.

    Raises:
        LinkError, RemoteProtocolError: see `Conversation.ask`.
    """
    answer = await talk.ask(meter, status_query(operator))
    if not isinstance(answer, SecurityAnswer):
        raise LayoutError(f"The answer to {STATUS_QUERY:08X} holds no data.")
    return PrepaymentStatus.parse(answer.data)


async def read_purchase_state(talk: Conversation, meter: Address, operator: str) -> PurchaseState:
    """The purchase count: by 078102FF, or by 03330201 where the meter refuses that.

    Raises:
        LinkError: the meter or the line is silent.
        RemoteProtocolError: neither can be read.
    """
    try:
        status = await query_status(talk, meter, operator)
    except RemoteProtocolError:
        count = await _count(talk, meter, 0x03330201)
        if count is None:
            raise ValueShapeError("The meter tells no purchase count.") from None
        remaining = await _optional(talk, meter, 0x00900200)
        return PurchaseState(count=count, remaining_cents=remaining, client_number=None)
    return PurchaseState(
        count=status.purchase_count,
        remaining_cents=status.remaining_cents,
        client_number=status.client_number,
    )
