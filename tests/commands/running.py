"""Commands run as a person runs them: a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


def meterhouse(
    *arguments: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; ``stdin`` may be bytes that are no text."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        input=given,
        capture_output=True,
        cwd=ROOT,
        env=_environment() | dict(env or {}),
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def _environment() -> dict[str, str]:
    """Ours, but with output buffered as it is for a person's pipe."""
    unbuffered = {"PYTHONUNBUFFERED"}
    return {k: v for k, v in os.environ.items() if k not in unbuffered} | {"COLUMNS": "100"}


def json_lines(command: str, records: Iterable[object], *options: str) -> list[dict[str, Any]]:
    """Records through ``meterhouse sts COMMAND``, and its answers."""
    lines = "\n".join(map(json.dumps, records))
    done = meterhouse("sts", command, "--jsonl", "-", *options, stdin=lines)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
