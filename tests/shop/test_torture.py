"""A small torture run (``python -m benchmarks.torture`` is the large one), and that it can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from benchmarks.torture.asked import Plan
from benchmarks.torture.count import require_sound
from benchmarks.torture.run import warm_up
from benchmarks.torture.shop import make_shop
from benchmarks.torture.witness import TortureError, Witness
from storage.engine import open_engine
from tests.shop.databases import Databases

ROOT = Path(__file__).parent.parent.parent


def test_duplicates_kills_and_jumping_clocks_lose_nothing_and_double_nothing(
    databases: Databases,
) -> None:
    url = databases.empty()
    if url.startswith("sqlite"):
        url = ""
    vends = 200
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture", "--json", "--vends", str(vends)]
        + (["--database", url] if url else []),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    counted = json.loads(run.stdout)
    assert f"seed {counted['seed']}" in run.stderr
    assert counted["requests"] == vends
    assert counted["answers told again"] > vends / 2
    assert counted["processes killed"] > 0
    if url:
        databases.discard(url)


def without_triggers(connection: Connection) -> None:
    found = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    for name in found.scalars().all():
        connection.execute(text(f"DROP TRIGGER {name}"))


def run_sql(*statements: str) -> Callable[[Connection], None]:
    def spoil(connection: Connection) -> None:
        without_triggers(connection)
        for statement in statements:
            connection.execute(text(statement))

    return spoil


SPOILT = {
    "tokens lost": run_sql("DELETE FROM tokens"),
    "tokens doubled": run_sql(
        "INSERT INTO tokens SELECT receipt_no, 2, meter_id, meter_key_id, base_year, token_class, "
        "subclass, tid + 1440, units, digits FROM tokens"
    ),
    "tokens that no meter reads": run_sql("UPDATE tokens SET tid = tid + 1440"),
    "requests lost": run_sql(
        "DELETE FROM transfers",
        "DELETE FROM tokens",
        "DELETE FROM receipts",
        "DELETE FROM requests",
    ),
    "answers other than those that were told": run_sql(
        "UPDATE requests SET response = CAST(replace(CAST(response AS TEXT), 'm1', 'm9') AS BLOB)"
    ),
    "receipts whose entries do not balance": run_sql(
        "UPDATE transfers SET amount_minor = amount_minor + 1"
    ),
    "entries that move nothing": run_sql("DELETE FROM transfers"),
    "entries without a receipt": run_sql(
        "INSERT INTO ledger_transactions SELECT transaction_id + 1, kind, posted_at "
        "FROM ledger_transactions"
    ),
    "credit lost or won": run_sql("UPDATE vendor_credit SET available_minor = available_minor - 1"),
    "audit chain broken": run_sql("UPDATE audit_lines SET actor = 'mallory'"),
}


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Witness, Plan]:
    """A shop with one sale, as a file."""
    path = tmp_path_factory.mktemp("torture") / "shop.db"
    plan, witness = Plan(seed=1, vends=2), Witness()
    make_shop(f"sqlite:///{path}", plan)
    warm_up(f"sqlite:///{path}", plan, witness)
    require_sound(f"sqlite:///{path}", witness, plan)
    return path.read_bytes(), witness, plan


@pytest.mark.parametrize("what", SPOILT)
def test_what_does_not_hold_is_counted(
    what: str, sold: tuple[bytes, Witness, Plan], tmp_path: Path
) -> None:
    content, witness, plan = sold
    path = tmp_path / "shop.db"
    path.write_bytes(content)
    engine = open_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        SPOILT[what](connection)
    engine.dispose()
    with pytest.raises(TortureError, match=what):
        require_sound(f"sqlite:///{path}", witness, plan)


def test_an_answer_that_changes_is_told_at_once() -> None:
    witness = Witness()
    witness.told(7, b"one")
    witness.told(7, b"one")
    with pytest.raises(TortureError, match="Request 7 was answered in two ways"):
        witness.told(7, b"another")
