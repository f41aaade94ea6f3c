"""``alarm``, ``finding`` and ``report`` as a person or a program calls them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from headend.collection.tables import contact_hours, link_hours
from headend.station import Station
from headend.watching.alarms import Severity, raise_alarm
from headend.watching.calendar import day_of
from headend.watching.checks.flag import Flag
from headend.watching.findings import Found, keep_findings
from headend.watching.tables import loss_days, point_days
from tests.cash.test_commands import Desk
from tests.headend.watching.thieves import place_of_thief, town
from tests.headend.watching.town import add_line, add_meter, add_place


@pytest.fixture
def desk(database_url: str, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(database_url, capsys)


@pytest.fixture
def station(station: Station) -> Station:
    """On the real clock: commands ask for the last days."""
    return Station(station.engine, station.zone, lambda: datetime.now(UTC))


def test_an_alarm_by_commands(desk: Desk, station: Station) -> None:
    assert desk.run("alarm", "list") == "No open alarms.\n"
    with station.writing() as connection:
        number = raise_alarm(
            connection, "odd", severity=Severity.WARNING, words="Look [here].", at=station.now()
        )
    assert "Look [here]." in desk.run("alarm", "list")
    desk.run("alarm", "ack", str(number), "Mine.")
    refused = desk.json("alarm", "list", "--kind", "none")
    assert refused == []
    assert "Mine." in desk.run("alarm", "show", str(number))
    desk.run("alarm", "close", str(number), "A fuse.")
    shown = desk.json("alarm", "show", str(number))
    assert [each["act"] for each in shown["history"]] == ["raised", "acknowledged", "closed"]
    (row,) = desk.json("report", "alarms")
    assert (row["kind"], row["raised"], row["closed"]) == ("odd", 1, 1)
    desk.run("alarm", "close", str(number), "Again.", status=3)


def test_rules_of_escalation_by_commands(desk: Desk) -> None:
    desk.run("alarm", "rules", "--set", "odd", "0:notice:duty", "30:critical:boss")
    rules = [each for each in desk.json("alarm", "rules") if each["kind"] == "odd"]
    assert [(each["after_min"], each["recipients"]) for each in rules] == [
        (0, "duty"),
        (30, "boss"),
    ]
    desk.run("alarm", "rules", "--set", "odd", "soon", status=2)
    desk.run("alarm", "rules", "--set", "odd")
    assert all(each["kind"] != "odd" for each in desk.json("alarm", "rules"))


def test_a_finding_by_commands(desk: Desk, station: Station) -> None:
    device, _ = add_meter(station, "1", None)
    now = station.now()
    with station.writing() as connection:
        flag = Flag("odd", "It is odd.", {"wh": 7})
        keep_findings(connection, [Found(flag, now - timedelta(1), now, device_id=device)], now)
    (row,) = desk.json("finding", "list")
    number = str(row["finding"])
    assert "wh: 7" in desk.run("finding", "show", number)
    desk.run("finding", "confirm", number, "Bypassed.", "--cause", "bypass")
    desk.run("finding", "release", number, "Estimated.")
    desk.run("finding", "dismiss", number, "No.", status=3)
    (cause,) = desk.json("finding", "causes")
    assert cause == {"cause": "bypass", "found": 1, "open": 0, "confirmed": 1, "dismissed": 0}
    desk.run("finding", "limits", "--set", "use_swing_percent", "40", "--group", "bakery")
    limits = {each["name"]: each["value"] for each in desk.json("finding", "limits", "--group",
              "bakery")}  # fmt: skip
    assert limits["use_swing_percent"] == 40
    desk.run("finding", "limits", "--set", "loss_low_bp", "-300")
    assert "-300" in desk.run("finding", "limits")
    desk.run("finding", "limits", "--reset", "loss_low_bp")
    assert "-300" not in desk.run("finding", "limits")


def _town(station: Station) -> str:
    """An area with a thief, as days; the thief's meter."""
    seed = next(seed for seed in range(20) if place_of_thief(seed, "bypass") == 1)
    made = town(seed, "bypass")
    area = add_place(station, "area", "A7", add_place(station, "substation", "S"))
    last = day_of(station.zone, station.now()) - 1
    first = last - len(made.supplied) + 1
    days = []
    sold = [0] * len(made.supplied)
    for customer in made.customers:
        _, point = add_meter(station, customer.meter, area)
        for number, wh in enumerate(customer.days_wh):
            if wh is not None:
                days.append(
                    {"point_id": point, "day": first + number, "wh": wh, "out_wh": 0, "state": 0}
                )
                sold[number] += wh
    rows = []
    for number, came in enumerate(made.supplied):
        assert came is not None
        loss = 10_000 * (came - sold[number]) // came
        rows.append(
            {"place_id": area, "day": first + number, "supplied_wh": came, "loss_bp": loss,
             "sold_wh": sold[number], "estimated_wh": 0, "meters": 60, "known": 60,
             "state": "high" if loss > 800 else "good"}
        )  # fmt: skip
    with station.writing() as connection:
        connection.execute(insert(point_days), days)
        connection.execute(insert(loss_days), rows)
    return made.customers[made.thief].meter


def test_losses_are_told_as_table_csv_json_and_picture(
    desk: Desk, station: Station, tmp_path: Path
) -> None:
    assert "No losses are known" in desk.run("report", "losses")
    thief = _town(station)
    table, picture = tmp_path / "losses.csv", tmp_path / "losses.png"
    out = desk.run("report", "losses", "--csv", str(table), "--plot", str(picture))
    assert "A7" in out
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["place"], row["days"]) == ("A7", "30")
    assert picture.read_bytes().startswith(b"\x89PNG")
    by_day = tmp_path / "days.svg"
    answer = desk.json("report", "losses", "--place", "A7", "--suspects", "--plot", str(by_day))
    assert len(answer["days"]) == 30
    assert answer["suspects"][0]["meter"] == thief
    assert b"</svg>" in by_day.read_bytes()
    assert thief in desk.run("report", "losses", "--place", "A7", "--suspects")
    desk.run("report", "losses", "--suspects", status=2)
    desk.run("report", "losses", "--place", "nowhere", status=3)
    desk.run("report", "losses", "--plot", str(tmp_path / "x.gif"), status=2)
    desk.run("report", "losses", "--again", "--since", str(_yesterday(station)))


def _yesterday(station: Station) -> object:
    return (station.now() - timedelta(days=1)).date()


def test_read_success_and_alarms_are_told_and_drawn(
    desk: Desk, station: Station, tmp_path: Path
) -> None:
    assert "Nobody was asked" in desk.run("report", "success")
    line = add_line(station, "tcp://h:1")
    area = add_place(station, "area", "A", add_place(station, "substation", "S"))
    device, _ = add_meter(station, "1", area, link_id=line)
    hour = station.now().replace(minute=0, second=0, microsecond=0)
    hours = [hour - timedelta(hours=back) for back in range(10)]
    with station.writing() as connection:
        connection.execute(
            insert(contact_hours),
            [{"device_id": device, "hour": each, "asked": 4, "answered": 3} for each in hours],
        )
        connection.execute(
            insert(link_hours),
            [
                {"link_id": line, "hour": each, "asked": 4, "answered": 3, "broken": 0,
                 "busy_ms": 9}
                for each in hours
            ],
        )  # fmt: skip
        raise_alarm(connection, "odd", severity=Severity.NOTICE, words="Look.", at=station.now())
    for by, name in (("area", "A"), ("link", "line 1"), ("meter", "1")):
        (row,) = desk.json("report", "success", "--by", by)
        assert (row[by], row["asked_24h"], row["answered_24h"]) == (name, 40, 30)
    picture, table = tmp_path / "success.png", tmp_path / "success.csv"
    out = desk.run("report", "success", "--plot", str(picture), "--csv", str(table))
    assert "75.0 %" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "answered_72h" in table.read_text()
    drawn = tmp_path / "alarms.svg"
    desk.run("report", "alarms", "--plot", str(drawn), "--since", "2026-01-01")
    assert b"</svg>" in drawn.read_bytes()
