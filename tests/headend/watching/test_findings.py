"""What waits for a person, who decided, and what billing may use meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from headend.collection.tables import clock_offsets
from headend.faults import EntryError, NotAllowedError, StoreRefusedError
from headend.person import Person, Right
from headend.station import Station
from headend.store.events import add_events
from headend.store.registers import add_readings
from headend.values import MeterEvent, Reading
from headend.watching.alarms import AlarmDesk
from headend.watching.calendar import midnight, number_of
from headend.watching.checking import check_day, check_values
from headend.watching.checks.flag import Flag
from headend.watching.days import compute_days
from headend.watching.faults import FindingDecidedError, NoSuchFindingError, NoSuchLimitError
from headend.watching.findings import FindingDesk, Found, Hold, hold_of, keep_findings
from headend.watching.limits import limits_in_force, reset_limit, set_group, set_limit
from headend.watching.sweep import sweep
from headend.watching.tables import finding_history, findings, point_days
from tests.headend.watching.town import add_meter, add_place, freeze, running
from tests.shop.conftest import Clock

TODAY = number_of(date(2026, 11, 21))
LONG_AGO = timedelta(days=400)


def _found(station: Station, device: int, *, holds: bool = True) -> int:
    now = station.now()
    flag = Flag("odd", "It is odd.", {"wh": 1}, holds=holds)
    with station.writing() as connection:
        found = Found(flag, now - timedelta(days=1), now, device_id=device)
        keep_findings(connection, [found, found], now)
    return FindingDesk(station).list()[0].finding_id


def _is_held(station: Station, device: int) -> bool:
    now = station.now()
    with station.reading() as connection:
        hold = hold_of(connection, device, now - timedelta(hours=2), now + timedelta(hours=2))
        return hold is Hold.HELD


def test_a_finding_is_kept_once_and_holds_until_somebody_dismisses_it(station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    other, _ = add_meter(station, "2", None)
    desk = FindingDesk(replace(station, person=Person("anna")))
    number = _found(station, device)
    assert _found(station, device) == number
    assert len(desk.list()) == 1
    assert _is_held(station, device)
    assert not _is_held(station, other)
    desk.dismiss(number, "They had guests.")
    assert not _is_held(station, device)
    finding, decided = desk.show(number)
    assert (finding.state, finding.about, finding.figures) == ("dismissed", "meter 1", {"wh": 1})
    assert [(each.act, each.actor) for each in decided] == [("dismissed", "anna")]


def test_what_is_confirmed_stays_held_until_it_is_released(station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    desk = FindingDesk(station)
    number = _found(station, device)
    desk.confirm(number, "Bypassed.", cause="bypass")
    assert _is_held(station, device)
    with pytest.raises(FindingDecidedError, match="confirmed and still holds"):
        desk.dismiss(number, "No.")
    desk.release(number, "Estimated for March.")
    assert not _is_held(station, device)
    with pytest.raises(FindingDecidedError, match="holds nothing back"):
        desk.release(number, "Again.")
    now = station.now()
    (cause,) = desk.causes(now - timedelta(days=1), now + timedelta(days=1))
    assert (cause.cause, cause.found, cause.confirmed) == ("bypass", 1, 1)


def test_decisions_need_words_rights_and_a_finding(station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    number = _found(station, device)
    with pytest.raises(EntryError, match="auditor"):
        FindingDesk(station).dismiss(number, "  ")
    with pytest.raises(NoSuchFindingError):
        FindingDesk(station).dismiss(number + 1, "What?")
    looker = FindingDesk(replace(station, person=Person("ben", frozenset({Right.LOOK}))))
    with pytest.raises(NotAllowedError):
        looker.dismiss(number, "Fine.")


def test_a_finding_is_never_rewritten(station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    number = _found(station, device)
    FindingDesk(station).dismiss(number, "Fine.")
    for statement in (
        update(findings).values(reason="Nothing."),
        update(findings).values(state="open"),
        delete(findings),
        delete(finding_history),
    ):
        with pytest.raises(StoreRefusedError), station.writing() as connection:
            connection.execute(statement)


def test_limits_are_set_for_everybody_or_a_group_and_reset(station: Station) -> None:
    set_limit(station, "use_swing_percent", 40)
    set_limit(station, "use_swing_percent", 50, customer_group="bakery")
    set_limit(station, "loss_low_bp", -300)
    with station.reading() as connection:
        limits = limits_in_force(connection)
    assert limits["use_swing_percent"] == 40
    assert limits.of("use_swing_percent", "bakery") == 50
    assert limits["loss_low_bp"] == -300
    reset_limit(station, "use_swing_percent", customer_group="bakery")
    with station.reading() as connection:
        assert limits_in_force(connection).of("use_swing_percent", "bakery") == 40
    with pytest.raises(NoSuchLimitError, match="finding limits"):
        set_limit(station, "nonsense", 1)
    with pytest.raises(EntryError):
        set_limit(station, "use_swing_percent", -1)


def _checks(station: Station) -> list[str]:
    return sorted(each.check for each in FindingDesk(station).list())


def test_a_week_of_odd_use_is_found_when_its_season_does_not_explain_it(
    station: Station,
) -> None:
    area = add_place(station, "area", "A", add_place(station, "substation", "S"))
    monday = number_of(date(2026, 11, 9))
    points = []
    for number in range(8):
        _, point = add_meter(station, str(number), area, since=station.now() - LONG_AGO)
        points.append(point)
    rows = [
        {"point_id": point, "day": day, "out_wh": 0, "state": 0,
         "wh": 15_000 if day >= monday and number != 3 else 10_000}
        for number, point in enumerate(points)
        for day in range(monday - 56, monday + 7)
    ]  # fmt: skip
    with station.writing() as connection:
        connection.execute(insert(point_days), rows)
    check_day(station, monday + 8)
    (finding,) = FindingDesk(station).list()
    assert (finding.check, finding.about, finding.cause) == ("use_swing", "meter 3", "use_below")
    assert finding.since == midnight(station.zone, monday)
    assert finding.holds
    assert check_day(station, monday + 8) == 0


def test_a_bakery_may_swing(station: Station) -> None:
    monday = number_of(date(2026, 11, 9))
    _, point = add_meter(station, "1", None, since=station.now() - LONG_AGO)
    days = range(monday - 56, monday + 7)
    with station.writing() as connection:
        connection.execute(
            insert(point_days),
            [
                {"point_id": point, "day": day, "out_wh": 0, "state": 0,
                 "wh": 14_000 if day >= monday else 10_000}
                for day in days
            ],
        )  # fmt: skip
        set_group(connection, point, "bakery")
    set_limit(station, "use_swing_percent", 50, customer_group="bakery")
    assert check_day(station, monday + 8) == 0
    set_limit(station, "use_swing_percent", 35, customer_group="bakery")
    assert check_day(station, monday + 8) == 1


def test_no_use_under_voltage_backward_energy_and_sub_meters_are_found(station: Station) -> None:
    long_ago = station.now() - LONG_AGO
    quiet, _ = add_meter(station, "quiet", None, since=long_ago)
    freeze(station, quiet, TODAY - 10, running(0, [9_000] * 2 + [0] * 8))
    with station.writing() as connection:
        at = midnight(station.zone, TODAY) - timedelta(hours=5)
        add_readings(connection, [Reading(quiet, "voltage_l1", at, 231_000)])
    back, _ = add_meter(station, "back", None, since=long_ago)
    freeze(station, back, TODAY - 1, [0, 0])
    freeze(station, back, TODAY - 1, [0, 4_000], quantity="energy_export_total")
    parent, point = add_meter(station, "parent", None, since=long_ago)
    freeze(station, parent, TODAY - 1, [0, 10_000])
    for number in ("sub 1", "sub 2"):
        sub, _ = add_meter(station, number, None, since=long_ago, parent_id=point)
        freeze(station, sub, TODAY - 1, [0, 8_000])
    compute_days(station)
    check_values(station)
    assert _checks(station) == ["reverse_current", "sub_sum", "zero_use"]
    assert check_values(station) == 0


def test_months_tell_of_tariffs_and_power_factor(station: Station, clock: Clock) -> None:
    device, _ = add_meter(station, "1", None, since=station.now() - LONG_AGO)
    clock.now = datetime(2026, 11, 3, 9, tzinfo=UTC)
    first, behind = date(2026, 10, 1), date(2026, 11, 1)
    values = {
        "energy_import_total": 900_000,
        "energy_import_t1": 500_000,
        "energy_import_t2": 396_000,
        "reactive_energy_import_total": 800_000,
    }
    for quantity, gone in values.items():
        for day, value in ((first, 1_000), (behind, 1_000 + gone)):
            freeze(station, device, number_of(day), [value], quantity=quantity)
    check_values(station)
    assert _checks(station) == ["power_factor", "tariff_gap"]


def test_events_and_clocks_are_told_once(station: Station, clock: Clock) -> None:
    device, _ = add_meter(station, "1", None, since=station.now() - LONG_AGO)
    at = station.now() - timedelta(hours=3)
    with station.writing() as connection:
        add_events(
            connection,
            [MeterEvent(device, "cover_open", at), MeterEvent(device, "relay_open", at)],
        )
        connection.execute(
            insert(clock_offsets),
            [{"device_id": device, "at": at, "offset_s": 900 + 0}],
        )
    clock.now = max(clock.now, datetime.now(UTC)) + timedelta(minutes=1)
    check_values(station)
    assert {"tamper_cover_open"} <= set(_checks(station)) <= {"tamper_cover_open", "clock_drift"}
    clock.advance(hours=1)
    assert check_values(station) == 0


def test_a_sweep_does_everything_and_a_second_one_nothing(station: Station, clock: Clock) -> None:
    area = add_place(station, "area", "A", add_place(station, "substation", "S"))
    long_ago = station.now() - LONG_AGO
    supply, _ = add_meter(station, "supply", area, role="supply", since=long_ago)
    freeze(station, supply, TODAY - 10, running(0, [100_000] * 10))
    for number in range(8):
        device, _ = add_meter(station, str(number), area, since=long_ago)
        used = [10_000] * 4 + [0 if number == 5 else 10_000] * 6
        freeze(station, device, TODAY - 10, running(0, used))
    assert sweep(station) > 0
    (alarm,) = AlarmDesk(station).list()
    assert (alarm.kind, alarm.about) == ("loss_out_of_band", "area A")
    assert "30.0 % lost" in alarm.words
    assert sweep(station) == 0
    clock.advance(hours=1)
    assert sweep(station) == 0


def test_days_are_judged_when_their_registers_come_and_months_after_any_break(
    station: Station, clock: Clock
) -> None:
    clock.now = midnight(station.zone, number_of(date(2026, 9, 20))) + timedelta(minutes=2)
    device, _ = add_meter(station, "1", None, since=station.now() - LONG_AGO)
    first, behind = number_of(date(2026, 9, 1)), number_of(date(2026, 10, 1))
    sweep(station)

    def hold(day: int, end: int) -> Hold:
        with station.reading() as connection:
            begin, until = midnight(station.zone, day), midnight(station.zone, end)
            return hold_of(connection, device, begin, until)

    yesterday = number_of(date(2026, 9, 19))
    assert hold(yesterday, yesterday + 1) is Hold.CLEAR
    assert hold(yesterday, yesterday + 2) is Hold.NOT_JUDGED
    # the registers come hours after the first sweep of the day
    freeze(station, device, yesterday, [1_000, 2_000])
    freeze(station, device, yesterday, [0, 50_000], quantity="energy_export_total")
    clock.advance(hours=3)
    sweep(station)
    assert _checks(station) == ["reverse_current"]
    assert hold(yesterday, yesterday + 1) is Hold.HELD
    # nobody sweeps for 26 days, in which September would have been judged
    for quantity, gone in (("total", 900_000), ("t1", 500_000), ("t2", 300_000)):
        for day, value in ((first, 0), (behind, gone)):
            freeze(station, device, day, [value], quantity=f"energy_import_{quantity}")
    clock.advance(days=26)
    sweep(station)
    assert "tariff_gap" in _checks(station)
    assert hold(first, behind) is Hold.HELD
