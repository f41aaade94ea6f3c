"""`meterhouse readings` and `meterhouse store`, as a person runs them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cli import main
from headend.registry.tables import end_devices
from headend.station import Station
from headend.store.readings import add_events, add_intervals, add_readings
from headend.values import IntervalValue, MeterEvent, Reading

DAY = datetime(2025, 3, 4, tzinfo=UTC)
ENERGY = "energy_import_total"
Run = Callable[..., str]


@pytest.fixture
def run(
    shared_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("METERHOUSE_DATABASE_URL", shared_url)
    monkeypatch.setenv("COLUMNS", "140")

    def run(*words: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        told = capsys.readouterr()
        assert (ended.value.code or 0) == status, told
        return told.out + told.err

    return run


@pytest.fixture
def meter(station: Station, device_id: int) -> str:
    values = [
        IntervalValue(device_id, ENERGY, DAY + timedelta(minutes=15 * place), 15, 250 + place)
        for place in range(200)
        if place not in (20, 21)
    ]
    with station.writing() as connection:
        add_readings(
            connection,
            [Reading(device_id, ENERGY, DAY + timedelta(hours=h), 1_000_000 + h) for h in range(9)],
        )
        add_readings(connection, [Reading(device_id, ENERGY, DAY, 7)])
        add_intervals(connection, values)
        add_events(connection, [MeterEvent(device_id, "cover_open", DAY)])
        number: str = connection.execute(
            select(end_devices.c.number).where(end_devices.c.device_id == device_id)
        ).scalar_one()
    return number


def _json(text: str) -> Any:
    return json.loads(text)


SPAN = ("--since", "2025-03-04", "--until", "2025-03-08")


def test_readings_are_shown_drawn_and_written(run: Run, meter: str, tmp_path: Path) -> None:
    assert "1,000.008 kWh" in run("readings", "show", meter, *SPAN)
    found = _json(run("readings", "show", meter, *SPAN, "--json"))
    assert found[-1] == {
        "quantity": ENERGY,
        "at": "2025-03-04T08:00:00Z",
        "value": 1_000_008,
        "quality": "good",
        "source": "register",
    }
    hours = _json(run("readings", "show", meter, "--intervals", *SPAN, "--json"))
    assert len(hours) == 198
    for name in ("day.svg", "day.png"):
        picture = tmp_path / name
        run("readings", "show", meter, "--intervals", *SPAN, "--plot", str(picture))
        assert picture.stat().st_size > 1_000
    table = tmp_path / "day.csv"
    run("readings", "show", meter, "--intervals", *SPAN, "--csv", str(table))
    rows = list(csv.reader(table.read_text().splitlines()))
    assert rows[0] == ["meter", "quantity", "at", "kind", "value", "quality"]
    assert rows[1] == [meter, ENERGY, "2025-03-04T00:00:00Z", "15 min", "250", "good"]
    assert "Nothing is kept" in run(
        "readings", "show", meter, "--since", "2024-01-01", "--until", "2024-01-02"
    )
    assert "is not before" in run(
        "readings", "show", meter, "--since", "2025-01-01", "--until", "2024-01-02", status=2
    )
    run("readings", "show", "nobody", status=3)


def test_a_person_corrects_and_settles(run: Run, meter: str) -> None:
    [open_] = _json(run("readings", "differing", "--meter", meter, "--json"))
    assert (open_["kept"]["value"], open_["other"]["value"]) == (1_000_000, 7)
    assert "0.007" in run("readings", "differing", "--meter", meter)
    number = str(open_["number"])
    run("readings", "settle", number, "--take", "other", "--reason", "the display says 7")
    assert "No value contradicts" in run("readings", "differing", "--meter", meter)
    run("readings", "settle", number, "--take", "kept", "--reason", "x", status=3)
    # the shop's zone is two hours ahead of UTC
    run("readings", "correct", meter, "2025-03-04T03:00", "55", "--reason", "misread")
    values = [each["value"] for each in _json(run("readings", "show", meter, *SPAN, "--json"))]
    assert values[:3] == [7, 55, 1_000_002]
    as_read = _json(run("readings", "show", meter, *SPAN, "--as-read", "--json"))
    assert [each["value"] for each in as_read][:2] == [1_000_000, 1_000_001]
    said = run("readings", "correct", meter, "2025-03-04T03:07", "5", "--reason", "x", status=1)
    assert "look with" in said


def test_the_store_is_packed_archived_and_exported(run: Run, meter: str, tmp_path: Path) -> None:
    assert "wait to be packed" in run("store", "status")
    assert _json(run("store", "pack", "--json"))["values"] >= 1
    assert "0 values" in run("store", "pack")
    before = [
        run("readings", "show", meter, *words, *SPAN, "--json") for words in ((), ("--intervals",))
    ]
    exported = run("store", "export", "intervals", "2025-03")
    assert exported.count("\n") >= 199
    folder = str(tmp_path / "archive")
    assert "due" not in run("store", "archive", "--folder", folder, "--month", "2025-03")
    after = [
        run("readings", "show", meter, *words, *SPAN, "--json") for words in ((), ("--intervals",))
    ]
    assert after == before
    assert run("store", "export", "intervals", "2025-03") == exported
    run("store", "export", "events", "2025-03", "--out", str(tmp_path / "events.csv"))
    assert "cover_open" in (tmp_path / "events.csv").read_text()
    kinds = {each["kind"]: each for each in _json(run("store", "status", "--json"))["kinds"]}
    assert all(each["archived_months"] == 1 for each in kinds.values())
    assert kinds["intervals"]["archived_rows"] >= 198


def test_retention_is_shown_and_changed(run: Run, meter: str) -> None:
    assert meter
    assert "forever" in run("store", "retention")
    changed = run("store", "retention", "readings", "--archive-after", "25", "--json")
    assert _json(changed) == {"readings": {"archive_after_months": 25, "keep_months": None}}
    run("store", "retention", "readings", "--keep", "12", status=3)
    run("store", "retention", "readings", "--keep", "soon", status=2)
    run("store", "retention", "--keep", "60", status=2)
    run("store", "retention", "readings", "--archive-after", "never")
    run("store", "archive", "--month", "2025-13", status=2)
    assert "Nothing is due" in run("store", "archive", "--dry-run")
