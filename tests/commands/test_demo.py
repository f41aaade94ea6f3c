"""``meterhouse demo``: the whole loop, and a statement that can fail."""

import json
import os
import re
import sys
from dataclasses import replace

import pexpect
import pytest

from commands.demo.account_figures import AccountFigures, account_disagreements
from commands.demo.statement import HomeFigures, ShopFigures, disagreements
from tests.commands.running import ROOT, meterhouse

HOME = HomeFigures("Amina", "00000000117", 500, 1_000, 1_000, 3_600_000, 3_000_000, 600_000, 0,
                   3_000_000)  # fmt: skip
SHOP = ShopFigures("USD", 2, 500, 400, 60, 40, 460, 0, 1_000)


def test_plain_lines_tell_the_whole_story() -> None:
    done = meterhouse("demo")
    assert done.returncode == 0, done.stderr
    for what in (
        "pays 12.00 for 45.9 kWh",
        "Accept: Accepted. 45.9 kWh added",
        "is in the dark: credit exhausted",
        "has light",
        "UsedError",
        "CRCError",
        "gets a key change: 4 tokens",
        "1stKCT",
        "revision 2",
        "TEST",
        "All agree",
    ):
        assert what in done.stdout
    dark = done.stdout.index("Bakary  is in the dark")
    assert "Bakary  has light" in done.stdout[dark:]
    refused = re.findall(r" x (\w+) +(\w+):", done.stdout)
    assert refused == [("Amina", "UsedError"), ("Chipo", "CRCError"), ("Bakary", "CRCError")]
    assert "\x1b" not in done.stdout


def test_the_home_on_account_goes_dark_and_comes_back_by_its_meters_own_word() -> None:
    done = meterhouse("demo", "--no-receipts")
    assert done.returncode == 0, done.stdout + done.stderr
    story = [line.split("Dana")[1].strip() for line in done.stdout.splitlines() if "Dana  " in line]
    assert [line for line in story if not line.startswith(("opens", "is read", "looks"))] == [
        "pays 4.00 by phone",
        "is told: thank you, your money is there",
        "is told: your balance is low",
        "is told: supply goes off on Monday 09:00, unless you pay",
        "is in the dark: Done: the contact is open.",
        "is told: supply is off",
        "pays 20.00 by phone; balance 17.80",
        "is told: thank you, your money is there",
        "has light: Done: the contact is closed.",
        "is told: supply is on again",
    ]


@pytest.mark.parametrize(("change", "count"), [({}, 0), ({"balance_minor": 1}, 1),
                                               ({"used_wh": 979}, 1)])  # fmt: skip
def test_the_accounts_figures_are_held_against_each_other(
    change: dict[str, int], count: int
) -> None:
    sound = AccountFigures("Dana", "1000000018", 500, 500, 0, 1_000, 1_000)
    assert len(account_disagreements(replace(sound, **change))) == count  # type: ignore[arg-type]


def test_a_lost_watt_hour_is_noticed() -> None:
    done = meterhouse("demo", "--rig", "--no-receipts")
    assert done.returncode == 1
    assert "DISAGREES Amina: Ws on the meter and Ws by the home's own count" in done.stdout
    assert "All agree" not in done.stdout


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_it_agrees_whatever_the_homes_use(seed: str) -> None:
    done = meterhouse("demo", "--json", "--seed", seed)
    assert done.returncode == 0, done.stdout
    statement = json.loads(done.stdout)
    assert statement["agrees"]
    assert statement["sold_wh"] == statement["accepted_wh"] > 0
    assert statement["consumed_ws"] + statement["remaining_ws"] == statement["sold_wh"] * 3_600
    account = statement["account"]
    assert account["paid_minor"] - account["settled_minor"] == account["balance_minor"]


def test_the_live_picture_runs_on_a_terminal() -> None:
    screen = pexpect.spawn(
        sys.executable, ["-m", "cli", "demo", "--seconds", "2"],
        cwd=str(ROOT), dimensions=(40, 130), timeout=60, encoding="utf-8",
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "130", "LINES": "40"},
    )  # fmt: skip
    screen.expect("latest receipt")
    screen.expect("All agree")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_figures_that_agree_have_no_disagreement() -> None:
    assert disagreements(SHOP, [HOME]) == []


@pytest.mark.parametrize(
    ("shop", "home", "count"),
    [
        (replace(SHOP, tendered_minor=501), HOME, 2),
        (replace(SHOP, change_minor=41), HOME, 1),
        (replace(SHOP, ledger_cash_minor=459), HOME, 1),
        (replace(SHOP, ledger_unbalanced=1), HOME, 1),
        (replace(SHOP, sold_wh=1_100), HOME, 1),
        (SHOP, replace(HOME, sold_wh=1_100), 2),
        (SHOP, replace(HOME, accepted_wh=999), 2),
        (SHOP, replace(HOME, accepted_ws=3_600_001), 2),
        (SHOP, replace(HOME, consumed_ws=3_000_001), 2),
        (SHOP, replace(HOME, remaining_ws=600_001), 1),
        (SHOP, replace(HOME, counted_ws=2_999_999), 1),
        (SHOP, replace(HOME, paid_minor=499), 1),
    ],
)
def test_every_figure_is_held_against_another(
    shop: ShopFigures, home: HomeFigures, count: int
) -> None:
    assert len(disagreements(shop, [home])) == count
