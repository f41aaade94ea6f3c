"""What is to be told is taken once, for each person and channel, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from billing.faults import OfficeRefusedError, UnknownAccountError
from billing.notices.faults import NoticeFieldsError, NoticeRulesError
from billing.notices.outbox import queue_notice, queue_notices
from billing.notices.port import Event, Notice
from billing.notices.sweeping import sweep
from billing.notices.tables import notice_callbacks, notice_history, notice_messages, notices
from billing.office import Office
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up


def low(account_id: int, once: str = "low 1") -> Notice:
    return Notice(Event.LOW_BALANCE, account_id, once, {"balance_minor": 3_50})


def bill(account_id: int, once: str = "bill 1") -> Notice:
    about: dict[str, str | int] = {"bill_number": "B-1", "total_minor": 120_00}
    return Notice(Event.BILL, account_id, once, about, bill_id=1)


def messages(office: Office) -> list[Any]:
    with office.reading() as connection:
        query = select(notice_messages).order_by(notice_messages.c.message_id)
        return list(connection.execute(query))


def test_req16_a_notice_is_queued_for_each_contact_that_wants_notices(office: Office) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        first = make_contact(connection, office, account_id)
        second = make_contact(connection, office, account_id, role="tenant", language="zh")
        make_contact(connection, office, account_id, role="landlord", gets_notices=False)
        number = queue_notice(connection, office, low(account_id))
    assert number is not None
    found = messages(office)
    assert [(row.contact_id, row.channel, row.state, row.language) for row in found] == [
        (first, "email", "queued", "en"),
        (second, "email", "queued", "zh"),
    ]
    with office.reading() as connection:
        acts = connection.scalars(select(notice_history.c.act)).all()
    assert acts == ["queued", "queued"]


def test_the_same_thing_is_told_once(office: Office) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id)
        assert queue_notice(connection, office, low(account_id)) is not None
        assert queue_notice(connection, office, low(account_id)) is None
    with office.writing() as connection:
        assert queue_notice(connection, office, low(account_id)) is None
        pair = queue_notices(connection, office, [low(account_id, "a"), low(account_id, "a")])
    assert sorted(each is None for each in pair) == [False, True]
    assert len(messages(office)) == 2


def test_what_is_rolled_back_is_not_told(office: Office) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
    with office.engine.connect() as connection, connection.begin() as transaction:
        assert queue_notice(connection, office, low(account_id)) is not None
        transaction.rollback()
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(notices)) == 0


def test_an_account_that_wants_none_gets_none_but_what_must_be_told(office: Office) -> None:
    disconnect = {"disconnect_at": "2026-11-25T02:00:00+00:00", "reason": "arrears"}
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, gets_notices=False)
        assert queue_notice(connection, office, low(account_id)) is None
        must = Notice(Event.DISCONNECT_NOTICE, account_id, "d 1", disconnect)
        assert queue_notice(connection, office, must) is not None
    (row,) = messages(office)
    assert row.keep_until == datetime.fromisoformat("2026-11-25T02:00:00+00:00")


def test_req20_a_bill_goes_to_several_recipients_and_a_summary_by_the_agreed_channel(
    office: Office,
) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        set_up(connection, office, "sms", "file", {})
        account_id = make_account(connection, office)
        tenant = make_contact(connection, office, account_id, phone="+8613800000000")
        accountant = make_contact(
            connection, office, account_id, role="accountant", email=None, phone="+8613900000000"
        )
        make_contact(connection, office, account_id, role="landlord", gets_bill=False)
        queue_notice(connection, office, bill(account_id))
    pairs = [(row.contact_id, row.channel) for row in messages(office)]
    assert pairs == [(tenant, "email"), (accountant, "sms")]


def test_nobody_to_tell_asks_a_person_to_call_once_for_an_account(office: Office) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        assert queue_notice(connection, office, bill(account_id)) is not None
        assert queue_notice(connection, office, bill(account_id, "bill 2")) is not None
        assert queue_notice(connection, office, low(account_id)) is not None
    with office.reading() as connection:
        rows = connection.execute(select(notice_callbacks)).all()
    assert [(row.account_id, row.why, row.state) for row in rows] == [
        (account_id, "no_address", "open")
    ]


def test_where_no_channel_is_set_up_a_notice_is_kept_and_nobody_is_bothered(
    office: Office,
) -> None:
    with office.writing() as connection:
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id)
        assert queue_notice(connection, office, bill(account_id)) is not None
    assert messages(office) == []
    with office.reading() as connection:
        assert connection.execute(select(notice_callbacks)).all() == []


def test_a_slip_in_the_utilitys_rules_refuses_no_payment(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.toml").write_text("[low_balance]\nrank = 'first'\n")
    monkeypatch.setenv("METERHOUSE_NOTICES", str(tmp_path))
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id)
        assert queue_notice(connection, office, low(account_id)) is not None
    with pytest.raises(NoticeRulesError, match="rank"):
        sweep(office)


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"balance_minor": "3.50"},
        {"balance_minor": 1, "warn_minor": True},
        {"balance_minor": 1, "disconnect_at": "2026-11-25T02:00:00"},
        {"balance_minor": 1, "due_on": "25.11.2026"},
        {"balance_minor": 1, "words": "two\nlines"},
    ],
)
def test_what_no_text_could_be_made_of_is_refused(office: Office, about: dict[str, Any]) -> None:
    with pytest.raises(NoticeFieldsError) as fault, office.writing() as connection:
        queue_notice(connection, office, Notice(Event.LOW_BALANCE, 1, "x", about))
    assert fault.value.code == "notice_fields"


def test_an_unknown_account_is_refused(office: Office) -> None:
    with pytest.raises(UnknownAccountError), office.writing() as connection:
        queue_notice(connection, office, low(77))


STEPS = {
    ("queued", "sending"),
    ("queued", "failed"),
    ("sending", "queued"),
    ("sending", "sent"),
    ("sending", "failed"),
    ("sending", "unknown"),
    ("sent", "delivered"),
    ("sent", "failed"),
    ("unknown", "sent"),
    ("unknown", "delivered"),
    ("unknown", "failed"),
    ("failed", "queued"),
}
STATES = ("queued", "sending", "sent", "delivered", "failed", "unknown")


def values(office: Office, state: str, tries: int, round_: int = 1) -> dict[str, Any]:
    at = office.now()
    return {
        "state": state,
        "due_at": at if state == "queued" else None,
        "sending_until": at if state == "sending" else None,
        "tries": tries,
        "round": round_,
    }


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_the_database_refuses_every_step_that_could_send_twice(
    office: Office, channel: str
) -> None:
    ways = {
        "sending": ["sending"],
        "sent": ["sending", "sent"],
        "unknown": ["sending", "unknown"],
        "failed": ["failed"],
        "delivered": ["sending", "sent", "delivered"],
        "queued": [],
    }
    with office.writing() as connection:
        set_up(connection, office, channel, "file", {})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, phone="+8613800000000")
    allowed = set(STEPS)
    if channel == "email":
        allowed.add(("unknown", "queued"))
    found = set()
    for old in STATES:
        for new in STATES:
            if old == new:
                continue
            with office.writing() as connection:
                queue_notice(connection, office, low(account_id, f"{old} {new}"))
                number = connection.scalar(select(func.max(notice_messages.c.message_id)))
                of = update(notice_messages).where(notice_messages.c.message_id == number)
                tries = 0
                for state in ways[old]:
                    tries += state == "sending"
                    connection.execute(of.values(**values(office, state, tries)))
            again = int(old == "queued" and new == "sending")
            try:
                with office.writing() as connection:
                    connection.execute(of.values(**values(office, new, tries + again)))
            except OfficeRefusedError:
                continue
            found.add((old, new))
    assert found == allowed


def test_a_message_is_never_deleted_nor_its_history_changed(office: Office) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {})
        account_id = make_account(connection, office)
        contact_id = make_contact(connection, office, account_id)
        number = queue_notice(connection, office, low(account_id))
    for statement in (
        notice_messages.delete(),
        notice_history.delete(),
        update(notice_history).values(words="nothing"),
        notices.delete(),
        update(notices).values(once="other"),
        insert(notice_messages).values(
            notice_id=number,
            contact_id=contact_id,
            channel="email",
            language="en",
            rank=1,
            keep_until=office.now() + timedelta(days=1),
            **values(office, "queued", 0),
        ),
    ):
        with pytest.raises(OfficeRefusedError), office.writing() as connection:
            connection.execute(statement)


@given(st.text(max_size=30), st.integers())
def test_a_field_is_taken_or_refused_whatever_it_holds(text: str, number: int) -> None:
    from billing.notices.outbox import require_fields

    about: dict[str, str | int] = {"balance_minor": number, "pay_by_at": text}
    try:
        require_fields(Event.LOW_BALANCE, about)
    except NoticeFieldsError:
        return
    assert datetime.fromisoformat(text).tzinfo is not None
