"""All steps in order: listen, find the setting, find who answers, listen again, conclude."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from protocols.dlt645.addresses import ANY_METER, BROADCAST, Address
from protocols.dlt645.codec import Frame
from protocols.dlt645.controls import Edition, function_name, function_of, guess_edition
from protocols.dlt645.requests import ReadAddress
from protocols.dlt645.requests_1997 import ReadData1997
from protocols.doctor.conclusion import conclude
from protocols.doctor.findings import (
    Diagnosis,
    FoundMeter,
    OtherMaster,
    Progress,
    SearchResult,
    Setting,
    Step,
    Tell,
    Verdict,
)
from protocols.doctor.hearing import Heard, Question
from protocols.doctor.plan import (
    FIRST,
    NETWORK_PATIENCE,
    SERIAL_PATIENCE,
    Patience,
    settings_to_try,
)
from protocols.doctor.search import Search
from protocols.doctor.tap import Opener, Tap
from protocols.transport.address import LineSettings, SerialAddress, TcpAddress, parse_link_url
from protocols.transport.channel import Channel, Lost, Received
from protocols.transport.serial_port import open_serial
from protocols.transport.tcp import open_tcp
from protocols.transport.trace import Trace

_EDITIONS: Final = (Edition.Y2007, Edition.Y1997)
_OWN_TRIES: Final = 2
_WHO_TRIES: Final = 3
_FORWARD_ACTIVE_1997: Final = 0x9010
_QUESTION_BYTES: Final = 16
_KEEPALIVE_S: Final = 30
_CLEAN_ENOUGH: Final = 2


async def examine(
    url: str,
    tell: Tell,
    *,
    editions: Iterable[Edition] = _EDITIONS,
    patience: Patience | None = None,
    search: bool = True,
    trace: Trace | None = None,
    opener: Opener | None = None,
) -> Diagnosis:
    """Examine a line; asks harmless questions only.

    Args:
        url: ``serial:///dev/ttyUSB0`` or ``tcp://host:port``; a speed in it is tried first.
        tell: takes each step as it ends, and progress in between.
        editions: which are asked for.
        patience: how long things may last; None: by what kind of line it is.
        search: look for the numbers of meters that answer at once.
        trace: sees every byte.
        opener: opens the line instead of the URL, for tests.

    Raises:
        LinkUrlError: the URL makes no sense.
        LinkDown: the line cannot be opened, or broke.
    """
    address = parse_link_url(url, FIRST if url.startswith("serial:") else None)
    if patience is None:
        patience = SERIAL_PATIENCE if isinstance(address, SerialAddress) else NETWORK_PATIENCE
    return await _Examination(
        opener or _opener(address, patience),
        address.line if isinstance(address, SerialAddress) else None,
        tuple(editions),
        patience,
        tell,
        trace,
        may_search=search,
    ).run()


def _opener(address: SerialAddress | TcpAddress, patience: Patience) -> Opener:
    async def opened(settings: LineSettings | None, received: Received, lost: Lost) -> Channel:
        if isinstance(address, SerialAddress):
            here = address if settings is None else replace(address, line=settings)
            return await open_serial(here, received, lost)
        return await open_tcp(
            address, received, lost, connect_s=patience.open_s, keepalive_s=_KEEPALIVE_S
        )

    return opened


class _Examination:
    """One examination while it lasts."""

    def __init__(
        self,
        opener: Opener,
        own: LineSettings | None,
        editions: tuple[Edition, ...],
        patience: Patience,
        tell: Tell,
        trace: Trace | None,
        *,
        may_search: bool,
    ) -> None:
        self._opener = opener
        self._own = own
        self._editions = editions
        self._patience = patience
        self._tell = tell
        self._trace = trace
        self._may_search = may_search
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._tap: Tap | None = None
        self._line = own

        self._echo = False
        self._stray_bytes = 0
        self._stray_sample = b""
        self._asked_by_others: Counter[tuple[str, str]] = Counter()
        self._overheard: dict[str, None] = {}
        self._garbled: dict[Setting, None] = {}
        self._tried: dict[Setting, None] = {}
        self._meters: dict[Address, FoundMeter] = {}
        self._several = False

    async def run(self) -> Diagnosis:
        try:
            await self._open(self._own)
            await self._listen("listen")
            setting = await self._find_setting()
            search: SearchResult | None = None
            if setting is not None:
                await self._find_meters(setting)
            if self._several or (setting is None and self._garbled):
                setting, search = await self._search(setting)
            if setting is not None and setting.line != self._own and not self._is_over():
                await self._listen("listen again")
            return self._diagnosis(setting, search)
        finally:
            if self._tap is not None:
                await self._tap.aclose()

    # The line

    async def _open(self, line: LineSettings | None) -> None:
        if self._tap is not None:
            if line == self._line:
                return
            await self._tap.aclose()
            self._tap = None
        self._tap = await Tap.open(self._opener, line, self._trace)
        self._line = line

    async def _listen(self, name: str) -> None:
        assert self._tap is not None
        seconds = self._patience.listen_s
        self._progress(name, "Listening, without a word", 0, 1, seconds)
        heard = await self._tap.listen(seconds)
        self._note_strays(heard)
        at = f" at {self._line}" if self._line is not None else ""
        if heard.requests:
            verdict, text = Verdict.WARNING, f"Another master asks on this line{at}."
        elif heard.foreign:
            verdict, text = Verdict.WARNING, f"Meters answer somebody else on this line{at}."
        elif heard.noise_bytes:
            verdict = Verdict.WARNING
            text = f"{heard.noise_bytes} bytes came{at} while nobody was asked; no frame in them."
        else:
            verdict, text = Verdict.GOOD, f"Silence for {seconds:g} s, as it should be."
        self._tell(Step(name, verdict, text))

    async def _ask(self, question: Question) -> Heard:
        assert self._tap is not None
        before, heard = await self._tap.ask(question, self._patience)
        self._note_strays(before)
        self._note_frames(heard)
        self._echo = self._echo or heard.echo
        return heard

    def _note_strays(self, heard: Heard) -> None:
        self._stray_bytes += heard.noise_bytes
        self._stray_sample = self._stray_sample or heard.sample
        self._note_frames(heard)

    def _note_frames(self, heard: Heard) -> None:
        for frame in heard.requests:
            self._asked_by_others[frame.address, _function(frame)] += 1
        if heard.requests or not self._meters:
            for frame in heard.foreign:
                self._overheard[frame.address] = None

    # Speed and character

    async def _find_setting(self) -> Setting | None:
        """The first setting at which a meter answers in whole frames."""
        lines: list[LineSettings | None] = [None]
        if self._own is not None:
            lines = [*settings_to_try(self._own)]
        for number, line in enumerate(lines):
            if self._is_over():
                break
            await self._open(line)
            tries = _OWN_TRIES if number == 0 else 1
            for edition in self._editions * tries:
                setting = Setting(line, edition)
                left_s = (len(lines) - number) * self._question_s(line) * len(self._editions)
                self._progress("settings", f"Asking by {setting}", number, len(lines), left_s)
                self._tried[setting] = None
                heard = await self._ask(_wildcard_question(edition))
                if heard.meters:
                    self._note_meters(heard, edition)
                    self._say_setting(setting)
                    return setting
                if heard.is_garbled:
                    self._garbled[setting] = None
        self._say_setting(None)
        return None

    def _say_setting(self, setting: Setting | None) -> None:
        if setting is not None:
            is_own = setting.line == self._own
            verdict = Verdict.GOOD if is_own else Verdict.WARNING
            text = f"A meter answers by {setting}"
            text += "." if is_own else f"; the link's URL says {self._own}."
        elif self._garbled:
            verdict = Verdict.WARNING
            text = f"Something answers by {next(iter(self._garbled))}, but not in whole frames."
        else:
            verdict = Verdict.FAULT
            text = f"Nobody answers; {len(self._tried)} settings were tried."
        self._tell(Step("settings", verdict, text))
        if self._echo:
            text = "The converter hears its own sending (echo); meterhouse takes no harm."
            self._tell(Step("echo", Verdict.NOTE, text))

    # Who is there

    async def _find_meters(self, setting: Setting) -> None:
        """Ask everybody a few times more, and by the other edition too."""
        others = [edition for edition in self._editions if edition is not setting.edition]
        asked = [setting.edition] * _WHO_TRIES + others * _CLEAN_ENOUGH
        trouble = 0
        for number, edition in enumerate(asked):
            if self._is_over():
                break
            left_s = (len(asked) - number) * self._question_s(setting.line)
            self._progress("meters", "Asking who is there", number, len(asked), left_s)
            heard = await self._ask(_wildcard_question(edition))
            self._note_meters(heard, edition)
            trouble += heard.is_garbled or (edition is setting.edition and not heard.meters)
        same = [meter for meter in self._meters.values() if meter.edition is setting.edition]
        self._several = len(same) > 1 or trouble > 1
        names = ", ".join(self._meters)
        if self._several:
            text = f"Several meters answer at once ({names} among them)."
            self._tell(Step("meters", Verdict.NOTE, text))
        else:
            verdict = Verdict.WARNING if trouble else Verdict.GOOD
            unsteady = " It did not answer each time." if trouble else ""
            text = f"{'One meter answers' if len(same) == 1 else 'These answer'}: {names}."
            self._tell(Step("meters", verdict, text + unsteady))

    def _note_meters(self, heard: Heard, edition: Edition) -> None:
        delay_ms = None
        if heard.is_clean and heard.delay_s is not None:
            delay_ms = round(heard.delay_s * 1000)
        for address in heard.meters:
            if address not in self._meters:
                self._meters[address] = FoundMeter(address, edition, delay_ms)
        self._several = self._several or len(heard.meters) > 1

    async def _search(self, setting: Setting | None) -> tuple[Setting | None, SearchResult | None]:
        """Tell meters apart that answer at once; may prove a setting that nobody has proven."""
        at = setting or next(
            (each for each in self._garbled if each.edition is Edition.Y2007), None
        )
        if at is None or at.edition is not Edition.Y2007 or not self._may_search:
            return setting, None
        await self._open(at.line)

        def tell(asked: int, planned: int, now: str) -> None:
            left_s = (planned - asked) * self._question_s(at.line)
            self._progress("search", f"Asking {now}", asked, planned, left_s)

        known = len(self._meters)
        search = Search(self._ask, self._is_over, tell)
        result = await search.run()
        for heard in search.found.values():
            self._note_meters(heard, Edition.Y2007)
        if setting is None and self._meters:
            setting = at
        text = f"{len(self._meters)} meters found, {len(self._meters) - known} of them by searching"
        if not result.is_complete:
            text += f"; {result.asked} of {result.planned} endings asked, then the time was over"
        verdict = Verdict.GOOD if result.is_complete and self._meters else Verdict.WARNING
        self._tell(Step("search", verdict, f"{text}."))
        return setting, result

    # Time

    def _question_s(self, line: LineSettings | None) -> float:
        wire_s = line.duration_s(2 * _QUESTION_BYTES) if line is not None else 0.0
        return wire_s + self._patience.answer_s + self._patience.way_s

    def _is_over(self) -> bool:
        return self._clock() - self._began_at >= self._patience.total_s

    def _progress(self, name: str, text: str, done: int, total: int, left_s: float) -> None:
        rest_s = max(0.0, self._patience.total_s - (self._clock() - self._began_at))
        self._tell(Progress(name, text, done, total, min(left_s, rest_s)))

    # The end

    def _diagnosis(self, setting: Setting | None, search: SearchResult | None) -> Diagnosis:
        others = self._asked_by_others.most_common()
        diagnosis = Diagnosis(
            setting=setting,
            is_own_setting=setting is not None and setting.line == self._own,
            meters=tuple(sorted(self._meters.values(), key=lambda meter: meter.address)),
            several=self._several
            or (search is not None and (len(self._meters) > 1 or bool(search.doubled))),
            echo=self._echo,
            stray_bytes=self._stray_bytes,
            stray_sample=self._stray_sample,
            other_masters=tuple(OtherMaster(*who, times) for who, times in others),
            overheard=tuple(self._overheard),
            garbled=tuple(self._garbled),
            tried=len(self._tried),
            search=search,
            took_s=self._clock() - self._began_at,
            out_of_time=self._is_over(),
            advice=(),
        )
        return replace(diagnosis, advice=conclude(diagnosis, behind_network=self._own is None))


def _wildcard_question(edition: Edition) -> Question:
    """Who is there?  Every meter feels meant."""
    if edition is Edition.Y2007:
        return Question(ReadAddress(), ANY_METER)
    return Question(ReadData1997(_FORWARD_ACTIVE_1997), BROADCAST)


def _function(frame: Frame) -> str:
    function = function_of(frame.control, guess_edition(frame))
    return function_name(function) or f"control code {frame.control:02X}"
