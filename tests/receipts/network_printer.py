"""A printer on port 9100, for tests: takes one connection and keeps what comes."""

from __future__ import annotations

import socket
import threading
from typing import Self


class NetworkPrinter:
    """A printer on port 9100, as far as the network sees it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.received = b""
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        line, _ = self.listener.accept()
        with line:
            while content := line.recv(65_536):
                self.received += content

    def wait(self) -> bytes:
        self.thread.join(10)
        return self.received

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
