"""A span of time as a condition of a query."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement


def within(
    moment: Column[datetime], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    """The conditions for ``since <= moment < until``; None leaves that side open."""
    limits = []
    if since is not None:
        limits.append(moment >= since)
    if until is not None:
        limits.append(moment < until)
    return limits
