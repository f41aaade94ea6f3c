"""Import in components by two people, key check values, and bundles."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from storage.engine import open_engine, writing
from tests.security.keys import (
    COST,
    CREDIT,
    SECRET_64,
    SECRET_160,
    attributes,
    components_of,
    import_key,
    terms,
)
from tests.shop.conftest import Clock
from tests.shop.databases import Databases
from vending import MasterSecret, Shop, Vault
from vending.people.faults import SamePersonError
from vending.security.bundle import Bundle, CarriedKey, seal, unseal
from vending.security.faults import (
    CeremonyStateError,
    KeyBundleError,
    KeyCheckValueError,
    KeyParityError,
    KeyRevisionExistsError,
    KeyStateError,
    PassphraseTooShortError,
    SupplyGroupExistsError,
    UnknownCeremonyError,
    UnknownSupplyGroupError,
    WeakKeyError,
)
from vending.security.groups import KeyPolicy, KeyState
from vending.security.key_checks import Parity, combine, key_check_value, odd_parity
from vending.shop.faults import DatabaseInvariantError, RequestFormatError, storage_faults
from vending.sts import KeyFormatError, VendingKey

TRANSPORT = MasterSecret.passphrase("for the road only, please")


def test_two_people_make_one_key(shop: Shop, security: Vault) -> None:
    whole = VendingKey.from_hex(SECRET_160)
    begun = shop.keys.begin_ceremony(
        terms(), components=3, expected_kcv=key_check_value(whole), operator="Anna"
    )
    for person, component in zip(
        ("Anna", "Ben", "Chen"), components_of(SECRET_160, 3), strict=True
    ):
        entered = shop.keys.enter_component(
            begun.ceremony_id, component, kcv=key_check_value(component), operator=person
        )
        assert entered.kcv == key_check_value(component)
    record = shop.keys.finish_ceremony(begun.ceremony_id, operator="Ben")
    assert (record.kcv, record.state) == (key_check_value(whole), KeyState.WAITING)
    security.make_token(CREDIT, attributes())
    assert shop.keys.ceremonies() == []
    assert [each.state.value for each in shop.keys.ceremonies(only_open=False)] == ["finished"]


@pytest.mark.parametrize("again", ["Anna", "ANNA", "  anna ", "\uff21nna"])
def test_one_person_brings_one_component(shop: Shop, again: str) -> None:
    left, right = components_of(SECRET_160)
    number = shop.keys.begin_ceremony(terms(), operator="Anna").ceremony_id
    shop.keys.enter_component(number, left, operator="Anna")
    with pytest.raises(SamePersonError, match="another person"):
        shop.keys.enter_component(number, right, operator=again)
    with pytest.raises(RequestFormatError, match="who brings"):
        shop.keys.enter_component(number, right, operator="  ")


def test_the_database_itself_takes_no_second_component_of_one_person(
    shop: Shop, vault_url: str
) -> None:
    number = shop.keys.begin_ceremony(terms(), operator="Anna").ceremony_id
    shop.keys.enter_component(number, components_of(SECRET_160)[0], operator="Anna")
    for statement in (
        """INSERT INTO key_components SELECT ceremony_id, 2, person, kcv, wrapped, entered_at
        FROM key_components""",
        "UPDATE key_ceremonies SET state = 'finished', ended_at = begun_at, ended_by = 'x'",
        "UPDATE key_components SET person = 'ben'",
        "DELETE FROM key_components",
    ):
        engine = open_engine(vault_url)
        try:
            with (
                pytest.raises(DatabaseInvariantError),
                storage_faults(),
                writing(engine) as connection,
            ):
                connection.execute(text(statement))
        finally:
            engine.dispose()


def test_a_mistyped_component_is_not_stored(shop: Shop) -> None:
    left, _ = components_of(SECRET_160)
    number = shop.keys.begin_ceremony(terms(), operator="Anna").ceremony_id
    with pytest.raises(KeyCheckValueError, match="mistyped"):
        shop.keys.enter_component(number, left, kcv="000000", operator="Anna")
    with pytest.raises(KeyCheckValueError, match="6 hexadecimal"):
        shop.keys.enter_component(number, left, kcv="12345", operator="Anna")
    with pytest.raises(KeyFormatError, match="160 bits"):
        shop.keys.enter_component(number, VendingKey.from_hex(SECRET_64), operator="Anna")
    assert shop.keys.ceremonies()[0].entered == ()


def test_another_key_than_expected_is_not_stored(shop: Shop) -> None:
    number = shop.keys.begin_ceremony(terms(), expected_kcv="123456", operator="Anna").ceremony_id
    with pytest.raises(CeremonyStateError, match="2 of 2"):
        shop.keys.finish_ceremony(number)
    for person, component in zip(("Anna", "Ben"), components_of(SECRET_160), strict=True):
        shop.keys.enter_component(number, component, operator=person)
    with pytest.raises(CeremonyStateError, match="finish it"):
        shop.keys.enter_component(number, components_of(SECRET_160)[0], operator="Chen")
    with pytest.raises(KeyCheckValueError, match="not 123456"):
        shop.keys.finish_ceremony(number)
    assert shop.keys.revisions() == []
    assert shop.keys.abandon_ceremony(number).state.value == "abandoned"
    with pytest.raises(CeremonyStateError, match="abandoned"):
        shop.keys.finish_ceremony(number)


def test_where_a_ceremony_cannot_begin(shop: Shop) -> None:
    import_key(shop, terms())
    shop.keys.begin_ceremony(terms(krn=2), operator="Anna")
    with pytest.raises(KeyRevisionExistsError):
        shop.keys.begin_ceremony(terms(), operator="Anna")
    with pytest.raises(CeremonyStateError, match="is open"):
        shop.keys.begin_ceremony(terms(krn=2), operator="Ben")
    with pytest.raises(UnknownSupplyGroupError, match="group add"):
        shop.keys.begin_ceremony(terms("999999"), operator="Anna")
    with pytest.raises(RequestFormatError, match="2 to 9"):
        shop.keys.begin_ceremony(terms(krn=3), components=1, operator="Anna")
    with pytest.raises(KeyFormatError, match="DKGA02"):
        shop.keys.begin_ceremony(terms(krn=3, dkga=3), operator="Anna")
    with pytest.raises(UnknownCeremonyError):
        shop.keys.abandon_ceremony(99)


def test_a_des_key_without_odd_parity_waits_for_a_word(shop: Shop) -> None:
    odd = odd_parity(bytes.fromhex(SECRET_64)).hex()
    even = f"{int(odd, 16) ^ 1:016x}"
    with pytest.raises(KeyParityError, match="'keep'"):
        import_key(shop, terms(dkga=2), even, parity="refuse")
    number = shop.keys.ceremonies()[0].ceremony_id
    kept = shop.keys.finish_ceremony(number, parity="odd", operator="Anna")
    assert kept.kcv == key_check_value(VendingKey.from_hex(odd))
    assert import_key(shop, terms(krn=2, dkga=2), odd, parity="refuse").kcv == kept.kcv


def test_the_same_component_twice_makes_no_key(shop: Shop) -> None:
    number = shop.keys.begin_ceremony(terms(), operator="Anna").ceremony_id
    for person in ("Anna", "Ben"):
        shop.keys.enter_component(number, components_of(SECRET_160)[0], operator=person)
    with pytest.raises(WeakKeyError, match="entered twice"):
        shop.keys.finish_ceremony(number)


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=2, max_size=9))
def test_combined_parity_is_odd_or_as_it_came_out(parts: list[bytes]) -> None:
    components = [VendingKey(part) for part in parts]
    try:
        kept, odd = (combine(components, parity) for parity in (Parity.KEEP, Parity.ODD))
    except WeakKeyError:
        return
    assert all(byte.bit_count() % 2 for byte in odd.secret)
    assert key_check_value(kept) == key_check_value(odd)
    assert all(one & 0xFE == two & 0xFE for one, two in zip(kept.secret, odd.secret, strict=True))


# --- supply groups and revisions --------------------------------------------------------------


def test_a_new_current_key_makes_the_one_before_outdated(shop: Shop) -> None:
    import_key(shop, terms(krn=1))
    import_key(shop, terms(krn=2), SECRET_160[::-1])
    shop.keys.make_current("600001", 1)
    shop.keys.make_current("600001", 2)
    assert [each.state.value for each in shop.keys.revisions()] == ["outdated", "current"]
    with pytest.raises(KeyStateError, match="outdated"):
        shop.keys.make_current("600001", 1)
    shop.keys.withdraw("600001", 1)
    assert shop.keys.revisions()[0].state is KeyState.WITHDRAWN


def test_groups_have_a_policy_for_outdated_keys(shop: Shop) -> None:
    assert shop.keys.set_policy("123457", "auto").policy is KeyPolicy.AUTO
    with pytest.raises(SupplyGroupExistsError):
        shop.keys.add_group("123457")
    with pytest.raises(RequestFormatError, match="fault, offer, auto"):
        shop.keys.set_policy("123457", "sometimes")
    with pytest.raises(UnknownSupplyGroupError):
        shop.keys.set_policy("999999", "auto")


def test_keys_that_end_soon_are_warned_of(shop: Shop, clock: Clock) -> None:
    soon = clock.now + timedelta(days=80)
    import_key(shop, terms(krn=1, issued_until=soon))
    import_key(shop, terms(krn=2, issued_until=soon + timedelta(days=20)))
    import_key(shop, terms(krn=3, ken=102))  # 2014 + 103 * 2**16 minutes: 30 Oct 2026
    import_key(shop, terms(krn=4))
    found = [(warning.krn, warning.why, warning.is_over) for warning in shop.keys.warnings()]
    assert found == [(3, "ken", True), (1, "issued_until", False)]
    shop.keys.set_issued_until("600001", 1, None)
    shop.keys.withdraw("600001", 3)
    assert shop.keys.warnings() == []


# --- bundles ----------------------------------------------------------------------------------


def test_keys_go_from_vault_to_vault(
    shop: Shop, databases: Databases, clock: Clock, master: MasterSecret
) -> None:
    import_key(shop, terms())
    import_key(shop, terms(krn=2, dkga=2), SECRET_64)
    document = shop.keys.export_bundle(TRANSPORT, cost=COST)
    url = databases.shop()
    with Shop.open(url, now=clock) as new:
        new.keys.make_vault(master, cost=COST)
    with Vault.unlock(url, master, now=clock) as vault, Shop.open(url, security=vault) as new:
        found = new.keys.import_bundle(document, TRANSPORT)
        assert [each.kcv for each in found.imported] == [each.kcv for each in shop.keys.revisions()]
        assert [group.sgc for group in new.keys.groups()] == ["123457", "600001"]
        again = new.keys.import_bundle(document, TRANSPORT)
        assert (len(again.imported), len(again.skipped)) == (0, 2)
        assert all(each.is_sound for each in new.keys.test())
    databases.discard(url)


def test_another_key_of_the_same_number_is_not_overwritten(shop: Shop) -> None:
    import_key(shop, terms())
    other = CarriedKey(terms(), VendingKey.from_hex(SECRET_160[::-1]))
    fresh = CarriedKey(terms(krn=2), VendingKey.from_hex(SECRET_160[::-1]))
    with pytest.raises(KeyRevisionExistsError, match="nothing was imported"):
        shop.keys.import_bundle(seal(Bundle((), (fresh, other)), TRANSPORT, COST), TRANSPORT)
    assert len(shop.keys.revisions()) == 1


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.binary(min_size=20, max_size=20)),
        max_size=4,
        unique_by=lambda each: each[0],
    ),
    st.data(),
)
def test_a_bundle_comes_out_as_it_went_in_or_not_at_all(
    keys: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    bundle = Bundle((), tuple(CarriedKey(terms(krn=krn), VendingKey(key)) for krn, key in keys))
    document = seal(bundle, TRANSPORT, COST)
    assert unseal(document, TRANSPORT) == bundle
    for key in bundle.keys:
        assert key.key.secret.hex().encode() not in document
    with pytest.raises(KeyBundleError, match="another passphrase"):
        unseal(document, MasterSecret.passphrase("not for the road at all"))
    place = data.draw(st.integers(0, len(document) - 2))
    altered = bytearray(document)
    altered[place] ^= data.draw(st.integers(1, 127))
    with suppress(KeyBundleError):
        assert unseal(bytes(altered), TRANSPORT) == bundle  # another spelling of the same


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(
            {
                "format": "meterhouse key bundle",
                "version": 1,
                "argon2id": {"salt": "A" * 24, "passes": 1, "memory_kib": 1 << 40, "lanes": 1},
                "sealed": "",
            }
        ).encode(),
    ],
)
def test_what_is_no_bundle_is_refused(document: bytes) -> None:
    with pytest.raises(KeyBundleError, match="not a key bundle"):
        unseal(document, TRANSPORT)


def test_a_transport_passphrase_must_not_be_short(shop: Shop) -> None:
    with pytest.raises(PassphraseTooShortError):
        shop.keys.export_bundle(MasterSecret.passphrase("short"), cost=COST)
