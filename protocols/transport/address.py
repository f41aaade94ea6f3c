"""Where a line is: link URLs.

====================================================================  =========================
``serial:///dev/ttyUSB0?baud=2400&parity=E``                          a serial port, or any pty
``tcp://10.0.0.7:4001``                                               a serial server or gateway
``tcp://[fd00::7]:4001?baud=2400&parity=E``                           ... whose line speed is known
====================================================================  =========================

Options of both: ``baud`` (bits per second), ``parity`` (N E O M S), ``bits`` (5-8), ``stop``
(1, 1.5, 2).  What a URL leaves out is taken from the caller's `LineSettings`, since defaults
differ by protocol.  For ``tcp`` they describe the line behind the gateway and serve only to
compute time-outs.

Options of ``serial``: ``exclusive`` (yes, no; default yes: a second program is kept out),
``rs485`` (off, on, inverted: RTS is raised, or lowered, while sending; for ports whose driver
switches direction), ``rs485_before_ms``, ``rs485_after_ms`` (pause between switching and
sending), ``rs485_echo`` (no, yes: the receiver stays on while sending).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from protocols.transport.errors import LinkUrlError

_URL_CHARACTERS_MAX: Final = 2048
_LINE_OPTIONS: Final = frozenset(("baud", "parity", "bits", "stop"))
_SERIAL_OPTIONS: Final = _LINE_OPTIONS | {
    "exclusive",
    "rs485",
    "rs485_before_ms",
    "rs485_after_ms",
    "rs485_echo",
}
_BAUD_MIN: Final = 50
_BAUD_MAX: Final = 4_000_000
_RS485_PAUSE_MS_MAX: Final = 1000
_FLAGS: Final = {"yes": True, "on": True, "1": True, "no": False, "off": False, "0": False}

_E = TypeVar("_E", bound=Enum)


class Parity(Enum):
    """The bit after the data bits."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"
    MARK = "M"
    SPACE = "S"


class StopBits(Enum):
    """How long the line rests after each character, in bits."""

    ONE = "1"
    ONE_AND_A_HALF = "1.5"
    TWO = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """Speed and character of a serial line; 8E1 unless told otherwise."""

    baud: int
    """Bits per second, 50-4,000,000."""
    parity: Parity = Parity.EVEN
    bits: int = 8
    """Data bits, 5-8."""
    stop: StopBits = StopBits.ONE

    def __post_init__(self) -> None:
        if not _BAUD_MIN <= self.baud <= _BAUD_MAX:
            raise LinkUrlError(f"Speed {self.baud} baud is not {_BAUD_MIN}-{_BAUD_MAX}.")
        if not 5 <= self.bits <= 8:
            raise LinkUrlError(f"A character has 5 to 8 data bits, not {self.bits}.")

    @property
    def bits_per_character(self) -> float:
        """Start, data, parity and stop bits: 11 for 8E1."""
        return 1 + self.bits + (self.parity is not Parity.NONE) + float(self.stop.value)

    def duration_s(self, characters: float) -> float:
        """How long so many characters last on the line, in seconds."""
        return characters * self.bits_per_character / self.baud

    def __str__(self) -> str:
        return f"{self.baud} {self.bits}{self.parity.value}{self.stop.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rs485:
    """How a port whose driver switches the RS-485 direction by RTS does it (Linux)."""

    rts_on_send: bool = True
    """RTS is high while sending and low while receiving; False: the other way round."""
    before_ms: int = 0
    """Pause after switching to sending."""
    after_ms: int = 0
    """Pause before switching back."""
    echo: bool = False
    """Receive while sending, so that the own request is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAddress:
    """A serial port; any tty path, so a pty too."""

    path: str
    line: LineSettings
    rs485: Rs485 | None = None
    exclusive: bool = True

    def __str__(self) -> str:
        return f"serial://{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A serial server, gateway or concentrator that listens."""

    host: str
    port: int
    line: LineSettings | None = None
    """The serial line behind it, if known."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def parse_link_url(url: str, line: LineSettings | None = None) -> SerialAddress | TcpAddress:
    """Read a link's URL.

    Args:
        url: see the table above.
        line: what holds where the URL says nothing; None: a serial URL must give its speed.

    Raises:
        LinkUrlError: says what is wrong with it.
    """
    if len(url) > _URL_CHARACTERS_MAX:
        raise LinkUrlError(f"The link URL has more than {_URL_CHARACTERS_MAX} characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkUrlError(f"{url!r} is no link URL: {error}.") from None
    if parts.fragment or parts.username is not None:
        raise LinkUrlError(f"{url!r}: a link URL has no '#' and no '@' part.")
    if parts.scheme == "serial":
        return _serial(url, parts, line)
    if parts.scheme == "tcp":
        return _tcp(url, parts, port, line)
    raise LinkUrlError(
        f"{url!r} is no link URL; write serial:///dev/ttyUSB0?baud=2400&parity=E "
        "or tcp://host:port."
    )


def _serial(url: str, parts: SplitResult, line: LineSettings | None) -> SerialAddress:
    path = unquote(parts.path)
    if parts.netloc:
        raise LinkUrlError(
            f"{url!r}: the path of a serial port begins with a third '/': "
            f"serial:///{parts.netloc}{path}."
        )
    if path in ("", "/") or "\0" in path:
        raise LinkUrlError(f"{url!r} names no serial port, e.g. serial:///dev/ttyUSB0.")
    options = _options(url, parts.query, _SERIAL_OPTIONS)
    settings = _line(url, options, line)
    if settings is None:
        raise LinkUrlError(f"{url!r} needs a speed, e.g. {url.partition('?')[0]}?baud=2400.")
    return SerialAddress(
        path=path,
        line=settings,
        rs485=_rs485(url, options),
        exclusive=_flag(url, options, "exclusive", default=True),
    )


def _tcp(url: str, parts: SplitResult, port: int | None, line: LineSettings | None) -> TcpAddress:
    if not parts.hostname or not port:
        raise LinkUrlError(f"{url!r} needs a host and a port: tcp://host:port.")
    if parts.path not in ("", "/"):
        raise LinkUrlError(f"{url!r}: nothing may follow the port but options after '?'.")
    options = _options(url, parts.query, _LINE_OPTIONS)
    return TcpAddress(host=parts.hostname, port=port, line=_line(url, options, line))


def _options(url: str, query: str, known: frozenset[str]) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20
        )
    except ValueError as error:
        raise LinkUrlError(f"{url!r}: options are written a=1&b=2 ({error}).") from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise LinkUrlError(f"{url!r} gives an option twice.")
    for name in options:
        if name not in known:
            raise LinkUrlError(
                f"{url!r}: option {name!r} is unknown; known are {', '.join(sorted(known))}."
            )
    return options


def _line(
    url: str, options: Mapping[str, str], default: LineSettings | None
) -> LineSettings | None:
    if "baud" not in options and default is None:
        if not options.keys().isdisjoint(_LINE_OPTIONS):
            raise LinkUrlError(f"{url!r} describes a character but no speed; add baud=.")
        return None
    base = default or LineSettings(baud=_BAUD_MIN)
    return LineSettings(
        baud=_number(url, options, "baud", base.baud),
        parity=_choice(url, options, "parity", base.parity),
        bits=_number(url, options, "bits", base.bits),
        stop=_choice(url, options, "stop", base.stop),
    )


def _rs485(url: str, options: Mapping[str, str]) -> Rs485 | None:
    mode = options.get("rs485", "off")
    if mode not in ("off", "on", "inverted"):
        raise LinkUrlError(f"{url!r}: rs485 is off, on or inverted, not {mode!r}.")
    if mode == "off":
        details = [name for name in options if name.startswith("rs485_")]
        if details:
            raise LinkUrlError(f"{url!r}: {details[0]} needs rs485=on or rs485=inverted.")
        return None
    before_ms = _number(url, options, "rs485_before_ms", 0)
    after_ms = _number(url, options, "rs485_after_ms", 0)
    if max(before_ms, after_ms) > _RS485_PAUSE_MS_MAX:
        raise LinkUrlError(f"{url!r}: RS-485 pauses are 0-{_RS485_PAUSE_MS_MAX} ms.")
    return Rs485(
        rts_on_send=mode == "on",
        before_ms=before_ms,
        after_ms=after_ms,
        echo=_flag(url, options, "rs485_echo", default=False),
    )


def _number(url: str, options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", text):
        raise LinkUrlError(f"{url!r}: {name} is a whole number, not {text!r}.")
    return int(text)


def _choice(url: str, options: Mapping[str, str], name: str, default: _E) -> _E:
    text = options.get(name)
    if text is None:
        return default
    kind = type(default)
    try:
        return kind(text.upper())
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise LinkUrlError(f"{url!r}: {name} is one of {allowed}, not {text!r}.") from None


def _flag(url: str, options: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = options.get(name)
    if text is None:
        return default
    if text.lower() not in _FLAGS:
        raise LinkUrlError(f"{url!r}: {name} is yes or no, not {text!r}.")
    return _FLAGS[text.lower()]
