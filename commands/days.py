"""Days as people write them, and moments in the utility's time."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from headend.station import Station


class DayParameter(click.ParamType[date]):
    """2026-10-01"""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day: write 2026-10-01.", param, ctx)


def local_minute(station: Station, moment: datetime) -> str:
    """A moment in the utility's time."""
    return f"{moment.astimezone(station.zone):%Y-%m-%d %H:%M}"
