"""Keys in a PKCS#11 token: SoftHSM2, for real.  Without it these tests are skipped in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.security.keys import (
    CREDIT,
    SECRET_64,
    SECRET_160,
    VECTORS,
    attributes,
    components_of,
    import_key,
    softhsm_library,
    terms,
    vector_attributes,
    vector_terms,
)
from tests.shop.conftest import Clock
from vending import MasterSecret, Shop, Vault
from vending.security.faults import (
    KeyRevisionExistsError,
    ModuleCannotError,
    ModuleUnavailableError,
)
from vending.security.groups import KeyState, Provider, RevisionRecord, RevisionTerms
from vending.security.key_checks import key_check_value
from vending.security.opening import KeySettings, open_security
from vending.security.recorded import KeptKey
from vending.sts import VendingKey, derive_decoder_key

if softhsm_library() is None:
    pytest.skip(
        "PKCS#11 WAS NOT TESTED: SoftHSM2 is not installed (apt install softhsm2)",
        allow_module_level=True,
    )
pkcs11 = pytest.importorskip(
    "pkcs11", reason="PKCS#11 WAS NOT TESTED: python-pkcs11 is not installed"
)

from vending.security.pkcs11_token import Pkcs11Source, read_pin  # noqa: E402


@pytest.fixture
def source(token_settings: KeySettings) -> Iterator[Pkcs11Source]:
    found = token_settings.pkcs11_source()
    assert isinstance(found, Pkcs11Source)
    yield found
    found.close()


def kept(of: RevisionTerms, label: str) -> KeptKey:
    record = RevisionRecord(
        of, KeyState.CURRENT, "000000", Provider.PKCS11, label, of.valid_from, "Anna"
    )
    return KeptKey(record, None)


@pytest.mark.parametrize(
    "vector", VECTORS["decoder_keys"], ids=lambda v: f"dkga{v['dkga']}-ea{v['ea']}"
)
def test_the_token_derives_the_published_decoder_keys(
    source: Pkcs11Source, vector: dict[str, Any]
) -> None:
    of, key = vector_terms(vector), VendingKey.from_hex(vector["vending_key"])
    label = source.store(key, of, dkga02_in_host=True)
    derived = source.derive(kept(of, label), vector_attributes(vector))
    assert derived.secret.hex() == vector["decoder_key"].lower()
    assert derived == derive_decoder_key(of.dkga, key, vector_attributes(vector))
    assert source.check_value(kept(of, label)) == key_check_value(key)
    source.remove(label)
    with pytest.raises(ModuleUnavailableError, match="holds 0 keys"):
        Pkcs11Source.check_value(source, kept(of, label))


@pytest.mark.parametrize(("dkga", "secret"), [(4, SECRET_160), (2, SECRET_64)])
def test_a_key_in_the_token_cannot_be_taken_out(
    source: Pkcs11Source, token_settings: KeySettings, dkga: int, secret: str
) -> None:
    label = source.store(VendingKey.from_hex(secret), terms(dkga=dkga), dkga02_in_host=True)
    library = token_settings.pkcs11_library
    token = pkcs11.lib(str(library)).get_token(token_label=token_settings.pkcs11_token)
    with token.open() as outside:  # nobody logged in by this session, but this process is
        (key,) = outside.get_objects({pkcs11.Attribute.LABEL: label})
        for attribute, wanted in (
            (pkcs11.Attribute.SENSITIVE, True),
            (pkcs11.Attribute.EXTRACTABLE, False),
            (pkcs11.Attribute.PRIVATE, True),
            (pkcs11.Attribute.TOKEN, True),
            (pkcs11.Attribute.WRAP, False),
            (pkcs11.Attribute.DECRYPT, False),
            (pkcs11.Attribute.DERIVE, False),
        ):
            assert key[attribute] is wanted, attribute
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
    source.remove(label)


def test_a_dkga02_key_is_taken_only_when_its_last_step_here_is_accepted(
    source: Pkcs11Source,
) -> None:
    with pytest.raises(ModuleCannotError, match="--dkga02-in-host"):
        source.store(VendingKey.from_hex(SECRET_64), terms(dkga=2))


def test_many_threads_take_turns(source: Pkcs11Source) -> None:
    key = VendingKey.from_hex(SECRET_160)
    label = source.store(key, terms())
    many = [attributes(tariff_index=f"{index:02d}") for index in range(100)] * 10
    with ThreadPoolExecutor(40) as pool:
        derived = list(pool.map(lambda each: source.derive(kept(terms(), label), each), many))
    assert derived == [derive_decoder_key(terms().dkga, key, each) for each in many]
    source.remove(label)


def test_a_forked_process_has_its_own_log_in(source: Pkcs11Source) -> None:
    label = source.store(VendingKey.from_hex(SECRET_160), terms())
    before = source.derive(kept(terms(), label), attributes())
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = source.derive(kept(terms(), label), attributes()) == before
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert source.derive(kept(terms(), label), attributes()) == before
    source.remove(label)


def test_another_pin_or_token_is_refused_and_not_shown(
    token_settings: KeySettings, tmp_path: Path
) -> None:
    wrong = tmp_path / "pin"
    wrong.touch(mode=0o600)
    wrong.write_text("141421\n")
    for other in (
        replace(token_settings, pkcs11_token="elsewhere"),
        replace(token_settings, pkcs11_library=Path("/dev/null")),
        replace(token_settings, pkcs11_pin_file=wrong),
    ):
        with pytest.raises(ModuleUnavailableError) as fault:
            other.pkcs11_source()
        assert "141421" not in str(fault.value)
    with pytest.raises(ModuleUnavailableError, match="PIN_FILE"):
        replace(token_settings, pkcs11_pin_file=None).pkcs11_source()
    assert read_pin(wrong) == "141421"


@pytest.fixture
def house(
    vault_url: str, clock: Clock, master: MasterSecret, source: Pkcs11Source
) -> Iterator[tuple[Shop, Vault]]:
    """A shop with a vault and a token."""
    with (
        Vault.unlock(vault_url, master, now=clock, others={Provider.PKCS11: source}) as keys,
        Shop.open(vault_url, now=clock, security=keys) as shop,
    ):
        yield shop, keys
        for record in shop.keys.revisions():
            if record.label is not None:
                source.remove(record.label)


def test_a_ceremony_ends_in_the_token(house: tuple[Shop, Vault]) -> None:
    shop, keys = house
    record = import_key(shop, terms(), into="pkcs11")
    assert (record.provider, record.kcv) == (
        Provider.PKCS11,
        key_check_value(VendingKey.from_hex(SECRET_160)),
    )
    in_vault = import_key(shop, terms("123457"))
    assert in_vault.provider is Provider.VAULT
    assert keys.make_token(CREDIT, attributes())
    assert [each.fault for each in shop.keys.test()] == ["", ""]


def test_a_key_is_generated_in_the_token(house: tuple[Shop, Vault]) -> None:
    shop, keys = house
    record = shop.keys.generate_key(terms(krn=2), operator="Anna")
    assert record.provider is Provider.PKCS11
    other = shop.keys.generate_key(terms(krn=3), operator="Anna")
    assert record.kcv != other.kcv
    token = keys.make_token(CREDIT, attributes(krn=2))
    assert keys.read_token(token, attributes(krn=2)).crc_ok
    assert not keys.read_token(token, attributes(krn=3)).crc_ok


def test_what_the_database_refuses_does_not_stay_in_the_token(
    house: tuple[Shop, Vault], token_settings: KeySettings
) -> None:
    shop, _ = house
    before = objects(token_settings)
    number = shop.keys.begin_ceremony(terms(), operator="Anna").ceremony_id
    for person, component in zip(("Anna", "Ben"), components_of(SECRET_160), strict=True):
        shop.keys.enter_component(number, component, operator=person)
    shop.keys.generate_key(terms(), operator="Chen")
    with pytest.raises(KeyRevisionExistsError):
        shop.keys.finish_ceremony(number, into="pkcs11", operator="Anna")
    with pytest.raises(KeyRevisionExistsError):
        shop.keys.generate_key(terms(), operator="Chen")
    assert objects(token_settings) == before + 1


def objects(settings: KeySettings) -> int:
    library = pkcs11.lib(str(settings.pkcs11_library))
    with library.get_token(token_label=settings.pkcs11_token).open() as session:
        return len(list(session.get_objects()))


def test_a_shop_may_have_a_token_and_no_vault(
    database_url: str, clock: Clock, token_settings: KeySettings
) -> None:
    keys = open_security(database_url, token_settings, now=clock)
    with Shop.open(database_url, now=clock, security=keys) as shop:
        shop.keys.add_group("600001")
        record = shop.keys.generate_key(terms(), operator="Anna")
        assert keys.make_token(CREDIT, attributes())
        source = shop.keys.test()[0]
        assert source.is_sound
        keys.source(Provider.PKCS11).remove(record.label)  # type: ignore[attr-defined]
        assert "holds 0 keys" in shop.keys.test()[0].fault
    keys.close()  # type: ignore[attr-defined]
