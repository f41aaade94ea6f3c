"""Time at the edge: zones, and lengths of time as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

_SPAN: Final = re.compile(r"(\d{1,6})\s*(s|min|m|h|d)?")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


class SpanParameter(click.ParamType[timedelta]):
    """``90s``, ``10min``, ``2h``, ``1d``; a bare number is minutes."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _SPAN.fullmatch(str(value).strip())
        if match is None or not int(match[1]):
            self.fail(f"{value!r} is no span of time: write 90s, 10min, 2h.", param, ctx)
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2] or "min"])


class ZoneParameter(click.ParamType[tzinfo]):
    """``Asia/Shanghai``, ``UTC``."""

    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"There is no time zone {value!r}.", param, ctx)


zone_option = click.option(
    "--zone",
    type=ZoneParameter(),
    help="Zone that the meter's clock runs in.  [default: this machine's]",
)


def clock_of(zone: tzinfo | None) -> Callable[[], datetime]:
    """The true time in a zone; None: this machine's."""
    if zone is None:
        return lambda: datetime.now().astimezone()
    return lambda: datetime.now(zone)
