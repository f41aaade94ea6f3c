"""How every request is answered: once, with its outcome, and with one event in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from vending.receipts.receipt import Receipt, ReceiptKind
from vending.shop.faults import NotByOrderError, OutcomeUnknownError, storage_faults
from vending.shop.house import House
from vending.shop.intents import Work, answer_by_order
from vending.shop.making import ByOrder
from vending.shop.once import Question, answer_once
from vending.shop.requests import Outcome, VendResult
from vending.shop.reversals import undone_by

_UNDONE: Final = (ReceiptKind.CREDIT, ReceiptKind.ACCOUNT_PAYMENT)
log = structlog.get_logger("vending.shop")


def answer(
    house: House,
    question: Question,
    now: datetime,
    work: Callable[[Connection], Receipt],
    *,
    work_at: Work | None = None,
) -> VendResult:
    """Do the work of a request in one write transaction, or repeat its answer.

    With a security module outside of this process it takes two (`vending.shop.intents`), and the
    second may come later: ``work_at`` does the work as of the moment at which it was asked for.

    Raises:
        ClientMismatchError: the actor's API key was made for another client.
        MessageConflictError: the id stands for another request.
        QuestionError: somebody must be asked first; nothing was stored.
        ShopSystemError: the installation is at fault; nothing was done, asking again is safe.
    """
    house.require_client(question.client)
    work, work_at = _in_time(house, now, work, work_at)
    try:
        with storage_faults():
            result = _answered(house, question, now, work, work_at)
    except OutcomeUnknownError as fault:
        result = VendResult.unknown(question.client, question.message_id, fault)
    report(question.operation, result)
    if result.replayed:
        with house.reading() as connection:
            return told_of_reversal(connection, result)
    return result


def _in_time(
    house: House, now: datetime, work: Callable[[Connection], Receipt], work_at: Work | None
) -> tuple[Callable[[Connection], Receipt], Work | None]:
    """The same work, by a clock that is not far ahead; what was answered before needs none."""

    def timely(connection: Connection) -> Receipt:
        house.watch.require(connection, now)
        return work(connection)

    if work_at is None:
        return timely, None
    at_its_time = work_at

    def timely_at(connection: Connection, at: datetime) -> Receipt:
        house.watch.require(connection, at)  # when it was asked for: what is made is given out
        return at_its_time(connection, at)

    return timely, timely_at


def _answered(
    house: House,
    question: Question,
    now: datetime,
    work: Callable[[Connection], Receipt],
    work_at: Work | None,
) -> VendResult:
    """In one transaction; in two when the work orders a token from outside of this process, or
    has ordered it before."""
    ordering = house.security if isinstance(house.security, ByOrder) else None
    if ordering is None:
        try:
            return answer_once(house.engine, question, now, work)
        except (NotByOrderError, OutcomeUnknownError):
            module = getattr(house.security, "module", None)  # opened when it is first needed
            if not isinstance(module, ByOrder):
                raise
            ordering = module
    at = work_at or (lambda connection, _: work(connection))
    return answer_by_order(house.engine, ordering.remote, question, now, at)


def told_of_reversal(connection: Connection, result: VendResult) -> VendResult:
    """An answer that was given before, with the reversal that undid it since, if any."""
    if result.receipt is None or result.receipt.kind not in _UNDONE:
        return result
    reversal = undone_by(connection, result.receipt.receipt_no, ReceiptKind.REVERSAL)
    return result if reversal is None else replace(result, reversed_by=reversal)


def report(operation: str, result: VendResult) -> None:
    """One event for each answer: ids and quantities, never a token, a key or a name."""
    told: dict[str, object] = {"client": result.client, "message_id": result.message_id}
    if result.receipt is not None:
        receipt = result.receipt
        told |= {
            "receipt_no": receipt.receipt_no,
            "meter": receipt.meter.number,
            "units": receipt.units,
            "test": list(receipt.test_marks),
        }
    if result.fault is not None:
        told["code"] = result.fault.code
    name = f"{operation}.{_how(result)}"
    log.info(name, **told)


def _how(result: VendResult) -> str:
    if result.outcome is Outcome.UNKNOWN:
        return "unknown"
    if result.replayed:
        return "replayed"
    return "done" if result.outcome is Outcome.DONE else "refused"
