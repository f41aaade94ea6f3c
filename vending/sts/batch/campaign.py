"""Key change campaigns: the token sets of millions of meters, streamed.

A campaign moves the meters of a group from the decoder keys that they have to others: of a new
supply group, a new key revision, a new base date.  Meters go in and token sets come out a
chunk at a time, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vending.sts.batch.arrays import CHUNK, Texts, slices
from vending.sts.batch.decoder_key import KeyGroup, derive_decoder_keys
from vending.sts.batch.key_change import KeyChanges, key_change_tokens
from vending.sts.batch.keys import DecoderKeys
from vending.sts.batch.meters import MeterPans
from vending.sts.batch.token import ciphers_for
from vending.sts.batch.workers import spread
from vending.sts.errors import KeyChangeError
from vending.sts.identity import KeyExpiry, KeyGeneration, KeyType
from vending.sts.keys import VendingKey
from vending.sts.sta import SAMPLE_TABLES, StaTables


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the decoder keys of a group of meters come from."""

    dkga: KeyGeneration
    vending_key: VendingKey
    group: KeyGroup

    def decoder_keys(self, pans: MeterPans) -> DecoderKeys:
        """The keys of N meters, see `derive_decoder_keys`."""
        return derive_decoder_keys(self.dkga, self.vending_key, self.group, pans)


@dataclass(frozen=True, slots=True, eq=False)
class KeyChangeSets:
    """The key change tokens of N meters."""

    pans: MeterPans
    tokens: Texts = field(repr=False)
    """20 digits each (``S20``), shape (N, 2) for STA or (N, 4) for MISTY1, in entry order."""

    def __len__(self) -> int:
        return len(self.pans)


@dataclass(frozen=True, slots=True)
class KeyChangeCampaign:
    """A change of the decoder keys of many meters.

    Raises:
        KeyChangeError: another encryption algorithm, or a state that no meter takes.
    """

    old: KeySource
    new: KeySource
    ken: KeyExpiry
    rollover: bool = False
    """RO: the meters forget their used TIDs, for a change of base date."""
    tables: StaTables = SAMPLE_TABLES
    """For STA only."""

    def __post_init__(self) -> None:
        if self.old.group.algorithm is not self.new.group.algorithm:
            raise KeyChangeError("Tokens cannot change a meter's encryption algorithm.")
        if self.new.group.key_type is KeyType.INITIALISATION:
            raise KeyChangeError("No key change leads back to an initialisation key (KT 0).")

    def token_sets(self, pans: MeterPans) -> KeyChangeSets:
        """The sets of N meters, all in memory at once.

        Raises:
            KeyChangeError: roll-over leaves a meter its key; names its index.
            KeyFormatError, InvalidValueError, UnconfirmedError: as `derive_decoder_keys`.
        """
        group = self.new.group
        old_keys = self.old.decoder_keys(pans)
        changes = KeyChanges(
            new_keys=self.new.decoder_keys(pans),
            key_type=group.key_type,
            krn=group.krn,
            tariff_index=group.tariff_index,
            ken=self.ken,
            sgc=group.sgc,
            rollover=self.rollover,
        )
        ciphers = ciphers_for(group.algorithm, old_keys, self.tables)
        return KeyChangeSets(pans, key_change_tokens(changes, ciphers))

    def stream(
        self, meters: Iterable[MeterPans], *, workers: int = 1, chunk: int = CHUNK
    ) -> Iterator[KeyChangeSets]:
        """The sets of any number of meters, in their order, a chunk at a time.

        Args:
            meters: chunks of meters, of any size (see `serial_range`).
            workers: with more than one, that many processes share the work; the vending keys
                are handed to them through a pipe.  The right number is that of the processors;
                see `spread` for what a script needs.
            chunk: how many meters, at most, a set of the result has.

        Raises:
            As `token_sets`; an index counts from the start of the chunk.
        """
        pieces = (pans[part] for pans in meters for part in slices(len(pans), chunk))
        if workers == 1:
            yield from map(self.token_sets, pieces)
            return
        recipe = (_opened(self.old), _opened(self.new), self.ken, self.rollover, self.tables)
        yield from spread(_token_sets_by, recipe, pieces, workers)


# A vending key does not pickle, so that none is written by accident.  Here one is meant to
# reach a process of our own: it goes as bytes, by a name that says so.
_OpenedSource = tuple[KeyGeneration, bytes, KeyGroup]


def _opened(source: KeySource) -> _OpenedSource:
    return source.dkga, source.vending_key.secret, source.group


def _closed(source: _OpenedSource) -> KeySource:
    dkga, secret, group = source
    return KeySource(dkga, VendingKey(secret), group)


def _token_sets_by(
    old: _OpenedSource, new: _OpenedSource, ken: KeyExpiry, rollover: bool, tables: StaTables
) -> Callable[[MeterPans], KeyChangeSets]:
    return KeyChangeCampaign(_closed(old), _closed(new), ken, rollover, tables).token_sets
