"""``meterhouse sim keypad``: in a pipe, and on a real terminal."""

import json
import re
import signal
import stat
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from simulators.state_file import load_state
from tests.commands.running import ROOT, meterhouse
from vending.sts import (
    BaseDate,
    Content,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    Service,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    VendingKey,
    cipher_for,
    derive_decoder_key,
    encode,
)

DRN = "01234567897"
PUBLIC_TEST_VENDING_KEY = "abababababababab949494949494949401234567"
WRONG = "12" * 10


def decoder_key(drn: str, algorithm: EncryptionAlgorithm) -> Any:
    attributes = KeyAttributes(
        MeterPan.from_drn(drn), SupplyGroupCode("123457"), KeyRevision(1), KeyType.UNIQUE,
        TariffIndex("01"), BaseDate.Y2014, algorithm,
    )  # fmt: skip
    vending_key = VendingKey.from_hex(PUBLIC_TEST_VENDING_KEY)
    return derive_decoder_key(KeyGeneration.DKGA04, vending_key, attributes)


def token(
    units: int, tid: int = 6_000_000, drn: str = DRN, ea: EncryptionAlgorithm | int = 11
) -> str:
    """What a shop with the public test key sells: units of 100 Wh."""
    algorithm = EncryptionAlgorithm(ea)
    content: Content = TransferCredit(Service.ELECTRICITY, 5, tid, units)
    return encode(content, cipher_for(algorithm, decoder_key(drn, algorithm)))


def keypad(stdin: str, *options: str) -> list[str]:
    done = meterhouse("sim", "keypad", *options, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def answers(stdin: str, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in keypad(stdin, "--json", *options)]


# --- in a pipe -----------------------------------------------------------------------------


def test_entries_are_answered_line_by_line() -> None:
    good = token(50)
    accepted, used, wrong = keypad(f"{good[:4]}-{good[4:]}\n\n# again\n{good}\n{WRONG}\n")
    assert "5.0 kWh added" in accepted
    assert "supply on" in accepted
    assert used.startswith("UsedError: ")
    assert wrong.startswith("CRCError: ")


def test_json_tells_all_that_a_program_wants() -> None:
    first, waited, empty, again = answers(
        f"{token(10)}\nwait 1800\nwait 1800\n{token(2, tid=6_000_010)}\n",
        "--load",
        "1000",
        "--speed",
        "0",
    )
    assert first["result"] == "Accept"
    assert (first["credit_added_wh"], first["credit_wh"]) == (1_000, 1_000)
    assert waited["credit_wh"] == 500
    assert "result" not in waited
    assert (empty["credit_wh"], empty["consumed_wh"], empty["supply"]) == (0, 1_000, "off")
    assert empty["open_because"] == ["credit exhausted"]
    assert (again["accepted_wh"], again["supply"]) == (1_200, "on")


def test_the_meter_number_decides_the_key() -> None:
    other = "01000000016"
    lines = answers(f"{token(5)}\n{token(5, drn=other)}\n", "--meter", other)
    assert [line["result"] for line in lines] == ["CRCError", "Accept"]
    assert lines[0]["meter"] == other


def test_an_sta_meter_takes_sta_tokens() -> None:
    lines = answers(f"{token(5, ea=7)}\n{token(5)}\n", "--ea", "07")
    assert [line["result"] for line in lines] == ["Accept", "CRCError"]


def test_a_decoder_key_may_come_from_the_environment() -> None:
    key = decoder_key("01000000016", EncryptionAlgorithm.MISTY1).secret.hex()
    given = token(5, drn="01000000016")
    done = meterhouse("sim", "keypad", stdin=given, env={"METERHOUSE_METER_KEY": key})
    assert done.stdout.startswith("Accept")
    assert key not in done.stdout + done.stderr


def test_the_lock_the_cover_and_the_mains_can_be_tried() -> None:
    lines = answers(
        f"{WRONG}\n{WRONG}\n{WRONG}\n{token(5)}\nwait 10\n{token(5)}\ncover open\npower off\n"
        f"{token(6, tid=6_000_010)}\npower on\nload 700\nload much\n"
        "wait -1\nwait 99999999999999\npower maybe\n",
        "--speed",
        "0",
    )
    assert [line.get("result") for line in lines[:6]] == (
        ["CRCError", "CRCError", "CRCError", "Locked", None, "Accept"]
    )
    assert lines[6]["open_because"] == ["tamper"]
    assert lines[7]["has_power"] is False
    assert lines[8]["error"]["code"] == "no_power"
    assert lines[11]["error"]["message"].startswith("'much'")
    assert all("error" in line for line in lines[12:])
    assert lines[-1].get("locked_for_s") in (None, 0)


def test_the_state_is_kept_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    keypad(f"{token(50)}\nwait 3600\n", "--state", str(path), "--load", "1000")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = answers(f"{token(50)}\n", "--state", str(path))
    assert again[0]["result"] == "UsedError"
    assert again[0]["consumed_wh"] == 1_000
    assert again[0]["time"] > "2026"


def test_the_meter_runs_on_between_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    command = [sys.executable, "-m", "cli", "sim", "keypad", "--state", str(path)]
    process = subprocess.Popen(
        [*command, "--load", "360000"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(token(127).encode())
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"Accept")
    time.sleep(3.5)
    process.kill()
    process.communicate()
    registers = load_state(path).supply.registers
    assert registers.accepted_wh == 12_700
    assert registers.consumed_wh >= 200


def test_a_token_that_cannot_be_saved_is_not_shown_as_accepted(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    keypad("", "--state", str(path))
    (tmp_path / ".meter.json.new").mkdir()  # in the way of the next save, for root too
    done = meterhouse("sim", "keypad", "--state", str(path), stdin=token(50))
    assert done.returncode != 0
    assert "cannot be written" in done.stderr
    assert done.stdout == ""
    assert load_state(path).supply.registers.accepted_wh == 0


def test_long_and_odd_lines_are_refused_and_the_run_goes_on() -> None:
    done = meterhouse("sim", "keypad", "--json", stdin=b"x" * 20_000 + b"\n\xff\x00\n12345")
    assert done.returncode == 0
    first, *others = [json.loads(line) for line in done.stdout.splitlines()]
    assert "error" in first
    assert others
    assert {other.get("result", "FormatError") for other in others} <= {"FormatError", "Locked"}


def test_a_file_of_another_meter_or_a_damaged_one_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    keypad(token(50), "--state", str(path))
    before = path.read_bytes()
    other = meterhouse("sim", "keypad", "--state", str(path), "--meter", "01000000016")
    assert other.returncode == 2
    assert "holds meter" in other.stderr
    assert path.read_bytes() == before
    path.write_bytes(before[:-20])
    damaged = meterhouse("sim", "keypad", "--state", str(path), stdin=token(50))
    assert damaged.returncode != 0
    assert "damaged" in damaged.stderr
    assert path.read_bytes() == before[:-20]


def test_a_wrong_meter_number_is_explained() -> None:
    done = meterhouse("sim", "keypad", "--meter", "01234567890")
    assert done.returncode == 3
    assert "mistyped" in done.stderr


# --- on a terminal -------------------------------------------------------------------------


class Terminal:
    """The program on a real pty, and what a person sees on it."""

    def __init__(self, *options: str) -> None:
        self.child = pexpect.spawn(
            sys.executable, ["-m", "cli", "sim", "keypad", *options],
            cwd=str(ROOT), dimensions=(40, 100), encoding="utf-8", timeout=20,
            env={"TERM": "xterm-256color", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip
        self.before = termios.tcgetattr(self.child.child_fd)

    def sees(self, text: str) -> None:
        """Wait until the screen shows it, whatever the colours between the letters."""
        self.child.expect(r"(\x1b\[[0-9;]*m)*".join(map(re.escape, text)))

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def ended(self) -> int | None:
        """Wait for the end; the exit status, or minus the signal."""
        self.child.expect(pexpect.EOF)
        self.child.wait()
        if self.child.signalstatus is not None:
            return -int(self.child.signalstatus)
        status = self.child.exitstatus
        return None if status is None else int(status)


def test_a_person_types_a_token_and_reads_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    terminal = Terminal("--state", str(path), "--limit", "4000")
    terminal.sees("SUPPLY OFF: CREDIT EXHAUSTED")
    digits = token(127)
    terminal.type(digits[:9])
    terminal.sees(f"{digits[:4]}-{digits[4:8]}-{digits[8]}")
    terminal.type("5\x7f")
    terminal.sees(f"{digits[:4]}-{digits[4:8]}-{digits[8]}___-")
    terminal.type(digits[9:])
    terminal.sees("12.7 kWh added")
    assert load_state(path).supply.registers.accepted_wh == 12_700  # saved before it was shown
    terminal.sees("SUPPLY ON")
    terminal.type(digits)
    terminal.sees("UsedError")
    terminal.type("+")
    terminal.sees("1,000 W")
    terminal.type("o")
    terminal.sees("COVER OPEN")
    terminal.type("p")
    terminal.sees("NO POWER")
    terminal.type("p>")
    terminal.sees("10 x")
    terminal.type("q")
    assert terminal.ended() == 0


def test_the_lock_counts_down_on_the_screen() -> None:
    terminal = Terminal()
    terminal.sees("Type 20 digits")
    for _ in range(3):
        terminal.type(WRONG)
        terminal.sees("CRCError")
        time.sleep(0.3)
    terminal.sees("KEYPAD LOCKED 10 s")
    terminal.sees("KEYPAD LOCKED 9 s")
    terminal.type("q")
    assert terminal.ended() == 0


@pytest.mark.parametrize("how", ["q", "\x03", "\x04", "term"])
def test_the_terminal_is_put_back_however_it_ends(tmp_path: Path, how: str) -> None:
    terminal = Terminal("--state", str(tmp_path / "meter.json"))
    terminal.sees("Type 20 digits")
    during = termios.tcgetattr(terminal.child.child_fd)
    assert not during[3] & (termios.ECHO | termios.ICANON)
    if how == "term":
        terminal.child.kill(signal.SIGTERM)
    else:
        terminal.type(how)
    assert terminal.ended() == {"\x03": 130, "term": 143}.get(how, 0)
    assert termios.tcgetattr(terminal.child.child_fd)[3] == terminal.before[3]
    assert (tmp_path / "meter.json").exists()


def test_kill_9_loses_no_accepted_token(tmp_path: Path) -> None:
    path = tmp_path / "meter.json"
    terminal = Terminal("--state", str(path), "--load", "360000")
    terminal.sees("Type 20 digits")
    terminal.type(token(127))
    terminal.sees("12.7 kWh added")
    terminal.sees("12.4 kWh")  # 100 Wh each second; saved at most a second ago
    terminal.child.kill(signal.SIGKILL)
    terminal.ended()
    registers = load_state(path).supply.registers
    assert registers.accepted_wh == 12_700
    assert registers.consumed_wh >= 100
