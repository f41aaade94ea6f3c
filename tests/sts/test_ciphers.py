import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sts.vectors import MISTY1_KEY, STA_KEY, VECTORS
from vending.sts import (
    SAMPLE_TABLES,
    CipherTablesError,
    DecoderKey,
    EncryptionAlgorithm,
    KeyFormatError,
    Misty1,
    Sta,
    StaTables,
    UnconfirmedError,
    VendingKey,
    cipher_for,
)
from vending.sts.misty1 import S7, S9

BLOCKS = st.integers(0, (1 << 64) - 1)
KEYS_64 = st.binary(min_size=8, max_size=8).map(DecoderKey)
KEYS_128 = st.binary(min_size=16, max_size=16).map(DecoderKey)
TABLES = st.builds(
    StaTables,
    st.tuples(*[st.permutations(range(16)).map(tuple)] * 2),
    st.permutations(range(64)).map(tuple),
)


@pytest.mark.parametrize(
    ("clear", "encrypted"),
    [(0x0123456789ABCDEF, 0x8B1DA5F56AB3D07C), (0xFEDCBA9876543210, 0x04B68240B13BE95D)],
)
def test_misty1_gives_the_figures_of_rfc_2994(clear: int, encrypted: int) -> None:
    cipher = Misty1(DecoderKey.from_hex("00112233445566778899aabbccddeeff"))
    assert cipher.encrypt(clear) == encrypted
    assert cipher.decrypt(encrypted) == clear


@pytest.mark.parametrize(("table", "bits", "degree"), [(S7, 7, 3), (S9, 9, 2)])
def test_the_substitutions_have_the_degree_that_misty1_was_designed_with(
    table: tuple[int, ...], bits: int, degree: int
) -> None:
    assert sorted(table) == list(range(1 << bits))
    for output in range(bits):
        form = [value >> output & 1 for value in table]  # becomes the algebraic normal form
        for place in range(bits):
            for point in range(1 << bits):
                if point >> place & 1:
                    form[point] ^= form[point ^ 1 << place]
        assert max(point.bit_count() for point, term in enumerate(form) if term) == degree


def naive_sta(key: int, tables: StaTables, block: int) -> int:
    """STA as the specification words it, a nibble and a bit at a time."""
    key ^= (1 << 64) - 1
    for _ in range(12):
        key = key >> 1 | (key & 1) << 63
    for _ in range(16):
        substituted = 0
        for n in range(16):
            table = tables.substitution[key >> 4 * n + 3 & 1]
            substituted |= table[block >> 4 * n & 15] << 4 * n
        block = 0
        for i in range(64):
            block |= (substituted >> i & 1) << tables.permutation[i]
        key = (key << 1 | key >> 63) & (1 << 64) - 1
    return block


@given(KEYS_64, BLOCKS, TABLES | st.just(SAMPLE_TABLES))
def test_sta_is_what_the_specification_says(key: DecoderKey, block: int, tables: StaTables) -> None:
    assert Sta(key, tables).encrypt(block) == naive_sta(key.number, tables, block)


@given(KEYS_64, BLOCKS, TABLES | st.just(SAMPLE_TABLES))
def test_sta_decrypts_what_it_encrypted(key: DecoderKey, block: int, tables: StaTables) -> None:
    cipher = Sta(key, tables)
    assert cipher.decrypt(cipher.encrypt(block)) == block


@given(KEYS_128, BLOCKS)
def test_misty1_decrypts_what_it_encrypted(key: DecoderKey, block: int) -> None:
    cipher = Misty1(key)
    assert cipher.decrypt(cipher.encrypt(block)) == block
    assert cipher.encrypt(cipher.decrypt(block)) == block


def test_the_published_sample_tables_are_built_in_and_named_so() -> None:
    loaded = StaTables.from_json(VECTORS["sta_sample_tables"])
    assert loaded == SAMPLE_TABLES
    assert loaded.is_sample
    assert Sta(DecoderKey.from_hex(STA_KEY)).is_sample
    assert not Misty1(DecoderKey.from_hex(MISTY1_KEY)).is_sample


@given(TABLES)
def test_other_tables_are_the_operators_and_are_not_printed(tables: StaTables) -> None:
    document = {
        "substitution": [list(table) for table in tables.substitution],
        "permutation": list(tables.permutation),
    }
    loaded = StaTables.from_json(json.loads(json.dumps(document)))
    assert loaded == tables
    assert not loaded.is_sample
    assert repr(loaded) == "StaTables(operator's)"


GOOD = VECTORS["sta_sample_tables"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "object with"),
        ({"substitution": GOOD["substitution"]}, "object with"),
        (GOOD | {"substitution": [GOOD["substitution"][0]]}, "two substitution tables"),
        (GOOD | {"substitution": 5}, "two substitution tables"),
        (GOOD | {"substitution": [[0] * 16, list(range(16))]}, "Substitution table 1"),
        (GOOD | {"substitution": [list(range(16)), list(range(1, 17))]}, "Substitution table 2"),
        (GOOD | {"permutation": list(range(63))}, "each of 0-63"),
        (GOOD | {"permutation": ["a"] * 64}, "whole numbers"),
        (GOOD | {"permutation": None}, "whole numbers"),
    ],
)
def test_wrong_tables_are_refused(document: object, message: str) -> None:
    with pytest.raises(CipherTablesError, match=message):
        StaTables.from_json(document)


def test_dea_is_refused() -> None:
    with pytest.raises(UnconfirmedError, match="deprecated"):
        cipher_for(EncryptionAlgorithm.DEA, DecoderKey.from_hex(STA_KEY))


def test_keys_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(KeyFormatError, match="64 bits; this algorithm needs 128"):
        cipher_for(EncryptionAlgorithm.MISTY1, DecoderKey.from_hex(STA_KEY))
    with pytest.raises(KeyFormatError, match="128 bits; this algorithm needs 64"):
        cipher_for(EncryptionAlgorithm.STA, DecoderKey.from_hex(MISTY1_KEY))
    with pytest.raises(KeyFormatError, match="needs 64 bits or 128 bits"):
        DecoderKey(b"short")
    with pytest.raises(KeyFormatError, match="not hexadecimal"):
        VendingKey.from_hex("zz")


def test_keys_never_print() -> None:
    key = DecoderKey.from_hex(STA_KEY)
    for text in (repr(key), str(key), f"{key}", repr([key]), repr(Sta(key)), repr(vars)):
        assert STA_KEY not in text.lower()
    with pytest.raises(KeyFormatError) as caught:
        DecoderKey.from_hex(STA_KEY + "ab")
    assert STA_KEY not in str(caught.value)


def test_keys_are_not_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(DecoderKey.from_hex(STA_KEY))
