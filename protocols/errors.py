"""The root of every fault of the wire, and who is to blame for it.

=======================  ==================================================================
`LocalProtocolError`     we were about to send something that the standard does not allow
`RemoteProtocolError`    the other side sent something that the standard does not allow
=======================  ==================================================================

A third branch, the link's own faults (broken line, silent meter), stands in
``protocols.transport.errors``.  One class and one stable ``code`` per fault; the message says
what to do.  A meter that refuses a request by the rules is no fault of the protocol: its
refusal is an answer like any other.
"""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(Exception):
    """Any fault of the wire.  ``code`` is stable, the message is for people."""

    code: ClassVar[str] = "protocol_error"


class LocalProtocolError(ProtocolError):
    """Misuse by our own side: nothing was sent."""

    code: ClassVar[str] = "local_protocol_error"


class RemoteProtocolError(ProtocolError):
    """The peer broke the rules: what it sent is not used."""

    code: ClassVar[str] = "remote_protocol_error"
