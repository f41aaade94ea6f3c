"""``plan`` and ``round`` as a person or a program calls them, over a street in a thread."""

from __future__ import annotations

import asyncio
import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headend.station import Station
from headend.talk.device import Device
from simulators.street import Street
from simulators.street_plan import BusPlan
from tests.cash.test_commands import Desk
from tests.headend.talk.streets import LISTEN, register, street_beside


@pytest.fixture
def desk(database_url: str, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(database_url, capsys)


@pytest.fixture
def station(station: Station) -> Station:
    """On the real clock, as the commands are."""
    return Station(station.engine, station.zone, lambda: datetime.now(UTC))


@contextmanager
def running(street: Street) -> Iterator[None]:
    """A street reachable while the block runs, on a loop in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(street.start(), loop).result(10)
        yield
        asyncio.run_coroutine_threadsafe(street.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def a_street(station: Station, *, dead_every: int | None = None) -> Iterator[list[Device]]:
    street, _ = street_beside(
        station, BusPlan(name="north", listen=LISTEN, meters=4, dead_every=dead_every)
    )
    with running(street):
        yield register(station, street)


def test_a_plan_by_commands(desk: Desk, station: Station, tmp_path: Path) -> None:
    with a_street(station) as devices:
        made = desk.json(
            "plan", "add", "hourly", "--quantity", "energy_import_total", "--every", "60",
            "--at", "00:05", "--link", "north", "--window", "22:00-06:00",
        )  # fmt: skip
        assert made["when"] == {"at": "00:05", "every_min": 60}
        assert made["windows"] == [["22:00", "06:00"]]
        assert "hourly" in desk.run("plan", "list")
        assert desk.json("plan", "show", "hourly")["meters"] == 4
        again = desk.json(
            "plan", "add", "hourly", "--quantity", "credit", "--every", "60", status=3
        )
        assert again["error"]["code"] == "plan_taken"
        assert "2 meters added" in desk.run(
            "plan", "mark", "factories", devices[0].number, devices[1].number
        )
        path = tmp_path / "night.toml"
        path.write_text(
            '[what]\ndaily = ["energy_import_total"]\n[whom]\nlists = ["factories"]\n'
            '[when]\nevery_min = 1440\nat = "01:00"\n'
        )
        assert desk.json("plan", "add", "night", "--file", str(path))["name"] == "night"
        assert desk.json("plan", "show", "night")["meters"] == 2
        unknown = desk.json(
            "plan", "add", "x", "--quantity", "credit", "--every", "60", "--place", "Mars", status=3
        )
        assert "no place 'Mars'" in unknown["error"]["message"]
        desk.run("plan", "remove", "hourly")
        assert [each["name"] for each in desk.json("plan", "list")] == ["night"]


def test_a_round_by_commands(desk: Desk, station: Station) -> None:
    with a_street(station, dead_every=4) as devices:
        desk.run("plan", "add", "all", "--quantity", "energy_import_total", "--every", "60")
        ran = desk.json("plan", "run-now", "all", "--now")
        assert ran["states"] == {"read": 3, "waiting": 1}
        assert desk.json("round", "list")[0]["round"] == ran["round"]
        assert "3 read, 1 waiting" in desk.run("round", "show", str(ran["round"]))
        assert "3 read" in desk.run("round", "watch", str(ran["round"]), "--timeout", "1")
        assert desk.json("round", "missing", str(ran["round"])) == []
        assert list(csv.reader(desk.run("round", "missing", str(ran["round"]), "--csv").split()))
        number = devices[3].number
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        entered = desk.json(
            "round", "enter", number, "energy_import_total", "17.25", "--at", at,
            "--note", "J. Li, no signal in the cellar",
        )  # fmt: skip
        assert entered["value"] == 17_250


def test_meters_are_read_now_by_command(desk: Desk, station: Station) -> None:
    with a_street(station, dead_every=4) as devices:
        asked = ["round", "read", devices[0].number, "--quantity", "energy_import_total"]
        found = desk.json(*asked, "--quantity", "voltage_l1", "--now")
        assert {each["quantity"] for each in found["values"]} == {
            "energy_import_total",
            "voltage_l1",
        }
        assert "kWh" in desk.run(*asked, "--now")
        silent = desk.json("round", "read", devices[3].number, "--now", status=7)
        assert silent["states"] == {"waiting": 1}
        queued = desk.json("round", "read", devices[1].number, "--no-wait")
        assert queued["states"] == {"waiting": 1}
        unknown = desk.json("round", "read", "999", "--now", status=3)
        assert unknown["error"]["code"] == "plan"


def test_reading_days_by_commands(desk: Desk, station: Station) -> None:
    with a_street(station) as devices:
        number = devices[0].number
        assert desk.json("plan", "day", "set", number, "5")["state"] == "agreed"
        month = (datetime.now(UTC) + timedelta(days=70)).strftime("%Y-%m")
        told = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
        asked = desk.json(
            "plan", "day", "move", number, "20", "--from", month, "--notice", told,
            "--why", "asked by phone",
        )  # fmt: skip
        assert asked["state"] == "asked"
        own = desk.json("plan", "day", "approve", str(asked["move"]), status=3)
        assert own["error"]["code"] == "reading_day"
        assert "asked" in desk.run("plan", "day", "list", "--asked")
