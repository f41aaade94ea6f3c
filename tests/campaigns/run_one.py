"""A program that runs a campaign, for tests that kill it: ``URL NAME`` prints each chunk."""

from __future__ import annotations

import sys

import structlog

from vending import Shop


def _tell(done: int, total: int) -> None:
    sys.stdout.write(f"{done} {total}\n")
    sys.stdout.flush()


def main(url: str, name: str) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with Shop.open(url) as shop:
        shop.campaigns.run(name, progress=_tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
