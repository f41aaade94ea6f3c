"""Answers of real mail servers are read, and tell the outbox what became of its e-mails."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.notices.bounces import read_folder
from billing.notices.dsn import BYTES_MAX, Action, read_dsn
from billing.notices.faults import MailboxError
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.notices.sweeping import sweep
from billing.notices.tables import notice_callbacks, notice_history, notice_messages
from billing.office import Office
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.billing.notices.servers import Script, scripted_server
from tests.shop.conftest import Clock

LETTERS = Path(__file__).parent / "letters"
REFERENCE = "mh.7.1.00ff+x@power.example"


def letter(name: str, reference: str = REFERENCE) -> bytes:
    """As the server wrote it; headers of letters end in CR LF."""
    text = (LETTERS / f"{name}.eml").read_text()
    text = text.replace("XTEXT", reference.replace("+", "+2B")).replace("REFERENCE", reference)
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("name", "action", "status", "code"),
    [
        ("postfix_failed", Action.FAILED, "5.1.1", "550"),
        ("postfix_delivered", Action.DELIVERED, "2.0.0", ""),
        ("sendmail_relayed", Action.RELAYED, "2.0.0", ""),
        ("exchange_failed", Action.FAILED, "5.2.2", "554"),
        ("exim_delayed", Action.DELAYED, "4.0.0", ""),
    ],
)
def test_req20_what_a_mail_server_answers_is_read(
    name: str, action: Action, status: str, code: str
) -> None:
    reference = REFERENCE if name == "sendmail_relayed" else REFERENCE.replace("+", "-")
    (found,) = read_dsn(letter(name, reference))
    assert (found.reference, found.action) == (reference, action)
    assert (found.status, found.diagnostic) == (status, code)
    assert "@" not in found.words


@pytest.mark.parametrize("name", ["vacation", "disposition"])
def test_letters_of_people_say_nothing_of_delivery(name: str) -> None:
    assert read_dsn(letter(name)) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
@example(None)
def test_a_letter_that_is_cut_or_garbled_breaks_nothing(data: Any) -> None:
    whole = letter("postfix_failed")
    if data is None:
        assert read_dsn(b"") == []
        assert read_dsn(b"\xff" * 1_000) == []
        assert read_dsn(b" " * (BYTES_MAX + 1)) == []
        return
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    garbled = whole[:start] + data.draw(st.binary(max_size=40)) + whole[start + length :]
    for found in read_dsn(garbled):
        assert found.reference


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    folder = tmp_path / "answers"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    return folder


def bill_sent(office: Office, connection: Any, maildir: Path, settings: dict[str, str]) -> None:
    set_up(connection, office, "email", "smtp", {**settings, "maildir": str(maildir)})
    account_id = make_account(connection, office)
    make_contact(connection, office, account_id)
    about: dict[str, str | int] = {"bill_number": "B-1", "total_minor": 120_00}
    queue_notice(connection, office, Notice(Event.BILL, account_id, "b", about))


def reference_of(office: Office) -> str:
    with office.reading() as connection:
        query = select(notice_history.c.reference).where(notice_history.c.act == "sending")
        return str(connection.scalars(query).first())


def state_of(office: Office) -> str:
    with office.reading() as connection:
        return str(connection.scalar(select(notice_messages.c.state)))


@pytest.mark.parametrize(
    ("name", "state", "asks"),
    [
        ("postfix_failed", "failed", ["failed"]),
        ("postfix_delivered", "delivered", []),
        ("sendmail_relayed", "sent", []),
        ("exim_delayed", "sent", ["not_confirmed"]),
    ],
)
def test_req16_answers_in_the_folder_move_messages_on(
    office: Office, clock: Clock, maildir: Path, name: str, state: str, asks: list[str]
) -> None:
    with scripted_server(Script(extensions=("DSN",))) as settings:
        with office.writing() as connection:
            bill_sent(office, connection, maildir, settings)
        sweep(office)
        (maildir / "new" / "1763949605.M1.host").write_bytes(letter(name, reference_of(office)))
        (maildir / "new" / "1763949606.M2.host").write_bytes(letter("vacation"))
        (maildir / "new" / "1763949607.M3.host").write_bytes(
            letter("postfix_failed", "mh.1.1.0000@power.example")  # a forged one
        )
        sweep(office)
        assert state_of(office) == state
        assert sorted(path.name for path in (maildir / "cur").iterdir()) == [
            "1763949605.M1.host:2,S",
            "1763949606.M2.host:2,FS",
            "1763949607.M3.host:2,FS",
        ]
        for _ in range(2):
            clock.now += timedelta(days=4)
            sweep(office)
    with office.reading() as connection:
        whys = connection.scalars(select(notice_callbacks.c.why)).all()
    assert list(whys) == asks


def test_a_letter_that_is_read_twice_is_noted_once(office: Office, maildir: Path) -> None:
    with scripted_server(Script(extensions=("DSN",))) as settings:
        with office.writing() as connection:
            bill_sent(office, connection, maildir, settings)
        sweep(office)
    reference = reference_of(office)
    for number in range(2):
        (maildir / "new" / f"{number}.M1.host").write_bytes(letter("postfix_delivered", reference))
        assert read_folder(office, maildir) == 1
    with office.reading() as connection:
        acts = connection.scalars(
            select(notice_history.c.act).order_by(notice_history.c.entry_id)
        ).all()
    assert acts == ["queued", "sending", "sent", "delivered"]


def test_a_folder_that_is_no_maildir_is_said_and_stops_nothing(
    office: Office, tmp_path: Path
) -> None:
    with pytest.raises(MailboxError, match="no Maildir") as fault:
        read_folder(office, tmp_path)
    assert fault.value.code == "mailbox"
    with scripted_server(Script()) as settings:
        with office.writing() as connection:
            bill_sent(office, connection, tmp_path, settings)
        sweep(office)
    assert state_of(office) == "sent"
