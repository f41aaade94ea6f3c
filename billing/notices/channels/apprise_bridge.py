"""Whatever Apprise can send to, for those whose provider has no better way here.

Apprise (the extra ``messages``) says of a message that it was sent or was not, and not whether it
may have been: what it says was not sent counts as unknown, so that nobody is told twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from billing.notices.channels.port import Fate, Outcome, Parcel, Sender
from billing.notices.channels.secret import read_secret
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """A service that Apprise knows.

    Raises:
        NoticeChannelSettingsError: Apprise is not installed, or a setting cannot be used.
    """

    url_file: str
    """Holds the service's address as Apprise writes it, with ``$address`` for the recipient; it
    holds secrets, so that its owner alone may read it."""
    send_s_max: int = 120

    def __post_init__(self) -> None:
        if not self.url_file or self.send_s_max < 1:
            raise NoticeChannelSettingsError("Name url_file: a file with the service's address.")
        _apprise()

    @contextmanager
    def open(self) -> Iterator[Sender]:
        """The service, whose address Apprise must understand."""
        self.check()
        yield self

    def check(self) -> str:
        """Whether Apprise understands the address."""
        self._service("0000000000")
        return "Apprise understands the address; nothing was sent."

    def send(self, parcel: Parcel) -> Outcome:
        """Send one."""
        service = self._service(parcel.address)
        if service.notify(body=parcel.text, title=""):
            return Outcome(Fate.SENT, "Apprise says that it was sent.")
        return Outcome(Fate.UNKNOWN, "Apprise says that it was not sent, which it cannot know.")

    def _service(self, address: str) -> Any:
        text = read_secret(Path(self.url_file))
        if "$address" not in text:
            raise NoticeChannelDownError("The address of the service has no $address in it.")
        service = _apprise().Apprise()
        if not service.add(Template(text).safe_substitute(address=quote(address, safe=""))):
            raise NoticeChannelDownError("Apprise does not understand the address of the service.")
        return service


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        raise NoticeChannelSettingsError(
            "Apprise is not installed: pip install 'meterhouse[messages]'."
        ) from None
    return apprise
