"""The bank desk: import a statement, look at what each booking may be for, then do it.

import → proposals → a person's review → settle: deposits arrive, vendors get credit, customers'
transfers are vended.  Nothing happens to a booking before a review, and each thing once: a vend
has the client ``bank`` and a message id made of the booking, so that a bulk vend that was killed
goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from storage import audit
from vending.cash import accounts
from vending.cash.accounts import moved
from vending.cash.bank.camt import read_camt
from vending.cash.bank.csv_file import load_mapping, read_csv
from vending.cash.bank.line import BadLine, Line, keyed
from vending.cash.bank.matching import DEPOSIT, METER, VENDOR
from vending.cash.bank.rows import (
    CLIENT,
    Entry,
    Imported,
    Review,
    earlier_import,
    find_entry,
    last_review,
    list_entries,
    store_import,
    waiting_reviews,
)
from vending.cash.bank.tables import bank_reviews
from vending.cash.cash_tables import deposit_slips
from vending.cash.faults import BankFileError, BankReviewError, VendorTerminalError
from vending.cash.top_ups import top_up_from_bank
from vending.cash.vendor_rows import require_vendor
from vending.errors import FaultFamily, VendingError
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.people.faults import ApprovalRequiredError, ClientMismatchError, SignInRequiredError
from vending.shop.books import Tender
from vending.shop.faults import MeterBusyError, PermissionDeniedError, RequestFormatError
from vending.shop.house import House
from vending.shop.meters import find_meter
from vending.shop.requests import Outcome, VendRequest, VendResult
from vending.shop.reversals import note_print
from vending.shop.tables import requests
from vending.shop.values import require_text

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
_NAMED_MAX: Final = 5
_PAGE: Final = 200
_OF_WHO_SETTLES: Final = (
    PermissionDeniedError,
    SignInRequiredError,
    ClientMismatchError,
    VendorTerminalError,
)
"""Faults that say nothing about a booking."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one accepted booking."""

    entry_id: int
    kind: str
    amount_minor: int
    meter: str | None
    outcome: str
    """``done``, ``failed`` (review it again), or ``unknown`` (settle again)."""
    receipt_no: int | None = None
    units: int = 0
    """Tenths of a unit, on the tokens."""
    change_minor: int = 0
    fault: str = ""
    """The code of the refusal."""
    tokens: tuple[str, ...] = ()
    """In entry order, to be sent to the customer."""


@dataclass(frozen=True, slots=True)
class BankDesk:
    """Bank statements (`Shop.bank`)."""

    house: House
    vend: Callable[[VendRequest], VendResult]

    # --- import ---------------------------------------------------------------------------

    def read(
        self, content: bytes, *, mapping: str | None = None, account: str = ""
    ) -> list[Line | BadLine]:
        """What a file holds, as it would be imported; stores nothing.

        Args:
            content: the file.
            mapping: of a CSV file (`csv_file.load_mapping`); None: it is CAMT.053.
            account: of which account a CSV file is, where it does not say it.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BankFileError, BankMappingError: it cannot be read at all.
        """
        self.house.require(Permission.SUPERVISE)
        _require_bytes(content)
        return list(self._lines(content, mapping, account))

    def import_file(
        self,
        content: bytes,
        *,
        file_name: str = "",
        mapping: str | None = None,
        account: str = "",
        operator: str = "",
    ) -> Imported:
        """Store a statement's bookings, each once, in one transaction.

        The same file again, and bookings that an earlier file has brought, add nothing.

        Args:
            content, mapping, account: as for `read`.
            file_name: for the record.
            operator: who imports.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BankFileError, BankMappingError: it cannot be read; nothing was stored.
        """
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        require_text("The file's name", file_name, length_max=255)
        _require_bytes(content)
        kind = "camt.053" if mapping is None else f"csv {load_mapping(mapping).name}"
        sha256 = hashlib.sha256(f"{kind}/{account}\n".encode() + content).hexdigest()
        with self.house.writing() as connection:
            earlier = earlier_import(connection, sha256)
            if earlier is not None:
                return earlier
            imported = store_import(
                connection,
                self._lines(content, mapping, account),
                sha256=sha256,
                file_name=file_name,
                kind=kind,
                currency=self.house.utility.currency.code,
                now=now,
                operator=who,
            )
            audit.record(
                connection,
                now,
                actor=who,
                action="bank.imported",
                subject=str(imported.import_id),
                detail=f"added={imported.added} known={imported.known} bad={len(imported.bad)}",
            )
            return imported

    # --- looking --------------------------------------------------------------------------

    def entry(self, entry_id: int) -> Entry:
        """A booking.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            UnknownBankEntryError: no such booking.
        """
        self.house.require(Permission.SUPERVISE)
        with self.house.reading() as connection:
            return find_entry(connection, entry_id)

    def entries(
        self, *, state: str | None = "new", after: int = 0, limit: int = _PAGE
    ) -> list[Entry]:
        """Bookings by number, behind the number ``after``.

        Args:
            state: ``new`` (came in, not reviewed), ``waiting``, ``done``, ``failed``,
                ``rejected``, or None for all.
            after: the number to begin behind.
            limit: how many at most.

        Raises:
            PermissionDeniedError: needs ``supervise``.
        """
        self.house.require(Permission.SUPERVISE)
        if state not in (None, "new", "waiting", "done", "failed", "rejected"):
            raise RequestFormatError(f"There are no bookings of state {state!r}.")
        with self.house.reading() as connection:
            return list_entries(connection, state=state, after=after, limit=limit)

    # --- review ---------------------------------------------------------------------------

    def accept(
        self,
        entry_id: int,
        *,
        meter: str | None = None,
        vendor_id: int | None = None,
        slip_id: int | None = None,
        note: str = "",
        operator: str = "",
    ) -> Review:
        """Say what a booking is for; what was accepted before and is not done yet is changed.

        Without a target the likeliest proposal is taken.

        Args:
            entry_id: which booking.
            meter: vend it to this meter; or
            vendor_id: it tops this vendor's credit up; or
            slip_id: it is this deposit.
            note: for the record.
            operator: who decides: a person.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BankReviewError: settled already, no target, several, or one that does not fit.
            UnknownBankEntryError, UnknownMeterError, UnknownVendorError, CheckDigitError: no
                such thing.
        """
        given = {"meter": meter, "vendor_id": vendor_id, "slip_id": slip_id}
        target = {name: value for name, value in given.items() if value is not None}
        if len(target) > 1:
            raise BankReviewError("A booking is for one thing: name one target.")
        return self._review(entry_id, target, note, operator, reject=False)

    def reject(self, entry_id: int, *, note: str, operator: str = "") -> Review:
        """Say that nothing is to be done with a booking; it can be accepted later.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            BankReviewError: it is settled already, or there is no note that says why.
        """
        if not require_text("The note", note, length_max=200).strip():
            raise BankReviewError("Say why: a rejected booking stays in bank.unallocated.")
        return self._review(entry_id, {}, note, operator, reject=True)

    # --- settle ---------------------------------------------------------------------------

    def settle(self, *, operator: str = "", limit: int | None = None) -> Iterator[Settled]:
        """Do what was accepted, one booking after the other, each in its own transactions.

        May be stopped or killed at any moment and run again: what was done is not done twice.
        A booking that is refused has failed, for this reason, and the next ones go on.
        Each receipt counts as shown from then on: it can be refunded, not reversed.

        Who accepted a booking does not settle it alone: another person does, or approves it
        (`Act.BULK_VEND`) for exactly ``{"bookings": {entry: attempt, ...}}``, all those that wait
        and that the actor accepted.  The approval is for one run.

        Args:
            operator: who runs it; stands on the receipts.
            limit: how many at most; None for all that wait.

        Raises:
            PermissionDeniedError: needs ``supervise``.
            ApprovalRequiredError: the actor accepted some of them, and nobody approved that;
                nothing was done.
            ShopSystemError: the installation is at fault; run it again.
        """
        self.house.require(Permission.SUPERVISE)
        who = self.house.who(operator)
        approved = self._approved_own(who)
        after, done = 0, 0
        while True:
            with self.house.reading() as connection:
                page = waiting_reviews(connection, (DEPOSIT, VENDOR, METER), after, _PAGE)
            for review, amount_minor in page:
                if limit is not None and done >= limit:
                    return
                after = review.entry_id
                if review.reviewed_by == who and approved.get(str(after)) != review.attempt:
                    continue  # accepted since
                yield self._settled(review, amount_minor, who)
                done += 1
            if len(page) < _PAGE:
                return

    def _approved_own(self, who: str) -> dict[str, int]:
        """What waits and was accepted by this person: booking and attempt.

        Raises:
            ApprovalRequiredError: somebody else must settle it, or approve it.
        """
        now = self.house.now()
        with self.house.writing() as connection:
            rows = connection.execute(
                select(bank_reviews.c.entry_id, bank_reviews.c.attempt)
                .where(bank_reviews.c.state == "waiting", bank_reviews.c.reviewed_by == who)
                .order_by(bank_reviews.c.entry_id)
            )
            own = {str(row.entry_id): int(row.attempt) for row in rows}
            if own:
                essence, actor = {"bookings": own}, self.house.current_actor()
                try:
                    use_approval(connection, Act.BULK_VEND, essence, actor, now, subject="bank")
                except ApprovalRequiredError as fault:
                    named = ", ".join(list(own)[:_NAMED_MAX])
                    raise ApprovalRequiredError(
                        f"{len(own)} waiting booking(s) were accepted by you ({named}...): have "
                        f"somebody else settle them. Or: {fault}"
                    ) from fault
            return own

    def waiting(self) -> int:
        """How many accepted bookings wait to be settled.

        Raises:
            PermissionDeniedError: needs ``supervise``.
        """
        self.house.require(Permission.SUPERVISE)
        with self.house.reading() as connection:
            return (
                connection.scalar(
                    select(func.count())
                    .select_from(bank_reviews)
                    .where(bank_reviews.c.state == "waiting")
                )
                or 0
            )

    # --- inside ---------------------------------------------------------------------------

    def _lines(self, content: bytes, mapping: str | None, account: str) -> Iterator[Line | BadLine]:
        if len(content) > FILE_BYTES_MAX:
            raise BankFileError("The file is larger than 256 MB: ask the bank for shorter spans.")
        require_text("The account", account, length_max=64)
        money = self.house.utility.currency
        if mapping is None:
            return keyed(read_camt(io.BytesIO(content), {money.code: money.minor_digits}))
        return keyed(
            read_csv(
                content,
                load_mapping(mapping),
                account=account,
                currency=money.code,
                digits=money.minor_digits,
            )
        )

    def _review(
        self, entry_id: int, target: dict[str, Any], note: str, operator: str, *, reject: bool
    ) -> Review:
        self.house.require(Permission.SUPERVISE)
        who, now = self.house.who(operator), self.house.now()
        require_text("The note", note, length_max=200)
        if not who.strip():
            raise BankReviewError("A review needs the person who decides.")
        with self.house.writing() as connection:
            entry = find_entry(connection, entry_id)
            before = last_review(connection, entry_id, lock=True)
            self._open_again(connection, before)
            attempt = 1 if before is None else before.attempt + 1
            row = {"kind": "rejected", "state": "rejected", "settled_at": now}
            if not reject:
                row = {**self._target(connection, entry, target), "state": "waiting"}
            if row["kind"] == METER:
                row["message_id"] = f"entry-{entry_id}-{attempt}"
            connection.execute(
                insert(bank_reviews),
                {
                    "entry_id": entry_id,
                    "attempt": attempt,
                    "note": note,
                    "reviewed_by": who,
                    "reviewed_at": now,
                    **row,
                },
            )
            audit.record(
                connection,
                now,
                actor=who,
                action="bank.rejected" if reject else "bank.accepted",
                subject=str(entry_id),
                detail=f"attempt={attempt} kind={row['kind']} {note}".strip(),
            )
            review = last_review(connection, entry_id)
            assert review is not None
            return review

    def _open_again(self, connection: Connection, before: Review | None) -> None:
        """Withdraw what waits; refuse what is done, or may be."""
        if before is None or before.state in ("failed", "rejected", "withdrawn"):
            return
        if before.state == "done":
            raise BankReviewError(f"Booking {before.entry_id} is settled already.")
        if before.kind == METER:
            asked = connection.scalar(
                select(func.count())
                .select_from(requests)
                .where(requests.c.client == CLIENT, requests.c.message_id == before.message_id)
            )
            if asked:
                raise BankReviewError(
                    f"Booking {before.entry_id} is being vended: settle it to the end first."
                )
        self._end(connection, before, {"state": "withdrawn"})

    def _target(
        self, connection: Connection, entry: Entry, target: dict[str, Any]
    ) -> dict[str, Any]:
        if entry.amount_minor < 0:
            raise BankReviewError(f"Booking {entry.entry_id} went out: nothing comes of it here.")
        if not target:
            if not entry.proposals:
                raise BankReviewError(
                    f"Nothing is proposed for booking {entry.entry_id}: name a meter, a vendor "
                    "or a deposit slip, or reject it."
                )
            first = entry.proposals[0]
            named = {
                "meter": first.meter,
                "vendor_id": first.vendor_id,
                "slip_id": first.slip_id,
            }
            target = {name: value for name, value in named.items() if value is not None}
        if "meter" in target:
            return {"kind": METER, "meter": find_meter(connection, target["meter"]).number}
        if "vendor_id" in target:
            require_vendor(connection, target["vendor_id"])
            return {"kind": VENDOR, **target}
        return {"kind": DEPOSIT, "slip_id": _free_slip(connection, entry, target["slip_id"])}

    def _settled(self, review: Review, amount_minor: int, who: str) -> Settled:
        try:
            return self._settle(review, amount_minor, who)
        except _OF_WHO_SETTLES:
            raise
        except MeterBusyError as fault:  # of this meter alone: settle it again later
            return _not_done(review, amount_minor, "unknown", fault)
        except VendingError as fault:
            if fault.family is FaultFamily.SYSTEM:
                raise
            with self.house.writing() as connection:
                current = last_review(connection, review.entry_id, lock=True)
                if current == review:
                    self._end(connection, review, {"state": "failed", "fault": fault.code})
            return _not_done(review, amount_minor, "failed", fault)

    def _settle(self, review: Review, amount_minor: int, who: str) -> Settled:
        if review.kind == METER:
            return self._vend(review, amount_minor, who)
        now = self.house.now()
        with self.house.writing() as connection:
            current = last_review(connection, review.entry_id, lock=True)
            if current == review:
                if review.kind == VENDOR:
                    assert review.vendor_id is not None
                    transaction_id = top_up_from_bank(
                        connection,
                        self.house.utility.currency.code,
                        review.vendor_id,
                        review.entry_id,
                        amount_minor,
                        now,
                        who,
                    )
                else:
                    transaction_id = self._post(connection, accounts.IN_TRANSIT, amount_minor)
                self._end(connection, review, {"state": "done", "transaction_id": transaction_id})
        return Settled(review.entry_id, review.kind, amount_minor, None, "done")

    def _vend(self, review: Review, amount_minor: int, who: str) -> Settled:
        assert review.meter is not None
        assert review.message_id is not None
        result = self.vend(
            VendRequest(
                CLIENT,
                review.message_id,
                review.meter,
                amount_minor,
                Tender.BANK,
                operator=who,
                # a person has looked at each booking: two equal ones are two payments
                confirmed_second=True,
            )
        )
        if result.outcome is Outcome.UNKNOWN:
            return Settled(review.entry_id, METER, amount_minor, review.meter, "unknown")
        with self.house.writing() as connection:
            current = last_review(connection, review.entry_id, lock=True)
            if current == review:
                self._end(connection, review, self._ending(connection, result, amount_minor))
            if result.receipt is not None:
                # its tokens are handed out now, to be sent: what is left is a refund
                note_print(connection, result.receipt.receipt_no, self.house.now(), who)
        if result.receipt is None:
            code = result.fault.code if result.fault is not None else ""
            return Settled(review.entry_id, METER, amount_minor, review.meter, "failed", fault=code)
        receipt = result.receipt
        return Settled(
            review.entry_id,
            METER,
            amount_minor,
            review.meter,
            "done",
            receipt_no=receipt.receipt_no,
            units=receipt.units,
            change_minor=receipt.payment.change_minor if receipt.payment is not None else 0,
            tokens=tuple(token.digits for token in receipt.tokens),
        )

    def _ending(
        self, connection: Connection, result: VendResult, amount_minor: int
    ) -> dict[str, Any]:
        if result.receipt is None:
            assert result.fault is not None
            return {"state": "failed", "fault": result.fault.code}
        return {
            "state": "done",
            "receipt_no": result.receipt.receipt_no,
            "transaction_id": self._post(connection, Tender.BANK.account, amount_minor),
        }

    def _post(self, connection: Connection, account: str, amount_minor: int) -> int:
        """What was unallocated has its purpose now."""
        move = moved(accounts.UNALLOCATED, account, amount_minor, "bank booking settled")
        return accounts.post(
            connection, "bank.settled", self.house.now(), self.house.utility.currency.code, [move]
        )

    def _end(self, connection: Connection, review: Review, values: dict[str, Any]) -> None:
        connection.execute(
            update(bank_reviews)
            .where(
                bank_reviews.c.entry_id == review.entry_id,
                bank_reviews.c.attempt == review.attempt,
            )
            .values(settled_at=self.house.now(), **values)
        )


def _require_bytes(content: object) -> None:
    if not isinstance(content, bytes):
        raise RequestFormatError(f"A file is bytes, not {type(content).__name__}.")


def _not_done(review: Review, amount_minor: int, outcome: str, fault: VendingError) -> Settled:
    return Settled(
        review.entry_id, review.kind, amount_minor, review.meter, outcome, fault=fault.code
    )


def _free_slip(connection: Connection, entry: Entry, slip_id: int) -> int:
    row = connection.execute(
        select(deposit_slips.c.amount_minor, deposit_slips.c.bank_account).where(
            deposit_slips.c.slip_id == slip_id
        )
    ).one_or_none()
    if row is None:
        raise BankReviewError(f"There is no deposit slip {slip_id}.")
    if (row.amount_minor, row.bank_account) != (entry.amount_minor, entry.account):
        raise BankReviewError(
            f"Slip {slip_id} is over another amount, or for another account, than booking "
            f"{entry.entry_id}: the bank must put that right, or it is another slip."
        )
    taken = connection.scalar(
        select(bank_reviews.c.entry_id).where(
            bank_reviews.c.slip_id == slip_id, bank_reviews.c.state.in_(["waiting", "done"])
        )
    )
    if taken is not None:
        raise BankReviewError(f"Slip {slip_id} has arrived already, with booking {taken}.")
    return slip_id
