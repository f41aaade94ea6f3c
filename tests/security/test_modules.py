"""Which module a process opens, and a licensed module as a process of its own that dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.keys import (
    CREDIT,
    PASSPHRASE,
    attributes,
    import_key,
    terms,
)
from tests.shop.conftest import Clock
from vending import MasterSecret, PublicTestKeys, Shop, Vault
from vending.security.faults import (
    ModuleRefusedError,
    ModuleUnavailableError,
    ModuleUnreachableError,
    StaTablesError,
    VaultLockedError,
)
from vending.security.line_module import LineModule
from vending.security.opening import DeferredKeys, KeySettings, open_security
from vending.security.remote import (
    CreditOrder,
    KeyChangeOrder,
    RemoteSecurityModule,
    TokenOrder,
    order_from_json,
)
from vending.security.sta_file import load_sta_tables
from vending.shop.faults import RequestFormatError, SupplyGroupNotAuthorisedError
from vending.sts import (
    SAMPLE_TABLES,
    BaseDate,
    ClearCredit,
    Content,
    EncryptionAlgorithm,
    KeyExpiry,
    KeyRevision,
    KeyType,
    Service,
    SetMaximumPowerLimit,
    StaTables,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
)

TEST = SupplyGroupCode("123457")
ORDER = CreditOrder(CREDIT, attributes(TEST))
_EVERYWHERE = ("submit", "fetch", "require", "test_marks", "make_token", "make_key_change")


# --- a module that is a process of its own ----------------------------------------------------


@contextmanager
def module(state: Path, *options: str) -> Iterator[tuple[LineModule, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "cli", "sim", "sts-module"),
            *("--state", str(state), "--json", *options),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    host, _, port = json.loads(process.stdout.readline())["listening"].rpartition(":")
    client = LineModule(host, int(port), timeout_s=20)
    try:
        yield client, process
    finally:
        client.close()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineModule]:
    with module(tmp_path_factory.mktemp("module") / "made.jsonl") as (found, _):
        yield found


def test_it_is_what_the_port_asks_for(client: LineModule) -> None:
    assert isinstance(client, RemoteSecurityModule)
    assert all(callable(getattr(client, name)) for name in _EVERYWHERE)
    assert not isinstance(PublicTestKeys(), RemoteSecurityModule)


def test_the_same_id_gives_the_same_token(client: LineModule) -> None:
    assert client.fetch("one") is None
    made = client.submit("one", ORDER)
    assert made == (PublicTestKeys().make_token(CREDIT, ORDER.key),)
    assert client.submit("one", ORDER) == made == client.fetch("one")
    with pytest.raises(ModuleRefusedError, match="another order"):
        client.submit("one", CreditOrder(replace(CREDIT, amount=1), ORDER.key))
    assert client.fetch("one") == made


def test_a_key_change_comes_as_a_set(client: LineModule) -> None:
    order = KeyChangeOrder(ORDER.key, attributes(TEST, 2), KeyExpiry(255), rollover=False)
    made = client.submit("set", order)
    assert made == PublicTestKeys().make_key_change(order.old, order.new, order.ken, rollover=False)
    assert client.make_key_change(order.old, order.new, order.ken, rollover=False) == made


def test_it_reads_tokens_and_marks_test_keys(client: LineModule) -> None:
    token = client.make_token(CREDIT, ORDER.key)
    assert client.read_token(token, ORDER.key) == PublicTestKeys().read_token(token, ORDER.key)
    assert client.test_marks(ORDER.key) == ("public test keys",)
    with pytest.raises(SupplyGroupNotAuthorisedError):
        client.require(TEST, KeyRevision(3))
    with pytest.raises(SupplyGroupNotAuthorisedError):
        client.submit("other", CreditOrder(CREDIT, attributes("600001")))


@pytest.mark.parametrize(
    ("moment", "made"),
    [("before-making", False), ("after-storing", True), ("after-answering", True)],
)
def test_killed_at_any_moment_it_knows_afterwards_what_it_made(
    tmp_path: Path, moment: str, made: bool
) -> None:
    state, expected = tmp_path / "made.jsonl", (PublicTestKeys().make_token(CREDIT, ORDER.key),)
    with module(state, "--die", moment, "--die-at", "2") as (client, process):
        client.submit("first", ORDER)
        if moment == "after-answering":
            assert client.submit("second", ORDER) == expected
        else:
            with pytest.raises(ModuleUnreachableError):
                client.submit("second", ORDER)
        assert process.wait(20) == -signal.SIGKILL
        with pytest.raises(ModuleUnreachableError, match="did not answer"):
            client.fetch("second")
    with module(state) as (client, _):
        assert client.fetch("first") == expected
        assert client.fetch("second") == (expected if made else None)
        assert client.submit("second", ORDER) == expected


def test_a_line_that_was_cut_off_was_never_answered(tmp_path: Path) -> None:
    state = tmp_path / "made.jsonl"
    with module(state) as (client, _):
        made = client.submit("first", ORDER)
    state.write_bytes(state.read_bytes() + b'{"message_id": "second", "sha')
    with module(state) as (client, _):
        assert client.fetch("first") == made
        assert client.fetch("second") is None
        client.submit("second", ORDER)
    with module(state) as (client, _):
        assert client.fetch("second") == made


contents: st.SearchStrategy[Content] = st.one_of(
    st.builds(
        TransferCredit,
        st.sampled_from(Service),
        st.integers(0, 15),
        st.integers(0, 2**24 - 1),
        st.integers(0, 16_383),
    ),
    st.builds(ClearCredit, st.integers(0, 15), st.integers(0, 2**24 - 1), st.integers(0, 65_535)),
    st.builds(
        SetMaximumPowerLimit, st.integers(0, 15), st.integers(0, 2**24 - 1), st.integers(0, 16_383)
    ),
)
keys = st.builds(
    attributes,
    st.from_regex(r"\A[0-9]{6}\Z").map(SupplyGroupCode),
    st.integers(1, 9).map(KeyRevision),
    key_type=st.sampled_from(KeyType),
    tariff_index=st.from_regex(r"\A[0-9]{2}\Z").map(TariffIndex),
    base_date=st.sampled_from(BaseDate),
    algorithm=st.sampled_from([EncryptionAlgorithm.STA, EncryptionAlgorithm.MISTY1]),
)
orders: st.SearchStrategy[TokenOrder] = st.one_of(
    st.builds(CreditOrder, contents, keys),
    st.builds(KeyChangeOrder, keys, keys, st.integers(0, 255).map(KeyExpiry), st.booleans()),
)


@given(orders)
def test_an_order_comes_back_from_json_as_it_was(order: TokenOrder) -> None:
    assert order_from_json(json.loads(json.dumps(order.to_json()))) == order


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"order": "token"},
        {"order": "gift"},
        {**ORDER.to_json(), "content": "fffffffffffff"},
        {**ORDER.to_json(), "class": 3},
        {**ORDER.to_json(), "class": 0, "subclass": 4},
    ],
)
def test_what_is_no_order_is_refused(document: object) -> None:
    with pytest.raises(Exception, match=r".") as fault:
        order_from_json(document)
    assert getattr(fault.value, "code", "") in ("invalid_value", "not_issuable", "unconfirmed")


# --- which module a process opens -------------------------------------------------------------


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(f"{PASSPHRASE}\n")
    return path


def test_a_shop_without_keys_has_the_test_keys(database_url: str) -> None:
    assert isinstance(open_security(database_url, KeySettings()), PublicTestKeys)


def test_a_vault_is_opened_by_its_file(vault_url: str, passphrase_file: Path) -> None:
    settings = KeySettings.from_environment(
        {"METERHOUSE_VAULT_PASSPHRASE_FILE": str(passphrase_file)}
    )
    keys = open_security(vault_url, settings)
    assert isinstance(keys, Vault)
    keys.close()


def test_without_a_file_somebody_is_asked_once_and_only_when_needed(
    vault_url: str, master: MasterSecret, clock: Clock, shop: Shop
) -> None:
    import_key(shop, terms())
    asked = []

    def ask() -> MasterSecret:
        asked.append(1)
        return master

    keys = open_security(vault_url, KeySettings(), now=clock, ask=ask)
    assert isinstance(keys, DeferredKeys)
    assert "not opened" in repr(keys)
    with Shop.open(vault_url, now=clock, security=keys) as other:
        assert other.meters() == []
        assert asked == []
        assert all(each.is_sound for each in other.keys.test())
        keys.make_token(CREDIT, attributes())
    assert asked == [1]
    keys.close()


def test_without_anybody_to_ask_the_keys_stay_locked(vault_url: str) -> None:
    keys = open_security(vault_url, KeySettings())
    with pytest.raises(VaultLockedError):
        keys.require(TEST, KeyRevision(1))


def test_a_shop_with_keys_takes_no_test_keys(vault_url: str) -> None:
    with pytest.raises(ModuleUnavailableError, match="keys of its own"):
        open_security(vault_url, KeySettings(module="test"))


def test_a_module_that_is_not_installed_is_named(database_url: str) -> None:
    with pytest.raises(ModuleUnavailableError, match=r"test, vault, pkcs11, line"):
        open_security(database_url, KeySettings(module="prism"))


def test_a_plug_in_is_found_by_its_name(
    database_url: str, client: LineModule, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    with pytest.raises(ModuleUnavailableError, match="METERHOUSE_STS_MODULE"):
        open_security(database_url, KeySettings(module="line"))
    monkeypatch.setenv("METERHOUSE_STS_MODULE", "{}:{}".format(*client._address))
    keys = open_security(database_url, KeySettings(module="line"), now=clock)
    assert isinstance(keys, RemoteSecurityModule)
    keys.require(TEST, KeyRevision(1))
    keys.close()  # type: ignore[attr-defined]


# --- licensed STA tables ----------------------------------------------------------------------


@pytest.fixture
def tables_file(tmp_path: Path) -> Callable[[int], Path]:
    def make(shift: int) -> Path:
        path = tmp_path / f"tables-{shift}.json"
        path.touch(mode=0o600)
        turned = [(place + shift) % 64 for place in range(64)]
        path.write_text(
            json.dumps({"substitution": [list(range(16))] * 2, "permutation": turned}, indent=2)
        )
        return path

    return make


def test_tables_are_used_only_when_they_are_on_record(
    shop: Shop, vault_url: str, passphrase_file: Path, tables_file: Callable[[int], Path]
) -> None:
    given = KeySettings(passphrase_file=passphrase_file, sta_tables=tables_file(1))
    with pytest.raises(StaTablesError, match="key tables"):
        open_security(vault_url, given)
    shop.keys.record_tables(load_sta_tables(tables_file(1)))
    keys = open_security(vault_url, given)
    assert keys.test_marks is not None
    keys.close()  # type: ignore[attr-defined]
    with pytest.raises(StaTablesError, match="others than"):
        open_security(vault_url, replace(given, sta_tables=tables_file(2)))
    with pytest.raises(StaTablesError, match="METERHOUSE_STA_TABLES"):
        open_security(vault_url, replace(given, sta_tables=None))
    with pytest.raises(RequestFormatError, match="sample"):
        shop.keys.record_tables(SAMPLE_TABLES)
    shop.keys.record_tables(None)
    open_security(vault_url, replace(given, sta_tables=None)).close()  # type: ignore[attr-defined]


def test_a_tables_file_is_its_owners_alone(tables_file: Callable[[int], Path]) -> None:
    path = tables_file(3)
    assert isinstance(load_sta_tables(path), StaTables)
    path.chmod(0o644)
    with pytest.raises(Exception, match="mode 0644"):
        load_sta_tables(path)
    path.chmod(0o600)
    path.write_text("tables")
    with pytest.raises(Exception, match="not JSON"):
        load_sta_tables(path)
