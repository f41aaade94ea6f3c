"""The campaign desk: prepare, run, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from storage import audit
from vending.campaigns.campaign import (
    SELECTING,
    Campaign,
    CampaignState,
    DueMeter,
    MeterAnswer,
    MeterState,
    due_meters,
    find_campaign,
    insert_campaign,
    list_campaigns,
    note_answers,
    set_state,
    wait_again,
)
from vending.campaigns.export import CampaignMeter, campaign_meters_page
from vending.campaigns.faults import CampaignEmptyError, CampaignExistsError, CampaignStateError
from vending.campaigns.tables import campaigns
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.shop.faults import OutcomeUnknownError, RequestFormatError
from vending.shop.house import House
from vending.shop.requests import KeyChangeRequest, VendResult
from vending.shop.settings import require_line
from vending.shop.values import require_text, require_whole
from vending.sts import make_drn

_CHUNK: Final = 100
"""Answers that are written down together: what a campaign that was killed asks for again."""
_PAGE: Final = 500
_TEXTS: Final = ("sgc", "tariff_index")
_ANY_METER: Final = make_drn("00", "00000000")


@dataclass(frozen=True, slots=True)
class CampaignDesk:
    """Key changes of many meters, as one job that survives everything."""

    house: House
    key_change: Callable[[KeyChangeRequest], VendResult]
    """The shop's own, without the permission for single key changes: a campaign has no second
    way of making tokens, and `covering_campaign` says which of them its approval covers."""

    def prepare(
        self,
        name: str,
        selection: dict[str, Any],
        changes: dict[str, Any],
        reason: str,
        *,
        operator: str = "",
    ) -> Campaign:
        """Choose the meters of a campaign; makes no token yet.

        It takes a second person's approval (`Act.CAMPAIGN`) for exactly
        ``plan(name, selection, changes)``.

        Args:
            name: to speak of it.
            selection: which key meters have now: ``sgc`` and any of ``krn``, ``key_type``,
                ``tariff_index``, ``base_year``.
            changes: as in `KeyChangeRequest`: ``sgc``, ``krn``, ``key_type``, ``tariff_index``,
                ``base_year``, ``ken``; what is not named stays.
            reason: why.
            operator: who prepares it.

        Raises:
            PermissionDeniedError, ApprovalRequiredError: the actor may not, or not alone.
            RequestFormatError: a value of the wrong form.
            CampaignExistsError: the name is taken.
            CampaignEmptyError: no meter is chosen, or nothing would change.
        """
        self.house.require(Permission.CAMPAIGNS)
        now, who = self.house.now(), self.house.who(operator)
        if not require_line("The campaign's name", name).strip():
            raise RequestFormatError("A campaign needs a name.")
        require_line("The reason", reason)
        _require_selection(selection)
        _require_changes(changes)
        if all(selection.get(key) == value for key, value in changes.items()):
            raise CampaignEmptyError("Say what is to change: a revision, a base year, a group ...")
        with self.house.writing() as connection:
            if connection.scalar(select(campaigns.c.name).where(campaigns.c.name == name)):
                raise CampaignExistsError(f"There is a campaign {name!r} already.")
            approval = use_approval(
                connection,
                Act.CAMPAIGN,
                plan(name, selection, changes),
                self.house.current_actor(),
                now,
                subject=name,
            )
            insert_campaign(
                connection,
                name=name,
                selection=selection,
                changes=changes,
                reason=reason,
                made_at=now,
                made_by=who,
            )
            made = find_campaign(connection, name)
            if not made.meters:
                raise CampaignEmptyError("No meter has such a key: nothing was prepared.")
            by = "nobody signed in" if approval is None else f"approval {approval}"
            detail = f"{made.meters} meters, {by}"
            _record(connection, now, who, "campaign.prepared", name, detail)
            return made

    def run(
        self,
        name: str,
        *,
        operator: str = "",
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Campaign:
        """Make the tokens of every meter that waits; run it again after whatever cut it off.

        The approval with which it was prepared covers every meter of it, and nothing else: no
        meter needs one of its own.  Each meter's key change is a request of its own, under a
        message id that is the same whoever runs the campaign and however often: none is made
        twice.  Several programs may run one campaign at once.

        Args:
            name: which campaign.
            operator: who runs it.
            progress: called with how many meters are done of those that waited, after every
                hundred.
            stop: asked before each meter whether to stop here, for now.

        Raises:
            PermissionDeniedError: the actor may not run campaigns.
            UnknownCampaignError, CampaignStateError: there is none, or it was cancelled.
            ShopSystemError: the installation is at fault; run it again.
        """
        self.house.require(Permission.CAMPAIGNS)
        who = self.house.who(operator)
        campaign = self._open(name)
        behind = done = 0
        while True:
            with self.house.reading() as connection:
                chunk = due_meters(connection, campaign.campaign_id, behind, _CHUNK)
            if not chunk:
                break
            behind = chunk[-1].meter_id
            stopped = self._run_chunk(campaign, chunk, who, stop)
            done += len(chunk)
            if progress is not None:
                progress(done, campaign.waiting)
            if stopped:
                return self.find(name)
        return self._close_if_done(name, who)

    def retry(self, name: str, *, operator: str = "") -> Campaign:
        """Let the refused meters wait again, for instance after their keys were imported.

        Raises:
            PermissionDeniedError: the actor may not.
            UnknownCampaignError, CampaignStateError: there is none, or it was cancelled.
        """
        self.house.require(Permission.CAMPAIGNS)
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            campaign = self._require_alive(find_campaign(connection, name, lock=True))
            if campaign.state is CampaignState.CLOSED:
                raise CampaignStateError(
                    f"Campaign {name!r} is closed: prepare a new one for the meters that are left."
                )
            again = wait_again(connection, campaign.campaign_id)
            _record(connection, now, who, "campaign.retried", name, f"{again} meters")
            return find_campaign(connection, name)

    def close(self, name: str, *, operator: str = "") -> Campaign:
        """End a campaign in which no meter waits any more.

        Raises:
            CampaignStateError: meters wait, or it has ended.
        """
        self.house.require(Permission.CAMPAIGNS)
        return self._end(name, CampaignState.CLOSED, operator)

    def cancel(self, name: str, *, operator: str = "") -> Campaign:
        """End a campaign as it stands; tokens that were made stay good.

        Raises:
            CampaignStateError: it has ended.
        """
        self.house.require(Permission.CAMPAIGNS)
        return self._end(name, CampaignState.CANCELLED, operator)

    def find(self, name: str) -> Campaign:
        """A campaign by its name, counted.

        Raises:
            UnknownCampaignError: there is none.
        """
        self.house.require(Permission.CAMPAIGNS)
        with self.house.reading() as connection:
            return find_campaign(connection, require_text("A campaign's name", name))

    def all(self) -> list[Campaign]:
        """All campaigns, the newest first."""
        self.house.require(Permission.CAMPAIGNS)
        with self.house.reading() as connection:
            return list_campaigns(connection)

    def meters(self, name: str, state: MeterState | None = None) -> Iterator[CampaignMeter]:
        """The meters of a campaign with their receipts, page by page, by meter.

        Args:
            name: which campaign.
            state: only those that stand there.
        """
        campaign = self.find(name)
        behind = 0
        while True:
            with self.house.reading() as connection:
                page = campaign_meters_page(connection, campaign.campaign_id, behind, _PAGE)
            if not page:
                return
            behind = page[-1].meter_id
            yield from (each for each in page if state is None or each.state is state)

    def _run_chunk(
        self, campaign: Campaign, chunk: list[DueMeter], who: str, stop: Callable[[], bool]
    ) -> bool:
        """Ask for each meter; tells whether it was stopped."""
        answers: list[MeterAnswer] = []
        try:
            for due in chunk:
                if stop():
                    return True
                answers.append(self._ask(campaign, due, who))
            return False
        finally:
            with self.house.writing() as connection:
                note_answers(connection, campaign.campaign_id, answers)

    def _ask(self, campaign: Campaign, due: DueMeter, who: str) -> MeterAnswer:
        request = KeyChangeRequest(
            client=campaign.client,
            message_id=due.message_id,
            meter=due.number,
            reason=campaign.reason,
            operator=who,
            **campaign.changes,
        )
        result = self.key_change(self.house.signed(request, own=True))
        if isinstance(result.fault, OutcomeUnknownError):
            raise result.fault
        if result.receipt is not None:
            return MeterAnswer(due, result.receipt.receipt_no, None)
        assert result.fault is not None
        return MeterAnswer(due, None, result.fault.code)

    def _open(self, name: str) -> Campaign:
        campaign = self._require_alive(self.find(name))
        if campaign.state is CampaignState.CLOSED:
            raise CampaignStateError(f"Campaign {name!r} is closed: nothing waits in it.")
        return campaign

    def _require_alive(self, campaign: Campaign) -> Campaign:
        if campaign.state is CampaignState.CANCELLED:
            raise CampaignStateError(f"Campaign {campaign.name!r} was cancelled.")
        return campaign

    def _close_if_done(self, name: str, who: str) -> Campaign:
        found = self.find(name)
        done = not found.waiting and not found.counts[MeterState.REFUSED]
        return self._end(name, CampaignState.CLOSED, who) if done else found

    def _end(self, name: str, state: CampaignState, operator: str) -> Campaign:
        now, who = self.house.now(), self.house.who(operator)
        with self.house.writing() as connection:
            campaign = find_campaign(connection, name, lock=True)
            if campaign.state is not CampaignState.OPEN:
                if campaign.state is state:
                    return campaign
                raise CampaignStateError(f"Campaign {name!r} is {campaign.state.value}.")
            if state is CampaignState.CLOSED and campaign.waiting:
                raise CampaignStateError(
                    f"{campaign.waiting} meters of campaign {name!r} still wait: run it, or cancel."
                )
            set_state(connection, campaign.campaign_id, state)
            _record(connection, now, who, f"campaign.{state.value}", name, "")
            return find_campaign(connection, name)


def plan(name: str, selection: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What a second person approves."""
    return {"campaign": name, "selection": selection, "changes": changes}


def _require_selection(selection: dict[str, Any]) -> None:
    unknown = sorted(set(selection) - set(SELECTING))
    if unknown or "sgc" not in selection:
        raise RequestFormatError(
            f"Meters are chosen by {', '.join(SELECTING)}, and sgc must be one of them."
        )
    for name, value in selection.items():
        (require_text if name in _TEXTS else require_whole)(name, value)


def _require_changes(changes: dict[str, Any]) -> None:
    """As a request for any meter would be checked."""
    try:
        KeyChangeRequest("campaign", "check", _ANY_METER, **changes)
    except TypeError:
        raise RequestFormatError(
            "A campaign changes sgc, krn, key_type, tariff_index, base_year, ken."
        ) from None


def _record(
    connection: Connection, now: datetime, who: str, action: str, subject: str, detail: str
) -> None:
    audit.record(connection, now, actor=who, action=action, subject=subject, detail=detail)
