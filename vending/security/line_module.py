"""A plug-in: a security module that speaks JSON lines over TCP, as the simulated one does.

The example to write the plug-in of a licensed module after; see docs/security-module.md.  The
address comes from ``METERHOUSE_STS_MODULE`` (``host:port``).
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from typing import Any, Final

from vending.security.faults import (
    ModuleRefusedError,
    ModuleUnavailableError,
    ModuleUnreachableError,
)
from vending.security.opening import PlugInContext
from vending.security.public_test_keys import TEST_KEYS_MARK
from vending.security.remote import CreditOrder, KeyChangeOrder, TokenOrder, key_to_json
from vending.shop.faults import SupplyGroupNotAuthorisedError
from vending.sts import (
    Content,
    DecodedToken,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    SupplyGroupCode,
)
from vending.sts.content import parse_content

ADDRESS_VARIABLE: Final = "METERHOUSE_STS_MODULE"
_KEYS_GOOD_FOR_S: Final = 30.0
_LINE_BYTES_MAX: Final = 1 << 16
_IDLE_MAX: Final = 16
_NOT_AUTHORISED: Final = SupplyGroupNotAuthorisedError.code
_TOKEN_DIGITS: Final = 20


class LineModule:
    """A security module behind a TCP port.

    Args:
        host, port: where it listens.
        timeout_s: how long to wait for an answer.
    """

    def __init__(self, host: str, port: int, timeout_s: float = 5.0) -> None:
        self._address: Final = (host, port)
        self._timeout_s: Final = timeout_s
        self._lock: Final = threading.Lock()
        self._idle: list[socket.socket] = []
        self._keys: dict[tuple[str, int], bool] = {}
        self._keys_read_at = -_KEYS_GOOD_FOR_S

    def __repr__(self) -> str:
        return f"LineModule({self._address[0]}:{self._address[1]})"

    def submit(self, message_id: str, order: TokenOrder) -> tuple[str, ...]:
        answer = self._ask({"op": "submit", "message_id": message_id, "order": order.to_json()})
        return _tokens(answer["tokens"])

    def fetch(self, message_id: str) -> tuple[str, ...] | None:
        answer = self._ask({"op": "fetch", "message_id": message_id})
        return None if answer["tokens"] is None else _tokens(answer["tokens"])

    def require(self, sgc: SupplyGroupCode, krn: KeyRevision) -> None:
        self._is_test(sgc, krn)

    def test_marks(self, key: KeyAttributes) -> tuple[str, ...]:
        return (TEST_KEYS_MARK,) if self._is_test(key.sgc, key.krn) else ()

    def make_token(self, content: Content, key: KeyAttributes) -> str:
        return self.submit(f"once-{uuid.uuid4()}", CreditOrder(content, key))[0]

    def make_key_change(
        self, old: KeyAttributes, new: KeyAttributes, ken: KeyExpiry, *, rollover: bool
    ) -> tuple[str, ...]:
        order = KeyChangeOrder(old, new, ken, rollover)
        return self.submit(f"once-{uuid.uuid4()}", order)

    def read_token(self, digits: str, key: KeyAttributes) -> DecodedToken:
        read = self._ask({"op": "read", "token": digits, "key": key_to_json(key)})
        kind = read["class"], read["subclass"]
        content = (
            None if read["content"] is None else parse_content(*kind, int(read["content"], 16))
        )
        return DecodedToken(*kind, read["crc_ok"], content)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for idle in self._idle:
                idle.close()
            self._idle = []

    def _is_test(self, sgc: SupplyGroupCode, krn: KeyRevision) -> bool:
        if time.monotonic() - self._keys_read_at > _KEYS_GOOD_FOR_S:
            answer = self._ask({"op": "keys"})
            self._keys = {(each["sgc"], each["krn"]): each["test"] for each in answer["keys"]}
            self._keys_read_at = time.monotonic()
        if (sgc, krn) not in self._keys:
            raise SupplyGroupNotAuthorisedError(
                f"The security module holds no key of supply group {sgc}, revision {krn}."
            )
        return self._keys[sgc, krn]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(request).encode() + b"\n"
        try:
            answer = json.loads(self._exchange(line))
        except (OSError, ValueError):
            # one cause of many: whatever it is, only asking by the id tells what was made
            raise ModuleUnreachableError(
                f"The security module at {self._address[0]}:{self._address[1]} did not answer."
            ) from None
        refused = answer.get("refused")
        if refused is None:
            return dict(answer)
        if refused["code"] == _NOT_AUTHORISED:
            raise SupplyGroupNotAuthorisedError(str(refused["message"]))
        raise ModuleRefusedError(f"The security module refused: {refused['message']}")

    def _exchange(self, line: bytes) -> bytes:
        """Send a line and read one; an idle connection that the module closed is replaced."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            try:
                return self._exchange_over(idle, line)
            except OSError:
                pass  # closed meanwhile; asking again by the same id is safe
        fresh = socket.create_connection(self._address, timeout=self._timeout_s)
        return self._exchange_over(fresh, line)

    def _exchange_over(self, connection: socket.socket, line: bytes) -> bytes:
        try:
            connection.sendall(line)
            answer = _received(connection)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _IDLE_MAX:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer


def open_module(_context: PlugInContext) -> LineModule:
    """The entry point: the module that the environment names.

    Raises:
        ModuleUnavailableError: no address, or none that can be read.
    """
    host, _, port = os.environ.get(ADDRESS_VARIABLE, "").rpartition(":")
    if not host or not port.isdecimal():
        raise ModuleUnavailableError(
            f"Name the security module's address with {ADDRESS_VARIABLE}=host:port."
        )
    return LineModule(host, int(port))


def _received(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\n"):
        part = connection.recv(_LINE_BYTES_MAX)
        if not part or len(answer) > _LINE_BYTES_MAX:
            raise ConnectionError("no whole line")
        answer += part
    return answer


def _tokens(answer: Any) -> tuple[str, ...]:
    if not isinstance(answer, list) or not answer:
        raise ModuleUnreachableError("The security module's answer holds no tokens.")
    for digits in answer:
        if not (isinstance(digits, str) and len(digits) == _TOKEN_DIGITS and digits.isdecimal()):
            raise ModuleUnreachableError("The security module's answer is no token.")
    return tuple(answer)
