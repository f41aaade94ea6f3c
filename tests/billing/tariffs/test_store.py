"""Versions of tariffs in the database: begin, approval, withdrawal, what never changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, text, update

from billing.office import Office
from billing.person import Person
from billing.tariffs.faults import (
    NoRateValidError,
    RateStateError,
    RateValidityError,
    SameApproverError,
    UnknownRateError,
)
from billing.tariffs.spelling import to_json
from billing.tariffs.store import (
    VersionState,
    add_version,
    approve_version,
    listed,
    version_of,
    versions_between,
    withdraw_version,
)
from billing.tariffs.tables import rate_versions
from storage.audit import audit_lines
from storage.engine import writing
from storage.errors import InvariantError
from tests.billing.made import make_account, make_rate, make_supply
from tests.shop.conftest import Clock

HOME = 'code = "home"\nname = "Home"\n[energy]\nrate = "{rate}"\n'


def _document(rate: str) -> str:
    return HOME.format(rate=rate)


def _day(office: Office, days: int) -> date:
    return office.today() + timedelta(days=days)


def _priced_by(connection: Connection, office: Office, code: str) -> None:
    account = make_account(connection, office)
    make_supply(connection, office, account, tariff=code)


def test_req12_a_change_of_price_in_a_span_splits_it(office: Office) -> None:
    first, second, third = (_day(office, days) for days in (-30, 10, 20))
    with office.writing() as connection:
        for rate, since in (("0.50", first), ("0.60", second), ("0.70", third)):
            make_rate(connection, office, _document(rate), since)
        begin, end = office.day_start(_day(office, 5)), office.day_start(_day(office, 25))
        spans = versions_between(connection, "home", begin, end)
    bounds = [begin, office.day_start(second), office.day_start(third), end]
    assert [each.since for each in spans] == bounds[:-1]
    assert [each.until for each in spans] == bounds[1:]
    assert [str(each.version.tariff.energy.rate) for each in spans] == ["0.50", "0.60", "0.70"]
    assert [each.ends for each in spans] == [True, True, False]


def test_req12_a_version_ends_with_a_span_that_ends_where_the_next_begins(office: Office) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, -30))
        make_rate(connection, office, _document("0.60"), _day(office, 10))
        begin, end = office.day_start(_day(office, 9)), office.day_start(_day(office, 10))
        (span,) = versions_between(connection, "home", begin, end)
        (after,) = versions_between(connection, "home", end, end + timedelta(hours=1))
    assert (span.version.version, span.ends) == (1, True)
    assert (after.version.version, after.ends) == (2, False)


def test_req12_nothing_is_priced_before_the_first_version_or_by_an_unknown_tariff(
    office: Office,
) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, 1))
        now = office.now()
        with pytest.raises(NoRateValidError) as no_rate_valid:
            versions_between(connection, "home", now, now + timedelta(days=3))
        with pytest.raises(UnknownRateError) as unknown_rate:
            versions_between(connection, "hime", now, now + timedelta(days=3))
    assert no_rate_valid.value.code == "no_rate_valid"
    assert unknown_rate.value.code == "unknown_rate"


def test_req12_a_version_that_nobody_has_approved_prices_nothing(office: Office) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, -1))
        add_version(connection, office, _document("0.60"), since=_day(office, 1))
        end = office.day_start(_day(office, 9))
        spans = versions_between(connection, "home", office.now(), end)
    assert [each.version.version for each in spans] == [1]


def test_req12_req29_a_version_takes_two_persons(office: Office) -> None:
    with office.writing() as connection:
        wei = office.acting(Person("wei"))
        version = add_version(connection, wei, _document("0.50"), since=_day(office, 1))
        with pytest.raises(SameApproverError) as same_person:
            approve_version(connection, wei, "home", version.version)
        approve_version(connection, office.acting(Person("mei")), "home", 1)
        with pytest.raises(RateStateError) as state:
            approve_version(connection, office.acting(Person("mei")), "home", 1)
        (shown,) = listed(connection, "home")
    assert same_person.value.code == "rate_same_person"
    assert state.value.code == "rate_state"
    assert (shown.state, shown.asked_by, shown.approved_by) == (
        VersionState.APPROVED,
        "wei",
        "mei",
    )


def test_req29_the_database_itself_wants_two_persons(office: Office) -> None:
    with office.writing() as connection:
        add_version(connection, office.acting(Person("wei")), _document("1"), since=_day(office, 1))
    with pytest.raises(InvariantError), writing(office.engine) as connection:
        connection.execute(
            update(rate_versions).values(approved_at=office.now(), approved_by="wei")
        )


def test_req12_a_version_is_withdrawn_before_it_begins_only(office: Office, clock: Clock) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, -1))
        make_rate(connection, office, _document("0.60"), _day(office, 5))
        withdraw_version(connection, office, "home", 2, "the price was not decided")
        make_rate(connection, office, _document("0.65"), _day(office, 5))
        end = office.day_start(_day(office, 9))
        spans = versions_between(connection, "home", office.now(), end)
        with pytest.raises(RateStateError):
            withdraw_version(connection, office, "home", 1, "too late")
        with pytest.raises(RateStateError):
            withdraw_version(connection, office, "home", 2, "twice")
        with pytest.raises(RateValidityError):
            withdraw_version(connection, office, "home", 3, "  ")
    assert [each.version.version for each in spans] == [1, 3]
    clock.advance(days=6)
    with pytest.raises(InvariantError), writing(office.engine) as connection:
        connection.execute(
            update(rate_versions)
            .where(rate_versions.c.version == 3)
            .values(withdrawn_at=office.now(), withdrawn_by="x", reason="x")
        )


def test_req12_two_versions_never_begin_on_one_day(office: Office) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, 3))
        with pytest.raises(RateValidityError) as validity:
            add_version(connection, office, _document("0.60"), since=_day(office, 3))
    assert validity.value.code == "rate_validity"


def test_req12_what_is_settled_stays_a_used_tariff_gets_versions_ahead_only(
    office: Office, clock: Clock
) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, -100))
        make_rate(connection, office, _document("0.52"), _day(office, -50))  # nobody has it yet
        _priced_by(connection, office, "home")
        with pytest.raises(RateValidityError):
            add_version(connection, office, _document("0.60"), since=_day(office, 0))
        late = add_version(connection, office, _document("0.60"), since=_day(office, 1))
        clock.advance(days=3)
        with pytest.raises(RateValidityError):
            approve_version(connection, office.acting(Person("mei")), "home", late.version)
    with pytest.raises(InvariantError), writing(office.engine) as connection:
        connection.execute(
            update(rate_versions)
            .where(rate_versions.c.version == late.version)
            .values(approved_at=office.now(), approved_by="mei")
        )


def test_req12_a_version_never_changes(office: Office) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, 3))
    for change in (
        "UPDATE rate_versions SET definition = '{}'",
        "UPDATE rate_versions SET since = asked_at",
        "UPDATE rate_versions SET approved_by = 'somebody'",
        "DELETE FROM rate_versions",
        "UPDATE rates SET code = 'other'",
        "DELETE FROM rates",
    ):
        with pytest.raises(InvariantError), writing(office.engine) as connection:
            connection.execute(text(change))
    with office.reading() as connection:
        kept = connection.scalar(select(rate_versions.c.definition))
        assert kept == to_json(version_of(connection, "home", 1).tariff)


def test_req12_begins_are_midnights_of_the_zone(office: Office) -> None:
    with office.writing() as connection:
        version = make_rate(connection, office, _document("0.50"), date(2027, 1, 1))
    assert version.since == datetime(2026, 12, 31, 16, tzinfo=UTC)


def test_req30_an_auditor_sees_who_did_what_to_a_tariff(office: Office) -> None:
    with office.writing() as connection:
        make_rate(connection, office, _document("0.50"), _day(office, 3))
        withdraw_version(connection, office, "home", 1, "not decided")
    with office.reading() as connection:
        lines = connection.execute(
            select(audit_lines.c.actor, audit_lines.c.action, audit_lines.c.subject)
            .where(audit_lines.c.action.like("rate.%"))
            .order_by(audit_lines.c.audit_id)
        ).all()
    assert [tuple(line) for line in lines] == [
        ("proposer", "rate.propose", "home 1"),
        ("approver", "rate.approve", "home 1"),
        ("", "rate.withdraw", "home 1"),
    ]


def test_an_approval_at_insert_is_refused(office: Office) -> None:
    with office.writing() as connection:
        add_version(connection, office, _document("0.50"), since=_day(office, 1))
    values = {
        "code": "home",
        "version": 2,
        "since": office.now(),
        "definition": "{}",
        "asked_at": office.now(),
        "asked_by": "a",
        "approved_at": office.now(),
        "approved_by": "b",
    }
    with pytest.raises(InvariantError), writing(office.engine) as connection:
        connection.execute(insert(rate_versions).values(**values))
