"""What must hold in the end.  Rows are streamed: a million of them need no more memory than one.

What begins with ``!`` must be zero.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from benchmarks.torture.asked import Plan, meter_number, number_of
from benchmarks.torture.run import Progress, untold
from benchmarks.torture.shop import CREDIT_MINOR, VENDOR
from benchmarks.torture.witness import TortureError, Witness, digest_of
from storage.engine import open_engine, reading, writing
from vending import PublicTestKeys, Shop
from vending.cash.credit import available_minor
from vending.sts import KeyAttributes, TransferCredit

_CHUNK: Final = 500
_ASKED_AGAIN_MAX: Final = 2_000
_TOKENS: Final = text(
    "SELECT requests.client, requests.message_id, requests.outcome, requests.response, "
    "receipts.receipt_no, receipts.meter_id AS of_meter, receipts.kind, tokens.position, "
    "tokens.meter_id, tokens.base_year, tokens.tid, tokens.digits, tokens.units "
    "FROM requests "
    "LEFT JOIN receipts ON receipts.client = requests.client "
    "AND receipts.message_id = requests.message_id "
    "LEFT JOIN tokens ON tokens.receipt_no = receipts.receipt_no "
    "ORDER BY requests.client, requests.message_id, receipts.receipt_no, tokens.position"
)
_REPEATED_TIDS: Final = text(
    "SELECT coalesce(sum(times - 1), 0) FROM (SELECT count(*) AS times FROM tokens "
    "GROUP BY meter_id, base_year, tid HAVING count(*) > 1) AS repeated"
)
_TIDS_IN_ORDER: Final = text(
    "SELECT meter_id, base_year, tid FROM tokens ORDER BY receipt_no, position"
)
_UNBALANCED: Final = text(
    "SELECT count(*) FROM receipts LEFT JOIN (SELECT transaction_id, "
    "sum(amount_minor) AS paid_minor FROM transfers WHERE debit_account LIKE 'tender.%' "
    "OR debit_account LIKE 'vendor.%' GROUP BY transaction_id) AS paid "
    "ON paid.transaction_id = receipts.transaction_id "
    "WHERE receipts.tendered_minor <> coalesce(paid.paid_minor, 0)"
)
_IDLE_ENTRIES: Final = text(
    "SELECT count(*) FROM ledger_transactions LEFT JOIN receipts "
    "ON receipts.transaction_id = ledger_transactions.transaction_id "
    "WHERE receipts.receipt_no IS NULL"
)
_EMPTY_ENTRIES: Final = text(
    "SELECT count(*) FROM ledger_transactions LEFT JOIN (SELECT DISTINCT transaction_id "
    "FROM transfers) AS moved ON moved.transaction_id = ledger_transactions.transaction_id "
    "WHERE moved.transaction_id IS NULL"
)
_SOLD: Final = text(
    "SELECT coalesce(sum(tendered_minor - change_minor), 0) FROM receipts "
    f"WHERE vendor_id = {VENDOR}"
)


def require_sound(
    url: str, witness: Witness, plan: Plan, progress: Progress = untold
) -> dict[str, int]:
    """Hold the database against what was told; gives what was counted.

    Raises:
        TortureError: names what does not hold.
    """
    counted = count(url, witness, plan, progress)
    broken = {name[2:]: n for name, n in counted.items() if name.startswith("!") and n}
    if broken:
        told = ", ".join(f"{name}: {number:,}" for name, number in broken.items())
        raise TortureError(f"It does not hold. {told}.")
    return counted


def count(url: str, witness: Witness, plan: Plan, progress: Progress = untold) -> dict[str, int]:
    """What there is, and what is wrong with it."""
    counted: Counter[str] = Counter()
    engine = open_engine(url)
    try:
        with Shop.open(url, security=PublicTestKeys()) as shop:
            keys = {}
            for serial in range(plan.meters):
                meter = shop.meter(meter_number(serial))
                keys[meter.meter_id] = meter.attributes()
            with reading(engine) as connection:
                _look_at_tokens(connection, witness, plan, keys, counted, progress)
                _look_at_tids(connection, counted)
                _look_at_money(connection, counted)
            counted["! credit lost or won"] += _credit_left(engine) - CREDIT_MINOR
            counted["! statement does not agree"] = int(not shop.statement().agrees)
            verified = shop.audit.verify(seal=False)
            counted["audit lines"] = verified.lines
            counted["! audit chain broken"] = int(verified.broken is not None)
    finally:
        engine.dispose()
    counted["! requests asked again and answered otherwise"] = _asked_again(url, witness, plan)
    return dict(counted)


def _asked_again(url: str, witness: Witness, plan: Plan) -> int:
    """Some are asked once more; what is stored for all of them is looked at anyway."""
    step = max(1, plan.vends // _ASKED_AGAIN_MAX)
    wrong = 0
    with Shop.open(url, security=PublicTestKeys()) as shop:
        for number in range(0, plan.vends, step):
            result = shop.vend(plan.request(number))
            same = witness.answers.get(number) == digest_of(result.response)
            wrong += not (same and result.replayed)
    return wrong


def _look_at_tokens(
    connection: Connection,
    witness: Witness,
    plan: Plan,
    keys: dict[int, KeyAttributes],
    counted: Counter[str],
    progress: Progress,
) -> None:
    """Each request has the answer that was told; each token is in one answer, each answer's token
    is stored, and the meter reads it."""
    for name in (
        "! requests without an answer",
        "! answers other than those that were told",
        "! tokens lost",
        "! tokens nobody got",
        "! tokens doubled",
        "! tokens that no meter reads",
    ):
        counted[name] = 0
    module = PublicTestKeys()
    seen: set[tuple[int, str]] = set()
    answered: set[int] = set()
    for rows in _requests(connection):
        first = rows[0]
        number = number_of(first.message_id)
        answered.add(number)
        progress(len(answered))
        counted["requests"] += 1
        if first.response is None:
            counted["! requests without an answer"] += 1
            continue
        response = bytes(first.response)
        if witness.answers.get(number) != digest_of(response):
            counted["! answers other than those that were told"] += 1
        given = Counter(_digits(response))
        stored = Counter(row.digits for row in rows if row.digits is not None)
        counted["tokens"] += stored.total()
        counted["! tokens lost"] += (given - stored).total()
        counted["! tokens nobody got"] += (stored - given).total()
        counted["! tokens doubled"] += max(0, stored.total() - (first.outcome == "done"))
        for row in rows:
            if row.digits is None:
                continue
            counted["! tokens doubled"] += (row.meter_id, row.digits) in seen
            seen.add((row.meter_id, row.digits))
            content = module.read_token(row.digits, keys[row.meter_id]).content
            counted["! tokens that no meter reads"] += not (
                isinstance(content, TransferCredit)
                and (content.tid, content.amount) == (row.tid, row.units)
            )
    counted["! requests lost"] = plan.vends - len(answered & set(range(plan.vends)))
    counted["! requests nobody made"] = len(answered - set(range(plan.vends)))
    counted["! tokens without a request"] = (
        int(connection.scalar(text("SELECT count(*) FROM tokens")) or 0) - (counted["tokens"])
    )


def _requests(connection: Connection) -> Iterator[list[Any]]:
    """The rows of one request after another."""
    rows: list[Any] = []
    streamed = connection.execution_options(yield_per=_CHUNK).execute(_TOKENS)
    for row in streamed:
        if rows and (row.client, row.message_id) != (rows[0].client, rows[0].message_id):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _digits(response: bytes) -> Iterator[str]:
    answer = json.loads(response)
    if answer["outcome"] == "done":
        yield from (token["digits"] for token in answer["receipt"]["tokens"])


def _look_at_tids(connection: Connection, counted: Counter[str]) -> None:
    counted["! repeated TIDs"] = int(connection.scalar(_REPEATED_TIDS) or 0)
    counted["! TIDs that went back"] = 0
    last: dict[tuple[int, int], int] = {}
    for row in connection.execution_options(yield_per=_CHUNK).execute(_TIDS_IN_ORDER):
        meter = (row.meter_id, row.base_year)
        counted["! TIDs that went back"] += row.tid < last.get(meter, -1)
        last[meter] = row.tid


def _look_at_money(connection: Connection, counted: Counter[str]) -> None:
    counted["entries"] = int(
        connection.scalar(text("SELECT count(*) FROM ledger_transactions")) or 0
    )
    counted["! receipts whose entries do not balance"] = int(connection.scalar(_UNBALANCED) or 0)
    counted["! entries without a receipt"] = int(connection.scalar(_IDLE_ENTRIES) or 0)
    counted["! entries that move nothing"] = int(connection.scalar(_EMPTY_ENTRIES) or 0)
    counted["! credit lost or won"] = int(connection.scalar(_SOLD) or 0)


def _credit_left(engine: Engine) -> int:
    with writing(engine) as connection:
        return available_minor(connection, VENDOR)
