"""Lines and the one discipline over them all (asyncio).

=====================  ====================================================================
`opening`              `open_link`: from a URL to a `Link`; begin here
`link`                 `Link.run`: one request in flight, and its answer or its end
`exchange`             what a protocol gives to a link: a request, and how its answer is known
`flight`, `turns`      a request on its way; whose turn it is
`meters`, `delay`      what a link remembers of its meters; how long one thinks
`address`, `options`   link URLs; everything that may be set; `url_options`: both in one URL
`serial_port`, `tcp`   lines that we open, as `channel`; `backoff` when that fails
`listener`             modems that call in, with `registration`, `modem_channel`, `call_rate`
`trace`                frames in a file that Wireshark opens, and back
`statistics`           counts per meter and per link
`errors`               `NoAnswer`, `LinkDown` and the other faults
=====================  ====================================================================
"""

from protocols.transport.address import (
    LineSettings,
    Parity,
    Rs485,
    SerialAddress,
    StopBits,
    TcpAddress,
    parse_link_url,
)
from protocols.transport.errors import (
    LinkBusy,
    LinkClosed,
    LinkDown,
    LinkError,
    LinkUrlError,
    NoAnswer,
    TraceFileError,
    UnknownModemError,
)
from protocols.transport.exchange import Exchange, Priority
from protocols.transport.link import Link
from protocols.transport.listener import ModemListener
from protocols.transport.listener_options import (
    ListenerOptions,
    ListenerStatistics,
    ModemEvent,
    ModemEventKind,
)
from protocols.transport.opening import open_link
from protocols.transport.options import LinkOptions, Reach
from protocols.transport.registration import HeartBeat, IdForm, Registration, RemoteIdentity
from protocols.transport.statistics import LinkStatistics, MeterStatistics
from protocols.transport.trace import (
    Direction,
    LinkTrace,
    Trace,
    TraceRecord,
    TraceWriter,
    read_trace,
)
from protocols.transport.url_options import take_link_options

__all__ = [
    "Direction",
    "Exchange",
    "HeartBeat",
    "IdForm",
    "LineSettings",
    "Link",
    "LinkBusy",
    "LinkClosed",
    "LinkDown",
    "LinkError",
    "LinkOptions",
    "LinkStatistics",
    "LinkTrace",
    "LinkUrlError",
    "ListenerOptions",
    "ListenerStatistics",
    "MeterStatistics",
    "ModemEvent",
    "ModemEventKind",
    "ModemListener",
    "NoAnswer",
    "Parity",
    "Priority",
    "Reach",
    "Registration",
    "RemoteIdentity",
    "Rs485",
    "SerialAddress",
    "StopBits",
    "TcpAddress",
    "Trace",
    "TraceFileError",
    "TraceRecord",
    "TraceWriter",
    "UnknownModemError",
    "open_link",
    "parse_link_url",
    "read_trace",
    "take_link_options",
]
