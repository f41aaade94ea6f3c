"""The voucher desk: make, make valid, block, redeem."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from storage import audit, ledger
from storage.ledger import Transfer
from storage.prepared import settle
from vending.people.actor import Permission
from vending.people.acts import Act
from vending.people.approvals import use_approval
from vending.receipts.receipt import Receipt
from vending.shop.answering import answer
from vending.shop.faults import OutcomeUnknownError, RequestFormatError, UnknownMessageError
from vending.shop.holds import require_free, require_none_of
from vending.shop.house import House
from vending.shop.intents import Outstanding
from vending.shop.meters import find_meter
from vending.shop.once import Question, stored_answer
from vending.shop.requests import Outcome, VendResult
from vending.shop.sale import sell_credit
from vending.shop.settings import require_line
from vending.shop.values import require_moment, require_text, require_whole
from vending.sts import MeterPan
from vending.vouchers.batches import (
    COUNT_MAX,
    LAPSED,
    OUTSTANDING,
    RECEIVABLE,
    BatchState,
    VoucherBatch,
    add_batch,
    block_voucher,
    find_batch,
    house_salt,
    list_batches,
    set_state,
)
from vending.vouchers.faults import VoucherBatchStateError
from vending.vouchers.pins import Pin
from vending.vouchers.redeem import (
    RedeemRequest,
    Redemption,
    Voucher,
    held_as,
    mark_paid,
    redemption_of,
    valid_voucher,
)
from vending.vouchers.tries import begin_try, end_try

_FACE_MAX: Final = 10**12
_LIST_MAX: Final = 100
_PROOFS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class MadeVouchers:
    """A new batch with its secrets: the only moment at which anybody can read them."""

    batch: VoucherBatch
    pins: tuple[Pin, ...]
    """In the order of the serial numbers, from 1."""


@dataclass(frozen=True, slots=True)
class VoucherDesk:
    """Vouchers of the shop (specs/utility.md, requirement 6)."""

    house: House

    def make(
        self,
        face_minor: int,
        count: int,
        expires_at: datetime,
        *,
        operator: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> MadeVouchers:
        """Make a batch; it is worth nothing until it is activated.

        The secrets are in the answer and nowhere else: print them, then forget them.  A batch
        whose print was lost is blocked and made anew.

        Args:
            face_minor: what each pays, in minor units.
            count: how many, at most 100,000; about a hundred a second are made.
            expires_at: an aware time; they pay until then.
            operator: who makes them.
            progress: called with the number that is ready, now and then.

        Raises:
            PermissionDeniedError: the actor may not make vouchers.
            RequestFormatError: a value of the wrong form, or an end that has passed.
        """
        self.house.require(Permission.VOUCHERS)
        now, who = self.house.now(), self.house.who(operator)
        utility = self.house.utility
        if (
            not utility.minimum_minor
            <= require_whole("The face value in minor units", face_minor)
            <= min(utility.maximum_minor, _FACE_MAX)
        ):
            raise RequestFormatError(
                "A voucher is worth no less than the smallest sale and no more than the largest: "
                f"{utility.currency.text(utility.minimum_minor)} to "
                f"{utility.currency.text(utility.maximum_minor)}."
            )
        _require_within("The number of vouchers", count, COUNT_MAX)
        if require_moment("The end of the vouchers", expires_at) <= now:
            raise RequestFormatError("Vouchers must expire in the future.")
        with self.house.reading() as connection:
            salt = house_salt(connection)
        pins = _different_pins(count)
        proofs = list(_proofs(pins, salt, progress))
        with self.house.writing() as connection:
            batch_id = add_batch(
                connection,
                face_minor=face_minor,
                proofs=proofs,
                count=count,
                expires_at=expires_at,
                made_at=now,
                made_by=who,
            )
            detail = f"{count} of {face_minor}"
            _record(connection, now, who, "vouchers.made", batch_id, detail)
            return MadeVouchers(find_batch(connection, batch_id), pins)

    def activate(self, batch_id: int, reseller: str, *, operator: str = "") -> VoucherBatch:
        """Make a batch valid; from then on who sells it owes its worth.

        It takes a second person's approval (`Act.VOUCHER_BATCH`) for exactly
        ``activation(batch_id, reseller)``.

        Raises:
            PermissionDeniedError, ApprovalRequiredError: the actor may not, or not alone.
            UnknownVoucherBatchError: there is none of this number.
            VoucherBatchStateError: it is valid already, or blocked, or has expired.
        """
        self.house.require(Permission.VOUCHERS)
        now, who = self.house.now(), self.house.who(operator)
        if not require_text("The reseller", reseller).strip():
            raise RequestFormatError("Say who sells the vouchers, and owes what they are worth.")
        require_line("The reseller", reseller)
        with self.house.writing() as connection:
            batch = _found(connection, batch_id)
            if batch.state is not BatchState.MADE or now >= batch.expires_at:
                raise VoucherBatchStateError(
                    f"Batch {batch_id} is {batch.state.value}, until {batch.expires_at:%Y-%m-%d}: "
                    "only a new one that has not expired can be made valid."
                )
            use_approval(
                connection,
                Act.VOUCHER_BATCH,
                activation(batch_id, reseller),
                self.house.current_actor(),
                now,
                subject=str(batch_id),
            )
            worth = batch.left * batch.face_minor
            if not worth:
                raise VoucherBatchStateError(f"All vouchers of batch {batch_id} are blocked.")
            transaction_id = self._post(
                connection, now, RECEIVABLE, OUTSTANDING, worth, "vouchers made valid"
            )
            set_state(
                connection,
                batch_id,
                BatchState.ACTIVE,
                reseller=reseller,
                transaction_id=transaction_id,
            )
            _record(connection, now, who, "vouchers.activated", batch_id, reseller)
            return find_batch(connection, batch_id)

    def block(self, batch_id: int, reason: str, *, operator: str = "") -> VoucherBatch:
        """Block a batch for ever: a stolen box, a lost print.  What has paid stays paid.

        Raises:
            PermissionDeniedError: the actor may not.
            UnknownVoucherBatchError: there is none of this number.
            VoucherBatchStateError: it is blocked already.
            MeterBusyError: a request that pays with a voucher of it is not settled.
        """
        who, now = self._blocker(reason, operator)
        with self.house.writing() as connection:
            batch = _found(connection, batch_id)
            if batch.state is BatchState.BLOCKED:
                raise VoucherBatchStateError(f"Batch {batch_id} is blocked already.")
            require_none_of(connection, held_as(batch_id, 0).removesuffix("0"))
            if batch.state is BatchState.ACTIVE and batch.left:
                expired = now >= batch.expires_at
                self._post(
                    connection,
                    now,
                    OUTSTANDING,
                    LAPSED if expired else RECEIVABLE,
                    batch.left * batch.face_minor,
                    "vouchers lapsed" if expired else "vouchers blocked",
                )
            set_state(connection, batch_id, BatchState.BLOCKED)
            _record(connection, now, who, "vouchers.blocked", batch_id, reason)
            return find_batch(connection, batch_id)

    def block_one(
        self, batch_id: int, serial: int, reason: str, *, operator: str = ""
    ) -> VoucherBatch:
        """Block one voucher, by the serial number that is printed on it.

        Raises:
            PermissionDeniedError: the actor may not.
            UnknownVoucherBatchError: there is no such batch.
            VoucherBatchStateError: there is no such voucher, it has paid, or is blocked.
        """
        who, now = self._blocker(reason, operator)
        require_whole("A serial number", serial)
        with self.house.writing() as connection:
            batch = _found(connection, batch_id)
            require_free(connection, held_as(batch_id, serial))
            if batch.state is BatchState.BLOCKED or not block_voucher(
                connection, batch_id, serial, reason
            ):
                raise VoucherBatchStateError(
                    f"Voucher {batch_id}-{serial} cannot be blocked: it does not exist, has paid, "
                    "or is blocked already."
                )
            if batch.state is BatchState.ACTIVE:
                self._post(
                    connection, now, OUTSTANDING, RECEIVABLE, batch.face_minor, "voucher blocked"
                )
            _record(connection, now, who, "voucher.blocked", f"{batch_id}-{serial}", reason)
            return find_batch(connection, batch_id)

    def batch(self, batch_id: int) -> VoucherBatch:
        """A batch by its number.

        Raises:
            UnknownVoucherBatchError: there is none.
        """
        self.house.require(Permission.VOUCHERS)
        require_whole("A batch's number", batch_id)
        with self.house.reading() as connection:
            return find_batch(connection, batch_id)

    def batches(self, *, limit: int = _LIST_MAX) -> list[VoucherBatch]:
        """The latest batches, the newest first."""
        self.house.require(Permission.VOUCHERS)
        _require_within("The limit of a list", limit, COUNT_MAX)
        with self.house.reading() as connection:
            return list_batches(connection, limit)

    def redeem(self, request: RedeemRequest) -> VendResult:
        """Sell for a voucher's face value; repeatable as `Shop.vend` is.

        Wrong PINs are counted, for the meter, for the client and for the house, and beyond a
        limit every try is refused for an hour.  So is a try for a meter that is not registered.
        A request that was answered before is no new try.

        Raises:
            PermissionDeniedError: the actor may not sell.
            TooManyVoucherTriesError: nothing was looked at and nothing stored.
            QuestionError, MessageConflictError, ShopSystemError: as for `Shop.vend`.
        """
        self.house.require(Permission.SELL)
        request = self.house.signed(request)
        now = self.house.now()
        with self.house.reading() as connection:
            proof = request.pin.proof(house_salt(connection))
            begun = _begun(connection, request)
        redemption = request.redemption()
        question = _question(redemption, proof)
        if begun is Outcome.UNKNOWN:  # the PIN was right, or there would be no order
            return self._go_on(redemption, proof, question, now)
        if begun is not None:
            return answer(self.house, question, now, _never)
        meter = MeterPan.from_drn(request.meter).drn
        with self.house.writing() as connection:
            try_id = begin_try(connection, request.client, meter, now)

        found = False

        def work(connection: Connection, at: datetime = now) -> Receipt:
            nonlocal found
            find_meter(connection, redemption.meter)  # who names none learns of no voucher
            voucher = valid_voucher(connection, proof, at, lock=True)
            found = True
            return self._pay(connection, redemption, voucher, at)

        try:
            return answer(self.house, question, now, work, work_at=work)
        finally:
            if found:  # nobody was guessing, whatever became of the sale
                with self.house.writing() as connection:
                    end_try(connection, try_id, right=True)

    def finish(self, unknown: Outstanding) -> VendResult:
        """Go on with a redemption whose outcome is unknown; its PIN is not needed any more.

        Raises:
            ShopSystemError: as for `redeem`.
        """
        redemption, proof = redemption_of(unknown)
        return self._go_on(redemption, proof, _question(redemption, proof), self.house.now())

    def _go_on(
        self, redemption: Redemption, proof: bytes, question: Question, now: datetime
    ) -> VendResult:
        def work(connection: Connection, at: datetime = now) -> Receipt:
            find_meter(connection, redemption.meter)  # as `redeem` has begun it
            voucher = valid_voucher(connection, proof, at, lock=True)
            return self._pay(connection, redemption, voucher, at)

        return answer(self.house, question, now, work, work_at=work)

    def _pay(
        self,
        connection: Connection,
        request: Redemption,
        voucher: Voucher,
        now: datetime,
    ) -> Receipt:
        receipt = sell_credit(
            connection,
            request.sale(voucher.face_minor),
            utility=self.house.utility,
            security=self.house.security,
            now=now,
            rnd=self.house.rnd(),
        )
        mark_paid(connection, voucher, receipt.receipt_no, now)
        return receipt

    def _blocker(self, reason: str, operator: str) -> tuple[str, datetime]:
        self.house.require(Permission.VOUCHERS)
        if not require_line("The reason", reason):
            raise RequestFormatError("Say why vouchers are blocked.")
        return self.house.who(operator), self.house.now()

    def _post(
        self, connection: Connection, now: datetime, debit: str, credit: str, amount: int, why: str
    ) -> int:
        return ledger.post(
            connection,
            kind="vouchers",
            posted_at=now,
            currency=self.house.utility.currency.code,
            moves=[Transfer(debit, credit, amount, why)],
        )


def activation(batch_id: int, reseller: str) -> dict[str, Any]:
    """What a second person approves."""
    return {"voucher_batch": batch_id, "reseller": reseller}


def _found(connection: Connection, batch_id: int) -> VoucherBatch:
    require_whole("A batch's number", batch_id)
    return find_batch(connection, batch_id, lock=True)


def _begun(connection: Connection, request: RedeemRequest) -> Outcome | None:
    """How a request stands: None when it is new, unknown when its token was ordered."""
    try:
        return stored_answer(connection, request.client, request.message_id).outcome
    except UnknownMessageError:
        return None
    except OutcomeUnknownError:
        return Outcome.UNKNOWN


def _question(redemption: Redemption, proof: bytes) -> Question:
    return Question(
        redemption.client,
        redemption.message_id,
        "redeem",
        redemption.essence(proof),
        redemption.operator,
        redemption.terminal,
    )


def _never(connection: Connection) -> Receipt:
    settle(connection)  # finds the answer that is there
    raise AssertionError("an answered request is not worked on again")


def _different_pins(count: int) -> tuple[Pin, ...]:
    pins: dict[str, Pin] = {}
    while len(pins) < count:
        pin = Pin.fresh()
        pins[pin.digits()] = pin
    return tuple(pins.values())


def _proofs(
    pins: tuple[Pin, ...], salt: bytes, progress: Callable[[int], None] | None
) -> Iterator[bytes]:
    """In order; scrypt lets go of the interpreter's lock, so that threads share the work."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pins), _PROOFS_AT_ONCE):
            some = pins[start : start + _PROOFS_AT_ONCE]
            yield from pool.map(lambda pin: pin.proof(salt), some)
            if progress is not None:
                progress(start + len(some))


def _require_within(what: str, number: int, maximum: int) -> None:
    if not 0 < require_whole(what, number) <= maximum:
        raise RequestFormatError(f"{what} must lie between 1 and {maximum:,}.")


def _record(
    connection: Connection, now: datetime, who: str, action: str, subject: object, detail: str
) -> None:
    audit.record(connection, now, actor=who, action=action, subject=str(subject), detail=detail)
