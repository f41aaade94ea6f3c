"""Shops with vaults, on SQLite and on PostgreSQL, and a PKCS#11 token where SoftHSM is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.keys import COST, PASSPHRASE, softhsm_library
from tests.shop.conftest import (  # noqa: F401 - the same shops as elsewhere
    Clock,
    _quiet_logs,
    clock,
    database_url,
    databases,
    events,
    postgresql_databases,
    sqlite_files,
)
from vending import MasterSecret, Shop, Vault
from vending.security.opening import KeySettings

_PIN = "271828"
_LABEL = "meterhouse tests"


@pytest.fixture
def master() -> MasterSecret:
    return MasterSecret.passphrase(PASSPHRASE)


@pytest.fixture
def vault_url(database_url: str, clock: Clock, master: MasterSecret) -> str:  # noqa: F811
    """A shop with an empty vault and two supply groups."""
    with Shop.open(database_url, now=clock) as shop:
        shop.keys.make_vault(master, cost=COST, operator="Root")
    with Shop.open(database_url, now=clock) as shop:
        shop.keys.add_group("123457", "Test group")
        shop.keys.add_group("600001", "Riverside", policy="offer")
    return database_url


@pytest.fixture
def security(vault_url: str, clock: Clock, master: MasterSecret) -> Iterator[Vault]:  # noqa: F811
    with Vault.unlock(vault_url, master, now=clock) as opened:
        yield opened


@pytest.fixture
def shop(vault_url: str, clock: Clock, security: Vault) -> Iterator[Shop]:  # noqa: F811
    """A shop whose vault is open."""
    with Shop.open(vault_url, now=clock, rnd=lambda: 5, security=security) as shop:
        yield shop


@pytest.fixture(scope="session")
def _token_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = softhsm_library()
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("PKCS#11 was not tested: SoftHSM2 is not installed (apt install softhsm2)")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    subprocess.run(
        [
            *("softhsm2-util", "--init-token", "--free", "--label", _LABEL),
            *("--pin", _PIN, "--so-pin", "314159"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "pin").touch(mode=0o600)
    (folder / "pin").write_text(f"{_PIN}\n")
    return folder


@pytest.fixture
def token_settings(_token_folder: Path) -> KeySettings:
    """How a process is told of the token."""
    return KeySettings(
        pkcs11_library=softhsm_library(),
        pkcs11_token=_LABEL,
        pkcs11_pin_file=_token_folder / "pin",
    )
