"""Batches give what the engine gives one by one."""

import pickle
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sts.vectors import DECODER_KEYS, KEY_CHANGES, MISTY1_KEY, STA_KEY, TOKENS, name_of
from vending.sts import (
    AMOUNT_MAX,
    SAMPLE_TABLES,
    TID_MAX,
    BaseDate,
    CheckDigitError,
    DecoderKey,
    EncryptionAlgorithm,
    InvalidValueError,
    KeyChange,
    KeyChangeError,
    KeyExpiry,
    KeyFormatError,
    KeyGeneration,
    KeyRevision,
    KeyType,
    MeterPan,
    Service,
    StaTables,
    StsError,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    UnconfirmedError,
    VendingKey,
    cipher_for,
    decode,
    derive_decoder_key,
    encode,
    encode_amount,
    make_drn,
    tid_at,
)
from vending.sts import key_change_tokens as single_key_change_tokens
from vending.sts.batch import (
    DecoderKeys,
    KeyChangeCampaign,
    KeyChanges,
    KeyGroup,
    KeySource,
    MeterPans,
    Misty1Ciphers,
    StaCiphers,
    TransferCredits,
    ciphers_for,
    derive_decoder_keys,
    encode_amounts,
    encode_bodies,
    key_change_tokens,
    serial_range,
    transfer_credit_tokens,
)
from vending.sts.batch.arrays import CHUNK

STA, MISTY1 = EncryptionAlgorithm.STA, EncryptionAlgorithm.MISTY1
EDGE_SIZES = (0, 1, 2, 63, 64, 65, 127, 128, 129)

BLOCKS = st.integers(0, 2**64 - 1)
AMOUNTS = st.integers(0, AMOUNT_MAX) | st.sampled_from(
    [16_383, 16_384, 180_214, 180_215, 180_223, 180_224, 1_818_524, 1_818_525, 1_818_624]
)
TABLES = st.builds(
    StaTables,
    st.tuples(*[st.permutations(range(16)).map(tuple)] * 2),
    st.permutations(range(64)).map(tuple),
)
PANS = st.builds(
    lambda maker, serial: MeterPan.from_drn(make_drn(maker, f"{serial:08d}")),
    st.from_regex(r"\A([0-9]{2}|[0-9]{4})\Z"),
    st.integers(0, 10**8 - 1),
)


def decoder_keys(algorithm: EncryptionAlgorithm) -> st.SearchStrategy[DecoderKey]:
    size = algorithm.key_bits // 8
    return st.binary(min_size=size, max_size=size).map(DecoderKey)


GROUPS = st.builds(
    KeyGroup,
    sgc=st.from_regex(r"\A[0-9]{6}\Z").map(SupplyGroupCode),
    krn=st.integers(1, 9).map(KeyRevision),
    key_type=st.sampled_from(KeyType),
    tariff_index=st.from_regex(r"\A[0-9]{2}\Z").map(TariffIndex),
    base_date=st.sampled_from(BaseDate),
    algorithm=st.sampled_from([STA, MISTY1]),
)


def group_of(algorithm: EncryptionAlgorithm = STA, **changed: Any) -> KeyGroup:
    fields: dict[str, Any] = {
        "sgc": SupplyGroupCode("123456"),
        "krn": KeyRevision(1),
        "key_type": KeyType.UNIQUE,
        "tariff_index": TariffIndex("01"),
        "base_date": BaseDate.Y2014,
    }
    return KeyGroup(**(fields | changed), algorithm=algorithm)


def random_words(shape: int | tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 2**64, shape, np.uint64)


def random_keys(algorithm: EncryptionAlgorithm, count: int, seed: int = 0) -> DecoderKeys:
    return DecoderKeys(random_words((count, algorithm.key_bits // 64), seed))


def one_by_one(keys: DecoderKeys) -> Iterator[DecoderKey]:
    return (keys[index] for index in range(len(keys)))


# Meters


@given(st.lists(PANS, max_size=70))
def test_meters_are_kept_as_they_were_given(pans: list[MeterPan]) -> None:
    texts = [str(pan) for pan in pans]
    for meters in (
        MeterPans.of(pans),
        MeterPans.parse(texts),
        MeterPans(np.array([int(text) for text in texts], np.int64)),
    ):
        assert [meters[index] for index in range(len(meters))] == pans
        assert [text.decode() for text in meters.texts()] == texts


@pytest.mark.parametrize("manufacturer", ["00", "01", "99", "0000", "0001", "9999"])
def test_serial_numbers_get_both_check_digits(manufacturer: str) -> None:
    serials = [0, 1, 9, 10, 12_345_678, 99_999_999]
    assert MeterPans.from_serials(manufacturer, serials) == MeterPans.of(
        MeterPan.from_drn(make_drn(manufacturer, f"{serial:08d}")) for serial in serials
    )


def test_a_serial_range_comes_in_chunks_that_make_the_whole() -> None:
    chunks = list(serial_range("01", 95, 130, chunk=64))
    assert [len(chunk) for chunk in chunks] == [64, 64, 2]
    whole = MeterPans.from_serials("01", np.arange(95, 225))
    assert MeterPans(np.concatenate([chunk.numbers for chunk in chunks])) == whole


@given(PANS, st.integers(0, 17), st.integers(1, 9), st.integers(0, 3))
def test_a_meter_that_one_would_refuse_is_refused_by_its_index(
    pan: MeterPan, place: int, change: int, index: int
) -> None:
    digits = str(pan)
    wrong = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    numbers = [int(digits)] * 4
    numbers[index] = int(wrong)
    try:
        MeterPan.parse(wrong)
    except StsError as fault:
        with pytest.raises(type(fault), match=f"index {index} "):
            MeterPans(numbers)
    else:
        assert MeterPans(numbers)[index] == MeterPan.parse(wrong)


def test_a_meter_number_is_checked_inside_of_the_pan_too() -> None:
    # Right as a whole, but the DRN 00000000001 has a wrong check digit.
    with pytest.raises(CheckDigitError, match="index 1 "):
        MeterPans([600727000000000009, 600727000000000017])


@pytest.mark.parametrize(
    ("texts", "index"),
    [
        (["600727000000000009", "60072700000000000"], 1),
        (["60072700000000000x"], 0),
        (["6007270000000000\u06609"], 0),
    ],
)
def test_a_text_that_is_no_pan_is_refused_by_its_index(texts: list[str], index: int) -> None:
    with pytest.raises(InvalidValueError, match=f"index {index} "):
        MeterPans.parse(texts)


@pytest.mark.parametrize(
    "numbers",
    [[0.5], [True], [[600727000000000009]], ["600727000000000009"], [10**18], [-1], [2**70]],
)
def test_what_is_no_array_of_meter_numbers_is_refused(numbers: object) -> None:
    with pytest.raises(InvalidValueError):
        MeterPans(numbers)


def test_serials_out_of_range_are_refused_by_their_index() -> None:
    with pytest.raises(InvalidValueError, match=r"index 2 .*100000000"):
        MeterPans.from_serials("01", [0, 1, 10**8, 10**9])
    with pytest.raises(InvalidValueError, match="Manufacturer"):
        MeterPans.from_serials("001", [0])


def test_meters_cannot_be_changed() -> None:
    meters = MeterPans.from_serials("01", [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        meters.numbers[0] = 0


# Decoder keys


@given(GROUPS, st.sampled_from([8, 20]), st.data())
def test_derived_keys_equal_single_ones(
    group: KeyGroup, key_size: int, data: st.DataObject
) -> None:
    pans = data.draw(st.lists(PANS, min_size=1, max_size=70))
    vending_key = VendingKey(data.draw(st.binary(min_size=key_size, max_size=key_size)))
    dkga = KeyGeneration.DKGA02 if key_size == 8 else KeyGeneration.DKGA04
    try:
        single = [derive_decoder_key(dkga, vending_key, group.attributes(pan)) for pan in pans]
    except InvalidValueError:  # DKGA02 for MISTY1
        with pytest.raises(InvalidValueError):
            derive_decoder_keys(dkga, vending_key, group, MeterPans.of(pans))
        return
    assert (
        list(one_by_one(derive_decoder_keys(dkga, vending_key, group, MeterPans.of(pans))))
        == single
    )


@pytest.mark.parametrize("vector", DECODER_KEYS, ids=name_of)
def test_derived_keys_give_the_published_figures(vector: dict[str, Any]) -> None:
    group = KeyGroup(
        sgc=SupplyGroupCode(vector["sgc"]),
        krn=KeyRevision(vector["krn"]),
        key_type=KeyType(vector["key_type"]),
        tariff_index=TariffIndex(vector["tariff_index"]),
        base_date=BaseDate(vector["base_year"]),
        algorithm=EncryptionAlgorithm(vector["ea"]),
    )
    keys = derive_decoder_keys(
        KeyGeneration(vector["dkga"]),
        VendingKey.from_hex(vector["vending_key"]),
        group,
        MeterPans.parse([vector["meter_pan"]] * 3),
    )
    assert list(one_by_one(keys)) == [DecoderKey.from_hex(vector["decoder_key"])] * 3


@pytest.mark.parametrize("count", [*EDGE_SIZES, CHUNK - 1, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("dkga", [KeyGeneration.DKGA02, KeyGeneration.DKGA04])
def test_chunks_of_derived_keys_meet_without_a_seam(dkga: KeyGeneration, count: int) -> None:
    vending_key = VendingKey(bytes(range(8 if dkga is KeyGeneration.DKGA02 else 20)))
    pans = MeterPans.from_serials("0001", np.arange(count))
    keys = derive_decoder_keys(dkga, vending_key, group_of(), pans)
    assert len(keys) == count
    for index in {0, count // 2, count - 2, count - 1} & set(range(count)):
        attributes = group_of().attributes(pans[index])
        assert keys[index] == derive_decoder_key(dkga, vending_key, attributes)


@pytest.mark.parametrize(
    ("dkga", "key_size", "algorithm", "error"),
    [
        (KeyGeneration.DKGA01, 8, STA, UnconfirmedError),
        (KeyGeneration.DKGA03, 8, STA, UnconfirmedError),
        (KeyGeneration.DKGA02, 8, EncryptionAlgorithm.DEA, UnconfirmedError),
        (KeyGeneration.DKGA02, 8, MISTY1, InvalidValueError),
        (KeyGeneration.DKGA02, 20, STA, KeyFormatError),
        (KeyGeneration.DKGA04, 8, STA, KeyFormatError),
    ],
)
@pytest.mark.parametrize("count", [0, 2])
def test_keys_that_one_would_refuse_to_derive_are_refused(
    dkga: KeyGeneration,
    key_size: int,
    algorithm: EncryptionAlgorithm,
    error: type[StsError],
    count: int,
) -> None:
    pans = MeterPans.from_serials("01", np.arange(count))
    with pytest.raises(error):
        derive_decoder_keys(dkga, VendingKey(bytes(key_size)), group_of(algorithm), pans)


@pytest.mark.parametrize("text", [STA_KEY, MISTY1_KEY])
def test_decoder_keys_come_back_as_they_were_given(text: str) -> None:
    key = DecoderKey.from_hex(text)
    assert list(one_by_one(DecoderKeys.of([key] * 2))) == [key] * 2


def test_decoder_keys_do_not_show() -> None:
    keys = DecoderKeys.of([DecoderKey.from_hex(STA_KEY)] * 2)
    for shown in (repr(keys), str(keys), repr(StaCiphers(keys)), repr(changes_to(keys))):
        assert STA_KEY not in shown
        assert str(int(STA_KEY, 16)) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)


def test_decoder_keys_of_different_length_are_refused_by_their_index() -> None:
    with pytest.raises(KeyFormatError, match="index 2 "):
        DecoderKeys.of([DecoderKey(bytes(size)) for size in (8, 8, 16, 8)])
    with pytest.raises(KeyFormatError, match="at least one"):
        DecoderKeys.of([])


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 0)])
def test_arrays_that_hold_no_keys_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(KeyFormatError):
        DecoderKeys(np.zeros(shape, np.uint64))


# Ciphers


@given(st.lists(st.tuples(BLOCKS, decoder_keys(STA)), min_size=1, max_size=130), TABLES)
def test_sta_equals_single_encryption_with_any_tables(
    pairs: list[tuple[int, DecoderKey]], tables: StaTables
) -> None:
    blocks = np.array([[block for block, _ in pairs]], np.uint64)
    ciphers = StaCiphers(DecoderKeys.of(key for _, key in pairs), tables)
    assert ciphers.encrypt(blocks)[0].tolist() == [
        cipher_for(STA, key, tables).encrypt(block) for block, key in pairs
    ]


@given(st.lists(st.tuples(BLOCKS, decoder_keys(MISTY1)), min_size=1, max_size=130))
def test_misty1_equals_single_encryption(pairs: list[tuple[int, DecoderKey]]) -> None:
    blocks = np.array([[block for block, _ in pairs]], np.uint64)
    ciphers = Misty1Ciphers(DecoderKeys.of(key for _, key in pairs))
    assert ciphers.encrypt(blocks)[0].tolist() == [
        cipher_for(MISTY1, key).encrypt(block) for block, key in pairs
    ]


def test_substitution_tables_may_be_as_simple_as_can_be() -> None:
    # Equal tables have no difference, the identity has one product in each bit.
    identity = StaTables((tuple(range(16)),) * 2, tuple(range(64)))
    complement = StaTables((tuple(range(15, -1, -1)), tuple(range(16))), tuple(range(64)))
    keys, blocks = random_keys(STA, 100), random_words((1, 100), seed=1)
    for tables in (identity, complement):
        assert StaCiphers(keys, tables).encrypt(blocks)[0].tolist() == [
            cipher_for(STA, key, tables).encrypt(block)
            for key, block in zip(one_by_one(keys), blocks[0].tolist(), strict=True)
        ]


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
@pytest.mark.parametrize("count", [*EDGE_SIZES, CHUNK - 1, CHUNK, CHUNK + 1])
def test_chunks_of_blocks_meet_without_a_seam(algorithm: EncryptionAlgorithm, count: int) -> None:
    keys, blocks = random_keys(algorithm, count), random_words((2, count), seed=1)
    encrypted = ciphers_for(algorithm, keys).encrypt(blocks)
    assert encrypted.shape == blocks.shape
    for index in {0, 62, 63, 64, count // 2, count - 2, count - 1} & set(range(count)):
        cipher = cipher_for(algorithm, keys[index])
        assert encrypted[:, index].tolist() == list(map(cipher.encrypt, blocks[:, index].tolist()))


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
def test_one_key_serves_for_all_blocks(algorithm: EncryptionAlgorithm) -> None:
    keys, blocks = random_keys(algorithm, 1), random_words((1, CHUNK + 3), seed=1)
    repeated = DecoderKeys(np.repeat(keys.words, CHUNK + 3, axis=0))
    expected = ciphers_for(algorithm, repeated).encrypt(blocks)
    assert np.array_equal(ciphers_for(algorithm, keys).encrypt(blocks), expected)


def test_ciphers_refuse_keys_that_do_not_fit() -> None:
    with pytest.raises(KeyFormatError, match=r"128 bits; .* 64"):
        ciphers_for(STA, random_keys(MISTY1, 2))
    with pytest.raises(KeyFormatError, match=r"64 bits; .* 128"):
        ciphers_for(MISTY1, random_keys(STA, 2))
    with pytest.raises(UnconfirmedError):
        ciphers_for(EncryptionAlgorithm.DEA, random_keys(STA, 2))
    for algorithm in (STA, MISTY1):
        with pytest.raises(KeyFormatError, match="2 decoder keys for 3 meters"):
            ciphers_for(algorithm, random_keys(algorithm, 2)).encrypt(random_words((1, 3)))


# Tokens


@given(st.lists(AMOUNTS, max_size=50))
def test_amounts_are_coded_as_single_ones(amounts: list[int]) -> None:
    coded = encode_amounts(amounts)
    single = [encode_amount(amount) for amount in amounts]
    assert coded.codes.tolist() == [one.code for one in single]
    assert coded.amounts.tolist() == [one.amount for one in single]
    assert coded.roundings.tolist() == [one.rounding for one in single]


@given(st.sampled_from([STA, MISTY1]), st.sampled_from(Service), st.data())
def test_credit_tokens_equal_single_ones(
    algorithm: EncryptionAlgorithm, service: Service, data: st.DataObject
) -> None:
    tables = data.draw(st.just(SAMPLE_TABLES) | TABLES)
    stamp = st.tuples(st.integers(0, 15), st.integers(0, TID_MAX), AMOUNTS)
    orders = data.draw(st.lists(st.tuples(stamp, decoder_keys(algorithm)), min_size=1, max_size=70))
    rnd, tid, amount = (np.array(column) for column in zip(*[s for s, _ in orders], strict=True))
    ciphers = ciphers_for(algorithm, DecoderKeys.of(key for _, key in orders), tables)

    tokens = transfer_credit_tokens(TransferCredits(service, rnd, tid, amount), ciphers)

    assert [token.decode() for token in tokens] == [
        encode(TransferCredit(service, *stamp), cipher_for(algorithm, key, tables))
        for stamp, key in orders
    ]


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
@pytest.mark.parametrize("count", [*EDGE_SIZES, CHUNK - 1, CHUNK, CHUNK + 1])
def test_chunks_of_tokens_meet_without_a_seam(algorithm: EncryptionAlgorithm, count: int) -> None:
    rng = np.random.default_rng(count)
    keys = random_keys(algorithm, count)
    credit = TransferCredits(
        Service.ELECTRICITY,
        rng.integers(0, 16, count, np.uint8),
        rng.integers(0, TID_MAX + 1, count, np.int32),
        rng.integers(0, AMOUNT_MAX + 1, count, np.uint64),
    )
    tokens = transfer_credit_tokens(credit, ciphers_for(algorithm, keys))
    assert tokens.shape == (count,)
    for index in {0, 63, 64, count // 2, count - 1} & set(range(count)):
        cipher = cipher_for(algorithm, keys[index])
        content = decode(tokens[index].decode(), cipher).content
        assert isinstance(content, TransferCredit)
        assert (content.rnd, content.tid) == (credit.rnd[index], credit.tid[index])
        assert content.amount == credit.coded.amounts[index]


def cipher_key(vector: dict[str, Any]) -> DecoderKey:
    return DecoderKey.from_hex(vector["decoder_key"])


@pytest.mark.parametrize("algorithm", [STA, MISTY1])
def test_credit_tokens_give_the_published_figures(algorithm: EncryptionAlgorithm) -> None:
    vectors = [v for v in TOKENS if v["class"] == 0 and v["ea"] == algorithm]
    assert vectors
    for service in Service:
        chosen = [v for v in vectors if v["subclass"] == service]
        credit = TransferCredits(
            service,
            np.array([v["rnd"] for v in chosen], np.uint64),
            np.array(
                [
                    tid_at(datetime.fromisoformat(v["issued_at"]), BaseDate(v["base_year"]))
                    for v in chosen
                ],
                np.uint64,
            ),
            np.array([v["amount"] for v in chosen], np.uint64),
        )
        keys = DecoderKeys.of(cipher_key(v) for v in chosen or vectors)
        ciphers = ciphers_for(algorithm, keys[: len(chosen)] if chosen else keys[:1])
        tokens = transfer_credit_tokens(credit, ciphers)
        assert [token.decode() for token in tokens] == [v["token"] for v in chosen]


def test_management_tokens_give_the_published_figures() -> None:
    vectors = [v for v in TOKENS if v["class"] == 2]
    contents = [decode(v["token"], cipher_for(MISTY1, cipher_key(v))).content for v in vectors]
    bodies = [c.subclass << 44 | c.content() for c in contents if c is not None]
    ciphers = ciphers_for(MISTY1, DecoderKeys.of(map(cipher_key, vectors)))
    tokens = encode_bodies(2, np.array([bodies], np.uint64), ciphers)
    assert [token.decode() for token in tokens[:, 0]] == [v["token"] for v in vectors]


@pytest.mark.parametrize(
    ("field", "values", "said"),
    [
        ("rnd", [0, 16, 3], r"RND.* at index 1 .*16; it must be 0-15"),
        ("tid", [0, 1, 1 << 24], r"TID.* at index 2 .*16777216"),
        ("amount", [-1, 0, 0], r"Amount at index 0 .*-1"),
        ("amount", [0, 0, AMOUNT_MAX + 1], r"Amount at index 2 "),
        ("amount", [1.0, 2.0, 3.0], "whole numbers, not float64"),
        ("rnd", [True, False, True], "whole numbers, not bool"),
        ("tid", [0, 1], "TID.* has 2 elements; the others have 3"),
        ("rnd", [0, 1, 2, 3], "RND.* has 4 elements; the others have 3"),
        ("tid", [[0, 1, 2]], "one-dimensional"),
    ],
)
def test_a_wrong_field_is_refused_by_its_index(
    field: str, values: Sequence[Any], said: str
) -> None:
    fields = {name: np.zeros(3, np.int64) for name in ("rnd", "tid", "amount")}
    with pytest.raises(InvalidValueError, match=said):
        TransferCredits(Service.WATER, **(fields | {field: np.array(values)}))


# Key changes


def changes_to(new_keys: DecoderKeys, **changed: Any) -> KeyChanges:
    fields: dict[str, Any] = {
        "key_type": KeyType.UNIQUE,
        "krn": KeyRevision(1),
        "tariff_index": TariffIndex("02"),
        "ken": KeyExpiry(255),
        "sgc": SupplyGroupCode("123457"),
    }
    return KeyChanges(new_keys, **(fields | changed))


@given(
    algorithm=st.sampled_from([STA, MISTY1]),
    count=st.integers(1, 70),
    key_type=st.sampled_from([KeyType.DEFAULT, KeyType.UNIQUE, KeyType.COMMON]),
    krn=st.integers(1, 9).map(KeyRevision),
    tariff_index=st.integers(0, 99).map(lambda number: TariffIndex(f"{number:02d}")),
    ken=st.integers(0, 255).map(KeyExpiry),
    sgc=st.from_regex(r"\A[0-9]{6}\Z").map(SupplyGroupCode),
    rollover=st.booleans(),
    one_for_all=st.sampled_from(["", "old", "new", "both"]),
)
def test_key_change_sets_equal_single_ones(
    algorithm: EncryptionAlgorithm, count: int, one_for_all: str, **state: Any
) -> None:
    old = random_keys(algorithm, 1 if one_for_all in {"old", "both"} else count, seed=1)
    new = random_keys(algorithm, 1 if one_for_all in {"new", "both"} else count, seed=2)
    sets = key_change_tokens(KeyChanges(new, **state), ciphers_for(algorithm, old))
    assert len(sets) == max(len(old), len(new))
    for index, tokens in enumerate(sets):
        old_key, new_key = (keys[index if len(keys) > 1 else 0] for keys in (old, new))
        assert tuple(token.decode() for token in tokens) == single_key_change_tokens(
            KeyChange(new_key, **state), old_key, cipher_for(algorithm, old_key)
        )


@pytest.mark.parametrize("vector", KEY_CHANGES, ids=["misty1", "sta"])
def test_key_change_sets_give_the_published_figures(vector: dict[str, Any]) -> None:
    changes = changes_to(
        DecoderKeys.of([DecoderKey.from_hex(vector["new_key"])] * 2),
        key_type=KeyType(vector["key_type"]),
        krn=KeyRevision(vector["krn"]),
        tariff_index=TariffIndex(vector["tariff_index"]),
        ken=KeyExpiry(vector["ken"]),
        sgc=vector["sgc"],
        rollover=vector["rollover"],
    )
    old = DecoderKeys.of([DecoderKey.from_hex(vector["old_key"])])
    sets = key_change_tokens(changes, ciphers_for(EncryptionAlgorithm(vector["ea"]), old))
    assert [[token.decode() for token in tokens] for tokens in sets] == [vector["tokens"]] * 2


def test_key_changes_that_no_meter_takes_are_refused() -> None:
    sta, misty1 = random_keys(STA, 3), random_keys(MISTY1, 3)
    with pytest.raises(KeyChangeError, match="initialisation"):
        changes_to(sta, key_type=KeyType.INITIALISATION)
    with pytest.raises(KeyChangeError, match="SGC"):
        changes_to(misty1, sgc=None)
    with pytest.raises(KeyChangeError, match="64 bits, the new ones 128"):
        key_change_tokens(changes_to(misty1), StaCiphers(sta))
    with pytest.raises(KeyFormatError, match="2 decoder keys for 3 meters"):
        key_change_tokens(changes_to(sta), StaCiphers(random_keys(STA, 2)))


def test_rollover_that_leaves_a_meter_its_key_is_refused_by_its_index() -> None:
    old, new = random_words((5, 2), seed=1), random_words((5, 2), seed=2)
    new[:, 0] = old[:, 0]  # half of each key is the same, which is no fault
    new[3] = old[3]
    ciphers = Misty1Ciphers(DecoderKeys(old))
    with pytest.raises(KeyChangeError, match="index 3"):
        key_change_tokens(changes_to(DecoderKeys(new), rollover=True), ciphers)
    assert len(key_change_tokens(changes_to(DecoderKeys(new)), ciphers)) == 5


# Campaigns


def campaign_of(algorithm: EncryptionAlgorithm, **changed: Any) -> KeyChangeCampaign:
    def source(dkga: KeyGeneration, secret: int, krn: int) -> KeySource:
        size = 8 if dkga is KeyGeneration.DKGA02 else 20
        group = group_of(algorithm, krn=KeyRevision(krn))
        return KeySource(dkga, VendingKey(bytes([secret] * size)), group)

    old = KeyGeneration.DKGA02 if algorithm is STA else KeyGeneration.DKGA04
    fields: dict[str, Any] = {
        "old": source(old, 0xAB, 1),
        "new": source(KeyGeneration.DKGA04, 0xCD, 2),
        "ken": KeyExpiry(255),
    }
    return KeyChangeCampaign(**(fields | changed))


@settings(max_examples=20)
@given(
    st.sampled_from([STA, MISTY1]),
    st.lists(st.integers(0, 70), max_size=4),
    st.integers(1, 70),
)
def test_a_stream_gives_the_sets_of_one_call(
    algorithm: EncryptionAlgorithm, sizes: list[int], chunk: int
) -> None:
    campaign = campaign_of(algorithm)
    pans = MeterPans.from_serials("01", np.arange(sum(sizes)))
    ends = np.cumsum([0, *sizes]).tolist()
    meters = [pans[a:b] for a, b in pairwise(ends)]
    parts = list(campaign.stream(meters, chunk=chunk))
    assert all(0 < len(part) <= chunk for part in parts)
    whole = campaign.token_sets(pans)
    assert np.concatenate([whole.tokens[:0], *(part.tokens for part in parts)]).tolist() == (
        whole.tokens.tolist()
    )
    numbers = np.concatenate([pans.numbers[:0], *(part.pans.numbers for part in parts)])
    assert np.array_equal(numbers, pans.numbers)


def test_a_campaign_gives_each_meter_its_single_set() -> None:
    campaign = campaign_of(MISTY1)
    sets = campaign.token_sets(MeterPans.from_serials("0001", [5, 7, 99_999_999]))
    for index in range(len(sets)):
        old_key, new_key = (
            derive_decoder_key(
                source.dkga, source.vending_key, source.group.attributes(sets.pans[index])
            )
            for source in (campaign.old, campaign.new)
        )
        group = campaign.new.group
        change = KeyChange(
            new_key, group.key_type, group.krn, group.tariff_index, campaign.ken, group.sgc
        )
        assert tuple(token.decode() for token in sets.tokens[index]) == (
            single_key_change_tokens(change, old_key, cipher_for(MISTY1, old_key))
        )


def test_several_workers_give_the_same_stream_in_order() -> None:
    campaign = campaign_of(STA)
    alone = list(campaign.stream(serial_range("01", 0, 1_000), chunk=90))
    together = list(campaign.stream(serial_range("01", 0, 1_000), chunk=90, workers=2))
    assert [part.pans for part in together] == [part.pans for part in alone]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.tokens, other.tokens)


def test_a_fault_in_a_worker_reaches_the_caller() -> None:
    campaign = campaign_of(STA)
    source = campaign.old
    same = KeyChangeCampaign(source, source, KeyExpiry(255), rollover=True)
    with pytest.raises(KeyChangeError, match="index 0"):
        next(same.stream(serial_range("01", 0, 100), workers=2))


def test_a_stream_reads_no_further_than_its_results_are_taken() -> None:
    read = 0

    def meters() -> Iterator[MeterPans]:
        nonlocal read
        for chunk in serial_range("01", 0, 1_000, chunk=10):
            read += 1
            yield chunk

    stream = campaign_of(STA).stream(meters())
    next(stream)
    assert read == 1


def test_campaigns_that_cannot_be_carried_out_are_refused() -> None:
    with pytest.raises(KeyChangeError, match="encryption algorithm"):
        campaign_of(STA, new=campaign_of(MISTY1).new)
    source = campaign_of(STA).new
    factory = KeySource(source.dkga, source.vending_key, group_of(key_type=KeyType.INITIALISATION))
    with pytest.raises(KeyChangeError, match="initialisation"):
        campaign_of(STA, new=factory)


def test_a_campaign_shows_no_key() -> None:
    shown = repr(campaign_of(STA))
    assert "secret" in shown
    assert "abab" not in shown
    assert "cdcd" not in shown
