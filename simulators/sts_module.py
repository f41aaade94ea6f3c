"""A simulated STS security module: a process of its own that makes tokens by message id.

It stands in for a licensed module where the plug-in of one is tried out: the same order, the
same promises, public test keys only.  One JSON object per line in, one per line out:

===============================================  ============================================
``{"op": "submit", "message_id", "order"}``      ``{"tokens": [...]}``; the same id again gives
                                                 the same tokens
``{"op": "fetch", "message_id"}``                ``{"tokens": [...]}``, or null for the tokens
                                                 when nothing was made under the id
``{"op": "keys"}``                               ``{"keys": [{"sgc", "krn", "test"}]}``
``{"op": "read", "token", "key"}``               ``{"crc_ok", "class", "subclass", "content"}``
whatever is refused                              ``{"refused": {"code", "message"}}``
===============================================  ============================================

An order is ``{"order": "token", "class", "subclass", "content" (44 bits, hexadecimal), "key"}``
or ``{"order": "key_change", "old", "new", "ken", "rollover"}``; a key is named by ``meter_pan,
sgc, krn, key_type, tariff_index, base_year, ea``.

What was made is on the disk before it is answered, so that it is still there after kill -9.
`Death` lets a test choose the moment at which the process dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socketserver
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final

from simulators.errors import SimulatorError
from vending.sts import (
    SAMPLE_TABLES,
    BaseDate,
    DecoderKey,
    EncryptionAlgorithm,
    KeyAttributes,
    KeyChange,
    MeterPan,
    StsError,
    TokenCipher,
    cipher_for,
    decode,
    derive_decoder_key,
    encode,
    key_change_tokens,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.content import parse_content
from vending.sts.public_test_key import (
    PUBLIC_TEST_VENDING_KEY,
    TEST_KEY_GENERATION,
    TEST_SUPPLY_GROUP,
)

_REVISIONS: Final = (1, 2)
_LINE_BYTES_MAX: Final = 1 << 16
_MODE: Final = 0o600
_ID_LENGTH_MAX: Final = 512


class Death(StrEnum):
    """At which moment of an order the module dies (SIGKILL)."""

    NEVER = "never"
    BEFORE_MAKING = "before-making"
    AFTER_STORING = "after-storing"
    AFTER_ANSWERING = "after-answering"


class RefusedError(SimulatorError):
    """The module refuses an order by a rule of its own."""

    code: ClassVar[str] = "module_refused"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason: Final = code


class MadeTokens:
    """What was made under which id: a file that only grows.

    Args:
        path: JSON lines; made if missing.  A last line that was cut off by a crash was never
            answered, and is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._made: Final[dict[str, tuple[str, list[str]]]] = {}
        self._file: Final = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            entry = json.loads(line)
            self._made[entry["message_id"]] = entry["sha256"], entry["tokens"]
        os.ftruncate(self._file, len(whole))
        os.lseek(self._file, 0, os.SEEK_END)

    def find(self, message_id: str) -> tuple[str, list[str]] | None:
        """The order's digest and its tokens."""
        return self._made.get(message_id)

    def keep(self, message_id: str, sha256: str, tokens: list[str]) -> None:
        """Write it down; on the disk when this returns."""
        entry = {"message_id": message_id, "sha256": sha256, "tokens": tokens}
        os.write(self._file, json.dumps(entry).encode() + b"\n")
        os.fsync(self._file)
        self._made[message_id] = sha256, tokens

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class StsModule:
    """The module without its socket.

    Args:
        made: its memory.
        death: when to die, for tests.
        dies_at: at which order that makes something new, counted from 1.
    """

    def __init__(self, made: MadeTokens, death: Death = Death.NEVER, dies_at: int = 1) -> None:
        self._made: Final = made
        self._death: Final = death
        self._dies_at: Final = dies_at
        self._orders = 0
        self._lock: Final = threading.Lock()

    def answer(self, line: bytes) -> bytes:
        """One line for one line."""
        try:
            return _line(self._answer(json.loads(line)))
        except RefusedError as fault:
            return _refused(fault.reason, str(fault))
        except StsError as fault:
            return _refused(fault.code, str(fault))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _refused("request_format", "This is not a request that the module knows.")

    def answered(self) -> None:
        """The answer to an order is on its way."""
        self._die(Death.AFTER_ANSWERING)

    def _answer(self, request: Any) -> dict[str, Any]:
        match request["op"]:
            case "submit":
                return {"tokens": self._submit(_id(request), request["order"])}
            case "fetch":
                with self._lock:
                    found = self._made.find(_id(request))
                return {"tokens": None if found is None else found[1]}
            case "keys":
                sgc = TEST_SUPPLY_GROUP
                return {"keys": [{"sgc": sgc, "krn": krn, "test": True} for krn in _REVISIONS]}
            case "read":
                return _read(str(request["token"]), _key(request["key"]))
        raise ValueError

    def _submit(self, message_id: str, order: Any) -> list[str]:
        spelled = json.dumps(order, sort_keys=True, separators=(",", ":"))
        sha256 = hashlib.sha256(spelled.encode()).hexdigest()
        with self._lock:
            found = self._made.find(message_id)
            if found is not None:
                if found[0] != sha256:
                    raise RefusedError(
                        "message_conflict", "This id was used before, for another order."
                    )
                return found[1]
            self._orders += 1
            self._die(Death.BEFORE_MAKING)
            tokens = _made(order)
            self._made.keep(message_id, sha256, tokens)
            self._die(Death.AFTER_STORING)
            return tokens

    def _die(self, moment: Death) -> None:
        if self._death is moment and self._orders >= self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


class StsModuleServer(socketserver.ThreadingTCPServer):
    """The module behind a port of this machine.

    Args:
        module: what answers.
        port: 0 for any free one; see `server_address`.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, module: StsModule, port: int = 0) -> None:
        self.module: Final = module
        super().__init__(("127.0.0.1", port), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    server: StsModuleServer

    def handle(self) -> None:
        module = self.server.module
        while True:
            line = self.rfile.readline(_LINE_BYTES_MAX + 1)
            if not line.endswith(b"\n"):
                return  # closed, or longer than any request is
            try:
                self.wfile.write(module.answer(line))
                self.wfile.flush()
            except OSError:
                return
            if b'"submit"' in line:
                module.answered()


def _made(order: Any) -> list[str]:
    if order["order"] == "key_change":
        return _key_change(order)
    if order["order"] != "token":
        raise ValueError
    content = parse_content(order["class"], order["subclass"], int(order["content"], 16))
    _, cipher = _unlock(_key(order["key"]))
    return [encode(content, cipher)]


def _key_change(order: Any) -> list[str]:
    old, new = _key(order["old"]), _key(order["new"])
    old_key, old_cipher = _unlock(old)
    new_key, _ = _unlock(new)
    change = KeyChange(
        new_key=new_key,
        key_type=new.key_type,
        krn=new.krn,
        tariff_index=new.tariff_index,
        ken=parse_key_expiry(order["ken"]),
        sgc=new.sgc if new.algorithm.key_bits == 128 else None,
        rollover=bool(order["rollover"]),
    )
    return list(key_change_tokens(change, old_key, old_cipher))


def _read(digits: str, key: KeyAttributes) -> dict[str, Any]:
    _, cipher = _unlock(key)
    read = decode(digits, cipher)
    content = None if read.content is None else f"{read.content.content():011x}"
    return {
        "crc_ok": read.crc_ok,
        "class": read.token_class,
        "subclass": read.subclass,
        "content": content,
    }


def _unlock(key: KeyAttributes) -> tuple[DecoderKey, TokenCipher]:
    if key.sgc != TEST_SUPPLY_GROUP or key.krn not in _REVISIONS:
        raise RefusedError(
            "supply_group_not_authorised", f"No key {key.sgc} revision {key.krn} is loaded here."
        )
    decoder_key = derive_decoder_key(TEST_KEY_GENERATION, PUBLIC_TEST_VENDING_KEY, key)
    return decoder_key, cipher_for(key.algorithm, decoder_key, SAMPLE_TABLES)


def _key(document: Any) -> KeyAttributes:
    return KeyAttributes(
        meter_pan=MeterPan.parse(document["meter_pan"]),
        sgc=parse_supply_group_code(document["sgc"]),
        krn=parse_key_revision(document["krn"]),
        key_type=parse_key_type(document["key_type"]),
        tariff_index=parse_tariff_index(document["tariff_index"]),
        base_date=BaseDate(document["base_year"]),
        algorithm=EncryptionAlgorithm(document["ea"]),
    )


def _id(request: Any) -> str:
    message_id = request["message_id"]
    if not isinstance(message_id, str) or not 0 < len(message_id) <= _ID_LENGTH_MAX:
        raise ValueError
    return message_id


def _refused(code: str, message: str) -> bytes:
    return _line({"refused": {"code": code, "message": message}})


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
