"""E-mails leave by real SMTP; what is known after a fault depends on where it happened."""

from __future__ import annotations

import email
import time
from email.policy import default
from pathlib import Path

import pytest

from billing.notices.channels.port import Attachment, Fate, Outcome, Parcel
from billing.notices.channels.setup import adapter_of
from billing.notices.faults import NoticeChannelDownError, NoticeChannelSettingsError
from tests.billing.notices.servers import Script, real_server, scripted_server

PARCEL = Parcel(
    "mh.7.1.00ff@power.example",
    "li.wei@example.org",
    "电费账单 B-1：120.00 CNY",
    "尊敬的 Li Wei：\n\n.a line that begins with a dot\n",
    (Attachment("bill.pdf", "application/pdf", b"%PDF-1.7 \x00\xff\r\n.\r\nend"),),
)


def send(settings: dict[str, str], parcel: Parcel = PARCEL) -> Outcome:
    with adapter_of("email", "smtp", settings).open() as sender:
        return sender.send(parcel)


def test_req20_a_bill_leaves_by_starttls_and_password_with_its_pdf(tmp_path: Path) -> None:
    with real_server(tmp_path) as (inbox, settings):
        outcome = send(settings)
    assert (outcome.fate, outcome.is_asked_for_proof) == (Fate.SENT, False)
    ((recipient, content),) = inbox.taken
    message = email.message_from_bytes(content, policy=default)
    assert recipient == PARCEL.address
    assert message["Message-ID"] == "<mh.7.1.00ff@power.example>"
    assert message["Subject"] == PARCEL.subject
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == PARCEL.text.splitlines()
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("bill.pdf", PARCEL.attachments[0].content)


def test_many_leave_by_one_connection(tmp_path: Path) -> None:
    with (
        real_server(tmp_path, secure=False) as (inbox, settings),
        adapter_of("email", "smtp", settings).open() as sender,
    ):
        fates = [sender.send(PARCEL).fate for _ in range(3)]
    assert fates == [Fate.SENT] * 3
    assert len(inbox.taken) == 3


def test_a_wrong_password_is_said_and_not_shown(tmp_path: Path) -> None:
    with real_server(tmp_path) as (_, settings):
        secret = Path(settings["secret_file"])
        secret.write_text("wrong words")
        with pytest.raises(NoticeChannelDownError, match="refused our user") as fault:
            send(settings)
        assert "wrong words" not in str(fault.value)
        secret.chmod(0o644)
        with pytest.raises(NoticeChannelDownError, match="chmod 600") as fault:
            send(settings)
    assert fault.value.code == "notice_channel_down"


def test_a_server_that_is_not_trusted_gets_neither_password_nor_mail(tmp_path: Path) -> None:
    with real_server(tmp_path) as (inbox, settings):
        del settings["ca_file"]
        with pytest.raises(NoticeChannelDownError, match="certificate"):
            send(settings)
    assert inbox.taken == []


def test_proof_is_asked_for_where_the_server_offers_it() -> None:
    script = Script(extensions=("DSN", "8BITMIME"))
    with scripted_server(script) as settings:
        outcome = send(settings)
        assert "reports their delivery" in adapter_of("email", "smtp", settings).check()
    assert outcome.is_asked_for_proof
    mail, rcpt = (each for each in script.commands if each[:4] in ("mail", "rcpt", "MAIL", "RCPT"))
    assert "RET=HDRS ENVID=mh.7.1.00ff@power.example" in mail
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in rcpt
    assert b"\r\n..a line that begins" in script.taken[0]


@pytest.mark.parametrize(
    ("script", "fate"),
    [
        (Script(rcpt="450 greylisted"), Fate.AGAIN),
        (Script(rcpt="550 5.1.1 no such user"), Fate.FAILED),
        (Script(mail="552 too big"), Fate.FAILED),
        (Script(data="451 busy"), Fate.AGAIN),
        (Script(data="554 no"), Fate.FAILED),
        (Script(end="452 disk full"), Fate.AGAIN),
        (Script(end="554 looks like spam"), Fate.FAILED),
        (Script(extensions=("SIZE 100",)), Fate.FAILED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_server_answers_is_what_is_known(script: Script, fate: Fate) -> None:
    with scripted_server(script) as settings:
        assert send(settings).fate is fate


def test_a_refusal_of_the_sender_is_the_channels_fault_and_no_messages() -> None:
    with (
        scripted_server(Script(mail="550 who are you")) as settings,
        pytest.raises(NoticeChannelDownError, match="refused the sender"),
    ):
        send(settings)


def test_an_answer_that_quotes_the_address_is_kept_without_it() -> None:
    script = Script(rcpt="550 5.1.1 <li.wei@example.org>: li.wei is unknown here")
    with scripted_server(script) as settings:
        words = send(settings).words
    assert "li.wei" not in words
    assert "550 5.1.1" in words


def test_a_connection_cut_within_the_message_is_a_definite_failure() -> None:
    big = Attachment("bill.pdf", "application/pdf", bytes(8_000_000))
    parcel = Parcel(PARCEL.reference, PARCEL.address, "a", "b", (big,))
    with scripted_server(Script(cut_within=5_000)) as settings:
        assert send(settings, parcel).fate is Fate.AGAIN


def test_a_connection_cut_after_the_message_is_unknown() -> None:
    script = Script(cut_at_end=True)
    with scripted_server(script) as settings:
        assert send(settings).fate is Fate.UNKNOWN
    assert len(script.taken) == 1


def test_a_server_that_answers_letter_by_letter_is_cut_off_in_time() -> None:
    started = time.monotonic()
    with scripted_server(Script(slow_s=1.3)) as settings:
        assert send(settings).fate is Fate.UNKNOWN
        assert time.monotonic() - started < 6


def test_nobody_listening_is_a_channel_that_is_down() -> None:
    settings = {"host": "127.0.0.1", "port": "1", "tls": "none", "sender": "a@example.org"}
    with pytest.raises(NoticeChannelDownError, match="no answer"):
        send(settings)


@pytest.mark.parametrize("address", ["", "nobody", "a b@example.org", "a@b\r\nBcc: c@d", "<a@b>"])
def test_an_address_that_is_none_never_reaches_the_server(address: str) -> None:
    script = Script()
    with scripted_server(script) as settings:
        outcome = send(settings, Parcel("mh.1", address, "a", "b"))
    assert outcome.fate is Fate.FAILED
    assert not any(command.upper().startswith("RCPT") for command in script.commands)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "h", "sender": "no address"},
        {"host": "h", "sender": "a@b", "tls": "maybe"},
        {"host": "h", "sender": "a@b", "port": "smtp"},
        {"host": "h", "sender": "a@b", "user": "u"},
        {"host": "h", "sender": "a@b", "user": "u", "secret_file": "f", "tls": "none"},
        {"host": "h", "sender": "a@b", "password": "p"},
        {"host": "h", "sender": "a@b", "timeout_s": "0"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(NoticeChannelSettingsError) as fault:
        adapter_of("email", "smtp", settings)
    assert fault.value.code == "notice_channel_settings"
