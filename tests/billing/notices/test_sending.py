"""The outbox sends each message once, in its hours, at its rate, whoever dies meanwhile."""

from __future__ import annotations

import email
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, func, insert, select, update

from billing.accounts.tables import contacts
from billing.notices.channels.port import Attachment, Fate, Outcome
from billing.notices.fates import find_message, settle, withdraw_notices
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.notices.sweeping import sweep
from billing.notices.tables import (
    notice_callbacks,
    notice_channels,
    notice_history,
    notice_messages,
    notice_quiet,
)
from billing.office import Office
from tests.billing.conftest import PERSONAL_KEY, ZONE
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.billing.notices.servers import Script, scripted_server
from tests.shop.conftest import Clock

ROOT = Path(__file__).parent.parent.parent.parent


def local(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=ZONE).astimezone(UTC)


def told(office: Office, event: Event, once: str = "x", **about: str | int) -> int:
    """An account with an e-mail address and a telephone is told something; gives the account."""
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, phone="+8613800000000")
        assert queue_notice(connection, office, Notice(event, account_id, once, about)) is not None
    return account_id


def states(office: Office) -> list[tuple[str, str]]:
    with office.reading() as connection:
        rows = connection.execute(select(notice_messages).order_by(notice_messages.c.message_id))
        return [(row.channel, row.state) for row in rows]


def acts(office: Office) -> list[str]:
    with office.reading() as connection:
        query = select(notice_history.c.act).order_by(notice_history.c.entry_id)
        return list(connection.scalars(query))


def pdf_of(_connection: Connection, _office: Office, bill_id: int, language: str) -> Attachment:
    return Attachment(f"bill-{bill_id}-{language}.pdf", "application/pdf", b"%PDF")


def channel_to(office: Office, channel: str, adapter: str, **settings: Any) -> None:
    with office.writing() as connection:
        set_up(connection, office, channel, adapter, settings)


def test_req16_a_message_is_queued_sent_and_remembered(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    told(office, Event.LOW_BALANCE, balance_minor=3_50, days_left=4)
    assert sweep(office) == 1
    assert sweep(office) == 0
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    assert "To: li.wei@example.org\nSubject: Your electricity credit is low: CNY 3.50" in text
    assert "about 4 day(s)" in text
    assert "Please top up" in text
    assert states(office) == [("email", "sent")]
    assert acts(office) == ["queued", "sending", "sent"]


def test_req20_a_bill_has_its_pdf_in_the_e_mail_alone(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id)
        about: dict[str, str | int] = {"bill_number": "B-1", "total_minor": 120_00}
        queue_notice(connection, office, Notice(Event.BILL, account_id, "b", about, bill_id=5))
    sweep(office, bill_files=pdf_of)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pdf", ".txt"]


def test_sms_waits_for_the_end_of_the_quiet_hours_and_e_mail_does_not(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(22)
    for channel in ("email", "sms"):
        channel_to(office, channel, "file", folder=str(tmp_path))
    told(office, Event.FORMAL_NOTICE, owed_minor=80_00)
    sweep(office)
    assert states(office) == [("email", "sent"), ("sms", "queued")]
    clock.now = local(7, 59) + timedelta(days=1)
    assert sweep(office) == 0
    clock.advance(minutes=1)
    sweep(office)
    assert states(office) == [("email", "sent"), ("sms", "sent")]


def test_a_disconnect_notice_waits_at_night_unless_the_cut_is_near(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(23)
    channel_to(office, "sms", "file", folder=str(tmp_path))
    far, near = local(9) + timedelta(days=3), local(9) + timedelta(days=1, hours=2)
    told(office, Event.DISCONNECT_NOTICE, "far", disconnect_at=far.isoformat(), reason="arrears")
    told(office, Event.DISCONNECT_NOTICE, "near", disconnect_at=near.isoformat(), reason="arrears")
    sweep(office)
    assert [state for _, state in states(office)] == ["queued", "sent"]
    clock.now = local(21, 30) + timedelta(days=1)  # quiet for others, not for this one
    sweep(office)
    assert [state for _, state in states(office)] == ["sent", "sent"]


def test_the_utilitys_own_quiet_hours_go_first(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(12, 30)
    channel_to(office, "sms", "file", folder=str(tmp_path))
    told(office, Event.LOW_BALANCE, balance_minor=1)
    with office.writing() as connection:
        noon = {"channel": "sms", "event": "low_balance", "from_min": 720, "until_min": 840}
        connection.execute(insert(notice_quiet), noon)
    sweep(office)
    assert states(office) == [("sms", "queued")]
    clock.now = local(14)
    sweep(office)
    assert states(office) == [("sms", "sent")]


def test_a_channel_keeps_to_its_rate_and_what_is_urgent_goes_first(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    with office.writing() as connection:
        set_up(connection, office, "sms", "file", {"folder": str(tmp_path)}, per_minute=2)
    for number in range(3):
        told(office, Event.LOW_BALANCE, f"low {number}", balance_minor=1)
    told(office, Event.PAYMENT_RECEIVED, amount_minor=50_00)
    sweep(office)
    assert [state for _, state in states(office)] == ["sent", "queued", "queued", "sent"]
    clock.advance(seconds=59)
    assert sweep(office) == 0
    clock.advance(seconds=1)
    sweep(office)
    assert [state for _, state in states(office)] == ["sent"] * 4


def test_a_busy_server_is_asked_again_later_and_later_until_it_is_too_late(
    office: Office, clock: Clock
) -> None:
    clock.now = local(10)
    with scripted_server(Script(rcpt="450 greylisted")) as settings:
        channel_to(office, "email", "smtp", **settings)
        told(office, Event.LOW_BALANCE, balance_minor=1)
        waits = []
        while states(office) == [("email", "queued")]:
            with office.reading() as connection:
                due_at = connection.scalar(select(notice_messages.c.due_at))
            assert due_at is not None
            waits.append(int((due_at - clock.now).total_seconds() // 60))
            clock.now = due_at
            sweep(office)
    assert waits[:6] == [0, 1, 5, 15, 60, 240]
    assert states(office) == [("email", "failed")]
    with office.reading() as connection:
        (callback,) = connection.execute(select(notice_callbacks)).all()
    assert callback.why == "failed"


def test_an_address_that_is_refused_for_good_asks_a_person_to_call(
    office: Office, clock: Clock
) -> None:
    clock.now = local(10)
    with scripted_server(Script(rcpt="550 5.1.1 unknown")) as settings:
        channel_to(office, "email", "smtp", **settings)
        account_id = told(office, Event.LOW_BALANCE, balance_minor=1)
        sweep(office)
        with office.writing() as connection:
            about: dict[str, str | int] = {"amount_minor": 1}
            queue_notice(connection, office, Notice(Event.REFUND, account_id, "r", about))
        sweep(office)
    assert states(office) == [("email", "failed"), ("email", "failed")]
    with office.reading() as connection:
        rows = connection.execute(select(notice_callbacks)).all()
    assert [(row.account_id, row.channel, row.why) for row in rows] == [
        (account_id, "email", "failed")
    ]


def test_a_channel_that_is_down_keeps_its_messages_and_rests(office: Office, clock: Clock) -> None:
    clock.now = local(10)
    channel_to(office, "email", "smtp", host="127.0.0.1", port=1, tls="none", sender="a@b.example")
    told(office, Event.LOW_BALANCE, balance_minor=1)
    sweep(office)
    assert states(office) == [("email", "queued")]
    assert acts(office) == ["queued"]
    with office.reading() as connection:
        row = connection.execute(select(notice_channels)).one()
    assert (row.faults, row.paused_until) == (1, clock.now + timedelta(minutes=1))
    assert "no answer" in row.last_fault


def test_an_e_mail_of_unknown_outcome_goes_again_with_the_same_message_id(
    office: Office, clock: Clock
) -> None:
    clock.now = local(10)
    script = Script(cut_at_end=True)
    with scripted_server(script) as settings:
        channel_to(office, "email", "smtp", **settings)
        told(office, Event.LOW_BALANCE, balance_minor=1)
        sweep(office)
        assert states(office) == [("email", "unknown")]
        clock.advance(minutes=59)
        assert sweep(office) == 0
        script.cut_at_end = False
        clock.advance(minutes=1)
        sweep(office)
    assert states(office) == [("email", "sent")]
    first, second = (email.message_from_bytes(each, policy=default) for each in script.taken)
    assert first["Message-ID"] == second["Message-ID"]


def test_a_short_message_of_unknown_outcome_is_never_sent_again(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "sms", "file", folder=str(tmp_path))
    told(office, Event.FORMAL_NOTICE, owed_minor=80_00)
    as_if_its_sender_died(office)
    for _ in range(50):
        clock.advance(hours=1)
        sweep(office)
    assert states(office) == [("sms", "unknown")]
    assert list(tmp_path.iterdir()) == []
    with office.reading() as connection:
        (callback,) = connection.execute(select(notice_callbacks)).all()
    assert callback.why == "unsure"


def as_if_its_sender_died(office: Office) -> None:
    with office.writing() as connection:
        connection.execute(
            update(notice_messages).values(
                state="sending", due_at=None, sending_until=office.now(), tries=1
            )
        )


def test_req16_an_e_mail_that_is_not_confirmed_goes_again_then_a_person_calls(
    office: Office, clock: Clock
) -> None:
    clock.now = local(10)
    script = Script(extensions=("DSN",))
    with scripted_server(script) as settings:
        channel_to(office, "email", "smtp", **settings)
        told(office, Event.BILL, bill_number="B-1", total_minor=120_00)
        sweep(office)
        clock.advance(days=2)
        assert sweep(office) == 0
        clock.advance(days=1)
        sweep(office)
        assert len(script.taken) == 2
        clock.advance(days=3)
        sweep(office)
        assert len(script.taken) == 2
    with office.reading() as connection:
        (callback,) = connection.execute(select(notice_callbacks)).all()
    assert (callback.why, callback.channel) == ("not_confirmed", "email")
    first, second = (email.message_from_bytes(each, policy=default) for each in script.taken)
    assert first["Message-ID"] != second["Message-ID"]


def test_a_proof_of_delivery_ends_the_asking_and_the_task(office: Office, clock: Clock) -> None:
    clock.now = local(10)
    script = Script(extensions=("DSN",))
    with scripted_server(script) as settings:
        channel_to(office, "email", "smtp", **settings)
        told(office, Event.BILL, bill_number="B-1", total_minor=120_00)
        for _ in range(3):
            sweep(office)
            clock.advance(days=3)
        with office.writing() as connection:
            reference = connection.scalar(
                select(notice_history.c.reference).where(notice_history.c.act == "sending").limit(1)
            )
            assert reference is not None
            number = find_message(connection, reference)
            assert number is not None
            delivered = Outcome(Fate.DELIVERED, "delivered")
            assert settle(connection, office, number, delivered, actor="test") == "delivered"
            assert settle(connection, office, number, delivered, actor="test") is None
    assert states(office) == [("email", "delivered")]
    with office.reading() as connection:
        assert connection.scalar(select(notice_callbacks.c.state)) == "done"


def test_a_payment_takes_back_what_has_not_left(office: Office, clock: Clock) -> None:
    clock.now = local(23)
    channel_to(office, "sms", "file", folder="/nowhere")
    told(office, Event.REMINDER, "remind 1", owed_minor=5_00)
    with office.writing() as connection:
        assert withdraw_notices(connection, office, ["remind 1"], "paid") == 1
        assert withdraw_notices(connection, office, ["remind 1"], "paid") == 0
    assert states(office) == [("sms", "failed")]


def test_a_contact_that_has_left_is_not_written_to(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    told(office, Event.LOW_BALANCE, balance_minor=1)
    with office.writing() as connection:
        connection.execute(update(contacts).values(until=office.now()))
    sweep(office)
    assert states(office) == [("email", "failed")]
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_cannot_be_made_does_not_stop_the_others(
    office: Office, clock: Clock, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    told(office, Event.LOW_BALANCE, "broken", balance_minor=1)
    with office.writing() as connection:
        connection.execute(update(contacts).values(email_sealed=b"changed in the database"))
    told(office, Event.LOW_BALANCE, "whole", balance_minor=1)
    sweep(office)
    assert states(office) == [("email", "queued"), ("email", "sent")]
    assert "put_off" in acts(office)


def test_no_log_and_no_history_names_a_person(office: Office, clock: Clock) -> None:
    clock.now = local(10)
    script = Script(rcpt="550 <li.wei@example.org> li.wei unknown")
    with scripted_server(script) as settings, structlog.testing.capture_logs() as events:
        channel_to(office, "email", "smtp", **settings)
        told(office, Event.LOW_BALANCE, balance_minor=1)
        sweep(office)
    with office.reading() as connection:
        words = connection.scalars(select(notice_history.c.words)).all()
    seen = json.dumps([events, list(words)], default=str).lower()
    assert events
    assert "li.wei" not in seen
    assert "li wei" not in seen


SENDER = """
import sys
from datetime import UTC, datetime
import billing.tables_all
from billing.notices.sweeping import sweep
from billing.office import Office
from billing.privacy.seal import Seal
from storage.engine import open_engine
from zoneinfo import ZoneInfo
from vending import Currency
office = Office(
    engine=open_engine(sys.argv[1]), zone=ZoneInfo("Asia/Shanghai"),
    currency=Currency.named("CNY"), clock=lambda: datetime.fromisoformat(sys.argv[2]),
    seal=Seal(bytes.fromhex(sys.argv[3])),
)
print("ready", flush=True)
sweep(office)
"""


def test_kill_9_between_sending_and_storing_leaves_it_unknown_and_the_rest_in_the_queue(
    office: Office, clock: Clock, database_url: str
) -> None:
    clock.now = local(10)
    script = Script(slow_s=60)  # takes the message, and is silent
    with scripted_server(script) as settings:
        channel_to(office, "email", "smtp", **{**settings, "timeout_s": 60, "send_s_max": 60})
        told(office, Event.LOW_BALANCE, "one", balance_minor=1)
        told(office, Event.LOW_BALANCE, "two", balance_minor=1)
        given = [database_url, clock.now.isoformat(), PERSONAL_KEY.hex()]
        process = subprocess.Popen([sys.executable, "-c", SENDER, *given], cwd=ROOT)
        try:
            end = time.monotonic() + 60
            while not script.taken and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert len(script.taken) == 1
    assert states(office) == [("email", "sending"), ("email", "queued")]
    with office.writing() as connection:
        connection.execute(update(notice_channels).values(adapter="file", settings="{}"))
    clock.advance(minutes=1)
    sweep(office)
    assert states(office)[0] == ("email", "sending")  # its time is not over yet
    clock.advance(minutes=2)
    sweep(office)
    assert states(office)[0] == ("email", "unknown")
    with office.reading() as connection:
        begun = connection.scalar(select(func.count()).where(notice_history.c.act == "sending"))
    assert begun == 1


def test_two_senders_at_once_send_each_message_once(
    office: Office, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    for number in range(12):
        told(office, Event.LOW_BALANCE, f"low {number}", balance_minor=number)
    given = [database_url, clock.now.isoformat(), PERSONAL_KEY.hex()]
    processes = [
        subprocess.Popen([sys.executable, "-c", SENDER, *given], cwd=ROOT) for _ in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert states(office) == [("email", "sent")] * 12
    assert acts(office).count("sending") == 12
    assert len(list(tmp_path.iterdir())) == 12


@pytest.mark.parametrize("fate", list(Fate))
def test_word_that_comes_when_all_is_settled_changes_nothing(
    office: Office, clock: Clock, tmp_path: Path, fate: Fate
) -> None:
    clock.now = local(10)
    channel_to(office, "email", "file", folder=str(tmp_path))
    told(office, Event.LOW_BALANCE, balance_minor=1)
    with office.writing() as connection:
        withdraw_notices(connection, office, ["x"], "paid")
        number = connection.scalar(select(notice_messages.c.message_id))
        assert number is not None
        assert settle(connection, office, number, Outcome(fate, "late"), actor="test") is None
    assert states(office) == [("email", "failed")]
