"""Bank files, and providers' statements held against payments (specs/utility.md 5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from billing.accounts.numbers import account_number
from billing.ledger.posting import balance
from billing.office import Office
from billing.payments.bank_file import take_file
from billing.payments.channel_desk import ChannelDesk
from billing.payments.channels import Adapter, Channel, find_channel
from billing.payments.desk import PaymentDesk
from billing.payments.door import take
from billing.payments.faults import (
    ChannelClosedError,
    ChannelSettingsError,
    PaymentConflictError,
    ReconciliationStateError,
    StatementError,
    UnknownReconciliationError,
)
from billing.payments.payment import Payment, PaymentState
from billing.payments.reconciling import ReconciliationDesk
from billing.payments.statements import number_in
from billing.payments.tables import payment_channels, payments
from tests.billing.made import make_account
from tests.billing.payments.hooks import SECRET
from tests.billing.payments.test_desk import ANNA, BORIS
from tests.cash import camt
from tests.shop.conftest import Clock

HEAD = "Date,Description,Amount,Reference\n"


@pytest.fixture
def accounts(office: Office, clock: Clock) -> list[int]:
    clock.now = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    with office.writing() as connection:
        return [make_account(connection, office) for _ in range(2)]


def _channel(office: Office, name: str) -> Channel:
    with office.reading() as connection:
        return find_channel(connection, name)


def _csv(*lines: str) -> bytes:
    return (HEAD + "\n".join(lines) + "\n").encode()


def _with_statements(office: Office, name: str, **statement: str) -> Channel:
    settings = {"statement": {"format": "csv", "mapping": "generic", **statement}}
    return ChannelDesk(office).change(name, settings=settings)


def test_req05_a_bank_file_is_taken_once_however_often_it_comes(
    office: Office, accounts: list[int]
) -> None:
    channel = _with_statements(office, "bank", account="CITY 1")
    one, two = (account_number(each) for each in accounts)
    content = _csv(
        f"2026-11-20,account {one} thanks,50.00,R1",
        f"2026-11-20,{two[:5]} {two[5:]},7.00,R2",
        f"2026-11-20,for {one} and {two},9.00,R3",
        "2026-11-20,no number,11.00,",
        "2026-11-20,no number,11.00,",
        "2026-11-20,bank fee,-3.00,R4",
        "2026-11-20,broken,abc,R5",
    )
    first = take_file(office, channel, content)
    assert (first.taken, first.taken_minor, first.known, first.suspense) == (5, 88_00, 0, 3)
    assert (first.outgoing, [each.where for each in first.bad]) == (1, ["line 8"])
    more = content + f"2026-11-21,{one},1.00,R6\n".encode()
    again = take_file(office, channel, more)
    assert (again.taken, again.known) == (1, 5)
    with office.reading() as connection:
        assert [balance(connection, each) for each in accounts] == [51_00, 7_00]
        rows = connection.execute(select(payments)).all()
    note = office.seal.open("payment.note", bytes(rows[0].note_sealed))
    assert note == f"account {one} thanks"


def test_req05_camt_is_read_by_the_bank_desks_reader(office: Office, accounts: list[int]) -> None:
    office = replace(office, currency=office.currency)
    channel = ChannelDesk(office).change("bank", settings={"statement": {"format": "camt"}})
    number = account_number(accounts[0])
    content = camt.statement(
        [
            camt.Booking([camt.Payment("50.00", f"electricity {number}")], "R1", currency="CNY"),
            camt.Booking(
                [camt.Payment("1.00", number), camt.Payment("2.00", number)], "B1", currency="CNY"
            ),
        ]
    )
    assert take_file(office, channel, content).taken == 3
    assert take_file(office, channel, content).known == 3
    with office.reading() as connection:
        assert balance(connection, accounts[0]) == 53_00


def test_a_file_that_is_none_is_kept_as_a_failure(office: Office) -> None:
    channel = _with_statements(office, "bank")
    with pytest.raises(StatementError) as refused:
        take_file(office, channel, b"hello")
    assert refused.value.code == "payment_statement"
    health = {each.channel.name: each for each in ChannelDesk(office).health()}["bank"]
    assert (health.state, health.last_failure.split(":")[0]) == ("down", "payment_statement")
    with pytest.raises(ChannelSettingsError):
        take_file(office, _channel(office, "alipay"), b"")


def test_req05_a_statement_is_held_against_the_days_payments(
    office: Office, accounts: list[int]
) -> None:
    _with_statements(office, "alipay")
    one = account_number(accounts[0])
    paid_at = office.now()
    for reference, amount in (("A1", 10_00), ("A2", 20_00), ("A4", 40_00)):
        with office.writing() as connection:
            take(
                connection,
                office,
                Payment("alipay", reference, amount, accounts[0], paid_at=paid_at),
            )
    content = _csv(
        "2026-11-20,,10.00,A1",
        "2026-11-20,,21.00,A2",
        f"2026-11-20,account {one},30.00,A3",
        "2026-11-20,payout,-5.00,P1",
    )
    desk = ReconciliationDesk(office.acting(ANNA))
    made = desk.reconcile("alipay", content, file_name="alipay.csv")
    assert (made.lines, made.matched, made.matched_minor, made.differences) == (3, 1, 10_00, 3)
    assert desk.reconcile("alipay", content).reconciliation_id == made.reconciliation_id
    _, found = desk.show(made.reconciliation_id)
    assert [(each.kind, each.reference, each.theirs_minor, each.ours_minor) for each in found] == [
        ("different", "A2", 21_00, 20_00),
        ("missing_here", "A3", 30_00, None),
        ("missing_there", "A4", None, 40_00),
    ]
    payment_id = desk.take(made.reconciliation_id, 2, "the message was lost")
    with office.reading() as connection:
        assert balance(connection, accounts[0]) == 100_00
        late = Payment("alipay", "A3", 30_00, number=one, paid_at=office.day_start(made.first_day))
    with office.writing() as connection:
        assert take(connection, office, late).payment_id == payment_id
    boris = ReconciliationDesk(office.acting(BORIS))
    with pytest.raises(ReconciliationStateError) as refused:
        boris.review(made.reconciliation_id)
    assert refused.value.code == "reconciliation_state"
    for again in (desk.settle, desk.take):
        with pytest.raises(ReconciliationStateError):
            again(made.reconciliation_id, 2, "again")
    with pytest.raises(ReconciliationStateError):
        desk.take(made.reconciliation_id, 3, "what is here cannot be taken")
    anna, payments_of_boris = PaymentDesk(office.acting(ANNA)), PaymentDesk(office.acting(BORIS))
    lost = anna.find("alipay", "A4")
    anna.ask_undo(lost.payment_id, "the provider never had it", bounced=True)
    payments_of_boris.decide_undo(lost.payment_id, approve=True)
    desk.settle(made.reconciliation_id, 3, "undone")
    desk.settle(made.reconciliation_id, 1, "a correction of 1.00 was asked")
    reviewed = boris.review(made.reconciliation_id)
    assert (reviewed.state, reviewed.open_differences, reviewed.reviewed_by) == (
        "reviewed",
        0,
        "boris",
    )
    assert [each.reconciliation_id for each in desk.list(channel="alipay")] == [
        made.reconciliation_id
    ]
    with pytest.raises(UnknownReconciliationError) as unknown:
        desk.show(made.reconciliation_id + 1)
    assert unknown.value.code == "unknown_reconciliation"


def test_req05_what_is_missing_here_may_be_somebody_elses(
    office: Office, accounts: list[int]
) -> None:
    _with_statements(office, "wechat")
    content = _csv("2026-11-20,,10.00,W1", "2026-11-20,,11.00,W2")
    desk = ReconciliationDesk(office.acting(ANNA))
    made = desk.reconcile("wechat", content)
    desk.take(made.reconciliation_id, 1, "asked the payer", number=account_number(accounts[1]))
    desk.take(made.reconciliation_id, 2, "nobody knows whose it is")
    with office.reading() as connection:
        assert balance(connection, accounts[1]) == 10_00
    assert len(PaymentDesk(office).list(state=PaymentState.SUSPENSE)) == 1


def test_a_statement_without_money_is_refused(office: Office) -> None:
    with pytest.raises(StatementError):
        ReconciliationDesk(office).reconcile("counter", b"")
    with pytest.raises(StatementError):
        ReconciliationDesk(office).reconcile("wechat", b"")
    _with_statements(office, "wechat")
    with pytest.raises(StatementError):
        ReconciliationDesk(office).reconcile("wechat", _csv("2026-11-20,fee,-1.00,W1"))


def test_req05_channels_are_tested_and_watched(
    office: Office, accounts: list[int], clock: Clock, tmp_path: Path
) -> None:
    desk = ChannelDesk(office)
    tested = desk.test("alipay")
    assert (tested.is_up, tested.code) == (False, "channel_settings")
    secret = tmp_path / "alipay.secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    desk.change("alipay", settings={"scheme": "hmac-sha256", "key_file": str(secret)})
    clock.advance(seconds=1)
    assert desk.test("alipay").is_up
    assert all(desk.test(name).is_up for name in ("counter", "voucher"))

    def states() -> dict[str, str]:
        return {each.channel.name: each.state for each in desk.health()}

    assert states() == {
        "alipay": "up",
        "bank": "unused",
        "counter": "up",
        "kiosk": "unused",
        "voucher": "up",
        "web": "unused",
        "wechat": "unused",
    }
    with office.writing() as connection:
        take(connection, office, Payment("alipay", "1", 1_00, accounts[0]))
    clock.advance(hours=24)
    assert states()["alipay"] == "up"
    clock.advance(seconds=1)
    assert states()["alipay"] == "stale"
    desk.change("alipay", stale_h=0)
    assert states()["alipay"] == "up"
    secret.chmod(0o644)
    assert not desk.test("alipay").is_up
    assert states()["alipay"] == "down"
    desk.change("alipay", is_open=False)
    assert states()["alipay"] == "closed"
    with pytest.raises(ChannelClosedError) as refused, office.writing() as connection:
        take(connection, office, Payment("alipay", "2", 1_00, accounts[0]))
    assert refused.value.code == "channel_closed"


def test_channels_are_added_and_hold_no_secrets(office: Office) -> None:
    desk = ChannelDesk(office)
    desk.add("post", "Post office", Adapter.FILE, stale_h=72)
    with pytest.raises(ChannelSettingsError):
        desk.add("post", "Post office", Adapter.FILE)
    for name in ("", "Post", "a b", "x" * 33):
        with pytest.raises(ChannelSettingsError):
            desk.add(name, "x", Adapter.FILE)
    for settings in ({"secret": "x"}, {"window_s": "300"}, {"scheme": "x" * 10_001}):
        with pytest.raises(ChannelSettingsError):
            desk.change("post", settings=settings)
    desk.change("post", settings={"success": "OK"})
    desk.change("post", title="Post", settings={"success": None})
    with office.reading() as connection:
        row = connection.execute(
            select(payment_channels).where(payment_channels.c.channel == "post")
        ).one()
    assert (row.title, row.settings) == ("Post", "{}")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("account {0}", True),
        ("{0}{0}", False),
        ("x{0}.", True),
        ("1{0}", False),
        ("{0} {0}", True),
        ("{0} {1}", False),
        ("1234567890", False),
        ("", False),
    ],
)
def test_the_number_in_a_text_is_one_or_none(text: str, named: bool) -> None:
    one, two = account_number(7), account_number(8)
    assert number_in(text.format(one, two)) == (one if named else "")


def test_req05_a_booking_that_is_there_twice_is_not_taken_as_the_payment_that_we_have(
    office: Office, accounts: list[int]
) -> None:
    """A provider's second booking under one reference is money of somebody's."""
    _with_statements(office, "alipay")
    number = account_number(accounts[0])
    with office.writing() as connection:
        take(connection, office, Payment("alipay", "W1", 50_00, accounts[0]))
    desk = ReconciliationDesk(office.acting(ANNA))
    lines = [f"2026-11-20,{number},50.00,W1"] * 2 + [f"2026-11-20,{number},9.00,W2"] * 2
    found = desk.reconcile("alipay", _csv(*lines))
    _, differences = desk.show(found.reconciliation_id)
    assert [(each.kind, each.reference) for each in differences] == [
        ("missing_here", "W1"),
        ("missing_here", "W2"),
        ("missing_here", "W2"),
    ]
    with pytest.raises(PaymentConflictError, match="W1 twice"):
        desk.take(found.reconciliation_id, 1, "the wallet has it")
    desk.take(found.reconciliation_id, 2, "the wallet has it")
    with pytest.raises(PaymentConflictError, match="W2 twice"):
        desk.take(found.reconciliation_id, 3, "the wallet has it")
    with office.reading() as connection:
        assert balance(connection, accounts[0]) == 59_00


def test_req05_a_payment_that_bounced_meanwhile_is_not_taken_as_there(
    office: Office, accounts: list[int], clock: Clock
) -> None:
    _with_statements(office, "alipay")
    number = account_number(accounts[0])
    desk = ReconciliationDesk(office.acting(ANNA))
    found = desk.reconcile("alipay", _csv(f"2026-11-20,{number},50.00,W1"))
    clock.advance(minutes=1)
    with office.writing() as connection:
        payment = take(connection, office, Payment("alipay", "W1", 50_00, accounts[0]))
    PaymentDesk(office.acting(ANNA)).ask_undo(payment.payment_id, "no money", bounced=True)
    PaymentDesk(office.acting(BORIS)).decide_undo(payment.payment_id, approve=True)
    with pytest.raises(PaymentConflictError, match="undone"):
        desk.take(found.reconciliation_id, 1, "the wallet has it")
