"""A till as a process of its own, for tests that run several and kill some.

``python -m tests.shop.till URL CLIENT METER COUNT [ID_PREFIX]``: sells COUNT times to METER
under the ids ``PREFIX0``, ``PREFIX1``, ... and prints each answer's bytes on a line, flushed, as
soon as it has it.  "ready" comes first; the first sale waits for a line on standard input.
"""

from __future__ import annotations

import sys

import structlog

from vending import Shop, VendRequest

AMOUNT_MINOR = 5_000


def main(url: str, client: str, meter: str, count: str, prefix: str = "") -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    out = sys.stdout.buffer
    with Shop.open(url) as shop:
        out.write(b"ready\n")
        out.flush()
        sys.stdin.readline()
        for number in range(int(count)):
            request = VendRequest(client, f"{prefix}{number}", meter, AMOUNT_MINOR)
            result = shop.vend(request)
            assert result.response, result.fault
            out.write(result.response + b"\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
