"""Whatever is said of a message, in whatever order, no step could send it twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from billing.notices.channels.port import Fate, Outcome
from billing.notices.fates import settle
from billing.notices.outbox import queue_notice
from billing.notices.port import Event, Notice
from billing.notices.sweeping import sweep
from billing.notices.tables import notice_history, notice_messages, notices
from billing.office import Office
from tests.billing.made import make_account
from tests.billing.notices.made import make_contact, set_up
from tests.shop.conftest import Clock

WORDS = st.lists(
    st.one_of(st.sampled_from(list(Fate)), st.sampled_from(["sweep", "an hour", "a day"])),
    max_size=8,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=st.sampled_from(list(Fate)), words=WORDS)
def test_req16_an_sms_leaves_again_after_a_definite_failure_alone(
    office: Office, clock: Clock, tmp_path: Path, first: Fate, words: list[Fate | str]
) -> None:
    with office.writing() as connection:
        if connection.scalar(select(func.count()).select_from(notices)) == 0:
            set_up(connection, office, "sms", "file", {"folder": str(tmp_path)})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id, email=None, phone="+8613800000000")
        about: dict[str, str | int] = {"amount_minor": 1}
        notice = Notice(Event.PAYMENT_RECEIVED, account_id, f"n {account_id}", about)
        number = queue_notice(connection, office, notice)
        message_id = connection.scalar(
            select(notice_messages.c.message_id).where(notice_messages.c.notice_id == number)
        )
    assert message_id is not None
    for word in [first, *words]:
        if word == "sweep":
            sweep(office)
        elif isinstance(word, Fate):
            with office.writing() as connection:
                settle(connection, office, message_id, Outcome(word, "said"), actor="test")
        else:
            clock.now += timedelta(hours=1 if word == "an hour" else 24)
    with office.reading() as connection:
        acts = list(
            connection.scalars(
                select(notice_history.c.act)
                .where(notice_history.c.message_id == message_id)
                .order_by(notice_history.c.entry_id)
            )
        )
    assert acts.count("sending") <= 1


def test_two_at_once_ask_for_the_same_notice_and_one_is_taken(office: Office) -> None:
    with office.writing() as connection:
        set_up(connection, office, "email", "file", {"folder": "/nowhere"})
        account_id = make_account(connection, office)
        make_contact(connection, office, account_id)
    together, taken = threading.Barrier(2), list[int | None]()

    def ask() -> None:
        together.wait(10)
        with office.writing() as connection:
            notice = Notice(Event.LOW_BALANCE, account_id, "low 1", {"balance_minor": 1})
            taken.append(queue_notice(connection, office, notice))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each is None for each in taken) == [False, True]
    with office.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(notice_messages)) == 1
