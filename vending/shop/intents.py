"""Requests whose tokens are made by a module outside of this process.

Such a module can have made a token when this process dies, so that one transaction is not
enough.  An intent is stored first:

=====  ==========================================================================
step   what happens
=====  ==========================================================================
T1     the request's id, what was agreed (price, units, deductions, meter and key, TID, vendor,
       shift), what is ordered, the vendor's credit set aside, the meter held: committed
ask    the module makes the tokens, under a message id that follows from the request's
T2     tokens, receipt, ledger, the credit spent, the answer, as agreed: committed
=====  ==========================================================================

A process that dies before T1 has done nothing; after it the intent is there, and whoever asks
again under the same id, or `recover`, goes on with it: the module gives under the same id what
it made, or makes it now.  T2 stores what was agreed at T1, whatever has changed since
(`vending.shop.agreed`), and nothing can be in its way (`vending.shop.holds`).  Only when the
module says that it has not made the token and will not, the credit goes back and the request is
answered as failed.  When the module does not answer, or when T2 cannot be done all the same, the
outcome is unknown and the intent stays open.

T2 locks the intent: of two processes that go on with it, the second finds the answer of the
first.  A meter has at most one open intent, so that its TIDs stay in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from storage import audit
from storage.engine import attempt, writing
from storage.prepared import Prepared
from vending.cash.credit import post_reserved, reserve, spend_now, void_reserved
from vending.errors import FaultFamily, VendingError
from vending.receipts.receipt import Receipt
from vending.security.faults import ModuleRefusedError
from vending.security.port import SecurityModule
from vending.security.remote import (
    CreditOrder,
    RemoteSecurityModule,
    TokenOrder,
    order_from_json,
)
from vending.shop.faults import (
    GivenUpError,
    MessageConflictError,
    OrderChangedError,
    OutcomeUnknownError,
    QuestionError,
    SupplyGroupNotAuthorisedError,
)
from vending.shop.holds import let_go, require_free, take_holds
from vending.shop.making import ByOrder, Making, Ordered, at_work
from vending.shop.once import (
    Question,
    begin,
    done,
    failed,
    refuse_once,
    repeated,
    store,
    stored_answer,
)
from vending.shop.requests import Outcome, VendResult, canonical_json
from vending.shop.tables import intents, meters, requests

Work = Callable[[Connection, datetime], Receipt]
"""What a request takes, at a moment."""

_THIS: Final = (intents.c.client == bindparam("asking")) & (
    intents.c.message_id == bindparam("id_asked")
)
_LOCKED: Final = Prepared(select(intents).where(_THIS).with_for_update())
_NEW: Final = Prepared(
    insert(intents),
    [
        "client",
        "message_id",
        "meter_id",
        "base_year",
        "tid",
        "vendor_id",
        "bucket",
        "reserved_minor",
        "essence",
        "orders",
        "agreed",
        "state",
        "made_at",
    ],
)
_SETTLE: Final = Prepared(
    update(intents).where(_THIS).values(state=bindparam("to"), settled_at=bindparam("at"))
)
_ORDER_MORE: Final = Prepared(
    update(intents)
    .where(_THIS)
    .values(orders=bindparam("all"), base_year=bindparam("of_base"), tid=bindparam("with_tid"))
)
_METER: Final = Prepared(
    select(meters.c.meter_id, meters.c.service_point)
    .where(meters.c.number == bindparam("face"))
    .with_for_update(key_share=True)
)
_LOCK_METER: Final = Prepared(
    select(meters.c.meter_id)
    .where(meters.c.meter_id == bindparam("of_meter"))
    .with_for_update(key_share=True)
)
_OPEN: Final = Prepared(
    select(
        intents.c.client,
        intents.c.message_id,
        requests.c.operation,
        requests.c.operator,
        requests.c.terminal,
        intents.c.essence,
        intents.c.made_at,
    )
    .join(
        requests,
        (requests.c.client == intents.c.client) & (requests.c.message_id == intents.c.message_id),
    )
    .where(intents.c.state == "open")
    .order_by(intents.c.made_at)
)


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A request whose outcome is unknown: ask again with its message id."""

    client: str
    message_id: str
    operation: str
    operator: str
    terminal: str
    essence: dict[str, Any]
    """What was asked."""
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class _Intent:
    """An open intent as it was read."""

    orders: list[dict[str, Any]]
    made_at: datetime


def outstanding(connection: Connection) -> list[Outstanding]:
    """All requests whose outcome is unknown, the oldest first."""
    return [
        Outstanding(
            row.client,
            row.message_id,
            row.operation,
            row.operator,
            row.terminal,
            json.loads(bytes(row.essence)),
            row.made_at,
        )
        for row in _OPEN.rows(connection)
    ]


def give_up(
    engine: Engine,
    security: SecurityModule,
    client: str,
    message_id: str,
    now: datetime,
    operator: str,
) -> VendResult:
    """Answer a request whose outcome is unknown as failed; leaves an audit line.

    What was set aside goes back, and its TID is not used again.  The module is asked first: what
    it has made is not given up.  When it does not answer, that is the decision of whoever gives
    up; a token that it may have made is then never given out.  A request that was answered
    meanwhile keeps its answer.

    Raises:
        UnknownMessageError: nothing was asked under this id.
        OutcomeUnknownError: the module has made the token: go on with the request.
    """
    fault = GivenUpError(
        f"Message id {message_id} was given up, because its token could not be had: nothing was "
        "sold. Ask again under another message id."
    )
    with writing(engine) as connection:
        question = Question(client, message_id, "", {})
        row = _locked(connection, question)
        if row is None or row.state != "open":
            return stored_answer(connection, client, message_id)
        _require_not_made(security, question, json.loads(bytes(row.orders)))
        response = _voided(connection, question, row, fault, now)
        audit.record(
            connection,
            now,
            actor=operator,
            action="intent.given_up",
            subject=message_id,
            detail=f"client={client}",
        )
    return VendResult.stored(client, message_id, response, replayed=False)


def answer_by_order(
    engine: Engine, remote: RemoteSecurityModule, question: Question, now: datetime, work: Work
) -> VendResult:
    """Do a request's work with a module outside of this process, or go on with it.

    Raises:
        OutcomeUnknownError: the module does not answer; ask again with the same message id.
        MeterBusyError: an earlier request for the meter is not settled.
        MessageConflictError, QuestionError, StorageError: as `vending.shop.once.answer_once`.
        VendingError: a protocol or system fault; nothing was stored.
    """
    try:
        with writing(engine) as connection:
            if begin(connection, question, now):
                result = _first(connection, question, now, work)
            else:
                result = _again(connection, question)
    except VendingError as fault:
        if not _is_answer(fault):
            raise
        return refuse_once(engine, question, now, fault)
    while isinstance(result, _Intent):
        result = _go_on(engine, remote, question, result, work)
    return result


def _first(
    connection: Connection, question: Question, now: datetime, work: Work
) -> VendResult | _Intent:
    """T1.  What the work has done before its order stays done: locks, approvals that it used."""
    making = Making()
    try:
        with at_work(making):
            receipt = work(connection, now)
    except Ordered as ordered:
        orders = [ordered.order.to_json()]
        _store_intent(connection, question, ordered.order, making, now)
        return _Intent(orders, now)
    _post_credit(connection, making, None)
    return _finished(connection, question, receipt)


def _again(connection: Connection, question: Question) -> VendResult | _Intent:
    """The id is known: its answer, or the intent to go on with."""
    try:
        return repeated(connection, question)
    except OutcomeUnknownError:
        row = _locked(connection, question)
        if row is None:
            raise
        return _Intent(json.loads(bytes(row.orders)), row.made_at)


def _store_intent(
    connection: Connection, question: Question, order: TokenOrder, making: Making, now: datetime
) -> None:
    key = order.key if isinstance(order, CreditOrder) else order.old
    meter = _METER.first(connection, {"face": key.meter_pan.drn})
    for what in _places_of(meter):
        require_free(connection, what)
    vendor_id, amount_minor = making.spent or (None, 0)
    bucket = None
    if vendor_id is not None and amount_minor:
        bucket = reserve(connection, vendor_id, amount_minor)
    base_year, tid = _stamp(order)
    _NEW.run(
        connection,
        {
            "client": question.client,
            "message_id": question.message_id,
            "meter_id": meter.meter_id,
            "base_year": base_year,
            "tid": tid,
            "vendor_id": vendor_id,
            "bucket": bucket,
            "reserved_minor": amount_minor if bucket is not None else 0,
            "essence": canonical_json(question.essence),
            "orders": canonical_json([order.to_json()]),
            "agreed": canonical_json(making.kept),
            "state": "open",
            "made_at": now,
        },
    )
    take_holds(
        connection,
        question.client,
        question.message_id,
        [*_places_of(meter), *making.holds],
    )


def _places_of(meter: Any) -> list[str]:
    """The holds of a meter and its service point."""
    point = [f"point {meter.service_point}"] if meter.service_point else []
    return [f"meter {meter.meter_id}", *point]


def _go_on(
    engine: Engine,
    remote: RemoteSecurityModule,
    question: Question,
    intent: _Intent,
    work: Work,
) -> VendResult | _Intent:
    """Ask the module, then T2."""
    try:
        made = [
            (order, _made(remote, question, place, order))
            for place, order in enumerate(intent.orders, 1)
        ]
    except (ModuleRefusedError, SupplyGroupNotAuthorisedError) as fault:
        return _void(engine, question, intent, fault)
    try:
        with writing(engine) as connection:
            row = _locked(connection, question)
            if row is None or row.state != "open":
                return repeated(connection, question)
            if len(json.loads(bytes(row.orders))) != len(made):  # another process went on with it
                return _Intent(json.loads(bytes(row.orders)), row.made_at)
            _LOCK_METER.run(connection, {"of_meter": row.meter_id})
            making = Making(
                made,
                kept=[] if row.agreed is None else json.loads(bytes(row.agreed)),
                ordered_tid=row.tid,
                reserved=(row.vendor_id, row.reserved_minor) if row.bucket is not None else None,
            )
            try:
                with attempt(connection), at_work(making):
                    receipt = work(connection, row.made_at)
            except Ordered as ordered:
                return _order_more(connection, question, row, ordered.order)
            _post_credit(connection, making, row)
            result = _finished(connection, question, receipt)
            _settle(connection, question, "done", row.made_at)
            return result
    except VendingError as fault:
        if fault.family is FaultFamily.SYSTEM or isinstance(fault, MessageConflictError):
            raise
        raise OutcomeUnknownError(
            f"The token of message id {question.message_id} is made and could not be stored "
            f"({fault}). It is kept: call whoever looks after this shop, then ask again."
        ) from fault


def _post_credit(connection: Connection, making: Making, row: Any) -> None:
    """Take from the vendor's credit what the work spent, and nothing else.

    Nothing was set aside when the work ordered no token.

    Raises:
        OrderChangedError: it was set aside for another vendor, or for one that pays otherwise.
        VendorCreditExhaustedError: nothing was set aside, and there is not so much.
    """
    if row is None or row.bucket is None:
        if making.spent is not None:
            spend_now(connection, *making.spent)
        return
    if making.spent != (row.vendor_id, row.reserved_minor):
        raise OrderChangedError(
            "Credit was set aside for another vendor than the one who sells: nothing was stored."
        )
    post_reserved(connection, row.vendor_id, row.bucket, row.reserved_minor)


def _require_not_made(
    security: SecurityModule, question: Question, orders: list[dict[str, Any]]
) -> None:
    """Refuse to give up what the module has made; what it does not say is not known."""
    module = getattr(security, "module", security)  # opened when it is first needed
    if not isinstance(module, ByOrder):
        return
    try:
        made = [
            module.remote.fetch(_order_id(question, place)) for place, _ in enumerate(orders, 1)
        ]
    except VendingError:
        return
    if None not in made:
        raise OutcomeUnknownError(
            f"The security module has made the token of message id {question.message_id}: it is "
            "not given up. Ask again with this message id (meterhouse vend recover)."
        )


def _order_id(question: Question, place: int) -> str:
    """The module's message id of a request's order."""
    return json.dumps([question.client, question.message_id, place], ensure_ascii=False)


def _made(
    remote: RemoteSecurityModule, question: Question, place: int, order: dict[str, Any]
) -> tuple[str, ...]:
    """What the module makes, or made, for an order."""
    message_id = _order_id(question, place)
    try:
        tokens = remote.fetch(message_id)
        return remote.submit(message_id, order_from_json(order)) if tokens is None else tokens
    except (ModuleRefusedError, SupplyGroupNotAuthorisedError):
        raise
    except VendingError as fault:
        if fault.family is FaultFamily.SYSTEM:
            raise OutcomeUnknownError(
                f"The security module does not answer ({fault}): ask again with message id "
                f"{question.message_id}."
            ) from fault
        raise


def _order_more(connection: Connection, question: Question, row: Any, order: TokenOrder) -> _Intent:
    """The work needs another token besides."""
    orders = [*json.loads(bytes(row.orders)), order.to_json()]
    base_year, tid = _stamp(order)
    _ORDER_MORE.run(
        connection,
        {
            "asking": question.client,
            "id_asked": question.message_id,
            "all": canonical_json(orders),
            "of_base": row.base_year if tid is None else base_year,
            "with_tid": row.tid if tid is None else tid,
        },
    )
    return _Intent(orders, row.made_at)


def _void(engine: Engine, question: Question, intent: _Intent, fault: VendingError) -> VendResult:
    """The sale is not made: the credit goes back, the refusal is the answer."""
    with writing(engine) as connection:
        row = _locked(connection, question)
        if row is None or row.state != "open":
            return repeated(connection, question)
        response = _voided(connection, question, row, fault, intent.made_at)
    return VendResult.stored(question.client, question.message_id, response, replayed=False)


def _voided(
    connection: Connection, question: Question, row: Any, fault: VendingError, at: datetime
) -> bytes:
    if row.bucket is not None:
        void_reserved(connection, row.vendor_id, row.bucket, row.reserved_minor)
    response = failed(question, fault)
    store(connection, question, Outcome.FAILED, response)
    _settle(connection, question, "void", at)
    return response


def _finished(connection: Connection, question: Question, receipt: Receipt) -> VendResult:
    response = done(question, receipt)
    store(connection, question, Outcome.DONE, response)
    return VendResult(
        Outcome.DONE, question.client, question.message_id, response, False, receipt, None
    )


def _locked(connection: Connection, question: Question) -> Any:
    return _LOCKED.first(connection, {"asking": question.client, "id_asked": question.message_id})


def _settle(connection: Connection, question: Question, state: str, at: datetime) -> None:
    _SETTLE.run(
        connection,
        {"asking": question.client, "id_asked": question.message_id, "to": state, "at": at},
    )
    let_go(connection, question.client, question.message_id)


def _stamp(order: TokenOrder) -> tuple[int | None, int | None]:
    """Base year and TID of what is ordered; nothing when it carries none."""
    if not isinstance(order, CreditOrder):
        return None, None
    tid: int | None = getattr(order.content, "tid", None)
    return (None, None) if tid is None else (int(order.key.base_date), tid)


def _is_answer(fault: VendingError) -> bool:
    return fault.family is FaultFamily.BUSINESS and not isinstance(fault, QuestionError)
