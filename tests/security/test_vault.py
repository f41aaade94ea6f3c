"""The software vault: what opens it, what does not, and that nothing shows a key."""

from __future__ import annotations

import os
import pickle
import sqlite3
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from storage.engine import open_engine, writing
from tests.security.keys import (
    COST,
    CREDIT,
    PASSPHRASE,
    SECRET_64,
    SECRET_160,
    VECTORS,
    attributes,
    components_of,
    import_key,
    terms,
    vector_attributes,
    vector_terms,
)
from tests.shop.conftest import Clock
from vending import MasterSecret, NewMeter, Shop, Vault, VendRequest
from vending.security import recorded
from vending.security.faults import (
    KeyBaseDateError,
    KeyRevisionExpiredError,
    KeyRevisionNotYetValidError,
    KeyRevisionWithdrawnError,
    PassphraseTooShortError,
    SecretFileError,
    VaultDamagedError,
    VaultExistsError,
    VaultLockedError,
    VaultMissingError,
)
from vending.security.wrapping import WrappingKey
from vending.shop.faults import (
    DatabaseInvariantError,
    SupplyGroupNotAuthorisedError,
    storage_faults,
)
from vending.sts import (
    BaseDate,
    DecoderKey,
    EncryptionAlgorithm,
    KeyExpiry,
    KeyRevision,
    StaTables,
    SupplyGroupCode,
    VendingKey,
    cipher_for,
    encode,
)

RIVERSIDE = SupplyGroupCode("600001")
FIRST = KeyRevision(1)


def execute(url: str, statement: str, **values: object) -> None:
    engine = open_engine(url)
    try:
        with storage_faults(), writing(engine) as connection:
            connection.execute(text(statement), values)
    finally:
        engine.dispose()


def blob_of(url: str, krn: int) -> bytes:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT wrapped FROM key_revisions WHERE krn = :krn"), {"krn": krn}
        ).scalar_one()
    engine.dispose()
    return bytes(found)


@pytest.mark.parametrize(
    "vector", VECTORS["decoder_keys"], ids=lambda v: f"dkga{v['dkga']}-ea{v['ea']}"
)
def test_tokens_are_made_under_the_published_decoder_keys(
    shop: Shop, security: Vault, vector: dict[str, Any]
) -> None:
    of = vector_terms(vector)
    if of.sgc not in {group.sgc for group in shop.keys.groups()}:
        shop.keys.add_group(of.sgc)
    import_key(shop, of, vector["vending_key"])
    key = vector_attributes(vector)
    cipher = cipher_for(key.algorithm, DecoderKey.from_hex(vector["decoder_key"]))
    assert security.make_token(CREDIT, key) == encode(CREDIT, cipher)
    assert security.test_marks(key)[0] == "public test keys"


def test_a_shop_sells_with_the_keys_of_its_vault(shop: Shop, security: Vault) -> None:
    import_key(shop, terms())
    meter = shop.add_meter(NewMeter("07000000013", sgc="600001"))
    receipt = shop.vend(VendRequest("till", "1", meter.number, 10_000)).require_done()
    assert receipt.test_marks == ()
    read = security.read_token(receipt.tokens[0].digits, meter.attributes())
    assert read.crc_ok


def test_a_shop_with_a_vault_does_not_fall_back_to_test_keys(vault_url: str) -> None:
    with Shop.open(vault_url) as shop:
        assert shop.meters() == []
        with pytest.raises(VaultLockedError, match="METERHOUSE_VAULT_PASSPHRASE_FILE"):
            shop.add_meter(NewMeter("07000000013"))
        with pytest.raises(VaultLockedError):
            shop.keys.rotate_data_key()


@pytest.mark.parametrize("wrong", ["", "correct horse battery stapl", PASSPHRASE.upper()])
def test_another_passphrase_does_not_open_it(vault_url: str, wrong: str) -> None:
    with pytest.raises(VaultLockedError, match="wrong") as fault:
        Vault.unlock(vault_url, MasterSecret.passphrase(wrong))
    assert PASSPHRASE not in "".join(traceback.format_exception(fault.value))


def test_a_shop_without_a_vault_has_none_to_open(database_url: str, master: MasterSecret) -> None:
    with pytest.raises(VaultMissingError, match="vault init"):
        Vault.unlock(database_url, master)


def test_a_vault_is_made_once(shop: Shop, master: MasterSecret) -> None:
    with pytest.raises(VaultExistsError, match="rotate"):
        shop.keys.make_vault(master, cost=COST)


def test_a_short_passphrase_is_refused(database_url: str) -> None:
    with Shop.open(database_url) as shop, pytest.raises(PassphraseTooShortError):
        shop.keys.make_vault(MasterSecret.passphrase("eleven char"), cost=COST)


def test_an_altered_blob_does_not_open(shop: Shop, vault_url: str, master: MasterSecret) -> None:
    import_key(shop, terms())
    blob = bytearray(blob_of(vault_url, 1))
    blob[20] ^= 1
    execute(vault_url, "UPDATE key_revisions SET wrapped = :blob", blob=bytes(blob))
    with (
        Vault.unlock(vault_url, master, now=lambda: terms().valid_from) as vault,
        pytest.raises(VaultDamagedError, match="altered"),
    ):
        vault.make_token(CREDIT, attributes())


def test_a_blob_in_anothers_place_does_not_open(
    shop: Shop, vault_url: str, master: MasterSecret, clock: Clock
) -> None:
    import_key(shop, terms(krn=1))
    import_key(shop, terms(krn=2), SECRET_160[::-1])
    execute(
        vault_url,
        "UPDATE key_revisions SET wrapped = :blob WHERE krn = 2",
        blob=blob_of(vault_url, 1),
    )
    with Vault.unlock(vault_url, master, now=clock) as vault:
        vault.make_token(CREDIT, attributes(krn=1))
        with pytest.raises(VaultDamagedError, match="another's place"):
            vault.make_token(CREDIT, attributes(krn=2))


def test_what_a_key_is_cannot_be_changed(shop: Shop, vault_url: str) -> None:
    import_key(shop, terms())
    for change in ("krn = 2", "dkga = 2", "kcv = '000000'", "base_year = 2035", "ken = 1"):
        with pytest.raises(DatabaseInvariantError):
            execute(vault_url, f"UPDATE key_revisions SET {change}")
    with pytest.raises(DatabaseInvariantError):
        execute(vault_url, "DELETE FROM key_revisions")


def test_a_secret_file_opens_it_too(database_url: str, tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(os.urandom(32))
    with Shop.open(database_url, now=clock) as shop:
        shop.keys.make_vault(MasterSecret.secret_file(path))
    Vault.unlock(database_url, MasterSecret.secret_file(path)).close()
    with pytest.raises(VaultLockedError, match="secret file"):
        Vault.unlock(database_url, MasterSecret.passphrase(PASSPHRASE))


@pytest.mark.parametrize(
    ("mode", "content", "why"),
    [(0o640, b"x" * 32, "mode 0640"), (0o604, b"x" * 32, "mode 0604"), (0o600, b"x" * 31, "31")],
)
def test_a_secret_file_is_its_owners_alone_and_long(
    tmp_path: Path, mode: int, content: bytes, why: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=why):
        MasterSecret.secret_file(path)


@pytest.mark.parametrize("make", [lambda p: p / "none", lambda p: p, lambda _: Path("/dev/null")])
def test_a_secret_file_is_an_ordinary_file(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(SecretFileError):
        MasterSecret.secret_file(make(tmp_path))


def test_a_passphrase_file_gives_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(f"{PASSPHRASE}\nnot this\n")
    salt = bytes(16)
    one = MasterSecret.passphrase_file(path).wrapping_key(salt, COST).wrap(b"x", b"")
    assert MasterSecret.passphrase(PASSPHRASE).wrapping_key(salt, COST).unwrap(one, b"") == b"x"


# --- when a key may be used -------------------------------------------------------------------


def test_nothing_is_issued_after_issued_until_but_the_way_out(
    shop: Shop, security: Vault, clock: Clock
) -> None:
    import_key(shop, terms(krn=1, issued_until=clock.now + timedelta(days=1)))
    import_key(shop, terms(krn=2), SECRET_160[::-1])
    security.require(RIVERSIDE, FIRST)
    token = security.make_token(CREDIT, attributes(krn=1))
    clock.advance(days=1, seconds=1)
    with pytest.raises(KeyRevisionExpiredError, match="change the meter's key"):
        security.require(RIVERSIDE, FIRST)
    with pytest.raises(KeyRevisionExpiredError):
        security.make_token(CREDIT, attributes(krn=1))
    assert security.read_token(token, attributes(krn=1)).crc_ok
    out = security.make_key_change(
        attributes(krn=1), attributes(krn=2), KeyExpiry(255), rollover=False
    )
    assert len(out) == 4
    with pytest.raises(KeyRevisionExpiredError):
        security.make_key_change(
            attributes(krn=2), attributes(krn=1), KeyExpiry(255), rollover=False
        )


def test_an_expired_key_is_a_stored_refusal_of_a_sale(shop: Shop, clock: Clock) -> None:
    import_key(shop, terms(issued_until=clock.now + timedelta(days=1)))
    meter = shop.add_meter(NewMeter("07000000013", sgc="600001"))
    clock.advance(days=2)
    result = shop.vend(VendRequest("till", "1", meter.number, 10_000))
    assert result.fault is not None
    assert result.fault.code == "key_revision_expired"


def test_a_key_is_not_used_before_it_is_valid(shop: Shop, security: Vault, clock: Clock) -> None:
    import_key(shop, terms(valid_from=clock.now + timedelta(days=1)))
    with pytest.raises(KeyRevisionNotYetValidError):
        security.require(RIVERSIDE, FIRST)
    clock.advance(days=1)
    security.require(RIVERSIDE, FIRST)


def test_a_withdrawn_key_is_seen_by_other_processes(
    shop: Shop,
    vault_url: str,
    master: MasterSecret,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_key(shop, terms())
    with Vault.unlock(vault_url, master, now=clock) as other:
        other.require(RIVERSIDE, FIRST)
        shop.keys.withdraw("600001", 1, operator="Anna")
        monkeypatch.setattr(recorded, "REFRESH_S", 0.0)
        with pytest.raises(KeyRevisionWithdrawnError):
            other.make_token(CREDIT, attributes())
        with pytest.raises(SupplyGroupNotAuthorisedError, match="key list"):
            other.require(RIVERSIDE, KeyRevision(2))


def test_a_key_imported_elsewhere_is_here_at_once(
    shop: Shop, vault_url: str, master: MasterSecret, clock: Clock
) -> None:
    with Vault.unlock(vault_url, master, now=clock) as other:
        import_key(shop, terms())
        other.require(RIVERSIDE, FIRST)


def test_a_meter_on_another_base_date_gets_no_token(shop: Shop, security: Vault) -> None:
    import_key(shop, terms(base_year=2035))
    with pytest.raises(KeyBaseDateError, match="2035"):
        security.make_token(CREDIT, attributes(base_date=BaseDate.Y2014))


def test_only_sample_tables_and_test_keys_are_marked(
    shop: Shop, security: Vault, vault_url: str, master: MasterSecret
) -> None:
    import_key(shop, terms())
    sta = attributes(algorithm=EncryptionAlgorithm.STA)
    assert security.test_marks(attributes()) == ()
    assert security.test_marks(sta) == ("sample STA tables",)
    own = StaTables((tuple(range(16)), tuple(range(16))), tuple(range(64)))
    with Vault.unlock(vault_url, master, tables=own) as licensed:
        assert licensed.test_marks(sta) == ()


# --- nothing shows a key ----------------------------------------------------------------------


def spellings(secret: str) -> list[bytes]:
    raw = bytes.fromhex(secret)
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), repr(raw)[2:-1].encode()]


def test_no_key_and_no_component_is_in_the_database_in_clear(
    shop: Shop, vault_url: str, events: list[structlog.types.EventDict]
) -> None:
    import_key(shop, terms(), SECRET_160)
    import_key(shop, terms(krn=2, dkga=2), SECRET_64)
    waiting = shop.keys.begin_ceremony(terms(krn=3), operator="Anna")
    left = components_of(SECRET_160)[0]
    shop.keys.enter_component(waiting.ceremony_id, left, operator="Anna")
    secrets = [
        each.secret.hex() for of in (SECRET_160, SECRET_64) for each in components_of(of)
    ] + [SECRET_160, SECRET_64, PASSPHRASE.encode().hex()]
    content = everything(vault_url) + repr(events).encode()
    assert RIVERSIDE.encode() in content
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in content


def everything(url: str) -> bytes:
    """All bytes of a SQLite database, and of its log; all values of a PostgreSQL one."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        files = [path, *path.parent.glob(f"{path.name}-*")]
        return b"".join(file.read_bytes() for file in files)
    engine = open_engine(url)
    with engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).scalars()
        rows = [
            bytes(value) if isinstance(value, memoryview | bytes) else repr(value).encode()
            for name in names.all()
            for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')
            for value in row
        ]
    engine.dispose()
    return b"\n".join(rows)


def test_nothing_that_holds_a_key_prints_or_pickles_it(
    shop: Shop, security: Vault, master: MasterSecret
) -> None:
    import_key(shop, terms())
    security.make_token(CREDIT, attributes())
    shown = "".join(
        repr(each) + repr(getattr(each, "__dict__", ""))
        for each in (security, security.open_vault, master, shop, shop.keys)
    )
    assert SECRET_160 not in shown.lower()
    assert PASSPHRASE not in shown
    assert "MasterSecret(passphrase, secret)" in repr(master)
    for secret in (master, WrappingKey(bytes(32)), VendingKey.from_hex(SECRET_160)):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def test_a_fault_in_the_middle_shows_no_key(
    shop: Shop, vault_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = shop.keys.begin_ceremony(terms(), operator="Anna")
    for person, component in zip(("Anna", "Ben"), components_of(SECRET_160), strict=True):
        shop.keys.enter_component(begun.ceremony_id, component, operator=person)
    execute(vault_url, "UPDATE vault SET tables_sha256 = 'x'")

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.Error("disk")

    monkeypatch.setattr("vending.security.ceremony.insert_revision", broken)
    with pytest.raises(sqlite3.Error) as fault:
        shop.keys.finish_ceremony(begun.ceremony_id, operator="Anna")
    shown = "".join(
        traceback.TracebackException.from_exception(fault.value, capture_locals=True).format()
    ).lower()
    assert SECRET_160 not in shown
    for component in components_of(SECRET_160):
        assert component.secret.hex() not in shown
