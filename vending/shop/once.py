"""One message id, one outcome (specs/vending.md, invariant 1).

The id is stored before anything else happens.  If it is there already, with the same request,
the stored answer is given byte for byte; with another request it is a conflict.  A refusal by
a rule undoes what was begun and is stored as the answer; a fault of the system undoes
everything, the id too, so that asking again starts afresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, select, update

from storage.engine import writing
from storage.prepared import InsertIfNew, KeyTakenError, Prepared, settle
from vending.errors import FaultFamily, VendingError
from vending.receipts.receipt import Receipt
from vending.shop.faults import (
    MessageConflictError,
    OutcomeUnknownError,
    QuestionError,
    UnknownMessageError,
)
from vending.shop.requests import Outcome, VendResult, canonical_json
from vending.shop.tables import requests

# Statements are made once: making one takes longer than running it.
_THIS_ID: Final = (requests.c.client == bindparam("asking")) & (
    requests.c.message_id == bindparam("id_asked")
)
_NEW: Final = InsertIfNew(
    requests,
    [
        "client",
        "message_id",
        "operation",
        "request_sha256",
        "received_at",
        "operator",
        "terminal",
    ],
)
_BY_ID: Final = Prepared(select(requests).where(_THIS_ID))
_ANSWER: Final = Prepared(
    update(requests)
    .where(_THIS_ID)
    .values(outcome=bindparam("outcome"), response=bindparam("response"))
)


@dataclass(frozen=True, slots=True)
class Question:
    """A request as this module sees it."""

    client: str
    message_id: str
    operation: str
    essence: dict[str, Any]
    operator: str = ""
    """Who asks; may be another when the request is repeated."""
    terminal: str = ""

    @property
    def sha256(self) -> bytes:
        """The same for the same request, whoever repeats it."""
        return hashlib.sha256(canonical_json([self.operation, self.essence])).digest()


def question_of(operation: str, request: Any) -> Question:
    """A request for a meter as this module sees it."""
    return Question(
        request.client,
        request.message_id,
        operation,
        request.essence(),
        request.operator,
        request.terminal,
    )


def answer_once(
    engine: Engine,
    question: Question,
    received_at: datetime,
    work: Callable[[Connection], Receipt],
) -> VendResult:
    """Do the work in one write transaction, or repeat what was answered before.

    Args:
        engine: the shop's database.
        question: which request.
        received_at: now.
        work: everything that the request takes; raises business faults to refuse.

    Raises:
        MessageConflictError: the id stands for another request.
        StorageError: of `storage.engine.writing`.
        VendingError: a protocol or system fault, or a question, from ``work``; nothing was
            stored.
    """
    try:
        with writing(engine) as connection:
            try:
                receipt = _worked(connection, question, received_at, work)
            except KeyTakenError:
                return repeated(connection, question)
            response = done(question, receipt)
            store(connection, question, Outcome.DONE, response)
    except VendingError as fault:
        if fault.family is not FaultFamily.BUSINESS or isinstance(fault, QuestionError):
            raise
        return refuse_once(engine, question, received_at, fault)
    return VendResult(
        Outcome.DONE, question.client, question.message_id, response, False, receipt, None
    )


def _worked(
    connection: Connection,
    question: Question,
    received_at: datetime,
    work: Callable[[Connection], Receipt],
) -> Receipt:
    """The work of a request that was not asked before.

    Raises:
        KeyTakenError: it was.
    """
    _NEW.run_soon(connection, _row(question, received_at))
    try:
        return work(connection)
    except VendingError:
        settle(connection)  # was it asked before?  Then it has its answer, whatever this one is
        raise


def refuse_once(
    engine: Engine, question: Question, received_at: datetime, fault: VendingError
) -> VendResult:
    """Store a refusal; what was begun before it is undone already.

    Should the same request have been answered in between, by another process, then that is
    the answer.
    """
    with writing(engine) as connection:
        if not begin(connection, question, received_at):
            return repeated(connection, question)
        response = failed(question, fault)
        store(connection, question, Outcome.FAILED, response)
    return VendResult.stored(question.client, question.message_id, response, replayed=False)


def stored_answer(connection: Connection, client: str, message_id: str) -> VendResult:
    """What was answered under an id.

    Raises:
        UnknownMessageError: nothing was sold or refused under it.
        OutcomeUnknownError: it is being worked on.
    """
    stored = _stored(connection, client, message_id)
    if stored is None:
        raise UnknownMessageError(
            f"Nothing was sold or refused under message id {message_id} of client {client}. "
            "If it was asked for, ask again with the same id: that is safe."
        )
    return _result(stored)


def _stored(connection: Connection, client: str, message_id: str) -> Any:
    return _BY_ID.first(connection, {"asking": client, "id_asked": message_id})


def begin(connection: Connection, question: Question, received_at: datetime) -> bool:
    """Store a request's id; tells whether it is new."""
    return _NEW.run(connection, _row(question, received_at))


def _row(question: Question, received_at: datetime) -> dict[str, object]:
    return {
        "client": question.client,
        "message_id": question.message_id,
        "operation": question.operation,
        "request_sha256": question.sha256,
        "received_at": received_at,
        "operator": question.operator,
        "terminal": question.terminal,
    }


def repeated(connection: Connection, question: Question) -> VendResult:
    stored = _stored(connection, question.client, question.message_id)
    assert stored is not None  # its key was taken
    if bytes(stored.request_sha256) != question.sha256:
        raise MessageConflictError(
            f"Message id {question.message_id} of client {question.client} was used before, for "
            "another request; nothing was done now. Give each request an id of its own."
        )
    return _result(stored)


def _result(stored: Any) -> VendResult:
    if stored.response is None:
        raise OutcomeUnknownError(
            f"Message id {stored.message_id} is still being worked on: ask again with it."
        )
    return VendResult.stored(
        stored.client, stored.message_id, bytes(stored.response), replayed=True
    )


def done(question: Question, receipt: Receipt) -> bytes:
    return _response(question, Outcome.DONE, {"receipt": receipt.for_json()})


def failed(question: Question, fault: VendingError) -> bytes:
    error = {"code": fault.code, "message": str(fault)}
    return _response(question, Outcome.FAILED, {"error": error})


def _response(question: Question, outcome: Outcome, body: dict[str, Any]) -> bytes:
    ids = {"client": question.client, "message_id": question.message_id}
    return canonical_json({"outcome": outcome.value, **ids, **body})


def store(connection: Connection, question: Question, outcome: Outcome, response: bytes) -> None:
    _ANSWER.run_by_the_end(
        connection,
        {
            "asking": question.client,
            "id_asked": question.message_id,
            "outcome": outcome.value,
            "response": response,
        },
    )
