"""A provider of the tests: it signs and posts, over a real socket."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from billing.office import Office
from billing.payments.channels import Adapter, Channel
from billing.payments.web_hook.listener import Listener
from billing.payments.web_hook.receiving import Hook, Receive, Receiver
from billing.payments.web_hook.signing import SharedSecret, Signed

SECRET = b"a secret of the tests, long enough"


@dataclass(frozen=True, slots=True)
class Posted:
    """What was answered."""

    status: int
    body: str


def hmac_hook(folder: Path, name: str = "alipay", **settings: Any) -> Hook:
    """The hook of a channel that signs with a shared secret."""
    file = folder / f"{name}.secret"
    file.write_bytes(SECRET + b"\n")
    file.chmod(0o600)
    given = {"scheme": "hmac-sha256", "key_file": str(file), **settings}
    return Hook.of(Channel(name, name, Adapter.WEB_HOOK, settings=given))


def message(reference: str, amount_minor: int, number: str, **more: Any) -> bytes:
    """As the provider writes it."""
    plain = {
        "reference": reference,
        "amount_minor": amount_minor,
        "number": number,
        "paid_at": "2026-11-22T10:00:00+08:00",
        "status": "SUCCESS",
        **more,
    }
    return json.dumps(plain).encode()


def signed_headers(
    body: bytes, at: datetime, *, key: RSAPrivateKey | None = None, nonce: str = "n1"
) -> dict[str, str]:
    """The headers with the provider's signature."""
    timestamp = str(int(at.timestamp()))
    if key is None:
        signature = SharedSecret(SECRET).sign(timestamp, nonce, body)
    else:
        text = Signed(timestamp, nonce, "", body).text
        signature = base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()
    return {"X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": signature}


def post(port: int, channel: str, body: bytes, headers: dict[str, str]) -> Posted:
    """Post a message."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", f"/{channel}", body, headers)
        answer = connection.getresponse()
        return Posted(answer.status, answer.read().decode())
    finally:
        connection.close()


@contextmanager
def listening(office: Office, *hooks: Hook) -> Iterator[tuple[int, Receiver]]:
    """A listener on a port of its own."""
    receiver = Receiver(office, {hook.channel: hook for hook in hooks})
    with served(receiver.receive) as port:
        yield port, receiver


@contextmanager
def served(receive: Receive) -> Iterator[int]:
    """A listener that asks ``receive``; gives its port."""
    loop = asyncio.new_event_loop()
    listener = Listener(receive)
    port = loop.run_until_complete(listener.open("127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(listener.aclose(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
