"""Several meters answer at once: told apart by shortened addresses.

High bytes AA and low bytes given address all meters whose number ends so (spec section 1).  A
byte of BCD has a hundred values; so the last two digits are tried first, and where several
meters still answer at once, the two before them, and so on.  Only a byte can be given or left
open, so there is no halving.

1997 knows at most three AA (grade C): there is no way from a wildcard to the numbers in steps
of a hundred, and nothing is searched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from protocols.dlt645.addresses import Address, shortened
from protocols.dlt645.requests import ReadData
from protocols.doctor.findings import SearchResult
from protocols.doctor.hearing import Heard, Question

FORWARD_ACTIVE: Final = 0x00010000
_VALUES: Final = 100
_DIGITS: Final = 12

Ask = Callable[[Question], Awaitable[Heard]]


@dataclass(slots=True)
class Search:
    """A search in progress.

    Args:
        ask: carries out one question.
        is_over: whether the time is used up.
        tell: takes how many were asked, how many are planned, and what is asked now.
    """

    ask: Ask
    is_over: Callable[[], bool]
    tell: Callable[[int, int, str], None]
    found: dict[Address, Heard] = field(default_factory=dict)
    _asked: int = 0
    _planned: int = 0

    async def run(self) -> SearchResult:
        """Ask for all endings, bounded by the time.

        Raises:
            LinkDown: the line broke.
        """
        doubled: list[str] = []
        endings = deque([""])
        while endings:
            ending = endings.popleft()
            self._planned += _VALUES
            for value in range(_VALUES):
                if self.is_over():
                    return self._result(doubled)
                digits = f"{value:02d}{ending}"
                self.tell(self._asked, self._planned, shortened(digits))
                heard = await self._ask(digits)
                if len(heard.meters) <= 1 and not heard.is_garbled:
                    continue
                if len(digits) < _DIGITS and (heard.is_garbled or heard.noise_bytes):
                    endings.append(digits)
                elif heard.is_garbled:
                    doubled.append(digits)
        return self._result(doubled)

    async def _ask(self, digits: str) -> Heard:
        question = Question(ReadData(FORWARD_ACTIVE), shortened(digits))
        heard = await self.ask(question)
        self._asked += 1
        for meter in heard.meters:
            self.found.setdefault(meter, heard)
        return heard

    def _result(self, doubled: list[str]) -> SearchResult:
        return SearchResult(self._asked, self._planned, tuple(doubled))
