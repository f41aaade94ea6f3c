"""Changing the vault's keys: what opens it afterwards, what goes on, and death in the middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.keys import (
    COST,
    CREDIT,
    PASSPHRASE,
    SECRET_64,
    SECRET_160,
    attributes,
    components_of,
    import_key,
    terms,
)
from tests.shop.conftest import Clock
from vending import MasterSecret, Shop, Vault
from vending.security import recorded
from vending.security.faults import PassphraseTooShortError, VaultLockedError

ROOT = Path(__file__).parent.parent.parent
NEW = MasterSecret.passphrase("another passphrase by far")


def test_the_passphrase_before_opens_nothing_any_more(
    shop: Shop, security: Vault, vault_url: str, master: MasterSecret, clock: Clock
) -> None:
    import_key(shop, terms())
    token = security.make_token(CREDIT, attributes())
    shop.keys.rotate_master(NEW, cost=COST)
    with pytest.raises(VaultLockedError):
        Vault.unlock(vault_url, master)
    with Vault.unlock(vault_url, NEW, now=clock) as again:
        assert again.make_token(CREDIT, attributes()) == token
    import_key(shop, terms(krn=2))  # the process that rotated goes on
    shop.keys.rotate_data_key()


def test_a_process_that_has_the_vault_open_goes_on(
    shop: Shop,
    vault_url: str,
    master: MasterSecret,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_key(shop, terms())
    monkeypatch.setattr(recorded, "REFRESH_S", 0.0)
    with Vault.unlock(vault_url, master, now=clock) as other:
        shop.keys.rotate_data_key()
        other.make_token(CREDIT, attributes())
        shop.keys.rotate_master(NEW, cost=COST)
        other.make_token(CREDIT, attributes())
        shop.keys.rotate_data_key()
        with pytest.raises(VaultLockedError, match="changed since"):
            other.make_token(CREDIT, attributes())


def test_a_vault_may_change_from_passphrase_to_secret_file(
    shop: Shop, vault_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(bytes(range(64)))
    shop.keys.rotate_master(MasterSecret.secret_file(path))
    Vault.unlock(vault_url, MasterSecret.secret_file(path)).close()


def test_a_short_new_passphrase_changes_nothing(
    shop: Shop, vault_url: str, master: MasterSecret
) -> None:
    with pytest.raises(PassphraseTooShortError):
        shop.keys.rotate_master(MasterSecret.passphrase("short"), cost=COST)
    Vault.unlock(vault_url, master).close()


@pytest.mark.parametrize("what", ["data", "master"])
def test_a_rotation_killed_at_any_step_happened_wholly_or_not_at_all(
    shop: Shop, vault_url: str, what: str
) -> None:
    import_key(shop, terms(krn=1))
    import_key(shop, terms(krn=2), SECRET_160[::-1])
    import_key(shop, terms(krn=3, dkga=2), SECRET_64)
    begun = shop.keys.begin_ceremony(terms(krn=4), operator="Anna")
    left, right = components_of(SECRET_160)
    shop.keys.enter_component(begun.ceremony_id, left, operator="Anna")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.security.rotor", vault_url, what],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(killed.stdout) >= 3
    if what == "data":  # the waiting component came through, too
        with (
            Vault.unlock(vault_url, MasterSecret.passphrase(PASSPHRASE)) as vault,
            Shop.open(vault_url, security=vault) as later,
        ):
            later.keys.enter_component(begun.ceremony_id, right, operator="Ben")
            assert later.keys.finish_ceremony(begun.ceremony_id).kcv is not None
