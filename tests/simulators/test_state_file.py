"""A meter's memory on disk: complete, private, never half written, never trusted blindly."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulators import ConstantLoad, KeypadMeter, StateFileError, StateFileInUseError
from simulators.contact import NO_LOG, Order, RemoteControl
from simulators.purse import Purse
from simulators.results import Outcome
from simulators.state_file import exclusive, load_state, save_state
from tests.simulators.workbench import MISTY1, OTHER_KEYS, STA, Bench
from vending.sts import (
    SAMPLE_TABLES,
    EncryptionAlgorithm,
    InitiateMeterTest,
    SetMaximumPowerLimit,
    StaTables,
)

ROOT = Path(__file__).parent.parent.parent


def eventful(algorithm: EncryptionAlgorithm = MISTY1) -> Bench:
    """A meter with something in every field."""
    bench = Bench(
        algorithm, credit_wh=5_000, load=3_000, power_limit_w=2_000, phases=3,
        takes_tariff_rate=True, low_credit_wh=777,
    )  # fmt: skip
    bench.enter(bench.credit(3))
    bench.wait(12, microseconds=345)
    bench.enter(bench.change()[1])
    bench.meter.open_cover(bench.now)
    bench.enter(InitiateMeterTest(1 << 1))
    for _ in range(4):
        bench.enter("12" * 10)
    return bench


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
def test_what_was_saved_is_what_is_loaded(tmp_path: Path, algorithm: EncryptionAlgorithm) -> None:
    state = eventful(algorithm).meter.state
    save_state(state, tmp_path / "meter.json")
    assert load_state(tmp_path / "meter.json") == state


def test_a_loaded_meter_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    bench = Bench(credit_wh=1_000, load=1_000)
    token = bench.credit(7)
    bench.enter(token)
    *parts, last = bench.change()
    for part in parts:
        bench.enter(part)
    bench.wait(60)
    save_state(bench.meter.state, path)
    bench.meter = KeypadMeter(load_state(path), ConstantLoad(1_000))
    assert bench.outcome(token) is Outcome.USED_ERROR
    assert bench.outcome(last) is Outcome.ACCEPT
    assert bench.meter.state.key.decoder_key == OTHER_KEYS[MISTY1]
    bench.wait(60)
    assert bench.meter.registers.consumed_ws == 120 * 1_000


def test_the_file_is_private_and_says_that_it_is_secret(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    left_over = tmp_path / ".meter.json.new"
    left_over.write_text("{")
    left_over.chmod(0o644)
    umask = os.umask(0)
    try:
        save_state(Bench().meter.state, path)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "SECRET" in path.read_text().splitlines()[2]
    assert not left_over.exists()


def test_a_file_of_another_meters_tables_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    save_state(Bench(STA).meter.state, path)
    swapped = SAMPLE_TABLES.substitution[::-1]
    licensed = StaTables((swapped[0], swapped[1]), SAMPLE_TABLES.permutation)
    with pytest.raises(StateFileError, match="other STA tables"):
        load_state(path, licensed)
    assert str(list(SAMPLE_TABLES.permutation))[1:20] not in path.read_text()


# --- files that are not to be trusted ------------------------------------------------------


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="There is no"):
        load_state(tmp_path / "none.json")
    with pytest.raises(StateFileError, match="cannot be read"):
        load_state(tmp_path)
    with pytest.raises(StateFileError, match="cannot be written"):
        save_state(Bench().meter.state, tmp_path / "none" / "meter.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\x00\xff", b"[" * 100_000, b"[]", b"{}", b"3", b'{"format": "else"}',
     b'{"format": "meterhouse keypad meter", "version": 1}'],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_meters_file_is_refused_and_left_untouched(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "meter.json"
    path.write_bytes(content)
    with pytest.raises(StateFileError):
        load_state(path)
    assert path.read_bytes() == content


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    save_state(Bench().meter.state, path)
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(StateFileError, match="version 3"):
        load_state(path)


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    state = eventful().meter.state
    save_state(state, path)
    document = json.loads(path.read_text())
    body = document["meter"]
    del body["nameplate"]["counts_money"], body["supply"]["registers"]["uncredited_ws"]
    for name in ("remote", "log", "purse"):
        del body["supply"][name]
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"))
    document |= {"version": 1, "sha256": hashlib.sha256(plain.encode()).hexdigest()}
    path.write_text(json.dumps(document))
    loaded = load_state(path)
    assert loaded == replace(state, supply=replace(state.supply, log=NO_LOG))


def test_orders_by_wire_and_money_are_kept(tmp_path: Path) -> None:
    bench = Bench(counts_money=True, load=1000)
    purse = (
        Purse(price=5_600)
        .with_amount(5_000)
        .with_limits(overdraft=1_000, close_from=0, warn_below=2_000)
    )
    bench.meter.set_purse(purse, bench.now)
    orders = RemoteControl(Order.CLOSE_ALLOWED, True, True, 2_000_000_000, Order.CLOSED)
    bench.meter.order(orders, bench.now)
    bench.wait(3_600)
    path = tmp_path / "meter.json"
    save_state(bench.meter.state, path)
    assert load_state(path) == bench.meter.state
    assert bench.meter.supply.log.is_closed


def test_every_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    save_state(eventful().meter.state, path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(StateFileError):
            load_state(path)


def test_every_changed_digit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    save_state(eventful().meter.state, path)
    whole = path.read_bytes()
    body = whole.index(b'"meter": {')
    for place in range(body, len(whole)):
        if whole[place : place + 1].isdigit():
            other = b"8" if whole[place : place + 1] == b"9" else b"9"
            path.write_bytes(whole[:place] + other + whole[place + 1 :])
            with pytest.raises(StateFileError):
                load_state(path)


def tampered_with(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the meter in a file and make the checksum fit."""
    from simulators.state_file import _checksum

    document = json.loads(path.read_text())
    change(document["meter"])
    document["sha256"] = _checksum(document["meter"])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["supply"]["registers"].update(remaining_ws=10**9),
        lambda m: m["supply"]["registers"].update(remaining_ws=1.5),
        lambda m: m["supply"].update(power_limit_w=-1),
        lambda m: m["supply"].update(cover_is_open=1),
        lambda m: m["supply"].pop("is_tampered"),
        lambda m: m["key"].update(decoder_key="00"),
        lambda m: m["key"].update(decoder_key="xy"),
        lambda m: m["key"].update(krn=0),
        lambda m: m["key"].update(key_type=4),
        lambda m: m["key"].update(sgc="12345"),
        lambda m: m["nameplate"].update(ea=7),
        lambda m: m["nameplate"].update(ea=8),
        lambda m: m["nameplate"].update(meter_pan="600727012345678976"),
        lambda m: m["nameplate"].update(phases=True),
        lambda m: m["nameplate"].update(colour=1),
        lambda m: m.update(now="2026-11-21T08:00:00"),
        lambda m: m.update(now="yesterday"),
        lambda m: m.update(used_tids=[2, 1]),
        lambda m: m.update(used_tids=["1"]),
        lambda m: m["pending"].update(sections=[[0, 1]]),
        lambda m: m["pending"].update(sections=[[4]]),
        lambda m: m["pending"].update(sections=[[4, 1 << 44]]),
        lambda m: m["pending"].update(sections=[[4, 1]]),
        lambda m: m["lock"].update(rejections=-1),
        lambda m: m.update(more=1),
        lambda m: m.update(lock=None),
    ],
    ids=range(26),
)
def test_a_file_that_holds_an_impossible_meter_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "meter.json"
    save_state(Bench().meter.state, path)
    tampered_with(path, change)
    with pytest.raises(StateFileError) as fault:
        load_state(path)
    assert "f94b6ed3" not in str(fault.value)


# --- processes -----------------------------------------------------------------------------


def test_one_process_at_a_time_runs_a_meter(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    with exclusive(path), pytest.raises(StateFileInUseError), exclusive(path):
        pass
    with exclusive(path):
        pass
    with pytest.raises(StateFileError, match="cannot be locked"), exclusive(tmp_path / "no" / "m"):
        pass


_SAVER = """
import sys
from pathlib import Path
from simulators.state_file import save_state
from tests.simulators.workbench import Bench
bench = Bench(credit_wh=1_000_000, load=1_000)
while True:
    bench.wait(1)
    bench.enter(bench.credit(1))
    save_state(bench.meter.state, Path(sys.argv[1]))
    print(len(bench.meter.state.memory.tids), bench.meter.registers.accepted_wh, flush=True)
"""


def test_a_process_killed_while_saving_leaves_a_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    for delay_ms in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        time.sleep((20 + 7 * delay_ms) / 1000)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        told = [line for line in lines if line.endswith("\n")][-1]
        state = load_state(path)
        assert state.supply.registers.accepted_wh >= int(told.split()[1])


def test_a_limit_set_by_token_survives(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    bench = Bench()
    bench.enter(SetMaximumPowerLimit(5, 9, limit_w=1_234))
    save_state(bench.meter.state, path)
    assert load_state(path).supply.power_limit_w == 1_234
