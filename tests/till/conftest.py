"""A till at a terminal of its own, driven as a clerk drives it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest

from tests.commands.running import ROOT
from tests.shop.conftest import postgresql_databases, sqlite_files  # noqa: F401 - fixtures
from tests.shop.databases import PRICE, UTILITY, Databases
from vending import NewMeter, Shop
from vending.shop.rules import CounterRules
from vending.sts import make_drn

NUMBER = make_drn("07", "00000042")
WAIT_S = 20


@dataclass
class Clerk:
    """Somebody at a till."""

    env: dict[str, str]
    width: int = 100
    options: tuple[str, ...] = ()
    screen: pexpect.spawn[str] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the till; it may be started again after its end."""
        self.screen = pexpect.spawn(
            sys.executable,
            ["-m", "cli", "till", *self.options],
            cwd=str(ROOT),
            env=os.environ | self.env,
            encoding="utf-8",
            codec_errors="replace",
            timeout=WAIT_S,
            dimensions=(40, self.width),
        )

    def sees(self, *texts: str) -> str:
        """Wait for texts, one after the other, wherever lines are broken.

        Gives what was before the last of them.
        """
        for text in texts:
            self.screen.expect(r"\s+".join(map(re.escape, text.split(" "))))
        return self.screen.before or ""

    def types(self, *lines: str) -> None:
        """Type lines, each when the till asks for one."""
        for line in lines:
            self.screen.expect_exact(" > ")
            self.screen.sendline(line)

    def leaves(self) -> int | None:
        """Go away; gives the exit status."""
        self.types("*0")
        return self.ends()

    def ends(self) -> int | None:
        """Wait for the till's end; gives the exit status."""
        self.screen.expect(pexpect.EOF)
        self.screen.close()
        return self.screen.exitstatus

    def is_killed(self) -> None:
        """The power goes."""
        self.screen.kill(9)
        self.screen.wait()
        self.screen.close()


@dataclass
class Counter:
    """A shop with one meter, and the folder where its tills keep their notes."""

    url: str
    env: dict[str, str]
    state: Path

    def shop(self) -> Shop:
        """The shop, as the test sees it beside the till."""
        return Shop.open(self.url)

    @property
    def sales(self) -> int:
        """How many there are, when books and receipts agree."""
        with self.shop() as shop:
            counted = shop.statement()
        assert counted.agrees
        return counted.sales

    def note(self) -> str:
        """What the till of terminal 1 keeps."""
        (path,) = self.state.glob("meterhouse/till-*.json")
        assert path.stat().st_mode & 0o777 == 0o600
        return path.read_text()


@pytest.fixture
def counter(databases: Databases, tmp_path: Path) -> Iterator[Counter]:
    url = databases.empty()
    with Shop.create(url, UTILITY, PRICE, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as shop:
        shop.rules.set(CounterRules(double_sale_window_s=0))
        shop.add_meter(NewMeter(NUMBER, customer="Anna Example", location="Block 4, House 12"))
    env = {
        "METERHOUSE_DATABASE_URL": url,
        "METERHOUSE_OPERATOR": "ben",
        "XDG_STATE_HOME": str(tmp_path),
        "TERM": "dumb",
    }
    yield Counter(url, env, tmp_path)
    databases.discard(url)


@pytest.fixture(params=["sqlite"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """SQLite, unless a test asks for both: what a till does is the same above either."""
    name = f"{request.param}_files" if request.param == "sqlite" else "postgresql_databases"
    found: Databases = request.getfixturevalue(name)
    return found


@pytest.fixture
def clerk(counter: Counter) -> Iterator[Clerk]:
    """At a till of terminal 1."""
    clerk = Clerk(counter.env)
    yield clerk
    clerk.screen.close(force=True)


@pytest.fixture
def till(counter: Counter) -> Iterator[Callable[..., Clerk]]:
    """Makes clerks, with options."""
    clerks: list[Clerk] = []

    def start(*options: str, **rest: int) -> Clerk:
        clerks.append(Clerk(counter.env, options=options, **rest))
        return clerks[-1]

    yield start
    for clerk in clerks:
        clerk.screen.close(force=True)
