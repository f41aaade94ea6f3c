"""`AccountDesk`: open, change, supply, hand over, close, look for accounts (specs/utility.md 1-4).

Accounts are named by their number, as somebody typed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from billing.accounts import changes, closing, opening, showing, supplying
from billing.accounts.changes import ChangeRequest
from billing.accounts.checks import require_text
from billing.accounts.closing import CloseRequest, FinalSettlement
from billing.accounts.importing import Imported, import_accounts
from billing.accounts.looking import account_by_number, accounts_of
from billing.accounts.opening import Applied, Findings
from billing.accounts.rows import record
from billing.accounts.rules import rules, set_rules
from billing.accounts.showing import AccountCard, AccountLine
from billing.accounts.supplying import NewSupply
from billing.accounts.values import (
    AccountRules,
    Application,
    Change,
    ChangeState,
    Closing,
    Terms,
)
from billing.ledger.entry import Posted
from billing.ledger.posting import entries_of
from billing.office import Office
from billing.person import Right


class _UndoneError(Exception):
    """An import that is not to be kept."""

    def __init__(self, imported: Imported) -> None:
        super().__init__()
        self.imported = imported


def _undo_if(done: Imported, undone: bool) -> None:
    if undone:
        raise _UndoneError(done)


@dataclass(frozen=True, slots=True)
class AccountDesk:
    """The desk for accounts."""

    office: Office
    settle: FinalSettlement | None = None
    """The room of settlements, for closing; None: its next run settles."""

    # Opening

    def apply(self, application: Application) -> Applied:
        """Keep an application; the account has its number from now on.

        Raises:
            RightMissingError, BadEntryError, PointTakenError: see `opening.apply`.
        """
        with self._acting(Right.SERVE) as connection:
            return opening.apply(connection, self.office, application)

    def look_again(self, number: str) -> Findings:
        """What speaks against an application.

        Raises:
            AccountStateError: nobody has applied for it.
        """
        self.office.require(Right.SERVE)
        with self.office.writing() as connection:  # it waits for who takes the point
            account_id = account_by_number(connection, number).account_id
            return opening.look_again(connection, account_id, self.office)

    def check(self, number: str, *, same_customer: bool = False) -> Findings:
        """Take an application as sound.

        Raises:
            AccountStateError, SameIdentityError, PointTakenError: see `opening.check`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            return opening.check(connection, self.office, account_id, same_customer=same_customer)

    def reject(self, number: str, reason: str) -> None:
        """Turn an application down.

        Raises:
            AccountStateError, BadEntryError: see `opening.reject`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            opening.reject(connection, self.office, account_id, reason)

    def sign(self, number: str, terms: Terms) -> None:
        """Keep the agreement; the account is active when its deposit is held.

        Raises:
            AccountStateError, BadEntryError: see `opening.sign`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            opening.sign(connection, self.office, account_id, terms)

    def import_accounts(
        self,
        text: Iterable[str],
        *,
        skip_bad: bool = False,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Imported:
        """Bring accounts in from a table, all of them in one transaction.

        Args:
            text: the lines of a CSV file, decoded; see `importing`.
            skip_bad: leave bad lines out; without it one of them undoes all.
            dry_run: try everything and keep nothing.
            progress: is told the number of lines, now and then.

        Raises:
            RightMissingError: it takes the right to configure.
            BadEntryError: no table, or unknown headings.
        """
        self.office.require(Right.CONFIGURE)
        try:
            with self.office.writing() as connection:
                done = import_accounts(connection, self.office, text, progress)
                _undo_if(done, dry_run or (bool(done.bad) and not skip_bad))
        except _UndoneError as undone:
            return undone.imported
        return done

    # Changing

    def ask_change(self, number: str, wanted: ChangeRequest) -> int:
        """Keep a wish for a change; gives its number.

        Raises:
            BillingError: see `changes.ask`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            return changes.ask(connection, self.office, account_id, wanted)

    def approve_change(self, change_id: int) -> Change:
        """Be the second person of a change.

        Raises:
            SecondLookError, ChangeStateError, NoSuchChangeError: see `changes.approve`.
        """
        with self._acting(Right.APPROVE) as connection:
            return changes.approve(connection, self.office, change_id)

    def refuse_change(self, change_id: int, reason: str) -> None:
        """Refuse a change.

        Raises:
            ChangeStateError, NoSuchChangeError: see `changes.end`.
        """
        with self._acting(Right.APPROVE) as connection:
            changes.end(connection, self.office, change_id, ChangeState.REFUSED, reason)

    def withdraw_change(self, change_id: int, reason: str) -> None:
        """Take a change back that was not applied yet.

        Raises:
            ChangeStateError, NoSuchChangeError: see `changes.end`.
        """
        with self._acting(Right.SERVE) as connection:
            changes.end(connection, self.office, change_id, ChangeState.WITHDRAWN, reason)

    def changes(self, number: str | None = None, *, waiting: bool = False) -> list[Change]:
        """The log of changes, masked, the newest first."""
        with self._looking() as connection:
            account_id = (
                None if number is None else account_by_number(connection, number).account_id
            )
            return changes.changes_of(connection, self.office, account_id, waiting=waiting)

    def opened_changes(self, number: str, why: str) -> list[Change]:
        """The log of an account's changes in clear; who opened it is kept."""
        with self._opening(number, why, "changes") as (connection, account_id):
            return changes.changes_of(connection, self.office, account_id, opened=True)

    # Service points

    def add_supply(self, number: str, new: NewSupply) -> int:
        """Put a service point on an account; gives the supply's number.

        Raises:
            AccountStateError, PointTakenError, BadEntryError: see `supplying.add_supply`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            return supplying.add_supply(connection, self.office, account_id, new)

    def end_supply(self, supply_id: int, day: date, reason: str) -> None:
        """Take a service point off its account at the start of a day.

        Raises:
            NoSuchChangeError, SettledSinceError, BadEntryError: see `supplying.end_supply`.
        """
        with self._acting(Right.SERVE) as connection:
            at = self.office.day_start(day)
            supplying.end_supply(connection, self.office, supply_id, at, reason)

    def transfer(
        self, supply_id: int, to: str, day: date, *, tariff: str | None = None, close: bool = False
    ) -> int:
        """Hand a service point to another account at the start of a day; gives the new supply.

        Args:
            supply_id: of the one who moves out.
            to: number of the account of the one who moves in.
            day: from which on the new one pays.
            tariff: of the new one; None: as before.
            close: close the old account, if nothing else is on it.

        Raises:
            BillingError: see `supplying.transfer`.
        """
        with self._account(Right.SERVE, to) as (connection, to_id):
            new_id = supplying.transfer(
                connection, self.office, supply_id, to_id, day, tariff=tariff
            )
            if close:
                closing.ask_if_empty(connection, self.office, supply_id, day)
            return new_id

    # Closing

    def close(self, number: str, wanted: CloseRequest) -> Closing:
        """Begin to close an account, and go on with it as far as it goes.

        Raises:
            AccountStateError, SettledSinceError, BadEntryError: see `closing.ask`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            closing.ask(connection, self.office, account_id, wanted)
        return closing.proceed(self.office, account_id, self.settle)

    def proceed(self, number: str) -> Closing:
        """Go on with closing an account.

        Raises:
            ClosingStateError: nobody asked for it.
        """
        self.office.require(Right.SERVE)
        with self.office.reading() as connection:
            account_id = account_by_number(connection, number).account_id
        return closing.proceed(self.office, account_id, self.settle)

    def withdraw_closing(self, number: str, reason: str) -> None:
        """The customer stays.

        Raises:
            ClosingStateError, PointTakenError, BadEntryError: see `closing.withdraw`.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            closing.withdraw(connection, self.office, account_id, reason)

    def refund_again(self, number: str, channel: str) -> Closing:
        """Ask once more for a refund that came back.

        Raises:
            ClosingStateError: none has.
        """
        with self._account(Right.SERVE, number) as (connection, account_id):
            return closing.refund_again(connection, self.office, account_id, channel)

    def closings(self, *, overdue: bool = False) -> list[Closing]:
        """Accounts on their way to their end; or those whose refund is overdue."""
        with self._looking() as connection:
            at = self.office.now() if overdue else None
            return closing.closings_open(connection, overdue_at=at)

    # Rules

    def rules(self) -> AccountRules:
        """The rules for all accounts."""
        with self._looking() as connection:
            return rules(connection)

    def set_rules(self, new: AccountRules) -> None:
        """Set the rules.

        Raises:
            BadEntryError: one of them is out of its range.
        """
        with self._acting(Right.CONFIGURE) as connection:
            set_rules(connection, self.office, new)

    # Looking

    def card(self, number: str) -> AccountCard:
        """All about an account, masked.

        Raises:
            AccountNumberError, UnknownAccountError: there is none.
        """
        with self._looking() as connection:
            account_id = account_by_number(connection, number).account_id
            return showing.card(connection, self.office, account_id, opened_=False)

    def opened_card(self, number: str, why: str) -> AccountCard:
        """All about an account in clear; who opened it, and why, is kept.

        Raises:
            RightMissingError: the person may not see personal fields.
            BadEntryError: no reason.
        """
        with self._opening(number, why, "account") as (connection, account_id):
            return showing.card(connection, self.office, account_id, opened_=True)

    def entries(
        self, number: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Posted]:
        """Why the balance is what it is, purse by purse."""
        with self._looking() as connection:
            account_id = account_by_number(connection, number).account_id
            return entries_of(connection, account_id, since=since, until=until)

    def accounts(
        self, *, states: Sequence[str] = (), mode: str | None = None, after: int = 0
    ) -> list[AccountLine]:
        """A page of accounts, masked; the next one is behind the last one's id."""
        with self._looking() as connection:
            return showing.accounts_list(
                connection, self.office, states=states, mode=mode, after=after
            )

    def numbers(self, account_ids: Sequence[int]) -> dict[int, str]:
        """The numbers of accounts."""
        with self._looking() as connection:
            found = accounts_of(connection, account_ids)
        return {each: account.number for each, account in found.items()}

    def search(self, words: str) -> list[AccountLine]:
        """Accounts by number, meter, service point, phone, identity or full name; masked.

        Raises:
            BadEntryError: nothing to look for.
        """
        with self._looking() as connection:
            return showing.search(connection, self.office, words)

    @contextmanager
    def _acting(self, right: Right) -> Iterator[Connection]:
        self.office.require(right)
        with self.office.writing() as connection:
            yield connection

    @contextmanager
    def _account(self, right: Right, number: str) -> Iterator[tuple[Connection, int]]:
        with self._acting(right) as connection:
            yield connection, account_by_number(connection, number).account_id

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        self.office.require(Right.LOOK)
        with self.office.reading() as connection:
            yield connection

    @contextmanager
    def _opening(self, number: str, why: str, what: str) -> Iterator[tuple[Connection, int]]:
        """Personal fields are opened, and a line says by whom."""
        self.office.require(Right.PERSONAL)
        reason = require_text("The reason to open personal fields", why)
        with self.office.writing() as connection:
            found = account_by_number(connection, number)
            record(
                connection, self.office, "personal.open", found.number, detail=what, reason=reason
            )
            yield connection, found.account_id
