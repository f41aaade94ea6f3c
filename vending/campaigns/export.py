"""What a campaign gives out: each meter's tokens in entry order, for letters and messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from vending.campaigns.campaign import MeterState
from vending.campaigns.tables import campaign_meters
from vending.receipts.receipt import Receipt
from vending.shop.requests import VendResult
from vending.shop.tables import key_changes, meters, receipts, requests

_PAGE: Final[Select[Any]] = (
    select(
        campaign_meters.c.meter_id,
        campaign_meters.c.state,
        campaign_meters.c.fault,
        meters.c.number,
        meters.c.customer,
        meters.c.location,
        key_changes.c.state.label("key_state"),
        requests.c.client,
        requests.c.message_id,
        requests.c.response,
    )
    .select_from(campaign_meters)
    .join(meters)
    .outerjoin(receipts, receipts.c.receipt_no == campaign_meters.c.receipt_no)
    .outerjoin(
        requests,
        (requests.c.client == receipts.c.client) & (requests.c.message_id == receipts.c.message_id),
    )
    .outerjoin(key_changes, key_changes.c.receipt_no == campaign_meters.c.receipt_no)
)


@dataclass(frozen=True, slots=True)
class CampaignMeter:
    """A meter of a campaign."""

    meter_id: int
    number: str
    customer: str
    location: str
    state: MeterState
    fault: str | None
    """The code of the refusal."""
    receipt: Receipt | None
    """With the tokens in entry order, when they were issued."""


def campaign_meters_page(
    connection: Connection, campaign_id: int, behind: int, limit: int
) -> list[CampaignMeter]:
    """The next meters, beginning behind the one with this id."""
    rows = connection.execute(
        _PAGE.where(
            campaign_meters.c.campaign_id == campaign_id, campaign_meters.c.meter_id > behind
        )
        .order_by(campaign_meters.c.meter_id)
        .limit(limit)
    )
    return [_meter(row) for row in rows]


def _meter(row: Any) -> CampaignMeter:
    receipt = None
    if row.response is not None:
        stored = VendResult.stored(row.client, row.message_id, bytes(row.response), replayed=True)
        receipt = stored.require_done()
    confirmed = row.key_state == "confirmed"
    return CampaignMeter(
        meter_id=row.meter_id,
        number=row.number,
        customer=row.customer,
        location=row.location,
        state=MeterState.CONFIRMED if confirmed else MeterState(row.state),
        fault=row.fault,
        receipt=receipt,
    )
