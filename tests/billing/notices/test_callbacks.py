"""Whom messages do not reach a person calls; the correction takes two, and brings the message."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from billing.accounts import changes
from billing.accounts.tables import customer_accounts
from billing.accounts.values import ChangeState
from billing.faults import BadEntryError, RightMissingError
from billing.notices.calling import CallDesk
from billing.notices.desk import ChannelDesk, NoticeDesk
from billing.notices.faults import (
    MessageStateError,
    NoticeChannelSettingsError,
    UnknownMessageError,
)
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.notices.sweeping import sweep
from billing.notices.tables import contact_notes, notice_messages
from billing.office import Office
from billing.person import Person, Right
from storage.audit import audit_lines
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.billing.notices.servers import Script, scripted_server
from tests.shop.conftest import Clock

CLERK, OTHER = Person("ann"), Person("ben")


def bounced(office: Office, script: Script, settings: dict[str, str]) -> str:
    """A bill to an address that the server refuses; gives the account's number."""
    with office.writing() as connection:
        set_up(connection, office, "email", "smtp", settings)
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, email="wrong@example.org")
        about: dict[str, str | int] = {"bill_number": "B-1", "total_minor": 120_00}
        queue_notice(connection, office, Notice(Event.BILL, account_id, "b", about))
        number = connection.scalar(select(customer_accounts.c.number))
    script.rcpt = "550 5.1.1 unknown"
    sweep(office)
    script.rcpt = "250 ok"
    return str(number)


def test_req16_a_corrected_contact_gets_what_did_not_arrive(office: Office) -> None:
    script = Script()
    with scripted_server(script) as settings:
        number = bounced(office, script, settings)
        desk = CallDesk(office.acting(CLERK))
        (task,) = desk.list()
        assert (task.account, task.channel, task.why, task.event) == (
            number,
            "email",
            "failed",
            "bill",
        )
        change = desk.correct(
            task.callback_id, {"email": "right@example.org"}, words="she spelled it out"
        )
        assert desk.list() == []
        sweep(office)
        assert script.taken == []  # not before a second person has approved it
        with office.writing() as connection:
            changes.approve(connection, office.acting(OTHER), change)
        sweep(office)
    assert len(script.taken) == 1
    assert any("<right@example.org>" in command for command in script.commands)
    lines = desk.record(number)
    with office.reading() as connection:
        opened = connection.execute(
            select(audit_lines).where(audit_lines.c.action == "personal.open")
        ).one()
    assert (opened.subject, opened.detail) == (number, "contact record")
    assert {line.act for line in lines} >= {
        "queued",
        "failed",
        "sent",
        "asked for",
        "done",
        "noted",
    }
    assert any(line.words == "she spelled it out" for line in lines)
    with office.reading() as connection:
        sealed = connection.scalar(select(contact_notes.c.words_sealed))
    assert b"spelled" not in bytes(sealed or b"")


def test_a_correction_that_is_refused_asks_for_another_call(office: Office) -> None:
    script = Script()
    with scripted_server(script) as settings:
        bounced(office, script, settings)
        desk = CallDesk(office.acting(CLERK))
        (task,) = desk.list()
        change = desk.correct(task.callback_id, {"email": "right@example.org"})
        with office.writing() as connection:
            changes.end(connection, office.acting(OTHER), change, ChangeState.REFUSED, "no proof")
        sweep(office)
    assert [each.why for each in desk.list()] == ["correction_refused"]


def test_a_task_is_done_once_and_by_those_who_may(office: Office) -> None:
    script = Script()
    with scripted_server(script) as settings:
        bounced(office, script, settings)
    desk = CallDesk(office.acting(CLERK))
    (task,) = desk.list()
    with pytest.raises(BadEntryError):
        desk.done(task.callback_id, " ")
    with pytest.raises(BadEntryError):
        desk.correct(task.callback_id, {})
    with pytest.raises(RightMissingError):
        CallDesk(office.acting(Person("eve", frozenset({Right.LOOK})))).done(1, "x")
    desk.done(task.callback_id, "told by telephone")
    with pytest.raises(MessageStateError) as fault:
        desk.done(task.callback_id, "again")
    assert fault.value.code == "message_state"
    with pytest.raises(UnknownMessageError) as missing:
        desk.done(99, "x")
    assert missing.value.code == "no_such_message"
    assert len(desk.list(done=True)) == 1


def test_req30_lists_mask_addresses(office: Office) -> None:
    script = Script()
    with scripted_server(script) as settings:
        bounced(office, script, settings)
    desk = NoticeDesk(office)
    (message,) = desk.list(state="failed")
    assert message.address == "w**@e**"
    assert desk.show(message.message_id)[1][-1].act == "failed"
    with pytest.raises(UnknownMessageError):
        desk.show(99)


def test_only_what_has_definitely_failed_is_sent_again(office: Office, clock: Clock) -> None:
    script = Script()
    with scripted_server(script) as settings:
        number = bounced(office, script, settings)
        desk = NoticeDesk(office.acting(CLERK))
        (message,) = desk.list(account=number)
        with pytest.raises(BadEntryError):
            desk.retry(message.message_id, "")
        desk.retry(message.message_id, "the server was wrong")
        script.cut_at_end = True
        sweep(office)
        with pytest.raises(MessageStateError, match="Ask the provider"):
            desk.retry(message.message_id, "once more")
        assert desk.decide(message.message_id, arrived=False, reason="its log says so") == "failed"
        with pytest.raises(MessageStateError):
            desk.decide(message.message_id, arrived=True, reason="x")
        clock.advance(days=30)
        with pytest.raises(MessageStateError, match="nothing new"):
            desk.retry(message.message_id, "late")


def test_req29_who_may_only_look_sees_no_keys_of_a_provider(office: Office) -> None:
    """Some want their key in the address, or in what is sent."""
    given = {
        "url": "https://sms.example:8443/v1/T0KEN/send?api_key=K3Y",
        "status_url": "https://sms.example/of/$reference?token=K3Y",
        "body": '{"key": "K3Y", "to": "$address", "text": "$text"}',
        "secret_file": "/etc/meterhouse/sms",
        "timeout_s": "20",
    }
    ChannelDesk(office.acting(CLERK)).set("sms", "http", given)
    auditor = Person("auditor", frozenset({Right.LOOK}))
    [shown] = ChannelDesk(office.acting(auditor)).list()
    assert shown.settings == {
        "url": "https://sms.example:8443/**",
        "status_url": "https://sms.example/**",
        "body": "**",
        "secret_file": "/etc/meterhouse/sms",
        "timeout_s": "20",
    }
    [whole] = ChannelDesk(office.acting(CLERK)).list()
    assert whole.settings == given


def test_a_channel_is_set_up_watched_and_switched(office: Office, tmp_path: Path) -> None:
    desk = ChannelDesk(office.acting(CLERK))
    with pytest.raises(NoticeChannelSettingsError, match="not set up"):
        desk.check("sms")
    with pytest.raises(NoticeChannelSettingsError, match="is sent by one of"):
        desk.set("email", "pigeon", {})
    desk.set("sms", "file", {"folder": str(tmp_path / "gone")})
    desk.set("sms", "file", {"folder": str(tmp_path)}, per_minute=5)
    assert "written into" in desk.check("sms")
    assert desk.try_out("sms", "+8613800000000").fate == "sent"
    desk.set_quiet("sms", "*", "23:00-06:00")
    desk.set_quiet("sms", "bill", None)
    with pytest.raises(BadEntryError):
        desk.set_quiet("sms", "bill", "at night")
    desk.switch("sms", on=False)
    (health,) = desk.list()
    assert (health.channel, health.adapter, health.enabled, health.per_minute) == (
        "sms",
        "file",
        False,
        5,
    )
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, phone="+8613800000000")
        about: dict[str, str | int] = {"balance_minor": 1}
        queue_notice(connection, office, Notice(Event.LOW_BALANCE, account_id, "l", about))
    with office.reading() as connection:
        assert connection.execute(select(notice_messages)).all() == []
