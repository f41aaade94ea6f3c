"""Passwords: ten levels, 0 the highest, and a lock against guessing.

After `MeterType.password_tries` wrong ones in a row the meter refuses every password for
`MeterType.password_lock_min` (spec section 2.4; one real meter's firmware does so).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from simulators.metering.meter_type import PASSWORD_LEVELS, MeterType

CLEAR_LEVEL: Final = 2
"""Clears, everyday writes and the relay need this level or a higher one (a lower number)."""
SETTING_LEVEL: Final = 4
"""Settings need this one."""


@dataclass(frozen=True, slots=True)
class Access:
    """Changed passwords and wrong tries of one meter."""

    changed: tuple[tuple[int, str], ...] = ()
    """(level, six digits) of the levels whose password is no longer the factory's."""
    wrong: int = 0
    locked_until: int = 0
    """True second."""

    def password(self, level: int, type_: MeterType) -> str | None:
        """The password of a level; None where there is no such level."""
        for changed, digits in self.changed:
            if changed == level:
                return digits
        return type_.passwords[level] if level < PASSWORD_LEVELS else None

    def tried(
        self, level: int, digits: str, needed: int, second: int, type_: MeterType
    ) -> tuple[bool, Access]:
        """Whether a password opens what needs a level, and what is remembered of the try."""
        if second < self.locked_until:
            return False, self
        if level > needed or digits != self.password(level, type_):
            wrong = self.wrong + 1
            if wrong < type_.password_tries:
                return False, replace(self, wrong=wrong)
            until = second + type_.password_lock_min * 60
            return False, replace(self, wrong=0, locked_until=until)
        return True, self if not self.wrong else replace(self, wrong=0)

    def with_password(self, level: int, digits: str) -> Access:
        """After the password of a level was changed."""
        others = tuple(change for change in self.changed if change[0] != level)
        return replace(self, changed=(*others, (level, digits)))


FACTORY_ACCESS: Final = Access()
