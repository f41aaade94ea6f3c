"""Rounds as people and programs see them; carried out here, or watched while the service does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from commands.output import console, counting, print_json

if TYPE_CHECKING:
    from headend.collection.desk import Missing, RoundView
    from headend.station import Station
    from headend.work.inline import InlineWork

_POLL_S: Final = 0.5


def carry_out(station: Station, work: InlineWork, round_id: int, *, as_json: bool) -> None:
    """Read what is queued in this process, with progress; what fails is tried by the service."""
    from headend.collection.desk import Collection
    from headend.collection.job import handler
    from headend.talk.lines import Lines
    from headend.work.port import Job

    desk = Collection(station)
    total = desk.round(round_id).devices

    async def run() -> None:
        lines = Lines(station)
        carry = handler(station, lines, work)
        with counting("Meters", as_json=as_json, total=total) as tell:

            async def told(job: Job) -> None:
                watching = asyncio.create_task(keep_telling())
                try:
                    await carry(job)
                finally:
                    watching.cancel()
                    tell(desk.round(round_id).settled)

            async def keep_telling() -> None:
                while True:
                    await asyncio.sleep(_POLL_S)
                    tell((await asyncio.to_thread(desk.round, round_id)).settled)

            try:
                await work.run({"round": told})
            finally:
                await lines.aclose()

    asyncio.run(run())


def watch(station: Station, round_id: int, *, as_json: bool, timeout_s: float | None) -> None:
    """Wait until a round has ended, with its rate and the time left."""
    from headend.collection.desk import Collection

    desk = Collection(station)
    began = time.monotonic()
    with counting("Meters", as_json=as_json, total=desk.round(round_id).devices) as tell:
        while True:
            view = desk.round(round_id)
            tell(view.settled)
            if view.ended_at is not None:
                return
            if timeout_s is not None and time.monotonic() - began > timeout_s:
                return
            time.sleep(_POLL_S)


def say_round(station: Station, round_id: int, *, as_json: bool) -> None:
    """How a round stands."""
    from headend.collection.desk import Collection

    view = Collection(station).round(round_id)
    if as_json:
        print_json(round_object(view))
        return
    counts = ", ".join(f"{count} {state}" for state, count in sorted(view.counts.items()))
    console.print(f"Round {round_id} ({view.name}): {counts or 'no meters'}.")
    if view.counts.get("waiting"):
        console.print(f"`meterhouse serve` goes on with it; meterhouse round watch {round_id}")


def round_object(view: RoundView) -> dict[str, Any]:
    """A round as JSON answers give it."""
    return {
        "round": view.round_id,
        "kind": view.kind,
        "name": view.name,
        "due_at": view.due_at.isoformat(),
        "closes_at": view.closes_at.isoformat(),
        "ended_at": None if view.ended_at is None else view.ended_at.isoformat(),
        "devices": view.devices,
        "states": dict(view.counts),
        "requests": view.requests,
        "line_ms": view.spent_ms,
    }


def missing_object(each: Missing) -> dict[str, Any]:
    """A meter that was missed, as JSON answers give it."""
    return {
        "meter": each.number,
        "place": each.place,
        "state": each.state,
        "why": each.why,
        "words": each.words,
        "attempts": each.attempts,
        "remaining": None if each.remaining is None else each.remaining.split(","),
    }


def print_missing(found: list[Missing]) -> None:
    """The list that a person works off."""
    table = Table()
    for column in ("meter", "place", "state", "tries", "why"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(each.number, each.place or "-", each.state, str(each.attempts), each.words)
    console.print(table)
