"""Tokens and decoder keys, one at a time and in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks import naive
from benchmarks.line import Line, Scale, Target, Yardstick
from benchmarks.measure import Prepare, in_fresh_process, peak_rss_mb, rate, rates
from vending.sts import (
    SAMPLE_TABLES,
    BaseDate,
    DecoderKey,
    EncryptionAlgorithm,
    KeyExpiry,
    KeyGeneration,
    KeyRevision,
    KeyType,
    Service,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    VendingKey,
    cipher_for,
    encode,
)
from vending.sts.batch import (
    DecoderKeys,
    KeyChangeCampaign,
    KeyGroup,
    KeySource,
    MeterPans,
    TransferCredits,
    ciphers_for,
    derive_decoder_keys,
    serial_range,
    transfer_credit_tokens,
)
from vending.sts.batch.arrays import CHUNK
from vending.sts.batch.sta import circuit_of
from vending.sts.decoder_key import des_ecb
from vending.sts.misty1 import fi_tables
from vending.sts.sta import ROUNDS

STA, MISTY1 = EncryptionAlgorithm.STA, EncryptionAlgorithm.MISTY1
DKGA02, DKGA04 = KeyGeneration.DKGA02, KeyGeneration.DKGA04

_SINGLE: Final = 20_000
_NAIVE_STA: Final = 1_000
_NAIVE_MISTY1: Final = 100
_BATCH: Final = 500_000
_CAMPAIGN: Final = 10_000_000
_MILLION: Final = Target(1_000_000)
_TARGET_WORKERS: Final = 2
_MISTY1_LOOK_UPS: Final = 64
"""Two for each FI: 24 to encrypt a block and 8 to expand a key."""

_VENDING_KEYS: Final = {
    DKGA02: VendingKey(bytes(range(8))),
    DKGA04: VendingKey(bytes(range(20))),
}


def lines(scale: Scale) -> Iterator[Line]:
    """Measure everything."""
    yield from _one_at_a_time(scale)
    yield from _batches(scale)
    yield from _campaigns(scale)


def _one_at_a_time(scale: Scale) -> Iterator[Line]:
    _require_equal_to_naive()
    for algorithm, prepare, prepare_naive, naive_count, look_ups, target in (
        (STA, single_sta, naive_sta, _NAIVE_STA, 128, 60_000),
        (MISTY1, single_misty1, naive_misty1, _NAIVE_MISTY1, 48, 40_000),
    ):
        naive_rate = rate(prepare_naive, scale(naive_count))
        yield Line(
            f"{algorithm.name} token, naive: bit by bit",
            naive_rate,
            "tokens/s",
            "some Python operations for each bit",
        )
        yield Line(
            f"{algorithm.name} token, one core, decoder key cached",
            rate(prepare, scale(_SINGLE)),
            "tokens/s",
            f"the interpreter: {look_ups} table look-ups a token",
            Target(target),
            Yardstick("naive", naive_rate),
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A kind of batch, and the bare work that limits it."""

    name: str
    unit: str
    prepare: Prepare
    bare: Prepare
    bare_name: str
    limit: str
    target: Target | None = _MILLION


def _batches(scale: Scale) -> Iterator[Line]:
    for batch in _BATCHES:
        for workers in (1, 2):
            figure, bare = rates([batch.prepare, batch.bare], scale(_BATCH), workers)
            yield Line(
                f"{batch.name}, {_workers(workers)}",
                figure,
                batch.unit,
                batch.limit,
                batch.target if workers == _TARGET_WORKERS else None,
                Yardstick(batch.bare_name, bare),
            )


def _campaigns(scale: Scale) -> Iterator[Line]:
    count = scale(_CAMPAIGN)
    for algorithm, workers in ((STA, 1), (STA, 2), (MISTY1, 2)):
        seconds, peak_mb = in_fresh_process(run_campaign, algorithm, count, workers)
        name = f"{algorithm.name} key change, {_workers(workers)}"
        yield Line(
            f"{name}: {count:,} meters in {seconds:.1f} s",
            count / seconds,
            "meters/s",
            "two DKGA04 keys a meter take most of the time",
        )
        yield Line(
            f"{name}: peak memory",
            peak_mb,
            "MB",
            "Python and numpy themselves; then the chunks in work",
            Target(500, at_most=True),
        )


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"


# One at a time


def _credit(number: int) -> tuple[Service, int, int, int]:
    return Service.ELECTRICITY, number % 16, 6_000_000 + number, 1 + number * 7 % 10_000


def _key(algorithm: EncryptionAlgorithm) -> DecoderKey:
    return DecoderKey(bytes(range(1, 1 + algorithm.key_bits // 8)))


def _single(algorithm: EncryptionAlgorithm, count: int) -> Callable[[], object]:
    cipher = cipher_for(algorithm, _key(algorithm))
    fields = [_credit(number) for number in range(count)]

    def work() -> None:
        for service, rnd, tid, amount in fields:
            encode(TransferCredit(service, rnd, tid, amount), cipher)

    return work


def _naive(algorithm: EncryptionAlgorithm, count: int) -> Callable[[], object]:
    key = _key(algorithm)
    orders = [TransferCredit(*_credit(number)) for number in range(count)]

    def work() -> None:
        for credit in orders:
            naive.encode(credit, algorithm, key, SAMPLE_TABLES)

    return work


def _require_equal_to_naive() -> None:
    for algorithm in (STA, MISTY1):
        key = _key(algorithm)
        for number in range(20):
            credit = TransferCredit(*_credit(number * 977))
            slow = naive.encode(credit, algorithm, key, SAMPLE_TABLES)
            if slow != encode(credit, cipher_for(algorithm, key)):
                raise AssertionError(f"The naive {algorithm.name} differs from the engine.")


def single_sta(count: int) -> Callable[[], object]:
    return _single(STA, count)


def single_misty1(count: int) -> Callable[[], object]:
    return _single(MISTY1, count)


def naive_sta(count: int) -> Callable[[], object]:
    return _naive(STA, count)


def naive_misty1(count: int) -> Callable[[], object]:
    return _naive(MISTY1, count)


# Batches


def _batch(algorithm: EncryptionAlgorithm, count: int) -> Callable[[], object]:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64, (count, algorithm.key_bits // 64), np.uint64)
    ciphers = ciphers_for(algorithm, DecoderKeys(words))
    rnd = rng.integers(0, 16, count, np.uint64)
    tid = rng.integers(0, 2**24, count, np.uint64)
    amount = rng.integers(1, 20_000, count, np.uint64)

    def work() -> object:
        credit = TransferCredits(Service.ELECTRICITY, rnd, tid, amount)
        return transfer_credit_tokens(credit, ciphers)

    return work


def batch_sta(count: int) -> Callable[[], object]:
    return _batch(STA, count)


def batch_misty1(count: int) -> Callable[[], object]:
    return _batch(MISTY1, count)


def _group(algorithm: EncryptionAlgorithm, revision: int = 1) -> KeyGroup:
    return KeyGroup(
        sgc=SupplyGroupCode("123456"),
        krn=KeyRevision(revision),
        key_type=KeyType.UNIQUE,
        tariff_index=TariffIndex("01"),
        base_date=BaseDate.Y2014,
        algorithm=algorithm,
    )


def _derive(
    dkga: KeyGeneration, algorithm: EncryptionAlgorithm, count: int
) -> Callable[[], object]:
    pans = MeterPans.from_serials("01", np.arange(count))
    return lambda: derive_decoder_keys(dkga, _VENDING_KEYS[dkga], _group(algorithm), pans)


def batch_dkga02(count: int) -> Callable[[], object]:
    return _derive(DKGA02, STA, count)


def batch_dkga04_64(count: int) -> Callable[[], object]:
    return _derive(DKGA04, STA, count)


def batch_dkga04_128(count: int) -> Callable[[], object]:
    return _derive(DKGA04, MISTY1, count)


# What limits the batches, alone


def bare_planes(count: int) -> Callable[[], object]:
    """The ANDs and XORs of STA's rounds on a chunk's planes, without anything between them."""
    planes = np.zeros((3, 16, CHUNK // 64), np.uint64)
    one, other, result = planes
    operations = ROUNDS * circuit_of(SAMPLE_TABLES).operations * count // CHUNK

    def work() -> None:
        for _ in range(operations):
            np.bitwise_xor(one, other, result)

    return work


def bare_look_ups(count: int) -> Callable[[], object]:
    """MISTY1's look-ups on a chunk's words, without anything between them."""
    table = np.array(fi_tables()[0], np.uint16)
    words = np.random.default_rng(1).integers(0, 2**16, CHUNK, np.uint16)
    operations = _MISTY1_LOOK_UPS * count // CHUNK

    def work() -> None:
        for _ in range(operations):
            table.take(words)

    return work


def bare_des(count: int) -> Callable[[], object]:
    blocks = bytes(8 * count)
    return lambda: des_ecb(_VENDING_KEYS[DKGA02], blocks)


def bare_sha256(count: int) -> Callable[[], object]:
    """HMAC-SHA-256 with prepared states on a prepared message: its hashlib calls alone."""
    state = hashlib.sha256(bytes(64))
    message = bytes(22)

    def work() -> None:
        for _ in range(count):
            inside = state.copy()
            inside.update(message)
            outside = state.copy()
            outside.update(inside.digest())
            outside.digest()

    return work


_HASHLIB_LIMIT: Final = "six hashlib calls a key; hashing itself is a tenth of their time"
_BATCHES: Final = (
    _Batch(
        "STA tokens",
        "tokens/s",
        batch_sta,
        bare_planes,
        "its ANDs, XORs",
        "cache bandwidth: each AND and XOR reads and writes planes",
    ),
    _Batch(
        "MISTY1 tokens",
        "tokens/s",
        batch_misty1,
        bare_look_ups,
        "its look-ups",
        "64 look-ups a token in tables of 128 KB",
        target=None,
    ),
    _Batch(
        "DKGA02 keys, 64 bits",
        "keys/s",
        batch_dkga02,
        bare_des,
        "OpenSSL DES",
        "OpenSSL, which computes single DES as triple DES",
    ),
    _Batch(
        "DKGA04 keys, 64 bits",
        "keys/s",
        batch_dkga04_64,
        bare_sha256,
        "hashlib",
        _HASHLIB_LIMIT,
    ),
    _Batch(
        "DKGA04 keys, 128 bits",
        "keys/s",
        batch_dkga04_128,
        bare_sha256,
        "hashlib",
        _HASHLIB_LIMIT,
    ),
)


# Campaigns


def run_campaign(algorithm: EncryptionAlgorithm, count: int, workers: int) -> tuple[float, float]:
    """Stream a campaign's token sets to nowhere: seconds, and the peak of memory in MB."""
    old, new = (
        KeySource(DKGA04, _VENDING_KEYS[DKGA04], _group(algorithm, revision)) for revision in (1, 2)
    )
    campaign = KeyChangeCampaign(old, new, KeyExpiry(255))
    start = perf_counter()
    meters = serial_range("01", 0, count)
    made = sum(len(sets) for sets in campaign.stream(meters, workers=workers))
    seconds = perf_counter() - start
    if made != count:
        raise AssertionError(f"The campaign made {made} sets for {count} meters.")
    return seconds, peak_rss_mb(workers if workers > 1 else 0)
