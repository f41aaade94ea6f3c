"""A shop with keys of its own: no TEST mark, and key changes asked of the customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.security.keys import COST, PASSPHRASE, import_key, terms
from tests.till.conftest import Clerk, Counter
from vending import MasterSecret, NewMeter, Shop, Vault
from vending.sts import make_drn

SGC = "600001"
OLD = make_drn("07", "00001993")
NEW = make_drn("07", "00002014")


@contextmanager
def own_keys(counter: Counter) -> Iterator[Shop]:
    master = MasterSecret.passphrase(PASSPHRASE)
    with Vault.unlock(counter.url, master) as vault, Shop.open(counter.url, security=vault) as shop:
        yield shop


@pytest.fixture
def enrol(counter: Counter, tmp_path: Path) -> Callable[[str], None]:
    """A vault with one key, and two meters: one is still on base date 1993."""

    def put(policy: str) -> None:
        with counter.shop() as shop:
            shop.keys.make_vault(MasterSecret.passphrase(PASSPHRASE), cost=COST, operator="Root")
        with own_keys(counter) as shop:
            shop.keys.add_group(SGC, "Riverside", policy=policy)
            import_key(shop, terms(SGC, valid_from=datetime(2020, 1, 1, tzinfo=UTC)))
            shop.keys.make_current(SGC, 1)
            shop.add_meter(NewMeter(OLD, customer="Omar Old", sgc=SGC, base_year=1993))
            shop.add_meter(NewMeter(NEW, customer="Nina New", sgc=SGC))
        file = tmp_path / "passphrase"
        file.write_text(PASSPHRASE)
        file.chmod(0o600)
        counter.env["METERHOUSE_VAULT_PASSPHRASE_FILE"] = str(file)

    return put


def test_an_offered_key_change_is_asked_about(
    counter: Counter, enrol: Callable[[str], None], till: Callable[..., Clerk]
) -> None:
    enrol("offer")
    clerk = till()
    assert "TEST" not in clerk.sees("** help")
    clerk.types(OLD)
    clerk.sees("Omar Old", "the key must be changed")
    clerk.types("100")
    clerk.sees("base date 1993 has ended", "Change the key with this sale?")
    clerk.screen.sendline("0")
    clerk.sees("Cancelled: nothing was sold.")
    clerk.types(OLD, "100", "1")
    clerk.sees("With a key change to revision 1", "SELLS")
    clerk.screen.sendline("")
    clerk.sees("enter 1st", "enter last")
    clerk.types(NEW, "100", "")
    clerk.sees("CREDIT TOKEN", "Nina New")
    assert clerk.leaves() == 0
    with own_keys(counter) as shop:
        assert shop.statement().sales == 2


def test_a_key_change_that_is_not_for_the_till_is_told_before_any_amount(
    enrol: Callable[[str], None], till: Callable[..., Clerk]
) -> None:
    enrol("fault")
    clerk = till()
    clerk.types(OLD)
    clerk.sees("Omar Old", "key_change_required")
    clerk.types("*0")
    assert clerk.ends() == 0
