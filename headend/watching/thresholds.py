"""Thresholds as data: the defaults of ``limits.toml``, and those in force as one value.  Pure.

A customer group may have its own value of a limit; where it has none, the utility's holds, and
where that is none, the file's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from headend.watching.faults import NoSuchLimitError

EVERYBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One threshold as the file has it."""

    name: str
    value: int
    words: str


@cache
def defaults() -> Mapping[str, Limit]:
    """All limits, by name."""
    text = (resources.files(__package__) / "limits.toml").read_text("utf-8")
    return {
        name: Limit(name, entry["value"], entry["words"])
        for name, entry in tomllib.loads(text).items()
    }


class Limits:
    """The thresholds in force; a value, read once for a sweep."""

    def __init__(self, own: Mapping[tuple[str, str], int] | None = None) -> None:
        self._own: Final = dict(own or {})

    def __getitem__(self, name: str) -> int:
        return self.of(name)

    def of(self, name: str, customer_group: str = EVERYBODY) -> int:
        """The value of a limit for a customer group.

        Raises:
            NoSuchLimitError: no limit has this name.
        """
        for group in (customer_group, EVERYBODY):
            if (name, group) in self._own:
                return self._own[name, group]
        return limit(name).value

    def group(self, customer_group: str) -> Limits:
        """The thresholds of one customer group, as everybody's."""
        if not customer_group:
            return self
        return Limits({(name, EVERYBODY): self.of(name, customer_group) for name in defaults()})


def limit(name: str) -> Limit:
    """A limit by its name.

    Raises:
        NoSuchLimitError: there is none.
    """
    found = defaults().get(name)
    if found is None:
        raise NoSuchLimitError(
            f"There is no limit '{name}'. `meterhouse finding limits` shows all of them."
        )
    return found
