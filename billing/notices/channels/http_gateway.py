"""Short messages by a provider's web interface, described in settings.

``body`` is what the provider wants, with ``$address``, ``$text`` and ``$reference`` in it, each put
in as the format escapes it.  Where the answer has the provider's own reference is
``reference_path``; by it proofs come: by the provider's call (`billing.notices.proofs`), or asked
for at ``status_url``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import quote

from billing.notices.channels.https import Answer, NoAnswerError, exchange, require_url
from billing.notices.channels.port import Fate, Outcome, Parcel, Sender
from billing.notices.channels.secret import read_secret
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError

_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_LATER: Final = (408, 425, 429, 503)
_SIGNED_OUT: Final = (401, 403, 404, 405, 407)


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


_ESCAPES: Final[dict[str, Callable[[str], str]]] = {
    "json": _in_json,
    "form": lambda text: quote(text, safe=""),
}


@dataclass(frozen=True, slots=True)
class HttpGateway:
    """A provider that takes each message by one POST.

    Raises:
        NoticeChannelSettingsError: a setting cannot be used.
    """

    url: str
    body: str
    format: str = "json"
    auth_header: str = "Authorization"
    auth_prefix: str = "Bearer "
    secret_file: str = ""
    """Holds what comes after the prefix; its owner alone may read it."""
    ok_path: str = ""
    """Where the answer says whether it was taken; empty: the HTTP status alone says so."""
    ok_value: str = "0"
    reference_path: str = ""
    status_url: str = ""
    """With ``$reference``: the provider's."""
    status_path: str = ""
    report_reference_path: str = ""
    report_status_path: str = ""
    report_secret_file: str = ""
    """Signs what the provider calls us with: HMAC-SHA-256 of the body, in hexadecimal."""
    report_signature_header: str = "X-Signature"
    delivered: str = "delivered,DELIVRD"
    failed: str = "failed,undelivered,UNDELIV,REJECTD,EXPIRED"
    ca_file: str = ""
    timeout_s: int = 20
    send_s_max: int = 60

    def __post_init__(self) -> None:
        for url in (self.url, self.status_url or self.url):
            require_url(url)
        if self.format not in _TYPES:
            raise NoticeChannelSettingsError("format is json or form.")
        if not {"address", "text"} <= set(Template(self.body).get_identifiers()):
            raise NoticeChannelSettingsError("body names $address and $text.")
        try:
            self._body(Parcel("r", "a", "", '"\n'))
        except (KeyError, ValueError):
            raise NoticeChannelSettingsError(
                "body is of its format, and names $address, $text, $reference alone."
            ) from None
        if not 0 < self.timeout_s <= self.send_s_max <= 3600:
            raise NoticeChannelSettingsError(
                "timeout_s is at least 1, and no more than send_s_max."
            )

    @contextmanager
    def open(self) -> Iterator[Sender]:
        """Each message is a connection of its own."""
        self._headers()
        yield self

    def check(self) -> str:
        """Whether the secret can be read; the provider is not asked: that would cost a message."""
        self._headers()
        return "The settings are complete; `notice test sms --to NUMBER` sends a message of trial."

    def send(self, parcel: Parcel) -> Outcome:
        """Send one."""
        try:
            answer = self._ask(self.url, self._body(parcel))
        except NoAnswerError as fault:
            return Outcome(Fate.UNKNOWN, f"The provider gave no answer: {fault}.")
        return self._outcome(answer)

    def fate_of(self, reference: str) -> Outcome | None:
        """What the provider says of a message of its reference."""
        if not self.status_url:
            return None
        url = Template(self.status_url).safe_substitute(reference=quote(reference, safe=""))
        try:
            answer = self._ask(url, None)
        except NoAnswerError:
            return None
        return self._fate(answer.at(self.status_path)) if answer.status == 200 else None

    @property
    def signature_header(self) -> str:
        """In which header the provider signs its calls, in lower case; empty: it makes none."""
        return self.report_signature_header.lower() if self.report_secret_file else ""

    def read_report(self, body: bytes, signature: str) -> tuple[str, Outcome] | None:
        """What the provider calls us with: its reference, what became of it.

        Raises:
            NoticeChannelSettingsError: the channel has no secret for it, or the signature is wrong.
        """
        if not self.report_secret_file:
            raise NoticeChannelSettingsError("This channel takes no reports: report_secret_file.")
        key = read_secret(Path(self.report_secret_file)).encode()
        if not hmac.compare_digest(
            hmac.digest(key, body, "sha256").hex().encode(), signature.lower().encode()
        ):
            raise NoticeChannelSettingsError("The report is not signed by the provider.")
        answer = Answer(200, body)
        reference, outcome = answer.at(self.report_reference_path), None
        if reference:
            outcome = self._fate(answer.at(self.report_status_path))
        return None if outcome is None else (reference, outcome)

    def _body(self, parcel: Parcel) -> bytes:
        escape = _ESCAPES[self.format]
        text = Template(self.body).substitute(
            address=escape(parcel.address),
            text=escape(parcel.text),
            reference=escape(parcel.reference),
        )
        if self.format == "json":
            json.loads(text)
        return text.encode()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": _TYPES[self.format], "Accept": "application/json"}
        if self.secret_file:
            headers[self.auth_header] = self.auth_prefix + read_secret(Path(self.secret_file))
        return headers

    def _ask(self, url: str, body: bytes | None) -> Answer:
        return exchange(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers=self._headers(),
            ca_file=self.ca_file,
            timeout_s=self.timeout_s,
            most_s=self.send_s_max,
        )

    def _outcome(self, answer: Answer) -> Outcome:
        words = f"The provider answered {answer.status}."
        if answer.status in _SIGNED_OUT or 300 <= answer.status < 400:
            raise NoticeChannelDownError(f"{words} Look at the address and the secret.")
        if answer.status in _LATER:
            return Outcome(Fate.AGAIN, words)
        if 400 <= answer.status < 500:
            return Outcome(Fate.FAILED, words)
        if not 200 <= answer.status < 300:
            return Outcome(Fate.UNKNOWN, words)
        if self.ok_path and answer.at(self.ok_path) != self.ok_value:
            code = answer.at(self.ok_path)[:40]
            return Outcome(Fate.FAILED, f"The provider refused it: {code or 'no word why'}.")
        reference = answer.at(self.reference_path)[:200] if self.reference_path else ""
        has_proof = bool(reference and (self.status_url or self.report_secret_file))
        return Outcome(Fate.SENT, "The provider took it.", reference or None, has_proof)

    def _fate(self, status: str) -> Outcome | None:
        words = f"The provider says: {status[:40]}."
        if status and status in self.delivered.split(","):
            return Outcome(Fate.DELIVERED, words)
        if status and status in self.failed.split(","):
            return Outcome(Fate.FAILED, words)
        return None
