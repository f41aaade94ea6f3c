"""The operator's file of meter passwords: an entry by name, the registry names which.

::

    [default]
    level = 2
    digits = "123456"

    [north]
    level = 2
    digits = "654321"
    operator = "00000017"  # C0-C3, which the meter logs

The file is its owner's alone (mode 0600), is never part of the database, and what is in it is never
shown: not in messages, not in logs.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headend.orders.faults import CredentialsError
from protocols.dlt645.errors import FieldRangeError
from protocols.dlt645.fields import Password, encode_operator
from protocols.dlt645.master.master import NO_OPERATOR

DEFAULT_ENTRY: Final = "default"
CREDENTIALS_VARIABLE: Final = "METERHOUSE_CREDENTIALS"
_KNOWN: Final = {"level", "digits", "operator"}


@dataclass(frozen=True, slots=True)
class Credential:
    """What persuades a meter to take an order."""

    password: Password
    """Never shown: its digits are not in its text either."""
    operator: str = NO_OPERATOR


class Credentials:
    """The entries of a file, or none at all."""

    def __init__(self, entries: Mapping[str, Credential] | None = None) -> None:
        self._entries: Final = dict(entries or {})

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self._entries))})"

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """The entries of a file.

        Raises:
            CredentialsError: it is missing, open to others, or an entry is none.
        """
        try:
            mode = path.stat().st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise CredentialsError(
                    f"Others may read the meter passwords in {path}: run chmod 600 {path}."
                )
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError as fault:
            raise CredentialsError(
                f"The meter passwords in {path} cannot be read: {fault.strerror}."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            # the parser's own text may quote a line, and a line may hold a password
            raise CredentialsError(f"{path} is no TOML file.") from None
        return cls({name: _entry(path, name, given) for name, given in table.items()})

    def of(self, name: str | None) -> Credential:
        """The entry that a meter names, or else the default one.

        Raises:
            CredentialsError: there is no such entry.
        """
        found = self._entries.get(name or DEFAULT_ENTRY)
        if found is None:
            raise CredentialsError(
                f"There is no entry {name or DEFAULT_ENTRY!r} in the file of meter passwords; "
                f"name the file with {CREDENTIALS_VARIABLE}."
            )
        return found


def _entry(path: Path, name: str, given: Any) -> Credential:
    if not isinstance(given, dict) or not {"level", "digits"} <= given.keys() <= _KNOWN:
        raise CredentialsError(
            f"[{name}] in {path} needs level and digits, and may have operator; nothing else."
        )
    level, digits, operator = given["level"], given["digits"], given.get("operator", NO_OPERATOR)
    if type(level) is not int or not isinstance(digits, str) or not isinstance(operator, str):
        raise CredentialsError(f"[{name}] in {path}: level is a number, the others are texts.")
    try:
        encode_operator(operator)
        return Credential(Password(level, digits), operator.upper())
    except FieldRangeError as fault:
        raise CredentialsError(f"[{name}] in {path}: {fault}") from None
