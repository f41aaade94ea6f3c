"""A bulk vend as a process of its own: ``python -m tests.cash.settle URL``.

Prints a line for each booking that it has settled, flushed, so that a test can kill it in the
middle.
"""

from __future__ import annotations

import sys

import structlog

from vending import Shop


def main(url: str) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with Shop.open(url) as shop:
        for settled in shop.bank.settle(operator="boss"):
            sys.stdout.write(f"{settled.entry_id} {settled.outcome}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
