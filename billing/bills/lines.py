"""Entries of the ledger as lines of a bill.  Pure.

Payments, fees and adjustments are a line each.  Late fees are a line for each bill that was late;
energy is added up by price (`billing.bills.energy`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from billing.bills.bill import BillLine
from billing.bills.energy import energy_lines
from billing.bills.kinds import GROUP_OF, Group
from billing.ledger.entry import EntryKind, Posted
from billing.settlement.looking import Settlement, key_of_source

METERED: Final = (EntryKind.ENERGY, EntryKind.ENERGY_REVERSED)
LATE_FEE_SOURCE: Final = "late_fee"
"""First word of the source of late fees: ``late_fee 1000000019-3``, the bill's number."""


def bill_lines(
    entries: Sequence[Posted],
    settlements: Mapping[tuple[int, int], Settlement],
    fee_codes: Mapping[int, str],
) -> list[BillLine]:
    """The lines of a bill, group by group.

    Args:
        entries: of the current purse, all that are on it, in order.
        settlements: those that the entries come from, by supply and number; an entry whose
            settlement is not among them is a line of its own.
        fee_codes: of single fees, by the number of their entry.

    Returns:
        lines that add up to the sum of the entries.
    """
    settled = _settled(entries, settlements)
    late: dict[str, list[Posted]] = {}
    lines: list[BillLine] = []
    for each in entries:
        if _key(each) in settled:
            continue
        if each.entry.kind is EntryKind.LATE_FEE:
            late.setdefault(each.entry.source, []).append(each)
        else:
            lines.append(_single(each, fee_codes))
    # Settlements whose amount is zero have no entry, and their energy is on the bill all the same.
    settled.update({key: each for key, each in settlements.items() if not each.amount_minor})
    lines += energy_lines([settled[key] for key in sorted(settled)])
    lines += [_late(source, mine) for source, mine in late.items()]
    order = list(Group)
    return sorted(lines, key=lambda line: order.index(line.group))


def metered(
    entries: Sequence[Posted], settlements: Mapping[tuple[int, int], Settlement]
) -> list[Settlement]:
    """The settlements that are on a bill, in the order of supply and number."""
    keys = {key_of_source(each.entry.source) for each in entries if each.entry.kind in METERED}
    chosen = {key: each for key, each in settlements.items() if key in keys}
    chosen.update({key: each for key, each in settlements.items() if not each.amount_minor})
    return [chosen[key] for key in sorted(chosen)]


def has_energy(entries: Sequence[Posted]) -> bool:
    """Whether consumption is among the entries."""
    return any(each.entry.kind in METERED for each in entries)


def _settled(
    entries: Sequence[Posted], settlements: Mapping[tuple[int, int], Settlement]
) -> dict[tuple[int, int], Settlement]:
    """Settlements that the entries post whole: what is before tax, and the tax."""
    posted: dict[tuple[int, int], int] = {}
    for each in entries:
        key = _key(each)
        if key is not None:
            posted[key] = posted.get(key, 0) + each.entry.amount_minor
    return {
        key: settlements[key]
        for key, amount in posted.items()
        if key in settlements and settlements[key].amount_minor == -amount
    }


def _key(posted: Posted) -> tuple[int, int] | None:
    return key_of_source(posted.entry.source) if posted.entry.kind in METERED else None


def _single(posted: Posted, fee_codes: Mapping[int, str]) -> BillLine:
    entry = posted.entry
    code = entry.kind.value
    if entry.kind is EntryKind.FEE:
        code = fee_codes.get(posted.seq, code)
    return BillLine(
        group=GROUP_OF[entry.kind],
        code=code,
        words=entry.words,
        amount_minor=entry.amount_minor,
        since=posted.posted_at,
    )


def _late(source: str, entries: Sequence[Posted]) -> BillLine:
    moments: list[datetime] = [each.posted_at for each in entries]
    return BillLine(
        group=Group.LATE_FEE,
        code=LATE_FEE_SOURCE,
        words=source.partition(" ")[2],
        amount_minor=sum(each.entry.amount_minor for each in entries),
        since=min(moments),
        until=max(moments),
    )
