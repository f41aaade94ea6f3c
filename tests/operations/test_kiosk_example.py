"""The kiosk of docs/kiosk.md runs as it is printed there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.shop.databases import PRICE, UTILITY
from vending import NewMeter, Shop
from vending.sts import make_drn

ROOT = Path(__file__).parent.parent.parent


def test_the_kiosk_example_runs(tmp_path: Path) -> None:
    with Shop.create(f"sqlite:///{tmp_path}/shop.db", UTILITY, PRICE) as shop:
        shop.add_meter(NewMeter(make_drn("07", "00000042"), customer="Anna Example"))
    text = (ROOT / "docs" / "kiosk.md").read_text()
    program = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CREDIT TOKEN" in done.stdout
    assert "below_minimum" in done.stdout
    assert "check_digit" in done.stdout
