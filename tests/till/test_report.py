"""Reports of sales: as tables, as JSON, as CSV, as pictures."""

from __future__ import annotations

import csv
import io
import json
import struct
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.plots.sales import _places, _step, draw_sales
from tests.commands.running import meterhouse
from tests.shop.databases import UTILITY
from tests.till.conftest import NUMBER, Counter
from vending import Resource, Tender, VendRequest
from vending.cash.reports import SalesRow


def row(day: str, paid_minor: int) -> SalesRow:
    return SalesRow(day, "", "", "", 1, 0, paid_minor, {Resource.ELECTRICITY: 10})


@pytest.fixture
def sold(counter: Counter) -> Counter:
    with counter.shop() as shop:
        for number, tender in enumerate((Tender.CASH, Tender.CARD)):
            shop.vend(VendRequest("t", f"m{number}", NUMBER, 10_000, tender)).require_done()
    return counter


def test_sales_go_by_day_vendor_tender_and_resource(sold: Counter, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    keys = ("day", "vendor", "tender", "resource")
    options = [option for key in keys for option in ("--by", key)]
    done = meterhouse("report", "sales", *options, "--csv", str(file), "--json", env=sold.env)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(each["tender"], each["sales"], each["resource"]) for each in rows] == [
        ("card", 1, "electricity"),
        ("cash", 1, "electricity"),
    ]
    written = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [each["tender"] for each in written] == ["card", "cash"]
    assert {each["paid"] for each in written} == {"99.77"}


def test_nothing_unknown_is_an_empty_table(sold: Counter, tmp_path: Path) -> None:
    file = tmp_path / "unknown.csv"
    done = meterhouse("report", "unknown", "--csv", str(file), "--json", env=sold.env)
    assert done.returncode == 0
    assert json.loads(done.stdout) == []
    assert file.read_text().startswith("client,message_id,operation,")


def test_sales_by_day_are_drawn(sold: Counter, tmp_path: Path) -> None:
    for name in ("sales.svg", "sales.png"):
        plot = ("report", "sales", "--by", "tender", "--plot", str(tmp_path / name))
        done = meterhouse(*plot, env=sold.env)
        assert done.returncode == 0, done.stderr
    assert ET.parse(tmp_path / "sales.svg").getroot().tag.endswith("svg")
    picture = (tmp_path / "sales.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > height > 400
    wrong = meterhouse("report", "sales", "--plot", "sales.gif", env=sold.env)
    assert wrong.returncode == 2
    assert "FILE.svg or FILE.png" in wrong.stderr


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(click.ClickException, match="nothing to draw"):
        draw_sales([], UTILITY, "svg")
    with pytest.raises(click.ClickException, match="too many"):
        draw_sales([row("2020-01-01", 1), row("2026-01-01", 1)], UTILITY, "svg")


def test_the_same_sales_are_the_same_picture() -> None:
    rows = [row("2026-11-01", 100), row("2026-11-03", -50), row("2026-11-04", 0)]
    assert draw_sales(rows, UTILITY, "svg") == draw_sales(rows, UTILITY, "svg")


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_bars_lie_within_the_picture_and_ticks_are_few(amounts: list[int]) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(len(amounts))]
    places = _places(days, amounts, UTILITY.currency)
    near = 1e-6
    assert 2 <= len(places["ticks"]) <= 8
    for bar in places["bars"]:
        assert 26 - near <= bar["x"] <= bar["x"] + bar["width"] <= 178 + near
        assert -near <= bar["y"] <= bar["y"] + bar["height"] <= 80 + near


@given(st.integers(0, 10**15))
def test_a_step_is_round_and_reaches(span: int) -> None:
    step = _step(span)
    assert step * 5 >= span
    assert str(step).rstrip("0") in {"1", "2", "5"}
