"""`meterhouse serve`: it starts, answers, refuses a second one, stops on a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shop.databases import make_shop

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A house of its own."""
    made = f"sqlite:///{tmp_path / 'house.db'}"
    make_shop(made)
    return made


@pytest.fixture
def serving(url: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work, saying what it does in JSON."""
    with subprocess.Popen(
        [sys.executable, "cli.py", "serve", "--database", url, "--metrics-port", "0",
         "--listen", "127.0.0.1:0", "--worker", "north", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "METERHOUSE_CREDENTIALS": ""},
    ) as process:  # fmt: skip
        yield process
        process.kill()


def said(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    """The next event of this name."""
    assert process.stdout is not None
    for line in process.stdout:
        found = json.loads(line)
        assert isinstance(found, dict)
        if found["event"] == event:
            return found
    pytest.fail(f"it never said {event}")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(
    serving: subprocess.Popen[str], url: str, how: signal.Signals
) -> None:
    serves = said(serving, "serving")
    assert serves["worker"] == "north"
    assert isinstance(serves["modem_port"], int)
    with urllib.request.urlopen(str(serves["metrics"]), timeout=20) as page:
        figures = page.read().decode()
    assert "meterhouse_workers 1.0" in figures
    assert "meterhouse_orders_total" in figures
    if how is signal.SIGTERM:
        second = subprocess.run(
            [sys.executable, "cli.py", "serve", "--database", url, "--metrics-port", "0", "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        refusal = json.loads(second.stdout.splitlines()[-1])
        assert refusal["error"]["code"] == "already_served"
        assert second.returncode == 3
    serving.send_signal(how)
    assert said(serving, "worker.stopped")
    assert serving.wait(30) == 0


def test_a_second_signal_ends_it_at_once(serving: subprocess.Popen[str]) -> None:
    said(serving, "serving")
    serving.send_signal(signal.SIGTERM)
    said(serving, "worker.stops")
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(10) == 130


@pytest.mark.parametrize(
    ("option", "value"), [("--listen", "north"), ("--listen", "1:2:x"), ("--modem-id", "face")]
)
def test_what_makes_no_sense_is_said(url: str, option: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "cli.py", "serve", "--database", url, option, value],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert value in done.stderr
