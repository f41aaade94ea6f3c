"""Tokens from a module outside of this process: killed at any step, nothing is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.engine import open_engine
from tests.shop.conftest import Clock
from tests.shop.test_vendor_credit import left, make_vendor
from vending import (
    CounterRules,
    FreeBasicRequest,
    KeyChangeRequest,
    NewMeter,
    Outcome,
    PaymentRequest,
    PublicTestKeys,
    Shop,
    VendRequest,
)
from vending.cash.faults import BatchCannotCloseError
from vending.cash.reckoning import Count
from vending.people.actor import PERMISSIONS, Actor, Role
from vending.price.situation import Scheme, SchemeKind
from vending.security.line_module import LineModule
from vending.shop.faults import MeterBusyError
from vending.shop.giving import GivingDesk
from vending.sts import make_drn

ROOT = Path(__file__).parent.parent.parent
AMOUNT = 5_000
CREDIT = 20_000
NUMBER = make_drn("07", "00000042")
PATIENCE_S = 120


@contextmanager
def module(state: Path, death: str = "never") -> Iterator[LineModule]:
    """A module in a process of its own, which remembers in a file what it made."""
    command = [sys.executable, "-m", "cli", "sim", "sts-module", "--json"]
    process = subprocess.Popen(
        [*command, "--state", str(state), "--die", death],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(json.loads(process.stdout.readline())["listening"].rpartition(":")[2])
    client = LineModule("127.0.0.1", port, timeout_s=10)
    try:
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()
        process.stdout.close()


def made_by(state: Path) -> list[str]:
    """All tokens that the module has made."""
    lines = state.read_text().splitlines()
    return [token for line in lines for token in json.loads(line)["tokens"]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "made.jsonl"


@pytest.fixture
def vendor_id(database_url: str, clock: Clock) -> int:
    """A meter, and a vendor with credit."""
    with Shop.open(database_url, now=clock, security=PublicTestKeys()) as shop:
        shop.add_meter(NewMeter(NUMBER))
        return make_vendor(shop, CREDIT)


REQUEST = VendRequest("kiosk", "m1", NUMBER, AMOUNT, terminal="Spaza-0")


def require_one_sale(shop: Shop, url: str, vendor_id: int, state: Path) -> None:
    """One sale, whole; what the module made is what was given out."""
    statement = shop.statement()
    assert statement.agrees
    assert statement.sales == 1
    assert shop.outstanding() == []
    assert left(shop, vendor_id) == CREDIT - statement.taken_minor
    engine = open_engine(url)
    with engine.connect() as connection:
        digits = connection.execute(text("SELECT digits FROM tokens")).scalars().all()
        reserved = connection.execute(text("SELECT sum(reserved_minor) FROM vendor_credit"))
        assert reserved.scalar() == 0
        assert connection.scalar(text("SELECT state FROM intents")) == "done"
    engine.dispose()
    assert digits == made_by(state)


def test_a_sale_is_made_in_two_steps_and_repeated_from_its_answer(
    database_url: str, clock: Clock, vendor_id: int, state: Path
) -> None:
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        sold = shop.vend(REQUEST)
        clock.advance(minutes=5)
        again = shop.vend(REQUEST)
        assert (sold.outcome, sold.replayed) == (Outcome.DONE, False)
        assert (again.response, again.replayed) == (sold.response, True)
        receipt = sold.require_done()
        key = shop.meter(NUMBER).attributes()
        assert PublicTestKeys().read_token(receipt.token, key).crc_ok
        require_one_sale(shop, database_url, vendor_id, state)


STEPS = (
    "INSERT INTO requests",
    "INSERT INTO intents",
    "COMMIT 1",
    "fetch",
    "submit",
    "submitted",
    "SELECT intents",
    "INSERT INTO receipts",
    "INSERT INTO tokens",
    "UPDATE requests",
    "UPDATE intents",
    "COMMIT 2",
    "answered",
)


def kill_at(url: str, port: int, step: str) -> None:
    """Sell in a process that kills itself (SIGKILL) just before a step."""
    program = f"""
import os, signal
from datetime import UTC, datetime
import psycopg
from sqlalchemy import Engine, event
import storage.flight, storage.prepared
from vending import Shop
from vending.security.line_module import LineModule
from tests.shop.test_intents import REQUEST, START_ISO
step = {step!r}
def die(at):
    if at == step: os.kill(os.getpid(), signal.SIGKILL)
def watch(run):
    def watched(subject, sql, *rest, **named):
        if isinstance(sql, str) and sql.startswith(step): die(step)
        if step == "SELECT intents" and "FROM intents" in str(sql) and submitted: die(step)
        return run(subject, sql, *rest, **named)
    return watched
submitted = []
class Watched(LineModule):
    def fetch(self, message_id):
        die("fetch")
        return super().fetch(message_id)
    def submit(self, message_id, order):
        die("submit")
        made = super().submit(message_id, order)
        submitted.append(made)
        die("submitted")
        return made
commits = []
def commit(*_):
    commits.append(1)
    die(f"COMMIT {{len(commits)}}")
shop = Shop.open({url!r}, now=lambda: datetime.fromisoformat(START_ISO),
    security=Watched("127.0.0.1", {port}))
storage.prepared._driver_execute = watch(storage.prepared._driver_execute)
psycopg.Connection.execute = watch(psycopg.Connection.execute)
storage.flight.checked_in = watch(storage.flight.checked_in)
event.listen(Engine, "commit", commit)
shop.vend(REQUEST)
die("answered")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        check=False,
        timeout=PATIENCE_S,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr


START_ISO = "2026-11-21T09:30:00+00:00"


@pytest.mark.parametrize("step", STEPS)
def test_a_till_that_dies_at_any_step_is_recovered(
    database_url: str, clock: Clock, vendor_id: int, state: Path, step: str
) -> None:
    with module(state) as remote:
        kill_at(database_url, remote._address[1], step)
        clock.advance(minutes=3)
        with Shop.open(database_url, now=clock, security=remote) as shop:
            assert shop.outstanding() == []
            clock.advance(minutes=3)
            assert shop.vend(REQUEST).outcome is Outcome.DONE
            require_one_sale(shop, database_url, vendor_id, state)


@pytest.mark.parametrize("death", ["before-making", "after-storing"])
def test_a_module_that_dies_leaves_the_outcome_unknown_until_it_is_back(
    database_url: str, clock: Clock, vendor_id: int, state: Path, death: str
) -> None:
    with (
        module(state, death) as remote,
        Shop.open(database_url, now=clock, security=remote) as shop,
    ):
        unknown = shop.vend(REQUEST)
        assert unknown.outcome is Outcome.UNKNOWN
        assert [each.message_id for each in shop.outstanding()] == ["m1"]
        assert left(shop, vendor_id) < CREDIT
        other = VendRequest("kiosk", "m2", NUMBER, 7_000, terminal="Spaza-0")
        with pytest.raises(MeterBusyError, match="not settled"):
            shop.vend(other)
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        require_one_sale(shop, database_url, vendor_id, state)
        assert shop.vend(REQUEST).replayed


def test_two_that_go_on_with_the_same_sale_finish_it_once(
    database_url: str, clock: Clock, vendor_id: int, state: Path
) -> None:
    with module(state) as remote:
        kill_at(database_url, remote._address[1], "submitted")
        with ThreadPoolExecutor(4) as pool:
            shops = list(
                pool.map(lambda _: Shop.open(database_url, now=clock, security=remote), range(4))
            )
        require_one_sale(shops[0], database_url, vendor_id, state)
        assert len({shop.vend(REQUEST).response for shop in shops}) == 1
        for shop in shops:
            shop.close()


@pytest.mark.usefixtures("vendor_id")
def test_a_key_change_goes_the_same_way(database_url: str, clock: Clock, state: Path) -> None:
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        request = KeyChangeRequest("kiosk", "k1", NUMBER, krn=2, reason="new revision")
        changed = shop.key_change(request)
        assert changed.outcome is Outcome.DONE
        assert [token.digits for token in changed.require_done().tokens] == made_by(state)
        assert shop.key_change(request).replayed
        assert shop.vend(REQUEST).require_done().meter.key.krn == 2


@pytest.mark.usefixtures("vendor_id")
def test_a_refusal_by_a_rule_orders_nothing(database_url: str, clock: Clock, state: Path) -> None:
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        assert shop.vend(VendRequest("kiosk", "low", NUMBER, 1)).outcome is Outcome.FAILED
        assert (
            shop.vend(
                VendRequest("kiosk", "much", NUMBER, CREDIT + 5_000, terminal="Spaza-0")
            ).outcome
            is Outcome.FAILED
        )
        assert made_by(state) == []
        assert shop.outstanding() == []


@contextmanager
def unreachable(url: str, clock: Clock, state: Path) -> Iterator[Shop]:
    """A shop whose module has died since it was opened."""
    with module(state) as remote:
        shop = Shop.open(url, now=clock, security=remote)
        shop.trial_vend(NUMBER, AMOUNT)  # it knows the module's keys
    with shop:
        yield shop


def test_a_payment_without_a_token_takes_the_vendors_credit_too(
    database_url: str, clock: Clock, vendor_id: int, state: Path
) -> None:
    with module(state) as remote, Shop.open(database_url, now=clock, security=remote) as shop:
        shop.tariffs.add_debt(
            NUMBER,
            name="Loan",
            principal_minor=9_000,
            scheme=Scheme(SchemeKind.PERCENT, rate_bp=5_000),
            reason="new",
        )
        paid = shop.payments.pay(PaymentRequest("k", "p", NUMBER, AMOUNT, terminal="Spaza-0"))
        assert paid.outcome is Outcome.DONE
        assert left(shop, vendor_id) == CREDIT - AMOUNT


@pytest.mark.usefixtures("vendor_id")
def test_a_shift_with_an_unknown_gift_in_it_does_not_close(
    database_url: str, clock: Clock, state: Path
) -> None:
    carl = Actor("carl", PERMISSIONS[Role.CLERK], operator_id=1, terminal="1")
    with unreachable(database_url, clock, state) as shop:
        shop.rules.set(CounterRules(free_basic_units=500))
        shift = shop.shifts.open(operator="carl", terminal="1")
        desk = GivingDesk(replace(shop._house, actor=carl, door=None))
        given = desk.free_basic(FreeBasicRequest("till", "f", NUMBER, operator="x", terminal="y"))
        assert given.outcome is Outcome.UNKNOWN
        with pytest.raises(BatchCannotCloseError):
            shop.shifts.count(shift.batch_id, Count({"cash": 0}), operator="carl")
