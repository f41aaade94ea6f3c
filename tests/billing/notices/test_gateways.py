"""SMS and WeChat providers, over real sockets: each answer is what is known, and no more."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from billing.notices.channels.port import Fate, Outcome, Parcel
from billing.notices.channels.setup import adapter_of
from billing.notices.faults import (
    NoticeChannelDownError,
    NoticeChannelSettingsError,
    UnknownMessageError,
)
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.notices.proofs import take_report
from billing.notices.reports import Reports, signature_headers
from billing.notices.sweeping import sweep
from billing.notices.tables import notice_callbacks, notice_messages
from billing.office import Office
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.billing.payments.hooks import post, served
from tests.shop.conftest import Clock

Reply = Callable[[str, bytes], tuple[int, Any] | None]
PARCEL = Parcel("mh.1.1.aa@x", "+8613800000000", "", 'Balance "low"\n余额不足')
BODY = '{"to": "$address", "text": "$text", "id": "$reference"}'


@contextmanager
def provider(reply: Reply) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A provider; gives its address and what it was asked.  None: it closes without a word."""
    asked: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.path, dict(self.headers), body))
            answer = reply(self.path, body)
            if answer is None:
                return
            content = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - its name

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def secret(folder: Path, text: str = "s3cret") -> str:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def send(channel: str, name: str, settings: dict[str, Any], parcel: Parcel = PARCEL) -> Outcome:
    with adapter_of(channel, name, settings).open() as sender:
        return sender.send(parcel)


def test_req16_an_sms_leaves_by_a_providers_web_interface(tmp_path: Path) -> None:
    with provider(lambda _path, _body: (200, {"code": 0, "data": {"id": "p-77"}})) as (url, asked):
        outcome = send(
            "sms",
            "http",
            {
                "url": f"{url}/send",
                "body": BODY,
                "secret_file": secret(tmp_path),
                "ok_path": "code",
                "reference_path": "data.id",
                "status_url": f"{url}/status/$reference",
                "status_path": "state",
            },
        )
    assert (outcome.fate, outcome.reference, outcome.is_asked_for_proof) == (
        Fate.SENT,
        "p-77",
        True,
    )
    ((path, headers, body),) = asked
    assert path == "/send"
    assert headers["Authorization"] == "Bearer s3cret"
    assert json.loads(body) == {
        "to": PARCEL.address,
        "text": PARCEL.text,
        "id": PARCEL.reference,
    }


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        ((200, {"code": 7}), Fate.FAILED),
        ((200, "no JSON that we know"), Fate.FAILED),
        ((400, {}), Fate.FAILED),
        ((429, {}), Fate.AGAIN),
        ((503, {}), Fate.AGAIN),
        ((500, {}), Fate.UNKNOWN),
        ((504, {}), Fate.UNKNOWN),
        (None, Fate.UNKNOWN),
    ],
)
def test_what_a_provider_answers_is_what_is_known(
    answer: tuple[int, Any] | None, fate: Fate
) -> None:
    with provider(lambda _path, _body: answer) as (url, _):
        assert send("sms", "http", {"url": url, "body": BODY, "ok_path": "code"}).fate is fate


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_a_wrong_address_or_secret_is_the_channels_fault(status: int) -> None:
    with (
        provider(lambda _path, _body: (status, {})) as (url, _),
        pytest.raises(NoticeChannelDownError, match=str(status)),
    ):
        send("sms", "http", {"url": url, "body": BODY})


def test_a_provider_that_is_silent_is_left_in_time() -> None:
    def silent(_path: str, _body: bytes) -> None:
        time.sleep(3)

    started = time.monotonic()
    with provider(silent) as (url, _):
        settings = {"url": url, "body": BODY, "timeout_s": 1, "send_s_max": 1}
        assert send("sms", "http", settings).fate is Fate.UNKNOWN
        assert time.monotonic() - started < 3


def test_a_provider_that_is_not_there_has_got_nothing() -> None:
    with pytest.raises(NoticeChannelDownError, match="cannot be reached"):
        send("sms", "http", {"url": "http://127.0.0.1:1/", "body": BODY})


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://sms.example/send", "body": BODY},
        {"url": "https://user:word@sms.example/send", "body": BODY},
        {"url": "https://sms.example", "body": '{"to": "$address"}'},
        {"url": "https://sms.example", "body": "$address $text no JSON"},
        {"url": "https://sms.example", "body": BODY, "format": "xml"},
        {"url": "https://sms.example", "body": '{"a": "$address", "t": "$text", "x": "$other"}'},
    ],
)
def test_settings_of_a_provider_that_cannot_be_used_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(NoticeChannelSettingsError):
        adapter_of("sms", "http", settings)


def bill_by_sms(office: Office, settings: dict[str, Any]) -> None:
    with office.writing() as connection:
        set_up(connection, office, "sms", "http", settings)
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, email=None, phone="+8613800000000")
        about: dict[str, str | int] = {"bill_number": "B-1", "total_minor": 120_00}
        queue_notice(connection, office, Notice(Event.BILL, account_id, "b", about))


def state_of(office: Office) -> str:
    with office.reading() as connection:
        return str(connection.scalar(select(notice_messages.c.state)))


def test_req16_a_providers_signed_call_proves_delivery(office: Office, tmp_path: Path) -> None:
    key = secret(tmp_path)
    with provider(lambda _path, _body: (200, {"id": "p-1"})) as (url, _):
        settings = {
            "url": url,
            "body": BODY,
            "reference_path": "id",
            "report_secret_file": key,
            "report_reference_path": "message.id",
            "report_status_path": "message.state",
        }
        bill_by_sms(office, settings)
        sweep(office)
    assert state_of(office) == "sent"

    def report(state: str, reference: str = "p-1") -> tuple[bytes, str]:
        body = json.dumps({"message": {"id": reference, "state": state}}).encode()
        return body, hmac.digest(b"s3cret", body, "sha256").hex()

    body, signature = report("DELIVRD")
    with pytest.raises(NoticeChannelSettingsError, match="not signed"):
        take_report(office, "sms", body + b" ", signature)
    with pytest.raises(UnknownMessageError, match="no message"):
        take_report(office, "sms", *report("DELIVRD", "another's"))
    assert take_report(office, "sms", *report("ENROUTE")) is False
    assert state_of(office) == "sent"
    assert take_report(office, "sms", body, signature) is True
    assert take_report(office, "sms", body, signature) is True
    assert state_of(office) == "delivered"
    with pytest.raises(NoticeChannelSettingsError, match="not set up"):
        take_report(office, "wechat", body, signature)


def test_req16_a_provider_posts_its_reports_to_the_listener(office: Office, tmp_path: Path) -> None:
    with pytest.raises(NoticeChannelSettingsError, match="report_secret_file"):
        signature_headers(office)
    with provider(lambda _path, _body: (200, {"id": "p-1"})) as (url, _):
        settings = {
            "url": url,
            "body": BODY,
            "reference_path": "id",
            "report_secret_file": secret(tmp_path),
            "report_reference_path": "id",
            "report_status_path": "state",
            "report_signature_header": "X-Provider-Mac",
        }
        bill_by_sms(office, settings)
        sweep(office)

    def signed(report: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        body = json.dumps(report).encode()
        return body, {"X-Provider-Mac": hmac.digest(b"s3cret", body, "sha256").hex()}

    reports = Reports(office, signature_headers(office))
    body, headers = signed({"id": "p-1", "state": "DELIVRD"})
    with served(reports.receive) as port:
        assert post(port, "sms", body, {"X-Provider-Mac": "00"}).status == 401
        assert post(port, "sms", body, {}).status == 401
        assert post(port, "wechat", body, headers).status == 404
        assert post(port, "sms", *signed({"id": "not yet", "state": "DELIVRD"})).status == 404
        assert post(port, "sms", *signed({"id": "p-1", "state": "ENROUTE"})).status == 200
        assert state_of(office) == "sent"
        assert post(port, "sms", body, headers).status == 200
    assert state_of(office) == "delivered"
    assert (reports.taken, reports.refused) == (2, 3)


@pytest.mark.parametrize(
    ("state", "then", "asks"),
    [("DELIVRD", "delivered", []), ("ENROUTE", "sent", ["not_confirmed"])],
)
def test_a_provider_is_asked_before_a_person_has_to_call(
    office: Office, clock: Clock, state: str, then: str, asks: list[str]
) -> None:
    def reply(path: str, _body: bytes) -> tuple[int, Any]:
        return 200, {"state": state} if path == "/status/p-1" else {"id": "p-1"}

    with provider(reply) as (url, asked):
        settings = {
            "url": url,
            "body": BODY,
            "reference_path": "id",
            "status_url": f"{url}/status/$reference",
            "status_path": "state",
        }
        bill_by_sms(office, settings)
        sweep(office)
        clock.advance(days=3)
        sweep(office)
        sweep(office)
    assert state_of(office) == then
    assert len(asked) == 2  # sent once, asked after once
    with office.reading() as connection:
        assert list(connection.scalars(select(notice_callbacks.c.why))) == asks


def wecom(url: str, folder: Path) -> dict[str, Any]:
    return {"corp_id": "ww1", "agent_id": 7, "secret_file": secret(folder), "url": url}


def in_wecom(send_code: dict[str, Any]) -> Reply:
    def reply(path: str, _body: bytes) -> tuple[int, Any]:
        if path.startswith("/cgi-bin/gettoken"):
            return 200, {"errcode": 0, "access_token": "t1", "expires_in": 7200}
        return 200, send_code

    return reply


USER = Parcel("mh.1", "LiWei", "", "电费余额不足")


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        ({"errcode": 0, "msgid": "m1"}, Fate.SENT),
        ({"errcode": 0, "msgid": "m1", "invaliduser": "liwei"}, Fate.FAILED),
        ({"errcode": 81013}, Fate.FAILED),
        ({"errcode": 45009}, Fate.AGAIN),
        ({"errcode": -1}, Fate.AGAIN),
        ({}, Fate.UNKNOWN),
    ],
)
def test_req16_wechat_work_takes_a_message(
    tmp_path: Path, answer: dict[str, Any], fate: Fate
) -> None:
    with provider(in_wecom(answer)) as (url, asked):
        outcome = send("wechat", "wecom", wecom(url, tmp_path), USER)
    assert outcome.fate is fate
    assert "corpsecret=s3cret" in asked[0][0]
    message = json.loads(asked[1][2])
    assert (message["touser"], message["agentid"]) == ("LiWei", 7)
    assert message["text"]["content"] == USER.text


def test_an_expired_token_of_wechat_work_is_fetched_anew(tmp_path: Path) -> None:
    codes = iter([42001, 0])

    def reply(path: str, _body: bytes) -> tuple[int, Any]:
        if path.startswith("/cgi-bin/gettoken"):
            return 200, {"errcode": 0, "access_token": "t", "expires_in": 7200}
        return 200, {"errcode": next(codes), "msgid": "m"}

    with provider(reply) as (url, asked):
        assert send("wechat", "wecom", wecom(url, tmp_path), USER).fate is Fate.SENT
    assert len(asked) == 4


def test_a_refused_application_of_wechat_work_is_the_channels_fault(tmp_path: Path) -> None:
    with (
        provider(lambda _path, _body: (200, {"errcode": 40001})) as (url, _),
        pytest.raises(NoticeChannelDownError, match="40001") as fault,
    ):
        send("wechat", "wecom", wecom(url, tmp_path), USER)
    assert "s3cret" not in str(fault.value)


@pytest.mark.filterwarnings("ignore:'imghdr'")
@pytest.mark.parametrize(("status", "fate"), [(200, Fate.SENT), (500, Fate.UNKNOWN)])
def test_what_apprise_says_was_not_sent_is_unknown(tmp_path: Path, status: int, fate: Fate) -> None:
    with provider(lambda _path, _body: (status, {})) as (url, asked):
        path = secret(tmp_path, f"{url.replace('http', 'json')}/to/$address")
        assert send("sms", "apprise", {"url_file": path}).fate is fate
    assert len(asked) == 1


def test_an_address_that_apprise_does_not_understand_is_said(tmp_path: Path) -> None:
    for text in ("nonsense $address", "json://127.0.0.1/"):
        channel = adapter_of("sms", "apprise", {"url_file": secret(tmp_path, text)})
        with pytest.raises(NoticeChannelDownError, match="address"):
            channel.check()
