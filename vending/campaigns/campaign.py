"""What a campaign is, and its rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)

from vending.campaigns.faults import UnknownCampaignError
from vending.campaigns.tables import campaign_meters, campaigns
from vending.shop.agreed import agreed
from vending.shop.requests import KeyChangeRequest, canonical_json
from vending.shop.tables import key_changes, meter_keys, meters
from vending.shop.values import pan_of

SELECTING: Final = ("sgc", "krn", "key_type", "tariff_index", "base_year")
"""By what meters are chosen: the key that they have."""
_CLIENT: Final = "campaign-"
_CLIENT_FORM: Final = re.compile(_CLIENT + "([1-9][0-9]{0,17})")


class CampaignState(StrEnum):
    """Where a campaign stands."""

    OPEN = "open"
    """It may be run, again and again until no meter waits."""
    CLOSED = "closed"
    """Every meter has its tokens or was refused."""
    CANCELLED = "cancelled"


class MeterState(StrEnum):
    """Where a meter of a campaign stands."""

    WAITING = "waiting"
    ISSUED = "issued"
    CONFIRMED = "confirmed"
    """It was seen to have the new key."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A key change of many meters."""

    campaign_id: int
    name: str
    selection: Mapping[str, Any]
    changes: Mapping[str, Any]
    reason: str
    made_at: datetime
    made_by: str
    state: CampaignState
    counts: Mapping[MeterState, int]
    """How many of its meters stand where; issued ones without those that have confirmed."""

    @property
    def meters(self) -> int:
        """How many meters it is for."""
        return sum(self.counts.values())

    @property
    def waiting(self) -> int:
        """How many have no answer yet."""
        return self.counts[MeterState.WAITING]

    @property
    def client(self) -> str:
        """Whose message ids its requests are."""
        return f"{_CLIENT}{self.campaign_id}"


@dataclass(frozen=True, slots=True)
class DueMeter:
    """A meter that waits for its tokens."""

    meter_id: int
    number: str
    attempt: int

    @property
    def message_id(self) -> str:
        """The same for the same meter and attempt, whoever runs the campaign."""
        return f"{self.number}/{self.attempt}"


def insert_campaign(
    connection: Connection,
    *,
    name: str,
    selection: Mapping[str, Any],
    changes: Mapping[str, Any],
    reason: str,
    made_at: datetime,
    made_by: str,
) -> int:
    """Write a campaign and choose its meters, of this moment; gives its number."""
    campaign_id: int = connection.execute(
        insert(campaigns).returning(campaigns.c.campaign_id),
        {
            "name": name,
            "selection": canonical_json(selection).decode(),
            "changes": canonical_json(changes).decode(),
            "reason": reason,
            "made_at": made_at,
            "made_by": made_by,
            "state": CampaignState.OPEN.value,
        },
    ).scalar_one()
    chosen = (
        select(
            literal(campaign_id), meters.c.meter_id, literal(MeterState.WAITING.value), literal(1)
        )
        .select_from(meters.join(meter_keys))
        .where(*chosen_by(selection))
    )
    connection.execute(
        insert(campaign_meters).from_select(["campaign_id", "meter_id", "state", "attempt"], chosen)
    )
    return campaign_id


def chosen_by(selection: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The condition for meters whose key in use is of this kind."""
    return [
        meter_keys.c.state == "in_use",
        *(meter_keys.c[name] == value for name, value in selection.items()),
    ]


def find_campaign(connection: Connection, name: str, *, lock: bool = False) -> Campaign:
    """A campaign by its name, counted.

    Raises:
        UnknownCampaignError: there is none.
    """
    wanted = select(campaigns).where(campaigns.c.name == name)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise UnknownCampaignError(
            f"There is no campaign {name!r}; `meterhouse campaign list` shows them."
        )
    return _campaign(row, _counts(connection, row.campaign_id))


def list_campaigns(connection: Connection) -> list[Campaign]:
    """All campaigns, the newest first."""
    rows = connection.execute(select(campaigns).order_by(campaigns.c.campaign_id.desc()))
    return [_campaign(row, _counts(connection, row.campaign_id)) for row in rows.all()]


def due_meters(connection: Connection, campaign_id: int, behind: int, limit: int) -> list[DueMeter]:
    """The next meters that wait, beginning behind the one with this id."""
    rows = connection.execute(
        select(meters.c.meter_id, meters.c.number, campaign_meters.c.attempt)
        .select_from(campaign_meters.join(meters))
        .where(
            campaign_meters.c.campaign_id == campaign_id,
            campaign_meters.c.state == MeterState.WAITING.value,
            campaign_meters.c.meter_id > behind,
        )
        .order_by(campaign_meters.c.meter_id)
        .limit(limit)
    )
    return [DueMeter(row.meter_id, row.number, row.attempt) for row in rows]


@dataclass(frozen=True, slots=True)
class MeterAnswer:
    """How a meter's request ended."""

    due: DueMeter
    receipt_no: int | None
    fault: str | None


_ANSWERED: Final = (
    update(campaign_meters)
    .where(
        campaign_meters.c.campaign_id == bindparam("of_campaign"),
        campaign_meters.c.meter_id == bindparam("of_meter"),
        campaign_meters.c.attempt == bindparam("of_attempt"),
        campaign_meters.c.state == MeterState.WAITING.value,
    )
    .values(
        state=bindparam("new_state"), receipt_no=bindparam("receipt"), fault=bindparam("refusal")
    )
)


def note_answers(connection: Connection, campaign_id: int, answers: list[MeterAnswer]) -> None:
    """Write answers down; one that another program wrote down before stays."""
    if answers:
        connection.execute(
            _ANSWERED,
            [
                {
                    "of_campaign": campaign_id,
                    "of_meter": answer.due.meter_id,
                    "of_attempt": answer.due.attempt,
                    "new_state": MeterState.ISSUED if answer.fault is None else MeterState.REFUSED,
                    "receipt": answer.receipt_no,
                    "refusal": answer.fault,
                }
                for answer in answers
            ],
        )


def wait_again(connection: Connection, campaign_id: int) -> int:
    """Give every refused meter another attempt; tells how many."""
    again = connection.execute(
        update(campaign_meters)
        .where(
            campaign_meters.c.campaign_id == campaign_id,
            campaign_meters.c.state == MeterState.REFUSED.value,
        )
        .values(state=MeterState.WAITING.value, attempt=campaign_meters.c.attempt + 1, fault=None)
    )
    return again.rowcount


@agreed
def covering_campaign(connection: Connection, request: KeyChangeRequest) -> str | None:
    """The campaign that a key change belongs to: two people have approved it for exactly this
    meter and these changes.

    It is looked up, not believed: whatever the request says, the meter must have been chosen,
    wait under this very message id, and get what the campaign changes.

    Returns:
        The campaign's name; None when no campaign covers the request.
    """
    own = _CLIENT_FORM.fullmatch(request.client)
    if own is None:
        return None
    row = connection.execute(
        select(campaigns.c.name, campaigns.c.changes, campaign_meters.c.attempt, meters.c.number)
        .select_from(campaign_meters.join(campaigns).join(meters))
        .where(
            campaigns.c.state == CampaignState.OPEN.value,
            campaigns.c.campaign_id == int(own[1]),
            meters.c.number == pan_of(request.meter).drn,
            campaign_meters.c.state == MeterState.WAITING.value,
        )
    ).one_or_none()
    if row is None or json.loads(row.changes) != request.changes():
        return None
    if request.message_id != f"{row.number}/{row.attempt}":
        return None
    return str(row.name)


def set_state(connection: Connection, campaign_id: int, state: CampaignState) -> None:
    """End a campaign."""
    connection.execute(
        update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(state=state.value)
    )


def _counts(connection: Connection, campaign_id: int) -> dict[MeterState, int]:
    found = dict.fromkeys(MeterState, 0)
    rows = connection.execute(
        select(campaign_meters.c.state, func.count())
        .where(campaign_meters.c.campaign_id == campaign_id)
        .group_by(campaign_meters.c.state)
    )
    for state, count in rows:
        found[MeterState(state)] = count
    confirmed = (
        connection.scalar(
            select(func.count())
            .select_from(campaign_meters)
            .join(key_changes, key_changes.c.receipt_no == campaign_meters.c.receipt_no)
            .where(campaign_meters.c.campaign_id == campaign_id, key_changes.c.state == "confirmed")
        )
        or 0
    )
    found[MeterState.ISSUED] -= confirmed
    found[MeterState.CONFIRMED] = confirmed
    return found


def _campaign(row: Row[Any], counts: Mapping[MeterState, int]) -> Campaign:
    return Campaign(
        campaign_id=row.campaign_id,
        name=row.name,
        selection=json.loads(row.selection),
        changes=json.loads(row.changes),
        reason=row.reason,
        made_at=row.made_at,
        made_by=row.made_by,
        state=CampaignState(row.state),
        counts=counts,
    )
