"""``meterhouse office run``: everything that is due, once or until it is told to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from billing.bills import sweeping
from billing.faults import OfficeRefusedError
from billing.office import Office
from cli import cli
from commands import office_run
from commands.office_work import SWEEP_NAMES, OfficeSweep, office_sweeps
from tests.shop.databases import SqliteFiles

ROOT = Path(__file__).parent.parent.parent


def test_every_sweep_has_its_name() -> None:
    assert tuple(each.name for each in office_sweeps()) == SWEEP_NAMES


def test_what_is_due_is_done_once(sqlite_files: SqliteFiles) -> None:
    url = sqlite_files.shop()
    ran = CliRunner().invoke(cli, ["office", "run", "--once", "--database", url, "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout) == dict.fromkeys(SWEEP_NAMES, 0)
    ran = CliRunner().invoke(cli, ["office", "run", "--once", "--only", "bills", "--database", url])
    assert ran.output.split() == ["bills", "0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_stop(sqlite_files: SqliteFiles, number: int) -> None:
    url = sqlite_files.shop()
    given = ["office", "run", "--database", url]
    with subprocess.Popen(
        [sys.executable, "-c", "from cli import main; main()", *given],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("The office works.")
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "what was not done is done next time" in rest


def test_a_fault_of_one_sweep_costs_no_other(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: Office) -> int:
        raise OfficeRefusedError("no")

    def broken(_: Office) -> int:
        raise RuntimeError("a mistake")

    for act in (refused, broken, sweeping.sweep):
        office_run._act(office, OfficeSweep("test", 1, act))
    told = capsys.readouterr()
    assert "office_refused" in told.out + told.err
    assert "a mistake" in told.out + told.err
