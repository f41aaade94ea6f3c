"""A worker: ``meterhouse serve``, a process of its own, begun and killed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

_SERVE: Final = "from cli import main; main()"
_ROOT: Final = Path(__file__).parent.parent.parent
_CALLS: Final = 100_000
_STOP_S: Final = 20
_PATIENCE_S: Final = 40
_TAIL: Final = 2_000


@dataclass
class Worker:
    """One name, and the process that bears it now."""

    name: str
    url: str
    modem_port: int
    credentials: Path
    folder: Path
    begun: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / f"{self.name}.log"

    @property
    def process_id(self) -> int | None:
        """Of the process that lives; None: none does."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def fell(self) -> int | None:
        """The status with which it ended by itself; None: it lives, or was killed."""
        return None if self._process is None else self._process.poll()

    def begin(self) -> None:
        """Begin a process, unless one lives."""
        if self.process_id is not None:
            return
        if self._log is None:
            self._log = self.log.open("ab")
        self._process = subprocess.Popen(
            [
                sys.executable, "-c", _SERVE, "serve", "--json",
                "--database", self.url,
                "--worker", self.name,
                "--listen", f"127.0.0.1:{self.modem_port}",
                "--calls-per-minute", str(_CALLS),
                "--metrics-port", "0",
                "--stop-s", str(_STOP_S),
                "--credentials", str(self.credentials),
            ],
            cwd=_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=self._log,
            stderr=self._log,
        )  # fmt: skip
        self.begun += 1

    def kill(self) -> bool:
        """As the kernel does; whether there was anybody."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return False
        process.kill()
        process.wait()
        return True

    def stop(self) -> int:
        """As an operator does; the exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        if self._log is not None:
            self._log.close()
            self._log = None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-_TAIL:] if self.log.exists() else ""
