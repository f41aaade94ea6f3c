"""Faults of the links: one class and one stable code each.

=====================  ====================================================================
`LinkUrlError`         the link's URL or options make no sense: mend them
`NoAnswer`             this meter was silent; the line itself is in order
`LinkDown`             the line is broken: no meter behind it can be reached
`LinkClosed`           we closed the line ourselves
`LinkBusy`             too many callers wait for this line
`UnknownModemError`    no modem of this name has called in
`TraceFileError`       a file that should be a trace is none, or cannot be written
=====================  ====================================================================

`NoAnswer` and `LinkDown` also say that nobody knows what the meter did: a request that was
sent may have been carried out though its answer never came.
"""

from __future__ import annotations

from typing import ClassVar

from protocols.errors import LocalProtocolError, ProtocolError


class LinkUrlError(LocalProtocolError):
    """A link's URL or its options cannot be used; nothing was opened."""

    code: ClassVar[str] = "link_url"


class LinkError(ProtocolError):
    """Any fault of a link in use."""

    code: ClassVar[str] = "link_error"


# The names below are the field's own words for what happens on a line.
class NoAnswer(LinkError):  # noqa: N818
    """The meter did not answer in its time (each allowed attempt); the line goes on."""

    code: ClassVar[str] = "no_answer"


class LinkDown(LinkError):  # noqa: N818
    """The line is broken, or cannot be opened; the next request tries to open it again."""

    code: ClassVar[str] = "link_down"


class LinkClosed(LinkDown):
    """The line was closed by its owner and will not be opened again."""

    code: ClassVar[str] = "link_closed"


class LinkBusy(LinkError):  # noqa: N818
    """The line's queue is full; this request was not sent."""

    code: ClassVar[str] = "link_busy"


class UnknownModemError(LinkError):
    """No modem has registered under this name in the time given."""

    code: ClassVar[str] = "unknown_modem"


class TraceFileError(LocalProtocolError):
    """A file is no trace, or cannot be written."""

    code: ClassVar[str] = "trace_file"
