"""Personal fields: masked, opened with a trace, sealed anew, erased (requirement 30)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text

from billing.accounts.closing import CloseRequest
from billing.accounts.tables import contacts, customers
from billing.accounts.values import AccountRules
from billing.faults import BadEntryError, RightMissingError
from billing.ledger.posting import entries_of
from billing.office import Office
from billing.payments.refunds import RefundDesk
from billing.person import Person, Right
from billing.privacy.faults import SealBrokenError, SealKeyError
from billing.privacy.fields import anything_sealed, sealed_columns
from billing.privacy.key_file import add_new_key, make_key_file, open_seal, retire_old_keys
from billing.privacy.masks import masked_email, masked_name, masked_number, masked_text
from billing.privacy.resealing import not_newest, reseal
from billing.privacy.retention import erase_due
from billing.privacy.seal import Seal
from storage.audit import audit_lines
from storage.engine import open_engine, reading
from tests.billing.accounts.desks import (
    CLERK,
    SECOND,
    application,
    desk_of,
    make_point,
    open_account,
)
from tests.billing.conftest import PERSONAL_KEY
from tests.shop.conftest import Clock
from tests.shop.databases import SqliteFiles

NEW_KEY = bytes(range(32, 64))


def test_req30_lists_show_masks() -> None:
    assert masked_name("Li Wei") == "L** W**"
    assert masked_name("李伟") == "李**"
    assert masked_name("") == ""
    assert masked_number("+8613800138000") == "****00"
    assert masked_number("12345") == "****"
    assert masked_number(None) == ""
    assert masked_email("li@example.org") == "l**@e**"
    assert masked_email(None) == ""
    assert masked_text("7 River Street") == "7**"
    assert masked_text(" ") == ""


def test_req30_personal_fields_are_opened_with_a_right_and_a_trace(office: Office) -> None:
    desk = desk_of(office)
    with office.writing() as connection:
        point = make_point(connection, office, "4001")
    _id, number = open_account(desk, point=point, tariff="home")
    card = desk.card(number)
    shown = " ".join(
        [card.name, card.identity, card.supplies[0].address]
        + [str(each) for person in card.contacts for each in (person.name, person.phone)]
    )
    assert shown == "L** W** ****3X 7** L** W** ****00"
    assert "Li" not in repr(card)
    assert desk.accounts()[0].name == "L** W**"
    with pytest.raises(BadEntryError):
        desk.opened_card(number, " ")
    opened = desk.opened_card(number, "customer at the counter")
    assert (opened.name, opened.identity) == ("Li Wei", "11010119900307123X")
    with office.reading() as connection:
        line = connection.execute(
            select(audit_lines).where(audit_lines.c.action == "personal.open")
        ).one()
    assert (line.actor, line.subject, line.reason) == ("Wang", number, "customer at the counter")
    blind = desk_of(office, Person("Gao", frozenset({Right.LOOK, Right.SERVE})))
    with pytest.raises(RightMissingError):
        blind.opened_card(number, "curious")
    assert blind.card(number).name == "L** W**"


def test_req30_nothing_personal_is_in_the_database_in_clear(office: Office) -> None:
    with office.reading() as connection:
        assert not anything_sealed(connection)
    open_account(desk_of(office))
    with office.reading() as connection:
        assert anything_sealed(connection)
        rows = [
            *connection.execute(select(customers)).all(),
            *connection.execute(select(contacts)).all(),
        ]
    text = str(rows)
    assert not any(word in text for word in ("Li Wei", "li@", "138001", "19900307"))


def test_every_sealed_column_says_what_it_holds() -> None:
    columns = sealed_columns()
    assert {"customers.name_sealed", "contacts.phone_sealed"} <= {each.name for each in columns}
    assert [each.name for each in columns if "." not in each.field] == []


def test_every_sealed_column_can_be_sealed_anew(sqlite_files: SqliteFiles) -> None:
    engine = open_engine(sqlite_files.shop())
    with reading(engine) as connection:
        triggers = connection.execute(
            text("SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        ).all()
    engine.dispose()
    for each in sealed_columns():
        rules = [sql for table, sql in triggers if table == each.table.name and "UPDATE ON" in sql]
        assert all("WHEN" in sql for sql in rules), each.name
        assert not any(f"NEW.{each.column.name}" in sql for sql in rules), each.name


def test_req30_a_key_changes_while_people_search(office: Office) -> None:
    desk = desk_of(office)
    _id, number = open_account(desk)
    both = replace(office, seal=Seal(NEW_KEY, PERSONAL_KEY), person=CLERK)
    found = desk_of(both)
    assert found.search("Li Wei")[0].account.number == number  # an old digest
    open_account(found, name="Sun Yu", identity="NEW 1")
    with both.reading() as connection:
        old = not_newest(connection, both.seal)
    told: list[tuple[int, int]] = []
    assert reseal(both, lambda done, total: told.append((done, total))) == old > 0
    assert told[-1] == (old, old)
    assert reseal(both) == 0
    newest = desk_of(replace(office, seal=Seal(NEW_KEY)))
    assert newest.search("Li Wei")[0].account.number == number
    assert newest.search("+8613800138000")[0].account.number == number
    assert newest.search("110101-19900307123x")[0].account.number == number
    assert newest.opened_card(number, "test").name == "Li Wei"
    with pytest.raises(SealBrokenError) as broken:
        desk.opened_card(number, "test")
    assert broken.value.code == "seal_broken"


def test_req30_resealing_goes_on_where_it_was_interrupted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.privacy.resealing._AT_ONCE", 2)
    desk = desk_of(office)
    for number in range(5):
        desk.apply(application(identity=f"ID {number}000"))
    both = replace(office, seal=Seal(NEW_KEY, PERSONAL_KEY))
    with both.reading() as connection:
        total = not_newest(connection, both.seal)

    def interrupt(done: int, _total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(both, interrupt)
    with both.reading() as connection:
        left = not_newest(connection, both.seal)
    assert 0 < left < total
    assert reseal(both) == left


def test_req30_who_left_long_ago_is_forgotten_and_the_money_stays(
    office: Office, clock: Clock
) -> None:
    desk = desk_of(office)
    account_id, number = open_account(desk)
    stays_id, stays = open_account(desk, name="Sun Yu", identity="STAYS 1")
    closing = desk.close(number, CloseRequest("moved", refund_channel="bank"))
    refunds = RefundDesk(office.acting(SECOND))
    assert closing.refund_id is not None
    refunds.approve(closing.refund_id)
    refunds.pay(closing.refund_id, reference="7")
    desk.proceed(number)
    desk.set_rules(AccountRules(keep_years=2))
    clock.advance(days=2 * 365 - 30)
    assert erase_due(office) == 0
    clock.advance(days=60)
    assert erase_due(office) == 1
    assert erase_due(office) == 0
    card = desk.opened_card(number, "test")
    assert (card.name, card.identity, card.contacts) == ("", "", ())
    assert card.account.state == "closed"
    assert desk.search("Li Wei") == []
    assert desk.search("+8613800138000")[0].account.account_id == stays_id
    assert desk.opened_card(stays, "test").name == "Sun Yu"
    with office.reading() as connection:
        assert len(entries_of(connection, account_id)) >= 5


def test_a_key_file_is_its_owners_alone_and_keeps_old_keys(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    sealed = open_seal(path).seal("customer.name", "Li")
    assert add_new_key(path) == 2
    both = open_seal(path)
    assert both.open("customer.name", sealed) == "Li"
    assert not both.is_newest(sealed)
    assert path.stat().st_mode & 0o777 == 0o600
    aside = retire_old_keys(path)
    assert open_seal(aside).open("customer.name", sealed) == "Li"
    assert aside.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SealBrokenError):
        open_seal(path).open("customer.name", sealed)
    with pytest.raises(SealKeyError, match="no old one") as refused:
        retire_old_keys(path)
    assert refused.value.code == "seal_key"
    path.chmod(0o640)
    with pytest.raises(SealKeyError, match="chmod"):
        open_seal(path)
    with pytest.raises(SealKeyError):
        make_key_file(path)
    with pytest.raises(SealKeyError):
        open_seal(tmp_path / "none")
    path.write_text("hello")
    path.chmod(0o600)
    with pytest.raises(SealKeyError):
        open_seal(path)
