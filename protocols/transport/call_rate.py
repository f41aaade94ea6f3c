"""How often one address may call: a bounded table of counts per minute."""

from __future__ import annotations

from typing import Final

_WINDOW_S: Final = 60.0


class CallRate:
    """Counts calls per address in windows of a minute."""

    __slots__ = ("_addresses_max", "_calls_max", "_windows")

    def __init__(self, *, calls_max: int, addresses_max: int) -> None:
        self._calls_max = calls_max
        self._addresses_max = addresses_max
        self._windows: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        """Addresses in the table."""
        return len(self._windows)

    def allows(self, address: str, now: float) -> bool:
        """Count a call at ``now`` (seconds, any steady clock); False: one too many."""
        started, calls = self._windows.get(address, (now, 0))
        if now - started >= _WINDOW_S:
            started, calls = now, 0
            self._windows.pop(address, None)  # so that the table stays in order of beginning
        if address not in self._windows and len(self._windows) >= self._addresses_max:
            self._windows.pop(next(iter(self._windows)))
        self._windows[address] = (started, calls + 1)
        return calls < self._calls_max
