"""A listener that is killed when a payment is committed and nobody has been answered.

``python -m tests.billing.payments.dying DATABASE FOLDER FILE``
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import billing.tables_all
from billing.office import Office
from billing.payments.web_hook.listener import Listener
from billing.payments.web_hook.receiving import Answer, Receiver
from billing.privacy.seal import Seal
from storage.engine import open_engine
from tests.billing.conftest import PERSONAL_KEY, ZONE
from tests.billing.payments.hooks import hmac_hook
from tests.shop.conftest import Clock
from vending.shop.money import Currency

assert billing.tables_all.__doc__


async def main(database: str, folder: Path, told: Path) -> None:
    office = Office(open_engine(database), ZONE, Currency.named("CNY"), Clock(), Seal(PERSONAL_KEY))
    hook = hmac_hook(folder)
    receiver = Receiver(office, {hook.channel: hook})

    def receive(channel: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = receiver.receive(channel, headers, body)
        assert answer.status == 200, answer
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
        return answer

    port = await Listener(receive).open("127.0.0.1", 0)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
