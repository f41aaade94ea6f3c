"""A channel as the sender sees it.  Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

CHANNELS: Final = ("email", "sms", "wechat")
"""Each goes to one kind of address of a contact."""


class Fate(StrEnum):
    """What is known of a message after an attempt, or later."""

    SENT = "sent"
    """Somebody else is responsible for it now."""
    DELIVERED = "delivered"
    """There is proof that it arrived."""
    AGAIN = "again"
    """It has certainly not left, and may be tried later."""
    FAILED = "failed"
    """It has certainly not left, or not arrived, and will not."""
    UNKNOWN = "unknown"
    """It may have left."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt."""

    fate: Fate
    words: str
    """For people: the server's answer without addresses."""
    reference: str | None = None
    """The provider's own, by which proofs come later."""
    is_asked_for_proof: bool = False
    """Whether the other side has promised to tell of the delivery."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an e-mail."""

    name: str
    media_type: str
    content: bytes

    def __repr__(self) -> str:
        return f"Attachment({self.name!r}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to one address, ready to leave."""

    reference: str
    """Ours; e-mails carry it as Message-ID, and carry it again when they are repeated."""
    address: str
    subject: str
    text: str
    attachments: Sequence[Attachment] = ()

    def __repr__(self) -> str:
        return f"Parcel({self.reference!r})"  # nothing personal in a traceback


class Sender(Protocol):
    """An open way out."""

    def send(self, parcel: Parcel) -> Outcome:
        """Send one; no exception but `NoticeChannelDownError`, when nothing has left."""


class Adapter(Protocol):
    """What sends the messages of a channel."""

    send_s_max: int
    """Seconds after which a send has ended, whatever the other side does."""

    def open(self) -> AbstractContextManager[Sender]:
        """A way out for some messages.

        Raises:
            NoticeChannelDownError: it cannot be used now.
        """

    def check(self) -> str:
        """Look whether it could send, without sending; gives what was found, for people.

        Raises:
            NoticeChannelDownError: it cannot be used now.
        """


class Asks(Protocol):
    """An adapter whose provider can be asked for what became of a message."""

    def fate_of(self, reference: str) -> Outcome | None:
        """What the provider knows; None: nothing new.

        Raises:
            NoticeChannelDownError: it cannot be asked now.
        """
