"""A process that is killed at every step of a rotation, for the tests.

``python -m tests.security.rotor URL data|master``: rotates again and again, each time in a child
that is killed (SIGKILL) before its next statement or commit, and looks after each death whether
the vault opens and every key in it is sound.  Prints how many deaths there were.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import structlog
from sqlalchemy import Engine, event

from tests.security.keys import COST, PASSPHRASE
from tests.shop.databases import START
from vending import MasterSecret, Shop, Vault
from vending.security.faults import VaultLockedError

NEW_PASSPHRASE = "another passphrase by far"


def main(url: str, what: str) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    step = 1
    while _killed_at(url, what, step):
        opener = _opener(url)
        if opener == NEW_PASSPHRASE:  # killed behind the commit, before it could say so
            break
        step += 1
    assert _opener(url) == (PASSPHRASE if what == "data" else NEW_PASSPHRASE)
    sys.stdout.write(f"{step - 1}\n")


def _killed_at(url: str, what: str, step: int) -> bool:
    child = os.fork()
    if child == 0:
        _rotate(url, what, step)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def _rotate(url: str, what: str, step: int) -> None:
    with (
        Vault.unlock(url, MasterSecret.passphrase(PASSPHRASE), now=lambda: START) as vault,
        Shop.open(url, security=vault) as shop,
    ):
        steps = iter(range(1, 1_000))

        def die(*_: Any) -> None:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", die)
        event.listen(Engine, "commit", die)
        if what == "data":
            shop.keys.rotate_data_key()
        else:
            shop.keys.rotate_master(MasterSecret.passphrase(NEW_PASSPHRASE), cost=COST)


def _opener(url: str) -> str:
    """The one passphrase that opens the vault, in which every key is sound."""
    found = [text for text in (PASSPHRASE, NEW_PASSPHRASE) if _opens(url, text)]
    assert len(found) == 1, "nothing, or both"
    return found[0]


def _opens(url: str, text: str) -> bool:
    try:
        vault = Vault.unlock(url, MasterSecret.passphrase(text), now=lambda: START)
    except VaultLockedError:
        return False
    with vault, Shop.open(url, security=vault) as shop:
        found = shop.keys.test()
        assert found
        assert all(each.is_sound for each in found), found
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
