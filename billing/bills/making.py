"""Make bills of several accounts in one transaction.

An account's row is locked first, so that nothing is posted to it meanwhile and nobody else makes
its next bill.  A bill takes everything that was posted since the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, select

from billing.accounts.looking import Account, Agreement, accounts_of, agreements_at
from billing.accounts.tables import customer_accounts
from billing.bills.addressing import addressees_of, points_of
from billing.bills.bill import (
    SUM_COLUMNS,
    USE_MONTHS_KEPT,
    Addressee,
    Bill,
    BillLine,
    Document,
    addressee_json,
    bill_of,
    document_json,
    document_of,
    sums_of,
)
from billing.bills.energy import billed_supplies, devices_of, use_by_month
from billing.bills.faults import EnergyUnbilledError, NothingToBillError
from billing.bills.kinds import BillKind, Group
from billing.bills.late_fees import LateFeeRule, rules_on
from billing.bills.lines import METERED, bill_lines, has_energy, metered
from billing.bills.sending import hand_over
from billing.bills.tables import account_fees, bill_standings, bills
from billing.bills.texts import Information, chosen, texts_on
from billing.ledger.entry import EntryKind, Posted, Purse
from billing.ledger.posting import last_entries, lock, posted_of
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.settlement.looking import (
    Settlement,
    key_of_source,
    settlement_of,
    settlements_named,
)
from billing.settlement.tables import settlements
from headend.registry.tables import end_devices

_DUE_DAYS: Final = 14
"""Where no agreement says how many."""
_DAYS_AT_LEAST: Final = 7
_LONG_AGO: Final = timedelta(days=45)
"""An older span that costs nothing is not looked for."""


@dataclass(frozen=True, slots=True)
class BillOrder:
    """A bill that is to be made."""

    account_id: int
    kind: BillKind
    period: str | None = None
    """The month of the bill day that it is for; None: made between bill days."""
    corrects_bill_id: int | None = None
    """Of an adjustment."""
    due_days: int | None = None
    """None: as agreed."""
    bill_day: date | None = None
    """From which the days are counted; None: the day on which it is made."""


@dataclass(frozen=True, slots=True)
class _Before:
    """Where the bill before this one ended."""

    bill: Bill
    use_wh: Mapping[str, int]


@dataclass(slots=True)
class _Facts:
    """All that the bills of a batch are made of."""

    at: datetime
    accounts: Mapping[int, Account]
    agreements: Mapping[int, Agreement]
    before: Mapping[int, _Before]
    entries: Mapping[int, list[Posted]]
    ends: Mapping[tuple[int, Purse], tuple[int, int]]
    settlements: Mapping[int, dict[tuple[int, int], Settlement]]
    fee_codes: Mapping[int, dict[int, str]]
    addressees: Mapping[int, Addressee]
    points: Mapping[int, str]
    meters: Mapping[int, str]
    texts: Sequence[Information]
    late_fees: Mapping[str, LateFeeRule]
    """By class: what holds today."""


def make_bill(connection: Connection, office: Office, order: BillOrder) -> Bill:
    """Make one bill.

    Args:
        connection: in a write transaction.
        office: the office.
        order: what is to be made.

    Raises:
        NothingToBillError: nothing is there to be billed so.
        EnergyUnbilledError: fees or an instalment alone were asked for, and there is energy.
        UnknownAccountError: there is no such account.
        OfficeRefusedError: the period is billed already.
    """
    lock(connection, [order.account_id])
    facts = _gather(connection, office, [order.account_id])
    _require_something(facts, order)
    return _store(connection, office, facts, [order])[0]


def make_bills(connection: Connection, office: Office, orders: Sequence[BillOrder]) -> list[Bill]:
    """Make the bills of many accounts that have something to bill.

    An account whose last bill has left nothing open and to which nothing was posted since gets
    none, but for a final bill.

    Args:
        connection: in a write transaction, which has locked the accounts.
        office: the office.
        orders: of one account each.
    """
    facts = _gather(connection, office, [each.account_id for each in orders])
    wanted = [
        each
        for each in orders
        if each.kind is BillKind.FINAL or _has_something(facts, each.account_id)
    ]
    return _store(connection, office, facts, wanted)


def _has_something(facts: _Facts, account_id: int) -> bool:
    before = facts.before.get(account_id)
    return bool(facts.entries[account_id]) or (before is not None and before.bill.total_minor < 0)


def _require_something(facts: _Facts, order: BillOrder) -> None:
    entries = facts.entries[order.account_id]
    number = facts.accounts[order.account_id].number
    kinds = {each.entry.kind for each in entries}
    wanted = {
        BillKind.NON_METERING: (EntryKind.FEE, "fee"),
        BillKind.INSTALMENT: (EntryKind.PLAN, "instalment"),
    }.get(order.kind)
    if wanted is not None:
        if wanted[0] not in kinds:
            raise NothingToBillError(
                f"Account {number} has no {wanted[1]} that is not on a bill yet."
            )
        if has_energy(entries):
            raise EnergyUnbilledError(
                f"Account {number} has used energy since its last bill: the {wanted[1]} will be "
                "on the next regular bill. Make that one now with --kind regular."
            )
    elif order.kind in (BillKind.REGULAR, BillKind.COLLECTIVE) and not _has_something(
        facts, order.account_id
    ):
        raise NothingToBillError(
            f"Account {number}: nothing is open, and nothing was posted since its last bill."
        )


def _gather(connection: Connection, office: Office, account_ids: Sequence[int]) -> _Facts:
    at = office.now()
    before = _bills_before(connection, account_ids)
    entries = _entries_since(connection, account_ids)
    settled = _settlements(connection, entries, before, at)
    everything = [each for mine in settled.values() for each in mine.values()]
    return _Facts(
        at=at,
        accounts=accounts_of(connection, account_ids),
        agreements=agreements_at(connection, account_ids, at),
        before=before,
        entries=entries,
        ends=last_entries(connection, account_ids),
        settlements=settled,
        fee_codes=_fee_codes(connection, account_ids),
        addressees=addressees_of(connection, office, account_ids, at),
        points=points_of(connection, account_ids),
        meters=_meters(connection, devices_of(everything)),
        texts=texts_on(connection, at.astimezone(office.zone).date()),
        late_fees=rules_on(connection, at.astimezone(office.zone).date()),
    )


def _store(
    connection: Connection, office: Office, facts: _Facts, orders: Sequence[BillOrder]
) -> list[Bill]:
    if not orders:
        return []
    documents: list[Document] = []
    rows = []
    for order in orders:
        lines = bill_lines(
            facts.entries[order.account_id],
            facts.settlements[order.account_id],
            facts.fee_codes.get(order.account_id, {}),
        )
        documents.append(_document(office, facts, facts.accounts[order.account_id], lines))
        rows.append(_row(office, facts, order, documents[-1]))
    connection.execute(insert(bills), rows)
    numbers = [row["number"] for row in rows]
    made = {
        row.number: bill_of(row)
        for row in connection.execute(select(bills).where(bills.c.number.in_(numbers)))
    }
    found = [made[str(number)] for number in numbers]
    connection.execute(
        insert(bill_standings),
        [
            {
                "bill_id": each.bill_id,
                "account_id": each.account_id,
                "due_at": each.due_at,
                "late_micro": 0,
                "late_minor": 0,
                # a bill that asks for nothing is settled as it is made
                "settled_at": None if each.to_pay_minor else each.made_at,
            }
            for each in found
        ],
    )
    hand_over(connection, office, found, documents, facts.accounts, facts.addressees)
    return found


def _row(office: Office, facts: _Facts, order: BillOrder, document: Document) -> dict[str, Any]:
    account = facts.accounts[order.account_id]
    before = facts.before.get(order.account_id)
    entries = facts.entries[order.account_id]
    sums = sums_of(document.lines)
    opening = 0 if before is None else before.bill.total_minor
    late_before = 0 if before is None else before.bill.late_so_far_minor
    deposit_seq, deposit_minor = facts.ends.get((order.account_id, Purse.DEPOSIT), (0, 0))
    plan_seq, plan_minor = facts.ends.get((order.account_id, Purse.PLAN), (0, 0))
    after = 0 if before is None else before.bill.through_seq
    seq = 1 if before is None else before.bill.seq + 1
    return {
        "account_id": order.account_id,
        "seq": seq,
        "number": f"{account.number}-{seq}",
        "kind": order.kind.value,
        "period": order.period,
        "since": account.opened_at if before is None else before.bill.made_at,
        "made_at": facts.at,
        "made_by": office.person.name,
        "due_at": _due_at(office, facts, order, entries),
        "currency": office.currency.code,
        "after_seq": after,
        "through_seq": after + len(entries),
        "deposit_seq": deposit_seq,
        "deposit_minor": deposit_minor,
        "plan_seq": plan_seq,
        "plan_minor": plan_minor,
        "opening_minor": opening,
        **{column: sums[group] for group, column in SUM_COLUMNS.items()},
        "total_minor": opening + sum(sums.values()),
        "late_so_far_minor": late_before + sums[Group.LATE_FEE],
        "corrects_bill_id": order.corrects_bill_id,
        "document": document_json(document),
        "addressee_sealed": office.seal.seal(
            "bill.addressee", addressee_json(facts.addressees[order.account_id])
        ),
    }


def _document(
    office: Office, facts: _Facts, account: Account, lines: Sequence[BillLine]
) -> Document:
    account_id = account.account_id
    language = account.language or office.language
    mine = metered(facts.entries[account_id], facts.settlements[account_id])
    before = facts.before.get(account_id)
    use = use_by_month({} if before is None else before.use_wh, mine, office.zone)
    kept = sorted(use)[-USE_MONTHS_KEPT:]
    rule = facts.late_fees.get(account.customer_class)
    return Document(
        utility=office.name,
        language=language,
        lines=tuple(lines),
        supplies=tuple(billed_supplies(mine, facts.points, facts.meters)),
        use_wh={month: use[month] for month in kept},
        information=chosen(facts.texts, account.customer_class, language, office.language),
        late_fee=None if rule is None else (rule.per_day_ppm, rule.cap_bp),
    )


def _due_at(office: Office, facts: _Facts, order: BillOrder, entries: Sequence[Posted]) -> datetime:
    """When the due day is over: one for the whole bill.

    It is counted from the bill day, as settlements count it, but a bill that is made late leaves a
    week at least.  That of an instalment is the plan's; what was deferred is not due before that.
    """
    deferred = [
        each.entry.due_at
        for each in entries
        if each.entry.kind not in METERED
        and each.entry.due_at is not None
        and each.entry.due_at > facts.at
    ]
    if order.kind is BillKind.INSTALMENT and deferred:
        return min(deferred)
    agreement = facts.agreements.get(order.account_id)
    days = order.due_days
    if days is None:
        days = _DUE_DAYS if agreement is None else agreement.due_days
    today = facts.at.astimezone(office.zone).date()
    day = max(
        (order.bill_day or today) + timedelta(days=days),
        today + timedelta(days=min(days, _DAYS_AT_LEAST)),
    )
    return max([office.day_start(day + timedelta(days=1)), *deferred])


def _bills_before(connection: Connection, account_ids: Sequence[int]) -> dict[int, _Before]:
    newest = (
        select(bills.c.account_id, func.max(bills.c.seq).label("seq"))
        .where(bills.c.account_id.in_(account_ids))
        .group_by(bills.c.account_id)
        .subquery()
    )
    rows = connection.execute(
        select(bills).join(
            newest, and_(newest.c.account_id == bills.c.account_id, newest.c.seq == bills.c.seq)
        )
    )
    return {row.account_id: _Before(bill_of(row), document_of(row.document).use_wh) for row in rows}


def _entries_since(connection: Connection, account_ids: Sequence[int]) -> dict[int, list[Posted]]:
    """Entries of the current purse that are on no bill yet."""
    billed = (
        select(bills.c.through_seq)
        .where(bills.c.account_id == customer_accounts.c.account_id)
        .order_by(bills.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(account_entries)
        .join(customer_accounts, customer_accounts.c.account_id == account_entries.c.account_id)
        .where(
            customer_accounts.c.account_id.in_(account_ids),
            account_entries.c.purse == Purse.CURRENT.value,
            account_entries.c.seq > func.coalesce(billed, 0),
        )
        .order_by(account_entries.c.account_id, account_entries.c.seq)
    )
    found: dict[int, list[Posted]] = {each: [] for each in account_ids}
    for row in rows:
        found[row.account_id].append(posted_of(row))
    return found


def _settlements(
    connection: Connection,
    entries: Mapping[int, list[Posted]],
    before: Mapping[int, _Before],
    at: datetime,
) -> dict[int, dict[tuple[int, int], Settlement]]:
    """Those that the entries come from, and those that cost nothing and so have no entry."""
    keys = [
        key
        for mine in entries.values()
        for each in mine
        if (key := key_of_source(each.entry.source)) is not None
    ]
    found: dict[int, dict[tuple[int, int], Settlement]] = {each: {} for each in entries}
    for key, each in settlements_named(connection, keys).items():
        if each.account_id in found:
            found[each.account_id][key] = each
    since = min((each.bill.made_at for each in before.values()), default=at - _LONG_AGO)
    rows = connection.execute(
        select(settlements).where(
            settlements.c.account_id.in_(list(entries)),
            settlements.c.amount_minor == 0,
            settlements.c.until > since - _LONG_AGO,
            settlements.c.settled_at <= at,
        )
    )
    for row in rows:
        last = before.get(row.account_id)
        if last is None or row.settled_at > last.bill.made_at:
            found[row.account_id][row.supply_id, row.seq] = settlement_of(row)
    return found


def _fee_codes(connection: Connection, account_ids: Sequence[int]) -> dict[int, dict[int, str]]:
    rows = connection.execute(
        select(account_fees.c.account_id, account_fees.c.entry_seq, account_fees.c.code).where(
            account_fees.c.account_id.in_(account_ids)
        )
    )
    found: dict[int, dict[int, str]] = {}
    for account_id, seq, code in rows:
        found.setdefault(account_id, {})[seq] = code
    return found


def _meters(connection: Connection, device_ids: set[int]) -> dict[int, str]:
    if not device_ids:
        return {}
    rows = connection.execute(
        select(end_devices.c.device_id, end_devices.c.number).where(
            end_devices.c.device_id.in_(sorted(device_ids))
        )
    )
    return {row.device_id: row.number for row in rows}
