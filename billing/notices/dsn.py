"""Answers of mail servers: delivery status notifications (RFC 3464), in their letters (RFC 6522).

Pure: bytes in, values out.  What is no such answer gives nothing; what is one gives a status for
each recipient, with the reference by which we know our message: its envelope id (RFC 3461), which
we gave, or the Message-ID of the returned message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.parser import BytesParser, Parser
from email.policy import compat32, default
from enum import StrEnum
from typing import Any, Final

BYTES_MAX: Final = 5_000_000
_STATUS: Final = re.compile(r"\s*([245])\.([0-9]{1,3})\.([0-9]{1,3})")
_MESSAGE_ID: Final = re.compile(r"<([^<>\s]{1,300})>")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")


class Action(StrEnum):
    """What a server did with a message (RFC 3464, 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a system that sends no proofs."""
    EXPANDED = "expanded"
    """Delivered to a list, which hands it on."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What became of our message, for its recipient."""

    reference: str
    action: Action
    status: str
    """As ``5.1.1``; empty: not given."""
    diagnostic: str
    """The server's code (``550``) where it gives one; never its words, which quote addresses."""

    @property
    def is_for_good(self) -> bool:
        """Whether a failure stays one; 4.x.x of a server that gave up is one, too."""
        return self.action is Action.FAILED

    @property
    def words(self) -> str:
        """For people."""
        parts = [self.action.value, self.status, self.diagnostic and f"({self.diagnostic})"]
        return "answer of a mail server: " + " ".join(part for part in parts if part)


def read_dsn(content: bytes) -> list[DeliveryStatus]:
    """What a letter says of our messages; nothing, when it is another letter.

    Args:
        content: of one e-mail, whole.
    """
    if len(content) > BYTES_MAX:
        return []
    try:
        return _read(BytesParser(policy=default).parsebytes(content))
    except (MessageError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return []  # the parser of the standard library fails in many ways at malformed headers


def _read(letter: EmailMessage) -> list[DeliveryStatus]:
    if letter.get_content_type() != "multipart/report":
        return []
    about, returned = None, None
    for part in letter.iter_parts():
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status") and about is None:
            about = part
        elif kind in (
            "message/rfc822",
            "text/rfc822-headers",
            "message/global",
            "message/global-headers",
        ):
            returned = part
    if about is None:
        return []
    groups = _groups(about)
    if not groups:
        return []
    envelope = _field(groups[0], "Original-Envelope-Id")
    reference = _from_xtext(envelope) if envelope else _message_id(returned)
    if not reference:
        return []
    return [found for group in groups[1:] if (found := _status(reference, group)) is not None]


def _groups(about: Any) -> list[Message]:
    """The fields of the message, then those of each recipient."""
    payload = about.get_payload()
    if isinstance(payload, list):
        return [group for group in payload if len(group)]
    parser = Parser(policy=compat32)
    blocks = re.split(r"\r?\n\s*\r?\n", str(payload))
    return [
        parser.parsestr(block.strip() + "\n", headersonly=True) for block in blocks if block.strip()
    ]


def _status(reference: str, group: Message) -> DeliveryStatus | None:
    word = _field(group, "Action").partition(" ")[0].partition("(")[0].strip().lower()
    if word not in [action.value for action in Action]:
        return None
    found = _STATUS.match(_field(group, "Status"))
    status = ".".join(found.groups()) if found else ""
    kind, _, diagnostic = _field(group, "Diagnostic-Code").partition(";")
    code = re.match(r"\s*([245][0-9]{2})", diagnostic) if kind.strip().lower() == "smtp" else None
    return DeliveryStatus(reference, Action(word), status, code[1] if code else "")


def _message_id(returned: Any) -> str:
    """Of the message that came back, or of its headers."""
    if returned is None:
        return ""
    inner = returned.get_payload()
    if isinstance(inner, list) and inner:
        given = _field(inner[0], "Message-ID")
    else:
        text = returned.get_content()
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        given = _field(Parser(policy=compat32).parsestr(text, headersonly=True), "Message-ID")
    found = _MESSAGE_ID.search(given)
    return found[1] if found else ""


def _field(group: Any, name: str) -> str:
    value = group.get(name)
    return "" if value is None else " ".join(str(value).split())


def _from_xtext(text: str) -> str:
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), text).strip("<> ")
