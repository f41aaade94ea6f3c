"""WeChat Work (企业微信): messages of an application to its users.

Two questions: ``gettoken`` (kept until it expires), ``message/send``.  The contact's address is the
user id there.  Result codes are those of the provider's documentation, "全局错误码".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from billing.notices.channels.https import Answer, NoAnswerError, exchange, require_url
from billing.notices.channels.port import Fate, Outcome, Parcel, Sender
from billing.notices.channels.secret import read_secret
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError

_TOKEN_GONE: Final = ("40014", "42001", "41001")
_LATER: Final = ("-1", "45009", "45033", "45022")
"""Busy, or too many."""
_NO_SUCH_USER: Final = ("81013", "60111", "40031", "40003")
_BYTES_MAX: Final = 2_000
"""Of a text; the provider cuts what is longer (2,048)."""


@dataclass(frozen=True, slots=True)
class WeComChannel:
    """An application of a company in WeChat Work.

    Raises:
        NoticeChannelSettingsError: a setting cannot be used.
    """

    corp_id: str
    agent_id: int
    secret_file: str
    """Holds the application's secret; its owner alone may read it."""
    url: str = "https://qyapi.weixin.qq.com"
    ca_file: str = ""
    timeout_s: int = 20
    send_s_max: int = 120

    def __post_init__(self) -> None:
        require_url(self.url)
        if not self.corp_id or not self.secret_file or self.agent_id <= 0:
            raise NoticeChannelSettingsError("Name corp_id, agent_id and secret_file.")
        if not 0 < 3 * self.timeout_s <= self.send_s_max <= 3600:
            raise NoticeChannelSettingsError("send_s_max has room for three times timeout_s.")

    @contextmanager
    def open(self) -> Iterator[Sender]:
        """Signed in."""
        session = _Session(self)
        session.sign_in()
        yield session

    def check(self) -> str:
        """Sign in."""
        _Session(self).sign_in()
        return "WeChat Work takes our messages."


class _Session:
    def __init__(self, channel: WeComChannel) -> None:
        self._channel: Final = channel
        self._token = ""
        self._until = 0.0

    def sign_in(self) -> None:
        channel = self._channel
        secret = read_secret(Path(channel.secret_file))
        query = urlencode({"corpid": channel.corp_id, "corpsecret": secret})
        try:
            answer = self._ask(f"/cgi-bin/gettoken?{query}", None)
        except NoAnswerError as fault:
            raise NoticeChannelDownError(f"WeChat Work gave no answer: {fault}.") from None
        self._token = answer.at("access_token")
        if answer.at("errcode") != "0" or not self._token:
            raise NoticeChannelDownError(
                f"WeChat Work refused our application: {answer.at('errcode') or answer.status}."
            )
        lasts_s = answer.at("expires_in")
        self._until = time.monotonic() + (int(lasts_s) if lasts_s.isdigit() else 7_200) - 60

    def send(self, parcel: Parcel) -> Outcome:
        if not parcel.address or any(letter in parcel.address for letter in "|@\n "):
            return Outcome(Fate.FAILED, "The address is no user of WeChat Work.")
        if time.monotonic() > self._until:
            self.sign_in()
        answer = self._hand_over(parcel)
        if isinstance(answer, Answer) and answer.at("errcode") in _TOKEN_GONE:
            self.sign_in()  # it was refused, so that nothing has left
            answer = self._hand_over(parcel)
        return answer if isinstance(answer, Outcome) else _outcome(answer, parcel)

    def _hand_over(self, parcel: Parcel) -> Answer | Outcome:
        message = {
            "touser": parcel.address,
            "msgtype": "text",
            "agentid": self._channel.agent_id,
            "text": {"content": _cut(parcel.text)},
            "enable_duplicate_check": 1,
        }
        body = json.dumps(message, ensure_ascii=False).encode()
        query = urlencode({"access_token": self._token})
        try:
            return self._ask(f"/cgi-bin/message/send?{query}", body)
        except NoAnswerError as fault:
            return Outcome(Fate.UNKNOWN, f"WeChat Work gave no answer: {fault}.")

    def _ask(self, target: str, body: bytes | None) -> Answer:
        channel = self._channel
        return exchange(
            channel.url + target,
            method="GET" if body is None else "POST",
            body=body,
            headers={"Content-Type": "application/json"},
            ca_file=channel.ca_file,
            timeout_s=channel.timeout_s,
            most_s=channel.timeout_s,
        )


def _outcome(answer: Answer, parcel: Parcel) -> Outcome:
    code = answer.at("errcode")
    if answer.status != 200 or not code:
        return Outcome(Fate.UNKNOWN, f"WeChat Work answered {answer.status}.")
    if code in _LATER:
        return Outcome(Fate.AGAIN, f"WeChat Work is busy: {code}.")
    invalid = f"{answer.at('invaliduser')}|{answer.at('unlicenseduser')}".lower().split("|")
    if code in _NO_SUCH_USER or parcel.address.lower() in invalid:
        return Outcome(Fate.FAILED, f"WeChat Work knows no such user: {code}.")
    if code != "0":
        raise NoticeChannelDownError(f"WeChat Work refused our message: {code}.")
    return Outcome(Fate.SENT, "WeChat Work took it.", answer.at("msgid")[:200] or None)


def _cut(text: str) -> str:
    return text.encode()[:_BYTES_MAX].decode("utf-8", "ignore")
