"""The ledger against the recount.  What begins with ``!`` must be zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, case, func, select

from benchmarks.town.people import Household, settled_days
from benchmarks.town.recount import owed_minor
from billing.ledger.entry import EntryKind, Purse
from billing.ledger.tables import account_entries
from billing.office import Office
from billing.settlement.tables import settlement_waits, settlements

_SHOWN: Final = 5


class TownError(Exception):
    """The ledger is not what it must be."""


def count(office: Office, town: Sequence[Household], days: int) -> dict[str, int]:
    """Compare everybody's account with the recount.

    Raises:
        TownError: something differs; says what, and of whom.
    """
    with office.reading() as connection:
        balances = _sums(connection, account_entries.c.amount_minor)
        billed = _sums(
            connection,
            case(
                (
                    account_entries.c.kind.in_(
                        [EntryKind.ENERGY.value, EntryKind.ENERGY_REVERSED.value]
                    ),
                    account_entries.c.amount_minor,
                ),
                else_=0,
            ),
        )
        settled = {
            row[0]: (int(row[1]), int(row[2]), row[3])
            for row in connection.execute(
                select(
                    settlements.c.account_id,
                    func.sum(settlements.c.amount_minor),
                    func.sum(settlements.c.energy_wh),
                    func.max(settlements.c.until),
                ).group_by(settlements.c.account_id)
            )
        }
        told = {
            "settlements": _number(connection, settlements),
            "taken back": _number(connection, settlements, settlements.c.sign == -1),
            "entries": _number(connection, account_entries),
            "! spans that wait": _number(connection, settlement_waits),
            "! books that differ from accounts": abs(_counters(connection)),
        }
    wrong: list[str] = []
    energy = money = posted = 0
    for each in town:
        amount, wh, _ = settled.get(each.number, (0, 0, None))
        owed = owed_minor(each, settled_days(each, days))
        paid = sum(amount_minor for _, amount_minor in each.paid)
        used = each.used_wh[: settled_days(each, days)]
        energy += wh != sum(day["total"] for day in used)
        posted += billed.get(each.number, 0) != -amount
        if balances.get(each.number, 0) != paid - owed:
            money += 1
            wrong.append(
                f"{each.number} ({each.tariff}, {each.mode}, {each.payer}, "
                f"exchange {each.exchange}, wrong {each.wrong}): ledger "
                f"{balances.get(each.number, 0)}, recount {paid} - {owed} = {paid - owed}"
            )
    told |= {
        "! accounts whose balance differs from the recount": money,
        "! supplies whose energy differs": energy,
        "! accounts whose entries differ from their settlements": posted,
        "owed in the end, minor units": sum(
            owed_minor(each, settled_days(each, days)) - sum(paid for _, paid in each.paid)
            for each in town
        ),
    }
    if any(number for name, number in told.items() if name.startswith("!")):
        raise TownError(f"{told}\n" + "\n".join(wrong[:_SHOWN]))
    return told


def _sums(connection: Connection, what: object) -> dict[int, int]:
    rows = connection.execute(
        select(account_entries.c.account_id, func.sum(what))
        .where(account_entries.c.purse == Purse.CURRENT.value)
        .group_by(account_entries.c.account_id)
    )
    return {row[0]: int(row[1]) for row in rows}


def _number(connection: Connection, table: object, *which: object) -> int:
    query = select(func.count()).select_from(table).where(*which)  # type: ignore[arg-type]
    return int(connection.scalar(query) or 0)


def _counters(connection: Connection) -> int:
    """Last balances of all purses, less all that was ever posted."""
    last = (
        select(
            account_entries.c.balance_minor,
            func.row_number()
            .over(
                partition_by=(account_entries.c.account_id, account_entries.c.purse),
                order_by=account_entries.c.seq.desc(),
            )
            .label("place"),
        )
    ).subquery()
    stands = connection.scalar(select(func.sum(last.c.balance_minor)).where(last.c.place == 1))
    moved = connection.scalar(select(func.sum(account_entries.c.amount_minor)))
    return int(stands or 0) - int(moved or 0)
