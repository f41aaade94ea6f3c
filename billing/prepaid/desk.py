"""Desk: how prepaid accounts stand, and what a person does about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from billing.accounts.looking import account_by_number
from billing.accounts.tables import customer_accounts
from billing.faults import BadEntryError
from billing.ledger.posting import balance, lock
from billing.office import Office
from billing.person import Right
from billing.prepaid.cuts import (
    Cut,
    CutLine,
    CutOrder,
    CutState,
    cuts_of,
    lines_of,
    open_cut,
    orders_of,
)
from billing.prepaid.disconnecting import Asked, ask_reconnect, reconnect_again
from billing.prepaid.faults import NoCutError, NotHeldError, NotPrepaidError
from billing.prepaid.following import settle
from billing.prepaid.outlook import Outlook, outlook_of
from billing.prepaid.policy import PrepaidPolicy, load_policy, set_policy
from billing.prepaid.standing import Level
from billing.prepaid.states import Move, MoveLine, move_all, moves_of
from billing.prepaid.tables import prepaid_states, supply_cuts
from storage import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A prepaid account at a glance."""

    number: str
    balance_minor: int
    """When it came into the level, in lists; now, of one account."""
    level: Level
    since: datetime | None
    words: str
    disconnect_at: datetime | None
    """What was announced."""
    cut_state: CutState | None
    """Of its open cut."""

    @property
    def state(self) -> str:
        """One word: the supply's, where the office has switched it, else the balance's."""
        names = {
            CutState.ORDERED: "disconnect_ordered",
            CutState.DARK: "disconnected",
            CutState.RECONNECTING: "reconnect_ordered",
        }
        return names[self.cut_state] if self.cut_state is not None else self.level.value


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known of one account."""

    standing: Standing
    outlook: Outlook | None
    """None: it is not prepaid any more."""
    history: list[MoveLine]
    cut: Cut | None
    """The latest."""
    cut_orders: list[CutOrder]
    cut_history: list[CutLine]


@dataclass(frozen=True, slots=True)
class PrepaidDesk:
    """Look, release, ask for light."""

    office: Office

    def status(self, number: str) -> Status:
        """One account.

        Raises:
            UnknownAccountError: there is none of this number.
            NotPrepaidError: it never was prepaid.
            RightMissingError: the person may not look.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            account = account_by_number(connection, number)
            row = connection.execute(
                select(prepaid_states).where(prepaid_states.c.account_id == account.account_id)
            ).first()
            cuts = cuts_of(connection, account.account_id)
            try:
                outlook = outlook_of(connection, self.office, account.account_id)
            except NotPrepaidError:
                if row is None and not cuts:
                    raise
                outlook = None
            cut = cuts[0] if cuts else None
            is_open = cut is not None and cut.ended_at is None
            return Status(
                Standing(
                    number=account.number,
                    balance_minor=balance(connection, account.account_id),
                    level=Level.OK if row is None else Level(row.state),
                    since=None if row is None else row.since,
                    words="" if row is None else row.words,
                    disconnect_at=None if row is None else row.disconnect_at,
                    cut_state=cut.state if cut is not None and is_open else None,
                ),
                outlook,
                moves_of(connection, account.account_id),
                cut,
                [] if cut is None else orders_of(connection, cut.cut_id),
                [] if cut is None else lines_of(connection, cut.cut_id),
            )

    def list(
        self, *, level: Level | None = None, cut: bool | None = None, limit: int = 100
    ) -> list[Standing]:
        """Accounts about which something is to be known, those longest in their level first.

        Args:
            level: those alone; None: all but those that are well.
            cut: those alone whose supply the office has switched, or is about to; None: all.
            limit: so many at most.
        """
        self.office.require(Right.LOOK)
        query = (
            select(
                customer_accounts.c.number,
                prepaid_states,
                supply_cuts.c.state.label("cut_state"),
            )
            .select_from(prepaid_states)
            .join(customer_accounts, customer_accounts.c.account_id == prepaid_states.c.account_id)
            .outerjoin(
                supply_cuts,
                (supply_cuts.c.account_id == prepaid_states.c.account_id)
                & supply_cuts.c.ended_at.is_(None),
            )
            .order_by(prepaid_states.c.since, prepaid_states.c.account_id)
            .limit(limit)
        )
        if level is not None:
            query = query.where(prepaid_states.c.state == level.value)
        elif not cut:
            query = query.where(
                (prepaid_states.c.state != Level.OK.value) | supply_cuts.c.cut_id.is_not(None)
            )
        if cut is not None:
            is_cut = supply_cuts.c.cut_id.is_not(None)
            query = query.where(is_cut if cut else ~is_cut)
        with self.office.reading() as connection:
            return [
                Standing(
                    number=row.number,
                    balance_minor=row.balance_minor,
                    level=Level(row.state),
                    since=row.since,
                    words=row.words,
                    disconnect_at=row.disconnect_at,
                    cut_state=None if row.cut_state is None else CutState(row.cut_state),
                )
                for row in connection.execute(query)
            ]

    def outlook(self, number: str) -> Outlook:
        """How long an account's balance lasts.

        Raises:
            UnknownAccountError: there is none of this number.
            NotPrepaidError: it is not prepaid.
            RightMissingError: the person may not look.
        """
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            account = account_by_number(connection, number)
            return outlook_of(connection, self.office, account.account_id)

    def policy(self) -> PrepaidPolicy:
        """The numbers in force."""
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            return load_policy(connection)

    def set_policy(self, changes: dict[str, int | str]) -> PrepaidPolicy:
        """Change some of them; see `policy.set_policy`."""
        return set_policy(self.office, changes)

    def release(self, number: str, *, why: str) -> None:
        """Somebody has seen to a held account: the loop goes on, with a new announcement.

        Raises:
            NotHeldError: nobody waits for a person at it.
            BadEntryError: no reason.
            UnknownAccountError: there is none of this number.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        reason = _reason(why)
        with self.office.writing() as connection:
            account = account_by_number(connection, number)
            lock(connection, [account.account_id])
            state = connection.scalar(
                select(prepaid_states.c.state).where(
                    prepaid_states.c.account_id == account.account_id
                )
            )
            if state != Level.HELD.value:
                raise NotHeldError(
                    f"Account {account.number} is {state or 'ok'}: it does not wait for a person."
                )
            now, who = self.office.now(), self.office.person.name
            words = f"Released by {who or 'somebody'}: {reason}"
            balance_minor = balance(connection, account.account_id)
            move = Move(account.account_id, Level.DISCONNECT_DUE, balance_minor, words, look_at=now)
            move_all(connection, now, [move])
            audit.record(
                connection,
                now,
                actor=who,
                action="prepaid.release",
                subject=account.number,
                reason=reason,
            )

    def reconnect(self, number: str, *, why: str) -> Asked:
        """Have the light of an account that the office has switched off come back, now.

        Raises:
            NoCutError: the office has not switched it off.
            BadEntryError: no reason.
            UnknownAccountError: there is none of this number.
            RightMissingError: the person may not collect.
        """
        self.office.require(Right.COLLECT)
        reason = _reason(why)
        with self.office.writing() as connection:
            account = account_by_number(connection, number)
            lock(connection, [account.account_id])
            cut = open_cut(connection, account.account_id)
            if cut is not None:
                cut = settle(connection, self.office, cut)
            if cut is None or cut.ended_at is not None:
                raise NoCutError(
                    f"The office has not switched off account {account.number}. "
                    "meterhouse order relay METER reconnect orders one meter."
                )
            if cut.state is CutState.RECONNECTING:
                asked = reconnect_again(connection, self.office, cut, reason)
            else:
                asked = ask_reconnect(connection, self.office, account.account_id, reason)
            audit.record(
                connection,
                self.office.now(),
                actor=self.office.person.name,
                action="prepaid.reconnect",
                subject=account.number,
                reason=reason,
            )
            return asked


def _reason(why: str) -> str:
    if not why.strip():
        raise BadEntryError("Say why: whoever looks at the account later will ask.")
    return why.strip()
