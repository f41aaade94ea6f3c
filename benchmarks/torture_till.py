"""A till that does what it is told until it is killed; one process of `benchmarks.torture`.

``python -m benchmarks.torture_till URL``: each line of standard input is ``CLIENT MESSAGE_ID
METER AMOUNT``; each answer is a line ``MESSAGE_ID SHA256 OUTCOME``, flushed at once.
"""

from __future__ import annotations

import hashlib
import sys

import structlog

from vending import Shop, VendRequest


def main(url: str) -> None:
    """Sell until standard input ends."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with Shop.open(url) as shop:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            client, message_id, meter, amount = line.split()
            result = shop.vend(
                VendRequest(client, message_id, meter, int(amount), confirmed_second=True)
            )
            digest = hashlib.sha256(result.response).hexdigest()
            sys.stdout.write(f"{message_id} {digest} {result.outcome.value}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
