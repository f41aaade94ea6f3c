"""Wallets post payments, signed (specs/utility.md 5)."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from billing.accounts.numbers import account_number
from billing.faults import OfficeRefusedError, RightMissingError
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.channel_desk import ChannelDesk
from billing.payments.channels import Adapter, Channel
from billing.payments.faults import (
    ChannelDownError,
    ChannelKeyError,
    ChannelSettingsError,
    HookMessageError,
    HookSignatureError,
    HookTimeError,
)
from billing.payments.health import health_of_all
from billing.payments.tables import channel_events, channel_keys, payments
from billing.payments.web_hook.listener import BODY_BYTES_MAX, REQUEST_S_MAX, Listener
from billing.payments.web_hook.message import Words, payment_of
from billing.payments.web_hook.receiving import Answer, Hook, Receiver
from billing.payments.web_hook.signing import (
    Scheme,
    SharedSecret,
    Signed,
    load_key,
    require_signed,
)
from billing.person import Person, Right
from tests.billing.made import make_account
from tests.billing.payments.hooks import (
    SECRET,
    hmac_hook,
    listening,
    message,
    post,
    served,
    signed_headers,
)
from tests.shop.conftest import Clock
from vending.shop.money import Currency

ROOT = Path(__file__).parents[3]
CNY = Currency.named("CNY")


@pytest.fixture
def account_id(office: Office) -> int:
    with office.writing() as connection:
        return make_account(connection, office)


def _balance(office: Office, account_id: int) -> int:
    with office.reading() as connection:
        return balance(connection, account_id)


def test_req05_a_signed_message_is_taken_once_and_answered_with_the_word(
    office: Office, account_id: int, tmp_path: Path, clock: Clock
) -> None:
    body = message("2026112200001", 30_00, account_number(account_id))
    with listening(office, hmac_hook(tmp_path, success="OK")) as (port, receiver):
        headers = signed_headers(body, office.now())
        assert [post(port, "alipay", body, headers) for _ in range(2)] == [
            post(port, "alipay", body, headers)
        ] * 2
        clock.advance(seconds=200)  # again, signed anew
        again = post(port, "alipay", body, signed_headers(body, office.now(), nonce="n2"))
    assert (again.status, again.body) == (200, "OK")
    assert receiver.taken == 1
    assert _balance(office, account_id) == 30_00
    with office.reading() as connection:
        row = connection.execute(select(payments)).one()
    assert (row.channel, row.taken_by) == ("alipay", "channel alipay")


def test_req05_eight_posts_of_one_message_post_once(
    office: Office, account_id: int, tmp_path: Path
) -> None:
    body = message("7", 30_00, account_number(account_id))
    headers = signed_headers(body, office.now())
    with (
        listening(office, hmac_hook(tmp_path)) as (port, receiver),
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: post(port, "alipay", body, headers), range(8)))
    assert {(each.status, each.body) for each in answers} == {(200, "success")}
    assert (receiver.taken, _balance(office, account_id)) == (1, 30_00)


def test_req05_a_message_for_one_channel_is_none_for_another(
    office: Office, tmp_path: Path
) -> None:
    """What is signed does not name the channel; so no two of them have one key."""
    alipay, web = (hmac_hook(tmp_path, name) for name in ("alipay", "web"))
    with pytest.raises(ChannelSettingsError, match="alipay and web"):
        Receiver(office, {"alipay": alipay, "web": web})
    number = rsa.generate_private_key(65537, 2048).public_key()
    (tmp_path / "a.pem").write_bytes(
        number.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    settings = {"scheme": "rsa-sha256", "key_file": str(tmp_path / "a.pem")}
    two = [
        Hook.of(Channel(name, name, Adapter.WEB_HOOK, settings=settings))
        for name in ("alipay", "wechat")
    ]
    with pytest.raises(ChannelSettingsError, match="alipay and wechat"):
        Receiver(office, {each.channel: each for each in two})
    Receiver(office, {"alipay": two[0], "web": web})


def test_req05_nor_for_another_channel_at_another_listener(
    office: Office, account_id: int, tmp_path: Path
) -> None:
    """Each listener has one of two channels with one key: the message would pay at both."""
    body = message("1", 30_00, account_number(account_id))
    with listening(office, hmac_hook(tmp_path)) as (port, _):
        assert post(port, "alipay", body, signed_headers(body, office.now())).status == 200
    web = hmac_hook(tmp_path, "web")
    with pytest.raises(ChannelSettingsError, match="alipay and web"):
        Receiver(office, {"web": web})
    with listening(office, hmac_hook(tmp_path)) as (port, receiver):
        again = post(port, "alipay", body, signed_headers(body, office.now()))
    assert (again.status, receiver.taken, _balance(office, account_id)) == (200, 0, 30_00)
    with office.reading() as connection:
        kept = connection.execute(select(channel_keys)).one()
    assert kept.channel == "alipay"
    assert sha256(SECRET).digest() != bytes(kept.key_digest), "words of a person are not tried fast"
    with pytest.raises(OfficeRefusedError), office.writing() as connection:
        connection.execute(update(channel_keys).values(channel="web"))


def test_req05_the_providers_public_key_will_do(
    office: Office, account_id: int, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    file = tmp_path / "wechat.pem"
    public = key.public_key()
    file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings = {
        "scheme": "rsa-sha256",
        "key_file": str(file),
        "headers": {
            "timestamp": "Wechatpay-Timestamp",
            "nonce": "Wechatpay-Nonce",
            "signature": "Wechatpay-Signature",
        },
        "names": {"reference": "transaction_id", "amount": "amount.total", "status": "trade_state"},
    }
    hook = Hook.of(Channel("wechat", "WeChat Pay", Adapter.WEB_HOOK, settings=settings))
    body = message("", 0, account_number(account_id)).replace(b'"status"', b'"trade_state"')
    body = body[:-1] + b', "transaction_id": "4200001", "amount": {"total": 1234}}'
    headers = {
        name.replace("X-", "Wechatpay-"): each
        for name, each in signed_headers(body, office.now(), key=key).items()
    }
    with listening(office, hook) as (port, _):
        assert post(port, "wechat", body, headers).status == 200
        other = rsa.generate_private_key(65537, 2048)
        headers["Wechatpay-Signature"] = signed_headers(body, office.now(), key=other)[
            "X-Signature"
        ]
        assert post(port, "wechat", body, headers).status == 401
    assert _balance(office, account_id) == 12_34


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ("no signature", 401),
        ("another body", 401),
        ("another timestamp", 401),
        ("another nonce", 401),
        ("long ago", 401),
        ("from the future", 401),
        ("not a number", 401),
        ("no JSON", 400),
        ("no reference", 400),
        ("a float", 400),
        ("another currency", 400),
        ("another channel", 404),
        ("same reference", 409),
    ],
)
def test_req05_what_is_not_signed_or_not_understood_is_refused(
    office: Office, account_id: int, tmp_path: Path, spoil: str, status: int
) -> None:
    number = account_number(account_id)
    body = {
        "no JSON": b"reference=1",
        "no reference": message("", 1_00, number),
        "a float": message("2", 1_00, number).replace(b": 100,", b": 1.5,"),
        "another currency": message("2", 1_00, number, currency="USD"),
    }.get(spoil, message("2", 1_00, number))
    at = office.now() + {
        "long ago": timedelta(seconds=-301),
        "from the future": timedelta(seconds=301),
    }.get(spoil, timedelta())
    headers = signed_headers(body, at)
    headers |= {
        "no signature": {"X-Signature": ""},
        "another timestamp": {"X-Timestamp": str(int(at.timestamp()) + 1)},
        "another nonce": {"X-Nonce": "n9"},
        "not a number": {"X-Timestamp": "now"},
    }.get(spoil, {})
    if spoil == "another body":
        body = body.replace(b"100", b"900")
    with listening(office, hmac_hook(tmp_path)) as (port, receiver):
        if spoil == "same reference":
            first = message("2", 9_00, number)
            assert post(port, "alipay", first, signed_headers(first, at)).status == 200
        name = "smoke" if spoil == "another channel" else "alipay"
        answer = post(port, name, body, headers)
    assert answer.status == status
    assert SECRET.decode() not in answer.body
    assert receiver.taken == (spoil == "same reference")
    by_the_provider = status in (400, 409) or spoil in ("long ago", "from the future")
    with office.reading() as connection:
        health = {each.channel.name: each for each in health_of_all(connection, office)}
    assert (health["alipay"].last_failure_at is not None) == by_the_provider


def test_a_message_of_something_else_is_answered_and_left_alone(
    office: Office, account_id: int, tmp_path: Path
) -> None:
    body = message("1", 1_00, account_number(account_id), status="CLOSED")
    with listening(office, hmac_hook(tmp_path)) as (port, receiver):
        assert post(port, "alipay", body, signed_headers(body, office.now())).status == 200
    assert (receiver.taken, _balance(office, account_id)) == (0, 0)


def test_req05_strangers_make_no_channel_look_ill(office: Office, tmp_path: Path) -> None:
    with listening(office, hmac_hook(tmp_path)) as (port, receiver):
        for _ in range(20):
            assert post(port, "alipay", b"{}", {}).status == 401
    assert receiver.refused == 20
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(channel_events)) == 0


def test_the_providers_faults_are_kept_once_a_minute(office: Office, tmp_path: Path) -> None:
    headers = signed_headers(b"{}", office.now())
    with listening(office, hmac_hook(tmp_path)) as (port, _):
        for _ in range(5):
            assert post(port, "alipay", b"{}", headers).status == 400
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(channel_events)) == 1


def test_a_message_of_another_time_is_told_from_one_of_a_stranger(office: Office) -> None:
    key, now = SharedSecret(SECRET), office.now()
    timestamp = str(int(now.timestamp()) - 301)
    signed = Signed(timestamp, "n", key.sign(timestamp, "n", b"{}"), b"{}")
    with pytest.raises(HookTimeError) as refused:
        require_signed(key, signed, now)
    assert refused.value.code == "hook_time"


def test_req29_who_may_only_look_puts_nothing_into_a_channels_health(office: Office) -> None:
    auditor = office.acting(Person("auditor", frozenset({Right.LOOK, Right.REPORT})))
    with pytest.raises(RightMissingError):
        ChannelDesk(auditor).test("alipay")
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(channel_events)) == 0


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /alipay HTTP/1.1\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /alipay HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /alipay HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /alipay HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /alipay HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST /alipay HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), b"413"),
        (b"POST / HTTP/1.1\r\n" + b"x" * 20_000 + b"\r\n\r\n", b"413"),
    ],
    ids=str,
)
def test_odd_requests_are_answered(request_bytes: bytes, status: bytes) -> None:
    with (
        served(lambda *_: Answer(200, "never")) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as line,
    ):
        line.sendall(request_bytes)
        assert line.recv(100).split(b" ")[1] == status


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with served(lambda *_: Answer(200, "fine")) as port:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        line.request("GET", "/health")
        assert line.getresponse().read() == b"up\n"
        line.close()
        with pytest.raises(ChannelDownError) as refused:
            asyncio.run(Listener(lambda *_: Answer(200, "never")).open("127.0.0.1", port))
    assert refused.value.code == "channel_down"


def test_a_post_that_is_cut_off_holds_nobody_up() -> None:
    with served(lambda *_: Answer(200, "fine")) as port:
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"POST /alipay HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        assert post(port, "alipay", b"{}", {}).body == "fine"


def test_req05_who_says_nothing_takes_no_place_from_honest_wallets(
    office: Office, account_id: int, tmp_path: Path
) -> None:
    body = message("1", 30_00, account_number(account_id))
    headers = signed_headers(body, office.now())
    with ExitStack() as stack:
        port, _ = stack.enter_context(listening(office, hmac_hook(tmp_path)))
        for number in range(200):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            line.sendall(b"POST /alipay HTTP/1.1\r\nX-Slow: %d" % number)
        began = time.monotonic()
        health = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        stack.callback(health.close)
        health.request("GET", "/health")
        assert health.getresponse().read() == b"up\n"
        assert post(port, "alipay", body, headers).status == 200
        assert time.monotonic() - began < REQUEST_S_MAX / 2, "nobody was waited for"
    assert _balance(office, account_id) == 30_00


def test_req05_killed_between_commit_and_answer_the_next_try_finds_the_payment(
    office: Office, account_id: int, tmp_path: Path, database_url: str
) -> None:
    body = message("9", 30_00, account_number(account_id))
    hook = hmac_hook(tmp_path)
    told = tmp_path / "committed"
    command = [sys.executable, "-m", "tests.billing.payments.dying", database_url]
    process = subprocess.Popen(
        [*command, str(tmp_path), str(told)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        headers = signed_headers(body, office.now())
        with pytest.raises(OSError):  # noqa: PT011 - however a cut line shows
            post(port, "alipay", body, headers)
        assert process.wait(20) == -signal.SIGKILL
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert told.exists()
    assert _balance(office, account_id) == 30_00
    with listening(office, hook) as (port, receiver):
        answer = post(port, "alipay", body, signed_headers(body, office.now(), nonce="n2"))
    assert (answer.status, receiver.taken) == (200, 0)
    assert _balance(office, account_id) == 30_00


@given(st.binary(max_size=64), st.text(max_size=20), st.integers(0, 300))
def test_a_change_of_any_signed_part_is_found(body: bytes, nonce: str, flip: int) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    key, timestamp = SharedSecret(SECRET), str(int(now.timestamp()))
    signature = key.sign(timestamp, nonce, body)
    require_signed(key, Signed(timestamp, nonce, signature, body), now)
    place = flip % (len(body) + 1)
    changed = body[:place] + bytes([flip % 256]) + body[place:]
    with pytest.raises(HookSignatureError) as refused:
        require_signed(key, Signed(timestamp, nonce, signature, changed), now)
    assert refused.value.code == "hook_signature"


def test_keys_come_from_files_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET)
    file.chmod(0o644)
    with pytest.raises(ChannelKeyError, match="Others can read") as refused:
        load_key(Scheme.HMAC_SHA256, file)
    assert refused.value.code == "channel_key"
    file.chmod(0o600)
    assert SECRET.decode() not in repr(load_key(Scheme.HMAC_SHA256, file))
    file.write_bytes(b"short")
    for scheme in Scheme:
        with pytest.raises(ChannelKeyError):
            load_key(scheme, file)
    with pytest.raises(ChannelKeyError, match="cannot be read"):
        load_key(Scheme.RSA_SHA256, tmp_path / "none")
    weak = rsa.generate_private_key(65537, 1024).public_key()
    file.write_bytes(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ChannelKeyError, match="1024 bits"):
        load_key(Scheme.RSA_SHA256, file)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scheme": "md5"},
        {"scheme": "hmac-sha256"},
        {"window_s": 0},
        {"window_s": "300"},
        {"headers": {"sig": "X"}},
        {"names": {"total": "x"}},
        {"amount_in": "euros"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    if settings and "scheme" not in settings:
        file = tmp_path / "secret"
        file.write_bytes(SECRET)
        file.chmod(0o600)
        settings = {"scheme": "hmac-sha256", "key_file": str(file), **settings}
    channel = Channel("alipay", "Alipay", Adapter.WEB_HOOK, settings=settings)
    with pytest.raises(ChannelSettingsError) as refused:
        Hook.of(channel)
    assert refused.value.code == "channel_settings"


def test_amounts_may_be_written_as_decimals() -> None:
    words = Words.of({"amount_in": "major", "names": {"amount": "total"}})
    body = b'{"reference": "1", "total": "12.34", "paid_at": "2026-11-22T10:00:00Z", "number": 7}'
    found = payment_of(body, "web", words, CNY)
    assert found is not None
    assert (found.amount_minor, found.number) == (12_34, "7")


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    with pytest.raises(HookMessageError) as refused:
        payment_of(body, "web", Words(), CNY)
    assert refused.value.code == "hook_message"
