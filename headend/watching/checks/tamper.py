"""Covers, magnets, reversed current."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headend.watching.checks.flag import Flag, kwh
from headend.watching.thresholds import Limits

TAMPER_EVENTS: Final[Mapping[str, str]] = {
    "cover_open": "its cover was opened",
    "terminal_cover_open": "its terminal cover was opened",
    "magnetic_field": "a magnet was held to it",
    "reverse_current": "its current was reversed",
    "bypass": "current flows past it",
}
"""Kind of event → in words."""


def tamper_event(kind: str, count: int) -> Flag | None:
    """Judge events of one kind that a meter has reported.

    Args:
        kind: of `TAMPER_EVENTS`; another one says nothing here.
        count: how many.
    """
    words = TAMPER_EVENTS.get(kind)
    if words is None or count < 1:
        return None
    often = "" if count == 1 else f" ({count} times)"
    return Flag(
        f"tamper_{kind}",
        f"The meter says that {words}{often}. Was one of ours there? If not, look at the meter "
        "and its seals.",
        {"count": count},
        cause=kind,
        holds=False,
    )


def reverse_current(out_wh: int, limits: Limits) -> Flag | None:
    """Judge a day's export of a customer who should have none.

    Args:
        out_wh: what the export register counted on a day.
        limits: ``reverse_current_wh``; a group of producers has a high one.
    """
    if out_wh <= limits["reverse_current_wh"]:
        return None
    return Flag(
        "reverse_current",
        f"The meter counted {kwh(out_wh)} backwards. Is it wired the wrong way round, or does the "
        "customer feed in? Those who may are in a customer group with a limit of its own.",
        {"out_wh": out_wh},
    )
